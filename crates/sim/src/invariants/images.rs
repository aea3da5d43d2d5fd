//! Machine images and the Jobs that build them: never two where one is enough, an id once and for all, none deleted that is
//! in use.

use api::batch::job;
use api::upgrader::{machine_image, machine_image_syncer};
use domain::object::ObjectKey;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{Broken, Write, holds, text};
use crate::world::World;

pub(super) const ONE_IMAGE: &str = "at most one MachineImage per syncer and version";
const ONE_JOB: &str = "at most one live Job per image";
pub(super) const ID_KEPT: &str = "an image id once recorded never changes by itself";
pub(super) const ID_BUILT: &str = "an image id is what a Job of the image has told";
const NOT_IN_USE: &str = "no MachineImage in use is deleted";

/// How long after an image was changed or deleted a write may still rest on it: it is read right before the write, which
/// may be on its way for a while.
const ON_ITS_WAY: SignedDuration = SignedDuration::from_secs(40);

/// An image with an id, and until when there was one.
#[derive(Debug)]
struct Known {
    namespace: Box<str>,
    name: Box<str>,
    version: Box<str>,
    id: Box<str>,
    until: Option<Timestamp>,
}

/// Every image with an id that there is or was.
#[derive(Debug, Default)]
pub(super) struct Images(Vec<Known>);

impl Images {
    pub(super) fn begin(&mut self, world: &World) {
        let Some(id) = world.catalogue.named(machine_image::KIND.kind) else { return };
        for (key, image) in world.objects.all(id) {
            self.is_now(key, Some(image), world.now());
        }
    }

    fn is_now(&mut self, key: &ObjectKey, image: Option<&Value>, now: Timestamp) {
        let usable = image.filter(|image| image["metadata"]["deletionTimestamp"].is_null());
        let (version, id) =
            usable.map_or(("", ""), |image| (text(image, "/spec/version"), text(image, "/spec/id")));
        let mut known = false;
        for it in self.0.iter_mut().filter(|it| *it.namespace == *key.namespace && *it.name == *key.name) {
            let same = *it.version == *version && *it.id == *id;
            if it.until.is_none() && !same {
                it.until = Some(now);
            }
            known |= same && it.until.is_none();
        }
        if !known && !id.is_empty() {
            let (namespace, name) = ((&*key.namespace).into(), (&*key.name).into());
            self.0.push(Known { namespace, name, version: version.into(), id: id.into(), until: None });
        }
    }

    /// Whether there is, or was a moment ago, an image of exactly a version, and with an id where one is given.
    pub(super) fn has(&self, namespace: &str, version: &str, id: Option<&str>, now: Timestamp) -> bool {
        self.0.iter().any(|it| {
            *it.namespace == *namespace
                && *it.version == *version
                && id.is_none_or(|id| *it.id == *id)
                && it.until.is_none_or(|until| now.duration_since(until) < ON_ITS_WAY)
        })
    }

    pub(super) fn check(&mut self, world: &World, write: &Write<'_>) -> Result<(), Broken> {
        if write.kind == machine_image::KIND.kind {
            self.is_now(write.key, write.after, write.at);
            of_image(world, write)
        } else if write.kind == job::KIND.kind {
            of_job(world, write)
        } else {
            Ok(())
        }
    }
}

fn owner<'a>(object: &'a Value, kind: &str) -> Option<&'a str> {
    let references = object["metadata"]["ownerReferences"].as_array();
    references.into_iter().flatten().find(|owner| owner["kind"] == *kind)?["uid"].as_str()
}

fn of_image(world: &World, write: &Write<'_>) -> Result<(), Broken> {
    let key = write.key;
    match (write.before, write.after) {
        (None, Some(image)) => {
            let Some(syncer) = owner(image, machine_image_syncer::KIND.kind) else { return Ok(()) };
            let Some(id) = world.catalogue.named(machine_image::KIND.kind) else { return Ok(()) };
            let version = text(image, "/spec/version");
            let same = world.objects.all(id).filter(|(_, other)| {
                owner(other, machine_image_syncer::KIND.kind) == Some(syncer)
                    && text(other, "/spec/version") == version
            });
            let names: Vec<&str> = same.map(|(key, _)| &*key.name).collect();
            holds(names.len() <= 1, ONE_IMAGE, || format!("{version} has {}", names.join(" and ")))
        }
        (Some(old), Some(new)) if write.is_ours() => {
            let (was, is) = (text(old, "/spec/id"), text(new, "/spec/id"));
            if was == is {
                return Ok(());
            }
            holds(was.is_empty(), ID_KEPT, || format!("MachineImage {key} had {was}, and now has {is}"))?;
            holds(was_told(world, new, is), ID_BUILT, || format!("MachineImage {key} was given {is}"))
        }
        (Some(old), None) if write.is_ours() => match user(world, key, old) {
            Some(user) => holds(false, NOT_IN_USE, || format!("MachineImage {key}: {user}")),
            None => Ok(()),
        },
        _ => Ok(()),
    }
}

/// Whether a Job of the image has told this id.
fn was_told(world: &World, image: &Value, id: &str) -> bool {
    let uid = image["metadata"]["uid"].as_str().unwrap_or_default();
    jobs_of(world, uid).any(|(_, job)| job["metadata"]["annotations"][job::IMAGE_ID] == *id)
}

fn jobs_of<'a>(world: &'a World, image: &'a str) -> impl Iterator<Item = (&'a ObjectKey, &'a Value)> {
    let id = world.catalogue.of_kind(job::KIND.group, job::KIND.kind);
    let all = id.into_iter().flat_map(|id| world.objects.all(id));
    all.filter(move |(_, job)| owner(job, machine_image::KIND.kind) == Some(image))
}

fn has(job: &Value, condition: &str) -> bool {
    let conditions = job["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|it| it["type"] == *condition && it["status"] == "True")
}

fn of_job(world: &World, write: &Write<'_>) -> Result<(), Broken> {
    let (None, Some(job)) = (write.before, write.after) else { return Ok(()) };
    let Some(image) = owner(job, machine_image::KIND.kind) else { return Ok(()) };
    // One that has succeeded is as good as live: its image is there.
    let live = jobs_of(world, image).filter(|(_, job)| !has(job, "Failed"));
    let names: Vec<&str> = live.map(|(key, _)| &*key.name).collect();
    holds(names.len() <= 1, ONE_JOB, || format!("{} build or have built one image", names.join(" and ")))
}

/// Who uses an image.
fn user(world: &World, key: &ObjectKey, image: &Value) -> Option<String> {
    let (version, id) = (text(image, "/spec/version"), text(image, "/spec/id"));
    let clusters = world.catalogue.named("Cluster")?;
    for (cluster, object) in world.objects.all(clusters).filter(|(it, _)| it.namespace == key.namespace) {
        let topology = &object["spec"]["topology"];
        if topology["version"] == *version {
            return Some(format!("Cluster {cluster} is at {version}"));
        }
        if !id.is_empty() && topology.to_string().contains(&format!("\"{id}\"")) {
            return Some(format!("Cluster {cluster} names {id}"));
        }
        let state = world.clusters.states.get(cluster);
        let mut machines =
            state.into_iter().flat_map(|state| &state.groups).flat_map(|group| &group.machines);
        if machines.any(|machine| *machine.version == *version) {
            return Some(format!("a machine of Cluster {cluster} runs {version}"));
        }
    }
    None
}
