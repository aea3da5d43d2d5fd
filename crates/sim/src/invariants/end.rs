//! Once nothing goes wrong any more, everything converges within a bounded number of requests, every object says what is
//! true, and then nothing is asked for but what has no watch.

use std::collections::BTreeMap;

use api::upgrader::machine_image;
use domain::object::ObjectKey;
use domain::range::VersionRange;
use domain::version::{KubernetesVersion, Minor};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::cluster::value;
use super::fields::upgraders;
use super::nodes::{self, OfNodes};
use super::{Broken, holds, text};
use crate::world::World;

pub(super) const CONVERGES: &str = "everything converges once faults stop";
pub(super) const GOES_ON: &str = "nobody answers another without end";
pub(super) const BOUNDED: &str = "converging takes a bounded number of requests";
const TRUE: &str = "every object says what is true";

/// How long nobody must ask for anything: longer than the hour, with a tenth of it, after which a source looks again.
const QUIET: SignedDuration = SignedDuration::from_mins(70);
/// The same where a Cluster is stalled, which is told when no machine has moved for an hour.
const QUIET_STALLED: SignedDuration = SignedDuration::from_hours(2);
/// The same for nodes: longer than any deadline of theirs.
const QUIET_NODES: SignedDuration = SignedDuration::from_mins(40);
/// How long it may take until then.
const PATIENCE: SignedDuration = SignedDuration::from_hours(16);

/// The most requests in one instant. Where answers take no time, those who answer each other without end do it in one.
const AT_ONCE: u64 = 5_000;

/// What is asked for after the last fault, and in one instant.
#[derive(Debug)]
pub(crate) struct Asked {
    until: Timestamp,
    last: Timestamp,
    /// When pods were last looked at of nodes that are drained.
    drains: Timestamp,
    counts: BTreeMap<String, u64>,
    /// The last few, for whoever wants to know who gives no rest.
    lately: Vec<(Timestamp, String)>,
    instant: Timestamp,
    at_once: u64,
    /// By how much clocks were set back: what was to happen at a time of day happens later by so much.
    set_back: SignedDuration,
}

impl Asked {
    pub(super) fn new(until: Timestamp) -> Self {
        Self {
            until,
            last: until,
            drains: until,
            counts: BTreeMap::new(),
            lately: Vec::new(),
            instant: until,
            at_once: 0,
            set_back: SignedDuration::ZERO,
        }
    }

    /// Somebody has set a clock.
    pub(crate) fn clock_was_set(&mut self, by: SignedDuration) {
        self.set_back += by.min(SignedDuration::ZERO).abs();
    }

    /// Somebody asked for something.
    pub(crate) fn note(&mut self, now: Timestamp, verb: &str, resource: &str) {
        self.at_once = if now == self.instant { self.at_once + 1 } else { 1 };
        self.instant = now;
        // Watches are renewed, leases too; a repository has no watch, and neither has what retention looks through.
        let polled = matches!(verb, "watch" | "lease" | "fetch") || is_poll(verb, resource);
        if now < self.until || polled {
            return;
        }
        // Nobody watches the pods of a node that is drained: while a budget is in the way they are looked at.
        if verb == "list" && matches!(resource, "pods" | "poddisruptionbudgets") {
            self.drains = now;
            return;
        }
        self.last = now;
        *self.counts.entry(format!("{verb} {resource}")).or_default() += 1;
        if self.lately.len() == 12 {
            self.lately.remove(0);
        }
        self.lately.push((now, format!("{verb} {resource}")));
    }

    /// How many requests there were.
    pub(crate) fn count(&self) -> u64 {
        self.counts.values().sum()
    }

    /// Time goes on.
    pub(super) fn go_on(&self) -> Result<(), Broken> {
        holds(self.at_once <= AT_ONCE, GOES_ON, || format!("more than {AT_ONCE} requests in one instant"))
    }

    /// Whether a run is over: nobody has asked for anything for long, or for too long somebody has.
    pub(super) fn is_over(
        &self,
        world: &World,
        bound: u64,
        nodes: Option<&OfNodes>,
    ) -> Option<Result<(), Broken>> {
        let now = world.now();
        let quiet = match nodes {
            Some(_) => QUIET_NODES,
            None if world.clusters.stalled.is_empty() => QUIET,
            None => QUIET_STALLED,
        } + self.set_back;
        if self.count() > bound {
            return Some(holds(false, BOUNDED, || {
                format!("more than {bound} requests after the last fault: {}", self.most())
            }));
        }
        if now.duration_since(self.until) > PATIENCE {
            return Some(holds(false, CONVERGES, || format!("the last requests were {}", self.latest())));
        }
        let last = if nodes::is_draining(world) { self.last } else { self.last.max(self.drains) };
        let last = nodes.map_or(last, |_| last.max(nodes::ran_until(world)));
        let rests = now.duration_since(last) >= quiet;
        rests.then(|| nodes.map_or_else(|| is_true(world), |nodes| nodes::is_true(nodes, world)))
    }

    fn most(&self) -> String {
        let mut counts: Vec<(&String, &u64)> = self.counts.iter().collect();
        counts.sort_by(|a, b| b.1.cmp(a.1));
        let told: Vec<String> =
            counts.iter().take(6).map(|(what, count)| format!("{count} {what}")).collect();
        told.join(", ")
    }

    fn latest(&self) -> String {
        let told: Vec<String> = self.lately.iter().map(|(at, what)| format!("{what} at {at:.0}")).collect();
        told.join(", ")
    }
}

/// What retention reads live: objects of Cluster API that nobody watches.
fn is_poll(verb: &str, resource: &str) -> bool {
    let of_cluster_api =
        ["clusters", "kubeadmcontrolplanes", "machinedeployments", "machinepools", "machines"];
    verb == "discover" || (matches!(verb, "list" | "get") && of_cluster_api.contains(&resource))
}

/// What every object of ours says, held against what is.
fn is_true(world: &World) -> Result<(), Broken> {
    let all = |kind: &str| -> Vec<(&ObjectKey, &Value)> {
        let id = world.catalogue.named(kind);
        id.into_iter().flat_map(|id| world.objects.all(id)).collect()
    };
    for kind in [
        "DebianRepositorySource",
        "MachineImageSyncer",
        "MachineImage",
        "Plan",
        "ClusterClassClusterUpgrader",
    ] {
        for (key, object) in all(kind) {
            let looked = &object["status"]["observedGeneration"];
            holds(*looked == object["metadata"]["generation"], TRUE, || {
                format!("{kind} {key}: its status speaks of generation {looked}")
            })?;
            let not = |words: String| Broken { invariant: TRUE, words: format!("{kind} {key}: {words}") };
            match kind {
                "DebianRepositorySource" => source(world, object).map_err(not)?,
                "MachineImageSyncer" => syncer(world, key, object).map_err(not)?,
                "MachineImage" => image(object).map_err(not)?,
                "Plan" => plan(world, key, object).map_err(not)?,
                _ => upgrader(world, key, object).map_err(not)?,
            }
        }
    }
    Ok(())
}

fn reason(object: &Value) -> &str {
    text(object, "/status/waiting/reason")
}

fn source(world: &World, object: &Value) -> Result<(), String> {
    let from: Option<Minor> = text(object, "/spec/fromMinor").parse().ok();
    let from = from.filter(|_| text(object, "/spec/url").contains("{minor}"));
    let mut there = world.releases.all();
    there.retain(|version| {
        let minor = KubernetesVersion::parse_strict(version).map(|version| Minor::from(&version));
        from.is_none_or(|from| minor.is_ok_and(|minor| minor >= from))
    });
    let listed = object["status"]["versions"].as_array();
    let mut listed: Vec<&str> = listed.into_iter().flatten().filter_map(Value::as_str).collect();
    listed.sort_unstable();
    there.sort_unstable();
    if !reason(object).is_empty() {
        return Err(format!("it waits for {}", reason(object)));
    }
    if listed == there { Ok(()) } else { Err(format!("it lists {listed:?}, and there are {there:?}")) }
}

/// The newest version of a range; of each of its minors where asked for.
fn newest(range: &str, versions: &[&str], of_each: bool) -> Vec<KubernetesVersion> {
    let Ok(range) = range.parse::<VersionRange>() else { return Vec::new() };
    let read = versions.iter().filter_map(|text| KubernetesVersion::parse_strict(text).ok());
    let mut found: BTreeMap<Minor, KubernetesVersion> = BTreeMap::new();
    for version in read.filter(|version| range.matches(version)) {
        let of_minor = found.entry(Minor::from(&version)).or_insert_with(|| version.clone());
        if version.is_newer_than(of_minor) {
            *of_minor = version;
        }
    }
    let skipped = if of_each { 0 } else { found.len().saturating_sub(1) };
    found.into_values().skip(skipped).collect()
}

fn syncer(world: &World, key: &ObjectKey, object: &Value) -> Result<(), String> {
    let Some(source) = world
        .catalogue
        .named("DebianRepositorySource")
        .and_then(|id| world.objects.get(id, &key.sibling(text(object, "/spec/sourceRef/name"))))
    else {
        return Ok(());
    };
    let listed = source.value["status"]["versions"].as_array();
    let listed: Vec<&str> = listed.into_iter().flatten().filter_map(Value::as_str).collect();
    let of_each = text(object, "/spec/versionPolicy") == "NewestOfEachMinor";
    let wanted = newest(text(object, "/spec/versionRange"), &listed, of_each);
    let uid = text(object, "/metadata/uid");
    for version in &wanted {
        let mut images = images(world, key);
        let found = images.any(|image| {
            let owned = image["metadata"]["ownerReferences"][0]["uid"] == *uid;
            owned && KubernetesVersion::parse_strict(text(image, "/spec/version")).as_ref() == Ok(version)
        });
        if !found {
            return Err(format!("no MachineImage of {version}, and it waits for {:?}", reason(object)));
        }
    }
    let idle = ["", "NoVersionInRange", "NoVersionsInSource"].contains(&reason(object));
    if idle && wanted.is_empty() != reason(object).is_empty() {
        Ok(())
    } else {
        Err(format!("it waits for {:?}, and there are {} versions", reason(object), wanted.len()))
    }
}

fn images<'a>(world: &'a World, key: &'a ObjectKey) -> impl Iterator<Item = &'a Value> {
    let id = world.catalogue.named(machine_image::KIND.kind);
    let all = id.into_iter().flat_map(|id| world.objects.all(id));
    all.filter(|(it, _)| it.namespace == key.namespace).map(|(_, image)| image)
}

fn image(object: &Value) -> Result<(), String> {
    let has_id = !text(object, "/spec/id").is_empty();
    let held = object["metadata"]["annotations"].get(api::clusterctl::BLOCK_MOVE_ANNOTATION).is_some();
    match (has_id, reason(object)) {
        _ if held => Err("clusterctl move is held, and nothing is built".to_owned()),
        (true, "") | (false, "JobFailed" | "ImageIdMissing") => Ok(()),
        (_, reason) => Err(format!("it waits for {reason:?}, and has an id: {has_id}")),
    }
}

fn plan(world: &World, key: &ObjectKey, object: &Value) -> Result<(), String> {
    let usable: Vec<&str> = images(world, key)
        .filter(|image| !text(image, "/spec/id").is_empty())
        .map(|image| text(image, "/spec/version"))
        .collect();
    let wanted = newest(text(object, "/spec/versionRange"), &usable, false);
    let chosen = text(object, "/status/machineImageDetails/version");
    let wanted = wanted.first().map(ToString::to_string).unwrap_or_default();
    let expected = if wanted.is_empty() { "NoSuitableMachineImage" } else { "" };
    if chosen != wanted || reason(object) != expected {
        return Err(format!("it has chosen {chosen:?} for {wanted:?}, and waits for {:?}", reason(object)));
    }
    let id = text(object, "/status/machineImageDetails/id");
    let has_id = images(world, key)
        .any(|image| text(image, "/spec/version") == wanted && text(image, "/spec/id") == id);
    if wanted.is_empty() || has_id { Ok(()) } else { Err(format!("no image of {wanted} has the id {id}")) }
}

fn upgrader(world: &World, key: &ObjectKey, object: &Value) -> Result<(), String> {
    let name = key.sibling(text(object, "/spec/clusterName"));
    let found = |kind: &str, key: &ObjectKey| {
        let id = world.catalogue.named(kind)?;
        world.objects.get(id, key).map(|entry| &entry.value)
    };
    let Some(cluster) = found("Cluster", &name) else { return Ok(()) };
    let plan = found("Plan", &key.sibling(text(object, "/spec/planRef/name")));
    let have = text(cluster, "/spec/topology/version");
    let want = plan.map(|plan| text(plan, "/status/machineImageDetails/version")).unwrap_or_default();
    let standstill = |of: &dyn Fn(&ObjectKey) -> bool| world.clusters.stalled.iter().any(of);
    let other = upgraders(world, &name).count() > 1;
    let justified = match reason(object) {
        "" => have == want && has_wanted_image(object, cluster, plan, have),
        "PlanWithoutResult" => want.is_empty(),
        "ClusterAhead" => newer(have, want),
        "NoImageForHop" => newer(want, have) && !leads_on(world, key, plan, have, want),
        // Somebody has written over what was set; the scenario says whether anybody does.
        "ConflictingOwner" => true,
        "AnotherUpgrader" => other,
        "Paused" => object["spec"]["paused"] == true,
        "ClusterPaused" => cluster["spec"]["paused"] == true,
        // Nothing moves while it is paused, and so nothing tells that it would.
        "UpgradeStalled" => standstill(&|it| *it == name) || cluster["spec"]["paused"] == true,
        "ImageSuspect" | "MaxConcurrentReached" => {
            standstill(&|it| *it != name) || another_is_stalled(world, key)
        }
        _ => false,
    };
    if justified {
        return Ok(());
    }
    Err(format!("its Cluster is at {have}, its Plan at {want}, and it waits for {:?}", reason(object)))
}

/// Whether another upgrader of the namespace says that its Cluster is stalled: what it says is looked at by itself.
fn another_is_stalled(world: &World, key: &ObjectKey) -> bool {
    let id = world.catalogue.named("ClusterClassClusterUpgrader");
    let mut others = id.into_iter().flat_map(|id| world.objects.all(id)).filter(|(other, _)| *other != key);
    others.any(|(other, object)| other.namespace == key.namespace && reason(object) == "UpgradeStalled")
}

fn has_wanted_image(object: &Value, cluster: &Value, plan: Option<&Value>, have: &str) -> bool {
    let variable = text(object, "/spec/topologyVariable");
    if object["spec"]["rolloutImageChanges"] != true || variable.is_empty() {
        return true;
    }
    let id = plan.map(|plan| text(plan, "/status/machineImageDetails/id"));
    value(cluster, variable, have) == id
}

fn newer(one: &str, other: &str) -> bool {
    let read = |text: &str| KubernetesVersion::parse_strict(text);
    matches!((read(one), read(other)), (Ok(one), Ok(other)) if one.is_newer_than(&other))
}

/// Whether an image of the Plan leads a Cluster on: of the next minor, or the result itself.
fn leads_on(world: &World, key: &ObjectKey, plan: Option<&Value>, have: &str, want: &str) -> bool {
    let range = plan.and_then(|plan| text(plan, "/spec/versionRange").parse::<VersionRange>().ok());
    let read = |text: &str| KubernetesVersion::parse_strict(text).ok();
    let (Some(range), Some(have), Some(want)) = (range, read(have), read(want)) else { return false };
    let Some(next) = Minor::from(&have).next() else { return false };
    images(world, key).filter(|image| !text(image, "/spec/id").is_empty()).any(|image| {
        read(text(image, "/spec/version")).is_some_and(|version| {
            let last = Minor::from(&want) <= next;
            range.matches(&version) && if last { version == want } else { Minor::from(&version) == next }
        })
    })
}
