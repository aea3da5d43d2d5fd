//! Labels on the nodes that run Kairos: `kairos.io/managed` and what their release file says.
//!
//! *Reads* Nodes, its Jobs and its DaemonSet. *Writes* those two, and no Node: what runs in their pods is `manager label-node`
//! ([`labels`]), which writes its own Node and nothing else.
//!
//! A node of which nothing is known gets a Job, once it is ready, ten at a time: it labels the node if it runs Kairos, and ends.
//! A Job that has succeeded says that the node was looked at; deleting it has the node looked at again. One that has failed
//! is followed by another after a pause. A Job goes with its Node, and one that was made for an earlier Node of the same name
//! is replaced. A node that is labelled is the DaemonSet's, which looks every minute whether something has changed: after an
//! upgrade, say. A node with `kairos.io/managed: "false"` gets neither; to have it labelled again, the label is set to `"true"`.
//!
//! The DaemonSet is one for all: the passes of the first node, by name, see to it that it is there and as it should be.

mod apply;
mod decide;
pub mod labels;
mod manifest;
mod memory;
mod observe;
mod reason;
mod release;
mod status;
#[cfg(test)]
mod tests;

use api::kairos::labeler::{DAEMON_SET_KIND, JOB_KIND, LabelerDaemonSetRow, LabelerJobRow, SELECTOR};
use api::kairos::node_job::Progress;
use api::nodes::node::{KIND, NodeRow};
use domain::object::{Kind, ObjectKey};
use domain::verdict::Verdict;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use jiff::Timestamp;
use runtime::answer::Refusal;
use runtime::engine::Registrar;
use runtime::request::Shell;
use runtime::room::{Applied, Recall, Report, Room};
use runtime::rules::Rule;
use runtime::store::{Snapshot, Table};

pub use self::apply::Step;
pub use self::manifest::Labeler;
pub use self::memory::{Answer, Memory, Shared};
pub use self::observe::{DaemonSet, Observed};
pub use self::reason::Reason;
use super::Settings;

/// The controller that has nodes labelled.
#[derive(Clone, Debug)]
pub struct LabelerRoom(Labeler);

impl LabelerRoom {
    /// A room whose Jobs and DaemonSet are where the manager runs, and run the labeler's image.
    pub fn new(settings: Settings) -> Self {
        Self(Labeler { namespace: settings.namespace, image: settings.labeler_image })
    }
}

impl Room for LabelerRoom {
    const NAME: &'static str = "nodelabeler";
    const MANAGER: &'static str = "kubernetes-upgrader-nodelabeler";
    const KIND: Kind = KIND;
    const RULES: &'static [Rule] = &[
        Rule::new("", "nodes", &["list", "watch"]),
        Rule::new("batch", "jobs", &["list", "watch", "create", "delete"]),
        Rule::new("apps", "daemonsets", &["list", "watch", "create", "patch"]),
    ];
    type Row = NodeRow;
    type Observed = Observed;
    type Step = Step;
    type Answer = Answer;
    type Memory = Memory;
    type Shared = Shared;
    type Reason = Reason;

    fn watches(registrar: &mut Registrar<'_>) {
        registrar.watch::<NodeRow>(KIND, next_first);
        registrar.watch_labelled::<LabelerJobRow>(JOB_KIND, SELECTOR, nodes_of);
        registrar.watch_labelled::<LabelerDaemonSetRow>(DAEMON_SET_KIND, SELECTOR, first);
    }

    fn observe(
        &self,
        snapshot: Snapshot<'_>,
        row: &NodeRow,
        recall: Recall<'_, Self>,
        _: Timestamp,
    ) -> Observed {
        observe::observe(snapshot, row, &self.0, recall.memory, recall.shared)
    }

    fn decide(&self, observed: &Observed, now: Timestamp) -> Verdict<Step, Reason> {
        decide::decide(observed, now)
    }

    fn report(&self, _: &Observed, _: &Verdict<Step, Reason>, _: Timestamp) -> Report {
        status::report()
    }

    fn reserve(&self, shared: &mut Shared, observed: &Observed, step: &Step) {
        if matches!(step, Step::CreateJob { .. }) {
            shared.starting.insert(observed.node.meta.key.name.clone());
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
        _: Timestamp,
    ) -> bool {
        memory::learn(recall.memory, recall.shared, step, outcome)
    }
}

/// The node that is first after another was removed: it sees to the DaemonSet from then on.
fn next_first(
    snapshot: Snapshot<'_>,
    _: &ObjectKey,
    _: Option<&NodeRow>,
    after: Option<&NodeRow>,
) -> Vec<ObjectKey> {
    if after.is_some() { Vec::new() } else { first_key(snapshot) }
}

fn first(
    snapshot: Snapshot<'_>,
    _: &ObjectKey,
    _: Option<&LabelerDaemonSetRow>,
    _: Option<&LabelerDaemonSetRow>,
) -> Vec<ObjectKey> {
    first_key(snapshot)
}

fn first_key(snapshot: Snapshot<'_>) -> Vec<ObjectKey> {
    observe::first_node(snapshot).map(|node| node.meta.key.clone()).into_iter().collect()
}

/// The node of a Job, and where its place is free now, those that may have waited for one.
fn nodes_of(
    snapshot: Snapshot<'_>,
    key: &ObjectKey,
    before: Option<&LabelerJobRow>,
    after: Option<&LabelerJobRow>,
) -> Vec<ObjectKey> {
    let label = after.or(before).and_then(|job| job.node_label.as_deref());
    let named = label.and_then(|name| snapshot.get::<NodeRow>(&ObjectKey::new("", name)));
    let all = || snapshot.table::<NodeRow>().into_iter().flat_map(Table::iter);
    // A name that no label can be is told by the name of the Job.
    let named = named.or_else(|| all().find(|node| *manifest::job_name(&node.meta.key.name) == *key.name));
    let mut nodes: Vec<ObjectKey> = named.map(|node| node.meta.key.clone()).into_iter().collect();
    let runs = |job: Option<&LabelerJobRow>| job.is_some_and(|job| job.progress == Progress::Running);
    if runs(before) && !runs(after) {
        let without_job = |node: &&NodeRow| {
            let job = key.sibling(&manifest::job_name(&node.meta.key.name));
            decide::is_unknown(node) && snapshot.get::<LabelerJobRow>(&job).is_none()
        };
        let waiting = all().filter(|node| node.is_ready()).filter(without_job);
        nodes.extend(waiting.take(decide::PLACES).map(|node| node.meta.key.clone()));
    }
    nodes
}
