//! What a source sees: itself, and what the last fetch brought.

use std::sync::Arc;

use api::upgrader::debian_repository_source::SourceRow;
use jiff::Timestamp;
use sources::{FetchError, Fetched, Index, Validators};

use super::apply::Fetch;

/// What is kept of a source between passes and lost with the process: the next one fetches at once.
#[derive(Debug, Default)]
pub struct Memory {
    last: Option<LastFetch>,
    handled: Option<Box<str>>,
}

/// Everything that a decision about a source rests on.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// The source.
    pub source: SourceRow,
    /// The last fetch of what the spec names; `None` where the spec names something else since, or after a restart. Its
    /// time is a clock that a restart loses.
    pub last: Option<LastFetch>,
    /// The value of the annotation that was last acted on.
    pub handled: Option<Box<str>>,
}

/// What is fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// `spec.url`.
    pub url: Box<str>,
    /// `spec.architecture`; empty for any.
    pub architecture: Box<str>,
}

/// A fetch, and what is known of its target.
#[derive(Clone, Debug, PartialEq)]
pub struct LastFetch {
    /// What was fetched.
    pub target: Target,
    /// When it ended.
    pub at: Timestamp,
    /// Why it failed.
    pub failure: Option<FetchError>,
    /// Failures in a row.
    pub failures: u32,
    /// What the last good answer for this target said.
    pub contents: Option<Contents>,
}

/// A good answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Contents {
    /// What it said of its own version.
    pub validators: Validators,
    /// Versions, the oldest first.
    pub versions: Arc<[Box<str>]>,
    /// Why there are none, if there are none.
    pub nothing: Option<Box<str>>,
}

impl Target {
    pub(super) fn of(source: &SourceRow) -> Self {
        Self { url: source.url.clone(), architecture: source.architecture.clone().unwrap_or_default() }
    }
}

impl Observed {
    /// The value of the annotation that asks for a fetch at once, while it was not acted on.
    pub fn request(&self) -> Option<&str> {
        self.source.requested_at.as_deref().filter(|asked| self.handled.as_deref() != Some(asked))
    }

    /// The last good list: of the answer, else the one that was written, by this process or by an earlier one.
    pub fn versions(&self) -> &[Box<str>] {
        let contents = self.last.as_ref().and_then(|last| last.contents.as_ref());
        match contents {
            Some(contents) if !contents.versions.is_empty() => &contents.versions,
            _ => &self.source.status.versions,
        }
    }
}

impl Memory {
    /// Takes the outcome of a fetch in.
    pub(super) fn learn(&mut self, fetch: &Fetch, outcome: Result<Fetched, FetchError>, now: Timestamp) {
        if fetch.request.is_some() {
            self.handled.clone_from(&fetch.request);
        }
        let before = self.last.take().filter(|last| last.target == fetch.target);
        let (failures, known) = before.map_or((0, None), |last| (last.failures, last.contents));
        let (failure, contents) = match outcome {
            Ok(Fetched::NotModified) => (None, known),
            Ok(Fetched::Fresh { index, validators, .. }) => {
                (None, Some(Contents::of(&index, validators, &fetch.target.architecture)))
            }
            Err(error) => (Some(error), known),
        };
        let failures = if failure.is_some() { failures.saturating_add(1) } else { 0 };
        self.last = Some(LastFetch { target: fetch.target.clone(), at: now, failure, failures, contents });
    }
}

impl Contents {
    fn of(index: &Index, validators: Validators, architecture: &str) -> Self {
        let versions: Arc<[Box<str>]> =
            index.versions.iter().map(|packaged| packaged.version.to_string().into_boxed_str()).collect();
        let nothing = versions.is_empty().then(|| absence(index, architecture).into());
        Self { validators, versions, nothing }
    }
}

fn absence(index: &Index, architecture: &str) -> String {
    if index.is_empty() {
        "the package index is empty".to_owned()
    } else if index.kubeadm == 0 {
        "the package index has no kubeadm".to_owned()
    } else if index.skipped > 0 {
        "the package index has kubeadm, but none of its versions is one of Kubernetes".to_owned()
    } else {
        format!("the package index has kubeadm, but not for architecture {architecture}")
    }
}

pub(super) fn observe(source: &SourceRow, memory: &Memory) -> Observed {
    let target = Target::of(source);
    let written = || source.status.last_handled_request.clone();
    Observed {
        last: memory.last.clone().filter(|last| last.target == target),
        handled: memory.handled.clone().or_else(written),
        source: source.clone(),
    }
}
