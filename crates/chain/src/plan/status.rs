//! The status and the Events of a plan.

use std::borrow::Cow;

use api::reference::ObjectReference;
use api::upgrader::machine_image;
use api::upgrader::plan::{
    DONE, FOUND_MACHINE_IMAGE, MachineImageDetails, NO_SUITABLE_MACHINE_IMAGE, Reason, Status,
};
use domain::condition::{self, Shape};
use domain::verdict::{Note, Severity, Then, Verdict, Waiting};
use jiff::Timestamp;
use runtime::room::Report;
use runtime::status::merge_patch;

use super::apply::Step;
use super::decide::chosen;
use super::observe::{Candidate, Observed};

/// The original's Event for a plan without a result.
const LATEST_VERSION_NOT_FOUND: &str = "LatestVersionNotFound";

pub(super) fn report(observed: &Observed, verdict: &Verdict<Step, Reason>, now: Timestamp) -> Report {
    let plan = &observed.plan;
    let chosen = chosen(observed);
    let message = chosen.map(told).unwrap_or_default();
    let wanted = condition::of(Shape::ReadyAndUpToDate, &verdict.then, (DONE, &message));
    let conditions = condition::settle(&plan.status.conditions, wanted, plan.meta.generation, now);
    let notes = notes(observed, verdict, chosen, &conditions);
    let status = Status {
        machine_image_details: chosen
            .map(|image| MachineImageDetails { version: image.version.clone(), id: image.id.clone() }),
        machine_image_ref: chosen.map(|image| ObjectReference::to(machine_image::KIND, &image.meta)),
        phase: Some(Cow::Borrowed(if chosen.is_some() {
            FOUND_MACHINE_IMAGE
        } else {
            NO_SUITABLE_MACHINE_IMAGE
        })),
        path: plan.status.path.clone(),
        waiting: Waiting::of(plan.status.waiting.as_ref(), &verdict.then, now),
        conditions,
        observed_generation: Some(plan.meta.generation),
    };
    Report { status: merge_patch(&plan.status, &status), notes }
}

fn told(image: &Candidate) -> String {
    format!("{} with image {} of MachineImage {}", image.version, image.id, image.meta.key.name)
}

/// One Event for each new result, and one for each new reason to have none.
fn notes(
    observed: &Observed,
    verdict: &Verdict<Step, Reason>,
    chosen: Option<&Candidate>,
    conditions: &[condition::Condition],
) -> Vec<Note> {
    let before = &observed.plan.status;
    let (severity, reason, message, occurrence) = match (&verdict.then, chosen) {
        (Then::Done, Some(image)) => {
            let details = before.machine_image_details.as_ref();
            if details.is_some_and(|details| details.version == image.version && details.id == image.id) {
                return Vec::new();
            }
            (Severity::Normal, DONE, told(image), format!("{} {}", image.version, image.id))
        }
        (then, _) => {
            let changed = condition::changed(&before.conditions, conditions, condition::UP_TO_DATE);
            let (Some(changed), Some(because)) = (changed, then.because()) else { return Vec::new() };
            let reason = match because.reason {
                Reason::NoSuitableMachineImage => LATEST_VERSION_NOT_FOUND,
                _ => domain::verdict::Reason::name(because.reason),
            };
            let occurrence = changed.last_transition_time.to_string();
            (Severity::Warning, reason, because.to_string(), occurrence)
        }
    };
    vec![Note { severity, reason, message, occurrence, related: None }]
}
