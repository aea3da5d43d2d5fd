//! `ClusterClassClusterUpgrader`: moves one Cluster of Cluster API to the result of a plan, one minor after another.
//!
//! *Reads* the Plan with its MachineImages, the Cluster and its ClusterClass, and the other upgraders; live, the
//! MachineImage before a write, and control plane and MachinePools where the Cluster does not tell how far they are.
//! *Writes* version and image variable of the Cluster in one conditional JSON Patch, a note on itself of what it has set,
//! and its own status.
//!
//! A Cluster is moved only when every one of [`conditions()`] has passed, and else waits for the first that has not. The
//! write says what it expects to replace: refused, it has changed nothing, and the refusal is the reason. A downgrade is
//! never asked for, nor more than one minor at a time.
//!
//! One upgrader drives a Cluster. What spans Clusters (how many roll, whether an image is suspect) is in `admit` and `fleet`.

mod admit;
mod apply;
mod conditions;
mod convergence;
mod decide;
mod events;
mod facts;
mod fleet;
mod gates;
mod hop;
mod memory;
mod observe;
mod owner;
mod patch;
mod preflight;
mod refusal;
mod status;
#[cfg(test)]
mod tests;
mod variable;
mod wakes;

use std::time::Duration;

use api::capi;
use api::capi::cluster::{self, ClusterRow};
use api::capi::cluster_class::{self, ClusterClassRow};
use api::upgrader::cluster_upgrader::{KIND, Reason, UpgraderRow};
use api::upgrader::machine_image::{self, MachineImageRow};
use api::upgrader::plan::{self, PlanRow};
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

pub use self::admit::{Admission, Full};
pub use self::apply::{Answer, Step};
pub use self::conditions::{Condition, Outcome, conditions};
pub use self::convergence::Lacking;
pub use self::fleet::Fleet;
pub use self::memory::{Clocks, Live, Memory, Origin, Read, Unmoved};
pub use self::observe::Observed;
pub use self::preflight::{Preflight, Write, preflight};
pub use self::refusal::{Attempt, Refused};

/// What the person who runs the manager decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How long no machine may have moved before an upgrade counts as stalled.
    pub stall_after: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self { stall_after: Duration::from_secs(60 * 60) }
    }
}

/// The controller of upgraders.
#[derive(Debug, Default)]
pub struct UpgraderRoom {
    /// What the person who runs the manager decides.
    pub policy: Policy,
}

impl Room for UpgraderRoom {
    const NAME: &'static str = "clusterclassclusterupgrader";
    const MANAGER: &'static str = "kubernetes-upgrader-clusterclassclusterupgrader";
    const KIND: Kind = KIND;
    const RULES: &'static [Rule] = &[
        Rule::new(KIND.group, "clusterclassclusterupgraders", &["list", "watch", "patch"]),
        Rule::new(KIND.group, "clusterclassclusterupgraders/status", &["patch"]),
        Rule::new(KIND.group, "plans", &["list", "watch"]),
        Rule::new(KIND.group, "machineimages", &["get", "list", "watch"]),
        Rule::new(capi::GROUP, "clusters", &["list", "watch", "patch"]),
        Rule::new(capi::GROUP, "clusterclasses", &["list", "watch"]),
        Rule::new(capi::GROUP, "machinepools", &["list"]),
        // Of any provider: each has kinds of its own in this group.
        Rule::new("controlplane.cluster.x-k8s.io", "*", &["get"]),
        runtime::EVENTS_RULE,
    ];
    type Row = UpgraderRow;
    type Observed = Observed;
    type Step = Step;
    type Answer = Answer;
    type Memory = Memory;
    type Shared = Fleet;
    type Reason = Reason;

    fn watches(registrar: &mut Registrar<'_>) {
        registrar.watch::<UpgraderRow>(KIND, wakes::of_upgrader);
        registrar.watch::<PlanRow>(plan::KIND, wakes::of_plan);
        registrar.watch::<MachineImageRow>(machine_image::KIND, wakes::of_image);
        registrar.watch_optional::<ClusterRow>(cluster::KIND, wakes::of_cluster);
        registrar.watch_optional::<ClusterClassRow>(cluster_class::KIND, wakes::of_class);
    }

    fn observe(
        &self,
        snapshot: Snapshot<'_>,
        row: &UpgraderRow,
        recall: Recall<'_, Self>,
        now: Timestamp,
    ) -> Observed {
        observe::observe(snapshot, row, None, (recall.memory, recall.shared), now)
    }

    fn decide(&self, observed: &Observed, now: Timestamp) -> Verdict<Step, Reason> {
        decide::decide(observed, now, self.policy)
    }

    fn report(&self, observed: &Observed, verdict: &Verdict<Step, Reason>, now: Timestamp) -> Report {
        status::report(observed, verdict, now)
    }

    fn reserve(&self, shared: &mut Fleet, observed: &Observed, step: &Step) {
        if let (Step::PatchCluster { cluster, attempt, .. }, Some(plan)) = (step, &observed.plan)
            && plan.max_concurrent.is_some()
        {
            shared.reserve(cluster, &plan.meta.key.name, attempt.resource_version);
        }
    }

    fn apply(&self, shell: Shell, step: Step) -> BoxFuture<'static, Result<Applied<Answer>, Refusal>> {
        Box::pin(apply::apply(shell, step))
    }

    fn learn(
        &self,
        recall: Recall<'_, Self>,
        step: &Step,
        outcome: Result<Answer, &Refusal>,
        now: Timestamp,
    ) -> bool {
        recall.memory.learn(recall.shared, step, outcome, now)
    }
}
