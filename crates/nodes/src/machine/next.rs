//! The one thing to do next, or why there is none.

use std::time::Duration;

use domain::verdict::{Because, Then, Verdict};
use jiff::Timestamp;

use super::facts::{Asked, Check, Facts, Node, Policy, Ran, RebootPod, Work};
use super::state::{
    arms, can_be_told, claim_settles, cordon_left, drain_plan, drains, has_begun, has_started, present, state,
};
use super::{Action, End, Failure, Leftover, Mark, Outcome, Reach, State};
use crate::after;
use crate::cordon::{self, Claim, Undo};
use crate::reason::Reason;

type Next = Verdict<Action, Reason>;

/// A drain that waits is looked at again after this time, however long it has waited.
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_secs(120);
/// What part of the time for its reboot may be over when a node is told to.
const PROMPT: u32 = 10;

impl Failure {
    /// The failure, for people.
    pub fn because(&self) -> Because<Reason> {
        let text = match self.reason {
            Reason::PreflightFailed => "the preflight failed",
            Reason::DrainTimedOut => "the node could not be drained in time",
            Reason::WorkFailed => "the command failed",
            Reason::WorkLost => "the Job of the command was deleted before it had ended",
            Reason::RebootPodFailed => "the pod that was to reboot the node failed",
            Reason::RebootTimedOut => "the node did not reboot in time",
            Reason::NotReadyAfterReboot => "the node rebooted, and did not become Ready in time",
            _ => "the operation failed on the node",
        };
        match self.detail.trim() {
            "" => Because::new(self.reason, text),
            detail => Because::new(self.reason, format!("{text}: {detail}")),
        }
    }
}

/// What to do next with the node: at most one step, and beside it where the node is left until facts change. After the step
/// the facts are gathered anew.
pub fn next(facts: &Facts, policy: &Policy, now: Timestamp) -> Next {
    if facts.deleted {
        return undo_all(facts, None);
    }
    let state = state(facts, policy, now);
    if facts.record.end.is_some() {
        return tidy(facts, policy, &state);
    }
    let withdrawn = !facts.wanted && !has_started(facts, policy) && facts.record.ran.is_none();
    if withdrawn && has_begun(facts, policy) && present(facts).is_some() {
        return undo_all(facts, facts.record.approved.is_some().then_some(Action::Release));
    }
    let Some(node) = present(facts) else {
        return match state {
            State::Done(_) => end(End::Done(Outcome::Removed)),
            _ => Verdict::done(),
        };
    };
    match state {
        State::Idle => Verdict::done(),
        State::Requested => match &facts.held {
            None => works(Reason::Starting, "the node is given a place among those in operation")
                .step(Action::Approve),
            Some(because) => Verdict::wait(because.clone()),
        },
        // That there was nothing to do is told by what a person may delete: it is written down before anything is undone by it.
        State::Done(outcome @ Outcome::Skipped(_)) => end(End::Done(outcome)),
        State::Done(outcome) => completed(facts, outcome),
        State::Failed(failure) => end(End::Failed(failure)),
        // What is seen on the node proves that it had a place.
        _ if facts.record.approved.is_none() => {
            works(Reason::Starting, "the node is in operation, and its place is written anew")
                .step(Action::Approve)
        }
        State::Approved | State::Preflight | State::Cordoned { .. } | State::Draining { .. } => {
            before_work(facts, policy, node, now)
        }
        State::Running => running(facts, policy, node),
        State::Rebooting { from } => rebooting(facts, policy, node, &from, now),
        State::Verifying => verifying(facts, policy, node, now),
        State::Cooling { until } => match cordon_left(facts) {
            Undo::Nothing => {
                let message = "the node is back, and is left alone for a while";
                Verdict::wait(Because::new(Reason::CoolingDown, message).not_before(until))
            }
            undo => undoing().step(Action::Uncordon(undo)),
        },
    }
}

fn before_work(facts: &Facts, policy: &Policy, node: &Node, now: Timestamp) -> Next {
    let early =
        preflight(facts, policy).or_else(|| arm(facts, policy)).or_else(|| drain(facts, policy, node, now));
    if let Some(verdict) = early {
        return verdict;
    }
    if policy.work {
        return works(Reason::WorkRunning, "the command runs").step(Action::Run);
    }
    ran(policy, node, None)
}

fn preflight(facts: &Facts, policy: &Policy) -> Option<Next> {
    if !policy.preflight {
        return None;
    }
    if facts.record.checked {
        let left = !matches!(facts.preflight, Check::Absent | Check::Leaving);
        return left.then(|| undoing().step(Action::CleanUp(Leftover::Preflight)));
    }
    let runs = || works(Reason::PreflightRunning, "the preflight runs");
    Some(match &facts.preflight {
        Check::Absent => runs().step(Action::StartPreflight),
        Check::Stuck(text) => stuck("the preflight pod", text),
        Check::Passed => runs().step(Action::Mark(Mark::Checked)),
        _ => if_ready(facts, runs()),
    })
}

/// Puts in place what will reboot the node, while nothing has been done to it.
fn arm(facts: &Facts, policy: &Policy) -> Option<Next> {
    arms(policy)?;
    let starts = || works(Reason::RebootPodStarting, "the pod that will reboot the node is not ready yet");
    match &facts.reboot {
        RebootPod::Absent => Some(starts().step(Action::ArmReboot)),
        RebootPod::Starting | RebootPod::Leaving => Some(if_ready(facts, starts())),
        RebootPod::Stuck(text) => Some(stuck("the pod that will reboot the node", text)),
        RebootPod::Armed | RebootPod::Asked | RebootPod::Claimed | RebootPod::Failed(_) => None,
    }
}

/// Cordons and drains. What can never leave is found before the node is cordoned.
fn drain(facts: &Facts, policy: &Policy, node: &Node, now: Timestamp) -> Option<Next> {
    if !policy.cordon {
        return None;
    }
    let draining = || works(Reason::Draining, "the node is being drained");
    let Some(drains) = drains(policy) else { return cordon(facts, node) };
    let Some(since) = facts.record.drain_since else {
        return Some(draining().step(Action::Mark(Mark::DrainSince(now))));
    };
    let Some(plan) = drain_plan(facts, policy, now) else {
        return Some(draining().step(Action::ReadPods));
    };
    // Past a deadline there is one more look, and no further one is due at it.
    let deadline = drains.deadline.map(|deadline| after(since, deadline)).filter(|deadline| *deadline > now);
    let recheck = |verdict: Next| {
        let pause = pause(facts, policy, now);
        let look = plan.again.into_iter().chain(deadline).fold(after(now, pause), Timestamp::min);
        verdict.recheck(look)
    };
    if let Some(because) = &plan.hindrance {
        return Some(recheck(Verdict::wait(because.clone())));
    }
    if let Some(verdict) = cordon(facts, node) {
        return Some(verdict);
    }
    let then = plan.waits.clone().map_or_else(draining, Verdict::wait);
    if !plan.remove.is_empty() {
        return Some(recheck(then.step(Action::Remove(plan.remove.clone()))));
    }
    plan.waits.is_some().then(|| recheck(then))
}

/// How long the pods of a drain are left alone between two looks. Where nothing has changed for hours, nobody is asked every few
/// seconds; what changes then is seen a tenth later than it might be.
fn pause(facts: &Facts, policy: &Policy, now: Timestamp) -> Duration {
    let unchanged = facts.pods.as_ref().and_then(|pods| pods.unchanged_since);
    let waited = unchanged.map_or(Duration::ZERO, |since| now.duration_since(since).unsigned_abs());
    (waited / 10).clamp(policy.look_again, LOOK_AT_LEAST_EVERY.max(policy.look_again))
}

fn cordon(facts: &Facts, node: &Node) -> Option<Next> {
    match cordon::claim(&node.cordon, &facts.owner) {
        Claim::Ours | Claim::Foreign => None,
        Claim::Take => Some(works(Reason::Draining, "the node is cordoned").step(Action::Cordon)),
        Claim::Contested => {
            let claim = node.cordon.claim.as_deref().unwrap_or_default();
            let message = format!("{claim} claims the cordon of the node, which is schedulable");
            let because = Because::new(Reason::CordonContested, message).blocked_by(crate::node(&facts.name));
            Some(Verdict::wait(because.unblock("let it finish, or remove its annotation from the node")))
        }
    }
}

fn running(facts: &Facts, policy: &Policy, node: &Node) -> Next {
    let runs = || works(Reason::WorkRunning, "the command runs");
    if !facts.record.started {
        return runs().step(Action::Mark(Mark::Started));
    }
    match &facts.work {
        Work::Succeeded { boot_id } => ran(policy, node, boot_id.as_deref()),
        Work::Stuck(text) => stuck("the pod of the command", text),
        _ => match &facts.record.adopted {
            Some(boot_id) if *boot_id != node.boot_id && !node.boot_id.is_empty() => {
                runs().step(Action::Mark(Mark::Adopted(node.boot_id.clone())))
            }
            _ => if_ready(facts, runs()),
        },
    }
}

/// Notes the bootID that the reboot must change: the one under which the command ended, where it tells.
fn ran(policy: &Policy, node: &Node, told: Option<&str>) -> Next {
    let boot_id: &str = match (&policy.reboot, told) {
        (None, _) => "",
        (Some(_), Some(told)) if !told.is_empty() => told,
        (Some(_), _) if node.boot_id.is_empty() => {
            let message = "the node reports no bootID, by which its reboot would be proven";
            return Verdict::wait(Because::new(Reason::BootIdUnknown, message));
        }
        (Some(_), _) => &node.boot_id,
    };
    let then = works(Reason::WorkRunning, "the command has ended");
    then.step(Action::Mark(Mark::Ran(Ran { boot_id: boot_id.into() })))
}

fn rebooting(facts: &Facts, policy: &Policy, node: &Node, from: &str, now: Timestamp) -> Next {
    let Some(reboots) = &policy.reboot else { return Verdict::done() };
    let message = format!("the node is to come back with another bootID than {from}");
    let waits = || {
        Verdict::wait(Because::new(Reason::Rebooting, message.clone()).blocked_by(crate::node(&facts.name)))
    };
    let ask = || waits().step(Action::Mark(Mark::Asked(Asked { at: now })));
    let Some(asked) = facts.record.asked else {
        return match (&facts.record.adopted, reboots.arm) {
            (Some(_), _) => ask(),
            (None, true) => arm(facts, policy).unwrap_or_else(ask),
            (None, false) if facts.reboot == RebootPod::Absent && !node.ready => not_ready(facts),
            (None, false) => ask(),
        };
    };
    let deadline = after(asked.at, reboots.deadline);
    let untold = can_be_told(facts, reboots, node);
    // The node has all of its time from when it is told: where that was put off, the clock begins anew.
    if untold && after(asked.at, reboots.deadline / PROMPT) <= now {
        return ask();
    }
    let verdict = if untold { waits().step(Action::Reboot) } else { waits() };
    let verdict = verdict.recheck(deadline);
    let settles = claim_settles(facts).filter(|time| *time > now);
    settles.into_iter().fold(verdict, Verdict::recheck)
}

fn verifying(facts: &Facts, policy: &Policy, node: &Node, now: Timestamp) -> Next {
    let must_be_ready = policy.reboot.is_some() || policy.ready;
    if must_be_ready && !node.ready {
        let wait = not_ready(facts);
        let deadline = facts.record.asked.zip(policy.reboot);
        return match deadline {
            Some((asked, reboots)) => wait.recheck(after(asked.at, reboots.deadline)),
            None => wait,
        };
    }
    works(Reason::CoolingDown, "the node is back").step(Action::Mark(Mark::Verified(now)))
}

/// What is awaited of a kubelet, which does nothing while its node is not Ready.
fn if_ready(facts: &Facts, awaits: Next) -> Next {
    if present(facts).is_some_and(|node| node.ready) { awaits } else { not_ready(facts) }
}

fn not_ready(facts: &Facts) -> Next {
    let because = Because::new(Reason::NodeNotReady, "the node is not Ready");
    Verdict::wait(because.blocked_by(crate::node(&facts.name)))
}

/// Before the end is written nothing may be cordoned by us any more, or a place would be free too early.
fn completed(facts: &Facts, outcome: Outcome) -> Next {
    match cordon_left(facts) {
        Undo::Nothing => end(End::Done(outcome)),
        undo => undoing().step(Action::Uncordon(undo)),
    }
}

/// What an end leaves behind. What might reboot the node goes first.
fn tidy(facts: &Facts, policy: &Policy, state: &State) -> Next {
    let (keeps_cordon, then) = match state {
        State::Failed(failure) => {
            let keeps = match failure.reach {
                Reach::Untouched => false,
                Reach::Worked => !policy.uncordon_on_failure,
                Reach::Rebooted => true,
            };
            (keeps, Then::Failed(failure.because()))
        }
        _ => (false, Then::Done),
    };
    let gone = present(facts).is_none();
    let left = leftover(facts, gone || matches!(state, State::Done(Outcome::Stopped)));
    // What a person has undone is not kept: a later cordon would be taken for ours, and every other operation would wait.
    let undo = match cordon_left(facts) {
        Undo::Uncordon if keeps_cordon => Undo::Nothing,
        undo => undo,
    };
    let steps = match (left, undo) {
        (Some(left), _) => vec![Action::CleanUp(left)],
        (None, Undo::Nothing) => Vec::new(),
        (None, undo) => vec![Action::Uncordon(undo)],
    };
    Verdict { steps, then, recheck: None }
}

/// Undoes everything, and then takes the last step.
fn undo_all(facts: &Facts, last: Option<Action>) -> Next {
    if let Some(left) = leftover(facts, true) {
        return undoing().step(Action::CleanUp(left));
    }
    match (cordon_left(facts), last) {
        (Undo::Nothing, None) => Verdict::done(),
        (Undo::Nothing, Some(last)) => undoing().step(last),
        (undo, _) => undoing().step(Action::Uncordon(undo)),
    }
}

fn leftover(facts: &Facts, with_work: bool) -> Option<Leftover> {
    if facts.reboot.may_act() {
        Some(Leftover::RebootPod)
    } else if with_work && matches!(facts.work, Work::Running | Work::Stuck(_)) {
        Some(Leftover::Work)
    } else if matches!(facts.preflight, Check::Absent | Check::Leaving) {
        None
    } else {
        Some(Leftover::Preflight)
    }
}

fn end(end: End) -> Next {
    let then = match &end {
        End::Done(_) => Then::Done,
        End::Failed(failure) => Then::Failed(failure.because()),
    };
    Verdict { steps: vec![Action::End(end)], then, recheck: None }
}

fn works(reason: Reason, message: &str) -> Next {
    Verdict::wait(Because::new(reason, message))
}

fn undoing() -> Next {
    works(Reason::Undoing, "what the operation has made on the node is being undone")
}

fn stuck(what: &str, text: &str) -> Next {
    Verdict::wait(Because::new(Reason::PodNotStarting, format!("{what} does not start: {}", text.trim())))
}
