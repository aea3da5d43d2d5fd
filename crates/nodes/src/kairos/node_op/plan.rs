//! What is to be done on each node, from one look at all of them.
//!
//! What the engine wants written down is put together: the approvals, marks and ends of all nodes, those that follow from each
//! other among them, are one write of the status. Everything else is done after that write, node by node.

use std::collections::BTreeMap;

use domain::verdict::{Because, Then, Verdict};
use jiff::Timestamp;

use super::objects::JobSeen;
use super::observe::{Observed, Seen};
use super::policy;
use crate::admit::{self, Admission, Candidate, Standing};
use crate::machine::{Action, Approval, End, Facts, Mark, Policy, Record, Work, next, standing};
use crate::reason::Reason;

/// More rounds than writes can follow from each other.
const ROUNDS: usize = 12;

/// Whether what is to be written is taken as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writes {
    /// It is: the plan is that of after the write.
    Done,
    /// It is not: the plan is of what is.
    Open,
}

/// All nodes that are not over.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// By name.
    pub(super) nodes: BTreeMap<Box<str>, Planned>,
    /// Nodes that get a place with the write.
    pub(super) approved: Vec<Box<str>>,
    /// The others of which something is to be written down.
    pub(super) changed: Vec<Box<str>>,
    /// Something is to be written down.
    pub(super) dirty: bool,
    /// A node waits for nothing but its approval: it may have one as soon as pods are admitted.
    pub(super) starts: bool,
}

/// One node.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    /// As they are, or as they are after the write.
    pub(super) facts: Facts,
    /// How it counts.
    pub(super) standing: Standing,
    /// What the engine says of it.
    pub(super) then: Then<Reason>,
    /// What is to be done on it, nothing being written down.
    pub(super) act: Option<Act>,
    /// When it is looked at again.
    pub(super) recheck: Option<Timestamp>,
}

/// Something that is done on a node.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Act {
    /// As the engine wants it.
    Engine(Action),
    /// Read the Node before anything else.
    ReadNode,
    /// Read the Job that is not there, before it counts as lost.
    ReadJob,
    /// Delete a preflight pod that never ran.
    RepeatPreflight,
    /// Delete a reboot pod of the original that has no Job.
    RemoveStranger,
}

pub(super) fn plan(observed: &Observed, writes: Writes, now: Timestamp) -> Plan {
    let policy = policy::policy(&observed.op, &observed.settings);
    let mut plan = Plan {
        nodes: BTreeMap::new(),
        approved: Vec::new(),
        changed: Vec::new(),
        dirty: false,
        starts: false,
    };
    for (name, seen) in &observed.nodes {
        plan.dirty |= seen.adopted;
        plan.nodes.insert(name.clone(), Planned::new(seen.facts.clone(), &policy, now));
    }
    // An approval is the one thing that needs pods to be admitted.
    let admitted = observed.admitted.as_ref().is_some_and(|admitted| admitted.refused.is_none());
    for _ in 0..ROUNDS {
        let admission = plan.admission(observed);
        plan.starts |= !admission.start.is_empty();
        let mut changed = false;
        for (name, planned) in &mut plan.nodes {
            let Some(seen) = observed.nodes.get(name) else { continue };
            planned.facts.held = admission.held(name);
            if !admitted && planned.facts.held.is_none() {
                let message = "the API server is asked whether it admits the pods";
                planned.facts.held = Some(Because::new(Reason::Starting, message));
            }
            planned.look(&policy, seen, now);
            if writes == Writes::Open {
                continue;
            }
            while let Some(Act::Engine(action)) = &planned.act {
                let Some(record) = written(action, &planned.facts) else { break };
                plan.dirty |= !follows_from_objects(action, &planned.facts, &policy);
                if matches!(action, Action::Approve) && seen.facts.record.approved.is_none() {
                    plan.approved.push(name.clone());
                }
                planned.facts.record = record;
                changed = true;
                planned.look(&policy, seen, now);
            }
        }
        if !changed {
            break;
        }
    }
    for (name, seen) in &observed.nodes {
        let record = plan.nodes.get(name).map(|planned| &planned.facts.record);
        let changes = seen.adopted || record != Some(&seen.facts.record);
        if changes && !plan.approved.contains(name) {
            plan.changed.push(name.clone());
        }
    }
    plan
}

impl Plan {
    fn admission(&self, observed: &Observed) -> Admission {
        let rules = policy::rules(&observed.op, &observed.settings);
        let planned = self.nodes.iter().filter_map(|(name, planned)| {
            let seen = observed.nodes.get(name)?;
            Some(Candidate {
                name: name.clone(),
                control_plane: seen.control_plane,
                standing: planned.standing,
                // So does one that another operation is on.
                unready: seen.hold.is_some() || planned.facts.node.as_ref().is_some_and(|node| !node.ready),
                cordoned_by_others: planned
                    .facts
                    .node
                    .as_ref()
                    .is_some_and(|node| node.cordon.is_foreign(&planned.facts.owner)),
                hold: seen.hold.clone(),
            })
        });
        let others = observed.over.values().chain(&observed.bystanders).cloned();
        admit::admit(&planned.chain(others).collect::<Vec<_>>(), &rules)
    }
}

impl Planned {
    fn new(facts: Facts, policy: &Policy, now: Timestamp) -> Self {
        let standing = standing(&facts, policy, now);
        Self { facts, standing, then: Then::Done, act: None, recheck: None }
    }

    fn look(&mut self, policy: &Policy, seen: &Seen, now: Timestamp) {
        self.standing = standing(&self.facts, policy, now);
        let Verdict { steps, then, recheck } = next(&self.facts, policy, now);
        (self.then, self.recheck) = (then, recheck);
        self.act = self.act(steps.first().cloned(), policy, seen);
        if self.act.is_none() && matches!(steps.first(), Some(Action::Mark(Mark::Started))) {
            // What it waits for meanwhile, as if that had been noted.
            let mut facts = self.facts.clone();
            facts.record.started = true;
            Verdict { then: self.then, recheck: self.recheck, .. } = next(&facts, policy, now);
        }
        if self.facts.work == Work::Running
            && let Some(due) = seen.objects.unmade()
        {
            self.recheck = Some(self.recheck.map_or(due, |recheck| recheck.min(due)));
        }
    }

    /// What of the engine's wishes is done now, and what comes before it.
    fn act(&self, action: Option<Action>, policy: &Policy, seen: &Seen) -> Option<Act> {
        let in_flight = matches!(self.standing, Standing::InFlight | Standing::Failing);
        if in_flight && seen.objects.preflight_to_repeat().is_some() {
            return Some(Act::RepeatPreflight);
        }
        if in_flight && seen.objects.stranger(self.facts.record.adopted.is_some()).is_some() {
            return Some(Act::RemoveStranger);
        }
        let action = action?;
        let job = seen.objects.job.as_ref();
        match &action {
            // What has not begun is not noted: the write that tells of its beginning notes it as well.
            Action::Mark(Mark::Started) if !job.is_some_and(JobSeen::has_begun) => None,
            // The bootID that the reboot must change: as the Job tells it, else as the Node has it now, read live.
            Action::Mark(Mark::Ran(_))
                if policy.reboot.is_some()
                    && job.is_some_and(|job| job.boot_id.is_none())
                    && !seen.read
                    && self.facts.record.adopted.is_none() =>
            {
                Some(Act::ReadNode)
            }
            // A watch may be behind what another process has made a moment before.
            Action::End(End::Failed(failure)) if failure.reason == Reason::WorkLost && !seen.job_gone => {
                Some(Act::ReadJob)
            }
            Action::Cordon | Action::Uncordon(_) if seen.reread => Some(Act::ReadNode),
            Action::Remove(removals) => {
                let left = seen.unasked(removals)?.clone();
                Some(Act::Engine(Action::Remove(vec![left])))
            }
            _ => Some(Act::Engine(action)),
        }
    }

    /// Whether the record is to be kept: an end that has left nothing is told by the entry alone.
    pub(super) fn keeps_record(&self) -> bool {
        self.facts.record != Record::default()
            && !(self.facts.record.end.is_some()
                && matches!(self.standing, Standing::Done | Standing::Failed))
    }
}

/// The record after an action that does nothing but write; nothing for other actions.
fn written(action: &Action, facts: &Facts) -> Option<Record> {
    let mut record = facts.record.clone();
    match action {
        Action::Approve => {
            let uid = facts.node.as_ref().map(|node| node.uid.clone()).unwrap_or_default();
            record.approved = Some(Approval { node_uid: uid });
            // A Job of ours without a record of it: it was made, and must not be made again.
            record.started |= facts.work != Work::Absent;
        }
        Action::Mark(mark) => match mark {
            Mark::Checked => record.checked = true,
            Mark::DrainSince(at) => record.drain_since = Some(*at),
            Mark::Started => record.started = true,
            Mark::Ran(ran) => record.ran = Some(ran.clone()),
            Mark::Adopted(boot_id) => record.adopted = Some(boot_id.clone()),
            Mark::Asked(asked) => record.asked = Some(*asked),
            Mark::Verified(at) => record.verified = Some(*at),
        },
        Action::End(end) => record.end = Some(end.clone()),
        Action::Release => record = Record::default(),
        _ => return None,
    }
    Some(record)
}

/// Whether what is to be written can still be seen by whoever comes next, and is followed by an end without a reboot: then it is
/// written together with that end.
fn follows_from_objects(action: &Action, facts: &Facts, policy: &Policy) -> bool {
    let ended = matches!(facts.work, Work::Succeeded { .. }) && policy.reboot.is_none();
    ended && matches!(action, Action::Mark(Mark::Started | Mark::Ran(_)))
}

/// Whether a node has failed.
pub(super) fn has_failed(record: &Record) -> bool {
    matches!(record.end, Some(End::Failed(_)))
}
