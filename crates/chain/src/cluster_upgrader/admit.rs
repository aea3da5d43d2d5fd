//! Which Clusters may start now: what one upgrader cannot decide alone.
//!
//! Reservations hold from right before a write until the upgrader's own status counts its Cluster as rolling, so that two
//! upgraders that are looked at in one moment do not take the same place. They are lost with the process; so the next one
//! watches each Cluster for the 15 s of a hold before that may take a place, and has by then looked at all of them.

use std::collections::BTreeMap;
use std::time::Duration;

use api::capi::cluster::{self, ClusterRow};
use api::upgrader::cluster_upgrader::{ROLLING_INDEX, Reason, STALLED, STALLED_INDEX, UpgraderRow};
use api::upgrader::machine_image::MachineImageRow;
use api::upgrader::plan::{self, PlanRow};
use domain::object::{Meta, ObjectKey, ObjectRef, ResourceVersion, Row as _};
use domain::version::KubernetesVersion;
use jiff::Timestamp;
use runtime::clock::after;
use runtime::store::Snapshot;

use super::convergence::{Standing, standing};
use super::facts::{Hindrance, hindrance};
use super::hop::Hop;
use super::memory::Live;
use super::variable;

/// How long a reservation holds where nothing is heard of the write: longer than a request may take, and than the pause
/// before it is sent again.
const HOLDS: Duration = Duration::from_secs(360);
/// How long a live read of a machine image counts: for the upgraders that are looked at in the same moment.
const IMAGE_COUNTS: Duration = Duration::from_secs(5);

/// What the upgraders of this process share, lost with the process.
#[derive(Debug, Default)]
pub struct Fleet {
    /// By the Cluster.
    reserved: BTreeMap<ObjectKey, Reserved>,
    /// Machine images that were read live, with when; `None` where one is gone.
    images: BTreeMap<ObjectKey, (Timestamp, Option<MachineImageRow>)>,
}

/// A place that is taken before the write that needs it.
#[derive(Debug)]
struct Reserved {
    /// Name of the plan.
    plan: Box<str>,
    until: Timestamp,
    /// Of the Cluster that the write rests on.
    resource_version: ResourceVersion,
}

impl Fleet {
    /// Takes a place among the Clusters of a plan that roll, for a write that rests on a version of the Cluster.
    pub(super) fn reserve(
        &mut self,
        cluster: &ObjectKey,
        plan: &str,
        resource_version: ResourceVersion,
        now: Timestamp,
    ) {
        self.reserved.retain(|_, reserved| now < reserved.until);
        let reserved = Reserved { plan: plan.into(), until: after(now, HOLDS), resource_version };
        self.reserved.insert(cluster.clone(), reserved);
    }

    /// Gives the place back: the write was refused.
    pub(super) fn release(&mut self, cluster: &ObjectKey) {
        self.reserved.remove(cluster);
    }

    /// Gives the place back to a Cluster that its upgrader's status counts, once the Cluster is seen as it is after the
    /// write: before, that status may still speak of the hop before.
    pub(super) fn counted(&mut self, cluster: &Meta) {
        let seen = self.reserved.get(&cluster.key).map(|reserved| reserved.resource_version);
        if seen.is_some_and(|rests_on| rests_on < cluster.resource_version) {
            self.reserved.remove(&cluster.key);
        }
    }

    /// Keeps a machine image that was just read.
    pub(super) fn read(&mut self, key: &ObjectKey, found: Option<MachineImageRow>, now: Timestamp) {
        self.images.retain(|_, (at, _)| now < after(*at, IMAGE_COUNTS));
        self.images.insert(key.clone(), (now, found));
    }

    /// A machine image that was read a moment ago.
    pub(super) fn image(&self, key: &ObjectKey, now: Timestamp) -> Option<&Option<MachineImageRow>> {
        let (at, found) = self.images.get(key)?;
        (now < after(*at, IMAGE_COUNTS)).then_some(found)
    }

    /// Reserved Clusters of a plan, each with until when.
    fn of<'a>(
        &'a self,
        namespace: &'a str,
        plan: &'a str,
        now: Timestamp,
    ) -> impl Iterator<Item = (&'a str, Timestamp)> {
        let all = self.reserved.range(ObjectKey::new(namespace, "")..);
        let here = all.take_while(move |(key, _)| *key.namespace == *namespace);
        let of_plan = here.filter(move |(_, reserved)| *reserved.plan == *plan && now < reserved.until);
        of_plan.map(|(key, reserved)| (&*key.name, reserved.until))
    }
}

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
    /// When a place that is only reserved is free at the latest.
    pub until: Option<Timestamp>,
}

/// Whether a Cluster may start on a hop now.
pub(super) fn admit(
    snapshot: Snapshot<'_>,
    fleet: &Fleet,
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
    fleet: &Fleet,
    upgrader: &UpgraderRow,
    plan: &PlanRow,
    now: Timestamp,
) -> Option<Full> {
    let limit = plan.max_concurrent?;
    let ObjectKey { namespace, name } = &plan.meta.key;
    let told = rolling(snapshot, namespace, name);
    // By the Cluster's name: whether it is stalled.
    let mut taken: BTreeMap<&str, bool> =
        told.map(|other| (&*other.cluster_name, other.waits_for(Reason::UpgradeStalled))).collect();
    let reserved: Vec<(&str, Timestamp)> =
        fleet.of(namespace, name, now).filter(|(cluster, _)| !taken.contains_key(cluster)).collect();
    taken.extend(reserved.iter().map(|(cluster, _)| (*cluster, false)));
    taken.remove(&*upgrader.cluster_name);
    if taken.len() < usize::try_from(limit).unwrap_or(usize::MAX) {
        return None;
    }
    let first = taken.keys().next().filter(|_| taken.values().all(|stalled| *stalled));
    Some(Full {
        limit,
        stalled: first.map(|first| ObjectRef::named(cluster::KIND, plan.meta.key.sibling(first))),
        until: reserved.iter().map(|(_, until)| *until).min(),
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
