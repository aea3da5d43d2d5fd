//! Whole courses of an operation, step by step.

use domain::object::ObjectKey;
use serde_json::json;

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
