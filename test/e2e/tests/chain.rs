//! The whole chain on the real Cluster API: a new package, and a Cluster that runs its version.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use api::upgrader::{cluster_upgrader, machine_image};
use controlplane::ClassCluster;
use e2e::{
    BuildActor, Expected, Installed, PackageRepository, Part, ROLLED_WITHIN, Rollout, USER, WITHIN, capi,
    find_condition, name,
};

const NAMESPACE: &str = "team";
const FOLDER: &str = "v1.35/deb";
const CHAIN: &str = include_str!("../fixtures/chain.yaml");
const FROM: &str = "v1.35.0";
const TO: &str = "v1.35.1";
const IMAGE: &str = "registry.example.org/node:v1.35.1";
/// Twice what it took when this was written: the finding of a mistake, not a figure.
const WRITES: usize = 80;

/// `kubectl wait`, as users and GitOps tools do it.
async fn wait(world: &Installed, condition: &str, object: &str, within: Duration) {
    let condition = format!("condition={condition}");
    world.plane().wait_for(&condition, object, NAMESPACE, within).await.unwrap();
}

#[tokio::test]
async fn a_new_package_upgrades_a_cluster() {
    let world = Installed::start_with_cluster_api().await.unwrap();
    let repository = PackageRepository::start().await.unwrap();
    repository.publish(FOLDER, "1.35.0-1.1");
    // Newer, and outside of every range.
    repository.publish(FOLDER, "1.36.0-1.1");
    let builds = BuildActor::start(world.plane(), Part::usual()).await.unwrap();
    let mut cluster = ClassCluster::new("blue", FROM).with_image("registry.example.org/node:v1.35.0");
    cluster.namespace = NAMESPACE.to_owned();
    world.plane().create_class_cluster(&cluster).await.unwrap();
    world.plane().apply_yaml(&CHAIN.replace("$URL", &repository.url(FOLDER))).await.unwrap();
    let manager = world.start_manager().await.unwrap();

    // All conditions are there for those who wait, and the Cluster has nothing to do.
    wait(&world, "Ready", "debianrepositorysources/packages", WITHIN).await;
    for object in ["machineimagesyncers/node", "plans.kubernetesupgraded.dimitrikoshkin.com/newest"] {
        wait(&world, "Ready", object, WITHIN).await;
        wait(&world, "UpToDate", object, WITHIN).await;
    }
    let upgrader = "clusterclassclusterupgraders/blue";
    wait(&world, "UpToDate", upgrader, ROLLED_WITHIN).await;
    world.plane().await_cluster_available(&cluster, ROLLED_WITHIN).await.unwrap();

    repository.publish(FOLDER, "1.35.1-1.1");
    let objects = world.objects();
    let mut unready = Vec::new();
    objects
        .await_that("every machine has the new version and image", NAMESPACE, ROLLED_WITHIN, async || {
            // An orderly wait does not turn Ready false.
            let found = objects.get(&cluster_upgrader::KIND, NAMESPACE, "blue").await?.unwrap_or_default();
            let ready = find_condition(&found, "Ready");
            if ready["status"] != "True" {
                unready.push(ready.clone());
            }
            let rollout = Rollout::of(objects, (NAMESPACE, "blue"), TO, IMAGE).await?;
            Ok(rollout.is_complete().then_some(()))
        })
        .await
        .unwrap();
    assert!(unready.is_empty(), "Ready was lost while machines rolled: {unready:?}");
    wait(&world, "UpToDate", upgrader, WITHIN).await;
    wait(&world, "Ready", upgrader, WITHIN).await;

    let topology =
        objects.get(&capi::CLUSTER, NAMESPACE, "blue").await.unwrap().unwrap()["spec"]["topology"].take();
    assert_eq!(topology["version"], TO);
    assert_eq!(topology["variables"], serde_json::json!([{"name": "image", "value": IMAGE}]));
    // Each version was built once, and told by a ServiceAccount that may do nothing but annotate.
    assert_eq!(builds.trouble(), Vec::<String>::new());
    let built: Vec<String> = builds.builds().into_iter().map(|build| build.version).collect();
    assert_eq!(built, [FROM, TO]);
    let mut images = objects.list(&machine_image::KIND, NAMESPACE).await.unwrap();
    images.sort_by(|a, b| name(a).cmp(name(b)));
    let ids: Vec<_> = images.iter().map(|image| image["spec"]["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["registry.example.org/node:v1.35.0", IMAGE]);
    // One write for both fields.
    let events = world.plane().audit_events().unwrap();
    let patches =
        events.iter().filter(|event| event.user == USER && event.resource == "clusters" && event.is_write());
    assert_eq!(patches.map(|event| (event.verb.as_str(), event.code)).collect::<Vec<_>>(), [("patch", 200)]);

    assert!(manager.terminate().await.unwrap().success());
    world.finish(Expected::nothing().machine_images(2).jobs(2).writes_at_most(WRITES)).await.unwrap();
}
