//! The status and the Events of a syncer.

use api::upgrader::machine_image;
use api::upgrader::machine_image_syncer::{DONE, Reason, Status};
use domain::condition::{self, Condition, Shape};
use domain::object::ObjectRef;
use domain::verdict::{Note, Reason as _, Severity, Verdict, Waiting};
use domain::version::KubernetesVersion;
use jiff::Timestamp;
use runtime::room::Report;
use runtime::status::merge_patch;

use super::apply::Step;
use super::decide::{current, is_unsaid, remarks};
use super::observe::{Errand, Image, Observed};
use super::retention::{Acted, Retaining};
use super::source::Source;

/// The original's Events.
const GET_VERSIONS_FROM_SOURCE_FAILED: &str = "GetVersionsFromSourceFailed";
const GET_MACHINE_IMAGE_TEMPLATE_FAILED: &str = "GetMachineImageTemplateFailed";
const CREATE_MACHINE_IMAGE_FAILED: &str = "CreateMachineImageFailed";
const CREATED_MACHINE_IMAGE: &str = "CreatedMachineImage";
/// Ours: the original deletes none.
const DELETED_MACHINE_IMAGE: &str = "DeletedMachineImage";

pub(super) fn report(observed: &Observed, verdict: &Verdict<Step, Reason>, now: Timestamp) -> Report {
    let syncer = &observed.syncer;
    if syncer.meta.deleting || is_unsaid(&verdict.then) {
        return Report::default();
    }
    let newest = observed.newest();
    let (images, denied) = current(observed, now);
    let mut message = images.into_iter().map(told).collect::<Vec<_>>().join(", ");
    if let Some(denied) = denied {
        message = format!("{message}; {denied} is newer, and spec.deniedVersions has it");
    }
    message.push_str(&remarks(observed));
    let wanted = condition::of(Shape::ReadyAndUpToDate, &verdict.then, (DONE, &message));
    let conditions = condition::settle(&syncer.status.conditions, wanted, syncer.meta.generation, now);
    let notes = [created(observed), deleted(observed), stopped(observed, verdict, &conditions)];
    let notes = notes.into_iter().flatten().collect();
    let retention = match (&syncer.retention, observed.retention.as_ref().and_then(Retaining::told)) {
        (None, _) => Vec::new(),
        (Some(_), Some(told)) => told,
        // What was told is still the best that is known.
        (Some(_), None) => syncer.status.retention.clone(),
    };
    let latest_version = match newest {
        Some(image) => Some(image.version.clone()),
        None if observed.blind.is_some() => syncer.status.latest_version.clone(),
        None => None,
    };
    let status = Status {
        latest_version,
        retention,
        waiting: Waiting::of(syncer.status.waiting.as_ref(), &verdict.then, now),
        conditions,
        observed_generation: Some(syncer.meta.generation),
    };
    Report { status: merge_patch(&syncer.status, &status), notes }
}

fn told(image: &Image) -> String {
    format!("{} has MachineImage {}", image.version, image.meta.key.name)
}

/// An Event for a new machine image: of this pass, or of one that was killed before it could tell.
fn created(observed: &Observed) -> Option<Note> {
    let by_this_pass = |image: &&Image| observed.created.as_deref() == Some(&*image.meta.uid);
    let before = observed.syncer.status.latest_version.as_deref();
    let before = before.and_then(|version| KubernetesVersion::parse_strict(version).ok());
    let untold = |image: &&Image| match (&before, &image.parsed) {
        (Some(before), Some(version)) => version.is_newer_than(before),
        _ => true,
    };
    let image = observed.images.iter().find(by_this_pass).or_else(|| observed.newest().filter(untold))?;
    Some(Note {
        severity: Severity::Normal,
        reason: CREATED_MACHINE_IMAGE,
        message: told(image),
        occurrence: image.meta.uid.to_string(),
        related: Some(ObjectRef::of(machine_image::KIND, &image.meta)),
    })
}

/// An Event for the machine image that this pass has deleted.
fn deleted(observed: &Observed) -> Option<Note> {
    let Acted::Deleted { image, because } = observed.retention.as_ref()?.acted.as_ref()? else {
        return None;
    };
    Some(Note {
        severity: Severity::Normal,
        reason: DELETED_MACHINE_IMAGE,
        message: format!("deleted {} {}: {because}", machine_image::KIND.kind, image.key.name),
        occurrence: image.uid.to_string(),
        related: Some(ObjectRef::of(machine_image::KIND, image)),
    })
}

/// An Event for each new reason why a version has no machine image.
fn stopped(observed: &Observed, verdict: &Verdict<Step, Reason>, after: &[Condition]) -> Option<Note> {
    let because = verdict.then.because()?;
    let reason = event_of(observed, because.reason)?;
    let before = &observed.syncer.status.conditions;
    condition::changed(before, after, condition::READY)?;
    let since = condition::find(after, condition::UP_TO_DATE)?.last_transition_time;
    Some(Note {
        severity: Severity::Warning,
        reason,
        message: because.to_string(),
        occurrence: format!("{} {since}", because.reason.name()),
        related: because.blocked_by.clone(),
    })
}

fn event_of(observed: &Observed, reason: Reason) -> Option<&'static str> {
    Some(match reason {
        Reason::Paused
        | Reason::ImageDeleting
        | Reason::CreatingImage
        | Reason::DeletingImage
        | Reason::VersionTooYoung
        | Reason::DryRun => return None,
        Reason::InvalidVersionRange
        | Reason::CrossNamespaceReference
        | Reason::SourceMissing
        | Reason::SourceKindNotInstalled
        | Reason::SourceKindForbidden
        | Reason::SourceInvalid
        | Reason::NoVersionsInSource
        | Reason::VersionDenied
        | Reason::NoVersionInRange => GET_VERSIONS_FROM_SOURCE_FAILED,
        Reason::TemplateMissing | Reason::TemplateInvalid => GET_MACHINE_IMAGE_TEMPLATE_FAILED,
        Reason::InternalError | Reason::Malformed => reason.name(),
        Reason::ImageNameTaken => CREATE_MACHINE_IMAGE_FAILED,
        Reason::Forbidden | Reason::WriteRefused | Reason::ForeignWebhook | Reason::ApiUnavailable => {
            match (observed.refused, &observed.source) {
                (Some(Errand::Source), _) | (None, Source::Syncing(_)) => GET_VERSIONS_FROM_SOURCE_FAILED,
                (Some(Errand::Template), _) => GET_MACHINE_IMAGE_TEMPLATE_FAILED,
                (Some(Errand::Image | Errand::Use) | None, _) => CREATE_MACHINE_IMAGE_FAILED,
            }
        }
    })
}
