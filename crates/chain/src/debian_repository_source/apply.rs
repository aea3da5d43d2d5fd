//! A source writes nothing to the API server but its status, which the engine does. Its steps read: a package repository, and
//! the Secrets and ConfigMaps that it takes to be let in and to believe.

use std::fmt;
use std::sync::Arc;

use domain::object::ObjectKey;
use domain::verdict::one_line;
use jiff::Timestamp;
use runtime::answer::Refusal;
use runtime::request::{Place, Shell};
use runtime::room::Applied;
use sources::{Access, FetchError, Fetched, Repository, Request, Trust, Validators};

use super::access::{Denied, Live, Value};
use super::memory::Round;
use super::target::{Part, Reference, Target, Use};

/// The closed set of a source's requests.
#[derive(Clone, Debug)]
pub enum Step {
    /// Reads an object that the spec names.
    Read(Read),
    /// Reads a package index.
    Fetch(Fetch),
}

/// One read of a Secret or a ConfigMap.
#[derive(Clone, Debug)]
pub struct Read {
    /// What the spec named.
    pub target: Target,
    /// The namespace of the source.
    pub namespace: Box<str>,
    /// What it is for.
    pub of: Use,
    /// The object.
    pub reference: Reference,
    /// The annotation's value that this round acts on.
    pub request: Option<Box<str>>,
    /// The round, with what is left of it.
    pub round: Round,
}

/// One fetch.
#[derive(Clone, Debug)]
pub struct Fetch {
    /// What the spec named.
    pub target: Target,
    /// The index that is fetched.
    pub part: Part,
    /// Of the answer that is known; the default asks unconditionally.
    pub validators: Validators,
    /// What the repository asks for.
    pub access: Access,
    /// Whose signature counts.
    pub trust: Option<Trust>,
    /// The date of the newest release that was believed.
    pub seen: Option<Timestamp>,
    /// The annotation's value that this round acts on.
    pub request: Option<Box<str>>,
    /// The round, with what is left of it.
    pub round: Round,
}

/// What a step brought.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// What an object held.
    Held(Result<Value, Denied>),
    /// What the repository answered: a failure is an answer as well, and which reason it is, is decided.
    Fetched(Result<Fetched, FetchError>),
}

impl fmt::Display for Step {
    /// Without what may be secret in a URL: a user's name, a query.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fetch { target, part, validators, .. } = match self {
            Self::Read(Read { reference, .. }) => {
                return write!(f, "read {} {}", reference.kind().kind, one_line(&reference.name));
            }
            Self::Fetch(fetch) => fetch,
        };
        let url = target.url(*part);
        let url = one_line(url.split(['?', '#']).next().unwrap_or_default());
        let (scheme, rest) = url.split_once("://").unwrap_or(("", &url));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let host = authority.rsplit('@').next().unwrap_or_default();
        write!(f, "fetch {scheme}://{host}/{path}")?;
        if *validators == Validators::default() { Ok(()) } else { f.write_str(" if it changed") }
    }
}

impl runtime::room::Step for Step {
    /// It changes nothing: with `--dry-run` it is taken.
    fn writes(&self) -> bool {
        false
    }
}

/// Makes the request of a step.
pub(super) async fn apply(
    repository: Arc<dyn Repository>,
    shell: Shell,
    step: Step,
) -> Result<Applied<Answer>, Refusal> {
    match step {
        Step::Read(Read { namespace, of, reference, .. }) => {
            let key = ObjectKey::new(namespace, reference.name.clone());
            let held = match shell.get::<Live>(&Place::of(reference.kind()), &key).await {
                Ok(live) => live.value(of, &reference),
                Err(Refusal::NotFound) => Err(Denied::Missing),
                Err(Refusal::Forbidden(_)) => Err(Denied::Forbidden),
                Err(refusal) => return Err(refusal),
            };
            Ok(Applied::answer(Answer::Held(held)))
        }
        Step::Fetch(Fetch { target, part, validators, access, trust, .. }) => {
            let architecture = target.architecture.to_string();
            let request = Request { url: target.url(part), architecture, validators, access, trust };
            Ok(Applied::answer(Answer::Fetched(repository.fetch(&request).await)))
        }
    }
}
