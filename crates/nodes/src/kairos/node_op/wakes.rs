//! Which NodeOps a change concerns.

use api::kairos::node_job::NodeJobRow;
use api::kairos::node_op::NodeOpRow;
use api::kairos::operation_pod::{OperationPodRow, Role};
use api::nodes::node::NodeRow;
use domain::object::{ObjectKey, ResourceVersion, Row};
use runtime::store::{Snapshot, Table};

/// Another NodeOp: those that have not ended may wait for a node of it.
pub(super) fn of_others(
    snapshot: Snapshot<'_>,
    key: &ObjectKey,
    before: Option<&NodeOpRow>,
    after: Option<&NodeOpRow>,
) -> Vec<ObjectKey> {
    let at_work = |op: Option<&NodeOpRow>| op.map(|op| op.status.node_records.len()).unwrap_or_default();
    if before.is_some() && after.is_some() && at_work(after) >= at_work(before) {
        return Vec::new();
    }
    let others = snapshot.table::<NodeOpRow>().into_iter().flat_map(Table::iter);
    others
        .filter(|op| op.meta.key != *key && op.status.finished_at.is_none())
        .map(|op| op.meta.key.clone())
        .collect()
}

/// A Node: those that select it or are on it; one of the control plane concerns all that have not ended, which may wait until it
/// is Ready or gone. Most writes of a Node are heartbeats, and concern nobody.
pub(super) fn of_node(
    snapshot: Snapshot<'_>,
    key: &ObjectKey,
    before: Option<&NodeRow>,
    after: Option<&NodeRow>,
) -> Vec<ObjectKey> {
    // Of labels and annotations those that count stand in fields of their own.
    if is_same(before, after, |node| {
        (node.meta.resource_version, node.meta.digest) = (ResourceVersion::default(), 0);
    }) {
        return Vec::new();
    }
    let selects = |op: &NodeOpRow, node: Option<&NodeRow>| {
        node.is_some_and(|node| op.selector.as_ref().is_ok_and(|of| of.matches(&node.labels)))
    };
    let control_plane = [before, after].into_iter().flatten().any(NodeRow::is_control_plane);
    let concerns = |op: &&NodeOpRow| {
        let status = &op.status;
        let on = status.node_records.contains_key(&*key.name);
        let over = status.finished_at.is_some() && !op.meta.deleting;
        on || (!over
            && (control_plane
                || status.node_statuses.contains_key(&*key.name)
                || selects(op, before)
                || selects(op, after)))
            || [before, after]
                .iter()
                .flatten()
                .any(|node| node.cordon_owner().is_some_and(|owner| owner.uid == op.meta.uid))
    };
    let ops = snapshot.table::<NodeOpRow>().into_iter().flat_map(Table::iter);
    ops.filter(concerns).map(|op| op.meta.key.clone()).collect()
}

/// Whether two rows differ in nothing but when they were written, and in what `plain` takes out of them.
fn is_same<R: Row>(before: Option<&R>, after: Option<&R>, plain: fn(&mut R)) -> bool {
    let (Some(before), Some(after)) = (before, after) else { return false };
    let [before, after] = [before, after].map(|row| {
        let mut row = row.clone();
        plain(&mut row);
        row
    });
    before == after
}

/// Whether a pod of a command has become something that is looked at: it has begun, ended, or is stuck.
fn tells_nothing(before: Option<&OperationPodRow>, after: Option<&OperationPodRow>) -> bool {
    let told = |pod: &OperationPodRow| {
        (pod.started.is_some(), pod.is_finished(), pod.waits_for.clone(), pod.terminated.clone())
    };
    match (before.map(told), after.map(told)) {
        (Some(before), Some(after)) => before == after,
        // It is gone, and its Job tells what that means; or it has just been made.
        (_, None) => true,
        (None, Some((started, finished, waits, _))) => !started && !finished && waits.is_none(),
    }
}

/// A Job: the NodeOp that owns it.
pub(super) fn of_job(
    snapshot: Snapshot<'_>,
    key: &ObjectKey,
    before: Option<&NodeJobRow>,
    after: Option<&NodeJobRow>,
) -> Vec<ObjectKey> {
    if is_same(before, after, |job| job.meta.resource_version = ResourceVersion::default()) {
        return Vec::new();
    }
    let owners = [before, after].into_iter().flatten().filter_map(|job| job.owner_uid.as_deref());
    owned(snapshot, key, owners)
}

/// A pod: the NodeOp that owns it, or the Job whose it is.
pub(super) fn of_pod(
    snapshot: Snapshot<'_>,
    key: &ObjectKey,
    before: Option<&OperationPodRow>,
    after: Option<&OperationPodRow>,
) -> Vec<ObjectKey> {
    if is_same(before, after, |pod| pod.meta.resource_version = ResourceVersion::default()) {
        return Vec::new();
    }
    let commands = [before, after].into_iter().flatten().all(|pod| pod.role == Role::Command);
    if commands && tells_nothing(before, after) {
        return Vec::new();
    }
    let rows = [before, after].into_iter().flatten();
    let mut owners: Vec<&str> = Vec::new();
    for pod in rows {
        let Some(uid) = pod.owner_uid.as_deref() else { continue };
        if pod.role == Role::Command {
            let job = pod.owner_name.as_deref().map(|name| key.sibling(name));
            let job = job.and_then(|job| snapshot.get::<NodeJobRow>(&job));
            owners.extend(job.filter(|job| *job.meta.uid == *uid).and_then(|job| job.owner_uid.as_deref()));
        } else {
            owners.push(uid);
        }
    }
    owned(snapshot, key, owners.into_iter())
}

/// The NodeOps of a namespace with these uids.
fn owned<'a>(
    snapshot: Snapshot<'_>,
    key: &ObjectKey,
    owners: impl Iterator<Item = &'a str>,
) -> Vec<ObjectKey> {
    let owners: Vec<&str> = owners.collect();
    let ops = snapshot.in_namespace::<NodeOpRow>(&key.namespace);
    ops.filter(|op| owners.contains(&&*op.meta().uid)).map(|op| op.meta.key.clone()).collect()
}
