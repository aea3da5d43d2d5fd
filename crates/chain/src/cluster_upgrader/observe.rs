//! What an upgrader sees: itself, its Cluster with its class, its plan, and what was read live.

use api::capi::cluster::ClusterRow;
use api::capi::cluster_class::ClusterClassRow;
use api::upgrader::cluster_upgrader::UpgraderRow;
use api::upgrader::plan::PlanRow;
use domain::object::ObjectKey;
use domain::version::KubernetesVersion;
use jiff::Timestamp;
use runtime::store::{Availability, Snapshot};

use super::convergence;
use super::memory::{Clocks, Live, Memory, Origin};
use super::refusal::Refused;

/// Everything that a decision about an upgrader rests on.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// The upgrader.
    pub upgrader: UpgraderRow,
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
    /// Live reads that still count.
    pub live: Live,
    /// The last refusal of the write.
    pub refused: Option<Refused>,
    /// Clocks, lost with the process.
    pub clocks: Clocks,
    /// Who set the version that the Cluster has.
    pub origin: Origin,
}

pub(super) fn observe(
    snapshot: Snapshot<'_>,
    upgrader: &UpgraderRow,
    memory: &mut Memory,
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
    let (mut live, mut clocks, mut origin) = (Live::default(), Clocks::default(), Origin::Unknown);
    if let (Some(cluster), Some(topology)) = (cluster, topology)
        && let Ok(current) = KubernetesVersion::parse_lenient(&topology.version)
    {
        memory.turn_to(cluster);
        live = memory.live(&cluster.meta, topology, &current, now);
        // A paused Cluster neither settles nor stalls.
        let standing = (!cluster.paused).then(|| convergence::standing(cluster, topology, &current, &live));
        clocks = memory.clocks(cluster, &topology.version, standing.as_ref(), now);
        origin = memory.origin(&topology.version);
    }
    Observed {
        upgrader: upgrader.clone(),
        clusters: availability::<ClusterRow>(snapshot),
        cluster: cluster.cloned(),
        classes: availability::<ClusterClassRow>(snapshot),
        class: class.cloned(),
        plan: plan.cloned(),
        live,
        refused: memory.refused().cloned(),
        clocks,
        origin,
    }
}

fn availability<R: domain::object::Row>(snapshot: Snapshot<'_>) -> Availability {
    snapshot.table::<R>().map_or(Availability::NotInstalled, |table| table.availability().clone())
}
