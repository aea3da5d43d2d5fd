//! Where a node stands, from what is.

use std::time::Duration;

use jiff::Timestamp;

use super::facts::{Check, Drains, Facts, Node, Policy, RebootPod, Reboots, Work};
use super::{End, Failure, Outcome, Ran, Reach, State, next};
use crate::admit::Standing;
use crate::after;
use crate::cordon::{self, Claim, Undo};
use crate::drain::{AtDeadline, Plan, plan};
use crate::reason::Reason;

/// How long the word of a reboot pod that we did not make is not believed: a node that goes down is found not Ready after 40 s
/// (the default of the node controller), and its pods have some time to end before.
const CLAIM_SETTLES: Duration = Duration::from_secs(120);

/// Where the node stands. Nothing but the arguments counts, and every combination of them has a state.
pub fn state(facts: &Facts, policy: &Policy, now: Timestamp) -> State {
    let record = &facts.record;
    match &record.end {
        Some(End::Done(outcome)) => return State::Done(outcome.clone()),
        Some(End::Failed(failure)) => return State::Failed(failure.clone()),
        None => {}
    }
    let begun = has_begun(facts, policy);
    let Some(node) = present(facts) else {
        return if begun || facts.wanted { State::Done(Outcome::Removed) } else { State::Idle };
    };
    if facts.deleted {
        return State::Done(Outcome::Stopped);
    }
    if !begun {
        return if facts.wanted { State::Requested } else { State::Idle };
    }
    if let Some(ran) = &record.ran {
        return after_work(facts, policy, node, ran, now);
    }
    if has_started(facts, policy) {
        return match &facts.work {
            Work::Failed(text) => failed(Reason::WorkFailed, text, Reach::Worked),
            Work::Absent | Work::Leaving => failed(Reason::WorkLost, "", Reach::Worked),
            Work::Needless(text) if record.started => State::Done(Outcome::Skipped(text.clone())),
            Work::Running | Work::Stuck(_) | Work::Succeeded { .. } | Work::Needless(_) => State::Running,
        };
    }
    before_work(facts, policy, node, now)
}

/// Where the node stands, as others count it. It has a place from its approval until nothing more is to be done on it: also
/// after its end was written, as long as something of it is left.
pub fn standing(facts: &Facts, policy: &Policy, now: Timestamp) -> Standing {
    let over = facts.record.end.is_some() && next(facts, policy, now).steps.is_empty();
    match (state(facts, policy, now), over) {
        (State::Idle, _) => Standing::Unwanted,
        (State::Requested, _) => Standing::Waiting,
        // It was wanted, and went before it had begun.
        (State::Done(Outcome::Removed), _) if !has_begun(facts, policy) => Standing::Done,
        (State::Done(_), true) => Standing::Done,
        (State::Failed(_), true) => Standing::Failed,
        (State::Failed(_), false) => Standing::Failing,
        _ => Standing::InFlight,
    }
}

/// The Node that was approved, if it is still that one.
pub(super) fn present(facts: &Facts) -> Option<&Node> {
    let node = facts.node.as_ref()?;
    let same = |uid: &str| uid.is_empty() || node.uid.is_empty() || *uid == *node.uid;
    facts.record.approved.as_ref().is_none_or(|approval| same(&approval.node_uid)).then_some(node)
}

/// Whether anything of the operation is on the node, written down or seen. What is seen counts like what was written: a
/// record may be lost, and the node would else be given to the next as if nothing had happened.
pub(super) fn has_begun(facts: &Facts, policy: &Policy) -> bool {
    let claimed = facts.node.as_ref().is_some_and(|node| node.cordon.is_claimed_by(&facts.owner));
    facts.record.approved.is_some()
        || facts.record.ran.is_some()
        || claimed
        || has_started(facts, policy)
        || !matches!(facts.preflight, Check::Absent | Check::Leaving)
        || facts.reboot.may_act()
}

/// Whether the command was seen on the node.
pub(super) fn has_started(facts: &Facts, policy: &Policy) -> bool {
    policy.work && (facts.record.started || facts.work != Work::Absent)
}

/// The drain as it stands, where there is one and the pods were read.
pub(super) fn drain_plan(facts: &Facts, policy: &Policy, now: Timestamp) -> Option<Plan> {
    let drains = drains(policy)?;
    let pods = facts.pods.as_ref()?;
    let past = past_deadline(facts, drains, now).then_some(drains.at_deadline);
    Some(plan(&pods.pods, &pods.budgets, &drains.options, past, now))
}

/// How the node is drained; a node that is not cordoned is not.
pub(super) fn drains(policy: &Policy) -> Option<&Drains> {
    policy.drain.as_ref().filter(|_| policy.cordon)
}

fn past_deadline(facts: &Facts, drains: &Drains, now: Timestamp) -> bool {
    let (Some(since), Some(deadline)) = (facts.record.drain_since, drains.deadline) else { return false };
    after(since, deadline) <= now
}

fn before_work(facts: &Facts, policy: &Policy, node: &Node, now: Timestamp) -> State {
    let record = &facts.record;
    if policy.preflight && !record.checked {
        return match &facts.preflight {
            Check::Skip(text) => State::Done(Outcome::Skipped(text.clone())),
            Check::Failed(text) => failed(Reason::PreflightFailed, text, Reach::Untouched),
            Check::Absent => State::Approved,
            Check::Running | Check::Stuck(_) | Check::Passed | Check::Leaving => State::Preflight,
        };
    }
    if arms(policy).is_some()
        && let RebootPod::Failed(text) = &facts.reboot
    {
        return failed(Reason::RebootPodFailed, text, Reach::Untouched);
    }
    if let Some(drains) = drains(policy)
        && past_deadline(facts, drains, now)
        && let Some(plan) = drain_plan(facts, policy, now)
        && !plan.is_over()
    {
        // Past it, a refused pod hinders also where force was asked for.
        let over = drains.at_deadline == AtDeadline::Fail || plan.hindrance.is_some();
        if over {
            // Pods that keep coming to the node are held back by nothing.
            let left = || plan.remove.first().map(|pod| format!("Pod {} is on the node", pod.pod));
            let why = plan.because().map(ToString::to_string).or_else(left).unwrap_or_default();
            return failed(Reason::DrainTimedOut, &why, Reach::Untouched);
        }
    }
    let claim = cordon::claim(&node.cordon, &facts.owner);
    match (claim, record.drain_since) {
        (Claim::Ours | Claim::Foreign, Some(since)) if policy.cordon => State::Draining { since },
        (Claim::Ours | Claim::Foreign, None) if policy.cordon => {
            State::Cordoned { ours: claim == Claim::Ours }
        }
        _ => State::Approved,
    }
}

fn after_work(facts: &Facts, policy: &Policy, node: &Node, ran: &Ran, now: Timestamp) -> State {
    let record = &facts.record;
    if record.verified.is_none() {
        if let Some(reboots) = &policy.reboot {
            let late = record.asked.is_some_and(|asked| after(asked.at, reboots.deadline) <= now);
            if !has_rebooted(facts, node, ran, now) {
                return match &facts.reboot {
                    // One that was never told is not late: the process may have died between the mark and the asking.
                    _ if late && !can_be_told(facts, reboots, node) => {
                        failed(Reason::RebootTimedOut, "", Reach::Rebooted)
                    }
                    RebootPod::Failed(text) if record.asked.is_none() && record.adopted.is_none() => {
                        failed(Reason::RebootPodFailed, text, Reach::Worked)
                    }
                    _ => State::Rebooting { from: ran.boot_id.clone() },
                };
            }
            if !node.ready {
                return if late {
                    failed(Reason::NotReadyAfterReboot, "", Reach::Rebooted)
                } else {
                    State::Verifying
                };
            }
        } else if policy.ready && !node.ready {
            return State::Verifying;
        }
    }
    if policy.pause.is_zero() {
        return State::Done(Outcome::Completed);
    }
    match record.verified.map(|at| after(at, policy.pause)) {
        None => State::Verifying,
        Some(until) if now < until => State::Cooling { until },
        Some(_) => State::Done(Outcome::Completed),
    }
}

/// Whether that which reboots the node is there, hears, and was not told to. An agent of a node that is not Ready is not told:
/// it may be on its way down already, and would reboot again.
pub(super) fn can_be_told(facts: &Facts, reboots: &Reboots, node: &Node) -> bool {
    let hears = if reboots.arm {
        facts.reboot == RebootPod::Armed
    } else {
        facts.reboot == RebootPod::Absent && node.ready
    };
    hears && facts.record.adopted.is_none()
}

/// Whether the node runs on another boot than the one under which its command ended. Of an adopted node the boot at adoption
/// counts, since its command may have ended before it was looked at. Its reboot pod is believed as well, which may have done
/// its work before the adoption; but not at once, since it says so before the node goes down.
fn has_rebooted(facts: &Facts, node: &Node, ran: &Ran, now: Timestamp) -> bool {
    if let Some(settled) = claim_settles(facts)
        && settled <= now
    {
        return true;
    }
    let from = facts.record.adopted.as_ref().unwrap_or(&ran.boot_id);
    !from.is_empty() && !node.boot_id.is_empty() && *from != node.boot_id
}

/// When the word of an adopted node's reboot pod is believed, if it has given it.
pub(super) fn claim_settles(facts: &Facts) -> Option<Timestamp> {
    let adopted = facts.record.adopted.is_some() && facts.reboot == RebootPod::Claimed;
    facts.record.asked.filter(|_| adopted).map(|asked| after(asked.at, CLAIM_SETTLES))
}

/// How the node is rebooted by a pod of ours that is put in place before.
pub(super) fn arms(policy: &Policy) -> Option<&Reboots> {
    policy.reboot.as_ref().filter(|reboots| reboots.arm)
}

/// What undoing our cordon takes.
pub(super) fn cordon_left(facts: &Facts) -> Undo {
    // A successor of the same name has no cordon of ours, unless the annotation says so; then it is ours to undo.
    facts.node.as_ref().map_or(Undo::Nothing, |node| cordon::undo(&node.cordon, &facts.owner))
}

fn failed(reason: Reason, detail: &str, reach: Reach) -> State {
    State::Failed(Failure { reason, detail: detail.into(), reach })
}
