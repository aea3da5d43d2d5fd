//! What kairos-operator leaves in the middle of an upgrade is taken over.

use domain::object::ObjectKey;
use runtime::answer::Refusal;
use serde_json::json;

use super::world::World;

fn left(name: &str) -> World {
    let path = format!("{}/../api/fixtures/kairos/upstream-v0.1.3/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    World::new(&std::fs::read_to_string(path).unwrap())
}

const UPGRADE: &str = "upgrades/os-v3-7-0";

/// Its reboot pod annotated itself before the reboot: that proves nothing yet.
#[test]
fn an_upgrade_whose_second_node_is_about_to_reboot_goes_on() {
    let mut world = left("second-node-reboots");
    let boot_id = |world: &World, node: &str| {
        let id = &world.object("Node", "", node)["status"]["nodeInfo"]["bootID"];
        id.as_str().unwrap().to_owned()
    };
    let before = boot_id(&world, "node-2");
    let first = world.entry(UPGRADE, "node-1");
    world.pass(UPGRADE);
    assert_eq!(world.entry(UPGRADE, "node-2"), "Completed | Job completed successfully | pending");
    assert!(world.is_cordoned("node-2"), "it has not rebooted yet");
    world.restart();
    world.later(20);
    world.pass(UPGRADE);
    world.node("node-2", &format!("{before}-again"), false);
    world.later(20);
    world.pass(UPGRADE);
    assert!(world.is_cordoned("node-2"), "it is not Ready yet");
    world.node("node-2", &format!("{before}-again"), true);
    world.later(20);
    world.pass(UPGRADE);
    assert!(!world.is_cordoned("node-2"));
    assert_eq!(
        world.entry(UPGRADE, "node-2"),
        "Completed | Job and reboot completed successfully | completed"
    );
    assert_eq!(world.entry(UPGRADE, "node-1"), first, "what was done is left as it is");
    assert!(world.status(UPGRADE)["nodeRecords"]["node-3"].is_object(), "and the third one has its turn");
    insta::assert_snapshot!(world.taken());
    let jobs = world.objects.keys().filter(|(kind, _)| kind == "Job").count();
    assert_eq!(jobs, 2, "no Job is made again");
}

#[test]
fn its_binding_goes_when_its_last_reboot_pod_has_ended() {
    let mut world = left("second-node-reboots");
    let op = ObjectKey::new("upgrades", "os-v3-7-0");
    world.pass(UPGRADE);
    world.patch("NodeOp", &op, &json!({"metadata": {"deletionTimestamp": "2026-08-10T09:20:00Z"}}));
    world.taken();
    assert_eq!(world.pass(UPGRADE), "gone");
    insta::assert_snapshot!(world.taken());
    assert!(!world.is_cordoned("node-2"), "its cordon goes with it");
    assert!(world.objects.keys().all(|(kind, _)| kind != "ClusterRoleBinding"));
}

/// Deletes the NodeOp, and tells whether the original's role is still there after that.
fn role_stays(world: &mut World) -> bool {
    let op = ObjectKey::new("upgrades", "os-v3-7-0");
    world.patch("NodeOp", &op, &json!({"metadata": {"deletionTimestamp": "2026-08-10T09:20:00Z"}}));
    assert_eq!(world.pass(UPGRADE), "gone");
    world.objects.keys().any(|(kind, _)| kind == "ClusterRole")
}

#[test]
fn its_role_goes_with_the_last_that_may_need_it() {
    let mut world = left("second-node-reboots");
    assert!(!role_stays(&mut world));

    let other = "{kind: NodeOp, metadata: {name: other, finalizers: [nodeop-reboot.kairos.io/clusterrolebinding]}, spec: {command: [x], rebootOnSuccess: true, nodeSelector: {matchLabels: {none: here}}}}";
    let mut world = left("second-node-reboots");
    world.put(other);
    assert!(role_stays(&mut world), "the other may have a binding");
    world.later(60);
    world.pass("other");
    assert!(world.objects.keys().all(|(kind, _)| kind != "ClusterRole"));

    // Of a NodeOp whose finalizer somebody has removed.
    let pod = "{kind: Pod, metadata: {name: p, namespace: elsewhere, labels: {kairos.io/nodeop: gone, kairos.io/reboot: 'true'}}, spec: {nodeName: far, volumes: [{name: sentinel-volume}]}, status: {phase: Running}}";
    let mut world = left("second-node-reboots");
    world.put(pod);
    assert!(role_stays(&mut world), "a reboot pod waits for its right to say that it reboots");
    let mut world = left("second-node-reboots");
    world.put(&pod.replace("Running", "Succeeded"));
    assert!(!role_stays(&mut world));
}

#[test]
fn a_role_that_is_not_the_originals_or_cannot_be_deleted_holds_nobody_up() {
    let key = ObjectKey::new("", "nodeop-reboot");
    let mut world = left("second-node-reboots");
    let rules = json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["*"]}]);
    world.patch("ClusterRole", &key, &json!({"rules": rules}));
    assert!(role_stays(&mut world));
    for words in ["look for ClusterRole nodeop", "delete ClusterRole nodeop"] {
        let mut world = left("second-node-reboots");
        world.refuses.push((words, Refusal::Forbidden("clusterroles cannot".into())));
        assert!(role_stays(&mut world), "{words}");
        assert!(world.refuses.is_empty(), "{words}");
    }
    let mut world = left("second-node-reboots");
    world.objects.retain(|(kind, _), _| kind != "ClusterRole");
    assert!(!role_stays(&mut world));
}

/// v0.1.3 calls it completed as soon as all that have started are.
#[test]
fn completed_between_two_nodes_is_not_the_end() {
    let mut world = left("between-two-nodes");
    let op = world.the("NodeOp", "");
    let name = format!("{}/{}", op.namespace, op.name);
    world.pass(&name);
    insta::assert_snapshot!(world.taken());
    assert_eq!(world.status(&name)["phase"], "Running");
}

/// Every state that it can leave a node in has a way out, and no command is run again.
#[test]
fn every_entry_is_understood() {
    let mut world = left("every-phase-and-message");
    let nodes = world.status("upgrades/all-at-once")["nodeStatuses"].as_object().unwrap().clone();
    for name in nodes.keys() {
        world.put(&format!(
            "{{kind: Node, metadata: {{name: {name}}}, status: {{nodeInfo: {{bootID: b}}, conditions: [{{type: Ready, status: 'True'}}]}}}}"
        ));
    }
    world.pass("upgrades/all-at-once");
    let entries: Vec<String> =
        nodes.keys().map(|name| format!("{name}: {:?}", world.entry("upgrades/all-at-once", name))).collect();
    insta::assert_snapshot!(format!("{}\n\n{}", world.taken(), entries.join("\n")));
}
