//! What nothing can be done with says so on its own NodeOp, and touches no node.

use domain::object::ObjectKey;
use runtime::answer::Refusal;
use serde_json::json;

use super::world::World;

const NODE: &str = "
{kind: Node, metadata: {name: node-1}, status: {nodeInfo: {bootID: boot-1}, conditions: [{type: Ready, status: 'True'}]}}
";

fn world(spec: &str) -> World {
    World::new(&format!("{NODE}---\n{{kind: NodeOp, metadata: {{name: op}}, spec: {{{spec}}}}}"))
}

/// How often a step was taken since the last look.
fn times(world: &mut World, step: &str) -> usize {
    world.taken().lines().filter(|line| line.starts_with(step)).count()
}

fn untouched(world: &World) {
    assert_eq!(world.object("Node", "", "node-1")["spec"], json!(null));
    assert!(
        world.objects.keys().all(|(kind, _)| kind == "Node" || kind == "NodeOp"),
        "{:?}",
        world.objects.keys()
    );
}

#[test]
fn an_empty_command_and_a_selector_that_does_not_parse() {
    for (spec, said) in [
        ("command: []", "Malformed: spec.command is empty: it must name a program"),
        (
            "command: [a], cordon: true, nodeSelector: {matchExpressions: [{key: a, operator: Has}]}",
            "InvalidSelector: spec.nodeSelector: \"Has\" on a is none of In, NotIn, Exists, DoesNotExist",
        ),
    ] {
        let mut world = world(spec);
        assert_eq!(world.pass("op"), said);
        untouched(&world);
        let conditions = testkit::conditions(world.status("op"));
        assert!(conditions.contains("Ready=False") && conditions.contains("Stalled=True"), "{conditions}");
        world.taken();
        world.pass("op");
        assert_eq!(world.taken().lines().count(), 1, "and then it rests");
    }
}

#[test]
fn a_selector_that_matches_nothing_ends_after_a_while() {
    let mut world = world("command: [a], nodeSelector: {matchLabels: {no: 'such'}}");
    world.now = testkit::at(5);
    assert_eq!(world.pass("op"), "AwaitingNodes: no node is selected yet");
    world.now = testkit::at(31);
    assert_eq!(world.pass("op"), "done");
    assert_eq!(world.status("op")["phase"], "Completed");
    assert_eq!(
        testkit::conditions(world.status("op")),
        "Ready=True/NoNodeSelected UpToDate=True/NoNodeSelected"
    );
    // A node that matches later is none of its nodes.
    world.put("{kind: Node, metadata: {name: late, labels: {no: such}}, status: {}}");
    world.taken();
    world.pass("op");
    assert_eq!(world.taken(), "=> done");
}

#[test]
fn a_namespace_that_forbids_privileged_pods_is_found_before_the_first_node() {
    let mut world = world("command: [a], cordon: true, rebootOnSuccess: true");
    let words = "pods \"x\" is forbidden: violates PodSecurity \"restricted:latest\": privileged";
    world.refuses.push(("try whether", Refusal::Forbidden(words.into())));
    let said = world.pass("op");
    assert!(
        said.starts_with("PodsRefused: cannot try whether the pods are admitted: pods \"x\" is forbidden"),
        "{said}"
    );
    untouched(&world);
    world.later(20);
    world.taken();
    world.pass("op");
    assert_eq!(world.taken().lines().count(), 1, "it is not asked again at once");
    world.later(11);
    world.pass("op");
    assert!(world.is_cordoned("node-1") || world.taken().contains("create reboot pod"), "then it goes on");
}

#[test]
fn a_refusal_that_lasts_is_tried_less_often_and_written_once() {
    let mut world = world("command: [a], cordon: true");
    let words = "jobs.batch \"x\" is forbidden: exceeded quota: q, requested: count/jobs.batch=1";
    for _ in 0..4 {
        world.refuses.push(("try whether", Refusal::Forbidden(words.into())));
    }
    world.pass("op");
    let said = world.status("op").clone();
    let mut tried = Vec::new();
    for second in 1..400 {
        world.taken();
        world.later(1);
        world.pass("op");
        if times(&mut world, "try whether") > 0 {
            tried.push(second);
        }
        if tried.len() == 3 {
            assert_eq!(*world.status("op"), said, "and nothing is written about it");
        }
    }
    assert_eq!(tried, [30, 90, 210, 330], "after 30 s, 1 min, 2 min");
}

#[test]
fn what_gives_reboot_pods_their_rights_is_not_asked_for_again_and_again() {
    let mut world = world("command: [a], cordon: true, rebootOnSuccess: true");
    let words = "rolebindings \"op-reboot\" is forbidden: user \"x\" is attempting to grant RBAC permissions not currently held";
    world.refuses.extend((0..20).map(|_| ("make the RoleBinding", Refusal::Forbidden(words.into()))));
    let said = world.pass("op");
    assert!(said.starts_with("Forbidden: node-1: cannot make the RoleBinding of reboot pods"), "{said}");
    world.taken();
    for _ in 0..30 {
        world.later(10);
        world.pass("op");
    }
    let tried = times(&mut world, "make the RoleBinding");
    assert!(tried <= 6, "{tried} times in 5 min");
    assert!(!world.is_cordoned("node-1"));
}

#[test]
fn an_eviction_that_a_policy_denies_is_tried_less_and_less_often() {
    let mut world = world("command: [a], cordon: true, drainOptions: {enabled: true}");
    world.put("
kind: Pod
metadata: {name: web-1, namespace: shop, ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: web, uid: u, controller: true}]}
spec: {nodeName: node-1}
status: {phase: Running}");
    let denied = || Refusal::Admission { by: "policy".into(), message: "nobody is evicted here".into() };
    world.refuses.extend((0..20).map(|_| ("evict", denied())));
    let said = world.pass("op");
    assert!(said.starts_with("WriteRefused: node-1: cannot evict shop/web-1 from node-1"), "{said}");
    world.taken();
    for _ in 0..60 {
        world.later(5);
        world.pass("op");
    }
    let tried = times(&mut world, "evict");
    assert!((4..=6).contains(&tried), "{tried} times in 5 min");
}

#[test]
fn a_finalizer_that_was_taken_away_comes_back_while_a_node_is_cordoned() {
    let mut world = world("command: [a], cordon: true");
    world.pass("op");
    assert!(world.is_cordoned("node-1"));
    let none = json!({"metadata": {"finalizers": null}});
    let key = ObjectKey::new("ns", "op");
    world.patch("NodeOp", &key, &none);
    world.pass("op");
    assert_eq!(world.object("NodeOp", "ns", "op")["metadata"]["finalizers"][0], api::kairos::FINALIZER);
    world.job_ends("op-node-1", "Failed");
    world.later(6);
    world.pass("op");
    world.patch("NodeOp", &key, &none);
    world.pass("op");
    assert_eq!(world.object("NodeOp", "ns", "op")["metadata"]["finalizers"][0], api::kairos::FINALIZER);
}

#[test]
fn an_image_that_does_not_exist_is_named() {
    let mut world = world("command: [a], image: none.example/nothing");
    world.pass("op");
    let job = world.the("Job", "op-node-1");
    let uid = world.object("Job", "ns", &job.name)["metadata"]["uid"].clone();
    world.put(&format!(
        "{{kind: Pod, metadata: {{name: p, labels: {{kairos.io/nodeop: op}}, ownerReferences: [{{apiVersion: batch/v1, kind: Job, name: {}, uid: {uid}, controller: true}}]}}, spec: {{nodeName: node-1}}, status: {{phase: Pending, containerStatuses: [{{state: {{waiting: {{reason: ErrImagePull, message: no such image}}}}}}]}}}}",
        job.name
    ));
    world.later(6);
    assert_eq!(
        world.pass("op"),
        "PodNotStarting: node-1: the pod of the command does not start: ErrImagePull: no such image"
    );
}

#[test]
fn a_job_that_makes_no_pod_is_not_waited_for_in_silence() {
    let mut world = world("command: [a]");
    world.pass("op");
    world.later(90);
    let said = world.pass("op");
    assert!(said.contains("its Job has made no pod"), "{said}");
}

#[test]
fn a_node_that_vanishes_leaves_the_others_alone() {
    let mut world = world("command: [a], cordon: true, concurrency: 1");
    world.put("{kind: Node, metadata: {name: node-2}, status: {nodeInfo: {bootID: b}, conditions: [{type: Ready, status: 'True'}]}}");
    world.pass("op");
    world.objects.remove(&("Node".to_owned(), ObjectKey::new("", "node-1")));
    world.later(6);
    world.pass("op");
    assert_eq!(world.entry("op", "node-1"), "Completed | Node is gone | not-requested");
    assert!(world.is_cordoned("node-2"), "the next one has its turn");
    world.job_ends("op-node-2", "Complete");
    world.later(6);
    assert_eq!(world.pass("op"), "done");
    insta::assert_snapshot!(world.taken());
}

#[test]
fn names_of_253_characters_and_a_taken_name() {
    let long = "n".repeat(253);
    let mut world = World::new(&format!(
        "{NODE}---\n{{kind: NodeOp, metadata: {{name: {long}}}, spec: {{command: [a], rebootOnSuccess: true, preflight: {{command: [a]}}}}}}"
    ));
    world.pass(&long);
    let pod = world.the("Pod", "nnn");
    assert!(pod.name.len() <= 63, "{}", pod.name);
    let labels = world.object("Pod", "ns", &pod.name)["metadata"]["labels"].as_object().unwrap();
    assert!(labels.values().all(|label| label.as_str().unwrap().len() <= 63), "{labels:?}");

    let mut world = self::world("command: [a]");
    world.refuses.push(("create Job", Refusal::AlreadyExists));
    let said = world.pass("op");
    assert!(said.starts_with("NameTaken: node-1: cannot create Job"), "{said}");
    world.later(6);
    assert_eq!(world.pass("op"), "JobRunning: node-1: the command runs");
}

#[test]
fn two_operations_never_work_on_one_node() {
    let mut world = world("command: [a], cordon: true");
    world.put("{kind: NodeOp, metadata: {name: other}, spec: {command: [b], cordon: true}}");
    world.pass("op");
    let said = world.pass("other");
    assert_eq!(said, "OtherOperation: node-1: another operation is at work on the node (NodeOp ns/op)");
    assert_eq!(world.status("other")["waitingNodes"][0]["blockedBy"]["name"], "op");
    world.job_ends("op-node-1", "Complete");
    world.later(6);
    world.pass("op");
    world.later(6);
    assert_eq!(world.pass("other"), "JobRunning: node-1: the command runs");
}

#[test]
fn a_status_that_cannot_be_read_starts_nothing() {
    let mut world = world("command: [a]");
    world.patch("NodeOp", &ObjectKey::new("ns", "op"), &json!({"status": {"nodeStatuses": {"node-1": 7}}}));
    let said = world.pass("op");
    assert!(said.starts_with("StatusUnreadable"), "{said}");
    untouched(&world);
}

#[test]
fn a_cordon_of_somebody_else_stays() {
    let mut world = world("command: [a], cordon: true");
    world.patch("Node", &ObjectKey::new("", "node-1"), &json!({"spec": {"unschedulable": true}}));
    world.pass("op");
    world.job_ends("op-node-1", "Complete");
    world.later(6);
    assert_eq!(world.pass("op"), "done");
    assert!(world.is_cordoned("node-1"));
}
