//! `status.nodeStatuses.*.message` and `status.message` of an upgrade: sentences that users look for, exactly as the
//! original writes them.

use std::fmt;

const PREFLIGHT_IN_PROGRESS: &str = "Preflight in progress";
const SKIPPED: &str = "Skipped by preflight: ";
const PREFLIGHT_FAILED: &str = "Preflight failed: ";
const PREFLIGHT_POD_NOT_FOUND: &str = "Preflight Pod not found";
const REBOOT_POD_NOT_READY: &str = "Waiting for the reboot Pod to be ready (";
const JOB_CREATED: &str = "Job created";
const JOB_IS_RUNNING: &str = "Job is running";
const JOB_COMPLETED: &str = "Job completed successfully";
const JOB_AND_REBOOT_COMPLETED: &str = "Job and reboot completed successfully";
const JOB_FAILED: &str = "Job failed";
const JOB_NOT_FOUND: &str = "Job not found";

/// What is said of a node. `Display` is the sentence, to the byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeMessage<'a> {
    /// Its preflight pod runs.
    PreflightInProgress,
    /// Its preflight pod has left this termination message, kept as it is: a script's line end is part of it.
    SkippedByPreflight(&'a str),
    /// Its preflight pod has failed, for this reason.
    PreflightFailed(&'a str),
    /// Its preflight pod is gone.
    PreflightPodNotFound,
    /// Its Job waits for the reboot pod, whose state this is. A sentence of versions after v0.1.3, with an empty `jobName`.
    RebootPodNotReady(&'a str),
    /// Its Job is made.
    JobCreated,
    /// Its Job runs.
    JobIsRunning,
    /// Its Job has succeeded; the reboot, if there is one, is yet to come.
    JobCompleted,
    /// Its Job has succeeded, and it is back.
    JobAndRebootCompleted,
    /// Its Job has failed.
    JobFailed,
    /// Its Job is gone. The original says so of failed preflights too, one pass later.
    JobNotFound,
    /// Any other sentence.
    Other(&'a str),
}

impl<'a> NodeMessage<'a> {
    /// Recognises a sentence.
    pub fn read(text: &'a str) -> Self {
        const PLAIN: [NodeMessage<'_>; 8] = [
            NodeMessage::PreflightInProgress,
            NodeMessage::PreflightPodNotFound,
            NodeMessage::JobCreated,
            NodeMessage::JobIsRunning,
            NodeMessage::JobCompleted,
            NodeMessage::JobAndRebootCompleted,
            NodeMessage::JobFailed,
            NodeMessage::JobNotFound,
        ];
        if let Some(plain) = PLAIN.into_iter().find(|plain| plain.parts().0 == text) {
            return plain;
        }
        let state = || text.strip_prefix(REBOOT_POD_NOT_READY)?.strip_suffix(')');
        None.or_else(|| text.strip_prefix(SKIPPED).map(Self::SkippedByPreflight))
            .or_else(|| text.strip_prefix(PREFLIGHT_FAILED).map(Self::PreflightFailed))
            .or_else(|| state().map(Self::RebootPodNotReady))
            .unwrap_or(Self::Other(text))
    }

    fn parts(self) -> (&'a str, &'a str, &'a str) {
        match self {
            Self::PreflightInProgress => (PREFLIGHT_IN_PROGRESS, "", ""),
            Self::SkippedByPreflight(why) => (SKIPPED, why, ""),
            Self::PreflightFailed(why) => (PREFLIGHT_FAILED, why, ""),
            Self::PreflightPodNotFound => (PREFLIGHT_POD_NOT_FOUND, "", ""),
            Self::RebootPodNotReady(state) => (REBOOT_POD_NOT_READY, state, ")"),
            Self::JobCreated => (JOB_CREATED, "", ""),
            Self::JobIsRunning => (JOB_IS_RUNNING, "", ""),
            Self::JobCompleted => (JOB_COMPLETED, "", ""),
            Self::JobAndRebootCompleted => (JOB_AND_REBOOT_COMPLETED, "", ""),
            Self::JobFailed => (JOB_FAILED, "", ""),
            Self::JobNotFound => (JOB_NOT_FOUND, "", ""),
            Self::Other(text) => (text, "", ""),
        }
    }
}

impl fmt::Display for NodeMessage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (head, middle, tail) = self.parts();
        write!(f, "{head}{middle}{tail}")
    }
}

/// What is said of an upgrade.
pub mod upgrade {
    /// With the phase `Initializing`.
    pub const CREATED: &str = "NodeOp created";
    /// With the phase `Pending`.
    pub const PENDING: &str = "Upgrade operation is pending";
    /// With the phase `Running`.
    pub const RUNNING: &str = "Upgrade operation is running";
    /// With the phase `Completed`.
    pub const COMPLETED: &str = "Upgrade operation completed successfully";
    /// With the phase `Failed`.
    pub const FAILED: &str = "Upgrade operation failed";
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sentences of the contract, each with what it is recognised as.
    const SENTENCES: [(&str, NodeMessage<'_>); 11] = [
        ("Preflight in progress", NodeMessage::PreflightInProgress),
        (
            "Skipped by preflight: node is already at v3\n",
            NodeMessage::SkippedByPreflight("node is already at v3\n"),
        ),
        ("Preflight failed: DeadlineExceeded", NodeMessage::PreflightFailed("DeadlineExceeded")),
        ("Preflight Pod not found", NodeMessage::PreflightPodNotFound),
        ("Waiting for the reboot Pod to be ready (Pending)", NodeMessage::RebootPodNotReady("Pending")),
        ("Job created", NodeMessage::JobCreated),
        ("Job is running", NodeMessage::JobIsRunning),
        ("Job completed successfully", NodeMessage::JobCompleted),
        ("Job and reboot completed successfully", NodeMessage::JobAndRebootCompleted),
        ("Job failed", NodeMessage::JobFailed),
        ("Job not found", NodeMessage::JobNotFound),
    ];

    #[test]
    fn every_sentence_is_recognised_and_written_to_the_byte() {
        for (text, message) in SENTENCES {
            assert_eq!(NodeMessage::read(text), message);
            assert_eq!(message.to_string(), text);
        }
    }

    #[test]
    fn what_only_begins_like_a_sentence_is_another() {
        for text in [
            "",
            "Job",
            "Job created.",
            "job created",
            "Job failed: x",
            "Skipped by preflight",
            "Waiting for the reboot Pod to be ready (x",
        ] {
            assert_eq!(NodeMessage::read(text), NodeMessage::Other(text));
            assert_eq!(NodeMessage::Other(text).to_string(), text);
        }
        assert_eq!(NodeMessage::read("Skipped by preflight: "), NodeMessage::SkippedByPreflight(""));
    }
}
