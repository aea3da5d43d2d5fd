//! The status and the Events of a source.

use std::collections::BTreeSet;

use api::upgrader::debian_repository_source::{DONE, KEY_EXPIRES_SOON, Reason, Status};
use domain::condition::{self, Condition, Shape};
use domain::verdict::{Note, Severity, Then, Verdict, Waiting};
use jiff::Timestamp;
use runtime::room::Report;
use runtime::status::merge_patch;

use super::apply::Step;
use super::observe::Observed;
use super::trust;

/// The original's Event for a repository that cannot be read.
const LIST_VERSIONS_FAILED: &str = "ListVersionsFailed";
/// Most versions that an Event names.
const NAMED: usize = 10;

pub(super) fn report(observed: &Observed, verdict: &Verdict<Step, Reason>, now: Timestamp) -> Report {
    let source = &observed.source;
    if source.meta.deleting {
        return Report::default();
    }
    let versions = observed.versions();
    let key_expires = observed.key_expires();
    let soon = trust::expires_soon(key_expires, now).map(|expires| {
        let day = expires.strftime("%Y-%m-%d");
        format!("{}; the key that signs the repository expires on {day}", told(&versions))
    });
    let done = match &soon {
        Some(told) => (KEY_EXPIRES_SOON, told.clone()),
        None => (DONE, told(&versions)),
    };
    let wanted = condition::of(Shape::ReadyOnly, &verdict.then, (done.0, &done.1));
    let conditions = condition::settle(&source.status.conditions, wanted, source.meta.generation, now);
    let notes = found(&source.status.versions, &versions)
        .into_iter()
        .chain(failed(observed, verdict, &conditions))
        .chain(key_expires.and_then(|expires| warned(observed, &conditions, expires)));
    let notes = notes.collect();
    let status = Status {
        packages: observed.packages(&versions, now),
        versions,
        releases: observed.releases(),
        key_expires,
        last_handled_request: observed.handled.clone(),
        waiting: Waiting::of(source.status.waiting.as_ref(), &verdict.then, now),
        conditions,
        observed_generation: Some(source.meta.generation),
    };
    Report { status: merge_patch(&source.status, &status), notes }
}

/// An Event for a key that is about to expire: one for each key, as its occurrence is its end.
fn warned(observed: &Observed, after: &[Condition], expires: Timestamp) -> Option<Note> {
    let changed = condition::changed(&observed.source.status.conditions, after, condition::READY)?;
    (changed.reason == KEY_EXPIRES_SOON).then(|| Note {
        severity: Severity::Warning,
        reason: KEY_EXPIRES_SOON,
        message: changed.message.to_string(),
        occurrence: expires.to_string(),
        related: None,
    })
}

fn told(versions: &[Box<str>]) -> String {
    match versions {
        [] => "no version".to_owned(),
        [only] => format!("1 version, {only}"),
        [.., newest] => format!("{} versions, the newest {newest}", versions.len()),
    }
}

/// An Event for versions that came or went.
fn found(before: &[Box<str>], after: &[Box<str>]) -> Option<Note> {
    let (old, new): (BTreeSet<_>, BTreeSet<_>) = (before.iter().collect(), after.iter().collect());
    let came: Vec<&str> = after.iter().filter(|version| !old.contains(version)).map(AsRef::as_ref).collect();
    let went: Vec<&str> = before.iter().filter(|version| !new.contains(version)).map(AsRef::as_ref).collect();
    let mut parts = Vec::new();
    if !came.is_empty() {
        parts.push(format!("found {}", named(&came)));
    }
    if !went.is_empty() {
        parts.push(format!("no longer there: {}", named(&went)));
    }
    (!parts.is_empty()).then(|| Note {
        severity: Severity::Normal,
        reason: DONE,
        message: parts.join("; "),
        occurrence: format!("{} / {}", came.join(" "), went.join(" ")),
        related: None,
    })
}

/// The newest of them, since the oldest come first.
fn named(versions: &[&str]) -> String {
    let shown = versions.split_at(versions.len().saturating_sub(NAMED)).1.join(", ");
    match versions.len().saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown} and {more} older"),
    }
}

/// An Event for each new reason to have failed.
fn failed(observed: &Observed, verdict: &Verdict<Step, Reason>, after: &[Condition]) -> Option<Note> {
    let Then::Failed(because) = &verdict.then else { return None };
    let changed = condition::changed(&observed.source.status.conditions, after, condition::READY)?;
    Some(Note {
        severity: Severity::Warning,
        reason: LIST_VERSIONS_FAILED,
        message: because.to_string(),
        occurrence: format!("{} {}", changed.reason, changed.last_transition_time),
        related: None,
    })
}
