//! A new package of the same minor: version and image in one write, and nothing is unready meanwhile.

use api::upgrader::{cluster_upgrader, machine_image};
use controlplane::ClassCluster;
use e2e::{
    BuildActor, Installed, PackageRepository, ROLLED_WITHIN, Rollout, WITHIN, capi, find_condition, name,
};

use crate::{built, patches, wait};

const NAMESPACE: &str = "team";
const FOLDER: &str = "v1.35/deb";
const CHAIN: &str = include_str!("../../fixtures/chain.yaml");
const FROM: &str = "v1.35.0";
const TO: &str = "v1.35.1";
const IMAGE: &str = "registry.example.org/node:v1.35.1";

pub(crate) async fn play(world: &Installed, builds: &BuildActor) {
    let repository = PackageRepository::start().await.unwrap();
    repository.publish(FOLDER, "1.35.0-1.1");
    // Newer, and outside of every range.
    repository.publish(FOLDER, "1.36.0-1.1");
    let mut cluster = ClassCluster::new("blue", FROM).with_image("registry.example.org/node:v1.35.0");
    cluster.namespace = NAMESPACE.to_owned();
    world.plane().create_class_cluster(&cluster).await.unwrap();
    world.plane().apply_yaml(&CHAIN.replace("$URL", &repository.url(FOLDER))).await.unwrap();

    // All conditions are there for those who wait, and the Cluster has nothing to do.
    wait(world, NAMESPACE, "Ready", "debianrepositorysources/packages", WITHIN).await;
    for object in ["machineimagesyncers/node", "plans.kubernetesupgraded.dimitrikoshkin.com/newest"] {
        wait(world, NAMESPACE, "Ready", object, WITHIN).await;
        wait(world, NAMESPACE, "UpToDate", object, WITHIN).await;
    }
    let upgrader = "clusterclassclusterupgraders/blue";
    wait(world, NAMESPACE, "UpToDate", upgrader, ROLLED_WITHIN).await;
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
    wait(world, NAMESPACE, "UpToDate", upgrader, WITHIN).await;
    wait(world, NAMESPACE, "Ready", upgrader, WITHIN).await;

    let topology =
        objects.get(&capi::CLUSTER, NAMESPACE, "blue").await.unwrap().unwrap()["spec"]["topology"].take();
    assert_eq!(topology["version"], TO);
    assert_eq!(topology["variables"], serde_json::json!([{"name": "image", "value": IMAGE}]));
    // Each version was built once.
    assert_eq!(built(builds, NAMESPACE), [FROM, TO]);
    let mut images = objects.list(&machine_image::KIND, NAMESPACE).await.unwrap();
    images.sort_by(|a, b| name(a).cmp(name(b)));
    let ids: Vec<_> = images.iter().map(|image| image["spec"]["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["registry.example.org/node:v1.35.0", IMAGE]);
    // One write for both fields.
    assert_eq!(patches(world, NAMESPACE), [("patch".to_owned(), 200)]);
    // Served by conversion as well: the manager of the CRD's group answers on its local port.
    let old = ["get", "clusters.v1beta1.cluster.x-k8s.io", "blue", "-n", NAMESPACE, "-o", "yaml"];
    let old = world.plane().run_kubectl(&old).await.unwrap();
    assert!(old.contains("apiVersion: cluster.x-k8s.io/v1beta1"), "{old}");
}
