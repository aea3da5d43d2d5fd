//! What a step rests on.

use std::time::Duration;

use domain::verdict::Because;
use jiff::Timestamp;

use super::End;
use crate::cordon::{Cordon, Owner};
use crate::drain::budget::Budget;
use crate::drain::{AtDeadline, Options, Pod};
use crate::reason::Reason;

/// What is known of one node and of the operation on it, all at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// Name of the Node.
    pub name: Box<str>,
    /// Who owns what is done to it.
    pub owner: Owner,
    /// The Node; nothing when it is gone.
    pub node: Option<Node>,
    /// The operation is wanted of this node. Once the command was seen to run it is carried through in any case.
    pub wanted: bool,
    /// The operation's object is being deleted: everything of it is undone, at any point.
    pub deleted: bool,
    /// Why admission does not let it start; nothing when it does. It counts only while the node is `Requested`.
    pub held: Option<Because<Reason>>,
    /// What was written down.
    pub record: Record,
    /// The preflight.
    pub preflight: Check,
    /// The command.
    pub work: Work,
    /// The pod that reboots the node, or the annotation that asks an agent to.
    pub reboot: RebootPod,
    /// The pods of the node and their budgets, as read since the last action on this node; nothing when not read.
    pub pods: Option<Pods>,
}

/// A Node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// `metadata.uid`.
    pub uid: Box<str>,
    /// Its cordon, and whose it is.
    pub cordon: Cordon,
    /// Its Ready condition is True.
    pub ready: bool,
    /// `status.nodeInfo.bootID`; empty when it reports none.
    pub boot_id: Box<str>,
}

/// What was written down of a node, in whichever form a dialect keeps it. Where a node goes its way again and again (an
/// update each time there is one), each way begins with an empty record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// It has a place.
    pub approved: Option<Approval>,
    /// The preflight has passed.
    pub checked: bool,
    /// When the clock of the drain began.
    pub drain_since: Option<Timestamp>,
    /// The command was seen.
    pub started: bool,
    /// The command has succeeded, or there is none.
    pub ran: Option<Ran>,
    /// The node was taken over from another controller in the middle, whose reboot pod reboots by itself: the bootID at that
    /// moment.
    pub adopted: Option<Box<str>>,
    /// The reboot was asked for.
    pub asked: Option<Asked>,
    /// When it was back and Ready.
    pub verified: Option<Timestamp>,
    /// How it ended.
    pub end: Option<End>,
}

/// That a node has a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// Uid of the Node; empty where a dialect does not keep it, and then a successor of the same name is taken for it.
    pub node_uid: Box<str>,
}

/// The state of the node when its command had succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// The bootID that a reboot must change. Empty where no reboot is wanted.
    pub boot_id: Box<str>,
}

/// That the reboot was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// When the clock of the reboot began.
    pub at: Timestamp,
}

/// How the preflight of a node stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Check {
    /// There is none.
    #[default]
    Absent,
    /// It runs.
    Running,
    /// Its pod does not start, for this reason.
    Stuck(Box<str>),
    /// The node is to be worked on.
    Passed,
    /// There is nothing to do on the node, as this text says.
    Skip(Box<str>),
    /// It failed.
    Failed(Box<str>),
    /// It is being deleted.
    Leaving,
}

/// How the command of a node stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Work {
    /// There is none.
    #[default]
    Absent,
    /// It runs.
    Running,
    /// Its pod does not start, for this reason.
    Stuck(Box<str>),
    /// It succeeded.
    Succeeded {
        /// The bootID that it ended under, where it tells.
        boot_id: Option<Box<str>>,
    },
    /// It succeeded and has changed nothing, as there was nothing to do: this text says why. What would follow a change does not.
    Needless(Box<str>),
    /// It failed for good.
    Failed(Box<str>),
    /// It is being deleted, and not by us.
    Leaving,
}

/// How that which reboots the node stands. Where an agent does it, `Absent` and `Asked` are all there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RebootPod {
    /// There is none; or the agent was not asked.
    #[default]
    Absent,
    /// It was created, and is not ready.
    Starting,
    /// It does not start, for this reason.
    Stuck(Box<str>),
    /// It waits to be asked.
    Armed,
    /// It was asked.
    Asked,
    /// It ended, and says that it has rebooted the node. Believed of adopted nodes alone, after a while.
    Claimed,
    /// It failed. No sign after it was asked: a shutdown may end it so.
    Failed(Box<str>),
    /// It is being deleted.
    Leaving,
}

impl RebootPod {
    /// It may still reboot the node.
    pub(super) fn may_act(&self) -> bool {
        matches!(self, Self::Starting | Self::Stuck(_) | Self::Armed | Self::Asked)
    }
}

/// The pods of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pods {
    /// All of them.
    pub pods: Vec<Pod>,
    /// The budgets over any of them.
    pub budgets: Vec<Budget>,
    /// Since when every look has shown the same, and nothing was removed; nothing where that is not known.
    pub unchanged_since: Option<Timestamp>,
}

/// What is done on a node, and how.
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Check it, or stage its update, before it is disturbed.
    pub preflight: bool,
    /// Cordon it.
    pub cordon: bool,
    /// Drain it. Only a node that is cordoned is drained.
    pub drain: Option<Drains>,
    /// There is a command.
    pub work: bool,
    /// Reboot it.
    pub reboot: Option<Reboots>,
    /// It must be Ready at the end, also where it is not rebooted.
    pub ready: bool,
    /// How long it is left alone at the end before its place is free.
    pub pause: Duration,
    /// Undo our cordon when the command failed, or what follows it before the reboot.
    pub uncordon_on_failure: bool,
    /// When pods that have not left are read again: they are read live, and watched by nobody.
    pub look_again: Duration,
}

/// How a node is drained.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drains {
    /// Which pods, and how.
    pub options: Options,
    /// How long pods have to leave; without it, it waits for as long as it takes. The clock begins before the node is cordoned,
    /// and also runs while a refused pod or a budget keeps the drain from its beginning.
    pub deadline: Option<Duration>,
    /// What happens then.
    pub at_deadline: AtDeadline,
}

/// How a node is rebooted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reboots {
    /// A pod is put in place before the node is disturbed, and asked later. Without it, an agent is asked.
    pub arm: bool,
    /// How long after it was asked the node must be back with another bootID and Ready.
    pub deadline: Duration,
}
