//! The status of an upgrader.

use api::upgrader::cluster_upgrader::{DONE, Reason, Status, UpgraderRow};
use domain::condition::{self, Condition, Shape, Wanted};
use domain::verdict::{Reason as _, Verdict, Waiting};
use jiff::Timestamp;
use runtime::room::Report;
use runtime::status::merge_patch;

use super::apply::Step;
use super::convergence;
use super::decide::runs;
use super::events;
use super::facts;
use super::hop;
use super::observe::Observed;
use super::owner;

pub(super) fn report(observed: &Observed, verdict: &Verdict<Step, Reason>, now: Timestamp) -> Report {
    let upgrader = &observed.upgrader;
    if upgrader.meta.deleting {
        return Report::default();
    }
    let before = &upgrader.status;
    let message = done(observed);
    let mut wanted = condition::of(Shape::ReadyAndUpToDate, &verdict.then, (DONE, &message));
    let same_hop = is_same_hop(observed);
    if same_hop && !convergence::lingers(&observed.clocks, now) {
        keep_words(&mut wanted, &before.conditions);
    }
    let moves = verdict.then.because().is_some_and(|because| because.reason == Reason::UpgradeInProgress);
    // Of the next hop it is another wait, although the reason is the same.
    let since = before.waiting.as_ref().filter(|_| same_hop || !moves);
    let mut status = Status {
        latest_set_version: latest_set_version(observed),
        waiting: Waiting::of(since, &verdict.then, now),
        conditions: condition::settle(&before.conditions, wanted, upgrader.meta.generation, now),
        observed_generation: Some(upgrader.meta.generation),
    };
    if has_just_converged(upgrader, verdict) {
        status.waiting.clone_from(&before.waiting);
        status.conditions.clone_from(&before.conditions);
    }
    let notes = events::notes(observed, verdict, &status);
    Report { status: merge_patch(before, &status), notes }
}

/// Whether what was said of machines that move is said of those that move now. One hop may follow another without any other
/// word between them.
fn is_same_hop(observed: &Observed) -> bool {
    let said = condition::find(&observed.upgrader.status.conditions, condition::UP_TO_DATE);
    facts::target(observed)
        .is_ok_and(|target| said.is_some_and(|said| convergence::speaks_of(&said.message, &target.current)))
}

/// While a Cluster whose machines have moved is watched for a moment, what was said of it holds on: to say of each Cluster
/// that it is watched would cost a write for each hop.
fn has_just_converged(upgrader: &UpgraderRow, verdict: &Verdict<Step, Reason>) -> bool {
    let settles = verdict.then.because().is_some_and(|because| because.reason == Reason::Settling);
    let current = upgrader.status.observed_generation == Some(upgrader.meta.generation);
    settles && current && upgrader.waits_for(Reason::UpgradeInProgress)
}

/// What is said where nothing is left to do.
fn done(observed: &Observed) -> String {
    let Ok(target) = facts::target(observed) else { return String::new() };
    let wanted = facts::wanted(observed).ok();
    let other = wanted.and_then(|wanted| hop::difference(observed, &target, &wanted));
    other.map_or_else(|| runs(&target), |other| format!("{}; {other}", runs(&target)))
}

/// While machines move, Cluster API's words change with every one of them; those that began the phase are kept, or each
/// machine would cost a write. Once nothing moves, its words of the moment say why.
fn keep_words(wanted: &mut [Wanted], present: &[Condition]) {
    let moving = Reason::UpgradeInProgress.name();
    for wanted in wanted.iter_mut().filter(|wanted| wanted.reason == moving) {
        let before = condition::find(present, wanted.type_).filter(|before| before.reason == moving);
        if let Some(before) = before {
            wanted.message = before.message.to_string();
        }
    }
}

/// The version of the plan once the Cluster has it, or the one on the way there that was set; else what it was. A Cluster
/// that is ahead of its plan was not set, nor one that another upgrader drives.
fn latest_set_version(observed: &Observed) -> Option<Box<str>> {
    let reached = match (facts::target(observed), facts::wanted(observed)) {
        (Ok(target), Ok(wanted)) if observed.driver.is_none() => {
            let reached = target.current == wanted.version;
            (reached || owner::set_by_us(observed, &target, &wanted).is_some()).then_some(target.current)
        }
        _ => None,
    };
    reached
        .map(|version| version.to_string().into())
        .or_else(|| observed.upgrader.status.latest_set_version.clone())
}
