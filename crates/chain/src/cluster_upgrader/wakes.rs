//! Which upgraders a changed object concerns: none too few, and not all of them each time.

use api::capi::cluster::{self, ClusterRow};
use api::capi::cluster_class::ClusterClassRow;
use api::upgrader::cluster_upgrader::{CLUSTER_INDEX, PLAN_INDEX, Reason, UpgraderRow};
use api::upgrader::machine_image::MachineImageRow;
use api::upgrader::plan::PlanRow;
use domain::condition;
use domain::object::{ObjectKey, Row as _};
use domain::range::VersionRange;
use domain::version::KubernetesVersion;
use runtime::store::{Snapshot, Table};

use super::admit::rolling;
use super::hop::may_lead_to;
use crate::plan::chosen_by;

/// A plan concerns its upgraders when its result changes, whether that is of its present spec, why there is none, or how
/// many may roll.
pub(super) fn of_plan(
    snapshot: Snapshot<'_>,
    plan: &ObjectKey,
    before: Option<&PlanRow>,
    after: Option<&PlanRow>,
) -> Vec<ObjectKey> {
    let counts = |row: &PlanRow| {
        let status = &row.status;
        let current = status.observed_generation == Some(row.meta.generation);
        let result = (status.machine_image_details.clone(), status.machine_image_ref.clone());
        let said = condition::find(&status.conditions, condition::UP_TO_DATE);
        let why = said.filter(|_| result.0.is_none()).map(|said| (said.status, said.message.clone()));
        (result, why, current, row.meta.deleting, row.max_concurrent)
    };
    if before.map(counts) == after.map(counts) {
        return Vec::new();
    }
    let upgraders = snapshot.referring::<UpgraderRow>(PLAN_INDEX, &plan.namespace, &plan.name);
    upgraders.map(|upgrader| upgrader.meta().key.clone()).collect()
}

/// An image concerns the upgraders of the plans that pick it, or have picked it, of those whose Clusters may make it
/// their next hop. Looked up in what the Clusters are rather than in what the upgraders wait for, since an upgrader may
/// be about to wait.
pub(super) fn of_image(
    snapshot: Snapshot<'_>,
    image: &ObjectKey,
    before: Option<&MachineImageRow>,
    after: Option<&MachineImageRow>,
) -> Vec<ObjectKey> {
    if before.map(chosen_by) == after.map(chosen_by) {
        return Vec::new();
    }
    let with_id = [before, after].into_iter().flatten().filter(|row| row.id.is_some());
    let images: Vec<_> = with_id.filter_map(|row| Some((row, row.parsed.as_ref()?))).collect();
    if images.is_empty() {
        return Vec::new();
    }
    let mut woken = Vec::new();
    for plan in snapshot.in_namespace::<PlanRow>(&image.namespace) {
        let Ok(range) = plan.version_range.parse::<VersionRange>() else { continue };
        let picked = images
            .iter()
            .filter(|(row, version)| plan.selector.matches(&row.labels) && range.matches(version));
        let picked: Vec<&KubernetesVersion> = picked.map(|(_, version)| *version).collect();
        let result = plan.status.machine_image_details.as_ref();
        let Some(Ok(result)) = result.map(|result| KubernetesVersion::parse_strict(&result.version)) else {
            continue;
        };
        if picked.is_empty() {
            continue;
        }
        let upgraders = snapshot.referring::<UpgraderRow>(PLAN_INDEX, &image.namespace, &plan.meta.key.name);
        let concerned = upgraders.filter(|upgrader| {
            let cluster = snapshot.get::<ClusterRow>(&upgrader.meta.key.sibling(&upgrader.cluster_name));
            let topology = cluster.and_then(|cluster| cluster.topology.as_ref());
            let current = topology.map(|topology| KubernetesVersion::parse_lenient(&topology.version));
            let Some(Ok(current)) = current else { return false };
            picked.iter().any(|version| may_lead_to(&current, &result, version))
        });
        woken.extend(concerned.map(|upgrader| upgrader.meta().key.clone()));
    }
    woken
}

/// Every change of a Cluster counts, even one of its resourceVersion only: a refused write is sent again after it.
pub(super) fn of_cluster(
    snapshot: Snapshot<'_>,
    cluster: &ObjectKey,
    _: Option<&ClusterRow>,
    _: Option<&ClusterRow>,
) -> Vec<ObjectKey> {
    let upgraders = snapshot.referring::<UpgraderRow>(CLUSTER_INDEX, &cluster.namespace, &cluster.name);
    upgraders.map(|upgrader| upgrader.meta().key.clone()).collect()
}

/// A class concerns the upgraders of its Clusters, which may be in other namespaces.
pub(super) fn of_class(
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
    let every = snapshot.table::<ClusterRow>().into_iter().flat_map(Table::iter);
    let elsewhere = every.filter(|cluster| {
        let of = cluster.topology.as_ref().and_then(|topology| topology.class.as_ref());
        of.is_some_and(|of| *of.name == *class.name && of.namespace.as_deref() == Some(&*class.namespace))
    });
    here.chain(elsewhere).flat_map(|cluster| of_cluster(snapshot, &cluster.meta().key, None, None)).collect()
}

/// An upgrader concerns others of its Cluster when one comes or goes; those that wait for a place when one is free, or when
/// a Cluster has stalled or goes on, which may be the true reason why they wait; and those that wait for a suspect image when
/// the Cluster that makes it suspect is no longer stalled.
pub(super) fn of_upgrader(
    snapshot: Snapshot<'_>,
    key: &ObjectKey,
    before: Option<&UpgraderRow>,
    after: Option<&UpgraderRow>,
) -> Vec<ObjectKey> {
    let mut woken = Vec::new();
    let drives = |row: &UpgraderRow| (row.cluster_name.clone(), row.meta.deleting, row.meta.uid.clone());
    if before.map(drives) != after.map(drives) {
        for row in [before, after].into_iter().flatten() {
            let cluster = key.sibling(&row.cluster_name);
            woken.extend(of_cluster(snapshot, &cluster, None, None));
        }
    }
    if let Some(before) = before {
        let plan = before.plan.name.as_deref().unwrap_or_default();
        let same_plan = after.filter(|after| after.plan.name == before.plan.name);
        let has_place = |row: &UpgraderRow| row.is_rolling() || row.waits_for(Reason::MaxConcurrentReached);
        let rolls = |row: &UpgraderRow| row.is_rolling();
        // One that waits no longer, and does not roll, has left its place to the next.
        if (rolls(before) && !same_plan.is_some_and(rolls))
            || (has_place(before) && !same_plan.is_some_and(has_place))
        {
            woken.extend(next_in_line(snapshot, &key.namespace, plan));
        }
    }
    let stalled = |row: Option<&UpgraderRow>| {
        let stalled = row.filter(|row| row.waits_for(Reason::UpgradeStalled));
        stalled.map(|row| row.cluster_name.clone())
    };
    let (was, is) = (stalled(before), stalled(after));
    if was != is {
        woken.extend(was.iter().flat_map(|cluster| suspicious(snapshot, &key.namespace, cluster)));
        // Of other plans as well: the image may be the same.
        woken.extend(waiting_for_places(snapshot, &key.namespace));
    }
    woken.retain(|other| other != key);
    woken.sort();
    woken.dedup();
    woken
}

/// As many as there are places free: with thousands that wait, not all of them for each Cluster that is done.
fn next_in_line(snapshot: Snapshot<'_>, namespace: &str, plan: &str) -> Vec<ObjectKey> {
    let plan_row = snapshot.get::<PlanRow>(&ObjectKey::new(namespace, plan));
    // Whoever waits where there is no limit any more was woken when that was taken away, or with its Plan.
    let Some(limit) = plan_row.and_then(|plan| plan.max_concurrent) else { return Vec::new() };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    // Not woken while none is free: whoever frees the next place wakes it.
    let free = limit.saturating_sub(rolling_clusters(snapshot, namespace, plan));
    let upgraders = snapshot.referring::<UpgraderRow>(PLAN_INDEX, namespace, plan);
    let waiting = upgraders.filter(|upgrader| upgrader.waits_for(Reason::MaxConcurrentReached));
    waiting.take(free).map(|upgrader| upgrader.meta().key.clone()).collect()
}

fn rolling_clusters(snapshot: Snapshot<'_>, namespace: &str, plan: &str) -> usize {
    let clusters = rolling(snapshot, namespace, plan).map(|upgrader| &*upgrader.cluster_name);
    clusters.collect::<std::collections::BTreeSet<_>>().len()
}

fn waiting_for_places(snapshot: Snapshot<'_>, namespace: &str) -> Vec<ObjectKey> {
    let upgraders = snapshot.in_namespace::<UpgraderRow>(namespace);
    let waiting = upgraders.filter(|upgrader| upgrader.waits_for(Reason::MaxConcurrentReached));
    waiting.map(|upgrader| upgrader.meta().key.clone()).collect()
}

fn suspicious(snapshot: Snapshot<'_>, namespace: &str, cluster: &str) -> Vec<ObjectKey> {
    let upgraders = snapshot.in_namespace::<UpgraderRow>(namespace);
    let waiting = upgraders.filter(|upgrader| {
        let waiting = upgrader.status.waiting.as_ref();
        let blocker = waiting.and_then(|waiting| waiting.blocked_by.as_ref());
        upgrader.waits_for(Reason::ImageSuspect) && blocker.is_some_and(|blocker| *blocker.name == *cluster)
    });
    waiting.map(|upgrader| upgrader.meta().key.clone()).collect()
}
