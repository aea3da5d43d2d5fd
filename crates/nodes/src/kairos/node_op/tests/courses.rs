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
