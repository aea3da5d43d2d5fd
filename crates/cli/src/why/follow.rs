//! From an object to its causes: by what its controller says blocks it, and where that ends, by what it is made of.

use std::collections::BTreeSet;

use api::batch::{job, pod};
use api::capi::cluster;
use api::selector::Labels;
use api::upgrader::cluster_upgrader::{self, UpgraderRow};
use api::upgrader::machine_image::{self, MachineImageRow};
use api::upgrader::machine_image_syncer::{self, SyncerRow, VersionPolicy};
use api::upgrader::machine_image_template;
use api::upgrader::plan::{self, PlanRow};
use domain::range::VersionRange;
use domain::version::KubernetesVersion;

use super::Cause;
use crate::object::{Id, Object};
use crate::state::{self, Standing, State};
use crate::world::World;

/// Most causes that are followed from one object, nearest first.
const MOST: usize = 8;
/// Longest chain.
const DEEPEST: usize = 12;

/// The object with its causes.
pub(crate) fn from(world: &World, id: &Id) -> Cause {
    follow(world, id, &mut BTreeSet::new(), &mut Vec::new())
}

fn follow(world: &World, id: &Id, seen: &mut BTreeSet<Id>, way: &mut Vec<Id>) -> Cause {
    let Some(object) = world.get(id) else { return unseen(id) };
    let mut cause = Cause::new(id, state::of(object));
    if !seen.insert(id.clone()) {
        "see above".clone_into(&mut cause.message);
        cause.unblock = None;
        return cause;
    }
    if way.len() < DEEPEST {
        let mut causes = causes(world, object);
        // What waits for what waits for it says nothing twice.
        causes.retain(|cause| !way.contains(cause));
        let more = causes.len().saturating_sub(MOST);
        way.push(id.clone());
        cause.causes = causes.iter().take(MOST).map(|id| follow(world, id, seen, way)).collect();
        if object.id.is(plan::KIND) && lacks_minor(&object.row()) {
            cause.causes.iter_mut().for_each(|cause| hint(world, cause));
        }
        way.pop();
        if more > 0 {
            let told = format!("{} (and {more} more causes)", cause.message);
            told.trim().clone_into(&mut cause.message);
        }
    }
    cause
}

/// A syncer that is done, and whose policy is why a minor lacks its image.
fn hint(world: &World, cause: &mut Cause) {
    let syncer = world.get(&cause.id).filter(|object| object.id.is(machine_image_syncer::KIND));
    let row = syncer.map(Object::row::<SyncerRow>).filter(|_| cause.state == State::Done);
    if row.is_some_and(|row| row.version_policy == VersionPolicy::Newest) {
        let words =
            "it makes an image of the newest version alone: set spec.versionPolicy to NewestOfEachMinor";
        cause.unblock = Some(words.to_owned());
    }
}

/// An object that is named and was not read: it is not there, or is of a kind that is not looked at.
fn unseen(id: &Id) -> Cause {
    let looked_at = crate::kinds::of(&id.group, &id.kind).is_some();
    let mut cause = Cause::new(id, Standing::unknown());
    let told = if looked_at { "it was not found" } else { "it is not looked at" };
    told.clone_into(&mut cause.message);
    cause
}

fn causes(world: &World, object: &Object) -> Vec<Id> {
    let namespace = &*object.id.key.namespace;
    let standing = state::of(object);
    if object.id.is(cluster::KIND) {
        return upgraders_of(world, object);
    }
    if object.id.is(job::KIND) {
        return if standing.state == State::Done { Vec::new() } else { pods_of(world, object) };
    }
    // A plan with a result may still lack a minor on its path, which holds back the Clusters that come from below it.
    let lacks = object.id.is(plan::KIND) && lacks_minor(&object.row());
    if !lacks && matches!(standing.state, State::Done | State::None) {
        return Vec::new();
    }
    let mut causes: Vec<Id> = standing.blocked_by.into_iter().collect();
    if object.id.is(machine_image::KIND) {
        let row: MachineImageRow = object.row();
        let job = row.status.job_ref.as_ref().map(|job| Id::of(job::KIND, job.key(namespace)));
        causes.extend(job.filter(|job| world.get(job).is_some()));
    }
    if object.id.is(plan::KIND) {
        causes.extend(behind_plan(world, object));
    }
    let mut told = BTreeSet::new();
    causes.retain(|id| *id != object.id && told.insert(id.clone()));
    causes
}

fn lacks_minor(plan: &PlanRow) -> bool {
    missing_minors(plan).next().is_some()
}

/// Minors on the path of a plan that have no image, such as `v1.35`.
fn missing_minors(plan: &PlanRow) -> impl Iterator<Item = &str> {
    plan.status.path.iter().filter(|entry| entry.missing == Some(true)).map(|entry| &*entry.minor)
}

/// A Cluster's upgraders, the one that drives it first.
fn upgraders_of(world: &World, cluster: &Object) -> Vec<Id> {
    let all = world.within(cluster_upgrader::KIND, &cluster.id.key.namespace);
    let mut all: Vec<&Object> =
        all.filter(|object| *object.row::<UpgraderRow>().cluster_name == *cluster.id.key.name).collect();
    all.sort_by_key(|object| (object.meta.creation_timestamp, object.id.key.name.clone()));
    all.into_iter().map(|object| object.id.clone()).collect()
}

fn pods_of(world: &World, job: &Object) -> Vec<Id> {
    let owned = |object: &&Object| {
        object.meta.owner_references.iter().any(|owner| {
            owner.uid == job.meta.uid || (job.meta.uid.is_empty() && *owner.name == *job.id.key.name)
        })
    };
    let mut pods: Vec<&Object> = world.within(pod::KIND, &job.id.key.namespace).filter(owned).collect();
    pods.sort_by_key(|object| std::cmp::Reverse(object.meta.creation_timestamp));
    pods.into_iter().map(|object| object.id.clone()).collect()
}

/// What a plan without a result, or without an image of a minor, waits for: images that would count once they are built; where there are none, the syncers
/// that make images with its labels.
fn behind_plan(world: &World, object: &Object) -> Vec<Id> {
    let plan: PlanRow = object.row();
    let Ok(range) = plan.version_range.parse::<VersionRange>() else { return Vec::new() };
    let missing: Vec<&str> = missing_minors(&plan).collect();
    let counts = |object: &&Object| {
        let image: MachineImageRow = object.row();
        let Ok(version) = KubernetesVersion::parse_lenient(&image.version) else { return false };
        let minor = format!("v{}.{}", version.major(), version.minor());
        let sought = missing.is_empty() || missing.contains(&&*minor);
        image.id.is_none() && sought && range.matches(&version) && plan.selector.matches(&image.labels)
    };
    let images = world.within(machine_image::KIND, &object.id.key.namespace).filter(counts);
    let images: Vec<Id> = images.map(|object| object.id.clone()).collect();
    if images.is_empty() { syncers_for(world, object) } else { images }
}

/// The syncers whose images a plan would select, those that wait first.
fn syncers_for(world: &World, object: &Object) -> Vec<Id> {
    let plan: PlanRow = object.row();
    let selected = |syncer: &&Object| plan.selector.matches(&labels_from(world, syncer));
    let syncers = world.within(machine_image_syncer::KIND, &object.id.key.namespace).filter(selected);
    let mut syncers: Vec<&Object> = syncers.collect();
    syncers.sort_by_key(|syncer| std::cmp::Reverse(state::of(syncer).state));
    syncers.into_iter().map(|syncer| syncer.id.clone()).collect()
}

/// The labels of the images that a syncer makes.
fn labels_from(world: &World, syncer: &Object) -> Labels {
    let row: SyncerRow = syncer.row();
    let name = row.template.name.as_deref().unwrap_or_default();
    let template = world.get(&syncer.sibling(machine_image_template::KIND, name));
    let labels = template.and_then(|template| template.body.pointer("/spec/template/metadata/labels"));
    let mut labels = labels
        .and_then(|labels| <Labels as serde::Deserialize>::deserialize(labels).ok())
        .unwrap_or_default();
    labels.insert(machine_image::SYNCER_NAME_LABEL.into(), (&*syncer.id.key.name).into());
    labels
}
