//! `DebianRepositorySource`: the versions of Kubernetes in a package repository.
//!
//! *Reads* a package index over HTTP, at once when a source appears, changes or is asked to, and then once per interval
//! and only if it changed. *Writes* its own status and nothing else. No failure takes a version away: the last good list
//! stays, also over a restart, and the failure is the reason of `Ready=False`.

mod apply;
mod decide;
mod observe;
mod status;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use api::upgrader::debian_repository_source::{KIND, Reason, SourceRow};
use domain::object::Kind;
use domain::verdict::Verdict;
use futures::future::BoxFuture;
use jiff::Timestamp;
use runtime::answer::Refusal;
use runtime::engine::Registrar;
use runtime::request::Shell;
use runtime::room::{Applied, Recall, Report, Room};
use runtime::rules::Rule;
use runtime::store::Snapshot;
use sources::{FetchError, Fetched, Repository};

pub use self::apply::{Fetch, Step};
pub use self::decide::Policy;
pub use self::observe::{Contents, LastFetch, Memory, Observed, Target};

/// The controller of package repositories.
pub struct SourceRoom {
    /// Where package indexes are read.
    pub repository: Arc<dyn Repository>,
    /// How often they are read.
    pub policy: Policy,
}

impl SourceRoom {
    /// With the usual intervals.
    pub fn new(repository: Arc<dyn Repository>) -> Self {
        Self { repository, policy: Policy::default() }
    }
}

impl fmt::Debug for SourceRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceRoom").field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl Room for SourceRoom {
    const NAME: &'static str = "debianrepositorysource";
    const MANAGER: &'static str = "kubernetes-upgrader-debianrepositorysource";
    const KIND: Kind = KIND;
    const RULES: &'static [Rule] = &[
        Rule::new(KIND.group, "debianrepositorysources", &["list", "watch"]),
        Rule::new(KIND.group, "debianrepositorysources/status", &["patch"]),
        runtime::EVENTS_RULE,
    ];
    type Row = SourceRow;
    type Observed = Observed;
    type Step = Step;
    type Answer = Result<Fetched, FetchError>;
    type Memory = Memory;
    type Shared = ();
    type Reason = Reason;

    fn watches(_: &mut Registrar<'_>) {}

    fn observe(&self, _: Snapshot<'_>, row: &SourceRow, recall: Recall<'_, Self>, _: Timestamp) -> Observed {
        observe::observe(row, recall.memory)
    }

    fn decide(&self, observed: &Observed, now: Timestamp) -> Verdict<Step, Reason> {
        decide::decide(observed, now, &self.policy)
    }

    fn report(&self, observed: &Observed, verdict: &Verdict<Step, Reason>, now: Timestamp) -> Report {
        status::report(observed, verdict, now)
    }

    fn apply(&self, _: Shell, step: Step) -> BoxFuture<'static, Result<Applied<Self::Answer>, Refusal>> {
        Box::pin(apply::apply(Arc::clone(&self.repository), step))
    }

    /// A step of this room asks no API server, so the only refusal is that of its deadline.
    fn learn(
        &self,
        recall: Recall<'_, Self>,
        step: &Step,
        outcome: Result<Self::Answer, &Refusal>,
        now: Timestamp,
    ) -> bool {
        let Step::Fetch(fetch) = step;
        recall.memory.learn(fetch, outcome.unwrap_or(Err(FetchError::Timeout)), now);
        true
    }
}
