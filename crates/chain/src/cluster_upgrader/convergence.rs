//! Whether a Cluster runs its version everywhere, and if not, why (Cluster API ≥ 1.9).
//!
//! Of the counters only `upToDateReplicas == replicas` counts: an autoscaler moves `desiredReplicas`. Cluster API has no
//! failed state for an upgrade, so one that does not go on is recognised by counters that stop moving.

use std::fmt::Write as _;
use std::time::Duration;

use api::capi::cluster::{self, AFTER_CLUSTER_UPGRADE, ClusterRow, PROVISIONED, Progress, Topology};
use api::capi::control_plane::ControlPlane;
use api::capi::machine_pool::{self, MachinePool};
use api::upgrader::cluster_upgrader::Reason;
use domain::condition::Status;
use domain::object::{ObjectKey, ObjectRef};
use domain::verdict::Because;
use domain::version::KubernetesVersion;
use jiff::Timestamp;
use runtime::clock::after;

use super::memory::{Clocks, Live, READ_AGAIN, Read};

/// How long no machine may have moved before it is told why.
const LINGERS: Duration = Duration::from_secs(5 * 60);

/// What lets deferred groups go on.
const UNDEFER: &str = "remove the annotation topology.cluster.x-k8s.io/defer-upgrade or hold-upgrade-sequence of those groups \
                       in spec.topology";

/// A live read without which it cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lacking {
    /// Of the control plane object.
    ControlPlane,
    /// Of the MachinePools.
    MachinePools,
}

/// Where a Cluster stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Standing {
    /// It runs its version everywhere, at this moment.
    Converged,
    /// A live read has to tell.
    Lacking(Lacking),
    /// It does not.
    Not {
        because: Box<Because<Reason>>,
        /// When a live read is due again.
        again: Option<Timestamp>,
    },
}

/// Where a Cluster stands with `current`, the version of its topology.
pub(super) fn standing(
    cluster: &ClusterRow,
    topology: &Topology,
    current: &KubernetesVersion,
    live: &Live,
) -> Standing {
    let told = unprovisioned(cluster).or_else(|| unreconciled(cluster, current));
    if let Some(because) = told.or_else(|| moving(cluster, topology, current)) {
        return Standing::Not { because: Box::new(because), again: None };
    }
    if !has_counters(&cluster.control_plane) {
        let Some(read) = &live.control_plane else { return Standing::Lacking(Lacking::ControlPlane) };
        if !read.value.as_ref().is_some_and(|control_plane| control_plane_runs(control_plane, current)) {
            return lagging_object(cluster, current, control_plane_ref(cluster), read);
        }
    }
    if topology.machine_pools > 0 {
        if let Some(versions) = told_versions(&cluster.workers) {
            if versions.iter().all(|version| is(Some(version), current)) {
                return Standing::Converged;
            }
            return Standing::Not { because: Box::new(in_progress(cluster, current, "")), again: None };
        }
        let Some(read) = &live.machine_pools else { return Standing::Lacking(Lacking::MachinePools) };
        if let Some(name) = lagging(&read.value, topology, current) {
            let object = (!name.is_empty())
                .then(|| ObjectRef::named(machine_pool::KIND, cluster.meta.key.sibling(name)));
            return lagging_object(cluster, current, object, read);
        }
    }
    Standing::Converged
}

/// When an upgrade in which no machine has moved is told anew, with the words of the moment.
pub(super) fn lingers_from(clocks: &Clocks) -> Option<Timestamp> {
    clocks.unmoved.as_ref().map(|unmoved| after(unmoved.since, LINGERS))
}

/// Whether no machine has moved for so long that the words of the moment matter: a hook that holds the upgrade, say.
pub(super) fn lingers(clocks: &Clocks, now: Timestamp) -> bool {
    lingers_from(clocks).is_some_and(|from| from <= now)
}

/// Whether an upgrade that stands so for long has stalled: not one that waits for a human or for an error to go.
pub(super) fn can_stall(reason: Reason) -> bool {
    reason == Reason::UpgradeInProgress
}

/// How far the machines are, as a text that changes whenever one moves. Used while an upgrade runs.
pub(super) fn counters(
    cluster: &ClusterRow,
    control_plane: Option<&Read<Option<ControlPlane>>>,
    machine_pools: Option<&Read<Vec<MachinePool>>>,
) -> String {
    let mut text = String::new();
    for (name, half) in [("control plane", &cluster.control_plane), ("workers", &cluster.workers)] {
        if half.replicas.is_some() || half.up_to_date.is_some() {
            let (up_to_date, replicas) = (half.up_to_date.unwrap_or(0), half.replicas.unwrap_or(0));
            part(&mut text, format_args!("{name} {up_to_date} of {replicas} up to date"));
        }
        if let Some(versions) = half.versions.as_ref().filter(|versions| !versions.is_empty()) {
            part(&mut text, format_args!("{name} at {}", versions.join(" and ")));
        }
    }
    if let Some(control_plane) = control_plane.and_then(|read| read.value.as_ref()) {
        let version = control_plane.status_version.as_deref().unwrap_or("an untold version");
        part(&mut text, format_args!("control plane reports {version}"));
    }
    for pool in machine_pools.iter().flat_map(|read| &read.value) {
        let (ready, replicas) = (pool.ready.unwrap_or(0), pool.replicas.unwrap_or(0));
        part(&mut text, format_args!("MachinePool {} {ready} of {replicas} ready", pool.meta.key.name));
    }
    if text.is_empty() { "no counters are told".to_owned() } else { text }
}

fn part(text: &mut String, part: std::fmt::Arguments<'_>) {
    let separator = if text.is_empty() { "" } else { ", " };
    // Writing to a String cannot fail.
    let _ = write!(text, "{separator}{part}");
}

/// Whether a control plane without counters runs a version, by its own word.
pub(super) fn control_plane_runs(control_plane: &ControlPlane, current: &KubernetesVersion) -> bool {
    let seen = control_plane.observed_generation.is_none_or(|seen| seen >= control_plane.meta.generation);
    // Some providers never tell what runs; Cluster API then goes by the wish as well.
    let told = control_plane.status_version.as_deref().or(control_plane.version.as_deref());
    seen && is(control_plane.version.as_deref(), current) && is(told, current)
}

/// The first MachinePool that does not run a version yet; an empty name where one is not even there.
pub(super) fn lagging<'a>(
    pools: &'a [MachinePool],
    topology: &Topology,
    current: &KubernetesVersion,
) -> Option<&'a str> {
    let lagging = pools.iter().find(|pool| !pool_runs(pool, current)).map(|pool| &*pool.meta.key.name);
    lagging.or((pools.len() < topology.machine_pools).then_some(""))
}

fn pool_runs(pool: &MachinePool, current: &KubernetesVersion) -> bool {
    let seen = pool.observed_generation.is_none_or(|seen| seen >= pool.meta.generation);
    let runs = match pool.versions.as_ref().filter(|versions| !versions.is_empty()) {
        Some(versions) => versions.iter().all(|version| is(Some(version), current)),
        // Its upToDateReplicas cannot be relied on; ready machines are the most that older versions tell.
        None => pool.ready.unwrap_or(0) == pool.replicas.unwrap_or(0),
    };
    seen && runs && is(pool.version.as_deref(), current)
}

fn is(version: Option<&str>, current: &KubernetesVersion) -> bool {
    let parsed = version.and_then(|version| KubernetesVersion::parse_lenient(version).ok());
    parsed.is_some_and(|version| version == *current)
}

fn unprovisioned(cluster: &ClusterRow) -> Option<Because<Reason>> {
    if cluster.phase.as_deref() == Some(PROVISIONED) && cluster.control_plane_initialized {
        return None;
    }
    let because = Because::new(Reason::ClusterNotProvisioned, "the Cluster is not provisioned yet");
    Some(because.blocked_by(ObjectRef::of(cluster::KIND, &cluster.meta)))
}

/// What the condition `TopologyReconciled` has against it. Its reasons are read, its message is only passed on.
fn unreconciled(cluster: &ClusterRow, current: &KubernetesVersion) -> Option<Because<Reason>> {
    let Some(told) = &cluster.topology_reconciled else { return Some(in_progress(cluster, current, "")) };
    let Some(seen) = told.observed_generation else {
        let message =
            "TopologyReconciled has no observedGeneration, so that an old one cannot be told from a new";
        let because = Because::new(Reason::ClusterAPIUnsupported, message).unblock("upgrade Cluster API");
        return Some(because.blocked_by(ObjectRef::of(cluster::KIND, &cluster.meta)));
    };
    // One from before the last change of the spec would read as done, or as failed.
    if seen < cluster.meta.generation {
        return Some(in_progress(cluster, current, ""));
    }
    if told.status == Status::True {
        return None;
    }
    let words = single_line(&told.message);
    let reason = match &*told.reason {
        "Paused" => Reason::ClusterPaused,
        "Deleting" => Reason::ClusterDeleting,
        "ReconcileFailed" | "TopologyReconcileFailed" => Reason::TopologyReconcileFailed,
        "ClusterClassNotReconciled" => Reason::ClassNotReconciled,
        "ClusterCreating" => Reason::ClusterNotProvisioned,
        deferred if deferred.ends_with("UpgradeDeferred") => Reason::UpgradeDeferred,
        _ => return Some(in_progress(cluster, current, &words)),
    };
    let message =
        if words.is_empty() { format!("TopologyReconciled is false: {}", told.reason) } else { words };
    let because = Because::new(reason, message).blocked_by(ObjectRef::of(cluster::KIND, &cluster.meta));
    Some(match reason {
        Reason::UpgradeDeferred => because.unblock(UNDEFER),
        _ => because,
    })
}

/// What still moves although the topology is reconciled: that only means that it was handed on. The workers' counters say
/// nothing where they include MachinePools, some of which never tell how many of their machines are up to date.
fn moving(cluster: &ClusterRow, topology: &Topology, current: &KubernetesVersion) -> Option<Because<Reason>> {
    let more_to_come = cluster.in_upgrade_step
        || !cluster.control_plane.upgrade_plan.is_empty()
        || !cluster.workers.upgrade_plan.is_empty();
    let words = if cluster.after_upgrade_hook_pending {
        format!("the hook {AFTER_CLUSTER_UPGRADE} is pending")
    } else if more_to_come {
        "more versions are to come".to_owned()
    } else if cluster.rolling_out == Some(Status::True)
        || !is_complete(&cluster.control_plane)
        || (topology.machine_pools == 0 && !is_complete(&cluster.workers))
    {
        String::new()
    } else {
        return None;
    };
    Some(in_progress(cluster, current, &words))
}

fn has_counters(half: &Progress) -> bool {
    half.replicas.is_some() && half.up_to_date.is_some()
}

/// The versions that machines report; a list without any, while there are machines, tells nothing.
fn told_versions(half: &Progress) -> Option<&[Box<str>]> {
    let versions = half.versions.as_deref()?;
    (!versions.is_empty() || half.replicas.unwrap_or(0) == 0).then_some(versions)
}

/// Where counters are absent there is nothing against it: no workers, or a control plane that is asked itself.
fn is_complete(half: &Progress) -> bool {
    match (half.replicas, half.up_to_date) {
        (Some(replicas), Some(up_to_date)) => replicas == up_to_date,
        _ => true,
    }
}

/// What the words of a hop begin with.
fn moves_to(current: &KubernetesVersion) -> String {
    format!("Cluster API moves the machines to {current}")
}

/// Whether words that were said speak of a hop to this version.
pub(super) fn speaks_of(words: &str, current: &KubernetesVersion) -> bool {
    let rest = words.strip_prefix(&*moves_to(current));
    // One version can begin with another.
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', ':', ';']))
}

/// The same words for every phase in which machines move, so that no counter makes a write of ours.
fn in_progress(cluster: &ClusterRow, current: &KubernetesVersion, words: &str) -> Because<Reason> {
    let mut message = moves_to(current);
    if !words.is_empty() {
        message.push_str(": ");
        message.push_str(words);
    }
    Because::new(Reason::UpgradeInProgress, message).blocked_by(ObjectRef::of(cluster::KIND, &cluster.meta))
}

fn lagging_object<T>(
    cluster: &ClusterRow,
    current: &KubernetesVersion,
    object: Option<ObjectRef>,
    read: &Read<T>,
) -> Standing {
    let mut because = in_progress(cluster, current, "it is not there yet by its own word");
    because.blocked_by = object.or(because.blocked_by);
    Standing::Not { because: Box::new(because), again: Some(after(read.at, READ_AGAIN)) }
}

fn control_plane_ref(cluster: &ClusterRow) -> Option<ObjectRef> {
    let control_plane = cluster.control_plane_ref.as_ref()?;
    Some(ObjectRef {
        api_version: control_plane.group.clone(),
        kind: control_plane.kind.clone(),
        key: ObjectKey::new(cluster.meta.key.namespace.clone(), control_plane.name.clone()),
        uid: Box::default(),
    })
}

/// Conditions of Cluster API have lists in their messages; a reason here is one line.
pub(super) fn single_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
