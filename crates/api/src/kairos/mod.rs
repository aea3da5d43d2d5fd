//! Group `operator.kairos.io`: operations on nodes, as kairos-operator v0.1.3 has them.
//!
//! Kinds, fields, defaults, labels, annotations, the finalizer, and the words and sentences of every status are the
//! original's: what it left in a cluster is read, and it reads what is left here. What is beyond it is optional and changes
//! nothing where it is absent.

use domain::object::Kind;

pub mod cordon;
pub mod labeler;
pub mod message;
pub mod node_job;
pub mod node_op;
pub mod node_op_upgrade;
pub mod node_status;
pub mod operation_pod;
pub mod pod_settings;
pub mod reboot_binding;
pub mod reboot_role;
mod status_schema;
mod words;

pub use self::words::{NodeOutcome, NodePhase, NodeReach, OperationPhase, RebootStatus, UpgradePhase};

/// API group of both kinds.
pub const GROUP: &str = "operator.kairos.io";
/// The one version.
pub const VERSION: &str = "v1alpha1";

/// Both kinds of the group.
pub const KINDS: [Kind; 2] = [node_op::KIND, node_op_upgrade::KIND];

/// Label on Jobs, preflight pods and reboot pods: name of the NodeOp. Not on the pods of Jobs.
pub const NODE_OP_LABEL: &str = "kairos.io/nodeop";
/// Label on Jobs, preflight pods and reboot pods: name of the node. Not on the pods of Jobs.
pub const NODE_LABEL: &str = "kairos.io/node";
/// Label on a reboot pod, with the value [`TRUE`]. A drain leaves every pod that has it, whatever its value.
pub const REBOOT_LABEL: &str = "kairos.io/reboot";
/// Label on a preflight pod, with the value [`TRUE`].
pub const PREFLIGHT_LABEL: &str = "kairos.io/preflight";
/// Value of a label that is a switch.
pub const TRUE: &str = "true";
/// Value of a label that is a switch.
pub const FALSE: &str = "false";
/// Label on a Node: `true` where the labeler works, `false` where it must not.
pub const MANAGED_LABEL: &str = "kairos.io/managed";
/// Label on the NodeOp of a NodeOpUpgrade: name of the NodeOpUpgrade.
pub const UPGRADE_NAME_LABEL: &str = "nodeopupgrade.kairos.io/name";
/// Label on the NodeOp of a NodeOpUpgrade, with the value [`UPGRADE_MANAGER`].
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";
/// Value of [`MANAGED_BY_LABEL`].
pub const UPGRADE_MANAGER: &str = "nodeopupgrade-controller";

/// Annotation on a Node that a NodeOp cordoned: a [`cordon::CordonOwner`].
pub const CORDONED_BY_ANNOTATION: &str = "operator.kairos.io/cordoned-by";
/// Annotation on a reboot pod: how far it is. [`REBOOT_DONE`] is all that counts; people set it by hand to free a node.
pub const REBOOT_STATE_ANNOTATION: &str = "kairos.io/reboot-state";
/// Value of [`REBOOT_STATE_ANNOTATION`]. The original's pod sets it right before it reboots.
pub const REBOOT_DONE: &str = "completed";
/// Annotation on a reboot pod of ours, which tells it to reboot its node: the boot ID that the node is to leave. A pod that
/// finds another one has nothing to do.
pub const REBOOT_FROM_ANNOTATION: &str = "operator.kairos.io/reboot-from";

/// Finalizer on a NodeOp with `rebootOnSuccess`.
pub const FINALIZER: &str = "nodeop-reboot.kairos.io/clusterrolebinding";
/// ClusterRole that the original made once, for all of its reboot pods: get and patch of pods.
pub const CLUSTER_ROLE: &str = "nodeop-reboot";
/// What the name of the original's ClusterRoleBinding begins with; then comes the name of the NodeOp, without its namespace.
pub const CLUSTER_ROLE_BINDING_PREFIX: &str = "nodeop-reboot-";
/// What the name of a reboot pod's ServiceAccount ends with; before it stands the name of the NodeOp.
pub const SERVICE_ACCOUNT_SUFFIX: &str = "-reboot";

/// Container of a Job that runs the command; an init container where the node reboots afterwards.
pub const OPERATION_CONTAINER: &str = "nodeop";
/// Container of the original's Jobs with a reboot: it leaves the file that the reboot pod waits for.
pub const SENTINEL_CONTAINER: &str = "sentinel-creator";
/// Volume that the original's Jobs leave the file in, and its reboot pods look for it.
pub const SENTINEL_VOLUME: &str = "sentinel-volume";
/// Container of our Jobs with a reboot: it tells the boot ID under which the command has ended, in its termination message.
pub const BOOT_ID_CONTAINER: &str = "boot-id";
/// Container of a preflight pod.
pub const PREFLIGHT_CONTAINER: &str = "preflight";
/// Container of a reboot pod.
pub const REBOOT_CONTAINER: &str = "reboot";
/// Environment variable of commands: where the node's `/` is mounted.
pub const HOST_DIR_ENV: &str = "HOST_DIR";
/// Environment variable of our reboot pods: how many seconds the node's own way to reboot has, before the kernel is asked.
pub const ORDERLY_REBOOT_ENV: &str = "ORDERLY_REBOOT_SECONDS";
/// `spec.hostMountPath` where it is absent.
pub const DEFAULT_HOST_MOUNT_PATH: &str = "/host";
/// `spec.backoffLimit` where it is absent.
pub const DEFAULT_BACKOFF_LIMIT: i32 = 6;
/// `spec.preflight.activeDeadlineSeconds` where it is absent.
pub const DEFAULT_PREFLIGHT_DEADLINE_SECONDS: i32 = 120;

/// A label on control-plane nodes, whatever its value: these go first.
pub const CONTROL_PLANE_LABELS: [&str; 2] =
    ["node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"];

const fn kind(kind: &'static str, plural: &'static str) -> Kind {
    Kind { group: GROUP, versions: &[VERSION], kind, plural }
}

#[cfg(test)]
mod tests;
