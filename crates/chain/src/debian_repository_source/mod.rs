//! `DebianRepositorySource`: the versions of Kubernetes in a package repository.
//!
//! *Reads* package indexes over HTTP, at once when a source appears, changes or is asked to, and then once per interval
//! and only if they changed: one index, or with `{minor}` in the URL that of each minor and of the one above them. Where
//! the spec says so, reads the Secrets and ConfigMaps that it names, and believes an index only if the repository has
//! signed it. *Writes* its own status and nothing else. No failure takes a version away: the last good list stays, also
//! over a restart, and the failure is the reason of `Ready=False`.

mod access;
mod apply;
mod decide;
mod listed;
mod memory;
mod observe;
mod schedule;
mod status;
mod target;
#[cfg(test)]
mod tests;
mod trust;

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
use sources::{FetchError, Repository};

pub use self::access::{CONFIG_MAP, Denied, READER_ROLE, SECRET, Value};
pub use self::apply::{Answer, Fetch, Read, Step};
pub use self::decide::Policy;
pub use self::memory::{Contents, Denial, Failure, Held, LastFetch, Memory, Round};
pub use self::observe::Observed;
pub use self::target::{MOST_MINORS, Part, Parts, Reference, Target, Use};
pub use self::trust::Distrust;

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
    const OPT_IN_RULES: &'static [Rule] =
        &[Rule::new("", "configmaps", &["get"]), Rule::new("", "secrets", &["get"])];
    // Every minor once, with the objects that are read before, and again where one fails.
    const ROUNDS: u32 = 64;
    type Row = SourceRow;
    type Observed = Observed;
    type Step = Step;
    type Answer = Answer;
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

    fn apply(&self, shell: Shell, step: Step) -> BoxFuture<'static, Result<Applied<Self::Answer>, Refusal>> {
        Box::pin(apply::apply(Arc::clone(&self.repository), shell, step))
    }

    /// A fetch asks no API server, so its only refusal is that of its deadline. What refuses the read of an object, beside
    /// that it is missing or forbidden, is the engine's to tell.
    fn learn(
        &self,
        recall: Recall<'_, Self>,
        step: &Step,
        outcome: Result<Self::Answer, &Refusal>,
        now: Timestamp,
    ) -> bool {
        let answer = match (outcome, step) {
            (Ok(answer), _) => answer,
            (Err(_), Step::Fetch(_)) => Answer::Fetched(Err(FetchError::Timeout)),
            (Err(_), Step::Read(_)) => return false,
        };
        recall.memory.learn(step, answer, now);
        true
    }
}
