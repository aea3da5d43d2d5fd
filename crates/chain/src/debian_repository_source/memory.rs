//! What is kept of a source between passes and lost with the process: the next one reads everything once.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::version::Minor;
use jiff::Timestamp;
use sources::{FetchError, Fetched, Index, PackagedVersion, Release, Validators};

use super::access::{Denied, Value};
use super::apply::{Answer, Fetch, Read, Step};
use super::target::{Part, Target, Use};
use super::trust::{self, Distrust};

/// What is kept of a source between passes.
#[derive(Debug, Default)]
pub struct Memory {
    pub(super) target: Option<Target>,
    pub(super) parts: BTreeMap<Part, LastFetch>,
    pub(super) held: BTreeMap<Use, Held>,
    pub(super) denied: Option<Denial>,
    pub(super) round: Option<Round>,
    pub(super) handled: Option<Box<str>>,
}

/// Indexes that are read one after another, since they were due together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Round {
    /// When it began: the interval counts from here, so that what was due together stays together.
    pub started: Timestamp,
    /// What is still to be read.
    pub rest: Vec<Part>,
    /// How many were read.
    pub read: u64,
    /// Reads them whether or not they changed.
    pub unconditional: bool,
}

/// A fetch, and what is known of its index.
#[derive(Clone, Debug, PartialEq)]
pub struct LastFetch {
    /// When its round began.
    pub round: Timestamp,
    /// When it ended.
    pub at: Timestamp,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// Failures in a row.
    pub failures: u32,
    /// What the last good answer said.
    pub contents: Option<Contents>,
}

/// Why a fetch brought no list.
#[derive(Clone, Debug, PartialEq)]
pub enum Failure {
    /// The repository did not show it.
    Fetch(FetchError),
    /// It was shown, signed, and is not to be believed at this time.
    Distrust(Distrust),
}

/// A good answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Contents {
    /// What it said of its own version.
    pub validators: Validators,
    /// Versions with their packages, the oldest first.
    pub versions: Arc<[PackagedVersion]>,
    /// Why there are none, if there are none.
    pub nothing: Option<Box<str>>,
    /// What was verified.
    pub release: Option<Release>,
}

/// What a named object held when it was read last.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// When the round began for which it was read.
    pub round: Timestamp,
    /// What it held.
    pub value: Result<Value, Denied>,
}

/// A round that ended since an object could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denial {
    /// When.
    pub at: Timestamp,
    /// How often in a row.
    pub failures: u32,
}

impl Memory {
    /// Takes the answer to a step in.
    pub(super) fn learn(&mut self, step: &Step, answer: Answer, now: Timestamp) {
        let (target, request, round) = match step {
            Step::Fetch(Fetch { target, request, round, .. }) => (target, request, round),
            Step::Read(Read { target, request, round, .. }) => (target, request, round),
        };
        if self.target.as_ref() != Some(target) {
            let handled = self.handled.take();
            *self = Self { target: Some(target.clone()), handled, ..Self::default() };
        }
        if request.is_some() {
            self.handled.clone_from(request);
        }
        self.round = Some(round.clone());
        match (step, answer) {
            (Step::Read(read), Answer::Held(value)) => self.read(read, value, now),
            (Step::Fetch(fetch), Answer::Fetched(outcome)) => self.fetched(fetch, outcome, now),
            // A step has answers of its own kind only.
            (Step::Read(_), Answer::Fetched(_)) | (Step::Fetch(_), Answer::Held(_)) => {}
        }
    }

    fn read(&mut self, read: &Read, value: Result<Value, Denied>, now: Timestamp) {
        if value.is_err() {
            let failures = self.denied.map_or(0, |denied| denied.failures).saturating_add(1);
            self.denied = Some(Denial { at: now, failures });
            // Nothing is asked without what it takes.
            if let Some(round) = &mut self.round {
                round.rest.clear();
            }
        }
        let held = Held { round: read.round.started, value };
        let before = self.held.insert(read.of, held);
        let changed =
            before.is_some_and(|before| self.held.get(&read.of).is_some_and(|it| it.value != before.value));
        if changed && read.of == Use::PublicKey {
            // What another key has vouched for is to be verified by this one, whether or not it changed.
            for contents in self.parts.values_mut().filter_map(|last| last.contents.as_mut()) {
                contents.validators = Validators::default();
            }
        }
        if self.held.values().all(|held| held.value.is_ok()) {
            self.denied = None;
        }
    }

    fn fetched(&mut self, fetch: &Fetch, outcome: Result<Fetched, FetchError>, now: Timestamp) {
        self.denied = None;
        let before = self.parts.remove(&fetch.part);
        let (failures, known) = before.map_or((0, None), |last| (last.failures, last.contents));
        let (failure, contents) = match outcome {
            Ok(Fetched::NotModified) => (None, known),
            Ok(Fetched::Fresh { release: None, .. }) if fetch.trust.is_some() => {
                let reason = "nothing was verified";
                (Some(Failure::Fetch(FetchError::SignatureMissing { reason })), known)
            }
            Ok(Fetched::Fresh { index, validators, release }) => {
                let distrust = release.as_ref().and_then(|release| {
                    trust::rolled_back(release, fetch.seen).or_else(|| trust::expired(release, now))
                });
                if let Some(distrust) = distrust {
                    (Some(Failure::Distrust(distrust)), known)
                } else {
                    let (architecture, minor) = (&fetch.target.architecture, fetch.part.0);
                    (None, Some(Contents::of(index, validators, release, architecture, minor)))
                }
            }
            Err(error) => (Some(Failure::Fetch(error)), known),
        };
        let failures = if failure.is_some() { failures.saturating_add(1) } else { 0 };
        let last = LastFetch { round: fetch.round.started, at: now, failure, failures, contents };
        self.parts.insert(fetch.part, last);
    }
}

impl Contents {
    /// Of the index of a minor, only the versions of that minor count.
    fn of(
        index: Index,
        validators: Validators,
        release: Option<Release>,
        architecture: &str,
        minor: Option<Minor>,
    ) -> Self {
        let nothing = index.versions.is_empty().then(|| absence(&index, architecture).into());
        let of_minor = |one: &PackagedVersion| minor.is_none_or(|minor| Minor::from(&one.version) == minor);
        let versions: Arc<[PackagedVersion]> = index.versions.into_iter().filter(of_minor).collect();
        let others = || "the package index has kubeadm, but of other minors only".into();
        let nothing = nothing.or_else(|| versions.is_empty().then(others));
        Self { validators, versions, nothing, release }
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
