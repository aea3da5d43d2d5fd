//! `--dry-run`: every decision is made and told, and nothing but conditions and Events is written.

use std::time::Duration;

use api::capi::cluster;
use api::upgrader::{cluster_upgrader, debian_repository_source, machine_image, machine_image_syncer, plan};
use domain::object::Kind;
use e2e::{Expected, Installed, Objects, PackageRepository, WITHIN};
use serde_json::json;

use crate::given;

const NAMESPACE: &str = "dry";
const SOURCE: Kind = debian_repository_source::KIND;
/// The Cluster is watched for 15 s first.
const DECIDED_WITHIN: Duration = Duration::from_secs(90);

async fn would(objects: &Objects, (kind, name): (&Kind, &str), what: &str) {
    let object = (kind, NAMESPACE, name);
    let condition = if *kind == machine_image::KIND { "Ready" } else { "UpToDate" };
    let told = objects.await_condition(object, (condition, "False", "DryRun"), DECIDED_WITHIN).await.unwrap();
    let message = e2e::find_condition(&told, condition)["message"].as_str().unwrap();
    assert!(message.starts_with("dry run: would ") && message.contains(what), "{message}");
}

#[tokio::test]
async fn a_dry_run_decides_and_writes_conditions_only() {
    let mut world = Installed::start().await.unwrap();
    world.plane_mut().install_cluster_api_crds().await.unwrap();
    let objects = world.objects();
    given::namespace(objects, NAMESPACE).await;
    let repository = PackageRepository::start().await.unwrap();
    repository.publish("deb", "1.35.9-1.1");

    // What the original left: statuses of its own.
    given::source(objects, NAMESPACE, "packages", &repository.url("deb")).await;
    let versions = json!({"status": {"versions": ["v1.35.1"]}});
    objects.merge(&SOURCE, NAMESPACE, "packages/status", &versions).await.unwrap();
    given::template(objects, NAMESPACE, "template", given::pod_spec()).await;
    given::syncer(objects, NAMESPACE, "node", (&SOURCE, "packages", "v1.35.1")).await;
    given::image(objects, NAMESPACE, "unbuilt", "v1.35.3").await;
    let image = given::existing_image(objects, NAMESPACE, "built", ("v1.35.2", "built-id")).await;
    given::plan(objects, NAMESPACE, "plan", "v1.35.2").await;
    let found = json!({"status": {
        "phase": "FoundMachineImage",
        "machineImageDetails": {"version": "v1.35.2", "id": "built-id"},
        "machineImageRef": {"kind": "MachineImage", "name": "built", "uid": image["metadata"]["uid"]},
    }});
    objects.merge(&plan::KIND, NAMESPACE, "plan/status", &found).await.unwrap();
    given::capi::create_class(objects, NAMESPACE).await;
    given::capi::create_cluster(objects, NAMESPACE, "blue", given::capi::with(json!({}))).await;
    given::upgrader(objects, NAMESPACE, "blue", ("blue", "plan", "image")).await;
    let before = given::written(objects, (&cluster::KIND, NAMESPACE, "blue")).await;

    let manager = world.start_manager_with(&["--dry-run", "--leader-elect"]).await.unwrap();
    let fetched = ("Ready", "True", "VersionsFound");
    objects.await_condition((&SOURCE, NAMESPACE, "packages"), fetched, WITHIN).await.unwrap();
    tokio::join!(
        would(objects, (&machine_image_syncer::KIND, "node"), "create MachineImage"),
        would(objects, (&machine_image::KIND, "unbuilt"), "Job unbuilt-"),
        would(objects, (&cluster_upgrader::KIND, "blue"), "to v1.35.2 with image built-id"),
    );
    assert!(manager.terminate().await.unwrap().success());

    assert_eq!(given::written(objects, (&cluster::KIND, NAMESPACE, "blue")).await, before);
    let source = objects.get(&SOURCE, NAMESPACE, "packages").await.unwrap().unwrap();
    assert_eq!(source["status"]["versions"], json!(["v1.35.1"]), "the original's fields are left to it");
    let expected = Expected::nothing().machine_images(2).writes_at_most(30);
    let requests = world.finish(expected).await.unwrap();
    let reads = ["get", "list", "watch"];
    let changes: Vec<&String> = requests
        .counts
        .keys()
        .filter(|key| !reads.iter().any(|verb| key.starts_with(verb)))
        .filter(|key| !key.ends_with("/status") && *key != "create events")
        .collect();
    assert_eq!(changes, Vec::<&String>::new());
    eprintln!("{requests:?}");
}
