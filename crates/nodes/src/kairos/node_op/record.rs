//! What is known of a node beyond its objects: the engine's record as `status` keeps it, and what is made of the status of a
//! controller that keeps none.

use std::borrow::Cow;

use api::kairos::message::NodeMessage;
use api::kairos::node_status::{NodeRecord, NodeStatus};
use api::kairos::{NodeOutcome, NodePhase, NodeReach, RebootStatus};
use domain::verdict::Reason as _;

use super::words;
use crate::machine::{Approval, Asked, End, Failure, Outcome, Ran, Reach, Record};

/// The record of a node: written, or what its entry says of a way that is over.
pub(super) fn read(record: Option<&NodeRecord>, entry: Option<&NodeStatus>) -> Record {
    let Some(record) = record else {
        return Record { end: entry.and_then(ended), ..Record::default() };
    };
    let boot_id = entry.and_then(|entry| entry.pre_reboot_boot_id.as_deref()).unwrap_or_default();
    Record {
        approved: Some(Approval { node_uid: record.node_uid.clone().unwrap_or_default() }),
        checked: record.preflight_passed.unwrap_or_default(),
        drain_since: record.drain_started_at,
        started: record.command_started.unwrap_or_default(),
        ran: record.command_succeeded.unwrap_or_default().then(|| Ran { boot_id: boot_id.into() }),
        adopted: record.adopted_boot_id.clone(),
        asked: record.reboot_asked_at.map(|at| Asked { at }),
        verified: record.ready_at,
        end: record.outcome.as_ref().map(|outcome| end(outcome, record)),
    }
}

/// The record as it is written; nothing where it says nothing. The bootID before the reboot stands in the node's entry.
pub(super) fn written(record: &Record) -> Option<NodeRecord> {
    if *record == Record::default() {
        return None;
    }
    let mut reason = None;
    let (outcome, reach, detail) = match &record.end {
        None => (None, None, None),
        Some(End::Done(outcome)) => {
            let (outcome, detail) = match outcome {
                Outcome::Completed => (NodeOutcome::Completed, None),
                Outcome::Skipped(text) => (NodeOutcome::Skipped, Some(text.clone())),
                Outcome::Removed => (NodeOutcome::Removed, None),
                Outcome::Stopped => (NodeOutcome::Stopped, None),
            };
            (Some(outcome), None, detail)
        }
        Some(End::Failed(Failure { detail, reach, reason: why })) => {
            reason = Some(Cow::Borrowed(words::word(*why).name()));
            let reach = match reach {
                Reach::Untouched => NodeReach::Untouched,
                Reach::Worked => NodeReach::Worked,
                Reach::Rebooted => NodeReach::Rebooted,
            };
            (Some(NodeOutcome::Failed), Some(reach), Some(detail.clone()))
        }
    };
    let yes = |is: bool| is.then_some(true);
    Some(NodeRecord {
        node_uid: record.approved.as_ref().map(|approval| approval.node_uid.clone()),
        preflight_passed: yes(record.checked),
        drain_started_at: record.drain_since,
        command_started: yes(record.started),
        command_succeeded: yes(record.ran.is_some()),
        adopted_boot_id: record.adopted.clone(),
        reboot_asked_at: record.asked.map(|asked| asked.at),
        ready_at: record.verified,
        outcome,
        reach,
        reason,
        detail: detail.filter(|detail| !detail.is_empty()),
    })
}

/// What an entry without a record and without an end says: the node was at work under another controller. `job` is whether
/// a Job of it is there, and whether a reboot pod that acts by itself follows.
pub(super) fn adopted(
    entry: Option<&NodeStatus>,
    job: Option<bool>,
    node: (&str, &str),
    reboots: bool,
) -> Option<Record> {
    let (uid, boot_id) = node;
    let of =
        |started| Record { approved: Some(Approval { node_uid: uid.into() }), started, ..Record::default() };
    let told = entry.and_then(|entry| entry.pre_reboot_boot_id.clone());
    let by_itself = || told.clone().unwrap_or_else(|| boot_id.into());
    match (entry.map(|entry| (&entry.phase, entry.job())), job) {
        // Its Job is done, and the node is about to reboot or does.
        (Some((NodePhase::Completed, _)), _) => Some(Record {
            ran: Some(Ran { boot_id: by_itself() }),
            adopted: reboots.then(by_itself),
            ..of(true)
        }),
        // It is at the preflight, or waits for its reboot pod.
        (Some((NodePhase::Preflight, _) | (_, None)), None) => Some(of(false)),
        (Some(_), None) => Some(of(true)),
        (_, Some(acts)) => Some(Record { adopted: (reboots && acts).then(by_itself), ..of(true) }),
        (None, None) => None,
    }
}

/// Whether an entry says that the way of its node is over.
pub(super) fn is_over(entry: &NodeStatus) -> bool {
    match entry.phase {
        NodePhase::Failed => true,
        NodePhase::Completed => entry.reboot_status != Some(RebootStatus::Pending),
        _ => false,
    }
}

fn ended(entry: &NodeStatus) -> Option<End> {
    if !is_over(entry) {
        return None;
    }
    Some(match (&entry.phase, entry.said()) {
        (NodePhase::Failed, said) => {
            let detail = match said {
                NodeMessage::PreflightFailed(why) => why,
                NodeMessage::Other(text) => text,
                _ => "",
            };
            End::Failed(words::failure(entry.reason.as_deref(), detail))
        }
        (_, NodeMessage::SkippedByPreflight(why)) => End::Done(Outcome::Skipped(why.into())),
        // Its command has said so.
        (_, NodeMessage::Other(why)) if entry.reason.is_none() && entry.job().is_some() => {
            End::Done(Outcome::Skipped(why.into()))
        }
        _ => End::Done(Outcome::Completed),
    })
}

fn end(outcome: &NodeOutcome, record: &NodeRecord) -> End {
    let detail = record.detail.as_deref().unwrap_or_default();
    match outcome {
        NodeOutcome::Completed => End::Done(Outcome::Completed),
        NodeOutcome::Skipped => End::Done(Outcome::Skipped(detail.into())),
        NodeOutcome::Removed => End::Done(Outcome::Removed),
        NodeOutcome::Stopped => End::Done(Outcome::Stopped),
        NodeOutcome::Failed | NodeOutcome::Other(_) => {
            let failure = words::failure(record.reason.as_deref(), detail);
            let reach = match &record.reach {
                Some(NodeReach::Untouched) => Reach::Untouched,
                Some(NodeReach::Worked) => Reach::Worked,
                Some(NodeReach::Rebooted) => Reach::Rebooted,
                _ => failure.reach,
            };
            End::Failed(Failure { reach, ..failure })
        }
    }
}
