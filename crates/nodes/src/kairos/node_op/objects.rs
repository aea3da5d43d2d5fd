//! The Jobs and pods that a NodeOp has on one node, and what the engine is told of them.

use std::time::Duration;

use api::batch::pod::SUCCEEDED;
use api::kairos::node_job::{NodeJobRow, Progress};
use api::kairos::operation_pod::{FAILED, OperationPodRow, Role, Said};
use domain::object::Meta;
use jiff::Timestamp;
use runtime::clock::after;

use super::entry::cut;
use crate::kairos::node_op_upgrade::nothing_to_do;
use crate::machine::{Check, RebootPod, Work};

/// What a container waits for while nothing is wrong.
const ORDERLY: [&str; 4] = ["ContainerCreating", "PodInitializing", "CrashLoopBackOff", ""];
/// How long the Job controller has to make a pod before its Job counts as stuck: a quota or a policy keeps it from that.
const POD_MADE_WITHIN: Duration = Duration::from_secs(60);
/// `reason` of a pod that ended at its `activeDeadlineSeconds`.
const DEADLINE_EXCEEDED: &str = "DeadlineExceeded";

/// The objects of a NodeOp on one node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Objects {
    /// The Job that counts.
    pub job: Option<JobSeen>,
    /// Preflight pods; the first counts.
    pub preflight: Vec<OperationPodRow>,
    /// Reboot pods; the first counts.
    pub reboot: Vec<OperationPodRow>,
}

/// A Job, with what its pods tell.
#[derive(Clone, Debug, PartialEq)]
pub struct JobSeen {
    /// The Job.
    pub row: NodeJobRow,
    /// What a pod of it waits for in vain.
    pub stuck: Option<Box<str>>,
    /// The bootID under which its command ended.
    pub boot_id: Option<Box<str>>,
    /// Why its command had nothing to do, if it says so.
    pub needless: Option<Box<str>>,
    /// A container of it has run.
    pub has_run: bool,
}

impl JobSeen {
    /// The Job of this command with its pods.
    pub(super) fn new<'a>(
        row: &NodeJobRow,
        command: &[Box<str>],
        pods: impl Iterator<Item = &'a OperationPodRow>,
    ) -> Self {
        let mut seen = Self { row: row.clone(), stuck: None, boot_id: None, needless: None, has_run: false };
        for pod in pods {
            seen.stuck = seen.stuck.or_else(|| stuck(pod));
            let ended = *pod.phase == *SUCCEEDED && !row.leaves_sentinel;
            let told = pod.terminated.as_ref().filter(|_| ended).map(|of| of.message.trim());
            seen.boot_id = told.filter(|told| is_boot_id(told)).map(Box::from).or(seen.boot_id);
            // A pod that has failed is followed by another.
            let counts = *pod.phase != *FAILED && !row.leaves_sentinel;
            let needless = nothing_to_do(command, &pod.command_said).filter(|_| counts);
            seen.needless = needless.map(|text| cut(text).into()).or(seen.needless);
            seen.has_run |= pod.started.is_some() || pod.is_finished();
        }
        seen
    }

    /// Whether its command may have begun: before that, deleting the Job undoes it.
    pub fn has_begun(&self) -> bool {
        self.has_run
            || self.row.active > 0
            || self.row.failed_pods > 0
            || self.row.progress != Progress::Running
    }
}

/// Whether it has the shape of a bootID: a UUID. What else a container may have left there is none.
fn is_boot_id(text: &str) -> bool {
    text.len() == 36 && text.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
}

/// Which of several Jobs of a node counts: the original makes a second one after a kill. The one that the entry names, else
/// one that has not ended, else the newest.
pub(super) fn chosen<'a>(jobs: &[&'a NodeJobRow], named: Option<&str>) -> Option<&'a NodeJobRow> {
    let is_named = |job: &&&NodeJobRow| named.is_some_and(|name| *job.meta.key.name == *name);
    let runs = |job: &NodeJobRow| job.progress == Progress::Running && !job.meta.deleting;
    jobs.iter()
        .find(is_named)
        .or_else(|| jobs.iter().max_by_key(|job| (runs(job), job.meta.created, &job.meta.key.name)))
        .copied()
}

impl Objects {
    /// Whether there is nothing that would have to be cleaned up.
    pub(super) fn leaves_nothing(&self) -> bool {
        self.preflight.is_empty() && self.reboot.iter().all(OperationPodRow::is_finished)
    }

    /// How the command stands.
    pub(super) fn work(&self, now: Timestamp) -> Work {
        let Some(job) = &self.job else { return Work::Absent };
        match &job.row.progress {
            Progress::Succeeded(_) => match &job.needless {
                Some(text) => Work::Needless(text.clone()),
                None => Work::Succeeded { boot_id: job.boot_id.clone() },
            },
            Progress::Failed(ended) => {
                Work::Failed(said(&Said { reason: ended.reason.clone(), message: ended.message.clone() }))
            }
            Progress::Running if job.row.meta.deleting => Work::Leaving,
            Progress::Running => match (&job.row.malformed, &job.stuck, self.unmade()) {
                (Some(error), _, _) => Work::Stuck(format!("its Job cannot be read: {error}").into()),
                (None, Some(stuck), _) => Work::Stuck(stuck.clone()),
                (None, None, Some(due)) if due <= now => {
                    Work::Stuck("its Job has made no pod, see the Events of the Job".into())
                }
                _ => Work::Running,
            },
        }
    }

    /// When the Job counts as stuck, if it makes no pod until then.
    pub(super) fn unmade(&self) -> Option<Timestamp> {
        let job = self.job.as_ref().filter(|job| !job.has_begun() && job.stuck.is_none())?;
        job.row.meta.created.map(|created| after(created, POD_MADE_WITHIN))
    }

    /// How the preflight stands.
    pub(super) fn check(&self) -> Check {
        let Some(pod) = self.preflight.first() else { return Check::Absent };
        if pod.meta.deleting || timed_out_before_it_ran(pod) {
            return Check::Leaving;
        }
        let message = pod.terminated.as_ref().map(|of| &*of.message).unwrap_or_default();
        match &*pod.phase {
            SUCCEEDED if message.is_empty() => Check::Passed,
            SUCCEEDED => Check::Skip(message.into()),
            FAILED => Check::Failed(failed(pod)),
            _ => stuck(pod).map_or(Check::Running, Check::Stuck),
        }
    }

    /// The preflight pod that ended at its deadline before its image was there: another one follows, and the time that an
    /// image takes does not count.
    pub(super) fn preflight_to_repeat(&self) -> Option<&Meta> {
        let pod = self.preflight.first()?;
        (timed_out_before_it_ran(pod) && !pod.meta.deleting).then_some(&pod.meta)
    }

    /// How that which reboots the node stands. `adopted` is whether the node was taken over with a pod that acts by itself;
    /// otherwise such a pod is in the way, see [`Objects::stranger`].
    pub(super) fn reboot(&self, adopted: bool) -> RebootPod {
        let Some(pod) = self.reboot.first() else { return RebootPod::Absent };
        if pod.meta.deleting || (pod.awaits_sentinel && !adopted && !pod.is_finished()) {
            return RebootPod::Leaving;
        }
        if pod.reboot_is_done() {
            return RebootPod::Claimed;
        }
        match (&*pod.phase, &pod.reboot_from) {
            (SUCCEEDED, Some(_)) => RebootPod::Claimed,
            // It ended without having been asked.
            (SUCCEEDED, None) => RebootPod::Failed("it ended before it was asked to reboot the node".into()),
            (FAILED, _) => RebootPod::Failed(failed(pod)),
            (_, Some(_)) => RebootPod::Asked,
            (_, None) if pod.ready => RebootPod::Armed,
            _ => stuck(pod).map_or(RebootPod::Starting, RebootPod::Stuck),
        }
    }

    /// A reboot pod of the original whose Job is not there: it would wait for ever, and be in the way of ours.
    pub(super) fn stranger(&self, adopted: bool) -> Option<&Meta> {
        let pod = self.reboot.iter().find(|pod| pod.awaits_sentinel && !pod.is_finished())?;
        (!adopted && !pod.meta.deleting).then_some(&pod.meta)
    }

    /// Orders pods so that the one that counts comes first: one that is done, then one that is there, then one that leaves.
    pub(super) fn sort(&mut self) {
        let rank = |pod: &OperationPodRow| (!pod.reboot_is_done(), pod.meta.deleting, pod.is_finished());
        self.reboot.sort_by_key(rank);
        self.preflight.sort_by_key(|pod| (pod.meta.deleting, !pod.is_finished()));
    }

    /// Takes a pod of the NodeOp.
    pub(super) fn take(&mut self, pod: &OperationPodRow) {
        match pod.role {
            Role::Preflight => self.preflight.push(pod.clone()),
            Role::Reboot => self.reboot.push(pod.clone()),
            Role::Command => {}
        }
    }
}

fn timed_out_before_it_ran(pod: &OperationPodRow) -> bool {
    *pod.phase == *FAILED && *pod.said.reason == *DEADLINE_EXCEEDED && pod.started.is_none()
}

/// Why a pod does not start, where it does not go on by itself.
fn stuck(pod: &OperationPodRow) -> Option<Box<str>> {
    if let Some(error) = &pod.malformed {
        return Some(format!("it cannot be read: {error}").into());
    }
    let waits = pod.waits_for.as_ref().filter(|_| !pod.is_finished())?;
    (!ORDERLY.contains(&&*waits.reason)).then(|| said(waits))
}

/// Why a pod failed: the kubelet's word, else that of its container.
fn failed(pod: &OperationPodRow) -> Box<str> {
    if !pod.said.reason.is_empty() {
        return pod.said.reason.clone();
    }
    match &pod.terminated {
        Some(of) if of.reason.is_empty() => format!("exit code {}", of.exit_code).into(),
        Some(of) => format!("{}, exit code {}", of.reason, of.exit_code).into(),
        None => "the pod failed".into(),
    }
}

fn said(said: &Said) -> Box<str> {
    match (&*said.reason, said.message.trim_end_matches('.')) {
        (reason, "") => reason.into(),
        ("", message) => message.into(),
        (reason, message) => format!("{reason}: {message}").into(),
    }
}
