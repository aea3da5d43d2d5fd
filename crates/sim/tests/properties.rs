//! Random histories, lived through by the whole manager: whatever people, machines and repositories do, no Cluster is wedged.
//!
//! What is checked is read from the timeline alone, which tells what was written, and by whom. All troubles end within
//! a day, and a quiet day follows: what then still waits must wait for something that only a person can give.

#![allow(
    clippy::unwrap_used,
    reason = "a test stops at what it cannot go on with, outside of its #[test] functions as well"
)]

mod given;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use domain::object::ObjectKey;
use domain::version::KubernetesVersion;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestCaseError};
use serde_json::{Value, json};
use sim::{Happening, Refusing, Roll, Scenario, Source, Target, Timeline, run};

const UPGRADER: &str = "clusterclassclusterupgrader";
/// Hours in which something happens, and as many more in which nothing does.
const EVENTFUL: i64 = 24;
const RANGE: &str = ">=1.33.0 <1.38.0";

/// A trouble and, in minutes, when it begins and how long it lasts.
#[derive(Clone, Debug)]
enum Trouble {
    Stall(usize),
    Freeze,
    PauseCluster(usize),
    PauseUpgrader(usize),
    Outage,
    Restart,
    FailBuilds(u32),
    /// Somebody gives the image of a version another id.
    Rebuild(usize),
    /// A tool writes an image of its own into a Cluster.
    Revert(usize),
}

#[derive(Clone, Debug)]
struct History {
    clusters: Vec<(u64, u64)>,
    /// Images that are there from the start.
    images: Vec<(u64, u64)>,
    /// Hours, minor and patch.
    releases: Vec<(i64, u64, u64)>,
    troubles: Vec<(i64, i64, Trouble)>,
    max_concurrent: Option<u32>,
    rollout_image_changes: bool,
    retention: Option<u32>,
    seed: u64,
}

fn history() -> impl Strategy<Value = History> {
    let trouble = prop_oneof![
        (0..4_usize).prop_map(Trouble::Stall),
        Just(Trouble::Freeze),
        (0..4_usize).prop_map(Trouble::PauseCluster),
        (0..4_usize).prop_map(Trouble::PauseUpgrader),
        Just(Trouble::Outage),
        Just(Trouble::Restart),
        (1..3_u32).prop_map(Trouble::FailBuilds),
        (0..4_usize).prop_map(Trouble::Rebuild),
        (0..4_usize).prop_map(Trouble::Revert),
    ];
    let begins = 0..EVENTFUL * 60 - 400;
    (
        prop::collection::vec((33..37_u64, 0..3_u64), 1..5),
        prop::collection::vec((33..38_u64, 0..4_u64), 0..4),
        prop::collection::vec((0..EVENTFUL - 8, 33..38_u64, 0..4_u64), 0..7),
        prop::collection::vec((begins, 1..400_i64, trouble), 0..7),
        prop::option::of(1..3_u32),
        any::<bool>(),
        prop::option::of(0..2_u32),
        any::<u64>(),
    )
        .prop_map(
            |(
                clusters,
                images,
                releases,
                troubles,
                max_concurrent,
                rollout_image_changes,
                retention,
                seed,
            )| {
                History {
                    clusters,
                    images,
                    releases,
                    troubles,
                    max_concurrent,
                    rollout_image_changes,
                    retention,
                    seed,
                }
            },
        )
}

impl History {
    fn scenario(&self) -> Scenario {
        let mut scenario = Scenario {
            seed: self.seed,
            until: Duration::from_secs(2 * 3_600 * EVENTFUL.unsigned_abs()),
            roll: Roll::PerMachine(Duration::from_secs(240)),
            ..Scenario::default()
        };
        scenario.add(given::class());
        scenario.add(given::plan(RANGE, self.max_concurrent));
        let retention = self.retention.map(|keep| json!({"mode": "Delete", "keep": keep}));
        for object in given::built(RANGE, &json!({"retries": 20}), &retention.unwrap_or(Value::Null)) {
            scenario.add(object);
        }
        for (number, (minor, patch)) in self.clusters.iter().enumerate() {
            scenario.add(given::cluster(&name(number), &format!("v1.{minor}.{patch}")));
            scenario.add(given::upgrader(&name(number), self.rollout_image_changes));
        }
        for (minor, patch) in BTreeSet::from_iter(&self.images) {
            scenario.add(given::image(&format!("v1.{minor}.{patch}")));
        }
        for (hours, minor, patch) in &self.releases {
            let at = later(scenario.start, hours * 60);
            scenario.releases.push((at, format!("v1.{minor}.{patch}").into()));
        }
        for (begins, lasts, trouble) in &self.troubles {
            for (minutes, actor, happening) in self.happens(scenario.start, *begins, *lasts, trouble) {
                scenario.events.push((later(scenario.start, minutes), actor.into(), happening));
            }
        }
        scenario
    }

    fn happens(
        &self,
        start: Timestamp,
        begins: i64,
        lasts: i64,
        trouble: &Trouble,
    ) -> Vec<(i64, &'static str, Happening)> {
        let ends = begins + lasts;
        let user = |minutes, happening| (minutes, "user", happening);
        let target = |kind: &str, number: &usize| Target {
            kind: kind.into(),
            namespace: "default".into(),
            name: name(number % self.clusters.len()).into(),
        };
        let cluster = |number: &usize| ObjectKey::new("default", name(number % self.clusters.len()));
        match trouble {
            Trouble::Stall(number) => vec![
                user(begins, Happening::Stall(cluster(number))),
                user(ends, Happening::Resume(cluster(number))),
            ],
            Trouble::Freeze => vec![user(
                begins,
                Happening::Refuse(Refusing {
                    webhook: "freeze.example.org".into(),
                    kind: "Cluster".into(),
                    namespace: None,
                    name: None,
                    message: "frozen".into(),
                    until: later(start, ends),
                }),
            )],
            Trouble::PauseCluster(number) => {
                let target = target("Cluster", number);
                // Again when no freeze can refuse it.
                let again = user(EVENTFUL * 60, Happening::Unpause(target.clone()));
                let pause = user(begins, Happening::Pause(target.clone()));
                vec![pause, user(ends, Happening::Unpause(target)), again]
            }
            Trouble::PauseUpgrader(number) => {
                let target = target("ClusterClassClusterUpgrader", number);
                vec![user(begins, Happening::Pause(target.clone())), user(ends, Happening::Unpause(target))]
            }
            Trouble::Outage => {
                let source = Source::Object(ObjectKey::new("default", "debian"));
                let outage = Happening::Outage { source: source.clone(), error: "Server".into() };
                vec![user(begins, outage), user(ends, Happening::Back(source))]
            }
            Trouble::Restart => vec![user(begins, Happening::Restart)],
            Trouble::FailBuilds(count) => vec![user(begins, Happening::FailBuilds(*count))],
            Trouble::Rebuild(number) => {
                let Some((minor, patch)) = self.images.get(number % self.images.len().max(1)) else {
                    return Vec::new();
                };
                let key = ObjectKey::new("default", format!("image-v1.{minor}.{patch}"));
                vec![user(begins, Happening::RebuildImage { key, id: format!("rebuilt-{begins}").into() })]
            }
            Trouble::Revert(number) => {
                let variables = json!([{"name": "image", "value": "of-flux"}]);
                let patch = json!({"spec": {"topology": {"variables": variables}}});
                vec![(begins, "flux", Happening::Merge { target: target("Cluster", number), patch })]
            }
        }
    }
}

fn name(number: usize) -> String {
    format!("c{number}")
}

fn later(start: Timestamp, minutes: i64) -> Timestamp {
    start.checked_add(SignedDuration::from_mins(minutes)).unwrap()
}

fn version(text: &str) -> KubernetesVersion {
    KubernetesVersion::parse_strict(text).unwrap()
}

/// What is known of a Cluster by reading the timeline.
#[derive(Debug)]
struct Cluster {
    version: String,
    image: String,
    /// The version that its machines had before, until the last of them is replaced.
    leaves: Option<String>,
    /// It rolls since it was set by us.
    rolls: bool,
    /// The result of the plan under which somebody else took away what we had set.
    taken: Option<(String, String)>,
    /// The result of the plan when we last set something.
    under: (String, String),
    /// Version and image that we last set.
    ours: Option<(String, String)>,
}

struct Reading<'a> {
    history: &'a History,
    clusters: BTreeMap<String, Cluster>,
    /// By name: version and id.
    images: BTreeMap<String, (String, Option<String>)>,
    plan: (String, String),
}

impl<'a> Reading<'a> {
    fn new(history: &'a History) -> Self {
        let clusters = history.clusters.iter().enumerate().map(|(number, (minor, patch))| {
            let version = format!("v1.{minor}.{patch}");
            let image = format!("image-{version}");
            (
                name(number),
                Cluster {
                    version,
                    image,
                    leaves: None,
                    rolls: false,
                    taken: None,
                    under: <(String, String)>::default(),
                    ours: None,
                },
            )
        });
        let images = history.images.iter().map(|(minor, patch)| {
            let version = format!("v1.{minor}.{patch}");
            (format!("image-{version}"), (version.clone(), Some(format!("ami-{version}"))))
        });
        Self {
            history,
            clusters: clusters.collect(),
            images: images.collect(),
            plan: (String::new(), String::new()),
        }
    }

    fn read(&mut self, actor: &str, object: &str, what: &str) -> Result<(), TestCaseError> {
        let Some((kind, name)) = object.split_once(" default/") else { return Ok(()) };
        match kind {
            "Cluster" => self.of_cluster(actor, name, what),
            "MachineImage" => self.of_image(actor, name, what),
            // Whoever pauses a Cluster or its upgrader gives its place to another.
            "ClusterClassClusterUpgrader" if what == "spec.paused set" => {
                self.clusters.get_mut(name).unwrap().rolls = false;
                Ok(())
            }
            "Plan" => {
                if let Some((version, id)) =
                    what.strip_prefix("chose ").and_then(|chose| chose.split_once(" ("))
                {
                    self.plan = (version.to_owned(), id.trim_end_matches(')').to_owned());
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn of_cluster(&mut self, actor: &str, name: &str, what: &str) -> Result<(), TestCaseError> {
        if let Some(at) = what.strip_prefix("roll complete at ") {
            let cluster = self.clusters.get_mut(name).unwrap();
            prop_assert_eq!(at, &cluster.version);
            (cluster.leaves, cluster.rolls) = (None, false);
            return Ok(());
        }
        if what == "spec.paused set" {
            self.clusters.get_mut(name).unwrap().rolls = false;
        }
        let Some(set) = what.strip_prefix("set ") else { return Ok(()) };
        let (hop, image) = match set.split_once(" with image ") {
            Some((hop, image)) => (hop.split_once(" → "), Some(image)),
            None => (set.split_once(" → "), set.strip_prefix("image ")),
        };
        if actor != UPGRADER {
            prop_assert!(hop.is_none());
            let cluster = self.clusters.get_mut(name).unwrap();
            image.unwrap().clone_into(&mut cluster.image);
            let took = cluster
                .ours
                .as_ref()
                .is_some_and(|(version, id)| *version == cluster.version && *id != cluster.image);
            if took {
                // What the plan has found since is another result, and is set.
                cluster.taken = Some(cluster.under.clone());
            }
            return Ok(());
        }
        let image = image.ok_or_else(|| TestCaseError::fail("a version was set without its image"))?;
        self.may_set(name, hop, image)?;
        let plan = self.plan.clone();
        let cluster = self.clusters.get_mut(name).unwrap();
        if let Some((_, to)) = hop {
            cluster.leaves = Some(std::mem::replace(&mut cluster.version, to.to_owned()));
        }
        image.clone_into(&mut cluster.image);
        cluster.rolls = true;
        cluster.ours = Some((cluster.version.clone(), image.to_owned()));
        cluster.under.clone_from(&plan);
        if cluster.taken.as_ref() != Some(&plan) {
            cluster.taken = None;
        }
        Ok(())
    }

    fn may_set(&self, name: &str, hop: Option<(&str, &str)>, image: &str) -> Result<(), TestCaseError> {
        let cluster = &self.clusters[name];
        let to = hop.map_or(cluster.version.as_str(), |(_, to)| to);
        let exact = self.images.values().any(|(version, id)| version == to && id.as_deref() == Some(image));
        prop_assert!(exact, "{to} was set with {image}, which no machine image has for exactly that version");
        if let Some((from, to)) = hop {
            prop_assert_eq!(from, &cluster.version);
            let (from, to) = (version(from), version(to));
            prop_assert!(to.is_newer_than(&from), "a downgrade from {from} to {to}");
            prop_assert!(to.minor() <= from.minor() + 1, "a minor was skipped from {from} to {to}");
        } else {
            prop_assert!(self.history.rollout_image_changes, "an image was rolled out that nobody asked for");
        }
        prop_assert!(cluster.leaves.is_none(), "the Cluster still rolls away from {:?}", cluster.leaves);
        prop_assert!(cluster.taken.as_ref() != Some(&self.plan), "another writer was written over");
        if let Some(limit) = self.history.max_concurrent {
            let others =
                self.clusters.iter().filter(|(other, cluster)| *other != name && cluster.rolls).count();
            prop_assert!(others < limit as usize, "{others} Clusters roll already, of {limit}");
        }
        Ok(())
    }

    fn of_image(&mut self, actor: &str, name: &str, what: &str) -> Result<(), TestCaseError> {
        if let Some(version) = what.strip_prefix("created for ") {
            self.images.insert(name.to_owned(), (version.to_owned(), None));
        } else if let Some(id) = what.strip_prefix("has image ") {
            self.images.get_mut(name).unwrap().1 = Some(id.to_owned());
        } else if what == "deleted" {
            let (version, id) = self.images.remove(name).unwrap();
            prop_assert_ne!(actor, "user");
            for (of, cluster) in &self.clusters {
                let uses = cluster.version == version
                    || cluster.leaves.as_ref() == Some(&version)
                    || Some(&cluster.image) == id.as_ref();
                prop_assert!(!uses, "{name} of {version} was deleted, and {of} uses it");
            }
        }
        Ok(())
    }
}

/// What only a person can end: nothing that happened in the first day may leave anything else.
const FOR_A_PERSON: &[&str] = &["NoImageForHop", "PlanWithoutResult", "ClusterAhead", "ConflictingOwner"];

fn holds(history: &History, timeline: &Timeline) -> Result<(), TestCaseError> {
    let mut reading = Reading::new(history);
    for entry in &timeline.entries {
        let read = reading.read(&entry.actor, &entry.object, &entry.what);
        read.map_err(|error| {
            TestCaseError::fail(format!("{error}\nat {}: {entry:?}\n{timeline}", entry.at))
        })?;
    }
    for outcome in &timeline.outcomes {
        match &outcome.reason {
            None => prop_assert_eq!(&outcome.have, &outcome.want, "done, and not there:\n{}", timeline),
            Some(reason) => {
                prop_assert!(outcome.message.is_some(), "a reason without words:\n{timeline}");
                prop_assert!(FOR_A_PERSON.contains(&&**reason), "{outcome:?}\n{timeline}");
            }
        }
    }
    bounded(history, timeline)
}

/// Requests grow with what happens, not with time; only repositories are asked by the clock.
fn bounded(history: &History, timeline: &Timeline) -> Result<(), TestCaseError> {
    let hours = 2 * EVENTFUL.unsigned_abs();
    let happened = (history.releases.len() + history.troubles.len() + history.images.len() + 2) as u64;
    let refused =
        (history.troubles.iter()).filter(|(_, _, trouble)| matches!(trouble, Trouble::Freeze)).count() as u64;
    let clusters = history.clusters.len() as u64;
    for (request, count) in &timeline.requests {
        let bound = match request.as_str() {
            "fetch packages" => hours * 2,
            // Up to 30 attempts in each freeze.
            "patch clusters" => clusters * (happened + refused * 30),
            request if request.starts_with("patch ") || request.starts_with("create ") => {
                12 * clusters * happened + clusters * refused * 60 + hours
            }
            // Watches are renewed, and lists of what retention looks at are made at intervals.
            _ => 40 * hours,
        };
        prop_assert!(*count <= bound, "{count} times {request}, and not {bound}:\n{timeline}");
    }
    Ok(())
}

/// As many histories as take some seconds, the same in every run; or as many as `PROPTEST_CASES` asks for, from
/// `PROPTEST_RNG_SEED`.
fn config() -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    let otherwise = ProptestConfig::default();
    let rng_seed = match otherwise.rng_seed {
        RngSeed::Random => RngSeed::Fixed(20_261_121),
        given @ RngSeed::Fixed(_) => given,
    };
    ProptestConfig {
        cases: asked.unwrap_or(48),
        failure_persistence: None,
        max_shrink_iters: 150,
        rng_seed,
        ..otherwise
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_history_wedges_a_cluster(history in history()) {
        let timeline = run(&history.scenario()).map_err(|error| TestCaseError::fail(error.to_string()))?;
        holds(&history, &timeline)?;
    }
}
