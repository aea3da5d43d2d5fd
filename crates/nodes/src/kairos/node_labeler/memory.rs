//! What is kept between passes, and lost with the process: a repetition then, never a second Job.

use std::collections::BTreeSet;
use std::sync::Arc;

use runtime::answer::Refusal;

use super::apply::Step;

/// What is kept of a node.
#[derive(Debug, Default)]
pub struct Memory {
    /// Uid of the Job that was deleted.
    pub(super) deleted: Option<Box<str>>,
    /// The how manyth Job is made next, of the Node with this uid.
    pub(super) attempt: Option<(Box<str>, u32)>,
}

/// What is kept of all nodes together.
#[derive(Debug, Default)]
pub struct Shared {
    /// Names of nodes whose Jobs are being made.
    pub(super) starting: BTreeSet<Arc<str>>,
    /// There is a DaemonSet of the labeler's name that has not its label, so that no watch shows it: the original's.
    pub(super) unlabelled: bool,
}

/// What a request brought back.
#[derive(Debug)]
pub enum Answer {
    /// The Job or the DaemonSet is as asked for.
    Written,
    /// The Job is deleted, or was before.
    Deleted,
}

/// Takes an answer, or a refusal that says how things are.
pub(super) fn learn(
    memory: &mut Memory,
    shared: &mut Shared,
    step: &Step,
    outcome: Result<Answer, &Refusal>,
) -> bool {
    match (step, outcome) {
        (Step::CreateJob { node, .. }, outcome) => {
            shared.starting.remove(&node.key.name);
            outcome.is_ok()
        }
        (Step::DeleteJob { job, node_uid, next, .. }, Ok(_) | Err(Refusal::NotFound)) => {
            memory.deleted = Some(job.uid.clone());
            memory.attempt = Some((node_uid.clone(), *next));
            true
        }
        (Step::CreateDaemonSet { .. }, Err(Refusal::AlreadyExists)) => {
            shared.unlabelled = true;
            true
        }
        (Step::ConvergeDaemonSet { .. }, Ok(_) | Err(Refusal::NotFound)) => {
            shared.unlabelled = false;
            true
        }
        (_, outcome) => outcome.is_ok(),
    }
}
