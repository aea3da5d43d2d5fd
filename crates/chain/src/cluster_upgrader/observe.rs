//! What an upgrader sees: itself, its Cluster with its class, its plan with its images, what was read live, and what other
//! upgraders have to do with it.

use api::capi::cluster::ClusterRow;
use api::capi::cluster_class::ClusterClassRow;
use api::upgrader::cluster_upgrader::UpgraderRow;
use api::upgrader::plan::PlanRow;
use domain::condition;
use domain::object::{Meta, ObjectKey, Row};
use domain::path::Hop;
use domain::version::KubernetesVersion;
use jiff::Timestamp;
use runtime::store::{Availability, Snapshot};

use super::admit::{self, Admission};
use super::convergence;
use super::facts::{self, Source};
use super::fleet::Fleet;
use super::hop::{self, Next};
use super::memory::{Clocks, Live, Memory, Origin};
use super::owner;
use super::refusal::Refused;

/// Everything that a decision about an upgrader rests on.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// The upgrader.
    pub upgrader: UpgraderRow,
    /// The upgrader that drives the Cluster, where it is another one.
    pub driver: Option<Meta>,
    /// How far Clusters are known, and in which version they are read.
    pub clusters: Availability,
    /// The Cluster.
    pub cluster: Option<ClusterRow>,
    /// How far classes are known.
    pub classes: Availability,
    /// The class of the Cluster.
    pub class: Option<ClusterClassRow>,
    /// The plan, where it is in the namespace of the upgrader.
    pub plan: Option<PlanRow>,
    /// The version that is asked for instead of the plan's result; only by [`super::preflight()`].
    pub asked: Option<KubernetesVersion>,
    /// What the plan says to have chosen, where its status does not hold it: with `--dry-run` conditions alone are written.
    pub(super) untold: Option<Hop<Source>>,
    /// The images of the plan that the Cluster has or may get on its way, where it has another version than its result.
    pub(super) images: Vec<Hop<Source>>,
    /// What speaks against a start now, beyond the Cluster itself.
    pub admission: Admission,
    /// Live reads that still count.
    pub live: Live,
    /// The last refusal of the write.
    pub refused: Option<Refused>,
    /// Clocks, lost with the process.
    pub clocks: Clocks,
    /// Who set the version that the Cluster has.
    pub origin: Origin,
    /// The image that this process has set without another version.
    pub image_set: Option<Box<str>>,
}

pub(super) fn observe(
    snapshot: Snapshot<'_>,
    upgrader: &UpgraderRow,
    asked: Option<&KubernetesVersion>,
    (memory, fleet): (&mut Memory, &mut Fleet),
    now: Timestamp,
) -> Observed {
    let namespace = &*upgrader.meta.key.namespace;
    let cluster = snapshot.get::<ClusterRow>(&upgrader.meta.key.sibling(&upgrader.cluster_name));
    let topology = cluster.and_then(|cluster| cluster.topology.as_ref());
    let class = topology.and_then(|topology| topology.class.as_ref()).and_then(|class| {
        let namespace = class.namespace.as_deref().unwrap_or(namespace);
        snapshot.get::<ClusterClassRow>(&ObjectKey::new(namespace, class.name.clone()))
    });
    let plan = Some(&upgrader.plan).filter(|plan| !plan.leaves(namespace));
    let plan = plan.and_then(|plan| snapshot.get::<PlanRow>(&plan.key(namespace)));

    memory.meet(upgrader);
    let mut observed = Observed {
        upgrader: upgrader.clone(),
        driver: owner::driver(snapshot, upgrader),
        clusters: availability::<ClusterRow>(snapshot),
        cluster: cluster.cloned(),
        classes: availability::<ClusterClassRow>(snapshot),
        class: class.cloned(),
        plan: plan.cloned(),
        asked: asked.cloned(),
        untold: plan.and_then(|plan| untold(snapshot, plan)),
        images: Vec::new(),
        admission: Admission::default(),
        live: Live::default(),
        refused: None,
        clocks: Clocks::default(),
        origin: Origin::Unknown,
        image_set: None,
    };
    if let (Some(cluster), Some(topology)) = (cluster, topology)
        && let Ok(current) = KubernetesVersion::parse_lenient(&topology.version)
    {
        memory.turn_to(cluster);
        observed.live = memory.live(&cluster.meta, topology, &current, now);
        // A paused Cluster neither settles nor stalls.
        let standing =
            (!cluster.paused).then(|| convergence::standing(cluster, topology, &current, &observed.live));
        observed.clocks = memory.clocks(cluster, &topology.version, standing.as_ref(), now);
        observed.origin = memory.origin(&topology.version);
        observed.image_set = memory.image_set(&topology.version);
    }
    observed.refused = memory.refused().cloned();
    images(snapshot, &mut observed);
    admission(snapshot, &mut observed, fleet, now);
    observed
}

/// A Cluster that has the result of its plan needs no other image.
fn images(snapshot: Snapshot<'_>, observed: &mut Observed) {
    let Some(plan) = &observed.plan else { return };
    if observed.asked.is_some() {
        observed.images = candidates(snapshot, plan, |_| true).collect();
        return;
    }
    let (Ok(target), Ok(wanted)) = (facts::target(observed), facts::wanted(observed)) else { return };
    let (current, version) = (&target.current, &wanted.version);
    if current == version {
        return;
    }
    // What it has, and what lies on the way.
    let counts = |image: &KubernetesVersion| {
        image == current || (image.is_newer_than(current) && !image.is_newer_than(version))
    };
    observed.images = candidates(snapshot, plan, counts).collect();
}

fn candidates(
    snapshot: Snapshot<'_>,
    plan: &PlanRow,
    counts: impl Fn(&KubernetesVersion) -> bool,
) -> impl Iterator<Item = Hop<Source>> {
    let found = crate::plan::candidates_of(snapshot, plan, counts).into_iter();
    found.map(|Hop { version, image }| {
        let uid = Some(image.meta.uid).filter(|uid| !uid.is_empty());
        Hop { version, image: Source { key: image.meta.key, uid, id: image.id } }
    })
}

fn untold(snapshot: Snapshot<'_>, plan: &PlanRow) -> Option<Hop<Source>> {
    let status = &plan.status;
    let current = status.observed_generation == Some(plan.meta.generation);
    let said = condition::find(&status.conditions, condition::UP_TO_DATE);
    let found = said.is_some_and(|said| said.status == condition::Status::True);
    let untold = current && found && status.machine_image_details.is_none();
    untold.then(|| candidates(snapshot, plan, |_| true).next()).flatten()
}

/// What other Clusters have to do with the next hop, and whether its image was read a moment ago.
fn admission(snapshot: Snapshot<'_>, observed: &mut Observed, fleet: &mut Fleet, now: Timestamp) {
    let upgrader = &observed.upgrader;
    fleet.age(now);
    if let Some(plan) = observed.plan.as_ref().filter(|plan| plan.max_concurrent.is_some())
        && observed.driver.is_none()
    {
        admit::note(snapshot, fleet, upgrader, &plan.meta.key.name, &observed.live);
    }
    let (Ok(target), Ok(wanted)) = (facts::target(observed), facts::wanted(observed)) else { return };
    let Next::Hop(hop) = hop::next(observed, &target, &wanted) else { return };
    let admission = admit::admit(snapshot, fleet, upgrader, wanted.plan, &hop, now);
    let read = fleet.image(&hop.source.key, now).cloned();
    observed.live.image = read.map(|found| (hop.source.key, found));
    observed.admission = admission;
}

fn availability<R: Row>(snapshot: Snapshot<'_>) -> Availability {
    snapshot.table::<R>().map_or(Availability::NotInstalled, |table| table.availability().clone())
}
