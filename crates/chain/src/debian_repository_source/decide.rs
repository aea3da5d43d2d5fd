//! When a repository is read, and what the answers mean.

use std::time::Duration;

use api::upgrader::debian_repository_source::{MINIMUM_INTERVAL, Reason};
use domain::object::ObjectRef;
use domain::verdict::{Because, Reason as _, Trouble, Verdict};
use jiff::Timestamp;
use sources::FetchError;

use super::access::{Denied, READER_ROLE};
use super::apply::Step;
use super::memory::Failure;
use super::observe::Observed;
use super::schedule::{Next, Schedule, positive};
use super::target::{Part, Parts, Reference, Use};
use super::trust::{self, Distrust};

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
    let parts = match usable(observed) {
        Ok(parts) => parts,
        Err(because) => return Verdict::failed(*because),
    };
    let standing = standing(observed, parts, now);
    let standing = match next_turn(observed, now) {
        Some(turn) => standing.recheck(turn),
        None => standing,
    };
    match (Schedule { observed, parts, policy, now }).next() {
        Next::Step(step) => Verdict { recheck: None, ..standing.step(*step) },
        Next::At(due) => standing.recheck(due),
        Next::Never => standing,
    }
}

/// What the spec asks for, if that can be done at all.
fn usable(observed: &Observed) -> Result<&Parts, Box<Because<Reason>>> {
    let parts = observed.parts.as_ref().map_err(|problem| {
        let because = Because::new(Reason::InvalidUrl, &**problem);
        Box::new(because.unblock("set spec.fromMinor, as spec.url has {minor}"))
    })?;
    let verifies = observed.target.verification.is_some();
    if verifies && parts.known.iter().any(|part| observed.target.release_url(*part).is_none()) {
        let message = "where its InRelease is cannot be told from spec.url";
        return Err(Box::new(
            Because::new(Reason::InvalidUrl, message).unblock("set spec.verification.releaseUrl"),
        ));
    }
    Ok(parts)
}

/// What the last fetches leave the source at.
fn standing(observed: &Observed, parts: &Parts, now: Timestamp) -> Verdict<Step, Reason> {
    let kept = if observed.versions().is_empty() { "" } else { "; the versions found before stay" };
    let denied = observed.target.references().into_iter().find_map(|(of, reference)| {
        let held = observed.held.get(&of)?;
        Some(denial(observed, of, &reference, held.value.as_ref().err()?, kept))
    });
    if let Some(because) = denied {
        return Verdict::failed(because);
    }
    let failing: Vec<(Part, Because<Reason>)> = parts
        .known
        .iter()
        .chain(&parts.probe)
        .filter_map(|part| Some((*part, trouble(observed, *part, parts.probe == Some(*part), now)?)))
        .collect();
    if let Some((_, first)) = failing.first() {
        let mut because = first.clone();
        because.message = format!("{}{}{kept}", because.message, also(&failing));
        return Verdict::failed(because);
    }
    if parts.known.iter().any(|part| !observed.last.contains_key(part)) {
        return Verdict::wait(Because::new(Reason::Fetching, "the repository is being read"));
    }
    Verdict::done()
}

/// The minors that fail beside the first.
fn also(failing: &[(Part, Because<Reason>)]) -> String {
    let others: Vec<String> = failing.iter().skip(1).map(|(part, _)| part.to_string()).collect();
    if others.is_empty() { String::new() } else { format!("; also failing: {}", others.join(", ")) }
}

/// Why an index has no list that counts, with its minor where there are several.
fn trouble(observed: &Observed, part: Part, probe: bool, now: Timestamp) -> Option<Because<Reason>> {
    let last = observed.last.get(&part)?;
    let named = |text: String| if part.0.is_some() { format!("{part}: {text}") } else { text };
    if let Some(failure) = &last.failure {
        return match failure {
            Failure::Fetch(error) if probe && is_not_yet(observed, error) => None,
            Failure::Fetch(error) => {
                let mut because = failed(observed, error);
                if probe && because.reason == Reason::AuthFailed {
                    because = because.unblock(
                        "correct the credentials, or have the repository answer 404 for a minor that is not there yet",
                    );
                }
                because.message = named(because.message);
                Some(because)
            }
            Failure::Distrust(distrust) => Some(distrusted(observed, *distrust, named)),
        };
    }
    let contents = last.contents.as_ref()?;
    if let Some(distrust) = contents.release.as_ref().and_then(|release| trust::expired(release, now)) {
        return Some(distrusted(observed, distrust, named));
    }
    let nothing = contents.nothing.as_ref().filter(|_| !probe)?;
    Some(Because::new(Reason::NoVersions, named(nothing.to_string())))
}

/// A minor above all that were ever seen is not yet there. It is asked for only after another has answered well. Who has
/// credentials is told by 401 and 403 that they do not count.
pub(super) fn is_not_yet(observed: &Observed, error: &FetchError) -> bool {
    match error {
        FetchError::NotFound { .. } => true,
        FetchError::Forbidden { status } => *status == 403 && observed.target.secret.is_none(),
        _ => false,
    }
}

fn distrusted(observed: &Observed, distrust: Distrust, named: impl Fn(String) -> String) -> Because<Reason> {
    let because = |reason, message: &str| Because::new(reason, named(message.to_owned()));
    match distrust {
        Distrust::RolledBack => {
            because(Reason::ReleaseRolledBack, "InRelease is older than one that was seen before").unblock(
                "find out who serves an old state of the repository; where it is meant, make the source anew",
            )
        }
        Distrust::Expired => because(Reason::ReleaseExpired, "InRelease says that it is no longer valid"),
        Distrust::KeyExpired { .. } => {
            let because = because(Reason::KeyExpired, "the key that signs the repository has expired");
            on(observed, because, Use::PublicKey).unblock("replace it by the repository's present one")
        }
    }
}

/// Names the object that a matter turns on.
fn on(observed: &Observed, because: Because<Reason>, of: Use) -> Because<Reason> {
    let mut references = observed.target.references().into_iter();
    match references.find(|(other, _)| *other == of) {
        Some((_, reference)) => because.blocked_by(object(observed, &reference)),
        None => because,
    }
}

fn object(observed: &Observed, reference: &Reference) -> ObjectRef {
    ObjectRef::named(reference.kind(), observed.source.meta.key.sibling(&reference.name))
}

fn denial(
    observed: &Observed,
    of: Use,
    reference: &Reference,
    denied: &Denied,
    kept: &str,
) -> Because<Reason> {
    let kind = reference.kind().kind;
    let because = |reason, message: String| {
        Because::new(reason, format!("{message}{kept}")).blocked_by(object(observed, reference))
    };
    let what = match of {
        Use::Credentials => "the credentials",
        Use::Authority => "the certificate authority",
        Use::PublicKey => "the public key",
    };
    match denied {
        Denied::Missing => because(Reason::SecretMissing, format!("the {kind} with {what} does not exist")),
        Denied::Forbidden => {
            because(Reason::SecretForbidden, format!("the {kind} with {what} may not be read")).unblock(
                format!(
                    "bind the ClusterRole {READER_ROLE} to the controller in namespace {}",
                    observed.source.meta.key.namespace
                ),
            )
        }
        Denied::Type => because(
            Reason::SecretTypeNotAllowed,
            "Secrets of its type are not sent to a repository".to_owned(),
        )
        .unblock("use one of type kubernetes.io/basic-auth"),
        Denied::NoKey(key) => because(Reason::SecretInvalid, format!("it has no key {key}")),
        Denied::Unreadable(key) => {
            because(Reason::SecretInvalid, format!("what it has under {key} is empty or cannot be read"))
        }
    }
}

fn failed(observed: &Observed, error: &FetchError) -> Because<Reason> {
    let check =
        if observed.target.has_minors() { "check spec.url and spec.fromMinor" } else { "check spec.url" };
    let (reason, hint) = match error {
        FetchError::Forbidden { .. } if observed.target.secret.is_some() => {
            let because = Because::new(Reason::AuthFailed, error.to_string());
            return on(observed, because, Use::Credentials).unblock("correct the credentials");
        }
        FetchError::Unusable { what, .. } => {
            let of = if what.contains("key") { Use::PublicKey } else { Use::Authority };
            return on(observed, Because::new(Reason::SecretInvalid, error.to_string()), of);
        }
        FetchError::InvalidUrl { .. } => (Reason::InvalidUrl, Some("correct spec.url")),
        FetchError::NotFound { .. } => (Reason::RepositoryNotFound, Some(check)),
        FetchError::Forbidden { .. } => (Reason::RepositoryForbidden, Some(check)),
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
        FetchError::SignatureMissing { .. } => {
            (Reason::SignatureMissing, Some("check spec.verification.releaseUrl"))
        }
        FetchError::SignatureInvalid { .. } => {
            (Reason::SignatureInvalid, Some("check the key and who serves the repository"))
        }
        FetchError::NotListed { .. } => (Reason::IndexNotInRelease, None),
        FetchError::HashMismatch { .. } => (Reason::IndexHashMismatch, None),
        FetchError::Internal { .. } => (Reason::of_trouble(Trouble::InternalError), None),
    };
    let because = Because::new(reason, error.to_string());
    match hint {
        Some(hint) => because.unblock(hint),
        None => because,
    }
}

/// When time alone changes what is believed or told.
fn next_turn(observed: &Observed, now: Timestamp) -> Option<Timestamp> {
    let releases = observed.last.values().filter_map(|last| last.contents.as_ref()?.release.as_ref());
    releases.filter_map(|release| trust::next_turn(release, now)).min()
}
