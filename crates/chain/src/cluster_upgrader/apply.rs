//! The requests of an upgrader: live reads, one conditional patch of the Cluster, and a note of what was set.

use std::fmt;

use api::capi::cluster::{self, ClusterRow, ControlPlaneRef};
use api::capi::control_plane::ControlPlane;
use api::capi::machine_pool::{self, MachinePool};
use api::capi::{CLUSTER_NAME_LABEL, TOPOLOGY_OWNED_LABEL};
use api::upgrader::cluster_upgrader::{self, LAST_SET_ANNOTATION, LastSet, UpgraderRow};
use api::upgrader::machine_image::{self, MachineImageRow};
use domain::object::ObjectKey;
use runtime::answer::Refusal;
use runtime::request::{Patch, Place, Shell};
use runtime::room::Applied;
use serde_json::{Value, json};

use super::refusal::Attempt;

/// The closed set of an upgrader's requests.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Reads the plan's machine image.
    ReadImage {
        /// Where it is.
        key: ObjectKey,
    },
    /// Reads a control plane of which the Cluster tells no counters.
    ReadControlPlane {
        /// The Cluster's namespace.
        namespace: Box<str>,
        /// The object.
        control_plane: ControlPlaneRef,
    },
    /// Reads the MachinePools that were made from the Cluster's topology.
    ReadMachinePools {
        /// The `group/version` in which Clusters are read.
        api_version: Box<str>,
        /// The Cluster.
        cluster: ObjectKey,
    },
    /// Sets version and image.
    PatchCluster {
        /// The `group/version` in which the Cluster was read.
        api_version: Box<str>,
        /// The Cluster.
        cluster: ObjectKey,
        /// The variable that takes the image, if any.
        variable: Option<Box<str>>,
        /// What the write rests on, and what it sets.
        attempt: Attempt,
        /// The Cluster has the version already.
        image_only: bool,
        /// The operations.
        patch: Vec<Value>,
    },
    /// Notes on the upgrader what it has set.
    Record {
        /// The upgrader.
        upgrader: ObjectKey,
        /// Its uid.
        uid: Box<str>,
        /// What is noted.
        last_set: LastSet,
    },
}

/// What a request brought back.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The machine image.
    Image(Box<MachineImageRow>),
    /// The control plane.
    ControlPlane(Box<ControlPlane>),
    /// The MachinePools.
    MachinePools(Vec<MachinePool>),
    /// Version and image are set.
    Set,
    /// It is noted what was set.
    Recorded,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReadImage { key } => write!(f, "read MachineImage {key}"),
            Self::ReadControlPlane { namespace, control_plane: ControlPlaneRef { kind, name, .. } } => {
                write!(f, "read {kind} {namespace}/{name}")
            }
            Self::ReadMachinePools { cluster, .. } => write!(f, "read the MachinePools of Cluster {cluster}"),
            Self::PatchCluster { cluster, variable, attempt, .. } => {
                write!(f, "set Cluster {cluster} to {}", attempt.version)?;
                match (variable, &attempt.image) {
                    (Some(variable), Some(id)) => write!(f, " with {variable} {id}"),
                    _ => Ok(()),
                }
            }
            Self::Record { upgrader, last_set: LastSet { version, image, .. }, .. } => {
                write!(
                    f,
                    "note on ClusterClassClusterUpgrader {upgrader} that {version} with {image} was set"
                )
            }
        }
    }
}

impl runtime::room::Step for Step {
    fn writes(&self) -> bool {
        matches!(self, Self::PatchCluster { .. } | Self::Record { .. })
    }

    fn is_shared(&self) -> bool {
        matches!(self, Self::ReadImage { .. })
    }
}

pub(super) async fn apply(shell: Shell, step: Step) -> Result<Applied<Answer>, Refusal> {
    match step {
        Step::ReadImage { key } => {
            let image = shell.read(&Place::of(machine_image::KIND), &key).await?;
            Ok(Applied::answer(Answer::Image(Box::new(image))))
        }
        Step::ReadControlPlane { namespace, control_plane } => {
            // A Cluster names group and kind; version and plural are the server's to say.
            let place = shell.preferred_place_of(&control_plane.group, &control_plane.kind).await?;
            let key = ObjectKey::new(namespace, control_plane.name);
            let control_plane = shell.read(&place, &key).await?;
            Ok(Applied::answer(Answer::ControlPlane(Box::new(control_plane))))
        }
        Step::ReadMachinePools { api_version, cluster } => {
            let place = Place::in_version(machine_pool::KIND, &api_version);
            let labels = format!("{CLUSTER_NAME_LABEL}={},{TOPOLOGY_OWNED_LABEL}", cluster.name);
            let pools = shell.rows(&place, &cluster.namespace, &labels).await?;
            Ok(Applied::answer(Answer::MachinePools(pools)))
        }
        Step::PatchCluster { api_version, cluster, patch, .. } => {
            let place = Place::in_version(cluster::KIND, &api_version);
            let row = shell.patch::<ClusterRow>(&place, &cluster, None, &Patch::Json(patch)).await?;
            Ok(Applied::wrote(row).with(Answer::Set))
        }
        Step::Record { upgrader, uid, last_set } => {
            let text = serde_json::to_string(&last_set).unwrap_or_default();
            // The uid refuses the write where the object was replaced by a namesake.
            let body = json!({"metadata": {"uid": uid, "annotations": {LAST_SET_ANNOTATION: text}}});
            let place = Place::of(cluster_upgrader::KIND);
            let row = shell.patch::<UpgraderRow>(&place, &upgrader, None, &Patch::Merge(body)).await?;
            Ok(Applied::wrote(row).with(Answer::Recorded))
        }
    }
}
