//! Random histories of several Clusters: whatever happens in which order, no Cluster is wedged, none is forgotten, and each
//! is done or says why not.
//!
//! Upgraders are looked at only when one of our mappers says so, or when they asked to be: what a change should have
//! woken and did not is then left behind.

use std::collections::{BTreeMap, BTreeSet};

use domain::object::Row;
use domain::version::KubernetesVersion;
use proptest::prelude::*;
use proptest::sample::select;
use runtime::store::{Snapshot, Store};

use super::*;

const UP: &str = "ClusterClassClusterUpgrader";
const UPGRADERS: [&str; 4] = ["up", "up1", "up2", "up3"];
const CLUSTERS: [&str; 4] = ["c", "c1", "c2", "c3"];
const IMAGES: [&str; 7] = ["v1.36.4", "v1.36.6", "v1.37.0", "v1.37.3", "v1.38.1", "v1.39.0", "v1.40.2"];

/// What happens; `usize` picks a Cluster or an image.
#[derive(Clone, Copy, Debug)]
enum Event {
    Build(usize),
    Lose(usize),
    Choose(usize),
    Rebuild(usize),
    Roll(usize),
    Stray(usize),
    Pause(usize, bool),
    PauseCluster(usize, bool),
    ClassChanges,
    ClassReconciled,
    ListVersions(bool),
    Limit(u32),
    Refuse,
    Lose1Answer,
    Accept,
    Stall(usize),
    Meddle(usize),
    Wait(i64),
    Kill,
}

fn events() -> impl Strategy<Value = Event> {
    use Event::*;
    let image = || 0..IMAGES.len();
    let cluster = || 0..CLUSTERS.len();
    prop_oneof![
        4 => image().prop_map(Build),
        1 => image().prop_map(Lose),
        3 => image().prop_map(Choose),
        1 => image().prop_map(Rebuild),
        6 => cluster().prop_map(Roll),
        1 => cluster().prop_map(Stray),
        1 => (cluster(), any::<bool>()).prop_map(|(cluster, on)| Pause(cluster, on)),
        1 => (cluster(), any::<bool>()).prop_map(|(cluster, on)| PauseCluster(cluster, on)),
        1 => Just(ClassChanges),
        2 => Just(ClassReconciled),
        1 => any::<bool>().prop_map(ListVersions),
        2 => (0_u32..4).prop_map(Limit),
        1 => Just(Refuse),
        1 => Just(Lose1Answer),
        2 => Just(Accept),
        1 => cluster().prop_map(Stall),
        1 => cluster().prop_map(Meddle),
        4 => select(vec![5_i64, 20, 60, 400, 4000]).prop_map(Wait),
        1 => Just(Kill),
    ]
}

/// A world with a queue, in the manner of the engine.
struct Engine {
    world: World,
    seen: Store,
    /// When each upgrader is due; a time that has passed means now.
    due: BTreeMap<String, i64>,
    map: bool,
    /// No upgrader is told of another.
    deaf: bool,
}

impl Engine {
    fn new(map: bool, rollout: bool) -> Self {
        let mut world = World::new();
        for (cluster, upgrader) in CLUSTERS.iter().zip(UPGRADERS).skip(1) {
            world.add(cluster, upgrader);
        }
        world.named("Cluster", "c3")["spec"]["topology"]["version"] = json!("v1.35.9");
        world.set("Plan", "spec.versionRange", json!(">=1.36.0 <2.0.0"));
        for who in UPGRADERS {
            world.turn(who).set(UP, "spec.rolloutImageChanges", json!(rollout));
            if map {
                let entry = json!({"name": "image", "value": {"v1.36.2": "img:2"}});
                world.set("Cluster", "spec.topology.variables.2", entry);
            }
        }
        if map {
            let shape = json!({"type": "object", "additionalProperties": {"type": "string"}});
            world.set("ClusterClass", "status.variables.0.definitions.0.schema.openAPIV3Schema", shape);
        }
        let due = UPGRADERS.iter().map(|who| ((*who).to_owned(), 0)).collect();
        Self { seen: world.store(), world, due, map, deaf: false }
    }

    /// Wakes whom the changes since the last look concern; `own` is the upgrader that has just written its status.
    fn watch(&mut self, own: Option<&str>) {
        let now = self.world.store();
        let mut woken: Vec<ObjectKey> = Vec::new();
        woken.extend(changes::<PlanRow>(&self.seen, &now, wakes::of_plan));
        woken.extend(changes::<MachineImageRow>(&self.seen, &now, wakes::of_image));
        woken.extend(changes::<ClusterRow>(&self.seen, &now, wakes::of_cluster));
        woken.extend(changes::<ClusterClassRow>(&self.seen, &now, wakes::of_class));
        if !self.deaf {
            woken.extend(changes::<UpgraderRow>(&self.seen, &now, wakes::of_upgrader));
        }
        let itself = changes::<UpgraderRow>(&self.seen, &now, |_, key, _, _| vec![key.clone()]);
        woken.extend(itself.into_iter().filter(|key| own != Some(&*key.name)));
        for key in woken {
            self.due.insert(key.name.to_string(), self.world.now);
        }
        self.seen = now;
    }

    /// Takes every pass that is due now.
    fn run(&mut self) -> Result<(), TestCaseError> {
        for _ in 0..500 {
            let now = self.world.now;
            let Some(who) = self.due.iter().find(|(_, due)| **due <= now).map(|(who, _)| who.clone()) else {
                return Ok(());
            };
            self.due.remove(&who);
            self.pass(&who)?;
        }
        Err(TestCaseError::fail("the upgraders wake one another for ever"))
    }

    fn pass(&mut self, who: &str) -> Result<(), TestCaseError> {
        let (patches, before) = (self.world.patches(), self.states());
        let text = self.world.turn(who).pass();
        let sent = self.world.patches() - patches;
        prop_assert!(sent <= 1, "{}", text);
        if sent == 1 {
            self.judge(who, &before)?;
        }
        if text.starts_with("left to the engine") {
            self.due.insert(who.to_owned(), self.world.now + 5);
        } else {
            prop_assert!(text.starts_with("done") || text.contains(" - "), "{}", text);
            let again = text.rsplit_once("\nagain in ").and_then(|(_, rest)| rest.strip_suffix(" s"));
            if let Some(again) = again {
                self.due.insert(who.to_owned(), self.world.now + again.parse::<i64>().unwrap().max(1));
            }
        }
        self.watch(Some(who));
        Ok(())
    }

    /// Every Cluster with its version, and whether it rolls.
    fn states(&mut self) -> BTreeMap<String, (String, bool)> {
        let state = |cluster: &&str| {
            let object = self.world.named("Cluster", cluster).clone();
            let version = object["spec"]["topology"]["version"].as_str().unwrap().to_owned();
            ((*cluster).to_owned(), (version, rolls(&object)))
        };
        CLUSTERS.iter().map(state).collect()
    }

    /// A patch was sent: nothing may have spoken against it.
    fn judge(&mut self, who: &str, before: &BTreeMap<String, (String, bool)>) -> Result<(), TestCaseError> {
        let cluster = self.world.object("Cluster").clone();
        let name = cluster["metadata"]["name"].as_str().unwrap();
        let line = self.world.requests.iter().rfind(|it| it.starts_with("set Cluster")).unwrap().clone();
        let mut words = line.split(' ').skip(4);
        let (to, id) = (words.next().unwrap(), words.last().unwrap());
        let (from, rolled) = &before[name];
        let parse = |text: &str| KubernetesVersion::parse_strict(text).unwrap();
        let hop = parse(from).hop_to(&parse(to));
        prop_assert!(hop.is_one_step() || hop == domain::version::Hop::Same, "{} from {}", line, from);
        prop_assert!(!rolled, "{} while it rolls", line);
        let image = self.world.objects.iter().find(|object| {
            object["kind"] == "MachineImage" && object["spec"]["id"] == id && object["spec"]["version"] == to
        });
        prop_assert!(image.is_some(), "{} without an image", line);
        prop_assert!(cluster["spec"]["paused"] != true && self.world.object(UP)["spec"]["paused"] != true);
        let class = self.world.object("ClusterClass");
        prop_assert_eq!(&class["metadata"]["generation"], &class["status"]["observedGeneration"]);
        let listed = class["spec"]["kubernetesVersions"].as_array().cloned().unwrap_or_default();
        prop_assert!(hop == domain::version::Hop::Same || listed.is_empty() || listed.contains(&json!(to)));
        if let Some(limit) = self.world.object("Plan")["spec"]["maxConcurrent"].as_u64() {
            let others = before.iter().filter(|(other, (_, rolls))| *rolls && *other != name);
            // A Cluster whose upgrader is paused is not looked at, and not counted.
            let counted = others.filter(|(other, _)| {
                let up = UPGRADERS[CLUSTERS.iter().position(|it| it == other).unwrap()];
                let reason = self.world.named(UP, up)["status"]["waiting"]["reason"].clone();
                reason != "Paused" && reason != "ClusterPaused"
            });
            prop_assert!(
                counted.count() < usize::try_from(limit).unwrap(),
                "{} by {}: more than {}",
                line,
                who,
                limit
            );
        }
        Ok(())
    }

    fn happen(&mut self, event: Event) {
        let world = &mut self.world;
        match event {
            Event::Build(image) => build(world, IMAGES[image]),
            Event::Lose(image) => {
                // What was read a moment ago still counts for those that start in the same moment.
                world.now += 5;
                let name = format!("img-{}", IMAGES[image]);
                world.objects.retain(|object| object["metadata"]["name"] != name);
            }
            Event::Choose(image) => {
                build(world, IMAGES[image]);
                world.choose(IMAGES[image]);
                let id = world.named("MachineImage", &format!("img-{}", IMAGES[image]))["spec"]["id"].clone();
                world.set("Plan", "status.machineImageDetails.id", id);
                world.set("Plan", "spec.versionRange", json!(">=1.36.0 <2.0.0"));
            }
            Event::Rebuild(image) => {
                build(world, IMAGES[image]);
                let name = format!("img-{}", IMAGES[image]);
                let id = json!(format!("img:{}b", IMAGES[image]));
                world.named("MachineImage", &name)["spec"]["id"] = id.clone();
                if world.object("Plan")["status"]["machineImageRef"]["name"] == name {
                    world.set("Plan", "status.machineImageDetails.id", id);
                }
            }
            Event::Roll(cluster) => settle(world, UPGRADERS[cluster]),
            Event::Stray(cluster) => {
                world.turn(UPGRADERS[cluster]).touch();
                world.set("Cluster", "status.conditions.1.status", json!("True"));
            }
            Event::Pause(cluster, on) => world.turn(UPGRADERS[cluster]).set(UP, "spec.paused", json!(on)),
            Event::PauseCluster(cluster, on) => {
                world.turn(UPGRADERS[cluster]).set("Cluster", "spec.paused", json!(on));
                world.touch();
            }
            Event::ClassChanges => {
                let generation = world.object("ClusterClass")["metadata"]["generation"].as_i64().unwrap() + 1;
                world.set("ClusterClass", "metadata.generation", json!(generation));
            }
            Event::ClassReconciled => {
                let generation = world.object("ClusterClass")["metadata"]["generation"].clone();
                world.set("ClusterClass", "status.observedGeneration", generation);
            }
            Event::ListVersions(on) => {
                let listed = ["v1.35.9", "v1.36.2", "v1.36.4", "v1.37.0", "v1.38.1", "v1.39.0", "v1.40.2"];
                world.set(
                    "ClusterClass",
                    "spec.kubernetesVersions",
                    if on { json!(listed) } else { Value::Null },
                );
            }
            Event::Limit(limit) => {
                world.set("Plan", "spec.maxConcurrent", if limit == 0 { Value::Null } else { json!(limit) });
            }
            Event::Refuse => world.refuses = Some(refusals::refused("not now")),
            Event::Lose1Answer => {
                world.refuses =
                    Some(Refusal::Unavailable { message: "timeout".to_owned(), retry_after: None });
            }
            Event::Accept => world.refuses = None,
            Event::Stall(cluster) => {
                if rolls(world.turn(UPGRADERS[cluster]).object("Cluster")) {
                    world.touch();
                    world.say("False", "ClusterUpgrading", "moving");
                    world.set("Cluster", "status.controlPlane.upToDateReplicas", json!(1));
                }
            }
            Event::Meddle(cluster) => {
                let value = &mut world.turn(UPGRADERS[cluster]).object("Cluster")["spec"]["topology"]["variables"]
                    [2]["value"];
                let theirs = json!("theirs");
                match value {
                    Value::Object(ids) => ids.values_mut().for_each(|id| *id = theirs.clone()),
                    value => *value = theirs,
                }
                world.touch();
            }
            Event::Wait(seconds) => world.now += seconds,
            Event::Kill => {
                world.kill();
                self.due = UPGRADERS.iter().map(|who| ((*who).to_owned(), self.world.now)).collect();
            }
        }
        self.watch(None);
    }

    /// Everything is put right, and only time passes and machines roll.
    fn mend(&mut self) -> Result<(), TestCaseError> {
        self.world.refuses = None;
        (0..IMAGES.len()).for_each(|image| self.happen(Event::Build(image)));
        for cluster in 0..CLUSTERS.len() {
            self.happen(Event::Pause(cluster, false));
            self.happen(Event::PauseCluster(cluster, false));
        }
        for event in [Event::ClassReconciled, Event::ListVersions(false), Event::Choose(6)] {
            self.happen(event);
        }
        for _ in 0..60 {
            self.run()?;
            self.world.now += 20;
            for (cluster, who) in UPGRADERS.iter().enumerate() {
                if rolls(self.world.turn(who).object("Cluster")) {
                    self.happen(Event::Roll(cluster));
                }
            }
        }
        // A refused write waits for a quarter of an hour at most, and a reservation less.
        for _ in 0..60 {
            self.run()?;
            self.world.now += 60;
            for (cluster, who) in UPGRADERS.iter().enumerate() {
                if rolls(self.world.turn(who).object("Cluster")) {
                    self.happen(Event::Roll(cluster));
                }
            }
        }
        Ok(())
    }
}

fn rolls(cluster: &Value) -> bool {
    let conditions = &cluster["status"]["conditions"];
    conditions[2]["observedGeneration"] != cluster["metadata"]["generation"]
        || conditions[2]["status"] != "True"
        || conditions[1]["status"] == "True"
        || cluster["status"]["controlPlane"]["upToDateReplicas"] != 3
}

fn settle(world: &mut World, who: &str) {
    world.turn(who).converge();
    world.set("Cluster", "status.conditions.1.status", json!("False"));
    world.set("Cluster", "status.controlPlane.upToDateReplicas", json!(3));
}

fn build(world: &mut World, version: &str) {
    let name = format!("img-{version}");
    if !world.objects.iter().any(|object| object["metadata"]["name"] == name) {
        // The first of the world is the model of the others.
        world.add_image(version);
    }
}

type Changed<R> = fn(Snapshot<'_>, &ObjectKey, Option<&R>, Option<&R>) -> Vec<ObjectKey>;

fn changes<R: Row>(before: &Store, after: &Store, mapper: Changed<R>) -> Vec<ObjectKey> {
    let (old, new) = (before.snapshot(), after.snapshot());
    let keys = |snapshot: Snapshot<'_>| -> BTreeSet<ObjectKey> {
        snapshot.in_namespace::<R>("ns").map(|row| row.meta().key.clone()).collect()
    };
    let all: BTreeSet<ObjectKey> = keys(old).union(&keys(new)).cloned().collect();
    let changed = all.iter().filter(|key| old.get::<R>(key) != new.get::<R>(key));
    changed.flat_map(|key| mapper(new, key, old.get::<R>(key), new.get::<R>(key))).collect()
}

/// What the histories would not notice if they did more than the engine does.
#[test]
fn without_the_mapper_clusters_are_forgotten() {
    for (deaf, all) in [(false, 4), (true, 1)] {
        let mut engine = Engine::new(false, false);
        engine.deaf = deaf;
        engine.happen(Event::Limit(1));
        engine.mend().unwrap();
        let mut arrived = 0;
        for who in UPGRADERS {
            arrived += usize::from(engine.world.turn(who).version() == "v1.40.2");
        }
        assert_eq!((deaf, arrived), (deaf, all));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_cluster_is_wedged_and_none_is_forgotten(
        history in prop::collection::vec(events(), 0..60),
        (map, rollout) in any::<(bool, bool)>(),
    ) {
        let mut engine = Engine::new(map, rollout);
        engine.run()?;
        for event in history {
            engine.happen(event);
            engine.run()?;
        }
        engine.mend()?;
        for who in UPGRADERS {
            let world = engine.world.turn(who);
            let version = world.version();
            let reason = world.status()["waiting"]["reason"].clone();
            let told = testkit::conditions(world.status());
            // Whoever meddled with the image is left to it; its Cluster says so.
            let arrived = version == "v1.40.2" && reason.is_null();
            prop_assert!(arrived || reason == "ConflictingOwner", "{}: {} {} (map {})", who, version, told, engine.map);
        }
    }
}
