//! Which Clusters may start now: what one upgrader cannot decide alone.
//!
//! A place is taken by each Cluster that its upgrader's status tells to roll, and by each that the process itself knows to
//! roll before a status tells it ([`Fleet`]): from right before a write, so that two upgraders that are looked at in one
//! moment do not take the same place, and where a process was killed before it could tell. Before the first Cluster of a
//! plan may start, all of them are looked at once.

use std::collections::BTreeMap;

use api::capi::cluster::{self, ClusterRow};
use api::upgrader::cluster_upgrader::{
    PLAN_INDEX, ROLLING_INDEX, Reason, STALLED, STALLED_INDEX, UpgraderRow,
};
use api::upgrader::plan::{self, PlanRow};
use domain::object::{ObjectKey, ObjectRef, Row as _};
use domain::version::KubernetesVersion;
use jiff::Timestamp;
use runtime::store::Snapshot;

use super::convergence::{Standing, standing};
use super::facts::{Hindrance, hindrance};
use super::fleet::Fleet;
use super::hop::Hop;
use super::memory::Live;
use super::owner;
use super::variable;

/// What speaks against a start, beyond the Cluster itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admission {
    /// A Cluster that has started on the same image, and is stalled.
    pub suspect: Option<ObjectRef>,
    /// Every place is taken.
    pub full: Option<Full>,
}

/// Every place is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Full {
    /// `spec.maxConcurrent` of the plan.
    pub limit: u32,
    /// The first Cluster that has a place, where every one that has one is stalled: none becomes free by itself.
    pub stalled: Option<ObjectRef>,
    /// Where a place is held that no status counts: when that is to be looked at again.
    pub until: Option<Timestamp>,
}

/// Notes whether the Cluster of an upgrader moves while the upgrader's status does not say so.
pub(super) fn note(
    snapshot: Snapshot<'_>,
    fleet: &mut Fleet,
    upgrader: &UpgraderRow,
    plan: &str,
    live: &Live,
) {
    let key = upgrader.meta.key.sibling(&upgrader.cluster_name);
    let Some(cluster) = snapshot.get::<ClusterRow>(&key) else { return };
    let counted = has_place(snapshot, upgrader);
    if counted {
        // From here on its own status counts it.
        fleet.counted(&cluster.meta);
    }
    if !counted && !upgrader.paused && !cluster.paused && moves(cluster, live) {
        fleet.moves(&key, plan);
    } else {
        fleet.rests(&key);
    }
}

/// Whether machines of a Cluster are on their way to the version of its topology.
fn moves(cluster: &ClusterRow, live: &Live) -> bool {
    let Some(topology) = &cluster.topology else { return false };
    let Ok(current) = KubernetesVersion::parse_lenient(&topology.version) else { return false };
    let standing = standing(cluster, topology, &current, live);
    matches!(standing, Standing::Not { because, .. } if because.reason.is_moving())
}

/// Whether a Cluster may start on a hop now.
pub(super) fn admit(
    snapshot: Snapshot<'_>,
    fleet: &mut Fleet,
    upgrader: &UpgraderRow,
    plan: &PlanRow,
    hop: &Hop,
    now: Timestamp,
) -> Admission {
    Admission { suspect: suspect(snapshot, upgrader, hop), full: full(snapshot, fleet, upgrader, plan, now) }
}

/// Of the upgraders that say so themselves, also before this process began.
fn suspect(snapshot: Snapshot<'_>, upgrader: &UpgraderRow, hop: &Hop) -> Option<ObjectRef> {
    let namespace = &*upgrader.meta.key.namespace;
    let stalled = snapshot.referring::<UpgraderRow>(STALLED_INDEX, namespace, STALLED);
    let others = stalled.filter(|other| other.cluster_name != upgrader.cluster_name);
    let mut clusters = others.filter_map(|other| {
        let cluster = snapshot.get::<ClusterRow>(&other.meta.key.sibling(&other.cluster_name))?;
        let by_id = upgrader.topology_variable.is_some();
        started_on(cluster, other, hop, by_id).then(|| ObjectRef::of(cluster::KIND, cluster.meta()))
    });
    clusters.next()
}

/// Without a variable the provider looks the image up, by the version.
fn started_on(cluster: &ClusterRow, upgrader: &UpgraderRow, hop: &Hop, by_id: bool) -> bool {
    let Some(topology) = &cluster.topology else { return false };
    let Ok(version) = KubernetesVersion::parse_lenient(&topology.version) else { return false };
    version == hop.version
        && match &upgrader.topology_variable {
            Some(name) => {
                by_id && variable::image_of(topology, name, &version).as_ref() == Some(&hop.source.id)
            }
            None => !by_id,
        }
}

fn full(
    snapshot: Snapshot<'_>,
    fleet: &mut Fleet,
    upgrader: &UpgraderRow,
    plan: &PlanRow,
    now: Timestamp,
) -> Option<Full> {
    let limit = plan.max_concurrent?;
    let ObjectKey { namespace, name } = &plan.meta.key;
    if fleet.meets(&plan.meta.key) {
        let all = snapshot.referring::<UpgraderRow>(PLAN_INDEX, namespace, name);
        for other in all.filter(|other| owner::driver(snapshot, other).is_none()) {
            note(snapshot, fleet, other, name, &Live::default());
        }
    }
    let told = rolling(snapshot, namespace, name);
    // By the Cluster's name: whether it is stalled.
    let mut taken: BTreeMap<&str, bool> =
        told.map(|other| (&*other.cluster_name, other.waits_for(Reason::UpgradeStalled))).collect();
    let held: Vec<(&str, Timestamp)> =
        fleet.held(namespace, name, now).filter(|(cluster, _)| !taken.contains_key(cluster)).collect();
    taken.extend(held.iter().map(|(cluster, _)| (*cluster, false)));
    taken.remove(&*upgrader.cluster_name);
    if taken.len() < usize::try_from(limit).unwrap_or(usize::MAX) {
        return None;
    }
    let first = taken.keys().next().filter(|_| taken.values().all(|stalled| *stalled));
    Some(Full {
        limit,
        stalled: first.map(|first| ObjectRef::named(cluster::KIND, plan.meta.key.sibling(first))),
        until: held.iter().map(|(_, until)| *until).min(),
    })
}

/// Upgraders of a plan whose Clusters have a place among those that roll.
pub(super) fn rolling<'a>(
    snapshot: Snapshot<'a>,
    namespace: &'a str,
    plan: &'a str,
) -> impl Iterator<Item = &'a UpgraderRow> {
    let upgraders = snapshot.referring::<UpgraderRow>(ROLLING_INDEX, namespace, plan);
    upgraders.filter(move |upgrader| has_place(snapshot, upgrader))
}

/// Whether the status of an upgrader says that machines of its Cluster move. A Cluster that rests and was set to nothing
/// yet is only watched: it has no place, or all that are watched in the same moment would wait for each other. Where the
/// status tells of a trouble instead, the Cluster itself tells whether it moves.
pub(super) fn has_place(snapshot: Snapshot<'_>, upgrader: &UpgraderRow) -> bool {
    let troubled = upgrader.is_troubled();
    if !upgrader.is_rolling() || !(troubled || upgrader.waits_for(Reason::Settling)) {
        return upgrader.is_rolling();
    }
    let cluster = snapshot.get::<ClusterRow>(&upgrader.meta.key.sibling(&upgrader.cluster_name));
    let Some((cluster, topology)) = cluster.and_then(|cluster| Some((cluster, cluster.topology.as_ref()?)))
    else {
        return !troubled;
    };
    let Ok(current) = KubernetesVersion::parse_lenient(&topology.version) else { return !troubled };
    let set = upgrader.status.latest_set_version.as_deref();
    let set = set.and_then(|set| KubernetesVersion::parse_lenient(set).ok());
    // A process that was killed may have set it and not have said so.
    let moves = || matches!(standing(cluster, topology, &current, &Live::default()), Standing::Not { .. });
    moves() || (!troubled && set.as_ref() == Some(&current))
}

/// No Cluster that has started on this image is stalled.
pub(super) fn not_suspect(admission: &Admission, hop: &Hop) -> Result<(), Hindrance> {
    let Some(cluster) = &admission.suspect else { return Ok(()) };
    let message = format!(
        "Cluster {} has started on {} with image {}, and is stalled",
        cluster.key.name, hop.version, hop.source.id
    );
    let because = hindrance(Reason::ImageSuspect, message).blocked_by(cluster.clone());
    Err(because.unblock("repair it, let the Plan choose another image, or pause its upgrader").into())
}

/// A place is free. Which Clusters have one is not said: whoever waits is not looked at each time that changes.
pub(super) fn place(admission: &Admission, plan: &PlanRow) -> Result<(), Hindrance> {
    let Some(Full { limit, stalled, .. }) = &admission.full else { return Ok(()) };
    let at_a_time = format!("{limit} of the Clusters of the Plan may roll at a time");
    if let Some(cluster) = stalled {
        let message = format!("{at_a_time}, and every place is taken by one that is stalled");
        let because = hindrance(Reason::MaxConcurrentReached, message).blocked_by(cluster.clone());
        let hint = "repair it, pause its upgrader, or raise spec.maxConcurrent of the Plan";
        return Err(because.unblock(hint).into());
    }
    let message = format!("{at_a_time}, and every place is taken");
    let because = hindrance(Reason::MaxConcurrentReached, message);
    let because = because.blocked_by(ObjectRef::of(plan::KIND, &plan.meta));
    Err(because.unblock("raise spec.maxConcurrent of the Plan, or wait for those that roll").into())
}
