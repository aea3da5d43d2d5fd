//! The dialect of kairos-operator: `NodeOp` and `NodeOpUpgrade`, and the labels of the nodes that run Kairos.
//!
//! Each folder is a room. What they share is what the environment and the flags of the manager say.

use std::time::Duration;

use domain::object::ObjectKey;

/// What the environment of the manager says, by the names that kairos-operator has for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `CONTROLLER_POD_NAMESPACE`: where the manager runs, and the labeler.
    pub namespace: Box<str>,
    /// The pod that the manager runs in, `CONTROLLER_POD_NAMESPACE` and `CONTROLLER_POD_NAME`: no drain removes it.
    pub pod: Option<ObjectKey>,
    /// `OPERATOR_IMAGE`: the manager's own image. Reboot pods run it.
    pub operator_image: Box<str>,
    /// `NODEOP_DEFAULT_IMAGE`: what a command runs in whose NodeOp names no image.
    pub default_image: Box<str>,
    /// `NODE_LABELER_IMAGE`: an image with the manager in it, which labels nodes.
    pub labeler_image: Box<str>,
    /// One control-plane node at a time, and none while another is not Ready, whatever a NodeOp's concurrency.
    pub one_control_plane_at_a_time: bool,
    /// How long a drain may take where a NodeOp does not say; without it, as long as it takes.
    pub drain_timeout: Option<Duration>,
    /// How long after it was asked to reboot a node must be back and Ready.
    pub reboot_timeout: Duration,
    /// How long the node's own way to reboot has, before the kernel is asked; whole seconds, and one at least.
    pub orderly_reboot_timeout: Duration,
}

pub mod node_labeler;
pub mod node_op;
pub mod node_op_upgrade;

/// The image of commands where neither a NodeOp nor the environment names one.
pub const DEFAULT_IMAGE: &str = "busybox:latest";
