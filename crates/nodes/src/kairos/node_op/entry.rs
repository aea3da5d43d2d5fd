//! What `status.nodeStatuses` says of one node, in the original's words.

use std::borrow::Cow;

use api::kairos::message::NodeMessage;
use api::kairos::node_op::NodeOpRow;
use api::kairos::node_status::NodeStatus;
use api::kairos::{NodePhase, RebootStatus};
use domain::verdict::Reason as _;
use jiff::Timestamp;

use super::observe::Seen;
use super::plan::Planned;
use super::words;
use crate::machine::{Check, End, Failure, Outcome, Work};
use crate::reason::Reason;

/// Longest text of a failure in an entry, in bytes: thousands of entries make one object.
const LONGEST: usize = 300;
/// The message of a node that is gone.
const GONE: &str = "Node is gone";

/// The entry; nothing before the preflight or the Job is there. A text that only time has changed is not written anew.
pub(super) fn entry(op: &NodeOpRow, seen: &Seen, planned: &Planned, now: Timestamp) -> Option<NodeStatus> {
    let before = seen.entry(op);
    let mut entry = said(op, seen, planned, before)?;
    entry.last_updated = before.and_then(|before| before.last_updated);
    if before != Some(&entry) {
        entry.last_updated = Some(domain::condition::whole_seconds(now));
    }
    Some(entry)
}

fn said(op: &NodeOpRow, seen: &Seen, planned: &Planned, before: Option<&NodeStatus>) -> Option<NodeStatus> {
    let record = &planned.facts.record;
    match &record.end {
        Some(End::Done(Outcome::Stopped)) => return before.cloned(),
        Some(End::Done(outcome)) => return done(op, seen, outcome, (record.started, before)),
        Some(End::Failed(failure)) => return Some(failed(op, seen, failure, before)),
        None => {}
    }
    let to_come = if op.reboot_on_success { RebootStatus::Pending } else { RebootStatus::NotRequested };
    let at = |phase, message: NodeMessage<'_>| {
        let mut entry = NodeStatus::new(phase);
        entry.job_name = job(seen, before);
        entry.message = Some(message.to_string().into());
        entry.reboot_status = Some(to_come.clone());
        entry.pre_reboot_boot_id =
            record.ran.as_ref().map(|ran| ran.boot_id.clone()).filter(|id| !id.is_empty());
        entry
    };
    if record.ran.is_some() {
        return Some(at(NodePhase::Completed, NodeMessage::JobCompleted));
    }
    match (&seen.objects.job, &planned.facts.work) {
        (_, Work::Absent) if !record.started => {}
        (Some(job), _) if !job.has_begun() => return Some(at(NodePhase::Pending, NodeMessage::JobCreated)),
        _ => return Some(at(NodePhase::Running, NodeMessage::JobIsRunning)),
    }
    if !record.checked && !matches!(planned.facts.preflight, Check::Absent | Check::Leaving) {
        let mut entry = NodeStatus::new(NodePhase::Preflight);
        entry.message = Some(NodeMessage::PreflightInProgress.to_string().into());
        return Some(entry);
    }
    // Between the preflight and the Job it stays as it was; and one that was given back has none.
    before.filter(|_| record.approved.is_some()).cloned()
}

fn done(
    op: &NodeOpRow,
    seen: &Seen,
    outcome: &Outcome,
    (started, before): (bool, Option<&NodeStatus>),
) -> Option<NodeStatus> {
    let mut entry = NodeStatus::new(NodePhase::Completed);
    // Who was skipped by the preflight has no Job.
    let by_command = started || before.is_some_and(|before| before.job().is_some());
    let (message, reboot) = match outcome {
        Outcome::Completed if op.reboot_on_success => {
            (NodeMessage::JobAndRebootCompleted, RebootStatus::Completed)
        }
        Outcome::Completed => (NodeMessage::JobCompleted, RebootStatus::NotRequested),
        Outcome::Skipped(text) if by_command => (NodeMessage::Other(text), RebootStatus::NotRequested),
        Outcome::Skipped(text) => (NodeMessage::SkippedByPreflight(text), RebootStatus::NotRequested),
        Outcome::Removed | Outcome::Stopped => {
            // A node that had not begun leaves nothing behind.
            let before = before?;
            entry.reason = Some(Cow::Borrowed(api::kairos::node_op::Reason::NodeGone.name()));
            let cancelled = before.reboot_status == Some(RebootStatus::Pending);
            let reboot = if cancelled { RebootStatus::Cancelled } else { RebootStatus::NotRequested };
            (NodeMessage::Other(GONE), reboot)
        }
    };
    let no_job = matches!(outcome, Outcome::Skipped(_)) && !by_command;
    entry.job_name = if no_job { None } else { job(seen, before) };
    entry.message = Some(message.to_string().into());
    entry.reboot_status = Some(reboot);
    Some(entry)
}

fn failed(op: &NodeOpRow, seen: &Seen, failure: &Failure, before: Option<&NodeStatus>) -> NodeStatus {
    let mut entry = NodeStatus::new(NodePhase::Failed);
    let because = failure.because();
    let text = cut(because.message.as_str());
    let detail = cut(failure.detail.trim());
    let message = match failure.reason {
        Reason::PreflightFailed => NodeMessage::PreflightFailed(detail),
        Reason::WorkFailed => NodeMessage::JobFailed,
        Reason::WorkLost => NodeMessage::JobNotFound,
        _ => NodeMessage::Other(text),
    };
    entry.job_name = job(seen, before);
    entry.message = Some(message.to_string().into());
    let preflight = failure.reason == Reason::PreflightFailed;
    let cancelled = op.reboot_on_success && !preflight;
    entry.reboot_status = Some(if cancelled { RebootStatus::Cancelled } else { RebootStatus::NotRequested });
    entry.reason = Some(Cow::Borrowed(words::word(failure.reason).name()));
    entry
}

fn job(seen: &Seen, before: Option<&NodeStatus>) -> Option<Box<str>> {
    let there = seen.objects.job.as_ref().map(|job| (&*job.row.meta.key.name).into());
    there.or_else(|| before.and_then(NodeStatus::job).map(Box::from))
}

/// At most [`LONGEST`] bytes of a text.
pub(super) fn cut(text: &str) -> &str {
    let end = (0..=LONGEST.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    &text[..end]
}
