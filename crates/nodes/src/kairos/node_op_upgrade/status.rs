//! The status and the Events of an upgrade.

use std::borrow::Cow;

use api::kairos::message::upgrade as sentence;
use api::kairos::node_op::{self, NodeOpRow};
use api::kairos::node_op_upgrade::{DONE, Reason, Status};
use api::kairos::{OperationPhase, UpgradePhase};
use domain::condition::{self, Shape, whole_seconds};
use domain::object::ObjectRef;
use domain::verdict::{Note, Reason as _, Severity, Then, Verdict, Waiting};
use jiff::Timestamp;
use runtime::room::Report;
use runtime::status::merge_patch;

use super::apply::Step;
use super::decide::{edited, is_complete};
use super::observe::{Found, Observed};

/// The Event for the NodeOp that was made.
const CREATED_NODE_OP: &str = "CreatedNodeOp";

pub(super) fn report(observed: &Observed, verdict: &Verdict<Step, Reason>, now: Timestamp) -> Report {
    let upgrade = &observed.upgrade;
    let before = &upgrade.status;
    let done = done(observed);
    let wanted = condition::of(Shape::ReadyAndUpToDate, &verdict.then, (DONE, &done));
    let conditions = condition::settle(&before.conditions, wanted, upgrade.meta.generation, now);
    let mut status = Status {
        waiting: Waiting::of(before.waiting.as_ref(), &verdict.then, now),
        conditions,
        observed_generation: Some(upgrade.meta.generation),
        ..course(observed, verdict)
    };
    let notes = notes(observed, verdict, &status, &done);
    // A new time alone is no change.
    if *before != status {
        status.last_updated = Some(whole_seconds(now));
    }
    Report { status: merge_patch(before, &status), notes }
}

/// The fields that the original has, and the counts: those of the NodeOp, once there is one. What cannot be seen, and what is
/// on its way to being deleted, leaves them as they were.
fn course(observed: &Observed, verdict: &Verdict<Step, Reason>) -> Status {
    let before: Status = (*observed.upgrade.status).clone();
    match (&observed.node_op, verdict.then.because()) {
        (Found::Own(node_op), _) if !node_op.meta.deleting && !node_op.status.is_unreadable() => {
            let (phase, message) = phase(node_op);
            let mut node_statuses = before.node_statuses;
            // As the original, which never takes an entry away.
            node_statuses.extend(node_op.status.node_statuses.clone());
            Status {
                phase: Some(phase),
                message: Some(Cow::Borrowed(message)),
                node_op_name: Some((&*node_op.meta.key.name).into()),
                node_statuses,
                counts: node_op.status.counts,
                ..before
            }
        }
        // Without a name: an upgrade that has ended has one, and is not begun again.
        (_, Some(because)) if because.reason == Reason::NodeOpNameTaken => Status {
            phase: Some(UpgradePhase::Failed),
            message: Some(Cow::Owned(because.to_string())),
            node_op_name: None,
            ..before
        },
        _ => before,
    }
}

fn phase(node_op: &NodeOpRow) -> (UpgradePhase, &'static str) {
    match &node_op.status.phase {
        None => (UpgradePhase::Initializing, sentence::CREATED),
        Some(OperationPhase::Pending) => (UpgradePhase::Pending, sentence::PENDING),
        Some(OperationPhase::Failed) => (UpgradePhase::Failed, sentence::FAILED),
        Some(OperationPhase::Completed) if is_complete(node_op) => {
            (UpgradePhase::Completed, sentence::COMPLETED)
        }
        Some(OperationPhase::Running | OperationPhase::Completed) => {
            (UpgradePhase::Running, sentence::RUNNING)
        }
        Some(OperationPhase::Other(word)) if word.is_empty() => {
            (UpgradePhase::Initializing, sentence::CREATED)
        }
        Some(OperationPhase::Other(word)) => (UpgradePhase::from(&**word), sentence::RUNNING),
    }
}

/// What is said of an upgrade that is done.
fn done(observed: &Observed) -> String {
    let Found::Own(node_op) = &observed.node_op else {
        return "its NodeOp was deleted after it had ended".to_owned();
    };
    let says = condition::find(&node_op.status.conditions, condition::UP_TO_DATE);
    let says = says.filter(|condition| condition.status == condition::Status::True);
    let message = says.map(|condition| &*condition.message).filter(|message| !message.is_empty());
    format!("{}{}", message.unwrap_or("its NodeOp has completed"), edited(observed))
}

/// One Event for the NodeOp, one for the end, and one for each new trouble.
fn notes(observed: &Observed, verdict: &Verdict<Step, Reason>, after: &Status, done: &str) -> Vec<Note> {
    let upgrade = &observed.upgrade;
    let before = &upgrade.status;
    let node_op = match &observed.node_op {
        Found::Own(node_op) => Some(ObjectRef::of(node_op::KIND, &node_op.meta)),
        _ => None,
    };
    let mut notes = Vec::new();
    if let Some(made) =
        node_op.clone().filter(|_| before.node_op_name.is_none() && after.node_op_name.is_some())
    {
        notes.push(Note {
            severity: Severity::Normal,
            reason: CREATED_NODE_OP,
            message: format!("created NodeOp {}", made.key.name),
            occurrence: made.uid.to_string(),
            related: Some(made),
        });
    }
    let Some(changed) = condition::changed(&before.conditions, &after.conditions, condition::READY)
        .or_else(|| condition::changed(&before.conditions, &after.conditions, condition::UP_TO_DATE))
    else {
        return notes;
    };
    let (severity, reason, message) = match &verdict.then {
        Then::Done => (Severity::Normal, DONE, done.to_owned()),
        Then::Failed(because) => (Severity::Warning, because.reason.name(), because.to_string()),
        Then::Wait(_) => return notes,
    };
    let occurrence = format!("{} {}", upgrade.meta.generation, changed.last_transition_time);
    notes.push(Note { severity, reason, message, occurrence, related: node_op });
    notes
}
