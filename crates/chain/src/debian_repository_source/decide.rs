//! When a repository is read, and what the answer means.

use std::time::Duration;

use api::upgrader::debian_repository_source::{DEFAULT_INTERVAL, MINIMUM_INTERVAL, Reason, SourceRow};
use domain::verdict::{Because, Reason as _, Trouble, Verdict};
use jiff::{SignedDuration, Timestamp};
use runtime::clock::{after, spread};
use sources::{FetchError, Validators};

use super::apply::{Fetch, Step};
use super::observe::{LastFetch, Observed, Target};

/// By how much of itself, in percent, a wait is lengthened, so that sources which appeared together part.
const JITTER: u32 = 10;

/// How often repositories are read.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The shortest interval, whatever a source asks for.
    pub shortest: Duration,
    /// The wait after a first failure; each further one doubles it.
    pub retry: Duration,
    /// The longest wait after a failure, unless the interval is longer.
    pub longest_retry: Duration,
    /// The longest wait that a repository may ask for.
    pub longest_wish: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            shortest: positive(MINIMUM_INTERVAL),
            retry: Duration::from_secs(5),
            longest_retry: Duration::from_secs(5 * 60),
            longest_wish: Duration::from_secs(24 * 60 * 60),
        }
    }
}

pub(super) fn decide(observed: &Observed, now: Timestamp, policy: &Policy) -> Verdict<Step, Reason> {
    let source = &observed.source;
    if source.meta.deleting {
        return Verdict::done();
    }
    if let Some(error) = &source.malformed {
        return Verdict::failed(Because::new(Reason::of_trouble(Trouble::Malformed), &**error));
    }
    let Some(last) = &observed.last else {
        let because = Because::new(Reason::Fetching, "the repository is being read");
        return Verdict::wait(because).step(fetch(observed, Validators::default()));
    };
    let standing = standing(observed, last);
    if observed.request().is_some() {
        return standing.step(fetch(observed, Validators::default()));
    }
    match due(source, last, policy) {
        None => standing,
        Some(due) if due <= now => standing.step(fetch(observed, known(last))),
        Some(due) => standing.recheck(due),
    }
}

fn fetch(observed: &Observed, validators: Validators) -> Step {
    let request = observed.request().map(Box::from);
    Step::Fetch(Fetch { target: Target::of(&observed.source), validators, request })
}

fn known(last: &LastFetch) -> Validators {
    last.contents.as_ref().map(|contents| contents.validators.clone()).unwrap_or_default()
}

/// What the last fetch leaves the source at.
fn standing(observed: &Observed, last: &LastFetch) -> Verdict<Step, Reason> {
    let kept = if observed.versions().is_empty() { "" } else { "; the versions found before stay" };
    if let Some(error) = &last.failure {
        let (reason, hint) = reason(error);
        let because = Because::new(reason, format!("{error}{kept}"));
        return Verdict::failed(match hint {
            Some(hint) => because.unblock(hint),
            None => because,
        });
    }
    match last.contents.as_ref().and_then(|contents| contents.nothing.as_ref()) {
        Some(nothing) => Verdict::failed(Because::new(Reason::NoVersions, format!("{nothing}{kept}"))),
        None => Verdict::done(),
    }
}

/// When the repository is read next; never where only another `spec.url` can help.
fn due(source: &SourceRow, last: &LastFetch, policy: &Policy) -> Option<Timestamp> {
    let interval = positive(source.interval.unwrap_or(DEFAULT_INTERVAL)).max(policy.shortest);
    let (wait, wish) = match &last.failure {
        None => (interval, None),
        Some(FetchError::InvalidUrl { .. }) => return None,
        Some(error) => {
            let doubled = 1 << last.failures.saturating_sub(1).min(20);
            let longest = interval.max(policy.longest_retry);
            (policy.retry.saturating_mul(doubled).min(longest), wish(error))
        }
    };
    let wait = spread(wait, JITTER, &source.meta.uid);
    Some(after(last.at, wait.max(wish.unwrap_or_default().min(policy.longest_wish))))
}

/// How long the repository asks to be left alone.
fn wish(error: &FetchError) -> Option<Duration> {
    match error {
        FetchError::TooMany { retry_after } | FetchError::Server { retry_after, .. } => *retry_after,
        _ => None,
    }
}

fn reason(error: &FetchError) -> (Reason, Option<&'static str>) {
    match error {
        FetchError::InvalidUrl { .. } => (Reason::InvalidUrl, Some("correct spec.url")),
        FetchError::NotFound { .. } => (Reason::RepositoryNotFound, Some("check spec.url")),
        FetchError::Forbidden { .. } => (Reason::RepositoryForbidden, Some("check spec.url")),
        FetchError::TooMany { .. }
        | FetchError::Server { .. }
        | FetchError::OtherStatus { .. }
        | FetchError::Redirect { .. } => (Reason::RepositoryError, None),
        FetchError::TooLarge { .. } => (Reason::IndexTooLarge, None),
        FetchError::Timeout => (Reason::RepositoryTimeout, None),
        FetchError::Connect { .. } | FetchError::Tls { .. } => (Reason::RepositoryUnreachable, None),
        FetchError::Truncated => (Reason::IndexTruncated, None),
        FetchError::NotAnIndex { .. } => {
            (Reason::NotAPackageIndex, Some("spec.url must be the address of a Packages file"))
        }
        FetchError::Unusable { .. } => (Reason::SecretInvalid, None),
        FetchError::SignatureMissing { .. } => (Reason::SignatureMissing, None),
        FetchError::SignatureInvalid { .. } => (Reason::SignatureInvalid, None),
        FetchError::NotListed { .. } => (Reason::IndexNotInRelease, None),
        FetchError::HashMismatch { .. } => (Reason::IndexHashMismatch, None),
        FetchError::Internal { .. } => (Reason::of_trouble(Trouble::InternalError), None),
    }
}

fn positive(duration: SignedDuration) -> Duration {
    Duration::try_from(duration).unwrap_or_default()
}
