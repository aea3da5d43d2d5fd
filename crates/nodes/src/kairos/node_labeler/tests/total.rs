//! Random clusters, played to their end by what the room says: every node is looked at, ten at a time, and once.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// A node, and what becomes of its Jobs: whether it runs Kairos, how many Jobs fail before one succeeds, and whether the Node is
/// made anew when it was looked at.
#[derive(Clone, Debug)]
struct Plan {
    labels: Option<&'static str>,
    ready: bool,
    kairos: bool,
    failures: u32,
    anew: bool,
    theirs: Option<&'static str>,
}

fn plan() -> impl Strategy<Value = Plan> {
    let labels = prop_oneof![5 => Just(None), 1 => Just(Some("true")), 1 => Just(Some("false"))];
    let theirs = prop_oneof![4 => Just(None), 1 => Just(Some("{}")), 1 => Just(Some(COMPLETE)), 1 => Just(Some(FAILED)), 1 => Just(Some("7"))];
    (labels, prop::bool::weighted(0.9), any::<bool>(), 0_u32..4, prop::bool::weighted(0.2), theirs).prop_map(
        |(labels, ready, kairos, failures, anew, theirs)| Plan {
            labels,
            ready,
            kairos,
            failures,
            anew,
            theirs,
        },
    )
}

struct World {
    store: Store,
    plans: Vec<Plan>,
    version: u64,
    jobs: BTreeMap<String, Value>,
    nodes: BTreeMap<String, Value>,
    /// Names of nodes for whose present Node a Job was made, with how many.
    made: BTreeMap<String, u32>,
    writes: u32,
    daemon_set: Value,
}

fn name(index: usize) -> String {
    format!("n{index:02}")
}

impl World {
    fn new(plans: Vec<Plan>) -> Self {
        let (nodes, jobs) = (BTreeMap::new(), BTreeMap::new());
        let daemon_set = objects(&daemon_set()).remove(0);
        let mut world = Self {
            store: store(""),
            plans,
            version: 10,
            jobs,
            nodes,
            made: BTreeMap::new(),
            writes: 0,
            daemon_set,
        };
        for (index, plan) in world.plans.clone().into_iter().enumerate() {
            let labels = plan.labels.map(|value| json!({"kairos.io/managed": value})).unwrap_or_default();
            let ready = if plan.ready { "True" } else { "False" };
            let node = json!({
                "kind": "Node", "metadata": {"name": name(index), "namespace": "", "labels": labels},
                "status": {"conditions": [{"type": "Ready", "status": ready}]},
            });
            world.nodes.insert(name(index), objects(&node.to_string()).remove(0));
            if let Some(status) = plan.theirs {
                let job = job("", status).replace("labeler-n0", &format!("labeler-{}", name(index)));
                world.jobs.insert(
                    name(index),
                    objects(&job.replace("node: n0", &format!("node: {}", name(index)))).remove(0),
                );
            }
        }
        world.show();
        world
    }

    /// What the watches have shown by now: everything.
    fn show(&mut self) {
        self.store = store("");
        put::<LabelerDaemonSetRow>(&mut self.store, &self.daemon_set);
        for node in self.nodes.values() {
            put::<NodeRow>(&mut self.store, node);
        }
        for job in self.jobs.values() {
            put::<LabelerJobRow>(&mut self.store, job);
        }
    }

    fn take(&mut self, step: &Step) -> Answer {
        self.version += 1;
        self.writes += 1;
        match step {
            Step::CreateJob { node, body } => {
                let name = node.key.name.to_string();
                assert!(!self.jobs.contains_key(&name), "{name} has a Job");
                let mut job = body.clone();
                job["metadata"]["uid"] = format!("uid-job-{}", self.version).into();
                job["metadata"]["resourceVersion"] = self.version.to_string().into();
                *self.made.entry(name.clone()).or_default() += 1;
                self.jobs.insert(name, job);
                Answer::Written
            }
            Step::DeleteJob { job, .. } => {
                self.jobs.retain(|_, present| present["metadata"]["uid"] != *job.uid);
                Answer::Deleted
            }
            other => panic!("the DaemonSet is as it should be: {other}"),
        }
    }

    /// What runs in the cluster does its work.
    fn live(&mut self, now: jiff::Timestamp) {
        for (index, plan) in self.plans.clone().into_iter().enumerate() {
            let name = name(index);
            let Some(job) = self.jobs.get_mut(&name) else { continue };
            if job.get("status").is_some() || job["metadata"]["ownerReferences"].is_null() {
                continue;
            }
            let attempt: u32 = job["metadata"]["annotations"]["operator.kairos.io/labeler-attempt"]
                .as_str()
                .unwrap()
                .parse()
                .unwrap();
            let type_ = if attempt <= plan.failures { "Failed" } else { "Complete" };
            job["status"] =
                json!({"conditions": [{"type": type_, "status": "True", "lastTransitionTime": now}]});
            if type_ == "Complete" && plan.kairos {
                let node = self.nodes.get_mut(&name).unwrap();
                node["metadata"]["labels"] = json!({"kairos.io/managed": "true"});
            }
            if type_ == "Complete" && plan.anew {
                self.plans[index].anew = false;
                let node = self.nodes.get_mut(&name).unwrap();
                node["metadata"]["uid"] = format!("uid-anew-{name}").into();
                node["metadata"]["labels"] = Value::Null;
                self.made.remove(&name);
            }
        }
    }

    fn running(&self) -> usize {
        self.jobs.values().filter(|job| job.get("status").is_none()).count()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn every_node_is_looked_at(plans in prop::collection::vec(plan(), 1..30)) {
        let mut world = World::new(plans);
        let mut memories: BTreeMap<String, Memory> = BTreeMap::new();
        let mut shared = Shared::default();
        let mut quiet = 0;
        for round in 0..64_i64 {
            let seconds = round * 1800;
            let writes = world.writes;
            for index in 0..world.plans.len() {
                let name = name(index);
                let memory = memories.entry(name.clone()).or_default();
                let verdict = look_in(&world.store, (memory, &mut shared), &name, seconds);
                prop_assert!(verdict.steps.len() <= 1);
                if let Some(because) = verdict.then.because() {
                    prop_assert!(!because.to_string().contains('\n'));
                }
                if let Some(step) = verdict.steps.first() {
                    let answer = world.take(step);
                    let recall = Recall { memory, shared: &mut shared };
                    let learned = room().learn(recall, step, Ok(answer), at(seconds));
                    prop_assert!(learned);
                    // A row of a Job that was made is in the store with its answer; a deletion comes by the watch.
                    if matches!(step, Step::CreateJob { .. }) {
                        world.show();
                    }
                }
                let theirs = world.plans.iter().filter(|plan| plan.theirs == Some("{}")).count();
                prop_assert!(world.running() <= decide::PLACES.max(theirs), "{} at a time", world.running());
            }
            world.live(at(seconds));
            world.show();
            quiet = if world.writes == writes { quiet + 1 } else { 0 };
        }
        prop_assert!(quiet > 32, "it comes to rest");
        let looked: BTreeSet<&String> = world.made.keys().collect();
        for (index, plan) in world.plans.iter().enumerate() {
            let name = name(index);
            let told = plan.labels.is_some() || plan.theirs.is_some() || !plan.ready;
            let labelled = world.nodes[&name]["metadata"]["labels"]["kairos.io/managed"] == "true";
            prop_assert!(told || looked.contains(&name), "{name} was not looked at");
            prop_assert!(told || labelled == plan.kairos, "{name}");
            let most = if told { 5 } else { plan.failures + 1 };
            prop_assert!(world.made.get(&name).is_none_or(|made| *made <= most), "{name}: {:?}", world.made.get(&name));
        }
    }
}
