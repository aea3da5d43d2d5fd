//! Scripts of requests against a small world, and the answers as a real server gives them.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use futures::StreamExt as _;
use http::Request;
use http_body_util::BodyExt as _;
use kube::client::Body;
use runtime::clock::Clock;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tower::Service as _;

use super::server::Server;
use crate::scenario::Scenario;
use crate::world::agenda::Due;
use crate::world::{Shared, World, locked};

const GROUP: &str = "kubernetesupgraded.dimitrikoshkin.com/v1alpha1";
const IMAGES: &str = "/apis/kubernetesupgraded.dimitrikoshkin.com/v1alpha1/namespaces/ns/machineimages";
const CLUSTERS: &str = "/apis/cluster.x-k8s.io/v1beta2/namespaces/ns/clusters";

/// A world whose clock moves by hand.
fn world(objects: &[Value]) -> Shared {
    let scenario = Scenario { objects: objects.to_vec(), ..Scenario::default() };
    let clock = Clock::simulated(scenario.start, 1);
    let mut world = World::new(&scenario, clock, Arc::new(Notify::new()));
    world.load(objects);
    world.telling = true;
    Arc::new(Mutex::new(world))
}

fn image(name: &str) -> Value {
    json!({"apiVersion": GROUP, "kind": "MachineImage", "metadata": {"name": name, "namespace": "ns",
        "labels": {"os": name}}, "spec": {"version": "v1.35.1", "jobTemplate": {"spec": {"containers": [{"name": "a"}]}}}})
}

fn cluster(version: &str) -> Value {
    let topology = json!({"classRef": {"name": "class"}, "version": version,
        "variables": [{"name": "image", "value": "a"}], "controlPlane": {"replicas": 3}});
    json!({"apiVersion": "cluster.x-k8s.io/v1beta2", "kind": "Cluster",
        "metadata": {"name": "c", "namespace": "ns"}, "spec": {"topology": topology}})
}

fn class(versions: &[&str]) -> Value {
    let image = json!({"name": "image", "schema": {"openAPIV3Schema": {"type": "string"}}});
    json!({"apiVersion": "cluster.x-k8s.io/v1beta2", "kind": "ClusterClass",
        "metadata": {"name": "class", "namespace": "ns"},
        "spec": {"kubernetesVersions": versions, "variables": [image]}})
}

async fn send(world: &Shared, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let type_ = if body.is_array() { "application/json-patch+json" } else { "application/merge-patch+json" };
    let sent = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let request = Request::builder().method(method).uri(path).header("content-type", type_);
    let response = Server(world.clone()).call(request.body(Body::from(sent)).unwrap()).await.unwrap();
    let code = response.status().as_u16();
    let bytes = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
    // Where nothing is served, the answer is plain text.
    (code, serde_json::from_slice(&bytes).unwrap_or_default())
}

/// Sends one request after another and shows what matters of the answers.
async fn play(world: &Shared, script: &[(&str, String, Value)]) -> String {
    let mut shown = String::new();
    for (method, path, body) in script {
        let (code, answer) = send(world, method, path, body).await;
        let name = path.rsplit('/').next().unwrap();
        let body = if body.is_null() { String::new() } else { format!(" {body}") };
        let told = match answer["kind"].as_str().unwrap_or_default() {
            "Status" => format!(
                "{} {}{}",
                answer["status"].as_str().unwrap(),
                answer["reason"].as_str().unwrap_or_default(),
                answer["message"].as_str().map(|message| format!(": {message}")).unwrap_or_default(),
            ),
            kind if kind.ends_with("List") => {
                let items = answer["items"].as_array().unwrap();
                let names: Vec<&str> = items.iter().filter_map(|i| i["metadata"]["name"].as_str()).collect();
                let next = answer["metadata"]["continue"].as_str().map(|next| format!(" continue {next}"));
                format!("{kind} [{}]{}", names.join(" "), next.unwrap_or_default())
            }
            _ => {
                let meta = &answer["metadata"];
                let (version, generation) = (&meta["resourceVersion"], &meta["generation"]);
                let (spec, status) = (&answer["spec"], &answer["status"]);
                format!("version {version} generation {generation} spec {spec} status {status}")
            }
        };
        writeln!(shown, "{method} {name}{body}\n  {code} {told}").unwrap();
    }
    shown
}

fn at(path: &str) -> String {
    format!("{IMAGES}/{path}")
}

#[tokio::test(start_paused = true)]
async fn patches() {
    let world = world(&[image("a")]);
    let patch = |path: &str, body: Value| ("PATCH", at(path), body);
    let operation = |op: &str, path: &str, value: Value| json!({"op": op, "path": path, "value": value});
    let script = [
        patch("a", json!({"spec": {"id": "x"}})),
        patch("a", json!({"spec": {"id": "x"}})),
        patch("a", json!({"metadata": {"labels": {"b": "c"}}})),
        patch("a/status", json!({"spec": {"id": "y"}, "status": {"ready": true}})),
        patch("a", json!({"status": {"ready": false}})),
        patch("a", json!({"metadata": {"resourceVersion": "1"}, "spec": {"id": "z"}})),
        patch("a", json!({"metadata": {"uid": "another"}, "spec": {"id": "z"}})),
        patch(
            "a",
            json!([
                operation("test", "/spec/id", json!("other")),
                operation("replace", "/spec/id", json!("z"))
            ]),
        ),
        patch("a", json!([operation("replace", "/spec/missing", json!("z"))])),
        patch("a", json!([operation("replace", "/metadata/resourceVersion", json!("1"))])),
        patch(
            "a",
            json!([operation("test", "/spec/id", json!("x")), operation("add", "/spec/id", json!("z"))]),
        ),
        patch("a", json!({"spec": {"id": null}})),
        patch("missing", json!({"spec": {"id": "x"}})),
    ];
    insta::assert_snapshot!(play(&world, &script).await);
    assert_eq!(locked(&world).unsupported, None);
}

#[tokio::test(start_paused = true)]
async fn creates_lists_and_deletes() {
    let world = world(&[image("a"), image("b"), image("c")]);
    let list = |query: &str| ("GET", format!("{IMAGES}?{query}"), Value::Null);
    let id = locked_id(&world);
    let uid = locked(&world).objects.all(id).next().unwrap().1["metadata"]["uid"].clone();
    let mut new = image("d");
    new["spec"]["id"] = json!("x");
    new["status"] = json!({"ready": true});
    let script = [
        ("POST", IMAGES.to_owned(), new.clone()),
        ("POST", IMAGES.to_owned(), new),
        ("GET", at("d"), Value::Null),
        ("GET", at("missing"), Value::Null),
        ("GET", at("../x").replace("machineimages", "gadgets"), Value::Null),
        list("limit=2"),
        list("limit=2&continue=page-1"),
        list("labelSelector=os%3Db"),
        list("labelSelector=os"),
        list("labelSelector=absent"),
    ];
    let mut shown = play(&world, &script).await;
    // No room deletes images from under their users without saying which one it has read.
    let (code, answer) = {
        let deletion = super::delete::Deletion { uid: Some("another".into()), ..Default::default() };
        let key = domain::object::ObjectKey::new("ns", "a");
        let refused = locked(&world).delete("user", id, &key, &deletion).unwrap_err();
        (refused.code, refused.message)
    };
    writeln!(shown, "delete with another uid: {code} {answer}").unwrap();
    let shown = shown.replace(uid.as_str().unwrap(), "<uid>");
    insta::assert_snapshot!(shown);
}

fn locked_id(world: &Shared) -> super::catalogue::Id {
    locked(world).catalogue.named("MachineImage").unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_watch_tells_what_came_after_its_version_and_then_what_comes() {
    let world = world(&[image("a"), image("b")]);
    let watch = |from: &str| {
        let path = IMAGES.replace("/namespaces/ns", "");
        let request = Request::builder().uri(format!("{path}?watch=true&resourceVersion={from}"));
        Server(world.clone()).call(request.body(Body::empty()).unwrap())
    };
    let mut all = watch("0").await.unwrap().into_body().into_data_stream();
    let mut newer = watch("1").await.unwrap().into_body().into_data_stream();
    send(&world, "PATCH", &at("a"), &json!({"spec": {"id": "x"}})).await;
    let mut told = Vec::new();
    for (name, stream, count) in [("all", &mut all, 3), ("newer", &mut newer, 1)] {
        for _ in 0..count {
            let line = stream.next().await.unwrap().unwrap();
            assert!(line.starts_with(b"{\"type\":") && line.ends_with(b"}\n"));
            let event: Value = serde_json::from_slice(&line).unwrap();
            let (meta, type_) = (&event["object"]["metadata"], event["type"].as_str().unwrap());
            told.push(format!("{name} {type_} {} {}", meta["name"], meta["resourceVersion"]));
        }
    }
    assert_eq!(
        told,
        [
            r#"all ADDED "a" "1""#,
            r#"all ADDED "b" "2""#,
            r#"all MODIFIED "a" "3""#,
            // What the server already had at version 1 is not told again.
            r#"newer ADDED "b" "2""#,
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_forgotten_is_gone() {
    let world = world(&[image("a")]);
    for number in 0..1_100 {
        send(&world, "PATCH", &at("a"), &json!({"spec": {"id": number.to_string()}})).await;
    }
    let path = IMAGES.replace("/namespaces/ns", "");
    let (code, answer) =
        send(&world, "GET", &format!("{path}?watch=true&resourceVersion=5"), &Value::Null).await;
    let told = (code, &answer["type"], &answer["object"]["reason"]);
    assert_eq!(told, (200, &json!("ERROR"), &json!("Expired")), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn what_is_owned_goes_with_its_owner_and_finalizers_hold_it() {
    let world = world(&[image("a")]);
    let id = locked_id(&world);
    let key = domain::object::ObjectKey::new("ns", "a");
    let uid = locked(&world).objects.get(id, &key).unwrap().value["metadata"]["uid"].clone();
    let owner =
        json!([{"apiVersion": GROUP, "kind": "MachineImage", "name": "a", "uid": uid, "controller": true}]);
    let job = json!({"metadata": {"name": "j", "ownerReferences": owner}, "spec": {}});
    send(&world, "POST", "/apis/batch/v1/namespaces/ns/jobs", &job).await;
    send(&world, "PATCH", &at("a"), &json!({"metadata": {"finalizers": ["example.org/hold"]}})).await;
    let deletion = super::delete::Deletion::default();
    locked(&world).delete("user", id, &key, &deletion).unwrap();
    assert!(locked(&world).objects.get(id, &key).unwrap().value["metadata"]["deletionTimestamp"].is_string());
    send(&world, "PATCH", &at("a"), &json!({"metadata": {"finalizers": null}})).await;
    let jobs = locked(&world).catalogue.named("Job").unwrap();
    let count = |id| locked(&world).objects.all(id).count();
    let (images, owned) = (count(id), count(jobs));
    assert_eq!((images, owned), (0, 1));
    let due = locked(&world).agenda.take(jiff::Timestamp::MAX);
    assert!(matches!(due, Some(Due::BuildBegins(..))));
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    locked(&world).advance();
    assert_eq!(count(jobs), 0);
}

#[tokio::test(start_paused = true)]
async fn cluster_api_refuses_what_its_webhook_refuses() {
    let mut shown = String::new();
    for (versions, variables) in [(&[][..], json!(null)), (&["v1.35.0", "v1.36.1"][..], json!(null))] {
        let world = world(&[class(versions), cluster("v1.35.0")]);
        let path = format!("{CLUSTERS}/c");
        let set = |version: &str| {
            let patch = json!({"spec": {"topology": {"version": version, "variables": variables}}});
            ("PATCH", path.clone(), patch)
        };
        let script = [set("v1.34.9"), set("v1.37.0"), set("1.36.0"), set("nonsense"), set("v1.36.1")];
        writeln!(shown, "kubernetesVersions {versions:?}").unwrap();
        shown.push_str(&statuses(&world, &script).await);
    }
    let world = world(&[class(&[]), cluster("v1.35.0")]);
    let path = format!("{CLUSTERS}/c");
    let variable = |name: &str, value: Value| {
        (
            "PATCH",
            path.clone(),
            json!({"spec": {"topology": {"variables": [{"name": name, "value": value}]}}}),
        )
    };
    let script = [variable("image", json!(7)), variable("other", json!("x")), variable("image", json!("b"))];
    shown.push_str("variables\n");
    shown.push_str(&statuses(&world, &script).await);
    insta::assert_snapshot!(shown);
}

/// As [`play`], with the answer's code and words alone.
async fn statuses(world: &Shared, script: &[(&str, String, Value)]) -> String {
    let mut shown = String::new();
    for (method, path, body) in script {
        let (code, answer) = send(world, method, path, body).await;
        let words = answer["message"].as_str().unwrap_or("written");
        writeln!(shown, "{}\n  {code} {words}", body["spec"]["topology"]).unwrap();
    }
    shown
}

#[tokio::test(start_paused = true)]
async fn what_is_not_simulated_is_remembered() {
    for (method, path) in [
        ("PUT", at("a")),
        ("GET", format!("{IMAGES}?fieldSelector=metadata.name%3Da")),
        ("GET", format!("{IMAGES}?labelSelector=a%20in%20(b)")),
        ("DELETE", IMAGES.to_owned()),
        ("GET", "/api/v1/namespaces/ns/services/x".to_owned()),
        ("GET", "/api/v1/pods?watch=true".to_owned()),
    ] {
        let world = world(&[image("a")]);
        send(&world, method, &path, &Value::Null).await;
        assert!(locked(&world).unsupported.is_some(), "{method} {path}");
    }
}

#[tokio::test(start_paused = true)]
async fn discovery_names_what_is_served() {
    let foreign = json!({"apiVersion": "example.org/v1", "kind": "Mirror", "metadata": {"name": "m", "namespace": "ns"}});
    let world = world(&[foreign]);
    let (_, group) = send(&world, "GET", "/apis/cluster.x-k8s.io", &Value::Null).await;
    assert_eq!(group["preferredVersion"]["version"], "v1beta2");
    let (_, kinds) = send(&world, "GET", "/apis/example.org/v1", &Value::Null).await;
    assert_eq!(
        (&kinds["resources"][0]["name"], &kinds["resources"][0]["namespaced"]),
        (&json!("mirrors"), &json!(true))
    );
    assert_eq!(send(&world, "GET", "/apis/elsewhere.org", &Value::Null).await.0, 404);
    let (_, groups) = send(&world, "GET", "/apis", &Value::Null).await;
    assert!(groups["groups"].as_array().unwrap().iter().any(|group| group["name"] == "batch"));
    assert_eq!(send(&world, "GET", "/api/v1", &Value::Null).await.0, 200);
    assert_eq!(locked(&world).unsupported, None);
}
