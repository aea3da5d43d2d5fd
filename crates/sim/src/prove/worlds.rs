//! A world of a seed: a few Clusters, images, sources and syncers, plans, and what people and machines do to them for some
//! hours. Small, so that many of them can be lived through.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::object::ObjectKey;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::hands::{self, Hands};
use super::node_worlds::OfNodes;
use crate::faults::dice::Dice;
use crate::scenario::{Happening, Refusing, Scenario, Source, Target};
use crate::world::clusters::Roll;

pub(super) const GROUP: &str = "kubernetesupgraded.dimitrikoshkin.com/v1alpha1";
const CAPI: &str = "cluster.x-k8s.io/v1beta2";
pub(super) const NAMESPACE: &str = "default";
pub(super) const MINORS: (u64, u64) = (33, 37);
const RANGES: [&str; 4] = [">=1.33.0 <1.38.0", ">=1.34.0 <1.37.0", "v1.35.x", ">=1.36.0"];

/// A world and what happens in it.
pub(crate) struct Case {
    pub(crate) scenario: Scenario,
    /// What happens, one line for each; left out are the places that were asked for.
    pub(crate) troubles: Vec<String>,
    /// How long something happens.
    pub(crate) eventful: Duration,
    /// Two managers compete for the lease.
    pub(crate) elected: bool,
    /// How many of the builds lose their pod.
    pub(crate) losing: u32,
    /// What there is where the controllers of nodes are at work, and not those of the chain.
    pub(crate) nodes: Option<OfNodes>,
}

/// When something happens (in minutes), by whom, and what.
pub(super) type Moment = (u64, &'static str, Happening);

/// The world of a seed, of whose troubles only those stay that are named, if any are.
pub(crate) fn of(seed: u64, only: Option<&BTreeSet<usize>>) -> Case {
    let mut dice = Dice::new(seed, 0x0030_B1D5);
    // A lease is renewed every few seconds, which takes long to live through.
    let elected = dice.happens(125);
    let minutes = if elected { dice.within(20, 60) } else { dice.within(60, 300) };
    let mut scenario = Scenario {
        seed,
        entries: 0,
        build: Duration::from_secs(dice.within(20, 600)),
        roll: Roll::PerMachine(Duration::from_secs(dice.within(5, 90))),
        until: Duration::from_secs(60 * minutes),
        ..Scenario::default()
    };
    let mut world = Draft { dice, minutes, start: scenario.start, clusters: 0, images: Vec::new() };
    let clusters = world.dice.count(1, 7);
    let map = world.dice.happens(150);
    world.clusters = clusters;
    scenario.objects = world.objects(map);
    for _ in 0..world.dice.within(0, 7) {
        let (minor, patch) = (world.dice.within(MINORS.0, MINORS.1 + 1), world.dice.within(0, 4));
        let at = world.dice.within(0, minutes * 4 / 5);
        scenario.releases.push((later(scenario.start, at), format!("v1.{minor}.{patch}").into()));
    }
    // A source that begins at a minor which nobody has published fails, as it should.
    for minor in MINORS.0..=MINORS.1 {
        scenario.releases.push((scenario.start, format!("v1.{minor}.0").into()));
    }
    let mut troubles = Vec::new();
    let several = world.dice.count(0, 7);
    let mut all: Vec<(String, Vec<Moment>)> = (0..several).map(|_| world.trouble()).collect();
    let losing = u32::try_from(world.dice.within(0, 4).saturating_sub(1)).unwrap_or_default();
    if let Some(Hands { image, what, moments }) = hands::of(seed, minutes, scenario.build, &world.images) {
        scenario.objects.push(image);
        all.push((what.to_owned(), moments));
    }
    for (place, (what, moments)) in all.into_iter().enumerate() {
        if only.is_some_and(|only| !only.contains(&place)) {
            continue;
        }
        troubles.push(format!("{place}: {what}"));
        for (at, actor, happening) in moments {
            scenario.events.push((later(scenario.start, at), actor.into(), happening));
        }
    }
    Case { scenario, troubles, eventful: Duration::from_secs(60 * minutes), elected, losing, nodes: None }
}

struct Draft {
    dice: Dice,
    minutes: u64,
    start: Timestamp,
    clusters: usize,
    /// Names of those that are there from the start.
    images: Vec<String>,
}

pub(super) fn later(start: Timestamp, minutes: u64) -> Timestamp {
    let minutes = i64::try_from(minutes).unwrap_or_default();
    start.checked_add(SignedDuration::from_mins(minutes)).unwrap_or(start)
}

pub(super) fn object(api_version: &str, kind: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": api_version, "kind": kind,
        "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec})
}

fn name(number: usize) -> String {
    format!("c{number}")
}

impl Draft {
    fn objects(&mut self, map: bool) -> Vec<Value> {
        let schema = if map {
            json!({"type": "object", "additionalProperties": {"type": "string"}})
        } else {
            json!({"type": "string"})
        };
        let variable = json!({"name": "image", "schema": {"openAPIV3Schema": schema}});
        let other = json!({"name": "other", "schema": {"openAPIV3Schema": {"type": "string"}}});
        let mut objects =
            vec![object(CAPI, "ClusterClass", "class", json!({"variables": [variable, other]}))];
        self.chain(&mut objects);
        let plans = self.dice.count(1, 3);
        for plan in 0..plans {
            let limit = self.dice.one_of(None, &[None, Some(1), Some(2)]);
            let range = if plan == 0 { RANGES[0] } else { self.dice.one_of(RANGES[0], &RANGES[1..]) };
            let spec = json!({"versionRange": range, "maxConcurrent": limit});
            objects.push(object(GROUP, "Plan", &format!("plan-{plan}"), spec));
        }
        for number in 0..self.clusters {
            let (minor, patch) = (self.dice.within(MINORS.0, MINORS.1), self.dice.within(0, 3));
            objects.push(self.cluster(number, &format!("v1.{minor}.{patch}"), map));
            let named = !self.dice.happens(120);
            let upgraders = if self.dice.happens(80) { 2 } else { 1 };
            for copy in 0..upgraders {
                let plan = self.dice.count(0, plans);
                let spec = json!({
                    "clusterName": name(number), "planRef": {"name": format!("plan-{plan}")},
                    "topologyVariable": named.then_some("image"),
                    "rolloutImageChanges": self.dice.happens(400),
                });
                let called = if copy == 0 { name(number) } else { format!("{}-again", name(number)) };
                objects.push(object(GROUP, "ClusterClassClusterUpgrader", &called, spec));
            }
        }
        let mut there = BTreeSet::new();
        for _ in 0..self.dice.within(0, 4) {
            let (minor, patch) = (self.dice.within(MINORS.0, MINORS.1 + 1), self.dice.within(0, 4));
            there.insert(format!("v1.{minor}.{patch}"));
        }
        for version in there {
            let pod = json!({"containers": [{"name": "build", "image": "builder"}]});
            let spec =
                json!({"version": version, "id": format!("ami-{version}"), "jobTemplate": {"spec": pod}});
            let name = format!("image-{version}");
            objects.push(object(GROUP, "MachineImage", &name, spec));
            self.images.push(name);
        }
        objects
    }

    fn cluster(&mut self, number: usize, version: &str, map: bool) -> Value {
        let id = format!("image-{version}");
        let image = if map { json!({version: id}) } else { json!(id) };
        let (planes, workers) = (self.dice.one_of(1, &[3]), self.dice.within(0, 3));
        let mut topology = json!({
            "classRef": {"name": "class"}, "version": version,
            "variables": [{"name": "other", "value": "kept"}, {"name": "image", "value": image}],
            "controlPlane": {"replicas": planes},
        });
        if self.dice.happens(800) {
            topology["variables"] = json!([{"name": "image", "value": image}]);
        }
        if workers > 0 {
            let group = json!({"class": "w", "name": "md-0", "replicas": workers});
            let list = if self.dice.happens(200) { "machinePools" } else { "machineDeployments" };
            topology["workers"] = json!({list: [group]});
        }
        object(CAPI, "Cluster", &name(number), json!({"topology": topology}))
    }

    /// Sources, a template, and syncers.
    fn chain(&mut self, objects: &mut Vec<Value>) {
        let pod = json!({"containers": [{"name": "build", "image": "builder"}]});
        let build = json!({"retries": self.dice.one_of(0, &[1, 20, 20])});
        let template = json!({"template": {"spec": {"jobTemplate": {"spec": pod}, "build": build}}});
        objects.push(object(GROUP, "MachineImageTemplate", "template", template));
        let minors = self.dice.happens(500);
        let interval = self.dice.one_of("10m", &["30m", "1h"]);
        let spec = if minors {
            let from = format!("1.{}", self.dice.within(MINORS.0, MINORS.1));
            json!({"url": "https://pkgs.k8s.io/core:/stable:/v{minor}/deb/Packages", "interval": interval,
                "fromMinor": from})
        } else {
            json!({"url": "https://mirror.example.org/kubernetes/Packages", "interval": interval})
        };
        objects.push(object(GROUP, "DebianRepositorySource", "debian", spec));
        for number in 0..self.dice.within(0, 3) {
            let retention = match self.dice.within(0, 4) {
                0 => json!({"mode": "DryRun", "keep": 0}),
                1 | 2 => json!({"mode": "Delete", "keep": self.dice.within(0, 2)}),
                _ => Value::Null,
            };
            let source = json!({"apiVersion": GROUP, "kind": "DebianRepositorySource", "name": "debian"});
            let spec = json!({
                "versionRange": self.dice.one_of(RANGES[0], &RANGES),
                "versionPolicy": self.dice.one_of("NewestOfEachMinor", &["Newest"]),
                "retention": retention, "sourceRef": source, "machineImageTemplateRef": {"name": "template"},
            });
            objects.push(object(GROUP, "MachineImageSyncer", &format!("syncer-{number}"), spec));
        }
    }

    /// Something that people or machines do, in words and in moments.
    fn trouble(&mut self) -> (String, Vec<Moment>) {
        let begins = self.dice.within(0, self.minutes);
        let ends = self.dice.within(begins, self.minutes).max(begins + 1);
        let number = self.dice.count(0, self.clusters);
        let for_ever = self.dice.happens(250);
        let cluster = ObjectKey::new(NAMESPACE, name(number));
        let target =
            |kind: &str| Target { kind: kind.into(), namespace: NAMESPACE.into(), name: name(number).into() };
        let lasting = |first: Happening, last: Happening, for_ever: bool| {
            let mut moments = vec![(begins, "user", first)];
            if !for_ever {
                moments.push((ends, "user", last));
            }
            moments
        };
        match self.dice.within(0, 12) {
            0 | 1 => {
                let moments =
                    lasting(Happening::Stall(cluster.clone()), Happening::Resume(cluster.clone()), for_ever);
                (format!("Cluster {cluster} stalls"), moments)
            }
            2 => {
                let refusing = Refusing {
                    webhook: "freeze.example.org".into(),
                    kind: self
                        .dice
                        .one_of("Cluster", &["MachineImage", "Job", "ClusterClassClusterUpgrader"])
                        .into(),
                    namespace: None,
                    name: None,
                    message: "frozen".into(),
                    until: later(self.start, ends),
                };
                (
                    format!("writes to {} are refused", refusing.kind),
                    vec![(begins, "user", Happening::Refuse(refusing))],
                )
            }
            3 => {
                let (pause, unpause) =
                    (Happening::Pause(target("Cluster")), Happening::Unpause(target("Cluster")));
                let mut moments = lasting(pause, unpause.clone(), for_ever);
                if !for_ever {
                    // Again when no webhook can refuse it.
                    moments.push((self.minutes, "user", unpause));
                }
                (format!("Cluster {cluster} is paused"), moments)
            }
            4 => {
                let kind = "ClusterClassClusterUpgrader";
                let (pause, unpause) = (Happening::Pause(target(kind)), Happening::Unpause(target(kind)));
                let mut moments = lasting(pause, unpause.clone(), for_ever);
                if !for_ever {
                    moments.push((self.minutes, "user", unpause));
                }
                (format!("the upgrader of {cluster} is paused"), moments)
            }
            5 => {
                let source = Source::Object(ObjectKey::new(NAMESPACE, "debian"));
                let error = self.dice.one_of("Server", &["TooMany", "Truncated", "NotAnIndex", "Connect"]);
                let outage = Happening::Outage { source: source.clone(), error: error.into() };
                (format!("the repository answers {error}"), lasting(outage, Happening::Back(source), false))
            }
            6 | 7 => {
                let count = u32::try_from(self.dice.within(1, 4)).unwrap_or(1);
                (format!("{count} builds fail"), vec![(begins, "user", Happening::FailBuilds(count))])
            }
            8 => {
                let Some(image) = self.images.get(number % self.images.len().max(1)).cloned() else {
                    return ("nothing".to_owned(), Vec::new());
                };
                let key = ObjectKey::new(NAMESPACE, image.as_str());
                let rebuilt = Happening::RebuildImage { key, id: format!("rebuilt-{begins}").into() };
                (format!("{image} is built again"), vec![(begins, "user", rebuilt)])
            }
            9 => {
                let patch = json!({"metadata": {"labels": {"seen-by": format!("user-{begins}")}}});
                let merge = Happening::Merge { target: target("Cluster"), patch };
                (format!("somebody labels {cluster}"), vec![(begins, "user", merge)])
            }
            10 => {
                let variables = json!([{"name": "image", "value": "of-flux"}]);
                let patch = json!({"spec": {"topology": {"variables": variables}}});
                let merge = Happening::Merge { target: target("Cluster"), patch };
                (format!("flux writes over the image of {cluster}"), vec![(begins, "flux", merge)])
            }
            _ => {
                let limit = self.dice.happens(500).then_some(1);
                let plan = Target { kind: "Plan".into(), namespace: NAMESPACE.into(), name: "plan-0".into() };
                let patch = json!({"spec": {"maxConcurrent": limit}});
                (
                    "somebody sets another limit".to_owned(),
                    vec![(begins, "user", Happening::Merge { target: plan, patch })],
                )
            }
        }
    }
}
