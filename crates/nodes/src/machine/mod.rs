//! The way of one node: where it stands, and what is to be done next.
//!
//! ```text
//! Idle ─▶ Requested ─▶ Approved ─▶ Preflight ─▶ Cordoned ─▶ Draining ─▶ Running ─▶ Rebooting ─▶ Verifying ─▶ Cooling ─▶ Done
//!                                      └────────────┴───────────┴───────────┴───────────┴────────────┴──────▶ Failed
//! ```
//!
//! A [`State`] is derived, never stored. What was stored could claim what is not: a process that dies between a write to the
//! cluster and the write of the word for it leaves the two apart, and the next one would have to guess which is right. So
//! [`state`] reads the objects (the cordon, the Job, the pods, the bootID), and beside them a [`Record`] of what objects do not
//! keep: that the node was approved, the clocks of its deadlines, its bootID before the reboot, how it ended. A mark of the
//! record is written only after what it tells of is true; the clock of a deadline before what it limits. A killed process costs at
//! most the same question again: each [`Action`] may be repeated, and is named until the facts show it done.
//!
//! *Architecture invariant:* the command is not run again once its Job was seen (`Record::started`), and before that the Job's
//! deterministic name holds; only a Job that somebody deletes before it was ever seen is made again. An ended record is never
//! left, whatever the facts become.
//!
//! Dialects differ in what the steps are, not in their order. `Preflight` is whatever is done on a node before it is disturbed:
//! a check, or the staging of an update. `Running` is a Job, or an agent that was told. A reboot is asked of a pod that was put
//! in place before ([`Reboots::arm`]), or by an annotation. Where an agent cordons and drains by itself, the policy has neither.

mod facts;
mod next;
mod state;
#[cfg(test)]
mod tests;

use std::fmt;

use jiff::Timestamp;

pub use self::facts::{
    Approval, Asked, Check, Drains, Facts, Node, Pods, Policy, Ran, RebootPod, Reboots, Record, Work,
};
pub use self::next::next;
pub use self::state::{standing, state};
use crate::cordon::Undo;
use crate::drain::Removal;
use crate::reason::Reason;

/// Where a node stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing is wanted of it.
    Idle,
    /// It is wanted, and waits for its turn.
    Requested,
    /// It has a place; nothing was done yet.
    Approved,
    /// It is being checked, or its update is being staged.
    Preflight,
    /// It is cordoned.
    Cordoned {
        /// By this operation.
        ours: bool,
    },
    /// Its pods leave.
    Draining {
        /// When the clock of the deadline began.
        since: Timestamp,
    },
    /// The command runs.
    Running,
    /// It is to reboot, or does.
    Rebooting {
        /// The bootID that must change.
        from: Box<str>,
    },
    /// It has done everything, and must be Ready again.
    Verifying,
    /// It is well, and is left alone before the next one starts.
    Cooling {
        /// Until when.
        until: Timestamp,
    },
    /// The way is over.
    Done(Outcome),
    /// The way is over.
    Failed(Failure),
}

impl State {
    /// The word for it, for logs and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Idle => "Idle",
            Self::Requested => "Requested",
            Self::Approved => "Approved",
            Self::Preflight => "Preflight",
            Self::Cordoned { .. } => "Cordoned",
            Self::Draining { .. } => "Draining",
            Self::Running => "Running",
            Self::Rebooting { .. } => "Rebooting",
            Self::Verifying => "Verifying",
            Self::Cooling { .. } => "Cooling",
            Self::Done(_) => "Done",
            Self::Failed(_) => "Failed",
        }
    }
}

/// How a way ended well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything was done.
    Completed,
    /// There was nothing to do, as this text says: the preflight has found that, and the node was not disturbed; or the command
    /// itself has, and the node is given back without a reboot.
    Skipped(Box<str>),
    /// The Node is gone, or is another one of the same name.
    Removed,
    /// The operation was deleted.
    Stopped,
}

/// Why a way ended badly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The word for it.
    pub reason: Reason,
    /// What is known beside it: a message of the Job, a pod and its budget. May be empty.
    pub detail: Box<str>,
    /// How far the node was changed by then.
    pub reach: Reach,
}

/// How far a node was changed when its way ended badly: whether it is given back to the scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Nothing ran on it: our cordon is always undone.
    Untouched,
    /// The command ran, and no reboot was asked for: our cordon is undone where [`Policy::uncordon_on_failure`] says so.
    Worked,
    /// It was asked to reboot: what it is now nobody knows. Our cordon stays until a person has looked, or the operation is
    /// deleted.
    Rebooted,
}

/// How a way ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Well.
    Done(Outcome),
    /// Badly.
    Failed(Failure),
}

/// What a mark of the record tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The preflight has passed.
    Checked,
    /// The clock of the drain begins.
    DrainSince(Timestamp),
    /// The command was seen on the node.
    Started,
    /// The command has succeeded, or there is none, and this was the bootID.
    Ran(Ran),
    /// A node that was taken over from another controller has rebooted during its command: this is the bootID to compare with.
    Adopted(Box<str>),
    /// The node is about to be asked to reboot; the clock of the reboot begins.
    Asked(Asked),
    /// The node is back and Ready; the clock of the pause begins.
    Verified(Timestamp),
}

/// What is left of an operation on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leftover {
    /// The preflight pod.
    Preflight,
    /// The command's Job, which has not ended.
    Work,
    /// The pod that would reboot the node.
    RebootPod,
}

/// The one thing to do next. Each may be repeated without harm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Write that the node has a place, with its uid: from then on others count it.
    Approve,
    /// Write a mark.
    Mark(Mark),
    /// Create the preflight pod, or stage the update.
    StartPreflight,
    /// Put in place what will reboot the node.
    ArmReboot,
    /// Cordon the node and write the owner, in one conditional write.
    Cordon,
    /// Read the pods of the node and the budgets over them, live.
    ReadPods,
    /// Remove these pods.
    Remove(Vec<Removal>),
    /// Create the command's Job under its deterministic name, or tell the agent.
    Run,
    /// Tell the armed pod, or the agent, to reboot the node.
    Reboot,
    /// Undo our cordon.
    Uncordon(Undo),
    /// Delete something that is left.
    CleanUp(Leftover),
    /// Take the approval back: the node is no longer wanted, and nothing of the operation is left on it.
    Release,
    /// Write how it ended.
    End(End),
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Approve => f.write_str("give it a place"),
            Self::Mark(mark) => f.write_str(match mark {
                Mark::Checked => "note that the preflight has passed",
                Mark::DrainSince(_) => "note that the drain begins",
                Mark::Started => "note that the command was started",
                Mark::Ran(_) => "note that everything was run",
                Mark::Adopted(_) => "note the bootID of the adopted node anew",
                Mark::Asked(_) => "note that the reboot is asked for",
                Mark::Verified(_) => "note that the node is back",
            }),
            Self::StartPreflight => f.write_str("start the preflight"),
            Self::ArmReboot => f.write_str("create the reboot pod"),
            Self::Cordon => f.write_str("cordon"),
            Self::ReadPods => f.write_str("read its pods"),
            Self::Remove(removals) => {
                let shown: Vec<String> = removals.iter().map(ToString::to_string).collect();
                f.write_str(&shown.join(", "))
            }
            Self::Run => f.write_str("run the command"),
            Self::Reboot => f.write_str("ask for the reboot"),
            Self::Uncordon(Undo::Forget) => f.write_str("give up the claim to the cordon"),
            Self::Uncordon(_) => f.write_str("uncordon"),
            Self::CleanUp(Leftover::Preflight) => f.write_str("delete the preflight pod"),
            Self::CleanUp(Leftover::Work) => f.write_str("delete the Job"),
            Self::CleanUp(Leftover::RebootPod) => f.write_str("delete the reboot pod"),
            Self::Release => f.write_str("take its place back"),
            Self::End(end) => write!(f, "{end}"),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(Outcome::Completed) => f.write_str("note that it is completed"),
            Self::Done(Outcome::Skipped(why)) => write!(f, "note that it is skipped: {}", why.trim()),
            Self::Done(Outcome::Removed) => f.write_str("note that the node is gone"),
            Self::Done(Outcome::Stopped) => f.write_str("note that it is stopped"),
            Self::Failed(failure) => write!(f, "note that it failed: {}", failure.because().message),
        }
    }
}
