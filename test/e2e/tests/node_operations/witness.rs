//! What the API server's audit log says of an operation: nothing that the manager says of itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use api::kairos::node_op;
use controlplane::AuditEvent;
use e2e::{Installed, Objects, name};
use futures::StreamExt as _;
use kube::Api;
use kube::core::{ApiResource, DynamicObject};
use kube::runtime::watcher;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

pub(crate) const NAMESPACE: &str = "default";
const NODE: domain::object::Kind = api::nodes::node::KIND;

/// Nodes named `<prefix>-<n>`, the first `control_planes` of them of the control plane, and awaits that kwok has made them Ready.
pub(crate) async fn nodes(world: &Installed, prefix: &str, count: usize, control_planes: usize) {
    let mut yaml = String::new();
    for number in 0..count {
        let mut labels = json!({"fleet": prefix, "kubernetes.io/os": "linux"});
        if number < control_planes {
            // Their names are the last ones.
            labels["node-role.kubernetes.io/control-plane"] = json!("");
        }
        let name = node_name(prefix, number, control_planes);
        let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}});
        writeln!(yaml, "---\n{node}").unwrap();
    }
    world.plane().apply_yaml(&yaml).await.unwrap();
    world
        .objects()
        .await_that("all nodes are Ready", "", e2e::ROLLED_WITHIN, async || {
            let nodes = world.objects().list(&NODE, "").await?;
            let ready =
                nodes.iter().filter(|node| node["metadata"]["labels"]["fleet"] == prefix).filter(|node| {
                    let conditions = node["status"]["conditions"].as_array().cloned().unwrap_or_default();
                    conditions.iter().any(|of| of["type"] == "Ready" && of["status"] == "True")
                });
            Ok((ready.count() == count).then_some(()))
        })
        .await
        .unwrap();
}

/// Control-plane nodes come last by name.
pub(crate) fn node_name(prefix: &str, number: usize, control_planes: usize) -> String {
    let kind = if number < control_planes { "z-cp" } else { "worker" };
    format!("{prefix}-{kind}-{number:04}")
}

/// A NodeOp of the nodes of a fleet.
pub(crate) async fn operation(world: &Installed, name: &str, fleet: &str, spec: &Value) -> Value {
    let mut object = json!({
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"nodeSelector": {"matchLabels": {"fleet": fleet}}},
    });
    for (field, value) in spec.as_object().unwrap() {
        object["spec"][field] = value.clone();
    }
    world.objects().create(&node_op::KIND, NAMESPACE, &object).await.unwrap()
}

/// Awaits that a NodeOp has ended, and gives it.
pub(crate) async fn ended(objects: &Objects, name: &str) -> Value {
    let op = (&node_op::KIND, NAMESPACE, name);
    objects
        .await_object("the operation has ended", op, e2e::ROLLED_WITHIN, |op| {
            op["status"]["finishedAt"].is_string()
        })
        .await
        .unwrap()
}

/// Nodes of a fleet that are cordoned.
pub(crate) async fn cordoned(objects: &Objects) -> Vec<String> {
    let nodes = objects.list(&NODE, "").await.unwrap();
    nodes
        .iter()
        .filter(|node| node["spec"]["unschedulable"] == true)
        .map(|node| name(node).to_owned())
        .collect()
}

/// The writes of one user to Nodes that were done, in their order: the first to a node cordons it, the second undoes that.
pub(crate) struct Course {
    /// Node by node, when each was written.
    pub(crate) writes: BTreeMap<String, Vec<String>>,
    /// How many were cordoned at a time, at most.
    pub(crate) most: usize,
    /// The nodes in the order of their cordons.
    pub(crate) order: Vec<String>,
}

impl Course {
    pub(crate) fn of(events: &[AuditEvent], user: &str) -> Self {
        let patches = events.iter().filter(|event| {
            event.user == user && event.resource == "nodes" && event.verb == "patch" && event.code < 300
        });
        let mut patches: Vec<&AuditEvent> = patches.collect();
        patches.sort_by(|one, other| one.received.cmp(&other.received));
        let mut course = Self { writes: BTreeMap::new(), most: 0, order: Vec::new() };
        let mut open = 0_usize;
        for event in patches {
            let writes = course.writes.entry(event.name.clone()).or_default();
            writes.push(event.received.clone());
            if writes.len() % 2 == 1 {
                open += 1;
                course.order.push(event.name.clone());
            } else {
                open -= 1;
            }
            course.most = course.most.max(open);
        }
        course
    }
}

/// Counts cordoned nodes as they change, by a watch. Where processes are killed the audit log does not tell what became of a
/// request that nobody waited for.
pub(crate) struct Cordons {
    most: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Cordons {
    pub(crate) fn watch(world: &Installed) -> Self {
        let most = Arc::new(AtomicUsize::new(0));
        let (counted, client) = (most.clone(), world.objects().client().clone());
        let resource = ApiResource {
            group: String::new(),
            version: "v1".to_owned(),
            api_version: "v1".to_owned(),
            kind: NODE.kind.to_owned(),
            plural: NODE.plural.to_owned(),
        };
        let task = tokio::spawn(async move {
            let nodes: Api<DynamicObject> = Api::all_with(client, &resource);
            let mut events = watcher(nodes, watcher::Config::default()).boxed();
            let mut cordoned = BTreeSet::new();
            while let Some(event) = events.next().await {
                if let Ok(watcher::Event::Apply(node) | watcher::Event::InitApply(node)) = event {
                    let name = node.metadata.name.unwrap_or_default();
                    if node.data["spec"]["unschedulable"] == true {
                        cordoned.insert(name);
                    } else {
                        cordoned.remove(&name);
                    }
                    counted.fetch_max(cordoned.len(), Ordering::Relaxed);
                }
            }
        });
        Self { most, task }
    }

    /// How many there were at a time, at most.
    pub(crate) fn most(self) -> usize {
        self.task.abort();
        self.most.load(Ordering::Relaxed)
    }
}

/// Jobs that were made, by the audit log: also those that are gone.
pub(crate) fn jobs_made(events: &[AuditEvent], user: &str) -> usize {
    let made = |event: &&AuditEvent| {
        let made = event.verb == "create" && event.code == 201 && !event.is_dry_run();
        event.user == user && event.resource == "jobs" && made
    };
    events.iter().filter(made).count()
}
