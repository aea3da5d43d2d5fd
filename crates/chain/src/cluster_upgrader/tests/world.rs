//! A small world: objects as YAML, a server that answers steps, and passes over the upgrader `up` as the engine makes them.

use std::collections::BTreeMap;

use api::capi::control_plane::ControlPlane;
use api::upgrader::cluster_upgrader::LAST_SET_ANNOTATION;
use domain::verdict::Note;
use runtime::room::{Recall, Step as _};
use runtime::store::{Store, TableId};
use serde_json::Map;

use super::*;

/// A Cluster at v1.36.2 that has converged, and everything that moving it to v1.36.4 needs.
pub(super) const READY: &str = r#"
kind: ClusterClassClusterUpgrader
metadata: {name: up}
spec: {clusterName: c, topologyVariable: image, planRef: {name: plan}}
---
kind: Plan
metadata: {name: plan}
spec: {versionRange: v1.36.x}
status:
  observedGeneration: 1
  machineImageDetails: {version: v1.36.4, id: "img:4"}
  machineImageRef: {kind: MachineImage, namespace: ns, name: img, uid: uid-machineimage-img}
---
kind: MachineImage
metadata: {name: img}
spec: {version: v1.36.4, id: "img:4", jobTemplate: {spec: {containers: [{name: a}]}}}
---
kind: ClusterClass
metadata: {name: class, generation: 3}
status:
  observedGeneration: 3
  conditions: [{type: VariablesReady, status: "True"}]
  variables:
  - {name: image, definitions: [{schema: {openAPIV3Schema: {type: string}}}]}
---
kind: Cluster
metadata: {name: c, resourceVersion: "100", generation: 7}
spec:
  controlPlaneRef: {apiGroup: controlplane.cluster.x-k8s.io, kind: ThinControlPlane, name: c-cp}
  topology:
    classRef: {name: class}
    version: v1.36.2
    variables:
    - {name: region, value: north}
    - {name: size, value: {cpu: 2}}
    - {name: image, value: "img:2"}
    controlPlane: {replicas: 3}
    workers: {machineDeployments: [{class: w, name: md-0}]}
status:
  phase: Provisioned
  initialization: {controlPlaneInitialized: true}
  controlPlane: {desiredReplicas: 3, replicas: 3, upToDateReplicas: 3}
  workers: {desiredReplicas: 2, replicas: 2, upToDateReplicas: 2}
  conditions:
  - {type: Available, status: "True"}
  - {type: RollingOut, status: "False"}
  - {type: TopologyReconciled, status: "True", reason: ReconcileSucceeded, observedGeneration: 7}
"#;

pub(super) struct World {
    pub(super) objects: Vec<Value>,
    pub(super) room: UpgraderRoom,
    /// The upgrader that is looked at; `object` takes it and its Cluster.
    pub(super) who: String,
    pub(super) memories: BTreeMap<String, Memory>,
    pub(super) fleet: Fleet,
    /// Seconds since the beginning.
    pub(super) now: i64,
    pub(super) clusters: Availability,
    /// How the server refuses every patch of a Cluster, if it does.
    pub(super) refuses: Option<Refusal>,
    pub(super) control_plane: Option<Value>,
    pub(super) pools: Vec<Value>,
    /// What was requested and written, in order.
    pub(super) requests: Vec<String>,
    pub(super) statuses: Vec<Value>,
    pub(super) notes: Vec<Note>,
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            objects: testkit::objects(READY),
            room: UpgraderRoom::default(),
            who: "up".to_owned(),
            memories: BTreeMap::new(),
            fleet: Fleet::default(),
            now: 0,
            clusters: Availability::Synced { api_version: "cluster.x-k8s.io/v1beta2".into() },
            refuses: None,
            control_plane: None,
            pools: Vec::new(),
            requests: Vec::new(),
            statuses: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// The same after the Cluster was watched for long enough.
    pub(super) fn settled() -> Self {
        let mut world = Self::new();
        assert_eq!(world.pass(), SETTLING);
        world.now = 20;
        (world.statuses, world.notes) = (Vec::new(), Vec::new());
        world
    }

    pub(super) fn object(&mut self, kind: &str) -> &mut Value {
        let who = self.who.clone();
        let up = self.named("ClusterClassClusterUpgrader", &who);
        let cluster = up["spec"]["clusterName"].as_str().unwrap_or("c").to_owned();
        match kind {
            "ClusterClassClusterUpgrader" => self.named(kind, &who),
            "Cluster" => self.named(kind, &cluster),
            _ => self.objects.iter_mut().find(|object| object["kind"] == kind).unwrap(),
        }
    }

    pub(super) fn named(&mut self, kind: &str, name: &str) -> &mut Value {
        let is = |object: &&mut Value| object["kind"] == kind && object["metadata"]["name"] == name;
        self.objects.iter_mut().find(is).unwrap_or_else(|| panic!("there is no {kind} {name}"))
    }

    /// Turns to another upgrader.
    pub(super) fn turn(&mut self, who: &str) -> &mut Self {
        who.clone_into(&mut self.who);
        self
    }

    /// Another Cluster like `c` is at present, with an upgrader of its own.
    pub(super) fn add(&mut self, cluster: &str, upgrader: &str) {
        let mut another = self.named("Cluster", "c").clone();
        another["metadata"]["name"] = json!(cluster);
        another["metadata"]["uid"] = json!(format!("uid-cluster-{cluster}"));
        self.objects.push(another);
        self.add_upgrader(cluster, upgrader);
    }

    pub(super) fn add_upgrader(&mut self, cluster: &str, upgrader: &str) {
        let mut another = self.named("ClusterClassClusterUpgrader", "up").clone();
        another["metadata"]["name"] = json!(upgrader);
        another["metadata"]["uid"] = json!(format!("uid-{upgrader}"));
        another["spec"]["clusterName"] = json!(cluster);
        another.as_object_mut().unwrap().remove("status");
        self.objects.push(another);
    }

    /// A machine image `img-<version>` with the id `img:<version>`.
    pub(super) fn image(mut self, version: &str) -> Self {
        self.add_image(version);
        self
    }

    pub(super) fn add_image(&mut self, version: &str) {
        let mut image = self.objects.iter().find(|object| object["kind"] == "MachineImage").unwrap().clone();
        image["metadata"]["name"] = json!(format!("img-{version}"));
        image["metadata"]["uid"] = json!(format!("uid-machineimage-{version}"));
        image["spec"]["version"] = json!(version);
        image["spec"]["id"] = json!(format!("img:{version}"));
        self.objects.push(image);
    }

    /// The plan chooses the image of this version, which is there, and its range holds all of its major.
    pub(super) fn choose(&mut self, version: &str) {
        if !self.objects.iter().any(|object| object["metadata"]["name"] == format!("img-{version}")) {
            self.add_image(version);
        }
        self.set("Plan", "spec.versionRange", json!(">=1.0.0 <2.0.0"));
        self.set(
            "Plan",
            "status.machineImageDetails",
            json!({"version": version, "id": format!("img:{version}")}),
        );
        let reference = json!({"kind": "MachineImage", "namespace": "ns", "name": format!("img-{version}"),
            "uid": format!("uid-machineimage-{version}")});
        self.set("Plan", "status.machineImageRef", reference);
    }

    pub(super) fn version(&mut self) -> String {
        self.object("Cluster")["spec"]["topology"]["version"].as_str().unwrap().to_owned()
    }

    /// Sets a field by its path, `a.b.0.c`; `null` removes it.
    pub(super) fn with(mut self, kind: &str, path: &str, value: Value) -> Self {
        self.set(kind, path, value);
        self
    }

    pub(super) fn set(&mut self, kind: &str, path: &str, value: Value) {
        let mut field = self.object(kind);
        for part in path.split('.') {
            field = if let Ok(place) = part.parse::<usize>() {
                &mut field[place]
            } else {
                if !field.is_object() {
                    *field = json!({});
                }
                field.as_object_mut().unwrap().entry(part).or_insert(Value::Null)
            };
        }
        *field = value;
    }

    pub(super) fn without(mut self, kind: &str) -> Self {
        self.objects.retain(|object| object["kind"] != kind);
        self
    }

    /// What Cluster API says of the topology.
    pub(super) fn topology(mut self, status: &str, reason: &str, message: &str) -> Self {
        self.say(status, reason, message);
        self
    }

    pub(super) fn say(&mut self, status: &str, reason: &str, message: &str) {
        let generation = self.object("Cluster")["metadata"]["generation"].clone();
        let told = json!({"type": "TopologyReconciled", "status": status, "reason": reason,
            "message": message, "observedGeneration": generation});
        self.set("Cluster", "status.conditions.2", told);
    }

    /// Cluster API changes the Cluster's status: its resourceVersion moves.
    pub(super) fn touch(&mut self) {
        let meta = &mut self.object("Cluster")["metadata"];
        let next: u64 = meta["resourceVersion"].as_str().unwrap().parse::<u64>().unwrap() + 1;
        meta["resourceVersion"] = json!(next.to_string());
    }

    /// Every machine runs the version of the topology.
    pub(super) fn converge(&mut self) {
        self.touch();
        self.say("True", "ReconcileSucceeded", "");
    }

    /// The process ends, and another begins.
    pub(super) fn kill(&mut self) {
        self.memories.clear();
        self.fleet = Fleet::default();
    }

    pub(super) fn store(&self) -> Store {
        fn put<R: domain::object::Row>(store: &mut Store, object: &Value) {
            store.put::<R>(&TableId::of::<R>(), testkit::row(object));
        }
        let mut store = Store::default();
        let synced = Availability::Synced { api_version: Box::default() };
        store.set::<PlanRow>(&TableId::of::<PlanRow>(), synced.clone());
        store.set::<ClusterClassRow>(&TableId::of::<ClusterClassRow>(), synced.clone());
        store.set::<MachineImageRow>(&TableId::of::<MachineImageRow>(), synced);
        for object in &self.objects {
            match object["kind"].as_str().unwrap() {
                "ClusterClassClusterUpgrader" => put::<UpgraderRow>(&mut store, object),
                "Plan" => put::<PlanRow>(&mut store, object),
                "Cluster" => put::<ClusterRow>(&mut store, object),
                "ClusterClass" => put::<ClusterClassRow>(&mut store, object),
                "MachineImage" => put::<MachineImageRow>(&mut store, object),
                _ => {}
            }
        }
        store.set::<ClusterRow>(&TableId::of::<ClusterRow>(), self.clusters.clone());
        store
    }

    pub(super) fn observe(&mut self) -> Observed {
        let store = self.store();
        let snapshot = store.snapshot();
        let row = snapshot.get::<UpgraderRow>(&ObjectKey::new("ns", self.who.as_str())).unwrap();
        let memory = self.memories.entry(self.who.clone()).or_default();
        self.room.observe(snapshot, row, Recall { memory, shared: &mut self.fleet }, at(self.now))
    }

    /// One decision, without taking its steps.
    pub(super) fn decide(&mut self) -> Verdict<Step, Reason> {
        let observed = self.observe();
        self.room.decide(&observed, at(self.now))
    }

    pub(super) fn shown(&mut self) -> String {
        shown(&self.decide(), at(self.now))
    }

    /// A whole pass; the last verdict as text.
    pub(super) fn pass(&mut self) -> String {
        self.pass_until(usize::MAX)
    }

    /// A pass that ends after so many requests, like a process that is killed then.
    pub(super) fn pass_until(&mut self, requests: usize) -> String {
        for made in 0..16 {
            let observed = self.observe();
            let verdict = self.room.decide(&observed, at(self.now));
            let Some(step) = verdict.steps.first().cloned() else {
                let report = self.room.report(&observed, &verdict, at(self.now));
                if let Some(status) = report.status {
                    let upgrader = self.object("ClusterClassClusterUpgrader");
                    merge(upgrader, &json!({ "status": status }));
                    self.statuses.push(status);
                }
                self.notes.extend(report.notes);
                return shown(&verdict, at(self.now));
            };
            if made == requests {
                return "killed".to_owned();
            }
            self.requests.push(step.to_string());
            if step.writes() {
                self.room.reserve(&mut self.fleet, &observed, &step);
            }
            let outcome = self.answer(&step);
            let taken = self.learn(&step, &outcome);
            if let (Err(refusal), false) = (&outcome, taken) {
                return format!("left to the engine: {refusal}");
            }
        }
        panic!("a step was repeated without effect");
    }

    pub(super) fn learn(&mut self, step: &Step, outcome: &Result<Answer, Refusal>) -> bool {
        let memory = self.memories.entry(self.who.clone()).or_default();
        let recall = Recall { memory, shared: &mut self.fleet };
        self.room.learn(recall, step, outcome.as_ref().cloned(), at(self.now))
    }

    pub(super) fn answer(&mut self, step: &Step) -> Result<Answer, Refusal> {
        assert_eq!(step.writes(), matches!(step, Step::PatchCluster { .. } | Step::Record { .. }));
        match step {
            Step::ReadImage { key } => {
                let is = |object: &&Value| {
                    object["kind"] == "MachineImage" && object["metadata"]["name"] == *key.name
                };
                let image = self.objects.iter().find(is).ok_or(Refusal::NotFound)?;
                Ok(Answer::Image(Box::new(testkit::row(image))))
            }
            Step::ReadControlPlane { .. } => {
                let control_plane = self.control_plane.as_ref().ok_or(Refusal::NotFound)?;
                Ok(Answer::ControlPlane(Box::new(testkit::row::<ControlPlane>(control_plane))))
            }
            Step::ReadMachinePools { .. } => {
                Ok(Answer::MachinePools(self.pools.iter().map(testkit::row).collect()))
            }
            Step::Record { upgrader, last_set, .. } => {
                let text = serde_json::to_string(last_set).unwrap();
                let body = json!({"metadata": {"annotations": {LAST_SET_ANNOTATION: text}}});
                merge(self.named("ClusterClassClusterUpgrader", &upgrader.name), &body);
                Ok(Answer::Recorded)
            }
            Step::PatchCluster { cluster, patch, .. } => {
                if let Some(refusal) = &self.refuses {
                    return Err(refusal.clone());
                }
                self.touch();
                let cluster = self.named("Cluster", &cluster.name);
                let written = cluster["metadata"]["resourceVersion"].clone();
                // The patch names the version before the write, as the server would compare it.
                cluster["metadata"]["resourceVersion"] = json!((number(&written) - 1).to_string());
                for operation in patch {
                    operate(cluster, operation);
                }
                cluster["metadata"]["resourceVersion"] = written;
                let generation = cluster["metadata"]["generation"].as_i64().unwrap() + 1;
                cluster["metadata"]["generation"] = json!(generation);
                Ok(Answer::Set)
            }
        }
    }

    pub(super) fn patches(&self) -> usize {
        self.requests.iter().filter(|request| request.starts_with("set Cluster")).count()
    }

    pub(super) fn events(&self) -> Vec<&str> {
        self.notes.iter().map(|note| note.reason).collect()
    }

    pub(super) fn status(&mut self) -> &mut Value {
        &mut self.object("ClusterClassClusterUpgrader")["status"]
    }
}

const SETTLING: &str =
    "wait: Settling - every machine runs v1.36.2, which is watched for 15 s (Cluster ns/c)\nagain in 15 s";

fn number(text: &Value) -> u64 {
    text.as_str().unwrap().parse().unwrap()
}

/// RFC 7386.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    for (name, value) in fields {
        if value.is_null() {
            target.as_object_mut().unwrap().remove(name);
        } else {
            merge(&mut target[name], value);
        }
    }
}

/// As much of RFC 6902 as the patch uses, and as strict.
pub(super) fn operate(document: &mut Value, operation: &Value) {
    let (op, path) = (operation["op"].as_str().unwrap(), operation["path"].as_str().unwrap());
    let value = operation["value"].clone();
    match op {
        "test" => assert_eq!(document.pointer(path), Some(&value), "{operation}"),
        "replace" => *document.pointer_mut(path).expect("it exists") = value,
        "add" => {
            let (parent, name) = path.rsplit_once('/').unwrap();
            match document.pointer_mut(parent).expect("its parent exists") {
                Value::Array(list) if name == "-" => list.push(value),
                Value::Object(fields) => {
                    assert_eq!(fields.insert(name.to_owned(), value), None, "{operation}")
                }
                _ => panic!("cannot add: {operation}"),
            }
        }
        _ => panic!("not used: {operation}"),
    }
}
