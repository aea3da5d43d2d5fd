//! The process ends after any step: the next one finishes the course, and does nothing twice.

use domain::object::ObjectKey;
use runtime::answer::Refusal;
use serde_json::json;

use super::world::World;

const OBJECTS: &str = "
{kind: Node, metadata: {name: node-1}, status: {nodeInfo: {bootID: boot-1}, conditions: [{type: Ready, status: 'True'}]}}
---
{kind: Node, metadata: {name: node-2}, status: {nodeInfo: {bootID: boot-2}, conditions: [{type: Ready, status: 'True'}]}}
---
kind: Pod
metadata: {name: web-1, namespace: shop, ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: web, uid: u, controller: true}]}
spec: {nodeName: node-1}
status: {phase: Running, conditions: [{type: Ready, status: 'True'}]}
---
kind: NodeOp
metadata: {name: op}
spec: {command: [upgrade], cordon: true, drainOptions: {enabled: true}, rebootOnSuccess: true, concurrency: 1, preflight: {command: [check]}}
";

/// What kubelets and the Job controller do, at once.
fn others(world: &mut World) {
    let pods: Vec<_> =
        world.objects.iter().filter(|((kind, _), _)| kind == "Pod").map(|(id, _)| id.1.clone()).collect();
    for pod in pods {
        let object = world.object("Pod", &pod.namespace, &pod.name).clone();
        let labels = &object["metadata"]["labels"];
        let node = object["spec"]["nodeName"].as_str().unwrap().to_owned();
        if labels["kairos.io/preflight"].is_string() {
            world.patch("Pod", &pod, &json!({"status": {"phase": "Succeeded"}}));
        }
        if labels["kairos.io/reboot"].is_string() {
            let boot_id =
                world.object("Node", "", &node)["status"]["nodeInfo"]["bootID"].as_str().unwrap().to_owned();
            match object["metadata"]["annotations"][api::kairos::REBOOT_FROM_ANNOTATION].as_str() {
                Some(from) if from == boot_id => world.node(&node, &format!("{boot_id}+"), true),
                Some(_) => world.patch("Pod", &pod, &json!({"status": {"phase": "Succeeded"}})),
                None => {
                    let ready = json!([{"type": "Ready", "status": "True"}]);
                    world.patch("Pod", &pod, &json!({"status": {"phase": "Running", "conditions": ready}}));
                }
            }
        }
    }
    let jobs: Vec<_> =
        world.objects.iter().filter(|((kind, _), _)| kind == "Job").map(|(id, _)| id.1.clone()).collect();
    for job in jobs {
        let complete = json!([{"type": "Complete", "status": "True"}]);
        world.patch("Job", &job, &json!({"status": {"conditions": complete, "succeeded": 1}}));
    }
}

/// Runs to the end; the process ends after the step of this number. How many steps there were, and what was done.
fn run(killed_at: Option<usize>, fails: bool) -> (usize, Vec<String>) {
    let mut world = World::new(OBJECTS);
    let mut steps = 0;
    for _ in 0..200 {
        world.killed_at = killed_at.filter(|at| *at >= steps).map(|at| (at - steps, fails));
        let end = world.pass("op");
        steps +=
            world.taken.iter().filter(|line| !line.starts_with("=>") && !line.starts_with("event")).count()
                - world.counted;
        world.counted =
            world.taken.iter().filter(|line| !line.starts_with("=>") && !line.starts_with("event")).count();
        if end == "killed" {
            world.restart();
            continue;
        }
        if end == "done" {
            let boots = |node: &str| world.object("Node", "", node)["status"]["nodeInfo"]["bootID"].clone();
            assert_eq!(
                (boots("node-1"), boots("node-2")),
                (json!("boot-1+"), json!("boot-2+")),
                "one reboot each"
            );
            assert!(!world.is_cordoned("node-1") && !world.is_cordoned("node-2"));
            assert_eq!(world.object("NodeOp", "ns", "op")["metadata"]["finalizers"], json!(null));
            assert_eq!(world.objects.keys().filter(|(kind, _)| kind == "Job").count(), 2);
            let gone = ("Pod".to_owned(), ObjectKey::new("shop", "web-1"));
            assert!(!world.objects.contains_key(&gone), "it was drained");
            let jobs: Vec<String> =
                world.taken.iter().filter(|line| line.starts_with("create Job")).cloned().collect();
            return (steps, jobs);
        }
        others(&mut world);
        world.later(6);
    }
    panic!("no end, killed at {killed_at:?}: {:#?}", world.taken);
}

#[test]
fn a_kill_after_any_step_does_nothing_twice() {
    let (steps, jobs) = run(None, false);
    assert!(steps > 20 && jobs.len() == 2, "{steps} {jobs:?}");
    for at in 0..steps {
        let (_, jobs) = run(Some(at), false);
        assert_eq!(jobs.len(), 2, "killed after step {at}: {jobs:?}");
    }
}

/// The write never reached the server.
#[test]
fn a_kill_before_any_step_leaves_nothing_out() {
    let (steps, _) = run(None, false);
    for at in 0..steps {
        run(Some(at), true);
    }
}

#[test]
fn a_conflict_on_a_node_is_read_and_tried_again() {
    let mut world = World::new(OBJECTS);
    for _ in 0..60 {
        if !world.taken.iter().any(|line| line.starts_with("read Node")) {
            world.refuses.push(("cordon", Refusal::Conflict));
        }
        let end = world.pass("op");
        world.refuses.clear();
        if end == "done" {
            assert!(!world.is_cordoned("node-1"));
            return;
        }
        others(&mut world);
        world.later(6);
    }
    panic!("no end: {:#?}", world.taken);
}
