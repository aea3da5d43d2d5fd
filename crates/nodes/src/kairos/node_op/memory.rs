//! What is kept of a NodeOp between passes, and of all NodeOps together. All of it is lost with the process, and found again
//! by the next one.

use std::collections::BTreeMap;
use std::time::Duration;

use api::kairos::node_op::Reason;
use api::kairos::reboot_binding::RebootBindingRow;
use api::kairos::reboot_role::RebootRoleRow;
use domain::object::{Meta, ObjectKey};
use domain::verdict::Reason as _;
use jiff::Timestamp;
use runtime::answer::Refusal;
use runtime::clock::{after, within};
use runtime::room::Recall;

use super::NodeOpRoom;
use super::apply::{Answer, Step};
use super::evictions::{Evictions, Look};
use super::manifest::Made;

/// When what the API server refused is tried again, at first and at the longest: what refuses it may have changed, and nobody
/// tells of that.
const AGAIN: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(5 * 60));
/// The same of pods that a namespace does not admit.
const ADMIT_AGAIN: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(2 * 60));
/// How long a place counts as taken whose write had no answer.
const UNANSWERED: Duration = Duration::from_secs(60);

/// What is kept of a NodeOp.
#[derive(Debug, Default)]
pub struct Memory {
    /// Whether the API server admits its pods.
    pub(super) admitted: Option<Admitted>,
    /// Uid of the NodeOp whose reboot pods have their ServiceAccount, Role and RoleBinding.
    pub(super) access: Option<(Box<str>, usize)>,
    /// The original's binding.
    pub(super) binding: Binding,
    /// By name.
    pub(super) nodes: BTreeMap<Box<str>, OfNode>,
}

/// The ClusterRoleBinding that the original made for the reboot pods of a NodeOp.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Binding {
    /// It was not looked for.
    #[default]
    Unread,
    /// There is none.
    Absent,
    /// It is there.
    Present(RebootBindingRow),
}

/// The ClusterRole that the original made for all of its reboot pods.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Role {
    /// It was not looked for.
    #[default]
    Unread,
    /// It is gone, or is not ours to delete.
    Settled,
    /// It is there.
    Present(RebootRoleRow),
}

/// What is kept of a node.
#[derive(Debug, Default)]
pub struct OfNode {
    /// Its drain.
    pub(super) evictions: Evictions,
    /// A step on it was refused.
    pub(super) trouble: Option<Trouble>,
    /// It was written by somebody else in between, and is to be read.
    pub(super) reread: bool,
    /// It was read after its Job had succeeded.
    pub(super) read: bool,
    /// Its Job is gone: that was read live.
    pub(super) job_gone: bool,
    /// Uid of the NodeOp whose Job was made here.
    pub(super) made: Option<Box<str>>,
}

/// Whether the pods of a NodeOp are admitted, as a dry run says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// Uid and generation of the NodeOp.
    pub of: (Box<str>, i64),
    /// Why not, and until when they are not tried again.
    pub refused: Option<Trouble>,
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The word for it.
    pub reason: Reason,
    /// What was tried, and the server's words.
    pub message: String,
    /// Until when nothing is tried.
    pub until: Timestamp,
    /// How often in a row.
    pub times: u32,
}

/// What is kept of all NodeOps together.
#[derive(Debug, Default)]
pub struct Places {
    /// Nodes whose approval is under way, or had no answer.
    taken: BTreeMap<Box<str>, Place>,
    /// The original's role. Who puts the original back has it made anew, and the next process finds it.
    pub(super) role: Role,
}

#[derive(Debug)]
struct Place {
    of: ObjectKey,
    since: Timestamp,
}

impl Places {
    /// The NodeOp that is about to get a node, if it is another one.
    pub(super) fn taken(&self, node: &str, by: &ObjectKey, now: Timestamp) -> Option<&ObjectKey> {
        let place = self.taken.get(node)?;
        (place.of != *by && within(place.since, UNANSWERED, now)).then_some(&place.of)
    }

    /// A NodeOp is about to get nodes.
    pub(super) fn reserve(&mut self, of: &ObjectKey, nodes: &[Box<str>], now: Timestamp) {
        self.taken.retain(|_, place| within(place.since, UNANSWERED, now));
        for node in nodes {
            self.taken.insert(node.clone(), Place { of: of.clone(), since: now });
        }
    }

    /// It has them, which its status says, or has them not.
    fn settled(&mut self, of: &ObjectKey) {
        self.taken.retain(|_, place| place.of != *of);
    }
}

impl Memory {
    pub(super) fn node(&mut self, name: &str) -> &mut OfNode {
        self.nodes.entry(name.into()).or_default()
    }

    /// How many of the objects that give a reboot pod its rights are made.
    pub(super) fn access_made(&self, op: &Meta) -> usize {
        self.access.as_ref().filter(|(uid, _)| *uid == op.uid).map_or(0, |(_, made)| *made)
    }
}

/// Takes what a step brought. A refusal is remembered with the node that it is about, so that the others go on; what says
/// nothing about the step is left to the engine.
pub(super) fn learn(
    recall: Recall<'_, NodeOpRoom>,
    step: &Step,
    outcome: Result<Answer, &Refusal>,
    now: Timestamp,
) -> bool {
    let Recall { memory, shared } = recall;
    match step {
        Step::Write { op, .. } => {
            // Without an answer the write may have been made: the places stay taken for a while.
            if !matches!(outcome, Err(Refusal::Unavailable { .. })) {
                shared.settled(&op.key);
            }
            return outcome.is_ok();
        }
        Step::TryPod { op, .. } => {
            let of = (op.uid.clone(), op.generation);
            let refused = match outcome {
                Ok(_) => None,
                Err(Refusal::Unavailable { .. }) => return false,
                Err(refusal) => {
                    let before = memory.admitted.as_ref().and_then(|of| of.refused.as_ref());
                    Some(again(step, refusal, before, ADMIT_AGAIN, now))
                }
            };
            memory.admitted = Some(Admitted { of, refused });
            return true;
        }
        Step::Grant { op, nth, .. } if matches!(outcome, Ok(_) | Err(Refusal::AlreadyExists)) => {
            memory.access = Some((op.uid.clone(), nth + 1));
            return true;
        }
        Step::ReadBinding { .. } => {
            memory.binding = match outcome {
                Ok(Answer::Binding(row)) => Binding::Present(row),
                Err(Refusal::NotFound) => Binding::Absent,
                _ => return outcome.is_ok(),
            };
            return true;
        }
        Step::RemoveBinding { .. } => {
            let gone = matches!(outcome, Ok(_) | Err(Refusal::NotFound));
            if gone {
                memory.binding = Binding::Absent;
            }
            return gone;
        }
        Step::ReadRole | Step::RemoveRole { .. } => {
            // Whoever may not delete it is not held up by it.
            shared.role = match outcome {
                Ok(Answer::Role(row)) if row.is_the_originals && !row.meta.deleting => Role::Present(row),
                Err(Refusal::Unavailable { .. }) => return false,
                _ => Role::Settled,
            };
            return true;
        }
        Step::Hold { .. } | Step::LetGo { .. } => return outcome.is_ok(),
        _ => {}
    }
    let Some(name) = step.node() else { return outcome.is_ok() };
    let node = memory.node(name);
    match outcome {
        Ok(answer) => {
            // What was read before the next try says nothing about it.
            if runtime::room::Step::writes(step) {
                node.trouble = None;
            }
            match (step, answer) {
                (Step::ReadNode { .. }, _) => (node.reread, node.read) = (false, true),
                (_, Answer::Pods { pods, budgets }) => {
                    node.evictions.look = Some(Look::after(node.evictions.look.as_ref(), pods, budgets, now));
                }
                (Step::Remove { removal, .. }, _) => node.evictions.asked(&removal.uid, now),
                (Step::Create { made: Made::Job, op, .. }, _) => node.made = Some(op.uid.clone()),
                (Step::Delete { what: "Job", .. }, _) => node.made = None,
                (Step::Cordon { .. }, _) => node.evictions.anew(),
                _ => {}
            }
            true
        }
        Err(refusal) => match (step, refusal) {
            (Step::Cordon { .. } | Step::Uncordon { .. }, Refusal::Conflict | Refusal::NotFound) => {
                node.reread = true;
                matches!(refusal, Refusal::Conflict)
            }
            // 429: a budget, or a server that has too much to do. Either way this pod is asked again later.
            (Step::Remove { removal, .. }, Refusal::Unavailable { retry_after, .. }) => {
                node.evictions.refused(&removal.uid, *retry_after, now);
                true
            }
            // It is gone, or is another pod of its name: the next look says so.
            (Step::Remove { removal, .. }, Refusal::NotFound | Refusal::Conflict) => {
                node.evictions.asked(&removal.uid, now);
                true
            }
            (Step::ReadJob { .. }, Refusal::NotFound) => {
                node.job_gone = true;
                true
            }
            (Step::Delete { .. }, Refusal::NotFound | Refusal::Conflict) => false,
            (_, Refusal::Unavailable { .. }) => false,
            (_, refusal) => {
                node.trouble = Some(again(step, refusal, node.trouble.as_ref(), AGAIN, now));
                true
            }
        },
    }
}

/// A refusal after an earlier one, with a pause that doubles from the first of `pauses` to the second.
fn again(
    step: &Step,
    refusal: &Refusal,
    before: Option<&Trouble>,
    pauses: (Duration, Duration),
    now: Timestamp,
) -> Trouble {
    let times = before.map_or(1, |trouble| trouble.times.saturating_add(1));
    let pause = pauses.0.saturating_mul(1 << (times - 1).min(10)).min(pauses.1);
    let until = after(now, pause);
    let makes_pods = matches!(step, Step::TryPod { .. } | Step::Create { .. });
    let reason = match refusal {
        Refusal::AlreadyExists => Reason::NameTaken,
        Refusal::Forbidden(_) | Refusal::Admission { .. } if makes_pods && !is_rbac(refusal) => {
            Reason::PodsRefused
        }
        Refusal::Invalid(_) | Refusal::TestFailed(_) if makes_pods => Reason::PodsInvalid,
        refusal => refusal.trouble().map_or(Reason::ApiUnavailable, Reason::of_trouble),
    };
    Trouble { reason, message: format!("cannot {step}: {refusal}"), until, times }
}

/// Whether RBAC refuses it, and not admission: both answer with 403.
fn is_rbac(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::Forbidden(message) if message.contains(" cannot "))
}
