//! `Cluster`: what is upgraded. Read in v1beta2 or v1beta1, whichever the server prefers.

use domain::condition::Status;
use domain::object::{Kind, Meta, Row, WireMeta};

use super::Told;

mod variables;
pub(super) mod wire;

pub use self::variables::{Variable, Variables};
pub use self::wire::Wire;

/// The kind.
pub const KIND: Kind = super::kind("Cluster", "clusters");
/// Index: name of the class, where it is in the Cluster's namespace.
pub const CLASS_INDEX: &str = "class";
/// Annotation on any object of Cluster API: its controllers leave it alone; any value.
pub const PAUSED_ANNOTATION: &str = "cluster.x-k8s.io/paused";
/// Annotation on a Cluster: comma-separated names of hooks that have yet to be called.
pub const PENDING_HOOKS_ANNOTATION: &str = "runtime.cluster.x-k8s.io/pending-hooks";
/// The hook of [`PENDING_HOOKS_ANNOTATION`] that holds back every further upgrade.
pub const AFTER_CLUSTER_UPGRADE: &str = "AfterClusterUpgrade";
/// Annotation on a Cluster while an upgrade goes through several versions.
pub const UPGRADE_STEP_ANNOTATION: &str = "topology.internal.cluster.x-k8s.io/upgrade-step";
/// `status.phase` of a Cluster that is there.
pub const PROVISIONED: &str = "Provisioned";

/// A Cluster's class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// Name.
    pub name: Box<str>,
    /// Namespace, where it differs from the Cluster's.
    pub namespace: Option<Box<str>>,
}

/// A group of machines in the topology.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// The control plane.
    ControlPlane,
    /// A `MachineDeployment`, by its name in the topology.
    MachineDeployment(Box<str>),
    /// A `MachinePool`, by its name in the topology.
    MachinePool(Box<str>),
}

/// A variable that a group of machines has a value of its own for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// The group.
    pub group: Group,
    /// Name of the variable.
    pub variable: Box<str>,
}

/// `spec.topology`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    /// The class; `None` where it is not named.
    pub class: Option<Class>,
    /// The version as written.
    pub version: Box<str>,
    /// The variables; `None` where there is no list.
    pub variables: Option<Variables>,
    /// Every override of a variable.
    pub overrides: Box<[Override]>,
    /// Number of `MachineDeployments`.
    pub machine_deployments: usize,
    /// Number of `MachinePools`, which do not count into `RollingOut`.
    pub machine_pools: usize,
}

impl Topology {
    /// A variable with its place in the list.
    pub fn variable(&self, name: &str) -> Option<(usize, Variable<'_>)> {
        self.variables.as_ref()?.get(name)
    }
}

/// `spec.controlPlaneRef`, in the Cluster's namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlPlaneRef {
    /// API group; v1beta1 has a version as well, which is not the one to read it in.
    pub group: Box<str>,
    /// Kind.
    pub kind: Box<str>,
    /// Name.
    pub name: Box<str>,
}

/// How far one half of a Cluster is: its control plane, or its workers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Machines wanted; an autoscaler moves it.
    pub desired: Option<i32>,
    /// Machines there.
    pub replicas: Option<i32>,
    /// Machines that are as the spec has them.
    pub up_to_date: Option<i32>,
    /// The versions that its machines report, oldest first (Cluster API ≥ 1.14); `None` where not told.
    pub versions: Option<Vec<Box<str>>>,
    /// The versions that it has yet to go through (Cluster API ≥ 1.14); only while an upgrade runs.
    pub upgrade_plan: Vec<Box<str>>,
}

/// What is kept of a Cluster.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one observed fact, and they are independent")]
pub struct ClusterRow {
    /// Identity.
    pub meta: Meta,
    /// Why the Cluster could not be read; the fields below are then empty.
    pub malformed: Option<Box<str>>,
    /// Paused, by its spec or by annotation.
    pub paused: bool,
    /// `spec.topology`; `None` for a Cluster without a class.
    pub topology: Option<Topology>,
    /// The control plane object.
    pub control_plane_ref: Option<ControlPlaneRef>,
    /// `status.phase`.
    pub phase: Option<Box<str>>,
    /// The control plane has answered once.
    pub control_plane_initialized: bool,
    /// It has the conditions and counters of Cluster API ≥ 1.9. A Cluster that no controller has seen yet has none either.
    pub has_new_conditions: bool,
    /// The condition `TopologyReconciled`, of the newer kind where it is there.
    pub topology_reconciled: Option<Told>,
    /// The condition `RollingOut`; without `MachinePools`.
    pub rolling_out: Option<Status>,
    /// The control plane.
    pub control_plane: Progress,
    /// All workers.
    pub workers: Progress,
    /// The hook [`AFTER_CLUSTER_UPGRADE`] is pending.
    pub after_upgrade_hook_pending: bool,
    /// The annotation [`UPGRADE_STEP_ANNOTATION`] is set.
    pub in_upgrade_step: bool,
}

impl ClusterRow {
    fn of_meta(meta: &WireMeta) -> Self {
        let hooks = meta.annotation(PENDING_HOOKS_ANNOTATION).unwrap_or_default();
        Self {
            meta: meta.meta(),
            paused: meta.annotation(PAUSED_ANNOTATION).is_some(),
            after_upgrade_hook_pending: hooks.split(',').any(|hook| hook.trim() == AFTER_CLUSTER_UPGRADE),
            in_upgrade_step: meta.annotation(UPGRADE_STEP_ANNOTATION).is_some(),
            ..Self::default()
        }
    }
}

impl Row for ClusterRow {
    type Wire = Wire;

    fn from_wire(meta: &WireMeta, wire: Wire) -> Self {
        wire.fill(Self::of_meta(meta))
    }

    fn malformed(meta: &WireMeta, error: &str) -> Self {
        Self { malformed: Some(error.into()), ..Self::of_meta(meta) }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn references(&self, put: &mut dyn FnMut(&'static str, &str)) {
        let class = self.topology.as_ref().and_then(|topology| topology.class.as_ref());
        if let Some(class) = class.filter(|class| class.namespace.is_none()) {
            put(CLASS_INDEX, &class.name);
        }
    }
}
