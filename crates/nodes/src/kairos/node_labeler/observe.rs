//! What a node's pass sees: the node, its Job, how many others are looked at, and for one of them all the DaemonSet.

use api::kairos::labeler::{LabelerDaemonSetRow, LabelerJobRow, NAME};
use api::kairos::node_job::Progress;
use api::nodes::node::NodeRow;
use domain::object::ObjectKey;
use runtime::store::{Availability, Snapshot, Table};
use serde_json::Value;

use super::decide;
use super::manifest::{Labeler, holds, job_name};
use super::memory::{Memory, Shared};

/// Everything that a decision about a node rests on.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// The node.
    pub node: NodeRow,
    /// The server refuses to show Jobs: its words.
    pub hidden: Option<Box<str>>,
    /// The Job of the node's name.
    pub job: Option<LabelerJobRow>,
    /// That Job was deleted, and the watch has not shown it yet.
    pub deleted: bool,
    /// The how manyth Job would be made, from 1.
    pub attempt: u32,
    /// The Job that would be made, where there is none and the node is unknown.
    pub body: Option<Value>,
    /// Jobs of other nodes that run, or are being made. Those of the original do not count: they have no deadline, and one on a
    /// node that is down would hold its place for ever.
    pub others: usize,
    /// The DaemonSet, where this is the node whose passes see to it.
    pub daemon_set: Option<DaemonSet>,
}

/// How the DaemonSet is.
#[derive(Clone, Debug, PartialEq)]
pub enum DaemonSet {
    /// As it should be, on its way to being deleted, or not to be seen.
    Settled,
    /// There is none.
    Missing(Value),
    /// There is one of its name, with this uid where it is known, and its pods are to be made of this template.
    Drifted(ObjectKey, Option<Box<str>>, Value),
}

pub(super) fn observe(
    snapshot: Snapshot<'_>,
    node: &NodeRow,
    labeler: &Labeler,
    memory: &mut Memory,
    shared: &mut Shared,
) -> Observed {
    // No request of this node is under way.
    shared.starting.remove(&node.meta.key.name);
    let hidden = match snapshot.table::<LabelerJobRow>().map(Table::availability) {
        Some(Availability::Forbidden(words)) => Some(words.clone()),
        _ => None,
    };
    let key = ObjectKey::new(&*labeler.namespace, job_name(&node.meta.key.name));
    let job = snapshot.get::<LabelerJobRow>(&key);
    let deleted = job.is_some_and(|job| memory.deleted.as_ref() == Some(&job.meta.uid));
    let attempt =
        memory.attempt.as_ref().filter(|(uid, _)| *uid == node.meta.uid).map_or(1, |(_, attempt)| *attempt);
    let running = |job: &&LabelerJobRow| {
        job.progress == Progress::Running && job.node_uid.is_some() && job.meta.key != key
    };
    let wanted = job.is_none() && decide::is_unknown(node);
    let first = first_node(snapshot).is_some_and(|first| first.meta.key == node.meta.key);
    Observed {
        node: node.clone(),
        hidden,
        job: job.cloned(),
        deleted,
        attempt,
        body: wanted.then(|| labeler.job(&node.meta, attempt)),
        others: snapshot.in_namespace::<LabelerJobRow>(&labeler.namespace).filter(running).count()
            + shared.starting.len(),
        daemon_set: first.then(|| daemon_set(snapshot, labeler, shared)),
    }
}

/// The node whose passes see to the DaemonSet: one of them must.
pub(super) fn first_node(snapshot: Snapshot<'_>) -> Option<&NodeRow> {
    snapshot.table::<NodeRow>()?.iter().next()
}

fn daemon_set(snapshot: Snapshot<'_>, labeler: &Labeler, shared: &Shared) -> DaemonSet {
    let Some(table) = snapshot.table::<LabelerDaemonSetRow>().filter(|table| table.is_synced()) else {
        return DaemonSet::Settled;
    };
    let key = ObjectKey::new(&*labeler.namespace, NAME);
    let template = labeler.template();
    match table.get(&key) {
        None if shared.unlabelled => DaemonSet::Drifted(key, None, template),
        None => DaemonSet::Missing(labeler.daemon_set()),
        Some(row) if row.meta.deleting || row.malformed.is_some() || holds(&template, &row.template) => {
            DaemonSet::Settled
        }
        Some(row) => DaemonSet::Drifted(key, Some(row.meta.uid.clone()), template),
    }
}
