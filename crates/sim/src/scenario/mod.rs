//! What a simulation begins with, and what happens in it; in Rust, or as YAML beside ordinary manifests.
//!
//! ```yaml
//! apiVersion: sim.kubernetes-upgrader/v1alpha1
//! kind: Simulation
//! spec:
//!   start: 2026-12-01T00:00:00Z     # 2026-01-01T00:00:00Z where absent
//!   duration: 14d                   # 30d where absent
//!   seed: 1                         # of uids, suffixes and jitter
//!   build: 30m                      # how long a Job builds
//!   roll: 20m                       # or {perCluster: 20m}, or {perMachine: 5m}
//!   clusterAPI: true                # false: Cluster API is not installed
//!   releases:                       # a time is an instant, or a duration since start
//!   - {version: v1.36.1, at: 1d}
//!   - {version: v1.37.0, at: "2026-12-09T12:00:00Z"}
//!   events:                         # one of these in each, and by whom, if it matters
//!   - {at: 1d, publish: v1.36.2}
//!   - {at: 2d, by: flux, merge: {kind: Plan, name: p, namespace: ns, patch: {spec: {versionRange: v1.36.x}}}}
//!   - {at: 2d, create: {apiVersion: v1, kind: ConfigMap, metadata: {name: x}}}
//!   - {at: 2d, delete: {kind: MachineImage, name: x}}
//!   - {at: 2d, refuse: {kind: Cluster, name: c, message: not on a Friday, webhook: freeze.example.org, until: 3d}}
//!   - {at: 2d, stall: {name: c}}    # no machine of the Cluster is replaced any more …
//!   - {at: 3d, resume: {name: c}}   # … until here
//!   - {at: 2d, failBuilds: 1}       # as many of the next builds that end fail
//!   - {at: 2d, outage: {source: debian, error: Timeout}}   # a source's name, or url: part of a URL
//!   - {at: 3d, back: {source: debian}}
//!   - {at: 2d, pause: {kind: Cluster, name: c}}
//!   - {at: 3d, unpause: {kind: Cluster, name: c}}
//!   - {at: 2d, rebuildImage: {name: image, id: other}}     # somebody writes another id
//!   - {at: 2d, restart: {}}         # the manager is killed, and the next one starts
//! ```
//!
//! The other documents are the objects that are there at the start, as `kubectl get -o yaml` prints them or as they are
//! applied; `kind: List` is opened. A Cluster and a ClusterClass need no status: they are taken to be provisioned and at
//! rest. Every version that a Cluster, a MachineImage or the status of a source has was published before.

mod document;
mod happening;
mod wire;

use std::time::Duration;

use jiff::Timestamp;
use manager::family::Family;
use serde_json::Value;

pub use document::ReadError;
pub use happening::{Happening, Refusing, Source, Target};
pub use wire::when;

use crate::world::clusters::Roll;

/// `apiVersion` of the document that says how to simulate.
pub const API_VERSION: &str = "sim.kubernetes-upgrader/v1alpha1";
/// Its group.
pub const GROUP: &str = "sim.kubernetes-upgrader";
/// Its version.
pub const VERSION: &str = "v1alpha1";
/// Its kind.
pub const KIND: &str = "Simulation";

/// What a simulation begins with, and what happens in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// The objects of the beginning.
    pub objects: Vec<Value>,
    /// When it begins.
    pub start: Timestamp,
    /// How long it goes on.
    pub until: Duration,
    /// Of uids, of suffixes of names, and of jitter.
    pub seed: u64,
    /// How long a Job builds.
    pub build: Duration,
    /// How long machines take to be replaced.
    pub roll: Roll,
    /// Versions and when they are published; those before the start are there from the beginning.
    pub releases: Vec<(Timestamp, Box<str>)>,
    /// What else happens: when, by whom, and what.
    pub events: Vec<(Timestamp, Box<str>, Happening)>,
    /// Whether Cluster API is installed.
    pub cluster_api: bool,
    /// Whose controllers run.
    pub family: Family,
    /// Most lines of the timeline.
    pub entries: usize,
    /// Watch this namespace only, as the flag `--namespace` does.
    pub namespace: Option<Box<str>>,
    /// Decide and write conditions only, as the flag `--dry-run` does.
    pub dry_run: bool,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            objects: Vec::new(),
            // The first second of 2026.
            start: Timestamp::from_second(1_767_225_600).unwrap_or(Timestamp::UNIX_EPOCH),
            until: Duration::from_secs(30 * 86_400),
            seed: 1,
            build: Duration::from_secs(30 * 60),
            roll: Roll::PerCluster(Duration::from_secs(20 * 60)),
            releases: Vec::new(),
            events: Vec::new(),
            cluster_api: true,
            family: Family::default(),
            entries: 100_000,
            namespace: None,
            dry_run: false,
        }
    }
}

impl Scenario {
    /// Reads files of YAML documents, each by its name and its text: at most one of all documents is a `Simulation`.
    pub fn read<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, ReadError> {
        document::read(files)
    }

    /// Of the `spec` of a [`KIND`], without objects. It begins at `start` where the spec does not say when.
    pub fn of_spec(spec: Value, start: Timestamp) -> Result<Self, String> {
        wire::read(spec, start)
    }

    /// Adds an object that is there from the beginning; a list is opened.
    pub fn add(&mut self, object: Value) {
        let is_list = object["kind"].as_str().is_some_and(|kind| kind.ends_with("List"));
        match object {
            Value::Object(mut fields) if is_list && fields.get("items").is_some_and(Value::is_array) => {
                if let Some(Value::Array(items)) = fields.remove("items") {
                    for item in items {
                        self.add(item);
                    }
                }
            }
            object => self.objects.push(object),
        }
    }

    /// The objects of the beginning, and those that events create.
    pub(crate) fn all_objects(&self) -> impl Iterator<Item = &Value> {
        let created = self.events.iter().filter_map(|(_, _, happening)| match happening {
            Happening::Create(object) => Some(object),
            _ => None,
        });
        self.objects.iter().chain(created)
    }
}

/// Group, version and kind of an object.
pub(crate) fn kind_of(object: &Value) -> (&str, &str, &str) {
    let api_version = object["apiVersion"].as_str().unwrap_or_default();
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    (group, version, object["kind"].as_str().unwrap_or_default())
}

/// An object of Cluster API in v1beta2, the version that is served, as far as its controllers' fields matter here.
pub(crate) fn modern(mut object: Value) -> Value {
    if object["apiVersion"] != "cluster.x-k8s.io/v1beta1" {
        return object;
    }
    object["apiVersion"] = "cluster.x-k8s.io/v1beta2".into();
    if object["kind"] == "Cluster"
        && let Some(Value::Object(topology)) = object.pointer_mut("/spec/topology")
    {
        let class = topology.remove("class");
        let namespace = topology.remove("classNamespace");
        if let Some(class) = class {
            let mut reference = serde_json::json!({"name": class});
            if let Some(namespace) = namespace {
                reference["namespace"] = namespace;
            }
            topology.insert("classRef".to_owned(), reference);
        }
    }
    // Its status has another shape, and is written anew.
    if let Value::Object(fields) = &mut object {
        fields.remove("status");
    }
    object
}
