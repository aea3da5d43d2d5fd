//! The status and the Events of a source.

use std::collections::BTreeSet;

use api::upgrader::debian_repository_source::{DONE, Reason, Status};
use domain::condition::{self, Condition, Shape};
use domain::verdict::{Note, Severity, Then, Verdict, Waiting};
use jiff::Timestamp;
use runtime::room::Report;
use runtime::status::merge_patch;

use super::apply::Step;
use super::observe::Observed;

/// The original's Event for a repository that cannot be read.
const LIST_VERSIONS_FAILED: &str = "ListVersionsFailed";
/// Most versions that an Event names.
const NAMED: usize = 10;

pub(super) fn report(observed: &Observed, verdict: &Verdict<Step, Reason>, now: Timestamp) -> Report {
    let source = &observed.source;
    if source.meta.deleting {
        return Report::default();
    }
    let versions = observed.versions();
    let wanted = condition::of(Shape::ReadyOnly, &verdict.then, (DONE, &told(versions)));
    let conditions = condition::settle(&source.status.conditions, wanted, source.meta.generation, now);
    let notes =
        found(&source.status.versions, versions).into_iter().chain(failed(observed, verdict, &conditions));
    let notes = notes.collect();
    let status = Status {
        versions: versions.to_vec(),
        last_handled_request: observed.handled.clone(),
        packages: source.status.packages.clone(),
        releases: source.status.releases.clone(),
        key_expires: source.status.key_expires,
        waiting: Waiting::of(source.status.waiting.as_ref(), &verdict.then, now),
        conditions,
        observed_generation: Some(source.meta.generation),
    };
    Report { status: merge_patch(&source.status, &status), notes }
}

fn told(versions: &[Box<str>]) -> String {
    match versions {
        [] => "no version".to_owned(),
        [only] => format!("1 version, {only}"),
        [.., newest] => format!("{} versions, the newest {newest}", versions.len()),
    }
}

/// An Event for versions that came or went.
fn found(before: &[Box<str>], after: &[Box<str>]) -> Option<Note> {
    let (old, new): (BTreeSet<_>, BTreeSet<_>) = (before.iter().collect(), after.iter().collect());
    let came: Vec<&str> = after.iter().filter(|version| !old.contains(version)).map(AsRef::as_ref).collect();
    let went: Vec<&str> = before.iter().filter(|version| !new.contains(version)).map(AsRef::as_ref).collect();
    let mut parts = Vec::new();
    if !came.is_empty() {
        parts.push(format!("found {}", named(&came)));
    }
    if !went.is_empty() {
        parts.push(format!("no longer there: {}", named(&went)));
    }
    (!parts.is_empty()).then(|| Note {
        severity: Severity::Normal,
        reason: DONE,
        message: parts.join("; "),
        occurrence: format!("{} / {}", came.join(" "), went.join(" ")),
        related: None,
    })
}

/// The newest of them, since the oldest come first.
fn named(versions: &[&str]) -> String {
    let shown = versions.split_at(versions.len().saturating_sub(NAMED)).1.join(", ");
    match versions.len().saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown} and {more} older"),
    }
}

/// An Event for each new reason to have failed.
fn failed(observed: &Observed, verdict: &Verdict<Step, Reason>, after: &[Condition]) -> Option<Note> {
    let Then::Failed(because) = &verdict.then else { return None };
    let changed = condition::changed(&observed.source.status.conditions, after, condition::READY)?;
    Some(Note {
        severity: Severity::Warning,
        reason: LIST_VERSIONS_FAILED,
        message: because.to_string(),
        occurrence: format!("{} {}", changed.reason, changed.last_transition_time),
        related: None,
    })
}
