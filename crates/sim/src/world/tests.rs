//! The models by themselves, without a manager.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use domain::object::ObjectKey;
use runtime::clock::Clock;
use serde_json::{Value, json};
use sources::{FetchError, Fetched, Repository as _, Request};
use tokio::sync::Notify;

use super::releases::{ERRORS, Mirror, error_named};
use super::{Shared, USER, World, locked};
use crate::apiserver::write::Patch;
use crate::scenario::{Happening, Scenario};
use crate::world::clusters::Roll;

fn world(objects: &[Value]) -> Shared {
    let roll = Roll::PerMachine(Duration::from_secs(60));
    let scenario = Scenario { objects: objects.to_vec(), roll, ..Scenario::default() };
    let mut world = World::new(&scenario, Clock::simulated(scenario.start, 1), Arc::new(Notify::new()));
    world.load(objects);
    world.telling = true;
    Arc::new(std::sync::Mutex::new(world))
}

fn cluster() -> Value {
    let workers =
        json!({"machineDeployments": [{"name": "md-0", "replicas": 2}], "machinePools": [{"name": "mp-0"}]});
    let topology = json!({"version": "v1.35.0", "controlPlane": {"replicas": 2}, "workers": workers});
    json!({"apiVersion": "cluster.x-k8s.io/v1beta2", "kind": "Cluster",
        "metadata": {"name": "c", "namespace": "ns"}, "spec": {"topology": topology}})
}

fn key() -> ObjectKey {
    ObjectKey::new("ns", "c")
}

fn set(world: &Shared, patch: Value) {
    let mut world = locked(world);
    let id = world.catalogue.named("Cluster").unwrap();
    world.patch(USER, id, &key(), false, Patch::Merge(patch)).unwrap();
}

/// Minute by minute, what the status of the Cluster says, where it says something else.
async fn minutes(world: &Shared, count: u64) -> String {
    let mut shown = String::new();
    let mut last = String::new();
    for minute in 0..count {
        tokio::time::sleep(Duration::from_secs(if minute == 0 { 2 } else { 60 })).await;
        let mut world = locked(world);
        world.advance();
        let id = world.catalogue.named("Cluster").unwrap();
        let status = &world.objects.get(id, &key()).unwrap().value["status"];
        let condition = |type_: &str| {
            let all = status["conditions"].as_array().unwrap();
            let found = all.iter().find(|condition| condition["type"] == type_).unwrap();
            format!("{}/{}", found["status"].as_str().unwrap(), found["reason"].as_str().unwrap())
        };
        let half = |half: &str| {
            let half = &status[half];
            let versions = half["versions"].as_array().unwrap().iter();
            let versions: Vec<String> =
                versions.map(|v| format!("{}×{}", v["replicas"], v["version"].as_str().unwrap())).collect();
            format!("{}/{} {}", half["upToDateReplicas"], half["replicas"], versions.join(" "))
        };
        let line = format!(
            "{} generation {} rolling {} topology {} | {} | {}",
            status["phase"].as_str().unwrap(),
            status["observedGeneration"],
            condition("RollingOut"),
            condition("TopologyReconciled"),
            half("controlPlane"),
            half("workers"),
        );
        if line != last {
            writeln!(shown, "minute {minute}: {line}").unwrap();
            last = line;
        }
    }
    shown
}

#[tokio::test(start_paused = true)]
async fn machines_are_replaced_one_by_one_the_control_plane_first() {
    let world = world(&[cluster()]);
    let mut shown = format!("at rest\n{}", minutes(&world, 1).await);
    set(&world, json!({"spec": {"topology": {"version": "v1.36.1"}}}));
    write!(shown, "another version\n{}", minutes(&world, 8).await).unwrap();
    set(&world, json!({"spec": {"topology": {"variables": [{"name": "image", "value": "x"}]}}}));
    write!(shown, "another variable\n{}", minutes(&world, 8).await).unwrap();
    insta::assert_snapshot!(shown);
}

#[tokio::test(start_paused = true)]
async fn what_is_paused_or_stalled_stands_still_and_goes_on_afterwards() {
    let world = world(&[cluster()]);
    set(&world, json!({"spec": {"paused": true, "topology": {"version": "v1.36.1"}}}));
    let mut shown = format!("paused\n{}", minutes(&world, 5).await);
    set(&world, json!({"spec": {"paused": null}}));
    write!(shown, "no longer\n{}", minutes(&world, 3).await).unwrap();
    locked(&world).happen(USER, Happening::Stall(key()));
    write!(shown, "stalled\n{}", minutes(&world, 5).await).unwrap();
    locked(&world).happen(USER, Happening::Resume(key()));
    write!(shown, "resumed\n{}", minutes(&world, 8).await).unwrap();
    insta::assert_snapshot!(shown);
}

#[tokio::test(start_paused = true)]
async fn a_roll_that_is_under_way_at_the_start_goes_on_and_a_new_cluster_is_made_first() {
    let mut rolling = cluster();
    let versions = json!([{"version": "v1.34.2", "replicas": 1}, {"version": "v1.35.0", "replicas": 1}]);
    rolling["status"] = json!({"controlPlane": {"versions": versions}});
    let mut shown = format!("under way\n{}", minutes(&world(&[rolling]), 3).await);
    let world = world(&[]);
    locked(&world).happen(USER, Happening::Create(cluster()));
    write!(shown, "new\n{}", minutes(&world, 3).await).unwrap();
    insta::assert_snapshot!(shown);
}

#[tokio::test(start_paused = true)]
async fn what_cluster_api_makes_of_a_topology_can_be_listed() {
    let world = world(&[cluster()]);
    let names = |kind: &str| {
        let world = locked(&world);
        let id = world.catalogue.named(kind).unwrap();
        let made = world.made(id, "ns").unwrap();
        made.iter().map(|object| object["metadata"]["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("Machine"), ["c-0", "c-1", "c-md-0-0", "c-md-0-1", "c-mp-0-0"]);
    assert_eq!(names("MachinePool"), ["c-mp-0"]);
    assert_eq!(names("KubeadmControlPlane"), ["c"]);
}

async fn fetched(world: &Shared, url: &str, etag: Option<&str>) -> String {
    let mut request = Request { url: url.to_owned(), ..Request::default() };
    request.validators.etag = etag.map(str::to_owned);
    match Mirror(world.clone()).fetch(&request).await {
        Ok(Fetched::NotModified) => "not modified".to_owned(),
        Ok(Fetched::Fresh { index, validators, .. }) => {
            let versions: Vec<String> = index.versions.iter().map(|v| v.version.to_string()).collect();
            format!("{} {}", versions.join(" "), validators.etag.unwrap_or_default())
        }
        Err(error) => error.to_string(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_version_is_found_at_every_url_that_would_serve_it() {
    let world = world(&[]);
    for version in ["v1.35.2", "1.35.10", "v1.36.0", "v1.36.0"] {
        locked(&world).publish(USER, version);
    }
    assert_eq!(locked(&world).entries.len(), 3, "what is published already is not published again");
    let minor = "https://pkgs.k8s.io/core:/stable:/v1.35/deb/Packages";
    assert_eq!(fetched(&world, minor, None).await, "v1.35.2 v1.35.10 \"2\"");
    assert_eq!(fetched(&world, minor, Some("\"2\"")).await, "not modified");
    let all = "https://10.0.1.2/kubernetes/Packages";
    assert_eq!(fetched(&world, all, Some("\"2\"")).await, "v1.35.2 v1.35.10 v1.36.0 \"3\"");
    let unknown = fetched(&world, "https://h/v1.37/Packages", None).await;
    assert_eq!(unknown, "the repository answered 403: it refuses to show the file");
    for name in ERRORS.split(", ") {
        let name = name.trim();
        let named: &'static str = error_named(name).unwrap().into();
        assert_eq!(named, name);
    }
    locked(&world).releases.outages.push(("pkgs.k8s.io".into(), FetchError::Timeout));
    assert_eq!(fetched(&world, minor, None).await, "the repository did not answer in time");
    assert_eq!(fetched(&world, all, None).await, "v1.35.2 v1.35.10 v1.36.0 \"3\"");
}
