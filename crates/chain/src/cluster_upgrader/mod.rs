//! `ClusterClassClusterUpgrader`: moves one Cluster of Cluster API to the result of a plan.
//!
//! *Reads* the Plan, the Cluster and its ClusterClass; live, the MachineImage before a write, and control plane and
//! MachinePools where the Cluster does not tell how far they are. *Writes* version and image variable of the Cluster in one
//! conditional JSON Patch, and its own status.
//!
//! A Cluster is moved only when nothing speaks against it: it is topology-managed, provisioned and neither paused, deleting
//! nor on its way to another version; its class is reconciled and allows the version; the step is a patch or one minor; the
//! image is there for exactly that version; and the variable exists or can be defined, is a string, and no group overrides
//! it. The write says what it expects to replace: refused, it has changed nothing, and the refusal is the reason. A
//! downgrade is never asked for.

mod admit;
mod apply;
mod convergence;
mod decide;
mod events;
mod gates;
mod hop;
mod memory;
mod observe;
mod patch;
mod refusal;
mod status;
#[cfg(test)]
mod tests;

use std::time::Duration;

use api::capi;
use api::capi::cluster::{self, ClusterRow};
use api::capi::cluster_class::{self, ClusterClassRow};
use api::upgrader::cluster_upgrader::{CLUSTER_INDEX, KIND, PLAN_INDEX, Reason, UpgraderRow};
use api::upgrader::plan::{self, PlanRow};
use domain::object::{Kind, ObjectKey, Row as _};
use domain::verdict::Verdict;
use futures::future::BoxFuture;
use jiff::Timestamp;
use runtime::answer::Refusal;
use runtime::engine::Registrar;
use runtime::request::Shell;
use runtime::room::{Applied, Recall, Report, Room};
use runtime::rules::Rule;
use runtime::store::Snapshot;

pub use self::admit::Fleet;
pub use self::apply::{Answer, Step};
pub use self::convergence::Lacking;
pub use self::memory::{Clocks, Live, Memory, Origin, Read, Unmoved};
pub use self::observe::Observed;
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
        Rule::new(KIND.group, "clusterclassclusterupgraders", &["list", "watch"]),
        Rule::new(KIND.group, "clusterclassclusterupgraders/status", &["patch"]),
        Rule::new(KIND.group, "plans", &["list", "watch"]),
        Rule::new(KIND.group, "machineimages", &["get"]),
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
        registrar.watch::<PlanRow>(plan::KIND, upgraders_of_plan);
        registrar.watch_optional::<ClusterRow>(cluster::KIND, upgraders_of_cluster);
        registrar.watch_optional::<ClusterClassRow>(cluster_class::KIND, upgraders_of_class);
    }

    fn observe(
        &self,
        snapshot: Snapshot<'_>,
        row: &UpgraderRow,
        recall: Recall<'_, Self>,
        now: Timestamp,
    ) -> Observed {
        observe::observe(snapshot, row, recall.memory, now)
    }

    fn decide(&self, observed: &Observed, now: Timestamp) -> Verdict<Step, Reason> {
        decide::decide(observed, now, self.policy)
    }

    fn report(&self, observed: &Observed, verdict: &Verdict<Step, Reason>, now: Timestamp) -> Report {
        status::report(observed, verdict, now)
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
        recall.memory.learn(step, outcome, now)
    }
}

/// A plan concerns its upgraders when its result changes, or whether the result is of its present spec.
fn upgraders_of_plan(
    snapshot: Snapshot<'_>,
    plan: &ObjectKey,
    before: Option<&PlanRow>,
    after: Option<&PlanRow>,
) -> Vec<ObjectKey> {
    let counts = |row: &PlanRow| {
        let status = &row.status;
        let current = status.observed_generation == Some(row.meta.generation);
        (status.machine_image_details.clone(), status.machine_image_ref.clone(), current, row.meta.deleting)
    };
    if before.map(counts) == after.map(counts) {
        return Vec::new();
    }
    let upgraders = snapshot.referring::<UpgraderRow>(PLAN_INDEX, &plan.namespace, &plan.name);
    upgraders.map(|upgrader| upgrader.meta().key.clone()).collect()
}

/// Every change of a Cluster counts, even one of its resourceVersion only: a refused write is sent again after it.
fn upgraders_of_cluster(
    snapshot: Snapshot<'_>,
    cluster: &ObjectKey,
    _: Option<&ClusterRow>,
    _: Option<&ClusterRow>,
) -> Vec<ObjectKey> {
    let upgraders = snapshot.referring::<UpgraderRow>(CLUSTER_INDEX, &cluster.namespace, &cluster.name);
    upgraders.map(|upgrader| upgrader.meta().key.clone()).collect()
}

/// A class concerns the upgraders of its Clusters, which may be in other namespaces.
fn upgraders_of_class(
    snapshot: Snapshot<'_>,
    class: &ObjectKey,
    before: Option<&ClusterClassRow>,
    after: Option<&ClusterClassRow>,
) -> Vec<ObjectKey> {
    let counts = |row: &ClusterClassRow| {
        let mut row = row.clone();
        row.meta.resource_version = domain::object::ResourceVersion::default();
        row
    };
    if before.map(counts) == after.map(counts) {
        return Vec::new();
    }
    let here = snapshot.referring::<ClusterRow>(cluster::CLASS_INDEX, &class.namespace, &class.name);
    // Classes change seldom, and few Clusters have theirs elsewhere: not worth an index across namespaces.
    let every = snapshot.table::<ClusterRow>().into_iter().flat_map(runtime::store::Table::iter);
    let elsewhere = every.filter(|cluster| {
        let of = cluster.topology.as_ref().and_then(|topology| topology.class.as_ref());
        of.is_some_and(|of| of.name == class.name && of.namespace.as_ref() == Some(&class.namespace))
    });
    here.chain(elsewhere)
        .flat_map(|cluster| upgraders_of_cluster(snapshot, &cluster.meta().key, None, None))
        .collect()
}
