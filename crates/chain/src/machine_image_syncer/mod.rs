//! `MachineImageSyncer`: machine images for the newest versions of a source in a range.
//!
//! *Reads* its source (of any kind that has `status.versions`), its template, and the machine images of its namespace; where
//! `spec.retention` is set also the plans and the other syncers there, and, live, what Clusters and their machines use.
//! *Writes* new machine images and its own status, and changes no image; it deletes one only where `spec.retention` asks for
//! it and nothing needs it: what cannot be told counts as a need. An image that it made once, in
//! whatever state and by whatever release, is never made again: it is known by its owner, or, where a move or an orphaning
//! delete left it without one, by the labels that no template can overwrite. What is absent for a moment only, since
//! `clusterctl move` is under way, is not made either. A source that may be read but not watched is
//! polled.

mod apply;
mod choice;
mod decide;
mod manifest;
mod observe;
mod retention;
mod source;
mod status;
#[cfg(test)]
mod tests;

use api::capi;
use api::source::VersionsRow;
use api::upgrader::debian_repository_source::{self, SourceRow};
use api::upgrader::machine_image::{self, MachineImageRow};
use api::upgrader::machine_image_syncer::{KIND, Reason, SOURCE_INDEX, SyncerRow, TEMPLATE_INDEX};
use api::upgrader::machine_image_template::{self, TemplateRow};
use api::upgrader::plan::{self, PlanRow};
use domain::object::{Kind, ObjectKey};
use domain::verdict::Verdict;
use futures::future::BoxFuture;
use jiff::Timestamp;
use runtime::answer::Refusal;
use runtime::engine::Registrar;
use runtime::request::Shell;
use runtime::room::{Applied, Recall, Report, Room};
use runtime::rules::Rule;
use runtime::store::{DynamicKind, Snapshot};

pub use self::apply::{Answer, Creation, Step};
pub use self::manifest::LiveTemplate;
pub use self::observe::{Errand, Image, Memory, Observed, Rejected};
pub use self::retention::{Acted, Candidate, Fate, Judged, Part, Reading, Remembered, Retaining, Used, User};
pub use self::source::{Catalog, Found, Polled, Source, Target};

/// The controller of machine image syncers.
#[derive(Debug, Default)]
pub struct SyncerRoom;

impl Room for SyncerRoom {
    const NAME: &'static str = "machineimagesyncer";
    const MANAGER: &'static str = "kubernetes-upgrader-machineimagesyncer";
    const KIND: Kind = KIND;
    /// Sources of other kinds are read under what their users grant.
    const RULES: &'static [Rule] = &[
        Rule::new(KIND.group, "machineimagesyncers", &["list", "watch"]),
        Rule::new(KIND.group, "machineimagesyncers/status", &["patch"]),
        // What an owner reference that blocks deletion needs where OwnerReferencesPermissionEnforcement is on.
        Rule::new(KIND.group, "machineimagesyncers/finalizers", &["update"]),
        Rule::new(KIND.group, "debianrepositorysources", &["list", "watch"]),
        Rule::new(KIND.group, "machineimagetemplates", &["get", "list", "watch"]),
        Rule::new(KIND.group, "machineimages", &["create", "delete", "list", "watch"]),
        // What follows is for retention: who needs an image.
        Rule::new(KIND.group, "plans", &["list", "watch"]),
        Rule::new(capi::GROUP, "clusters", &["list"]),
        Rule::new(capi::GROUP, "machinedeployments", &["list"]),
        Rule::new(capi::GROUP, "machinepools", &["list"]),
        Rule::new(capi::GROUP, "machines", &["list"]),
        // Of any provider: each has kinds of its own in this group.
        Rule::new("controlplane.cluster.x-k8s.io", "*", &["get"]),
        runtime::EVENTS_RULE,
    ];
    type Row = SyncerRow;
    type Observed = Observed;
    type Step = Step;
    type Answer = Answer;
    type Memory = Memory;
    type Shared = ();
    type Reason = Reason;

    fn watches(registrar: &mut Registrar<'_>) {
        registrar.watch::<SourceRow>(debian_repository_source::KIND, readers_of);
        registrar.watch_named::<SyncerRow, VersionsRow>(source::watched, readers_of_named);
        registrar.watch::<TemplateRow>(machine_image_template::KIND, users_of);
        registrar.watch::<MachineImageRow>(machine_image::KIND, makers_of);
        registrar.watch::<PlanRow>(plan::KIND, retainers_by);
    }

    fn observe(
        &self,
        snapshot: Snapshot<'_>,
        row: &SyncerRow,
        recall: Recall<'_, Self>,
        now: Timestamp,
    ) -> Observed {
        observe::observe(snapshot, row, recall.memory, now)
    }

    fn decide(&self, observed: &Observed, now: Timestamp) -> Verdict<Step, Reason> {
        decide::decide(observed, now)
    }

    fn report(&self, observed: &Observed, verdict: &Verdict<Step, Reason>, now: Timestamp) -> Report {
        status::report(observed, verdict, now)
    }

    fn apply(&self, shell: Shell, step: Step) -> BoxFuture<'static, Result<Applied<Answer>, Refusal>> {
        Box::pin(apply::apply(shell, step))
    }

    fn learn(
        &self,
        recall: Recall<'_, Self>,
        step: &Step,
        outcome: Result<Answer, &Refusal>,
        now: Timestamp,
    ) -> bool {
        match outcome {
            Ok(answer) => recall.memory.learn(step, answer, now),
            Err(refusal) => return recall.memory.refused(step, refusal, now),
        }
        true
    }
}

/// The syncers whose source of our own kind this is.
fn readers_of(
    snapshot: Snapshot<'_>,
    source: &ObjectKey,
    before: Option<&SourceRow>,
    after: Option<&SourceRow>,
) -> Vec<ObjectKey> {
    let counts = |row: &SourceRow| {
        let failing = source::failing(row).map(Box::<str>::from);
        (row.status.versions.clone(), row.status.packages.clone(), failing)
    };
    if before.map(counts) == after.map(counts) {
        return Vec::new();
    }
    readers_of_named(snapshot, &runtime::store::dynamic_kind(debian_repository_source::KIND), source)
}

/// The syncers whose source of any kind this is.
fn readers_of_named(snapshot: Snapshot<'_>, kind: &DynamicKind, source: &ObjectKey) -> Vec<ObjectKey> {
    let syncers = snapshot.referring::<SyncerRow>(SOURCE_INDEX, &source.namespace, &source.name);
    let readers = syncers.filter(|syncer| {
        Target::of(syncer).is_ok_and(|target| target.kind == *kind && target.key == *source)
    });
    readers.map(|syncer| syncer.meta.key.clone()).collect()
}

/// The syncers that make images from this template.
fn users_of(
    snapshot: Snapshot<'_>,
    template: &ObjectKey,
    _: Option<&TemplateRow>,
    _: Option<&TemplateRow>,
) -> Vec<ObjectKey> {
    let syncers = snapshot.referring::<SyncerRow>(TEMPLATE_INDEX, &template.namespace, &template.name);
    syncers.map(|syncer| syncer.meta.key.clone()).collect()
}

/// The syncers whose images stay or go by where a plan leads.
fn retainers_by(
    snapshot: Snapshot<'_>,
    plan: &ObjectKey,
    before: Option<&PlanRow>,
    after: Option<&PlanRow>,
) -> Vec<ObjectKey> {
    let counts = |row: &PlanRow| {
        let status = &row.status;
        let current = status.observed_generation == Some(row.meta.generation);
        let details = status.machine_image_details.clone();
        (details, status.machine_image_ref.clone(), status.path.clone(), current)
    };
    if before.map(counts) == after.map(counts) {
        return Vec::new();
    }
    let syncers = snapshot.in_namespace::<SyncerRow>(&plan.namespace);
    syncers.filter(|syncer| syncer.retention.is_some()).map(|syncer| syncer.meta.key.clone()).collect()
}

/// The syncer that made this image; where there is none, every syncer of the namespace, since the image may have the name
/// that one of them waits for.
fn makers_of(
    snapshot: Snapshot<'_>,
    image: &ObjectKey,
    before: Option<&MachineImageRow>,
    after: Option<&MachineImageRow>,
) -> Vec<ObjectKey> {
    let counts = |row: &MachineImageRow| {
        let MachineImageRow { meta, version, owner_uids, labels, .. } = row;
        (meta.uid.clone(), meta.deleting, version.clone(), owner_uids.clone(), labels.clone())
    };
    if before.map(counts) == after.map(counts) {
        return Vec::new();
    }
    let rows = [before, after];
    let made = |syncer: &&SyncerRow| rows.iter().flatten().any(|row| observe::made(syncer, row));
    let all = || snapshot.in_namespace::<SyncerRow>(&image.namespace);
    let mut concerned: Vec<_> = all().filter(made).map(|syncer| syncer.meta.key.clone()).collect();
    if concerned.is_empty() {
        concerned = all().map(|syncer| syncer.meta.key.clone()).collect();
    }
    concerned
}
