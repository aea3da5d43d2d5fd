//! The status and the Events of a NodeOp.
//!
//! It is written in two ways. What objects do not keep of nodes must be there before anything else is done, and is written by
//! a step ([`records`]), with the nodes' entries. The conditions, the phase and the end are written at the end of a pass by
//! [`report`], with the Events that tell of them. While nodes only move on, that is done every few seconds at most.

use std::collections::BTreeMap;
use std::time::Duration;

use api::kairos::node_op::{DONE, NO_NODE_SELECTED, Reason, Status};
use api::kairos::node_status::{Counts, MOST_WAITING_NODES, NodeStatus, NodeStatuses, WaitingNode};
use api::kairos::{NodePhase, OperationPhase};
use domain::condition::{self, Shape, whole_seconds};
use domain::object::ObjectRef;
use domain::verdict::{Because, Note, Reason as _, Severity, Then, Verdict, Waiting};
use jiff::Timestamp;
use runtime::clock::within;
use runtime::room::Report;
use runtime::status::merge_patch;
use serde_json::Value;

use super::apply::Step;
use super::entry::entry;
use super::observe::Observed;
use super::plan::{Plan, Planned, Writes, plan};
use super::{decide, record, words};
use crate::admit::Standing;

/// How often a status is written at most in which nodes only move on.
pub(super) const MOVES_ON: Duration = Duration::from_secs(5);

/// The merge patch of what must be written before anything else is done; nothing where nothing is.
pub(super) fn records(observed: &Observed, after: &Plan, now: Timestamp) -> Option<Value> {
    let before = &observed.op.status;
    let mut status = standing(observed, after, now);
    // What an Event tells of is written by the report; until then the record tells it.
    for (name, planned) in &after.nodes {
        let failed =
            |entries: &NodeStatuses| entries.get(name).is_some_and(|entry| entry.phase == NodePhase::Failed);
        if !failed(&status.node_statuses) || failed(&before.node_statuses) {
            continue;
        }
        match before.node_statuses.get(name) {
            Some(old) => status.node_statuses.insert(name.clone(), old.clone()),
            None => status.node_statuses.remove(name),
        };
        if let Some(record) = record::written(&planned.facts.record) {
            status.node_records.insert(name.clone(), record);
        }
    }
    merge_patch(before, &stamped(before, status, now))
}

pub(super) fn report(observed: &Observed, verdict: &Verdict<Step, Reason>, now: Timestamp) -> Report {
    let op = &observed.op;
    let before = &op.status;
    if op.meta.deleting && op.malformed.is_none() && before.phase.is_none() && observed.nodes.is_empty() {
        return Report::default();
    }
    let unreadable = op.malformed.is_some() || before.is_unreadable() || observed.hidden.is_some();
    let as_it_is = plan(observed, Writes::Open, now);
    let mut status = if unreadable { (**before).clone() } else { standing(observed, &as_it_is, now) };
    let done = verdict.then == Then::Done;
    let none = done && status.node_statuses.is_empty();
    let reason = if none { NO_NODE_SELECTED } else { DONE };
    let message = if none { "no node is selected".to_owned() } else { told(&status) };
    let wanted = condition::of(Shape::ReadyAndUpToDate, &verdict.then, (reason, &message));
    status.conditions = condition::settle(&before.conditions, wanted, op.meta.generation, now);
    status.waiting = Waiting::of(before.waiting.as_ref(), &verdict.then, now);
    status.observed_generation = Some(op.meta.generation);
    if !unreadable {
        let ended = !op.meta.deleting && decide::has_ended(observed, &as_it_is, now);
        status.finished_at = before.finished_at.or_else(|| ended.then(|| whole_seconds(now)));
        status.phase = Some(phase(&status));
    }
    if is_soon(before, &status, &verdict.then, now) {
        return Report::default();
    }
    let notes = notes(observed, &status, verdict);
    Report { status: merge_patch(before, &stamped(before, status, now)), notes }
}

/// Whether nodes have only moved on, and that was written a moment ago.
fn is_soon(before: &Status, after: &Status, then: &Then<Reason>, now: Timestamp) -> bool {
    let works = then.because().is_some_and(|because| because.reason.is_our_work());
    let recently = before.last_updated.is_some_and(|at| within(at, MOVES_ON, now));
    works
        && recently
        && before.phase == after.phase
        && before.node_statuses == after.node_statuses
        && before.node_records == after.node_records
        && before.finished_at == after.finished_at
        && before.observed_generation == after.observed_generation
        && before.conditions.len() == after.conditions.len()
        && before.conditions.iter().zip(&after.conditions).all(|(old, new)| old.status == new.status)
}

fn stamped(before: &Status, mut status: Status, now: Timestamp) -> Status {
    status.last_updated = before.last_updated;
    if *before != status {
        status.last_updated = Some(whole_seconds(now));
    }
    status
}

/// Everything that is said of nodes.
fn standing(observed: &Observed, plan: &Plan, now: Timestamp) -> Status {
    let op = &observed.op;
    let before = &op.status;
    let mut status = (**before).clone();
    for (name, planned) in &plan.nodes {
        let Some(seen) = observed.nodes.get(name) else { continue };
        match entry(op, seen, planned, now) {
            Some(entry) => status.node_statuses.insert(name.clone(), entry),
            None => status.node_statuses.remove(name),
        };
        let kept = planned.keeps_record().then(|| record::written(&planned.facts.record)).flatten();
        match kept {
            Some(record) => status.node_records.insert(name.clone(), record),
            None => status.node_records.remove(name),
        };
    }
    status.node_records.retain(|name, _| plan.nodes.contains_key(name));
    if status.phase.is_none() || status.phase == Some(OperationPhase::Pending) {
        status.phase = Some(phase(&status));
    }
    status.counts = Some(counts(observed, plan, &status.node_statuses));
    let waiting = waiting(observed, plan);
    status.waiting_reasons = BTreeMap::new();
    for (_, because, _) in &waiting {
        *status.waiting_reasons.entry(because.reason.name().into()).or_default() += 1;
    }
    status.waiting_nodes = listed(before, waiting, now);
    status
}

fn phase(status: &Status) -> OperationPhase {
    let failed = status.node_statuses.values().any(|entry| entry.phase == NodePhase::Failed);
    if failed {
        OperationPhase::Failed
    } else if status.finished_at.is_some() {
        OperationPhase::Completed
    } else if status.node_statuses.is_empty() && status.node_records.is_empty() {
        OperationPhase::Pending
    } else {
        OperationPhase::Running
    }
}

fn counts(observed: &Observed, plan: &Plan, entries: &NodeStatuses) -> Counts {
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let of = |wanted: &[Standing]| {
        number(plan.nodes.values().filter(|planned| wanted.contains(&planned.standing)).count())
    };
    let over = |failed: bool| {
        let of = |node: &&crate::admit::Candidate| (node.standing == Standing::Failed) == failed;
        number(observed.over.values().filter(of).count())
    };
    let skipped = |entry: &&NodeStatus| {
        matches!(entry.said(), api::kairos::message::NodeMessage::SkippedByPreflight(_))
    };
    let not_started = of(&[Standing::Waiting]);
    let in_flight = of(&[Standing::InFlight, Standing::Failing]);
    let (completed, failed) = (of(&[Standing::Done]) + over(false), of(&[Standing::Failed]) + over(true));
    Counts {
        nodes: not_started + in_flight + completed + failed,
        not_started,
        in_flight,
        completed,
        skipped: number(entries.values().filter(skipped).count()),
        failed,
    }
}

/// Why each node that is not done waits, and whether that is for more than its turn. Those that are at work come first.
pub(super) fn waiting(observed: &Observed, plan: &Plan) -> Vec<(Box<str>, Because<Reason>, bool)> {
    let mut at_work = Vec::new();
    let mut others = Vec::new();
    let mut turn = Vec::new();
    for (name, planned) in &plan.nodes {
        let Some(because) = why(observed, name, planned) else { continue };
        let in_flight = matches!(planned.standing, Standing::InFlight | Standing::Failing);
        if in_flight {
            at_work.push((name.clone(), because, true));
        } else if matches!(because.reason, Reason::MaxConcurrentReached | Reason::Starting) {
            turn.push((name.clone(), because, false));
        } else {
            others.push((name.clone(), because, true));
        }
    }
    at_work.into_iter().chain(others).chain(turn).collect()
}

/// Why a node is not done; nothing where it is, or has failed with nothing left to do.
fn why(observed: &Observed, name: &str, planned: &Planned) -> Option<Because<Reason>> {
    let trouble = observed.nodes.get(name).and_then(|seen| seen.trouble.as_ref());
    if let Some(trouble) = trouble {
        return Some(Because::new(trouble.reason, trouble.message.clone()).not_before(trouble.until));
    }
    match planned.standing {
        Standing::Unwanted | Standing::Done | Standing::Failed => None,
        Standing::Waiting | Standing::InFlight | Standing::Failing => {
            planned.then.because().map(words::because)
        }
    }
}

fn listed(
    before: &Status,
    waiting: Vec<(Box<str>, Because<Reason>, bool)>,
    now: Timestamp,
) -> Vec<WaitingNode> {
    let known: BTreeMap<&str, &Waiting> =
        before.waiting_nodes.iter().map(|node| (&*node.name, &node.waiting)).collect();
    let listed = waiting.into_iter().filter(|(_, _, shown)| *shown).take(MOST_WAITING_NODES);
    listed
        .filter_map(|(name, because, _)| {
            let message = because.to_string().into();
            let then = Then::Wait(because);
            let waiting = Waiting::of(known.get(&*name).copied(), &then, now)?;
            Some(WaitingNode { name, message, waiting })
        })
        .collect()
}

/// How it has ended, for people.
fn told(status: &Status) -> String {
    let counts = status.counts.unwrap_or_default();
    match (counts.completed, counts.skipped) {
        (all, 0) => format!("done on {all} nodes"),
        (all, skipped) => format!("done on {all} nodes, {skipped} of them skipped by preflight"),
    }
}

/// One Event for each node that has failed, and one for the end.
fn notes(observed: &Observed, status: &Status, verdict: &Verdict<Step, Reason>) -> Vec<Note> {
    let before = &observed.op.status;
    let mut notes = Vec::new();
    for (name, entry) in &status.node_statuses {
        let failed_before = before.node_statuses.get(name).is_some_and(|old| old.phase == NodePhase::Failed);
        if entry.phase != NodePhase::Failed || failed_before {
            continue;
        }
        let related = observed.nodes.get(name).and_then(|seen| seen.node.as_ref());
        notes.push(Note {
            severity: Severity::Warning,
            reason: Reason::NodeFailed.name(),
            message: format!("{name}: {}", entry.message.as_deref().unwrap_or_default()),
            occurrence: name.to_string(),
            related: related.map(|meta| ObjectRef::of(api::nodes::node::KIND, meta)),
        });
    }
    if status.finished_at.is_some() && before.finished_at.is_none() && verdict.then == Then::Done {
        let none = status.node_statuses.is_empty();
        notes.push(Note {
            severity: Severity::Normal,
            reason: if none { NO_NODE_SELECTED } else { DONE },
            message: if none { "no node is selected".to_owned() } else { told(status) },
            occurrence: "end".to_owned(),
            related: None,
        });
    }
    notes
}
