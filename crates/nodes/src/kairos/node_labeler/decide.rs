//! Whether a node is to be looked at, and whether the DaemonSet is as it should be.

use std::time::Duration;

use api::kairos::labeler::{JOB_KIND, LabelerJobRow};
use api::kairos::node_job::Progress;
use api::kairos::{FALSE, MANAGED_LABEL, TRUE};
use api::nodes::node::NodeRow;
use domain::object::ObjectRef;
use domain::verdict::{Because, Reason as _, Trouble, Verdict};
use jiff::Timestamp;

use super::apply::Step;
use super::observe::{DaemonSet, Observed};
use super::reason::Reason;
use crate::after;

/// Nodes that are looked at at a time.
pub(super) const PLACES: usize = 10;
/// The pause after the first Job that failed; each further one is twice as long.
const SHORTEST: Duration = Duration::from_mins(5);
/// The longest pause.
const LONGEST: Duration = Duration::from_hours(6);
/// When a node looks whether there is a place, should nobody tell it.
const PATIENCE: Duration = Duration::from_mins(1);
/// Kubelet's label of the operating system.
const OS_LABEL: &str = "kubernetes.io/os";
const LINUX: &str = "linux";

pub(super) fn decide(observed: &Observed, now: Timestamp) -> Verdict<Step, Reason> {
    let changing = |step| {
        let message = "the DaemonSet of the labeler is being made what it should be";
        Verdict::wait(Because::new(Reason::DaemonSetChanging, message)).step(step)
    };
    match &observed.daemon_set {
        Some(DaemonSet::Missing(body)) => changing(Step::CreateDaemonSet { body: body.clone() }),
        Some(DaemonSet::Drifted(key, uid, template)) => changing(Step::ConvergeDaemonSet {
            key: key.clone(),
            uid: uid.clone(),
            template: template.clone(),
        }),
        Some(DaemonSet::Settled) | None => look(observed, now),
    }
}

/// Whether it is to be found out what a node runs, as far as the node alone says. One that is opted out is left alone, one
/// that is labelled is the DaemonSet's, and of another operating system than Linux it is known that it is not Kairos.
pub(super) fn is_unknown(node: &NodeRow) -> bool {
    let label = |key: &str| node.labels.get(key).map(AsRef::as_ref);
    let known = matches!(label(MANAGED_LABEL), Some(TRUE | FALSE));
    !node.meta.deleting && !known && label(OS_LABEL).is_none_or(|os| os == LINUX)
}

fn look(observed: &Observed, now: Timestamp) -> Verdict<Step, Reason> {
    let node = &observed.node;
    if !is_unknown(node) {
        return Verdict::done();
    }
    if let Some(error) = &node.malformed {
        return Verdict::failed(Because::new(Reason::of_trouble(Trouble::Malformed), &**error));
    }
    if let Some(words) = &observed.hidden {
        let message = format!("cannot see the Jobs of the labeler: {words}");
        return Verdict::failed(Because::new(Reason::of_trouble(Trouble::Forbidden), message));
    }
    let Some(job) = &observed.job else { return begin(observed, now) };
    let because =
        |reason, message: &str| Because::new(reason, message).blocked_by(ObjectRef::of(JOB_KIND, &job.meta));
    if job.meta.deleting || observed.deleted {
        return Verdict::wait(because(Reason::JobDeleting, "the Job is being deleted"));
    }
    let replace = |next: u32, message: &str| {
        let (job, node_uid) = (job.meta.clone(), node.meta.uid.clone());
        Verdict::wait(because(Reason::JobDeleting, message)).step(Step::DeleteJob { job, node_uid, next })
    };
    if is_of_another(job, node) {
        return replace(1, "the Job was of another Node of this name");
    }
    if let Some(error) = &job.malformed {
        let message = format!("the Job cannot be read: {error}");
        return Verdict::failed(because(Reason::of_trouble(Trouble::Malformed), &message));
    }
    match &job.progress {
        Progress::Succeeded(_) => Verdict::done(),
        Progress::Running => {
            Verdict::wait(because(Reason::JobRunning, "it is being found out what the node runs"))
        }
        Progress::Failed(ended) => {
            let pause = pause(job.attempt);
            let due = after(ended.at.or(job.meta.created).unwrap_or(now), pause);
            // A server whose clock is far ahead of ours delays nothing by as much.
            if due > now && due <= after(now, pause.saturating_mul(2)) {
                let message = format!("the Job has failed: {}", ended.message);
                return Verdict::failed(because(Reason::JobFailed, &message).not_before(due));
            }
            replace(job.attempt.saturating_add(1), "the Job has failed, and another is made")
        }
    }
}

/// Whether a Job was made for another Node of the same name. Those of the original do not say for which, but are then older
/// than the Node.
fn is_of_another(job: &LabelerJobRow, node: &NodeRow) -> bool {
    match &job.node_uid {
        Some(uid) => *uid != node.meta.uid,
        None => job.meta.created.zip(node.meta.created).is_some_and(|(job, node)| job < node),
    }
}

fn begin(observed: &Observed, now: Timestamp) -> Verdict<Step, Reason> {
    let node = &observed.node;
    if !node.is_ready() {
        let message = "the node is not ready, and is looked at when it is";
        return Verdict::wait(Because::new(Reason::NodeNotReady, message));
    }
    if observed.others >= PLACES {
        let message = "as many nodes are looked at as may be at a time";
        let because = Because::new(Reason::OtherNodesFirst, message);
        return Verdict::wait(because).recheck(after(now, PATIENCE));
    }
    let verdict = Verdict::wait(Because::new(Reason::CreatingJob, "its Job is being made"));
    match observed.body.clone() {
        Some(body) => verdict.step(Step::CreateJob { node: node.meta.clone(), body }),
        None => verdict,
    }
}

/// 5, 10, 20 … minutes, up to 6 hours.
fn pause(attempt: u32) -> Duration {
    let doubled = 1_u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
    SHORTEST.saturating_mul(doubled.max(1)).min(LONGEST)
}
