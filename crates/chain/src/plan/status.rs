//! The status and the Events of a plan.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use api::reference::ObjectReference;
use api::upgrader::machine_image;
use api::upgrader::plan::{
    DONE, FOUND_MACHINE_IMAGE, MachineImageDetails, NO_SUITABLE_MACHINE_IMAGE, PathEntry, Reason, Status,
};
use domain::condition::{self, Shape};
use domain::path::Hop;
use domain::verdict::{Note, Severity, Then, Verdict, Waiting};
use domain::version::Minor;
use jiff::Timestamp;
use runtime::room::Report;
use runtime::status::merge_patch;

use super::apply::Step;
use super::decide::chosen;
use super::observe::{Candidate, Observed};

/// The original's Event for a plan without a result.
const LATEST_VERSION_NOT_FOUND: &str = "LatestVersionNotFound";
/// The schema takes no more entries in `status.path`.
const MAX_PATH: u64 = 100;
/// More minors without an image than these are counted, not named.
const MAX_NAMED: usize = 5;

pub(super) fn report(observed: &Observed, verdict: &Verdict<Step, Reason>, now: Timestamp) -> Report {
    let plan = &observed.plan;
    let chosen = chosen(observed);
    let path = path(&observed.candidates);
    let message = chosen.map(|image| told(image) + &holes(&path)).unwrap_or_default();
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
        path,
        waiting: Waiting::of(plan.status.waiting.as_ref(), &verdict.then, now),
        conditions,
        observed_generation: Some(plan.meta.generation),
    };
    Report { status: merge_patch(&plan.status, &status), notes }
}

fn told(image: &Candidate) -> String {
    format!("{} with image {} of MachineImage {}", image.version, image.id, image.meta.key.name)
}

/// One entry for each minor from the lowest that has an image to that of the result, which is the first candidate. Of more
/// than the schema takes, those next to the result.
fn path(candidates: &[Hop<Candidate>]) -> Vec<PathEntry> {
    let Some(target) = candidates.first().map(|hop| Minor::from(&hop.version)) else { return Vec::new() };
    let mut newest: BTreeMap<u64, &Candidate> = BTreeMap::new();
    // No path leads from one major to another.
    for hop in candidates.iter().filter(|hop| hop.version.major() == target.major) {
        newest.entry(hop.version.minor()).or_insert(&hop.image);
    }
    let told = target.minor.saturating_sub(MAX_PATH - 1)..=target.minor;
    let lowest = newest.range(told).next().map_or(target.minor, |(minor, _)| *minor);
    let minors = (lowest..=target.minor).map(|minor| Minor { minor, ..target });
    let entries = minors.map(|minor| {
        let image = newest.get(&minor.minor);
        PathEntry {
            minor: minor.to_string().into(),
            version: image.map(|image| image.version.clone()),
            machine_image: image.map(|image| (&*image.meta.key.name).into()),
            missing: image.is_none().then_some(true),
        }
    });
    entries.collect()
}

/// The minors of a path that have no image, for people.
fn holes(path: &[PathEntry]) -> String {
    let mut missing = path.iter().filter(|entry| entry.missing.is_some()).map(|entry| &*entry.minor);
    let named: Vec<&str> = missing.by_ref().take(MAX_NAMED).collect();
    if named.is_empty() {
        return String::new();
    }
    let mut told = format!("; no image of {}", named.join(", "));
    match missing.count() {
        0 => {}
        more => _ = write!(told, " and {more} more"),
    }
    told + ": Clusters below wait"
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
