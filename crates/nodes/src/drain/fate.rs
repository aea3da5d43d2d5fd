//! What becomes of one pod.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use super::{EmptyDir, Options, Phase, Pod, Role, Unowned};
use crate::after;

/// What becomes of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is evicted: the API server asks its budgets.
    Evict(Why),
    /// It is deleted: no budget is asked.
    Delete(Why),
    /// It leaves already, and is waited for.
    Awaited(Why),
    /// It stays.
    Skip(Why),
    /// It must not be removed, and so none is.
    Refuse(Why),
}

impl Fate {
    /// Why.
    pub fn why(self) -> Why {
        match self {
            Self::Evict(why)
            | Self::Delete(why)
            | Self::Awaited(why)
            | Self::Skip(why)
            | Self::Refuse(why) => why,
        }
    }
}

/// Why that becomes of a pod. Its `Display` completes "the pod ...".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// The controller runs in it.
    OwnPod,
    /// It reboots a node.
    RebootPod,
    /// It belongs to the operation.
    PartOfOperation,
    /// It mirrors a static pod, which no API call removes.
    Mirror,
    /// A DaemonSet would put it back at once.
    DaemonSet,
    /// It has ended.
    Finished,
    /// A selector or a namespace leaves it out.
    LeftOut,
    /// Nothing would create it anew.
    Unowned,
    /// It leaves already.
    Terminating,
    /// It should have left long ago.
    StuckTerminating,
    /// Its emptyDir would be lost.
    EmptyDir,
    /// It is a workload like others.
    Workload,
    /// By the options, pods are deleted.
    ByDeletion,
    /// The deadline has passed, and what is left is deleted.
    PastDeadline,
    /// The deadline has passed, and what is left stays.
    LeftAtDeadline,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OwnPod => "runs this controller",
            Self::RebootPod => "reboots a node",
            Self::PartOfOperation => "belongs to the operation",
            Self::Mirror => "mirrors a static pod",
            Self::DaemonSet => "belongs to a DaemonSet",
            Self::Finished => "has ended",
            Self::LeftOut => "is left out by a selector",
            Self::Unowned => "has no owner that would create it anew",
            Self::Terminating => "is terminating",
            Self::StuckTerminating => "should have terminated long ago",
            Self::EmptyDir => "would lose the data of its emptyDir",
            Self::Workload => "is a workload",
            Self::ByDeletion => "is to be deleted, by the options of the drain",
            Self::PastDeadline => "had not left at the deadline",
            Self::LeftAtDeadline => "had not left at the deadline, and stays",
        })
    }
}

/// What becomes of a pod, budgets aside. What is not subject to the drain is told first, so that such a pod is neither
/// awaited nor refused whatever else it is.
pub fn fate(pod: &Pod, options: &Options, now: Timestamp) -> Fate {
    match pod.role {
        Role::Controller => return Fate::Skip(Why::OwnPod),
        Role::Reboot => return Fate::Skip(Why::RebootPod),
        Role::Operation => return Fate::Skip(Why::PartOfOperation),
        Role::Workload => {}
    }
    if pod.mirror {
        return Fate::Skip(Why::Mirror);
    }
    if pod.daemon && !options.daemons_too {
        return Fate::Skip(Why::DaemonSet);
    }
    if matches!(pod.phase, Phase::Succeeded | Phase::Failed) {
        return Fate::Skip(Why::Finished);
    }
    if pod.left_out {
        return Fate::Skip(Why::LeftOut);
    }
    let unowned = !pod.owned && !pod.daemon;
    if unowned && options.unowned == Unowned::Skip {
        return Fate::Skip(Why::Unowned);
    }
    if let Some(by) = pod.leaving_by {
        return leaving(by, options.give_up_leaving, now);
    }
    if unowned && options.unowned == Unowned::Refuse {
        return Fate::Refuse(Why::Unowned);
    }
    if pod.empty_dir && options.empty_dir == EmptyDir::Refuse {
        return Fate::Refuse(Why::EmptyDir);
    }
    if options.delete { Fate::Delete(Why::ByDeletion) } else { Fate::Evict(Why::Workload) }
}

/// A pod that leaves is waited for, unless it should have left long ago.
pub(super) fn leaving(by: Timestamp, give_up: Option<Duration>, now: Timestamp) -> Fate {
    match give_up {
        Some(patience) if after(by, patience) <= now => Fate::Skip(Why::StuckTerminating),
        _ => Fate::Awaited(Why::Terminating),
    }
}
