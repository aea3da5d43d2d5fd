//! What led to what, by names, labels and annotations alone: those survive `clusterctl move`, uids do not.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use api::batch::job;
use api::capi::cluster::{self, ClusterRow};
use api::upgrader::cluster_upgrader::{self, UpgraderRow};
use api::upgrader::debian_repository_source;
use api::upgrader::machine_image::{self, MachineImageRow};
use api::upgrader::machine_image_syncer::{self, SyncerRow};
use api::upgrader::machine_image_template;
use api::upgrader::plan::{self, PlanRow};
use domain::object::ObjectKey;
use domain::version::KubernetesVersion;

use crate::object::{Id, Object};
use crate::world::World;

/// Stands for a kind where a package repository is a node.
const REPOSITORY: &str = "Repository";

pub(super) fn is_repository(id: &Id) -> bool {
    *id.kind == *REPOSITORY && id.group.is_empty()
}

/// What led to what.
#[derive(Debug, Default)]
pub(super) struct Graph {
    after: BTreeMap<Id, Vec<Id>>,
    before: BTreeMap<Id, Vec<Id>>,
}

impl Graph {
    pub(super) fn of(world: &World) -> Self {
        let mut graph = Self::default();
        for object in world.objects() {
            graph.add(world, object);
        }
        for next in graph.after.values_mut() {
            next.sort_by_cached_key(|id| place(world, id));
        }
        graph
    }

    fn link(&mut self, from: Id, to: Id) {
        let next = self.after.entry(from.clone()).or_default();
        if from != to && !next.contains(&to) {
            next.push(to.clone());
            self.before.entry(to).or_default().push(from);
        }
    }

    fn add(&mut self, world: &World, object: &Object) {
        let id = &object.id;
        let here = |kind, name: &str| object.sibling(kind, name);
        let repository = |url: &str| Id::new("", REPOSITORY, ObjectKey::new("", url));
        if id.is(debian_repository_source::KIND) {
            if let Some(url) = object.text("/spec/url") {
                self.link(repository(url), id.clone());
            }
        } else if id.is(machine_image_syncer::KIND) {
            let row: SyncerRow = object.row();
            if let Some(source) = source_of(&row, object) {
                self.link(source, id.clone());
            }
            if let Some(template) = &row.template.name {
                self.link(here(machine_image_template::KIND, template), id.clone());
            }
        } else if id.is(machine_image::KIND) {
            self.add_image(world, object, repository);
        } else if id.is(job::KIND) {
            let owner =
                object.meta.owner_references.iter().find(|owner| *owner.kind == *machine_image::KIND.kind);
            let named =
                owner.map(|owner| &*owner.name).or_else(|| object.meta.label(job::MACHINE_IMAGE_NAME_LABEL));
            if let Some(image) = named {
                self.link(here(machine_image::KIND, image), id.clone());
            }
        } else if id.is(plan::KIND) {
            let row: PlanRow = object.row();
            let result = row.status.machine_image_ref.as_ref().and_then(|result| result.name.as_deref());
            let path = row.status.path.iter().filter_map(|entry| entry.machine_image.as_deref());
            for image in result.into_iter().chain(path) {
                self.link(here(machine_image::KIND, image), id.clone());
            }
        } else if id.is(cluster_upgrader::KIND) {
            self.add_upgrader(world, object);
        }
    }

    fn add_image(&mut self, world: &World, object: &Object, repository: impl Fn(&str) -> Id) {
        let id = &object.id;
        let syncer = object.meta.label(machine_image::SYNCER_NAME_LABEL);
        let syncer = syncer.map(|name| object.sibling(machine_image_syncer::KIND, name));
        let source = object.meta.annotation(machine_image::SOURCE_ANNOTATION).and_then(|named| {
            let (kind, name) = named.split_once('/')?;
            let known = debian_repository_source::KIND;
            let group = if kind == known.kind { known.group } else { "" };
            Some(Id::new(group, kind, id.key.sibling(name)))
        });
        let url = object.meta.annotation(machine_image::REPOSITORY_ANNOTATION);
        if let Some(syncer) = &syncer {
            self.link(syncer.clone(), id.clone());
        }
        // What is still there says itself what came before it; of what is gone, the annotations do.
        if let (Some(source), Some(syncer)) = (&source, &syncer)
            && world.get(syncer).is_none()
        {
            self.link(source.clone(), syncer.clone());
        }
        if let (Some(source), Some(url)) = (&source, url)
            && world.get(source).is_none()
        {
            self.link(repository(url), source.clone());
        }
    }

    fn add_upgrader(&mut self, world: &World, object: &Object) {
        let id = &object.id;
        let row: UpgraderRow = object.row();
        let plan = row.plan.name.as_deref().map(|name| object.sibling(plan::KIND, name));
        if let Some(plan) = &plan {
            self.link(plan.clone(), id.clone());
        }
        if !row.cluster_name.is_empty() {
            self.link(id.clone(), object.sibling(cluster::KIND, &row.cluster_name));
        }
        let last = row.last_set.map(|last| last.machine_image).filter(|name| !name.is_empty());
        let Some(last) = last.map(|name| object.sibling(machine_image::KIND, &name)) else { return };
        // Through the plan, where the image is still on its path.
        let of_plan = plan.and_then(|plan| world.get(&plan)).map(Object::row::<PlanRow>);
        let through = of_plan.is_some_and(|plan| {
            let result = plan.status.machine_image_ref.as_ref().and_then(|result| result.name.clone());
            let mut path = plan.status.path.iter().filter_map(|entry| entry.machine_image.as_ref());
            result.as_deref() == Some(&*last.key.name) || path.any(|name| **name == *last.key.name)
        });
        if !through {
            self.link(last, id.clone());
        }
    }

    /// What an object led to.
    pub(super) fn led_to(&self, id: &Id) -> impl Iterator<Item = &Id> {
        self.after.get(id).into_iter().flatten()
    }

    /// Everything before and after an object, and the object.
    pub(super) fn lineage(&self, id: &Id) -> BTreeSet<Id> {
        let mut all = reached(id, &self.before);
        all.extend(reached(id, &self.after));
        // Each image's Job belongs to it, and is where its trouble shows.
        let jobs: Vec<Id> =
            all.iter().flat_map(|id| self.led_to(id)).filter(|id| id.is(job::KIND)).cloned().collect();
        all.extend(jobs);
        all
    }

    /// Those of a lineage that nothing of it came before.
    pub(super) fn roots(&self, lineage: &BTreeSet<Id>) -> Vec<Id> {
        let first =
            |id: &&Id| !self.before.get(*id).into_iter().flatten().any(|before| lineage.contains(before));
        lineage.iter().filter(first).cloned().collect()
    }
}

fn reached(start: &Id, edges: &BTreeMap<Id, Vec<Id>>) -> BTreeSet<Id> {
    let mut all = BTreeSet::from([start.clone()]);
    let mut open = vec![start.clone()];
    while let Some(id) = open.pop() {
        for next in edges.get(&id).into_iter().flatten() {
            if all.insert(next.clone()) {
                open.push(next.clone());
            }
        }
    }
    all
}

/// A syncer's source, of whatever kind.
fn source_of(row: &SyncerRow, object: &Object) -> Option<Id> {
    let name = row.source.name.as_deref()?;
    let known = debian_repository_source::KIND;
    let kind = row.source.kind.as_deref().unwrap_or(known.kind);
    let group =
        row.source.api_version.as_deref().and_then(|version| version.split_once('/')).map(|(group, _)| group);
    let group = group.unwrap_or(if kind == known.kind { known.group } else { "" });
    Some(Id::new(group, kind, object.id.key.sibling(name)))
}

type Place = (bool, Reverse<Option<(u64, u64, u64)>>, Id);

/// The order of siblings: a Job before what its image led to, newer images first, then by name.
fn place(world: &World, id: &Id) -> Place {
    let version = world.get(id).filter(|object| object.id.is(machine_image::KIND)).and_then(version);
    let version = version.and_then(|text| KubernetesVersion::parse_lenient(&text).ok());
    let numbers = version.map(|version| (version.major(), version.minor(), version.patch()));
    (!id.is(job::KIND), Reverse(numbers), id.clone())
}

/// The version that an object stands for.
pub(super) fn version(object: &Object) -> Option<String> {
    let id = &object.id;
    let text = |pointer: &str| object.text(pointer).map(str::to_owned);
    if id.is(machine_image::KIND) {
        Some(object.row::<MachineImageRow>().version.to_string()).filter(|version| !version.is_empty())
    } else if id.is(machine_image_syncer::KIND) {
        text("/status/latestVersion")
    } else if id.is(plan::KIND) {
        text("/status/machineImageDetails/version")
    } else if id.is(cluster_upgrader::KIND) {
        text("/status/latestSetVersion")
    } else if id.is(cluster::KIND) {
        object.row::<ClusterRow>().topology.map(|topology| topology.version.to_string())
    } else if id.is(job::KIND) {
        object.row::<job::JobRow>().kubernetes_version.map(Into::into)
    } else {
        let versions = object.body.pointer("/status/versions")?.as_array()?;
        versions.last()?.as_str().map(str::to_owned)
    }
}

/// The package that an image was made of.
pub(super) fn package(object: &Object) -> Option<String> {
    object.meta.annotation(machine_image::PACKAGE_ANNOTATION).map(str::to_owned)
}
