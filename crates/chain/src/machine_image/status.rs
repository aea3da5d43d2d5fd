//! The status and the Events of a machine image.

use std::borrow::Cow;

use api::batch::job;
use api::reference::ObjectReference;
use api::upgrader::machine_image::{BUILDING, CREATED, DONE, FAILED, Reason, Status};
use domain::condition::{self, Condition, Shape};
use domain::object::ObjectRef;
use domain::verdict::{Note, Reason as _, Severity, Then, Verdict, Waiting};
use jiff::Timestamp;
use runtime::room::Report;
use runtime::status::merge_patch;

use super::apply::Step;
use super::observe::Observed;

/// The original's Event for a Job that was made. It was sent before; here it tells of a Job that exists.
const CREATING_JOB: &str = "CreatingJob";
/// The original's Event for a Job that could not be made.
const CREATING_JOB_ERROR: &str = "CreatingJobError";

pub(super) fn report(observed: &Observed, verdict: &Verdict<Step, Reason>, now: Timestamp) -> Report {
    let image = &observed.image;
    let before = &image.status;
    let message = image.id.as_deref().map(|id| format!("image {id}")).unwrap_or_default();
    let wanted = condition::of(Shape::ReadyOnly, &verdict.then, (DONE, &message));
    let conditions = condition::settle(&before.conditions, wanted, image.meta.generation, now);
    let notes = notes(observed, verdict, &conditions);
    let status = Status {
        // Of a spec that cannot be read it is not known whether it has an id.
        ready: if image.malformed.is_some() { before.ready } else { image.id.is_some().then_some(true) },
        phase: phase(observed, &verdict.then),
        job_ref: job_ref(observed),
        waiting: Waiting::of(image.status.waiting.as_ref(), &verdict.then, now),
        conditions,
        observed_generation: Some(image.meta.generation),
    };
    Report { status: merge_patch(before, &status), notes }
}

/// The last Job stays named after it is gone: the name of the next one hangs on its uid. A reference to the same Job stays
/// as it was written, whatever resourceVersion the original noted in it.
fn job_ref(observed: &Observed) -> Option<ObjectReference> {
    let before = &observed.image.status.job_ref;
    let Some(job) = &observed.job else { return before.clone() };
    let kept =
        before.as_ref().filter(|before| before.uid.as_ref() == Some(&job.meta.uid) && before.kind.is_some());
    Some(kept.cloned().unwrap_or_else(|| ObjectReference::to(job::KIND, &job.meta)))
}

fn phase(observed: &Observed, then: &Then<Reason>) -> Option<Cow<'static, str>> {
    let image = &observed.image;
    if image.id.is_some() {
        return Some(Cow::Borrowed(CREATED));
    }
    // Empty before the first Job, as the original has it.
    let begun = observed.job.is_some() || image.status.job_ref.is_some();
    let word = |word| begun.then_some(Cow::Borrowed(word));
    match then.because().map(|because| because.reason) {
        Some(Reason::CreatingJob | Reason::Building | Reason::JobDeleting | Reason::JobNameTaken) => {
            word(BUILDING)
        }
        Some(
            Reason::WaitingToRetry
            | Reason::JobFailed
            | Reason::ImageIdMissing
            | Reason::ImageIdAmbiguous
            | Reason::JobRejected
            | Reason::InvalidVersion
            | Reason::InvalidTemplate,
        ) => word(FAILED),
        Some(Reason::Malformed) => image.status.phase.clone(),
        // A trouble of ours says nothing about the build; but what has no id is not there.
        _ => image.status.phase.clone().filter(|phase| phase != CREATED),
    }
}

/// One Event for each Job, one for the image, and one for each new trouble.
fn notes(observed: &Observed, verdict: &Verdict<Step, Reason>, conditions: &[Condition]) -> Vec<Note> {
    let image = &observed.image;
    let before = &image.status;
    let job = observed.job.as_ref().map(|job| ObjectRef::of(job::KIND, &job.meta));
    let known = before.job_ref.as_ref().and_then(|job| job.uid.as_ref());
    let mut notes = Vec::new();
    if let Some(job) = job.clone().filter(|job| known != Some(&job.uid)) {
        notes.push(Note {
            severity: Severity::Normal,
            reason: CREATING_JOB,
            message: format!("created Job {}", job.key.name),
            occurrence: job.key.name.to_string(),
            related: Some(job),
        });
    }
    let changed = condition::changed(&before.conditions, conditions, condition::READY);
    match (&verdict.then, &image.id, changed) {
        (Then::Done, Some(id), _) if before.ready != Some(true) => notes.push(Note {
            severity: Severity::Normal,
            reason: DONE,
            message: format!("image {id}"),
            occurrence: id.to_string(),
            related: job,
        }),
        (then, _, Some(changed)) => {
            let Some(because) = then.because() else { return notes };
            let reason = because.reason;
            if matches!(then, Then::Wait(_))
                && !matches!(reason, Reason::JobNameTaken | Reason::WaitingToRetry)
            {
                return notes;
            }
            let times = (image.meta.generation, changed.last_transition_time);
            notes.push(Note {
                severity: Severity::Warning,
                reason: if kept_from_building(observed, reason) { CREATING_JOB_ERROR } else { reason.name() },
                message: because.to_string(),
                occurrence: job
                    .as_ref()
                    .map_or_else(|| format!("{} {}", times.0, times.1), |job| job.uid.to_string()),
                related: job,
            });
        }
        _ => {}
    }
    notes
}

/// Whether a Job was due, and a refusal kept it from being made: of itself, or of what must come before it.
fn kept_from_building(observed: &Observed, reason: Reason) -> bool {
    let told_apart = matches!(
        reason,
        Reason::InvalidVersion
            | Reason::InvalidTemplate
            | Reason::JobNameTaken
            | Reason::WaitingToRetry
            | Reason::Malformed
    );
    observed.next.is_some() && !told_apart
}
