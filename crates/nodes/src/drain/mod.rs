//! What becomes of each pod of a node that is drained.
//!
//! [`fate`] says it of one pod; [`plan`] of all, with the PodDisruptionBudgets over them. No pod is evicted while one of them is
//! refused or is under a budget that can never be met: that is found before the first pod leaves, and again at every look.
//! Otherwise pods leave as their budgets let them, and the drain waits for their exit; what has not left at the deadline is
//! dealt with as [`AtDeadline`] says.

pub mod budget;
mod fate;
mod plan;
#[cfg(test)]
mod tests;

use std::time::Duration;

use domain::object::ObjectKey;
use jiff::Timestamp;

pub use self::fate::{Fate, Why, fate};
pub use self::plan::{How, Plan, Removal, plan};

/// What a pod is to the operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// A pod of a user.
    #[default]
    Workload,
    /// The pod that this controller runs in.
    Controller,
    /// A pod that reboots a node, of any operation.
    Reboot,
    /// A preflight pod or a Job's pod of this operation.
    Operation,
}

/// `status.phase` of a pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Not started yet.
    Pending,
    /// Started.
    #[default]
    Running,
    /// Ended well.
    Succeeded,
    /// Ended badly.
    Failed,
    /// Its node does not tell.
    Unknown,
}

/// A pod on the node.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    /// Namespace and name.
    pub key: ObjectKey,
    /// Its uid: a removal that names it removes no successor of the same name.
    pub uid: Box<str>,
    /// What it is to the operation.
    pub role: Role,
    /// It has an owner that manages it.
    pub owned: bool,
    /// One of its owners is a DaemonSet.
    pub daemon: bool,
    /// It mirrors a static pod: the annotation `kubernetes.io/config.mirror`.
    pub mirror: bool,
    /// `status.phase`.
    pub phase: Phase,
    /// Its Ready condition is True.
    pub ready: bool,
    /// `metadata.deletionTimestamp`: by when it should have left, the grace period included.
    pub leaving_by: Option<Timestamp>,
    /// It has a volume of type emptyDir.
    pub empty_dir: bool,
    /// A selector of the dialect, or a namespace that it leaves alone, takes the pod out of the drain.
    pub left_out: bool,
    /// The API server refused its eviction; not before this time again.
    pub not_before: Option<Timestamp>,
}

/// What to do with pods that nothing would create anew elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unowned {
    /// They stay.
    #[default]
    Skip,
    /// They stop the drain, as `kubectl drain` without `--force`.
    Refuse,
    /// They go like others.
    Remove,
}

/// What to do with pods that would lose data in an emptyDir.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EmptyDir {
    /// They go like others. The default, since an upgrade whose kind has no word for emptyDir must not begin to stop at such pods.
    #[default]
    Remove,
    /// They stop the drain, before the first pod leaves.
    Refuse,
}

/// How a drain goes about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Pods of DaemonSets go as well; they come back at once, so it is rarely meant.
    pub daemons_too: bool,
    /// Pods without an owner.
    pub unowned: Unowned,
    /// Pods with an emptyDir.
    pub empty_dir: EmptyDir,
    /// Seconds of grace for every pod, instead of its own.
    pub grace_seconds: Option<u32>,
    /// Delete instead of evicting: budgets are not asked.
    pub delete: bool,
    /// A pod is not awaited any longer, this long after it should have left.
    pub give_up_leaving: Option<Duration>,
}

/// What becomes of pods that have not left at the deadline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AtDeadline {
    /// The operation fails on this node.
    #[default]
    Fail,
    /// They are deleted, whatever their budgets say, with their grace. A refused pod still fails the operation.
    Force,
    /// They stay, and the operation goes on.
    Skip,
}
