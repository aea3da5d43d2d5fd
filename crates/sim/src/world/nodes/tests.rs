//! Evictions, watches of some pods, kubelets and Jobs by themselves, without a controller of ours.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::object::ObjectKey;
use http::Request;
use http_body_util::BodyExt as _;
use kube::client::Body;
use manager::family::Family;
use runtime::clock::Clock;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tower::Service as _;

use super::{Habits, Outcome, Soon};
use crate::apiserver::delete::Deletion;
use crate::apiserver::eviction::is_ready;
use crate::apiserver::objects::Scope;
use crate::apiserver::selector::Selector;
use crate::apiserver::server::Server;
use crate::apiserver::write::Patch;
use crate::scenario::Scenario;
use crate::world::{Shared, USER, World, locked};

fn node(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": {}, "status": {}})
}

fn set(name: &str, replicas: u64) -> Value {
    let labels = json!({"app": name});
    let spec = json!({"containers": [{"name": "a", "image": "a"}], "terminationGracePeriodSeconds": 10});
    let template = json!({"metadata": {"labels": labels}, "spec": spec});
    json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": name, "namespace": "shop"},
        "spec": {"replicas": replicas, "template": template}})
}

fn budget(name: &str, of: &str, bound: Value) -> Value {
    let mut spec = bound;
    spec["selector"] = json!({"matchLabels": {"app": of}});
    json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": name, "namespace": "shop"},
        "spec": spec})
}

fn pod(name: &str, on: &str, policy: &str, labels: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "shop", "labels": labels},
        "spec": {"nodeName": on, "restartPolicy": policy, "containers": [{"name": "a", "image": "a"}]}})
}

fn world(objects: &[Value]) -> Shared {
    let scenario = Scenario {
        objects: objects.to_vec(),
        cluster_api: false,
        family: Family::Nodes,
        ..Scenario::default()
    };
    let mut world = World::new(&scenario, Clock::simulated(scenario.start, 1), Arc::new(Notify::new()));
    world.declared = None;
    world.load(objects);
    world.begin_nodes(Habits { command: 5, reboot: 30, ..Habits::default() });
    Arc::new(Mutex::new(world))
}

async fn seconds(world: &Shared, count: u64) {
    for _ in 0..count {
        tokio::time::sleep(Duration::from_secs(1)).await;
        locked(world).advance();
    }
}

async fn send(world: &Shared, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let sent = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let request = Request::builder().method(method).uri(path).body(Body::from(sent)).unwrap();
    let response = Server(world.clone()).call(request).await.unwrap();
    let code = response.status().as_u16();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (code, serde_json::from_slice(&bytes).unwrap_or_default())
}

fn names(world: &Shared, app: &str) -> Vec<String> {
    let pods = locked(world).pods_where(|pod| pod["metadata"]["labels"]["app"] == *app);
    pods.into_iter().map(|(key, _)| key.name.to_string()).collect()
}

async fn evict(world: &Shared, name: &str, uid: Option<&str>) -> (u16, Value) {
    let body = json!({"apiVersion": "policy/v1", "kind": "Eviction",
        "metadata": {"name": name, "namespace": "shop"}, "deleteOptions": {"preconditions": {"uid": uid}}});
    send(world, "POST", &format!("/api/v1/namespaces/shop/pods/{name}/eviction"), &body).await
}

fn state(world: &Shared, name: &str) -> String {
    let world = locked(world);
    let found = world.pods_where(|pod| pod["metadata"]["name"] == *name);
    found.first().map_or("gone".to_owned(), |(_, pod)| {
        let leaves = !pod["metadata"]["deletionTimestamp"].is_null();
        format!("{}{}", pod["status"]["phase"].as_str().unwrap(), if leaves { ", leaves" } else { "" })
    })
}

#[tokio::test(start_paused = true)]
async fn an_eviction_asks_the_one_budget_that_there_is() {
    let world = world(&[
        node("n0"),
        node("n1"),
        set("web", 2),
        budget("web", "web", json!({"maxUnavailable": 1})),
        set("db", 1),
        budget("db-0", "db", json!({"minAvailable": 0})),
        budget("db-1", "db", json!({"minAvailable": 0})),
        set("free", 1),
    ]);
    seconds(&world, 20).await;
    let web = names(&world, "web");
    assert_eq!(web.len(), 2);
    assert_eq!(evict(&world, "nobody", None).await.0, 404);
    let (code, answer) = evict(&world, &names(&world, "free")[0], Some("other")).await;
    assert_eq!((code, answer["reason"].as_str()), (409, Some("Conflict")));
    let (code, answer) = evict(&world, &web[0], None).await;
    assert_eq!((code, answer["status"].as_str()), (201, Some("Success")));
    assert_eq!(state(&world, &web[0]), "Running, leaves");
    let (code, answer) = evict(&world, &web[1], None).await;
    assert_eq!((code, answer["reason"].as_str()), (429, Some("TooManyRequests")));
    assert_eq!(answer["message"], "Cannot evict pod as it would violate the pod's disruption budget.");
    assert_eq!(
        answer["details"]["causes"],
        json!([{"reason": "DisruptionBudget",
            "message": "The disruption budget web does not allow evicting pods currently"}])
    );
    let (code, answer) = evict(&world, &names(&world, "db")[0], None).await;
    assert_eq!((code, &answer["reason"]), (500, &Value::Null));
    // One that has gone is replaced, and then the other one may go.
    seconds(&world, 40).await;
    assert_eq!(state(&world, &web[0]), "gone");
    assert_eq!(evict(&world, &web[1], None).await.0, 201);
    assert_eq!(locked(&world).unsupported, None);
}

#[tokio::test(start_paused = true)]
async fn a_watch_of_some_objects_tells_of_those_that_come_and_go() {
    let world = world(&[node("n0"), pod("p", "n0", "Always", &json!({}))]);
    let (id, key) = (locked(&world).catalogue.named("Pod").unwrap(), ObjectKey::new("shop", "p"));
    let scope = Scope { namespace: Box::default(), selector: Selector::parse("mine").unwrap() };
    let from = locked(&world).objects.version();
    let (mut lines, _) = locked(&world).objects.watch(id, scope.clone(), from).unwrap();
    for label in [json!("a"), json!("b"), Value::Null, json!("c")] {
        let patch = json!({"metadata": {"labels": {"mine": label}}});
        locked(&world).patch(USER, id, &key, false, Patch::Merge(patch)).unwrap();
    }
    let now = Deletion { grace: Some(0), ..Deletion::default() };
    locked(&world).delete(USER, id, &key, &now).unwrap();
    let mut told = Vec::new();
    let (mut again, _) = locked(&world).objects.watch(id, scope, from).unwrap();
    for lines in [&mut lines, &mut again] {
        while let Ok(line) = lines.try_recv() {
            let line: Value = serde_json::from_slice(&line).unwrap();
            let label = line["object"]["metadata"]["labels"]["mine"].as_str().unwrap_or_default().to_owned();
            told.push(format!("{} {label}", line["type"].as_str().unwrap()));
        }
    }
    let expected = ["ADDED a", "MODIFIED b", "DELETED b", "ADDED c", "DELETED c"];
    assert_eq!(told, [expected, expected].concat(), "as it happens, and afterwards");
}

#[tokio::test(start_paused = true)]
async fn a_reboot_ends_what_runs_and_changes_the_boot() {
    let objects = [
        node("n0"),
        pod("never", "n0", "Never", &json!({})),
        pod("always", "n0", "Always", &json!({})),
        pod("elsewhere", "n1", "Always", &json!({})),
    ];
    let world = world(&objects);
    seconds(&world, 20).await;
    assert_eq!([state(&world, "never"), state(&world, "always")], ["Running", "Running"]);
    let boot = |world: &Shared| locked(world).nodes.machines["n0"].boot_id.clone();
    let ready = |world: &Shared| {
        let world = locked(world);
        let id = world.catalogue.named("Node").unwrap();
        is_ready(&world.objects.get(id, &ObjectKey::new("", "n0")).unwrap().value)
    };
    let before = boot(&world);
    locked(&world).on_nodes(Soon::Down("n0".into(), 60));
    seconds(&world, 30).await;
    assert!(ready(&world) && boot(&world) == before, "nobody knows yet");
    seconds(&world, 20).await;
    assert!(!ready(&world));
    seconds(&world, 60).await;
    assert!(ready(&world) && boot(&world) != before);
    assert_eq!([state(&world, "never"), state(&world, "always")], ["Failed", "Running"]);
    assert_eq!(state(&world, "elsewhere"), "Pending", "of a node that is not there");
}

#[tokio::test(start_paused = true)]
async fn a_job_makes_another_pod_for_one_that_has_failed() {
    let op = json!({"apiVersion": "operator.kairos.io/v1alpha1", "kind": "NodeOp",
        "metadata": {"name": "op", "namespace": "shop", "uid": "op"}, "spec": {"command": ["true"]}});
    let spec =
        json!({"nodeName": "n0", "restartPolicy": "Never", "containers": [{"name": "nodeop", "image": "a"}]});
    let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j", "namespace": "shop",
            "ownerReferences": [{"apiVersion": "operator.kairos.io/v1alpha1", "kind": "NodeOp", "name": "op",
                "uid": "op", "controller": true}]},
        "spec": {"backoffLimit": 1, "template": {"spec": spec}}});
    for (attempts, outcome) in [(1, "Complete"), (2, "Failed")] {
        let world = world(&[node("n0"), op.clone(), job.clone()]);
        locked(&world).nodes.habits.commands.insert("n0".into(), super::Fate::After(attempts));
        seconds(&world, 120).await;
        let world = locked(&world);
        let id = world.catalogue.named("Job").unwrap();
        let job = &world.objects.get(id, &ObjectKey::new("shop", "j")).unwrap().value;
        assert_eq!(job["status"]["conditions"][1]["type"], *outcome);
        assert_eq!(world.nodes.runs.len(), 2);
        assert_eq!(world.nodes.runs[0].outcome, Outcome::Failed);
        assert_eq!(*world.nodes.runs[0].op, *"op");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_simulated_of_nodes_is_said() {
    let requests = [
        ("GET", "/api/v1/nodes?fieldSelector=spec.nodeName%3Dn0", Value::Null),
        ("GET", "/api/v1/pods?fieldSelector=status.phase%3DRunning", Value::Null),
        ("GET", "/apis/operator.kairos.io/v1alpha1/nodeops?watch=true&labelSelector=a", Value::Null),
        ("DELETE", "/api/v1/nodes/n0", json!({"gracePeriodSeconds": 1})),
        ("POST", "/api/v1/namespaces/shop/pods/p/eviction", json!({"dryRun": ["All"]})),
        ("POST", "/api/v1/namespaces/shop/pods/p/binding", json!({})),
    ];
    for (method, path, body) in requests {
        let world = world(&[node("n0"), pod("p", "n0", "Always", &json!({}))]);
        let (code, _) = send(&world, method, path, &body).await;
        assert!(locked(&world).unsupported.is_some(), "{method} {path}: {code}");
    }
}
