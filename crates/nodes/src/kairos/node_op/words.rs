//! The engine's reasons in the words of a NodeOp, and back.

use api::kairos::node_op::Reason as Word;
use domain::verdict::{Because, Reason as _};

use crate::machine::{Failure, Reach};
use crate::reason::Reason;

/// The word for a reason of the engine.
pub(super) fn word(reason: Reason) -> Word {
    match reason {
        // Nobody who waits has one of these; the node is about to be looked at again.
        Reason::NotWanted
        | Reason::NotATarget
        | Reason::AlreadyStarted
        | Reason::AlreadyEnded
        | Reason::GateClosed
        | Reason::Starting => Word::Starting,
        Reason::OtherOperation => Word::OtherOperation,
        Reason::ConcurrencyReached => Word::MaxConcurrentReached,
        Reason::NodesUnavailable => Word::NodesUnavailable,
        Reason::ControlPlaneBusy => Word::ControlPlaneBusy,
        Reason::ControlPlaneFirst => Word::ControlPlaneFirst,
        Reason::StoppedOnFailure | Reason::FailureBudgetSpent => Word::StoppedAfterFailure,
        Reason::PreflightRunning => Word::PreflightRunning,
        Reason::PodNotStarting => Word::PodNotStarting,
        Reason::RebootPodStarting => Word::RebootPodStarting,
        Reason::CordonContested => Word::CordonContested,
        Reason::Draining => Word::Draining,
        Reason::DrainRefused => Word::DrainRefused,
        Reason::BudgetNeverMet => Word::BudgetNeverMet,
        Reason::BudgetBlocks => Word::DrainBlocked,
        Reason::PodsTerminating => Word::PodsTerminating,
        Reason::WorkRunning => Word::JobRunning,
        Reason::BootIdUnknown => Word::BootIdUnknown,
        Reason::Rebooting | Reason::CoolingDown => Word::Rebooting,
        Reason::NodeNotReady => Word::NodeNotReady,
        Reason::Undoing => Word::Undoing,
        Reason::PreflightFailed => Word::PreflightFailed,
        Reason::DrainTimedOut => Word::DrainTimedOut,
        Reason::WorkFailed => Word::JobFailed,
        Reason::WorkLost => Word::JobGone,
        Reason::RebootPodFailed => Word::RebootPodFailed,
        Reason::RebootTimedOut => Word::RebootTimedOut,
        Reason::NotReadyAfterReboot => Word::NotReadyAfterReboot,
        Reason::FailedBefore => Word::FailedBefore,
        Reason::Forbidden => Word::Forbidden,
        Reason::WriteRefused => Word::WriteRefused,
        Reason::ForeignWebhook => Word::ForeignWebhook,
        Reason::ApiUnavailable => Word::ApiUnavailable,
        Reason::DryRun => Word::DryRun,
        Reason::InternalError => Word::InternalError,
        Reason::Malformed => Word::Malformed,
    }
}

/// The same for a reason with all that is told with it.
pub(super) fn because(because: &Because<Reason>) -> Because<Word> {
    Because {
        reason: word(because.reason),
        message: because.message.clone(),
        blocked_by: because.blocked_by.clone(),
        not_before: because.not_before,
        unblock: because.unblock.clone(),
    }
}

/// The failure that an entry names, by its reason. How far the node was changed follows from it: of what failed before the
/// command, the cordon was undone before the record of it went.
pub(super) fn failure(reason: Option<&str>, detail: &str) -> Failure {
    let reason = reason.and_then(|name| FAILURES.into_iter().find(|of| word(*of).name() == name));
    let reason = reason.unwrap_or(Reason::FailedBefore);
    let reach = match reason {
        Reason::PreflightFailed | Reason::DrainTimedOut => Reach::Untouched,
        Reason::RebootTimedOut | Reason::NotReadyAfterReboot => Reach::Rebooted,
        _ => Reach::Worked,
    };
    Failure { reason, detail: detail.into(), reach }
}

const FAILURES: [Reason; 7] = [
    Reason::PreflightFailed,
    Reason::DrainTimedOut,
    Reason::WorkFailed,
    Reason::WorkLost,
    Reason::RebootPodFailed,
    Reason::RebootTimedOut,
    Reason::NotReadyAfterReboot,
];
