//! What is kept of an upgrader between passes and lost with the process: clocks, live reads, the last refusal.

use std::time::Duration;

use api::capi::cluster::{ClusterRow, Topology};
use api::capi::control_plane::ControlPlane;
use api::capi::machine_pool::MachinePool;
use api::upgrader::cluster_upgrader::UpgraderRow;
use api::upgrader::machine_image::MachineImageRow;
use domain::object::{Meta, ObjectKey, ResourceVersion};
use domain::verdict::Trouble;
use domain::version::KubernetesVersion;
use jiff::Timestamp;
use runtime::answer::Refusal;
use runtime::clock::within;

use super::apply::{Answer, Step};
use super::convergence::{self, Standing};
use super::fleet::Fleet;
use super::refusal::{Attempt, Refused};

/// Control plane and MachinePools are read again at most this often.
pub(super) const READ_AGAIN: Duration = Duration::from_secs(30);

/// What was read live, with what the Cluster was like then.
#[derive(Clone, Debug, PartialEq)]
pub struct Read<T> {
    /// What was read.
    pub value: T,
    /// When.
    pub at: Timestamp,
    generation: i64,
    resource_version: ResourceVersion,
}

impl<T> Read<T> {
    /// Whether it still tells about the Cluster. What is complete stays so until the Cluster changes; a read before a
    /// change of its spec tells nothing.
    fn counts(&self, cluster: &Meta, complete: bool, now: Timestamp) -> bool {
        let fresh = within(self.at, READ_AGAIN, now);
        self.generation == cluster.generation
            && (fresh || (complete && self.resource_version == cluster.resource_version))
    }
}

/// The live reads that still count.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Live {
    /// The machine image of the next hop, with where it was looked for; `None` in it where it is gone.
    pub image: Option<(ObjectKey, Option<MachineImageRow>)>,
    /// The control plane object; `None` in it where it is gone.
    pub control_plane: Option<Read<Option<ControlPlane>>>,
    /// The MachinePools of the Cluster.
    pub machine_pools: Option<Read<Vec<MachinePool>>>,
}

/// Since when no machine has moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmoved {
    /// The counters, as text.
    pub counters: Box<str>,
    /// Since when they are so.
    pub since: Timestamp,
    version: Box<str>,
}

/// The clocks that a decision rests on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clocks {
    /// Since when the Cluster is seen converged at its version.
    pub settled_since: Option<Timestamp>,
    /// While it is not: since when no machine has moved.
    pub unmoved: Option<Unmoved>,
}

/// Who set the version that the Cluster has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// This process.
    Us,
    /// Someone else: this process did not, and there was none before, or the Cluster had another version since.
    Others,
    /// The Cluster had it when this process first saw it; an earlier one may have set it.
    Unknown,
}

#[derive(Debug)]
struct Sent {
    version: Box<str>,
    /// The image, where the version stayed.
    image_only: Option<Box<str>>,
}

/// What is kept of an upgrader.
#[derive(Debug, Default)]
pub struct Memory {
    /// Whether the upgrader had a status when this process first saw it. A write never comes before the first status,
    /// since a Cluster is watched for a moment first; so without one no earlier process has written.
    had_status: Option<bool>,
    cluster_uid: Box<str>,
    generation: i64,
    resource_version: ResourceVersion,
    /// The version of the Cluster when this process first saw it.
    first_version: Box<str>,
    settled: Option<(Box<str>, Timestamp)>,
    unmoved: Option<Unmoved>,
    // Boxed, since few Clusters need them and all of them have a memory.
    control_plane: Option<Box<Read<Option<ControlPlane>>>>,
    machine_pools: Option<Box<Read<Vec<MachinePool>>>>,
    refused: Option<Box<Refused>>,
    /// What was last sent, with an answer that does not rule out that it was set.
    sent: Option<Sent>,
}

impl Sent {
    fn of(attempt: &Attempt, image_only: bool) -> Self {
        let image = attempt.image.clone().filter(|_| image_only);
        Self { version: attempt.version.clone(), image_only: image }
    }
}

impl Memory {
    /// Meets an upgrader.
    pub(super) fn meet(&mut self, upgrader: &UpgraderRow) {
        self.had_status.get_or_insert(!upgrader.status.conditions.is_empty());
    }

    /// Turns to a Cluster: everything else that is remembered is of one incarnation of one Cluster.
    pub(super) fn turn_to(&mut self, cluster: &ClusterRow) {
        if self.cluster_uid != cluster.meta.uid {
            let first_version = cluster.topology.as_ref().map(|topology| topology.version.clone());
            *self = Self {
                had_status: self.had_status,
                cluster_uid: cluster.meta.uid.clone(),
                first_version: first_version.unwrap_or_default(),
                ..Self::default()
            };
        }
        self.generation = cluster.meta.generation;
        self.resource_version = cluster.meta.resource_version;
    }

    /// The live reads that still count for a Cluster at `current`.
    pub(super) fn live(
        &self,
        cluster: &Meta,
        topology: &Topology,
        current: &KubernetesVersion,
        now: Timestamp,
    ) -> Live {
        let control_plane = self.control_plane.as_deref().filter(|read| {
            let complete = read.value.as_ref().is_some_and(|it| convergence::control_plane_runs(it, current));
            read.counts(cluster, complete, now)
        });
        let machine_pools = self.machine_pools.as_deref().filter(|read| {
            let complete = convergence::lagging(&read.value, topology, current).is_none();
            read.counts(cluster, complete, now)
        });
        Live { image: None, control_plane: control_plane.cloned(), machine_pools: machine_pools.cloned() }
    }

    /// Moves the clocks to what the Cluster is like now, and tells them. `standing` is `None` where it does not count.
    pub(super) fn clocks(
        &mut self,
        cluster: &ClusterRow,
        version: &str,
        standing: Option<&Standing>,
        now: Timestamp,
    ) -> Clocks {
        match standing {
            Some(Standing::Converged) => {
                self.unmoved = None;
                self.settled =
                    self.settled.take().filter(|(of, _)| **of == *version).or(Some((version.into(), now)));
            }
            // A live read will tell; until then nothing is known to have changed.
            Some(Standing::Lacking(_)) => {}
            Some(Standing::Not { because, .. }) if convergence::can_stall(because.reason) => {
                self.settled = None;
                // The last reads, whether they still count or not: their expiry is no movement.
                let (control_plane, pools) = (self.control_plane.as_deref(), self.machine_pools.as_deref());
                let counters = convergence::counters(cluster, control_plane, pools);
                self.unmoved = self
                    .unmoved
                    .take()
                    .filter(|unmoved| *unmoved.counters == *counters && *unmoved.version == *version)
                    .or(Some(Unmoved { counters: counters.into(), since: now, version: version.into() }));
            }
            Some(Standing::Not { .. }) | None => {
                self.settled = None;
                self.unmoved = None;
            }
        }
        Clocks {
            settled_since: self.settled.as_ref().map(|(_, since)| *since),
            unmoved: self.unmoved.clone(),
        }
    }

    /// Who set the version that the Cluster has.
    pub(super) fn origin(&self, version: &str) -> Origin {
        if self.sent.as_ref().is_some_and(|sent| *sent.version == *version) {
            Origin::Us
        } else if *self.first_version == *version && self.had_status == Some(true) {
            Origin::Unknown
        } else {
            Origin::Others
        }
    }

    /// The image that was set while the version stayed.
    pub(super) fn image_set(&self, version: &str) -> Option<Box<str>> {
        self.sent.as_ref().filter(|sent| *sent.version == *version)?.image_only.clone()
    }

    pub(super) fn refused(&self) -> Option<&Refused> {
        self.refused.as_deref()
    }

    /// Takes the outcome of a step; `false` leaves a refusal to the engine.
    pub(super) fn learn(
        &mut self,
        fleet: &mut Fleet,
        step: &Step,
        outcome: Result<Answer, &Refusal>,
        now: Timestamp,
    ) -> bool {
        if let (Step::PatchCluster { cluster, .. }, Err(refusal)) = (step, &outcome) {
            // No answer is no refusal: the write may have been done. Nor are a conflict and a failed test: it may be our own
            // write, of which there was no answer, that was done in between.
            let unknown =
                matches!(refusal, Refusal::Unavailable { .. } | Refusal::Conflict | Refusal::TestFailed(_));
            if !unknown {
                fleet.release(cluster);
            }
        }
        match (step, outcome) {
            (Step::ReadImage { key }, Ok(Answer::Image(found))) => fleet.read(key, Some(*found), now),
            (Step::ReadImage { key }, Err(Refusal::NotFound)) => fleet.read(key, None, now),
            (Step::ReadControlPlane { .. }, Ok(Answer::ControlPlane(found))) => {
                self.control_plane = Some(self.read(Some(*found), now).into());
            }
            (Step::ReadControlPlane { .. }, Err(Refusal::NotFound)) => {
                self.control_plane = Some(self.read(None, now).into());
            }
            (Step::ReadMachinePools { .. }, Ok(Answer::MachinePools(found))) => {
                self.machine_pools = Some(self.read(found, now).into());
            }
            (Step::ReadMachinePools { .. }, Err(Refusal::NotFound)) => {
                self.machine_pools = Some(self.read(Vec::new(), now).into());
            }
            (Step::PatchCluster { attempt, image_only, .. }, Ok(Answer::Set)) => {
                self.sent = Some(Sent::of(attempt, *image_only));
                self.refused = None;
            }
            (Step::PatchCluster { attempt, .. }, Err(refusal @ Refusal::Admission { message, .. }))
                if refusal.trouble() == Some(Trouble::WriteRefused) =>
            {
                let before = self.refused.take().map(|before| *before);
                self.refused = Some(Refused::again(before, attempt.clone(), message, now).into());
            }
            (Step::PatchCluster { attempt, image_only, .. }, Err(Refusal::Unavailable { .. })) => {
                self.sent = Some(Sent::of(attempt, *image_only));
                return false;
            }
            (_, Ok(_)) => {}
            (_, Err(_)) => return false,
        }
        true
    }

    fn read<T>(&self, value: T, at: Timestamp) -> Read<T> {
        Read { value, at, generation: self.generation, resource_version: self.resource_version }
    }
}
