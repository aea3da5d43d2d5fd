//! What rows tell of the need for an image: who wants it, which plan leads to it, which Cluster has it.

use std::time::Duration;

use api::capi::cluster::{ClusterRow, Variables};
use api::reference::ObjectReference;
use api::upgrader::machine_image::{FAILED, MachineImageRow};
use api::upgrader::machine_image_syncer::{self, SyncerRow};
use api::upgrader::plan::{self, PlanRow};
use domain::condition::{self, STALLED, Status};
use domain::version::KubernetesVersion;
use jiff::Timestamp;
use runtime::clock::after;
use runtime::store::{Snapshot, Table};

use super::reading::User;
use crate::machine_image_syncer::choice::{Known, Rules};
use crate::machine_image_syncer::observe::made;
use crate::machine_image_syncer::source::{self, Catalog, Found, Polled, Source};

/// How long an image is left alone at first: `clusterctl move` and a restore bring images before what uses them.
const SETTLING: Duration = Duration::from_secs(60 * 60);

/// What is known of needs, of all images of a namespace.
pub(super) struct Needs<'a> {
    /// The versions that syncers want, with their names.
    wanted: Vec<(KubernetesVersion, &'a str)>,
    plans: Vec<&'a PlanRow>,
    /// What is not known.
    unknown: Option<String>,
}

/// Why an image stays.
pub(super) struct Because {
    pub(super) words: String,
    /// It may pass without a watch that wakes the syncer.
    pub(super) passes: bool,
}

/// What a syncer knows of its versions.
struct OfSyncer<'a> {
    catalog: Option<Catalog>,
    images: Vec<&'a str>,
}

impl Known for OfSyncer<'_> {
    fn first_seen(&self, version: &str) -> Option<Timestamp> {
        self.catalog.as_ref()?.first_seen(version)
    }

    fn has_image(&self, version: &KubernetesVersion) -> bool {
        self.images
            .iter()
            .any(|text| KubernetesVersion::parse_strict(text).is_ok_and(|image| image == *version))
    }
}

impl<'a> Needs<'a> {
    pub(super) fn of(snapshot: Snapshot<'a>, syncer: &'a SyncerRow, source: &Source, now: Timestamp) -> Self {
        let namespace = &*syncer.meta.key.namespace;
        let (mut wanted, mut unknown) = (Vec::new(), None);
        for other in snapshot.in_namespace::<SyncerRow>(namespace).filter(|other| !other.meta.deleting) {
            let theirs;
            let source = if other.meta.uid == syncer.meta.uid {
                source
            } else {
                // What another syncer last polled is not known here.
                theirs = source::observe(snapshot, other, None, &mut None, now);
                &theirs
            };
            match wants(snapshot, other, source, now) {
                Some(versions) => {
                    wanted.extend(versions.into_iter().map(|version| (version, &*other.meta.key.name)));
                }
                None => {
                    unknown.get_or_insert_with(|| {
                        format!(
                            "which versions {} {} wants is not known",
                            machine_image_syncer::KIND.kind,
                            other.meta.key.name
                        )
                    });
                }
            }
        }
        let plans: Vec<_> = snapshot.in_namespace::<PlanRow>(namespace).collect();
        if !snapshot.table::<PlanRow>().is_some_and(Table::is_synced) {
            unknown = Some("plans cannot be listed and watched".to_owned());
        } else if let Some(silent) = plans.iter().find(|plan| !speaks(plan)) {
            let name = &silent.meta.key.name;
            unknown = Some(format!("where {} {name} leads is not known yet", plan::KIND.kind));
        }
        Self { wanted, plans, unknown }
    }

    /// Why an image stays whatever Cluster API says.
    pub(super) fn of_image(
        &self,
        image: &MachineImageRow,
        version: Option<&KubernetesVersion>,
        now: Timestamp,
    ) -> Option<Because> {
        let lasting = |words: String| Some(Because { words, passes: false });
        let passing = |words: String| Some(Because { words, passes: true });
        let Some(version) = version else {
            return lasting("its version cannot be read, so that nothing can be told of its use".to_owned());
        };
        if let Some((_, syncer)) =
            self.wanted.iter().find(|(wanted, _)| wanted.cmp_precedence(version).is_eq())
        {
            return lasting(format!("{} {syncer} wants {}", machine_image_syncer::KIND.kind, image.version));
        }
        if is_building(image) {
            return passing("it is being built".to_owned());
        }
        if let Some(plan) = self.plans.iter().find(|plan| leads_to(plan, image)) {
            return lasting(format!("{} {} leads to it", plan::KIND.kind, plan.meta.key.name));
        }
        if let Some(words) = &self.unknown {
            return passing(words.clone());
        }
        // A time that cannot be told is as good as none.
        if image.meta.created.is_none_or(|created| after(created, SETTLING) > now) {
            return passing("it has been here for less than an hour".to_owned());
        }
        None
    }
}

/// The versions that a syncer wants; nothing where that cannot be told. No version at all counts as not known: a source that
/// is empty for a moment must not cost every image.
fn wants(
    snapshot: Snapshot<'_>,
    syncer: &SyncerRow,
    source: &Source,
    now: Timestamp,
) -> Option<Vec<KubernetesVersion>> {
    let (Source::Watched(found) | Source::Polled(Some(Polled { found, .. }))) = source else { return None };
    let Found::Versions(Ok(versions)) = found else { return None };
    if syncer.malformed.is_some() || syncer.source.leaves(&syncer.meta.key.namespace) {
        return None;
    }
    let rows = snapshot.in_namespace::<MachineImageRow>(&syncer.meta.key.namespace);
    let images = rows.filter(|image| made(syncer, image)).map(|image| &*image.version).collect();
    let known = OfSyncer { catalog: source::catalog(snapshot, syncer), images };
    let choice = Rules::of(syncer).ok()?.choose(versions, &known, now).ok()?;
    Some(choice.wanted.into_iter().map(|version| version.parsed).collect())
}

/// Whether the status of a plan is of its present spec. After a move it has none until its controller has looked at it.
fn speaks(plan: &PlanRow) -> bool {
    plan.status.observed_generation == Some(plan.meta.generation)
}

fn leads_to(plan: &PlanRow, image: &MachineImageRow) -> bool {
    let name = Some(&*image.meta.key.name);
    let status = &plan.status;
    let named = |reference: &ObjectReference| reference.name.as_deref() == name;
    status.machine_image_ref.as_ref().is_some_and(named)
        || status.path.iter().any(|entry| entry.machine_image.as_deref() == name)
        || status.machine_image_details.as_ref().is_some_and(|details| Some(&details.id) == image.id.as_ref())
}

/// Whether a Job may run, or is about to: a Job that is deleted can leave the machine behind on which it builds.
fn is_building(image: &MachineImageRow) -> bool {
    let status = &image.status;
    let stalled = || condition::find(&status.conditions, STALLED).is_some_and(|it| it.status == Status::True);
    let failed = status.phase.as_deref() == Some(FAILED) || (status.job_ref.is_none() && stalled());
    image.blocks_move || (image.id.is_none() && !failed)
}

/// What Clusters use, as far as rows of them are kept.
pub(super) fn clusters(snapshot: Snapshot<'_>, namespace: &str) -> Vec<User> {
    let Some(table) = snapshot.table::<ClusterRow>().filter(|table| table.is_synced()) else {
        return Vec::new();
    };
    table.in_namespace(namespace).map(user).collect()
}

fn user(cluster: &ClusterRow) -> User {
    let topology = cluster.topology.as_ref();
    let halves = [&cluster.control_plane, &cluster.workers].into_iter();
    let reported = halves.flat_map(|half| half.versions.iter().flatten().chain(&half.upgrade_plan));
    let variables =
        topology.and_then(|topology| topology.variables.as_ref()).into_iter().flat_map(Variables::iter);
    User {
        who: format!("Cluster {}", cluster.meta.key.name).into(),
        versions: topology.map(|topology| &topology.version).into_iter().chain(reported).cloned().collect(),
        variables: variables
            .filter_map(|variable| Some((variable.name.into(), serde_json::from_str(variable.value).ok()?)))
            .collect(),
    }
}
