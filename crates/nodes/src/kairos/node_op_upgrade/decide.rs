//! Whether the NodeOp of an upgrade is to be made, and what its course means for the upgrade.

use api::kairos::node_op::{self, NodeOpRow};
use api::kairos::node_op_upgrade::{NodeOpUpgradeRow, Reason};
use api::kairos::{OperationPhase, UpgradePhase};
use domain::condition::{self, STALLED, Status, UP_TO_DATE};
use domain::object::ObjectRef;
use domain::verdict::{Because, Reason as _, Trouble, Verdict};

use super::apply::Step;
use super::manifest::manifest;
use super::observe::{Found, Hidden, Observed};

pub(super) fn decide(observed: &Observed) -> Verdict<Step, Reason> {
    let upgrade = &observed.upgrade;
    if upgrade.meta.deleting {
        return Verdict::wait(Because::new(Reason::Deleting, "the NodeOpUpgrade is being deleted"));
    }
    if let Some(error) = &upgrade.malformed {
        return Verdict::failed(Because::new(Reason::of_trouble(Trouble::Malformed), &**error));
    }
    if let Err(error) = &upgrade.selector {
        return Verdict::failed(Because::new(Reason::InvalidSelector, &**error));
    }
    match &observed.hidden {
        Some(Hidden::Forbidden(words)) => {
            let message = format!("cannot see NodeOps: {words}");
            return Verdict::failed(Because::new(Reason::of_trouble(Trouble::Forbidden), message));
        }
        Some(Hidden::NotInstalled) => {
            let because =
                Because::new(Reason::of_trouble(Trouble::ApiUnavailable), "the server has no NodeOps")
                    .unblock("install the CRD of NodeOp");
            return Verdict::failed(because);
        }
        None => {}
    }
    let gone = match &observed.node_op {
        Found::Own(node_op) => node_op.meta.deleting,
        _ => true,
    };
    if let Some(phase) = ended(upgrade).filter(|_| gone) {
        return over(phase);
    }
    match &observed.node_op {
        Found::Own(node_op) => course(observed, node_op),
        Found::Nothing => create(upgrade),
        Found::Former(node_op) => {
            let message = "the NodeOp of an earlier NodeOpUpgrade of this name is not deleted yet";
            Verdict::wait(Because::new(Reason::NodeOpDeleting, message).blocked_by(node_op.clone()))
        }
        Found::Foreign(node_op, true) => {
            let message = "a NodeOp of this name that is not of this NodeOpUpgrade is being deleted";
            Verdict::wait(Because::new(Reason::NodeOpDeleting, message).blocked_by(node_op.clone()))
        }
        Found::Foreign(node_op, false) => {
            let message = "the NodeOp of this name is not of this NodeOpUpgrade, and is left alone";
            let because = Because::new(Reason::NodeOpNameTaken, message)
                .blocked_by(node_op.clone())
                .unblock("delete the NodeOp, or give the NodeOpUpgrade another name");
            Verdict::failed(because)
        }
    }
}

/// How the upgrade ended, if it has: by its own status, so that it is known when the NodeOp is gone.
pub(super) fn ended(upgrade: &NodeOpUpgradeRow) -> Option<&UpgradePhase> {
    let status = &upgrade.status;
    let phase = status.phase.as_ref().filter(|_| status.node_op_name.is_some());
    phase.filter(|phase| matches!(phase, UpgradePhase::Completed | UpgradePhase::Failed))
}

/// It has ended, and its NodeOp was deleted: nothing is run again.
fn over(phase: &UpgradePhase) -> Verdict<Step, Reason> {
    if *phase == UpgradePhase::Completed {
        return Verdict::done();
    }
    let message = "the upgrade has failed, and its NodeOp was deleted";
    let because = Because::new(Reason::NodeOpFailed, message)
        .unblock("delete the NodeOpUpgrade and create it again to upgrade what is left");
    Verdict::failed(because)
}

fn create(upgrade: &NodeOpUpgradeRow) -> Verdict<Step, Reason> {
    let because = Because::new(Reason::CreatingNodeOp, "its NodeOp is being made");
    match manifest(upgrade) {
        Some(body) => Verdict::wait(because).step(Step::CreateNodeOp { key: upgrade.meta.key.clone(), body }),
        // Not reached: a selector that cannot be read was told before.
        None => Verdict::wait(because),
    }
}

/// What the NodeOp says. Its Completed counts once it has ended: the original writes it between two nodes.
fn course(observed: &Observed, node_op: &NodeOpRow) -> Verdict<Step, Reason> {
    let named = ObjectRef::of(node_op::KIND, &node_op.meta);
    if node_op.meta.deleting {
        let message = "its NodeOp is being deleted, and another is made after that";
        return Verdict::wait(Because::new(Reason::NodeOpDeleting, message).blocked_by(named));
    }
    let status = &node_op.status;
    let says = |type_: &str| condition::find(&status.conditions, type_);
    let edited = edited(observed);
    if is_complete(node_op) {
        return ended_with(observed, named);
    }
    let stalled = says(STALLED).filter(|condition| condition.status == Status::True);
    if let Some(stalled) = stalled {
        let message = format!("its NodeOp cannot go on: {}: {}{edited}", stalled.reason, stalled.message);
        return Verdict::failed(Because::new(Reason::NodeOpFailed, message).blocked_by(named));
    }
    if status.phase == Some(OperationPhase::Failed) {
        let message = format!("its NodeOp has failed on a node{edited}");
        return Verdict::failed(Because::new(Reason::NodeOpFailed, message).blocked_by(named));
    }
    let message = match says(UP_TO_DATE).filter(|condition| condition.status != Status::True) {
        Some(told) => format!("its NodeOp is not done: {}: {}{edited}", told.reason, told.message),
        None => format!("its NodeOp is not done{edited}"),
    };
    Verdict::wait(Because::new(Reason::NodeOpInProgress, message).blocked_by(named))
}

/// Everything is done of what its NodeOp was made of. Who changes the image of an upgrade wants the nodes to have it, and is told
/// that they do not.
fn ended_with(observed: &Observed, node_op: ObjectRef) -> Verdict<Step, Reason> {
    if !observed.edited.contains(&"image") {
        return Verdict::done();
    }
    let message = "the upgrade has ended with the image of its NodeOp, and spec.image is another one";
    let because = Because::new(Reason::ImageNotApplied, message).blocked_by(node_op);
    Verdict::failed(because.unblock("make another NodeOpUpgrade for that image, or set this one back"))
}

/// Whether all of it is done.
pub(super) fn is_complete(node_op: &NodeOpRow) -> bool {
    let status = &node_op.status;
    status.phase == Some(OperationPhase::Completed) && status.finished_at.is_some()
}

/// For people, where the spec was edited after the NodeOp was made of it, or the NodeOp was.
pub(super) fn edited(observed: &Observed) -> String {
    if observed.edited.is_empty() {
        return String::new();
    }
    let fields = observed.edited.join(", ");
    format!("; it keeps what it was made of, and differs from this NodeOpUpgrade in spec: {fields}")
}
