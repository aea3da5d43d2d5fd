//! The invariants by themselves: writes of a controller that must not be, beside those that may.

use std::sync::Arc;
use std::time::Duration;

use domain::object::ObjectKey;
use runtime::clock::Clock;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::{Terms, Witness, cluster, end, images};
use crate::apiserver::write::Patch;
use crate::scenario::Scenario;
use crate::world::{USER, World};

const GROUP: &str = "kubernetesupgraded.dimitrikoshkin.com/v1alpha1";
const CAPI: &str = "cluster.x-k8s.io/v1beta2";
const UPGRADER: &str = "clusterclassclusterupgrader";

fn object(api_version: &str, kind: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": api_version, "kind": kind,
        "metadata": {"name": name, "namespace": "ns"}, "spec": spec})
}

fn image(name: &str, version: &str, id: Option<&str>) -> Value {
    let template = json!({"spec": {"containers": [{"name": "build", "image": "builder"}]}});
    object(GROUP, "MachineImage", name, json!({"version": version, "id": id, "jobTemplate": template}))
}

/// A Cluster at v1.34.0 with its upgrader, and images of the minors around it.
async fn world() -> World {
    let variables = json!([{"name": "image", "schema": {"openAPIV3Schema": {"type": "string"}}}]);
    let topology = json!({"classRef": {"name": "class"}, "version": "v1.34.0", "controlPlane": {"replicas": 1},
        "variables": [{"name": "image", "value": "of-34"}]});
    let upgrader = json!({"clusterName": "c", "planRef": {"name": "plan"}, "topologyVariable": "image"});
    let objects = [
        object(CAPI, "ClusterClass", "class", json!({ "variables": variables })),
        object(CAPI, "Cluster", "c", json!({ "topology": topology })),
        object(GROUP, "ClusterClassClusterUpgrader", "c", upgrader),
        object(GROUP, "MachineImageSyncer", "syncer", json!({})),
        image("a33", "v1.33.0", Some("of-33")),
        image("a34", "v1.34.0", Some("of-34")),
        image("another-of-34", "v1.34.0", Some("another-of-34")),
        image("a35", "v1.35.0", Some("of-35")),
        image("a36", "v1.36.0", Some("of-36")),
        image("unbuilt", "v1.37.0", None),
    ];
    let scenario = Scenario { objects: objects.to_vec(), ..Scenario::default() };
    let mut world = World::new(&scenario, Clock::simulated(scenario.start, 1), Arc::new(Notify::new()));
    world.load(&objects);
    world.telling = true;
    moment(&mut world).await;
    let terms = Terms { until: scenario.start, faultless: true, alone: true, elected: false };
    let mut witness = Witness::new(terms);
    witness.begin(&world);
    world.witness = Some(Box::new(witness));
    world
}

/// Time for Cluster API to notice.
async fn moment(world: &mut World) {
    tokio::time::sleep(Duration::from_secs(2)).await;
    world.advance();
}

/// Writes, as a process of ours or as somebody else, and tells whether the server has accepted it, and what is violated.
fn writes(
    world: &mut World,
    actor: &str,
    kind: &str,
    name: &str,
    patch: Value,
) -> (bool, Option<&'static str>) {
    let id = world.catalogue.named(kind).unwrap();
    world.speaker = u32::from(actor != USER);
    let answer = world.patch(actor, id, &ObjectKey::new("ns", name), false, Patch::Merge(patch));
    world.speaker = 0;
    (answer.is_ok(), violated(world))
}

fn violated(world: &World) -> Option<&'static str> {
    world.witness.as_ref().unwrap().violation.as_ref().map(|violation| violation.invariant)
}

fn topology(version: &str, image: &str) -> Value {
    json!({"spec": {"topology": {"version": version, "variables": [{"name": "image", "value": image}]}}})
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_of_a_cluster_is_one_hop_with_the_image_of_its_version() {
    for (version, image, accepted, invariant) in [
        ("v1.35.0", "of-35", true, None),
        // The webhook of Cluster API refuses these two, and does not hide who asked for them.
        ("v1.36.0", "of-36", false, Some(cluster::ONE_HOP)),
        ("v1.33.0", "of-33", false, Some(cluster::ONE_HOP)),
        ("v1.35.0", "of-36", true, Some(cluster::EXACT_IMAGE)),
        ("v1.35.0", "of-nothing", true, Some(cluster::EXACT_IMAGE)),
        ("v1.35.0", "of-34", true, Some(cluster::WITH_IMAGE)),
        ("v1.34.0", "another-of-34", true, Some(cluster::ASKED_FOR)),
    ] {
        let mut world = world().await;
        let found = writes(&mut world, UPGRADER, "Cluster", "c", topology(version, image));
        assert_eq!(found, (accepted, invariant), "{version} with {image}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_of_a_cluster_that_rolls() {
    let mut world = world().await;
    let first = writes(&mut world, UPGRADER, "Cluster", "c", topology("v1.35.0", "of-35"));
    assert_eq!(first, (true, None));
    moment(&mut world).await;
    let second = writes(&mut world, UPGRADER, "Cluster", "c", topology("v1.36.0", "of-36"));
    assert_eq!(second, (false, Some(cluster::NOT_ROLLING)), "the webhook refuses it as well");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_of_a_cluster_whose_last_change_cluster_api_has_not_seen() {
    let mut world = world().await;
    let labels = json!({"spec": {"topology": {"controlPlane": {"replicas": 3}}}});
    assert_eq!(writes(&mut world, USER, "Cluster", "c", labels), (true, None));
    let found = writes(&mut world, UPGRADER, "Cluster", "c", topology("v1.35.0", "of-35"));
    assert_eq!(found, (true, Some(cluster::NOT_ROLLING)));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_of_a_cluster_that_is_paused() {
    let mut world = world().await;
    let paused = json!({"spec": {"paused": true}});
    assert_eq!(writes(&mut world, USER, "Cluster", "c", paused), (true, None));
    moment(&mut world).await;
    let found = writes(&mut world, UPGRADER, "Cluster", "c", topology("v1.35.0", "of-35"));
    assert_eq!(found, (true, Some(cluster::NOT_PAUSED)));
}

#[tokio::test(start_paused = true)]
async fn others_may_ask_for_anything() {
    let mut world = world().await;
    let found = writes(&mut world, USER, "Cluster", "c", topology("v1.36.0", "of-33"));
    assert_eq!(found, (false, None));
}

#[tokio::test(start_paused = true)]
async fn an_image_has_one_id_and_it_is_built() {
    let id = |id: &str| json!({"spec": {"id": id}});
    for (name, patch, invariant) in [
        ("a34", id("of-34-again"), Some(images::ID_KEPT)),
        ("a34", id(""), Some(images::ID_KEPT)),
        ("unbuilt", id("out-of-nowhere"), Some(images::ID_BUILT)),
    ] {
        let mut world = world().await;
        let found = writes(&mut world, "machineimage", "MachineImage", name, patch);
        assert_eq!(found, (true, invariant), "{name}");
    }
    let mut world = world().await;
    assert_eq!(writes(&mut world, USER, "MachineImage", "a34", id("rebuilt")), (true, None));
}

#[tokio::test(start_paused = true)]
async fn a_syncer_makes_one_image_of_a_version() {
    let mut world = world().await;
    let syncers = world.catalogue.named("MachineImageSyncer").unwrap();
    let syncer = &world.objects.get(syncers, &ObjectKey::new("ns", "syncer")).unwrap().value;
    let owner = json!([{"apiVersion": GROUP, "kind": "MachineImageSyncer", "name": "syncer", "controller": true,
        "uid": syncer["metadata"]["uid"]}]);
    let id = world.catalogue.named("MachineImage").unwrap();
    world.speaker = 1;
    for (name, version, invariant) in [
        ("first", "v1.36.1", None),
        ("of-another-version", "v1.36.2", None),
        ("second", "v1.36.1", Some(images::ONE_IMAGE)),
    ] {
        let mut made = image(name, version, None);
        made["metadata"]["ownerReferences"] = owner.clone();
        world.create("machineimagesyncer", id, "ns", made).unwrap();
        assert_eq!(violated(&world), invariant, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_no_end_in_one_instant_ends_the_run() {
    let world = world().await;
    let mut asked = end::Asked::new(world.now());
    for _ in 0..5_000 {
        asked.note(world.now(), "patch", "plans");
    }
    assert_eq!(asked.go_on(), Ok(()));
    asked.note(world.now(), "patch", "plans");
    assert_eq!(asked.go_on().map_err(|it| it.invariant), Err(end::GOES_ON));
    tokio::time::sleep(Duration::from_secs(1)).await;
    asked.note(world.now(), "patch", "plans");
    assert_eq!(asked.go_on(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn converging_is_bounded_and_ends() {
    let world = world().await;
    let over = |asked: &end::Asked, bound| {
        asked.is_over(&world, bound, None).map(|found| found.err().map(|it| it.invariant))
    };
    let mut asked = end::Asked::new(world.now());
    for _ in 0..3 {
        asked.note(world.now(), "patch", "plans");
        // These are no sign of unrest.
        asked.note(world.now(), "watch", "plans");
        asked.note(world.now(), "list", "machines");
    }
    assert_eq!(asked.count(), 3);
    assert_eq!(over(&asked, 3), None, "there was no rest yet");
    assert_eq!(over(&asked, 2), Some(Some(end::BOUNDED)));
    tokio::time::sleep(Duration::from_secs(17 * 60 * 60)).await;
    asked.note(world.now(), "patch", "plans");
    assert_eq!(over(&asked, 4), Some(Some(end::CONVERGES)));
}
