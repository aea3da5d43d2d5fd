//! The Events of an upgrader: the original's words where it had one.
//!
//! The original put some of them on the Plan; here all are on the upgrader, with the Plan as the related object.

use api::upgrader::cluster_upgrader::{DONE, Reason, Status, UpgraderRow};
use domain::condition::{self, Condition};
use domain::object::ObjectRef;
use domain::verdict::{Because, Note, Reason as _, Severity, Then, Verdict};
use domain::version::KubernetesVersion;

use super::apply::Step;
use super::facts;
use super::memory::Origin;
use super::observe::Observed;
use super::owner;

const SETTING_CLUSTER_VERSION: &str = "SettingClusterVersion";
const CLUSTER_USING_LATEST_VERSION: &str = "ClusterUsingLatestVersion";

pub(super) fn notes(observed: &Observed, verdict: &Verdict<Step, Reason>, after: &Status) -> Vec<Note> {
    let related = observed.plan.as_ref().map(|plan| ObjectRef::of(api::upgrader::plan::KIND, &plan.meta));
    let note = |(severity, reason, message, occurrence)| Note {
        severity,
        reason,
        message,
        occurrence,
        related: related.clone(),
    };
    let started = started(observed, after);
    let arrived = reason(observed, verdict, after);
    started.into_iter().chain(arrived).map(note).collect()
}

type Told = (Severity, &'static str, String, String);

/// Once per hop. Read from the status rather than from the write, so that it is also told when the process ended between
/// the two; and not where the Cluster got its version from someone else.
fn started(observed: &Observed, after: &Status) -> Option<Told> {
    let upgrader = &observed.upgrader;
    let version = after.latest_set_version.as_deref()?;
    if same(upgrader.status.latest_set_version.as_deref(), version) {
        return None;
    }
    let (target, wanted) = (facts::target(observed).ok()?, facts::wanted(observed).ok()?);
    let id = if target.current == wanted.version {
        wanted.source.filter(|_| observed.origin != Origin::Others)?.id
    } else {
        owner::set_by_us(observed, &target, &wanted)?.id
    };
    let message = match &upgrader.topology_variable {
        Some(variable) => {
            format!("Cluster {} is set to {version} with {variable} {id}", upgrader.cluster_name)
        }
        None => format!("Cluster {} is set to {version}", upgrader.cluster_name),
    };
    Some((Severity::Normal, SETTING_CLUSTER_VERSION, message, format!("{version} {id}")))
}

fn same(before: Option<&str>, after: &str) -> bool {
    let parsed = |text| KubernetesVersion::parse_lenient(text).ok();
    before.is_some_and(|before| before == after || parsed(before).is_some_and(|it| Some(it) == parsed(after)))
}

/// Once per change of the reason. The phases of an upgrade that runs as it should are in the status only.
fn reason(observed: &Observed, verdict: &Verdict<Step, Reason>, after: &Status) -> Option<Told> {
    let upgrader = &observed.upgrader;
    let changed = condition::changed(&upgrader.status.conditions, &after.conditions, condition::UP_TO_DATE)?;
    match &verdict.then {
        Then::Done => {
            let message = changed.message.to_string();
            let source = facts::wanted(observed).ok().and_then(|wanted| wanted.source);
            let id = source.map(|source| source.id).unwrap_or_default();
            let occurrence = format!("{message} {id}");
            Some((Severity::Normal, CLUSTER_USING_LATEST_VERSION, message, occurrence))
        }
        Then::Wait(because) | Then::Failed(because) if !because.reason.is_our_work() => {
            let failed = matches!(verdict.then, Then::Failed(_));
            let (severity, reason) = word(observed, because, failed);
            Some((severity, reason, because.to_string(), occurrence(upgrader, changed)))
        }
        Then::Wait(because) if because.reason == Reason::UpgradeInProgress => image_set(observed),
        Then::Wait(_) | Then::Failed(_) => None,
    }
}

/// Once per image that was set while the version stayed: then no version tells of it.
fn image_set(observed: &Observed) -> Option<Told> {
    let id = observed.image_set.as_deref()?;
    let variable = observed.upgrader.topology_variable.as_deref()?;
    let version = facts::target(observed).ok()?.current;
    let message =
        format!("Cluster {} at {version} is set to {variable} {id}", observed.upgrader.cluster_name);
    Some((Severity::Normal, SETTING_CLUSTER_VERSION, message, format!("{version} {id}")))
}

fn word(observed: &Observed, because: &Because<Reason>, failed: bool) -> (Severity, &'static str) {
    let warning = |word| (Severity::Warning, word);
    match because.reason {
        Reason::ClusterMissing | Reason::ClusterAPINotInstalled => warning("GetClusterFailed"),
        Reason::PlanMissing => warning("GetPlanFailed"),
        Reason::PlanWithoutResult => warning("MachineImageDetailsVersionNotSet"),
        Reason::PlanVersionInvalid => warning("ErrorParsingLatestFoundVersion"),
        Reason::ClusterVersionInvalid => warning("ErrorParsingClusterVersion"),
        Reason::Blocked => warning("ErrorUpdatingVersion"),
        // To the original a Cluster that is ahead was one that uses the latest version.
        Reason::ClusterAhead => (Severity::Normal, CLUSTER_USING_LATEST_VERSION),
        // The image is read right before the write, so what failed then was the write.
        Reason::Forbidden
        | Reason::WriteRefused
        | Reason::ForeignWebhook
        | Reason::ApiUnavailable
        | Reason::InternalError
            if observed.live.image.is_some() =>
        {
            warning("ErrorUpdatingVersion")
        }
        other if failed => warning(other.name()),
        other => (Severity::Normal, other.name()),
    }
}

/// When it changed, and from what: the transition time stays while one wait follows another.
fn occurrence(upgrader: &UpgraderRow, changed: &Condition) -> String {
    let before = condition::find(&upgrader.status.conditions, condition::UP_TO_DATE);
    let before = before.map_or(DONE, |before| &before.reason);
    format!("{} after {before}", changed.last_transition_time)
}
