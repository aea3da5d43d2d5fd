//! A source makes no request to the API server but the write of its status, which the engine makes. Its one step reads a
//! package repository.

use std::fmt;
use std::sync::Arc;

use runtime::answer::Refusal;
use runtime::room::Applied;
use sources::{FetchError, Fetched, Repository, Request, Validators};

use super::observe::Target;

/// The closed set of a source's requests.
#[derive(Clone, Debug)]
pub enum Step {
    /// Reads the package index.
    Fetch(Fetch),
}

/// One fetch.
#[derive(Clone, Debug)]
pub struct Fetch {
    /// What is fetched.
    pub target: Target,
    /// Of the answer that is known; the default asks unconditionally.
    pub validators: Validators,
    /// The annotation's value that this fetch acts on.
    pub request: Option<Box<str>>,
}

impl fmt::Display for Step {
    /// Without what may be secret in a URL: a user's name, a query.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Fetch(Fetch { target, validators, .. }) = self;
        let url = target.url.split(['?', '#']).next().unwrap_or_default();
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
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

/// A failed fetch is an answer as well: which reason it is, is decided.
pub(super) async fn apply(
    repository: Arc<dyn Repository>,
    step: Step,
) -> Result<Applied<Result<Fetched, FetchError>>, Refusal> {
    let Step::Fetch(Fetch { target, validators, .. }) = step;
    let request = Request {
        url: target.url.into(),
        architecture: target.architecture.into(),
        validators,
        ..Request::default()
    };
    Ok(Applied::answer(repository.fetch(&request).await))
}
