//! A cluster of objects that takes the room's steps, with nobody in it who does anything by himself: each test says what
//! kubelets and Jobs do.

use std::collections::BTreeMap;

use api::kairos::node_op::NodeOpRow;
use api::kairos::reboot_binding::RebootBindingRow;
use api::kairos::reboot_role::RebootRoleRow;
use domain::object::ObjectKey;
use domain::verdict::{Reason as _, Verdict};
use jiff::{SignedDuration, Timestamp};
use runtime::answer::Refusal;
use runtime::room::{Recall, Report, Room as _};
use runtime::store::Store;
use serde_json::{Value, json};

use super::super::*;
use crate::kairos::DEFAULT_IMAGE;

/// Kind and key.
type Id = (String, ObjectKey);

pub(super) struct World {
    pub(super) room: NodeOpRoom,
    pub(super) objects: BTreeMap<Id, Value>,
    pub(super) memory: Memory,
    pub(super) places: Places,
    pub(super) now: Timestamp,
    /// The steps that were taken, in their words.
    pub(super) taken: Vec<String>,
    /// Words of a step that is refused, and how.
    pub(super) refuses: Vec<(&'static str, Refusal)>,
    /// After how many more steps the process ends, and whether the last one is not made.
    pub(super) killed_at: Option<(usize, bool)>,
    /// Of the steps that were taken, those that a test has counted.
    pub(super) counted: usize,
    version: u64,
}

pub(super) fn settings() -> Settings {
    Settings {
        namespace: "operator-system".into(),
        pod: Some(ObjectKey::new("operator-system", "manager-0")),
        operator_image: "operator:v1".into(),
        default_image: DEFAULT_IMAGE.into(),
        labeler_image: "operator:v1".into(),
        one_control_plane_at_a_time: false,
        drain_timeout: None,
        reboot_timeout: std::time::Duration::from_secs(1800),
        orderly_reboot_timeout: std::time::Duration::from_secs(300),
    }
}

impl World {
    pub(super) fn new(yaml: &str) -> Self {
        let mut world = Self {
            room: NodeOpRoom::new(settings()),
            objects: BTreeMap::new(),
            memory: Memory::default(),
            places: Places::default(),
            now: testkit::at(60),
            taken: Vec::new(),
            refuses: Vec::new(),
            killed_at: None,
            counted: 0,
            version: 100,
        };
        world.put(yaml);
        world
    }

    pub(super) fn put(&mut self, yaml: &str) {
        for object in testkit::objects(yaml) {
            self.objects.insert(id(&object), object);
        }
    }

    pub(super) fn later(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
    }

    pub(super) fn store(&self) -> Store {
        let mut store = testkit::nodes("");
        for object in self.objects.values() {
            testkit::put_on_nodes(&mut store, object);
        }
        store
    }

    /// Looks once at a NodeOp.
    pub(super) fn look(&mut self, op: &str) -> (Observed, Verdict<Step, Reason>) {
        let store = self.store();
        let row = store.snapshot().get::<NodeOpRow>(&key(op)).cloned().unwrap();
        let recall = Recall { memory: &mut self.memory, shared: &mut self.places };
        let observed = self.room.observe(store.snapshot(), &row, recall, self.now);
        let verdict = self.room.decide(&observed, self.now);
        (observed, verdict)
    }

    /// One pass: takes steps until none is left, then writes the status. Tells where it left the NodeOp.
    pub(super) fn pass(&mut self, op: &str) -> String {
        let end = self.until_rest(op);
        self.taken.push(format!("=> {end}"));
        end
    }

    fn until_rest(&mut self, op: &str) -> String {
        for _ in 0..500 {
            if !self.objects.contains_key(&("NodeOp".to_owned(), key(op))) {
                return "gone".to_owned();
            }
            let (observed, verdict) = self.look(op);
            let Some(step) = verdict.steps.first().cloned() else {
                let Report { status, notes } = self.room.report(&observed, &verdict, self.now);
                if let Some(status) = status {
                    self.patch("NodeOp", &key(op), &json!({"status": status}));
                }
                for note in notes {
                    self.taken.push(format!("event {}: {}", note.reason, note.message));
                }
                let then = verdict.then.because();
                return then.map_or_else(
                    || "done".to_owned(),
                    |because| format!("{}: {because}", because.reason.name()),
                );
            };
            self.taken.push(step.to_string());
            match &mut self.killed_at {
                Some((0, fails)) => {
                    if !*fails {
                        // Nobody hears of the answer.
                        let _ = self.apply(&step);
                    }
                    self.killed_at = None;
                    return "killed".to_owned();
                }
                Some((left, _)) => *left -= 1,
                None => {}
            }
            let refused = self.refuses.iter().position(|(words, _)| step.to_string().contains(words));
            let outcome = match refused {
                Some(at) => Err(self.refuses.remove(at).1),
                None => self.apply(&step),
            };
            let recall = Recall { memory: &mut self.memory, shared: &mut self.places };
            let known = match outcome {
                Ok(answer) => self.room.learn(recall, &step, Ok(answer), self.now),
                Err(refusal) => self.room.learn(recall, &step, Err(&refusal), self.now),
            };
            if !known {
                return format!("left to the engine: {step}");
            }
        }
        panic!("no end: {:?}", &self.taken[self.taken.len() - 10..]);
    }

    /// A new process.
    pub(super) fn restart(&mut self) {
        (self.memory, self.places) = (Memory::default(), Places::default());
    }

    pub(super) fn taken(&mut self) -> String {
        std::mem::take(&mut self.taken).join("\n")
    }

    fn apply(&mut self, step: &Step) -> Result<Answer, Refusal> {
        match step {
            Step::Hold { op, .. } => {
                self.patch("NodeOp", &op.key, &json!({"metadata": {"finalizers": [api::kairos::FINALIZER]}}));
            }
            Step::LetGo { op, .. } => {
                self.patch("NodeOp", &op.key, &json!({"metadata": {"finalizers": null}}));
                let gone = self.objects[&("NodeOp".to_owned(), op.key.clone())]["metadata"]["deletionTimestamp"].is_string();
                if gone {
                    self.objects.remove(&("NodeOp".to_owned(), op.key.clone()));
                }
            }
            Step::Write { op, patch, .. } => self.patch("NodeOp", &op.key, &json!({"status": patch})),
            Step::Create { body, .. } | Step::Grant { body, .. } => {
                let mut made = body.clone();
                made["metadata"]["creationTimestamp"] = json!(self.now.to_string());
                self.put(&made.to_string());
            }
            Step::Cordon { node, claim } => self.patch(
                "Node",
                &node.key,
                &json!({"metadata": {"annotations": {observe::CLAIM: claim}}, "spec": {"unschedulable": true}}),
            ),
            Step::Uncordon { node, schedulable } => {
                self.patch("Node", &node.key, &json!({"metadata": {"annotations": {observe::CLAIM: null}}}));
                if *schedulable {
                    self.patch("Node", &node.key, &json!({"spec": {"unschedulable": null}}));
                }
            }
            Step::ReadPods { node } => {
                let on_node = |object: &&Value| object["kind"] == "Pod" && object["spec"]["nodeName"] == **node;
                let pods = self.objects.values().filter(on_node).map(testkit::row).collect();
                let budgets = self.objects.values().filter(|object| object["kind"] == "PodDisruptionBudget");
                return Ok(Answer::Pods { pods, budgets: budgets.map(testkit::row).collect() });
            }
            Step::Remove { removal, .. } => {
                self.objects.remove(&("Pod".to_owned(), removal.pod.clone()));
            }
            Step::Tell { pod, boot_id, .. } => {
                let annotations = json!({api::kairos::REBOOT_FROM_ANNOTATION: boot_id});
                self.patch("Pod", &pod.key, &json!({"metadata": {"annotations": annotations}}));
            }
            Step::Delete { what, object, .. } => {
                let kind = if *what == "Job" { "Job" } else { "Pod" };
                self.objects.remove(&(kind.to_owned(), object.key.clone()));
            }
            Step::ReadBinding { key } => {
                let binding = self.objects.get(&("ClusterRoleBinding".to_owned(), key.clone()));
                let found = binding.map(|found| Answer::Binding(testkit::row::<RebootBindingRow>(found)));
                return found.ok_or(Refusal::NotFound);
            }
            Step::RemoveBinding { binding } => {
                self.objects.remove(&("ClusterRoleBinding".to_owned(), binding.key.clone()));
            }
            Step::ReadRole => {
                let key = ObjectKey::new("", api::kairos::CLUSTER_ROLE);
                let role = self.objects.get(&("ClusterRole".to_owned(), key));
                let found = role.map(|found| Answer::Role(testkit::row::<RebootRoleRow>(found)));
                return found.ok_or(Refusal::NotFound);
            }
            Step::RemoveRole { role } => {
                self.objects.remove(&("ClusterRole".to_owned(), role.key.clone()));
            }
            Step::ReadJob { job, .. } => {
                let there = self.objects.contains_key(&("Job".to_owned(), job.clone()));
                return if there { Ok(Answer::Done) } else { Err(Refusal::NotFound) };
            }
            Step::TryPod { .. } | Step::ReadNode { .. } => {}
        }
        Ok(Answer::Done)
    }

    pub(super) fn patch(&mut self, kind: &str, key: &ObjectKey, patch: &Value) {
        self.version += 1;
        let version = self.version.to_string();
        let object = self.objects.get_mut(&(kind.to_owned(), key.clone())).unwrap();
        merge(object, patch);
        object["metadata"]["resourceVersion"] = json!(version);
    }

    pub(super) fn object(&self, kind: &str, namespace: &str, name: &str) -> &Value {
        &self.objects[&(kind.to_owned(), ObjectKey::new(namespace, name))]
    }

    /// The only object of a kind whose name begins like this.
    pub(super) fn the(&self, kind: &str, prefix: &str) -> ObjectKey {
        let named = |(of, key): &&Id| of == kind && key.name.starts_with(prefix);
        let mut found = self.objects.keys().filter(named);
        let key = found.next().unwrap_or_else(|| panic!("no {kind} {prefix}: {:?}", self.objects.keys()));
        assert!(found.next().is_none(), "several of {kind} {prefix}");
        key.1.clone()
    }

    /// The Job of a node ends.
    pub(super) fn job_ends(&mut self, prefix: &str, condition: &str) {
        let key = self.the("Job", prefix);
        let condition =
            json!([{"type": condition, "status": "True", "reason": "Because", "message": "it is so"}]);
        self.patch("Job", &key, &json!({"status": {"conditions": condition}}));
    }

    /// The pod of a reboot is ready, or ends.
    pub(super) fn pod(&mut self, prefix: &str, status: &Value) {
        let key = self.the("Pod", prefix);
        self.patch("Pod", &key, &json!({"status": status}));
    }

    pub(super) fn node(&mut self, name: &str, boot_id: &str, ready: bool) {
        let ready = if ready { "True" } else { "Unknown" };
        let status =
            json!({"nodeInfo": {"bootID": boot_id}, "conditions": [{"type": "Ready", "status": ready}]});
        self.patch("Node", &ObjectKey::new("", name), &json!({"status": status}));
    }

    pub(super) fn status(&self, op: &str) -> &Value {
        &self.objects[&("NodeOp".to_owned(), key(op))]["status"]
    }

    /// The entry of a node, on one line.
    pub(super) fn entry(&self, op: &str, node: &str) -> String {
        let entry = &self.status(op)["nodeStatuses"][node];
        let field = |name: &str| entry[name].as_str().unwrap_or("-").to_owned();
        format!("{} | {} | {}", field("phase"), field("message"), field("rebootStatus"))
    }

    pub(super) fn is_cordoned(&self, node: &str) -> bool {
        self.object("Node", "", node)["spec"]["unschedulable"] == true
    }
}

/// A NodeOp by its name in `ns`, or as `namespace/name`.
fn key(op: &str) -> ObjectKey {
    let (namespace, name) = op.split_once('/').unwrap_or(("ns", op));
    ObjectKey::new(namespace, name)
}

fn id(object: &Value) -> Id {
    let meta = &object["metadata"];
    let text = |field: &str| meta[field].as_str().unwrap_or_default().to_owned();
    (object["kind"].as_str().unwrap().to_owned(), ObjectKey::new(text("namespace"), text("name")))
}

/// RFC 7386.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (name, value) in fields {
        if value.is_null() {
            target.as_object_mut().unwrap().remove(name);
        } else {
            merge(&mut target[name], value);
        }
    }
}
