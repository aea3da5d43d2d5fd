//! Whether what was verified is to be believed now: its age, and that of its key.

use std::time::Duration;

use jiff::Timestamp;
use runtime::clock::after;
use sources::Release;

/// How long before a key expires it is told.
pub(super) const SOON: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// Why a release with a good signature is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distrust {
    /// It is older than one that was seen before.
    RolledBack,
    /// It says itself that it is no longer valid.
    Expired,
    /// Its key has expired.
    KeyExpired {
        /// When.
        at: Timestamp,
    },
}

/// A repository goes forward in time. Where it had a date, it must have one.
pub(super) fn rolled_back(release: &Release, seen: Option<Timestamp>) -> Option<Distrust> {
    let seen = seen?;
    release.date.is_none_or(|date| date < seen).then_some(Distrust::RolledBack)
}

/// Both can come true by time alone, so they are judged at every look.
pub(super) fn expired(release: &Release, now: Timestamp) -> Option<Distrust> {
    if let Some(at) = release.key_expires.filter(|at| *at <= now) {
        return Some(Distrust::KeyExpired { at });
    }
    release.valid_until.is_some_and(|until| until < now).then_some(Distrust::Expired)
}

/// When the key expires, if that is soon.
pub(super) fn expires_soon(key_expires: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    key_expires.filter(|expires| *expires > now && after(now, SOON) >= *expires)
}

/// The next time at which a look comes to another judgement by itself.
pub(super) fn next_turn(release: &Release, now: Timestamp) -> Option<Timestamp> {
    let soon = release.key_expires.and_then(|expires| expires.checked_sub(SOON).ok());
    let over = release.valid_until.map(|until| after(until, Duration::from_secs(1)));
    [soon, release.key_expires, over].into_iter().flatten().filter(|time| *time > now).min()
}
