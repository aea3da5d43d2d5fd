//! A world of a seed in which operations are run on nodes: a few Nodes with workloads and budgets, NodeOps with whatever
//! options, and what people and machines do meanwhile. In some of them kairos-operator has left an upgrade in the middle.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use api::kairos::{CONTROL_PLANE_LABELS, DEFAULT_BACKOFF_LIMIT};
use jiff::Timestamp;
use manager::family::Family;
use nodes::kairos::Settings;
use serde_json::{Value, json};

use super::node_hands::{self, Known, More};
use super::worlds::{Case, Moment, later};
use crate::faults::dice::Dice;
use crate::invariants::nodes::Given;
use crate::scenario::{Happening, Refusing, Scenario, Target};
use crate::world::nodes::{Checked, Fate, Habits, NO_IMAGE, Soon};

pub(super) const NAMESPACE: &str = "operator-system";
/// Where workloads are.
pub(super) const SHOP: &str = "shop";

/// As kairos-operator v0.1.3 leaves an upgrade of three nodes.
const UPSTREAM: [(&str, &str); 2] = [
    (
        "second-node-reboots",
        include_str!("../../../api/fixtures/kairos/upstream-v0.1.3/second-node-reboots.yaml"),
    ),
    (
        "between-two-nodes",
        include_str!("../../../api/fixtures/kairos/upstream-v0.1.3/between-two-nodes.yaml"),
    ),
];
/// When they were left: 2026-08-10T09:13:00Z.
const LEFT_AT: i64 = 1_786_353_180;

/// What there is beside objects.
pub(crate) struct OfNodes {
    pub(crate) habits: Habits,
    /// What happens to machines.
    pub(crate) moments: Vec<(Timestamp, Soon)>,
    one_control_plane_at_a_time: bool,
    /// Nodes are labelled.
    pub(super) labeler: bool,
}

/// How long a node has to come back.
const REBOOT_TIMEOUT: Duration = Duration::from_mins(10);

impl OfNodes {
    /// What the environment of the controllers says.
    pub(super) fn settings(&self) -> Settings {
        Settings {
            namespace: NAMESPACE.into(),
            pod: None,
            operator_image: "operator:v1".into(),
            default_image: "busybox:latest".into(),
            labeler_image: "labeler:v1".into(),
            one_control_plane_at_a_time: self.one_control_plane_at_a_time,
            drain_timeout: None,
            reboot_timeout: REBOOT_TIMEOUT,
            orderly_reboot_timeout: Duration::from_secs(300),
        }
    }

    /// The same for whoever holds them to it.
    pub(crate) fn given(&self) -> Given {
        Given {
            one_control_plane_at_a_time: self.one_control_plane_at_a_time,
            reboot_timeout: REBOOT_TIMEOUT,
            labeler: self.labeler,
        }
    }
}

/// The world of a seed, of whose troubles only those stay that are named, if any are.
pub(crate) fn of(seed: u64, only: Option<&BTreeSet<usize>>) -> Case {
    let mut dice = Dice::new(seed, 0x000D_E0D5);
    let elected = dice.happens(125);
    let minutes = if elected { dice.within(10, 30) } else { dice.within(15, 90) };
    let mut scenario = Scenario {
        seed,
        entries: 0,
        until: Duration::from_secs(60 * minutes),
        cluster_api: false,
        family: Family::Nodes,
        ..Scenario::default()
    };
    let mut draft = Draft {
        dice,
        minutes,
        nodes: Vec::new(),
        ops: Vec::new(),
        specs: BTreeMap::new(),
        start: scenario.start,
    };
    let mut habits = Habits { seed, ..Habits::default() };
    let mut upstream = None;
    if draft.dice.happens(120) {
        let of = draft.dice.count(0, UPSTREAM.len());
        upstream = Some(UPSTREAM[of].0);
        scenario.start = Timestamp::from_second(LEFT_AT).unwrap_or(scenario.start);
        draft.start = scenario.start;
        scenario.objects = draft.left(of);
    } else {
        scenario.objects = draft.nodes();
    }
    draft.workloads(&mut scenario.objects);
    let ops = if upstream.is_some() { draft.dice.count(0, 2) } else { draft.dice.count(1, 4) };
    let mut created = Vec::new();
    for number in 0..ops {
        let op = draft.op(number);
        if draft.dice.happens(500) {
            scenario.objects.push(op);
        } else {
            let at = draft.dice.within(0, minutes * 2 / 3);
            created.push((later(scenario.start, at), "user".into(), Happening::Create(op)));
        }
    }
    scenario.events.extend(created);
    draft.habits(&mut habits);
    let one_control_plane_at_a_time = draft.dice.happens(700);
    let mut of_nodes = OfNodes { habits, moments: Vec::new(), one_control_plane_at_a_time, labeler: false };
    let mut troubles = Vec::new();
    let several = draft.dice.count(0, 6);
    let mut all: Vec<Trouble> = (0..several).map(|_| draft.trouble()).collect();
    let known = Known {
        minutes,
        nodes: &draft.nodes,
        ops: &draft.ops,
        specs: &draft.specs,
        upstream: upstream.is_some(),
    };
    let more = node_hands::of(seed, &known, &mut scenario.objects, &mut of_nodes.habits);
    if let Some(More { upgrades, labeler, troubles }) = more {
        of_nodes.labeler = labeler;
        for (at, upgrade) in upgrades {
            if at == 0 {
                scenario.objects.push(upgrade);
            } else {
                let create = Happening::Create(upgrade);
                scenario.events.push((later(scenario.start, at), "user".into(), create));
            }
        }
        all.extend(troubles.into_iter().map(|(what, moments, on_nodes)| (what, moments, on_nodes, None)));
    }
    for (place, (what, moments, on_nodes, lost)) in all.into_iter().enumerate() {
        if only.is_some_and(|only| !only.contains(&place)) {
            continue;
        }
        troubles.push(format!("{place}: {what}"));
        for (at, actor, happening) in moments {
            scenario.events.push((later(scenario.start, at), actor.into(), happening));
        }
        let moments = on_nodes.into_iter().map(|(at, soon)| (later(scenario.start, at), soon));
        of_nodes.moments.extend(moments);
        of_nodes.habits.lost.extend(lost);
    }
    let eventful = Duration::from_secs(60 * minutes);
    Case { scenario, troubles, eventful, elected, losing: 0, nodes: Some(of_nodes) }
}

struct Draft {
    dice: Dice,
    minutes: u64,
    nodes: Vec<String>,
    ops: Vec<(String, &'static str)>,
    /// Of the NodeOps, by name.
    specs: BTreeMap<String, Value>,
    start: Timestamp,
}

/// What happens to machines.
pub(super) type OnMachines = Vec<(u64, Soon)>;

/// Something that happens: in words, in moments of objects and of machines, and a node that does not come back.
type Trouble = (String, Vec<Moment>, OnMachines, Option<Box<str>>);

impl Draft {
    fn nodes(&mut self) -> Vec<Value> {
        let count = self.dice.count(1, 7);
        let planes = self.dice.count(0, 4).min(count);
        let mut objects = Vec::new();
        for number in 0..count {
            let name = format!("node-{number}");
            objects.push(self.node(&name, number < planes));
            self.nodes.push(name);
        }
        objects
    }

    fn node(&mut self, name: &str, plane: bool) -> Value {
        let mut labels = json!({"kubernetes.io/hostname": name, "zone": self.dice.one_of("a", &["b"])});
        if plane {
            labels[CONTROL_PLANE_LABELS[0]] = json!("");
        }
        let mut spec = json!({});
        if self.dice.happens(60) {
            spec["unschedulable"] = json!(true);
        }
        let status = json!({"conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]});
        let created = format!("{:.0}", self.start);
        json!({"apiVersion": "v1", "kind": "Node",
            "metadata": {"name": name, "labels": labels, "creationTimestamp": created}, "spec": spec, "status": status})
    }

    /// What another controller has left.
    fn left(&mut self, of: usize) -> Vec<Value> {
        let (name, text) = UPSTREAM[of];
        let read = Scenario::read([(name, text)]).map(|scenario| scenario.objects).unwrap_or_default();
        for object in &read {
            let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            match object["kind"].as_str() {
                Some("Node") => self.nodes.push(name),
                Some("NodeOp") => self.ops.push((name, "upgrades")),
                _ => {}
            }
        }
        read
    }

    /// Workloads, with budgets over some of them.
    fn workloads(&mut self, objects: &mut Vec<Value>) {
        for number in 0..self.dice.within(0, 4) {
            let name = format!("app-{number}");
            let replicas = self.dice.within(1, 5);
            let labels = json!({"app": name});
            let mut pod = json!({"containers": [{"name": "app", "image": "app:v1"}],
                "terminationGracePeriodSeconds": self.dice.one_of(30, &[5, 120])});
            if self.dice.happens(80) {
                pod["volumes"] = json!([{"name": "data", "emptyDir": {}}]);
            }
            let template = json!({"metadata": {"labels": labels}, "spec": pod});
            objects.push(json!({
                "apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": name, "namespace": SHOP},
                "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template},
            }));
            let budgets = match self.dice.within(0, 20) {
                0..=9 => 0,
                10..=18 => 1,
                _ => 2,
            };
            for copy in 0..budgets {
                let bound = match self.dice.within(0, 10) {
                    0 => json!({"maxUnavailable": 0}),
                    1 => json!({"minAvailable": replicas}),
                    2..=4 => json!({"minAvailable": "50%"}),
                    5 | 6 => json!({"minAvailable": replicas.saturating_sub(1)}),
                    _ => json!({"maxUnavailable": 1}),
                };
                let mut spec = bound;
                spec["selector"] = json!({"matchLabels": labels});
                if self.dice.happens(200) {
                    spec["unhealthyPodEvictionPolicy"] = json!("AlwaysAllow");
                }
                objects.push(json!({
                    "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
                    "metadata": {"name": format!("{name}-{copy}"), "namespace": SHOP}, "spec": spec,
                }));
            }
        }
        let bare = self.dice.happens(150);
        let daemons = self.dice.happens(400);
        for node in self.nodes.clone() {
            let spec = json!({"nodeName": node, "containers": [{"name": "app", "image": "app:v1"}]});
            let meta = json!({"namespace": SHOP, "labels": {"app": "other"}});
            let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec});
            if daemons {
                pod["metadata"]["name"] = json!(format!("daemon-{node}"));
                pod["metadata"]["ownerReferences"] = json!([{"apiVersion": "apps/v1", "kind": "DaemonSet",
                    "name": "daemon", "uid": "daemon", "controller": true}]);
                objects.push(pod.clone());
            }
            if bare && self.dice.happens(300) {
                pod["metadata"]["name"] = json!(format!("bare-{node}"));
                if let Some(meta) = pod["metadata"].as_object_mut() {
                    meta.remove("ownerReferences");
                }
                objects.push(pod);
            }
        }
        let meta = json!({"name": "daemon", "namespace": SHOP, "uid": "daemon"});
        objects.push(json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": meta, "spec": {}}));
    }

    fn op(&mut self, number: usize) -> Value {
        let name = format!("op-{number}");
        let mut spec = json!({"command": ["/bin/true"]});
        let cordon = self.dice.happens(700);
        spec["cordon"] = json!(cordon);
        if self.dice.happens(650) {
            let mut drain = json!({"enabled": true, "force": self.dice.happens(300),
                "deleteEmptyDirData": self.dice.happens(500)});
            if self.dice.happens(300) {
                drain["timeoutSeconds"] = json!(self.dice.within(30, 600));
            }
            if self.dice.happens(200) {
                drain["gracePeriodSeconds"] = json!(self.dice.within(0, 20));
            }
            spec["drainOptions"] = drain;
        }
        spec["rebootOnSuccess"] = json!(self.dice.happens(550));
        spec["concurrency"] = json!(self.dice.one_of(1, &[0, 1, 2, 3]));
        spec["stopOnFailure"] = json!(self.dice.happens(300));
        spec["uncordonOnFailure"] = json!(self.dice.happens(300));
        spec["backoffLimit"] = json!(self.dice.one_of(0, &[1, 2, DEFAULT_BACKOFF_LIMIT]));
        match self.dice.within(0, 10) {
            0 | 1 => spec["nodeSelector"] = json!({"matchLabels": {"zone": "a"}}),
            2 => spec["nodeSelector"] = json!({"matchLabels": {"zone": "nowhere"}}),
            3 => spec["nodeSelector"] = json!({"matchLabels": {"kubernetes.io/hostname": "node-0"}}),
            _ => {}
        }
        if self.dice.happens(60) {
            spec["image"] = json!(format!("registry.example.org/{NO_IMAGE}"));
        } else if self.dice.happens(350) {
            spec["preflight"] =
                json!({"command": ["/bin/true"], "activeDeadlineSeconds": self.dice.one_of(30, &[120])});
        }
        self.ops.push((name.clone(), NAMESPACE));
        self.specs.insert(name.clone(), spec.clone());
        json!({"apiVersion": "operator.kairos.io/v1alpha1", "kind": "NodeOp",
            "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec})
    }

    fn habits(&mut self, habits: &mut Habits) {
        habits.command = self.dice.one_of(5, &[30, 120, 400]);
        habits.reboot = self.dice.one_of(20, &[60, 200]);
        for node in &self.nodes {
            let fate = match self.dice.within(0, 12) {
                0 => Fate::Never,
                1 | 2 => Fate::After(u32::try_from(self.dice.within(1, 4)).unwrap_or(1)),
                _ => Fate::Well,
            };
            let checked = match self.dice.within(0, 10) {
                0 => Checked::Fails,
                1 | 2 => Checked::Skips,
                _ => Checked::Passes,
            };
            habits.commands.insert(node.as_str().into(), fate);
            habits.preflights.insert(node.as_str().into(), checked);
        }
    }

    /// Something that people or machines do: in words, in moments of objects and of machines, and nodes that do not come back.
    fn trouble(&mut self) -> Trouble {
        let begins = self.dice.within(0, self.minutes);
        let ends = self.dice.within(begins, self.minutes).max(begins + 1);
        let node = self.nodes.get(self.dice.count(0, self.nodes.len())).cloned().unwrap_or_default();
        let (op, namespace) = self
            .ops
            .get(self.dice.count(0, self.ops.len()))
            .cloned()
            .unwrap_or_else(|| ("op-0".to_owned(), NAMESPACE));
        let target = |kind: &str, namespace: &str, name: &str| Target {
            kind: kind.into(),
            namespace: namespace.into(),
            name: name.into(),
        };
        let cordon = |cordon: Option<bool>| Happening::Merge {
            target: target("Node", "", &node),
            patch: json!({"spec": {"unschedulable": cordon}}),
        };
        let seconds = i64::try_from(self.dice.within(5, 300)).unwrap_or(60);
        let down = |node: &str| Soon::Down(node.into(), seconds);
        match self.dice.within(0, 14) {
            0..=2 => (format!("{node} reboots by itself"), Vec::new(), vec![(begins, down(&node))], None),
            3 => (
                format!("{node} goes down and does not come back"),
                Vec::new(),
                vec![(begins, down(&node))],
                Some(node.as_str().into()),
            ),
            4 => {
                let gone = Happening::Delete(target("Node", "", &node));
                (format!("{node} vanishes"), vec![(begins, "user", gone)], Vec::new(), None)
            }
            5 => {
                let gone = Happening::Delete(target("Node", "", &node));
                let again = Happening::Create(self.node(&node, false));
                let moments = vec![(begins, "user", gone), (ends, "user", again)];
                (format!("{node} is another machine"), moments, Vec::new(), None)
            }
            6 | 7 => {
                let mut moments = vec![(begins, "user", cordon(Some(true)))];
                if self.dice.happens(700) {
                    moments.push((ends, "user", cordon(None)));
                }
                (format!("somebody cordons {node}"), moments, Vec::new(), None)
            }
            8 => (
                format!("somebody makes {node} schedulable"),
                vec![(begins, "user", cordon(None))],
                Vec::new(),
                None,
            ),
            9..=11 => {
                let gone = Happening::Delete(target("NodeOp", namespace, &op));
                (format!("NodeOp {op} is deleted"), vec![(begins, "user", gone)], Vec::new(), None)
            }
            12 => {
                let kind = self.dice.one_of("Job", &["Pod", "Node", "NodeOp"]);
                let refusing = Refusing {
                    webhook: "freeze.example.org".into(),
                    kind: kind.into(),
                    namespace: None,
                    name: None,
                    message: "frozen".into(),
                    until: later(self.start, ends),
                };
                let refuse = Happening::Refuse(refusing);
                (format!("writes to {kind} are refused"), vec![(begins, "user", refuse)], Vec::new(), None)
            }
            _ => {
                let patch = json!({"spec": {"replicas": self.dice.within(0, 6)}});
                let merge = Happening::Merge { target: target("ReplicaSet", SHOP, "app-0"), patch };
                ("a workload is scaled".to_owned(), vec![(begins, "user", merge)], Vec::new(), None)
            }
        }
    }
}
