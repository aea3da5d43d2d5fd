//! Whole courses of an operation, step by step.

use api::nodes::node::NodeRow;
use domain::object::ObjectKey;
use runtime::answer::Refusal;
use serde_json::json;

use super::super::apply::{Step, recorded};
use super::super::wakes::of_node;
use super::world::World;

const NODES: &str = "
{kind: Node, metadata: {name: node-1}, status: {nodeInfo: {bootID: boot-1}, conditions: [{type: Ready, status: 'True'}]}}
---
{kind: Node, metadata: {name: node-2, labels: {node-role.kubernetes.io/control-plane: ''}}, status: {nodeInfo: {bootID: boot-2}, conditions: [{type: Ready, status: 'True'}]}}
";

fn world(spec: &str) -> World {
    World::new(&format!("{NODES}---\n{{kind: NodeOp, metadata: {{name: op}}, spec: {{{spec}}}}}"))
}

#[test]
fn a_command_runs_on_all_nodes_at_once() {
    let mut world = world("command: [uname]");
    world.pass("op");
    assert_eq!(world.entry("op", "node-1"), "Pending | Job created | not-requested");
    world.job_ends("op-node-1", "Complete");
    world.job_ends("op-node-2", "Complete");
    world.later(3);
    assert_eq!(world.pass("op"), "done");
    assert_eq!(world.entry("op", "node-1"), "Completed | Job completed successfully | not-requested");
    let status = world.status("op");
    assert_eq!((&status["phase"], &status["nodeRecords"]), (&json!("Completed"), &json!(null)));
    assert!(status["finishedAt"].is_string());
    assert_eq!(testkit::conditions(status), "Ready=True/AllNodesDone UpToDate=True/AllNodesDone");
    insta::assert_snapshot!(world.taken());
    world.pass("op");
    assert_eq!(world.taken(), "=> done", "and then it rests");
}

/// The Job of `node-1` has succeeded, and its command has left this message.
fn command_says(world: &mut World, message: &str) {
    let job = world.the("Job", "op-node-1");
    let uid = world.object("Job", "ns", &job.name)["metadata"]["uid"].clone();
    let ended = |message: &str| json!([{"state": {"terminated": {"exitCode": 0, "message": message}}}]);
    let pod = json!({
        "kind": "Pod",
        "metadata": {
            "name": format!("{}-x", job.name), "labels": {"kairos.io/nodeop": "op", "kairos.io/node": "node-1"},
            "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": job.name, "uid": uid, "controller": true}],
        },
        "spec": {"nodeName": "node-1"},
        "status": {
            "phase": "Succeeded", "initContainerStatuses": ended(message),
            "containerStatuses": ended(""),
        },
    });
    world.put(&pod.to_string());
    world.job_ends("op-node-1", "Complete");
}

/// The node was brought to the image in some other way, after its preflight.
#[test]
fn an_upgrade_that_finds_the_node_upgraded_does_not_reboot_it() {
    let script = "# Upgrades this node to the system that this image has.\\nset -eu\\n";
    let spec = format!(
        "command: [sh, -c, \"{script}\"], nodeSelector: {{matchLabels: {{one: ''}}}}, cordon: true, rebootOnSuccess: true"
    );
    let ready = json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]});
    let begun = |spec: &str| {
        let mut world = world(spec);
        world.patch("Node", &ObjectKey::new("", "node-1"), &json!({"metadata": {"labels": {"one": ""}}}));
        world.pass("op");
        world.pod("op-reboot", &ready);
        world.pass("op");
        assert!(world.is_cordoned("node-1"));
        world.taken();
        world
    };
    let mut world = begun(&spec);
    command_says(&mut world, "node is already at v3.5.0\n");
    world.later(6);
    assert_eq!(world.pass("op"), "done");
    insta::assert_snapshot!(world.taken());
    assert_eq!(world.entry("op", "node-1"), "Completed | node is already at v3.5.0 | not-requested");
    assert!(!world.is_cordoned("node-1"));
    assert!(world.objects.keys().all(|(kind, key)| kind != "Pod" || !key.name.starts_with("op-reboot")));
    world.patch(
        "NodeOp",
        &ObjectKey::new("ns", "op"),
        &json!({"metadata": {"deletionTimestamp": "2026-11-21T11:00:00Z", "finalizers": ["x"]}}),
    );
    world.pass("op");
    let kept = world.entry("op", "node-1");
    assert_eq!(kept, "Completed | node is already at v3.5.0 | not-requested", "also while it is deleted");

    // What another command leaves there is its own.
    let mut world = begun(&spec.replace("# Upgrades", "# Updates"));
    command_says(&mut world, "node is already at v3.5.0\n");
    world.later(6);
    world.pass("op");
    assert_eq!(world.entry("op", "node-1"), "Completed | Job completed successfully | pending");
}

#[test]
fn one_node_after_another_is_cordoned_changed_and_rebooted() {
    let mut world = world("command: [upgrade], cordon: true, rebootOnSuccess: true, concurrency: 1");
    world.pass("op");
    world.pod("op-reboot", &json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}));
    world.pass("op");
    assert!(world.is_cordoned("node-2") && !world.is_cordoned("node-1"));
    let job = world.the("Job", "op-node-2");
    world.patch("Job", &job, &json!({"status": {"active": 1}}));
    world.pass("op");
    assert_eq!(world.entry("op", "node-2"), "Running | Job is running | pending");
    world.job_ends("op-node-2", "Complete");
    world.later(6);
    world.pass("op");
    assert_eq!(world.entry("op", "node-2"), "Completed | Job completed successfully | pending");
    let told = world.object("Pod", "ns", &world.the("Pod", "op-reboot").name);
    let time = json!({"name": api::kairos::ORDERLY_REBOOT_ENV, "value": "300"});
    assert_eq!(told["spec"]["containers"][0]["env"][2], time);
    assert_eq!(told["metadata"]["annotations"][api::kairos::REBOOT_FROM_ANNOTATION], "boot-2");
    world.node("node-2", "boot-2", false);
    world.pass("op");
    world.node("node-2", "boot-2b", false);
    world.pass("op");
    world.node("node-2", "boot-2b", true);
    world.pass("op");
    assert!(!world.is_cordoned("node-2"));
    assert_eq!(world.entry("op", "node-2"), "Completed | Job and reboot completed successfully | completed");
    insta::assert_snapshot!(world.taken());
    insta::assert_snapshot!(serde_json::to_string_pretty(world.status("op")).unwrap());
}

#[test]
fn a_job_that_fails_keeps_the_cordon_and_the_finalizer() {
    let mut world = world("command: [upgrade], cordon: true, concurrency: 1, stopOnFailure: true");
    world.pass("op");
    world.job_ends("op-node-2", "Failed");
    world.later(6);
    world.pass("op");
    assert_eq!(world.entry("op", "node-2"), "Failed | Job failed | not-requested");
    assert!(world.is_cordoned("node-2"));
    assert_eq!(world.status("op")["phase"], "Failed");
    assert_eq!(world.status("op")["finishedAt"], json!(null), "another value of stopOnFailure lets it go on");
    // Whoever deletes it has the cordon undone.
    let key = ObjectKey::new("ns", "op");
    world.patch("NodeOp", &key, &json!({"metadata": {"deletionTimestamp": "2026-11-21T10:10:00Z"}}));
    world.pass("op");
    assert!(!world.is_cordoned("node-2"));
    insta::assert_snapshot!(world.taken());
}

#[test]
fn a_drain_names_the_pod_and_the_budget_that_block_it() {
    let mut world = world(
        "command: [upgrade], cordon: true, drainOptions: {enabled: true}, nodeSelector: {matchLabels: {here: 'yes'}}",
    );
    world.put("
kind: Node
metadata: {name: worker, labels: {here: 'yes'}}
status: {nodeInfo: {bootID: b}, conditions: [{type: Ready, status: 'True'}]}
---
kind: Pod
metadata: {name: web-1, namespace: shop, labels: {app: web}, ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: web, uid: u, controller: true}]}
spec: {nodeName: worker}
status: {phase: Running, conditions: [{type: Ready, status: 'True'}]}
---
kind: PodDisruptionBudget
metadata: {name: web, namespace: shop}
spec: {minAvailable: 1, selector: {matchLabels: {app: web}}}
status: {observedGeneration: 1, disruptionsAllowed: 0, currentHealthy: 1, desiredHealthy: 1, expectedPods: 2}");
    world.pass("op");
    assert!(world.is_cordoned("worker"), "the budget may allow it later");
    let budget = ObjectKey::new("shop", "web");
    world.patch("PodDisruptionBudget", &budget, &json!({"status": {"disruptionsAllowed": 1}}));
    world.later(6);
    world.refuses.push((
        "evict",
        runtime::answer::Refusal::Unavailable { message: "429".into(), retry_after: Some(7) },
    ));
    world.pass("op");
    world.later(11);
    world.pass("op");
    world.later(6);
    world.pass("op");
    insta::assert_snapshot!(world.taken());
}

#[test]
fn a_budget_that_can_never_be_met_is_found_before_the_cordon() {
    let mut world = world("command: [upgrade], cordon: true, drainOptions: {enabled: true}");
    world.put("
kind: Pod
metadata: {name: web-1, namespace: shop, labels: {app: web}, ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: web, uid: u, controller: true}]}
spec: {nodeName: node-1}
status: {phase: Running, conditions: [{type: Ready, status: 'True'}]}
---
kind: PodDisruptionBudget
metadata: {name: web, namespace: shop}
spec: {maxUnavailable: 0, selector: {}}
status: {observedGeneration: 1, disruptionsAllowed: 0, currentHealthy: 1, desiredHealthy: 1, expectedPods: 1}");
    world.pass("op");
    assert!(!world.is_cordoned("node-1"));
    assert!(world.is_cordoned("node-2"), "the other node goes its way");
    insta::assert_snapshot!(world.taken());
}

#[test]
fn a_pod_that_comes_back_in_spite_of_the_cordon_is_evicted_once() {
    let mut world = world(
        "command: [upgrade], cordon: true, drainOptions: {enabled: true, ignoreDaemonSets: false}, concurrency: 1",
    );
    let daemon = |name: &str, made: &str| {
        format!("
kind: Pod
metadata: {{name: {name}, namespace: shop, creationTimestamp: '{made}', ownerReferences: [{{apiVersion: apps/v1, kind: DaemonSet, name: logs, uid: u, controller: true}}]}}
spec: {{nodeName: node-2}}
status: {{phase: Running}}")
    };
    world.put(&daemon("logs-1", "2026-11-20T10:00:00Z"));
    world.now += jiff::SignedDuration::from_millis(700);
    world.pass("op");
    assert!(world.taken().contains("evict shop/logs-1"));
    // The DaemonSet puts another one in its place.
    let now = testkit::at(world.now.as_second() - testkit::at(0).as_second()).to_string();
    world.put(&daemon("logs-2", &now));
    world.later(6);
    let said = world.pass("op");
    assert_eq!(said, "JobRunning: node-2: the command runs");
    assert!(!world.taken().contains("evict"));
}

#[test]
fn what_comes_while_a_person_has_uncordoned_the_node_is_evicted() {
    let mut world = world("command: [upgrade], cordon: true, drainOptions: {enabled: true}, concurrency: 1");
    let pod = |name: &str, made: &str, more: &str| {
        format!("
kind: Pod
metadata: {{name: {name}, namespace: shop, creationTimestamp: '{made}', ownerReferences: [{{apiVersion: apps/v1, kind: ReplicaSet, name: web, uid: u, controller: true}}]{more}}}
spec: {{nodeName: node-2}}
status: {{phase: Running}}")
    };
    world.put(&pod("web-1", "2026-11-20T10:00:00Z", ""));
    // It leaves slowly.
    world.put(&pod("web-2", "2026-11-20T10:00:00Z", ", deletionTimestamp: '2026-11-21T12:00:00Z'"));
    world.pass("op");
    assert!(world.taken().contains("evict shop/web-1"));
    world.patch("Node", &ObjectKey::new("", "node-2"), &json!({"spec": {"unschedulable": null}}));
    world.later(6);
    let now = world.now.to_string();
    world.put(&pod("web-3", &now, ""));
    world.pass("op");
    let taken = world.taken();
    assert!(world.is_cordoned("node-2") && taken.contains("evict shop/web-3"), "{taken}");
}

#[test]
fn a_preflight_skips_a_node_without_touching_it() {
    let mut world = world("command: [upgrade], cordon: true, preflight: {command: [check]}, concurrency: 1");
    world.pass("op");
    assert_eq!(world.entry("op", "node-2"), "Preflight | Preflight in progress | -");
    let ended = json!({"phase": "Succeeded", "containerStatuses": [{"state": {"terminated": {"exitCode": 0, "message": "node is already at v3\n"}}}]});
    world.pod("op-preflight", &ended);
    world.later(6);
    world.pass("op");
    assert_eq!(
        world.entry("op", "node-2"),
        "Completed | Skipped by preflight: node is already at v3\n | not-requested"
    );
    assert_eq!(world.entry("op", "node-1"), "Preflight | Preflight in progress | -");
    world.pod("op-preflight", &json!({"phase": "Failed", "reason": "DeadlineExceeded", "containerStatuses": [{"state": {"running": {"startedAt": "2026-11-21T10:00:00Z"}}}]}));
    world.later(6);
    world.pass("op");
    assert_eq!(world.entry("op", "node-1"), "Failed | Preflight failed: DeadlineExceeded | not-requested");
    insta::assert_snapshot!(world.taken());
}

#[test]
fn a_job_that_this_process_has_made_and_that_is_gone_is_not_made_again() {
    let mut world = world("command: [uname]");
    world.pass("op");
    let job = world.the("Job", "op-node-1");
    world.taken();
    world.objects.remove(&("Job".to_owned(), job));
    world.pass("op");
    assert_eq!(world.entry("op", "node-1"), "Failed | Job not found | not-requested");
    let taken = world.taken();
    assert!(!taken.contains("create Job"), "{taken}");
    // Neither is it where the NodeOp is gone as well, which its own watch does not show yet.
    let mut world = self::world("command: [uname]");
    world.pass("op");
    let job = world.the("Job", "op-node-1");
    world.objects.remove(&("Job".to_owned(), job));
    world.refuses.push(("write down", Refusal::NotFound));
    assert_eq!(world.pass("op"), "left to the engine: write down the state of node-1");
}

#[test]
fn places_are_given_to_a_nodeop_that_is_as_it_was_seen() {
    let mut world = world("command: [uname]");
    let (observed, verdict) = world.look("op");
    let Some(Step::TryPod { op, .. }) = verdict.steps.first() else { panic!("{verdict:?}") };
    assert_eq!(observed.op.meta, *op);
    let (gives, writes) = (recorded(op, true, &json!({})), recorded(op, false, &json!({})));
    assert_eq!(gives["metadata"]["resourceVersion"], json!(op.resource_version.to_string()));
    assert_eq!(writes["metadata"], json!({"uid": op.uid}));
}

#[test]
fn a_control_plane_node_that_is_ready_wakes_all_that_may_wait_for_it() {
    let store = testkit::nodes(&format!(
        "{NODES}---\n{{kind: NodeOp, metadata: {{name: op}}, spec: {{command: [a], nodeSelector: {{matchLabels: {{a: b}}}}}}}}"
    ));
    let woken = |name: &str| {
        let key = ObjectKey::new("", name);
        let after = store.snapshot().get::<NodeRow>(&key).cloned().unwrap();
        let before = NodeRow { ready: None, ..after.clone() };
        let [told, gone] =
            [Some(&after), None].map(|after| of_node(store.snapshot(), &key, Some(&before), after));
        assert_eq!(told, gone);
        told
    };
    assert_eq!(woken("node-1"), []);
    assert_eq!(woken("node-2"), [ObjectKey::new("ns", "op")]);
}
