//! One control plane with the CRDs of Cluster API, a plan, and a Cluster for each way of applying it.

use std::time::Duration;

use api::capi::cluster;
use api::upgrader::cluster_upgrader;
use e2e::{Expected, Installed, Objects};
use serde_json::{Value, json};

use super::{argo, conflict, flux};
use crate::given;

pub(super) const NAMESPACE: &str = "gitops";
/// Who writes version and variable: the upgraders' controller, by a JSON Patch.
pub(super) const OURS: &str = "kubernetes-upgrader-clusterclassclusterupgrader Update";
/// What stands in Git.
pub(super) const IN_GIT: (&str, &str) = ("v1.35.0", "image-in-git");
pub(super) const FIRST: (&str, &str) = ("v1.35.1", "image-1");
pub(super) const SECOND: (&str, &str) = ("v1.35.2", "image-2");
/// A Cluster is watched for 15 s before it is written to.
const SET_WITHIN: Duration = Duration::from_secs(90);

/// The Cluster as it stands in Git, with version and image, or without both. Beside the image there is a variable of Git's own.
pub(super) fn in_git(name: &str, set: Option<(&str, &str)>) -> Value {
    let mut topology = json!({
        "classRef": {"name": "class"},
        "variables": [{"name": "region", "value": "here"}],
    });
    if let Some((version, image)) = set {
        topology["version"] = version.into();
        topology["variables"] =
            json!([{"name": "image", "value": image}, {"name": "region", "value": "here"}]);
    }
    json!({
        "apiVersion": cluster::KIND.api_version(), "kind": cluster::KIND.kind,
        "metadata": {"name": name, "namespace": NAMESPACE}, "spec": {"topology": topology},
    })
}

/// Version and image of a Cluster.
pub(super) fn set(cluster: &Value) -> (&str, &str) {
    let topology = &cluster["spec"]["topology"];
    let variables = topology["variables"].as_array().unwrap();
    let image = variables.iter().find(|variable| variable["name"] == "image");
    let image = image.and_then(|image| image["value"].as_str()).unwrap_or_default();
    (topology["version"].as_str().unwrap(), image)
}

/// Who owns a field below `spec.topology`, as `manager operation`, by `metadata.managedFields`.
pub(super) fn owners(cluster: &Value, path: &[&str]) -> Vec<String> {
    let entries = cluster["metadata"]["managedFields"].as_array().unwrap();
    let owns = |entry: &&Value| {
        let topology = &entry["fieldsV1"]["f:spec"]["f:topology"];
        !path.iter().fold(topology, |fields, key| &fields[*key]).is_null()
    };
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let owning = entries.iter().filter(owns);
    owning.map(|entry| format!("{} {}", text(&entry["manager"]), text(&entry["operation"]))).collect()
}

pub(super) const VERSION: &[&str] = &["f:version"];
pub(super) const IMAGE: &[&str] = &["f:variables", "k:{\"name\":\"image\"}", "f:value"];
pub(super) const REGION: &[&str] = &["f:variables", "k:{\"name\":\"region\"}", "f:value"];

pub(super) async fn get(objects: &Objects, name: &str) -> Value {
    objects.get(&cluster::KIND, NAMESPACE, name).await.unwrap().unwrap()
}

/// Awaits our write.
pub(super) async fn await_set(objects: &Objects, name: &str, wanted: (&str, &str)) -> Value {
    let what = format!("{name} has {} and {}", wanted.0, wanted.1);
    let object = (&cluster::KIND, NAMESPACE, name);
    objects.await_object(&what, object, SET_WITHIN, |cluster| set(cluster) == wanted).await.unwrap()
}

/// Lets our controller move a Cluster that is there, up to the first write.
pub(super) async fn upgrade(objects: &Objects, name: &str) -> Value {
    given::capi::settle(objects, NAMESPACE, name).await;
    given::upgrader(objects, NAMESPACE, name, (name, "plan", "image")).await;
    let cluster = await_set(objects, name, FIRST).await;
    assert_eq!((owners(&cluster, VERSION), owners(&cluster, IMAGE)), (vec![OURS.into()], vec![OURS.into()]));
    cluster
}

/// A newer image, for all Clusters.
pub(super) async fn publish_second(objects: &Objects) {
    given::existing_image(objects, NAMESPACE, "second", SECOND).await;
}

#[tokio::test]
async fn what_a_gitops_tool_applies_and_what_becomes_of_our_write() {
    let mut world = Installed::start().await.unwrap();
    world.plane_mut().install_cluster_api_crds().await.unwrap();
    let objects = world.objects().clone();
    given::namespace(&objects, NAMESPACE).await;
    given::capi::create_class(&objects, NAMESPACE).await;
    given::existing_image(&objects, NAMESPACE, "first", FIRST).await;
    given::plan(&objects, NAMESPACE, "plan", "v1.35.x").await;
    let manager = world.start_manager_with(&[]).await.unwrap();

    flux::before_our_write(&objects).await;
    let (flux, no_image, argo, by_kubectl, conflict) = tokio::join!(
        flux::after_our_write(&objects),
        flux::image_never_in_git(&objects),
        argo::server_side_with_live_values(&objects),
        argo::client_side_with_live_values(world.plane(), &objects),
        conflict::same_version_another_image(&objects),
    );
    publish_second(&objects).await;
    for name in [flux, no_image, argo, by_kubectl, conflict] {
        let cluster = await_set(&objects, name, SECOND).await;
        assert_eq!(owners(&cluster, VERSION), [OURS], "{name}: the next write is ours again");
        assert_eq!(owners(&cluster, IMAGE), [OURS], "{name}");
    }

    let upgraders = objects.list(&cluster_upgrader::KIND, NAMESPACE).await.unwrap();
    assert_eq!(upgraders.len(), 5);
    assert!(manager.terminate().await.unwrap().success());
    let expected = Expected::nothing().machine_images(2).writes_at_most(100);
    println!("{:?}", world.finish(expected).await.unwrap());
}
