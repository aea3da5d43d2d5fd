//! `NodeOp`: runs a command once on every node that is selected, with preflight, cordon, drain and reboot around it.
//!
//! *Reads* Nodes, the Jobs and pods that it made (found by label, told apart by owner), all NodeOps (two are never at work on
//! one node); live, the pods of a node and their budgets before each eviction, and the Node after its Job. *Writes* its
//! status, its finalizer, Jobs, preflight and reboot pods, what gives these their rights, evictions, and of Nodes
//! `spec.unschedulable` with the annotation that says whose the cordon is.
//!
//! What is done on a node, and when, is the engine's ([`crate::machine`], [`crate::admit`], [`crate::drain`]). Here its facts
//! come from objects and from `status.nodeRecords`, and its actions become requests. What it wants written down of all nodes
//! is one write, before anything else is done; approvals, ends and entries travel together.
//!
//! What another controller has begun is taken over: kairos-operator leaves entries, Jobs and pods in the shapes that
//! `record::adopted` and [`Objects`] know. Its reboot pods act by themselves and are awaited; one whose Job is
//! not there would wait for ever, and is deleted.
//!
//! An operation has ended when nothing is left to do on every node that is selected; then `status.finishedAt` keeps it
//! from starting on nodes that come later.

mod apply;
mod decide;
mod entry;
mod evictions;
mod manifest;
mod memory;
mod objects;
mod observe;
mod plan;
mod policy;
mod record;
mod status;
#[cfg(test)]
mod tests;
mod wakes;
mod words;

use std::time::Duration;

use api::kairos::NODE_OP_LABEL;
use api::kairos::node_job::{self, NodeJobRow};
use api::kairos::node_op::{KIND, NodeOpRow, Reason};
use api::kairos::operation_pod::{self, OperationPodRow};
use api::nodes::node::{self, NodeRow};
use domain::object::Kind;
use domain::verdict::Verdict;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use jiff::Timestamp;
use runtime::answer::Refusal;
use runtime::engine::Registrar;
use runtime::request::Shell;
use runtime::room::{Applied, Recall, Report, Room};
use runtime::rules::Rule;
use runtime::store::Snapshot;

use super::Settings;

pub use self::apply::{Answer, Step};
pub use self::evictions::{Evictions, Look};
pub use self::manifest::Made;
pub use self::memory::{Admitted, Binding, Memory, OfNode, Places, Trouble};
pub use self::objects::{JobSeen, Objects};
pub use self::observe::{Observed, Seen};

/// The controller of NodeOps.
#[derive(Clone, Debug)]
pub struct NodeOpRoom {
    settings: Settings,
}

impl NodeOpRoom {
    /// The controller, in an environment.
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }
}

impl Room for NodeOpRoom {
    const NAME: &'static str = "nodeop";
    const MANAGER: &'static str = "kubernetes-upgrader-nodeop";
    const KIND: Kind = KIND;
    const RULES: &'static [Rule] = &[
        Rule::new(KIND.group, "nodeops", &["list", "watch", "patch"]),
        Rule::new(KIND.group, "nodeops/status", &["patch"]),
        // For no request of ours: objects that block the deletion of their owner may only be created by who has this, where
        // the admission plugin OwnerReferencesPermissionEnforcement is on.
        Rule::new(KIND.group, "nodeops/finalizers", &["update"]),
        Rule::new("", "nodes", &["get", "list", "watch", "patch"]),
        // Reboot pods are told by an annotation; `get` is theirs, and nobody may grant what he has not.
        Rule::new("", "pods", &["get", "list", "watch", "create", "patch", "delete"]),
        Rule::new("", "pods/eviction", &["create"]),
        Rule::new("batch", "jobs", &["get", "list", "watch", "create", "delete"]),
        Rule::new("policy", "poddisruptionbudgets", &["list"]),
        Rule::new("", "serviceaccounts", &["create"]),
        Rule::new("rbac.authorization.k8s.io", "roles", &["create"]),
        Rule::new("rbac.authorization.k8s.io", "rolebindings", &["create"]),
        // What the original left for its reboot pods.
        Rule::new("rbac.authorization.k8s.io", "clusterrolebindings", &["get", "delete"]),
        runtime::EVENTS_RULE,
    ];
    /// Passes go over many nodes; a step that is repeated is paced by itself.
    const ROUNDS: u32 = 20_000;
    /// Jobs that began together end together, within the pace of the Job controller: what is written of them is one write.
    const GATHER: Duration = Duration::from_millis(50);
    type Row = NodeOpRow;
    type Observed = Observed;
    type Step = Step;
    type Answer = Answer;
    type Memory = Memory;
    type Shared = Places;
    type Reason = Reason;

    fn watches(registrar: &mut Registrar<'_>) {
        registrar.watch::<NodeOpRow>(KIND, wakes::of_others);
        registrar.watch::<NodeRow>(node::KIND, wakes::of_node);
        registrar.watch_labelled::<NodeJobRow>(node_job::KIND, NODE_OP_LABEL, wakes::of_job);
        registrar.watch_labelled::<OperationPodRow>(operation_pod::KIND, NODE_OP_LABEL, wakes::of_pod);
    }

    fn observe(
        &self,
        snapshot: Snapshot<'_>,
        row: &NodeOpRow,
        recall: Recall<'_, Self>,
        now: Timestamp,
    ) -> Observed {
        observe::observe(snapshot, row, &self.settings, recall, now)
    }

    fn decide(&self, observed: &Observed, now: Timestamp) -> Verdict<Step, Reason> {
        decide::decide(observed, now)
    }

    fn report(&self, observed: &Observed, verdict: &Verdict<Step, Reason>, now: Timestamp) -> Report {
        status::report(observed, verdict, now)
    }

    fn reserve(&self, shared: &mut Places, _: &Observed, step: &Step) {
        if let Step::Write { op, approved, at, .. } = step {
            shared.reserve(&op.key, approved, *at);
        }
    }

    fn apply(&self, shell: Shell, step: Step) -> BoxFuture<'static, Result<Applied<Answer>, Refusal>> {
        apply::apply(shell, step).boxed()
    }

    fn learn(
        &self,
        recall: Recall<'_, Self>,
        step: &Step,
        outcome: Result<Answer, &Refusal>,
        now: Timestamp,
    ) -> bool {
        memory::learn(recall, step, outcome, now)
    }
}
