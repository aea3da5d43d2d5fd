//! Objects that the live tests begin with.

pub(crate) mod capi;

use api::upgrader::{
    cluster_upgrader, debian_repository_source, machine_image, machine_image_syncer, machine_image_template,
    plan,
};
use domain::object::Kind;
use e2e::Objects;
use serde_json::{Value, json};

const NAMESPACE: Kind = Kind { group: "", versions: &["v1"], kind: "Namespace", plural: "namespaces" };

/// A namespace of a scenario's own, so that scenarios can run beside each other.
pub(crate) async fn namespace(objects: &Objects, name: &str) {
    objects.create(&NAMESPACE, "", &json!({"metadata": {"name": name}})).await.unwrap();
}

/// The least that a Job can be made of.
pub(crate) fn pod_spec() -> Value {
    json!({"containers": [{"name": "build", "image": "registry.example.org/builder:1"}]})
}

/// A machine image to be built.
pub(crate) async fn image(objects: &Objects, namespace: &str, name: &str, version: &str) -> Value {
    let spec = json!({"version": version, "jobTemplate": {"spec": pod_spec()}});
    create(objects, &machine_image::KIND, (namespace, name), spec).await
}

/// A machine image that exists already.
pub(crate) async fn existing_image(
    objects: &Objects,
    namespace: &str,
    name: &str,
    (version, id): (&str, &str),
) -> Value {
    let spec = json!({"version": version, "id": id, "jobTemplate": {"spec": pod_spec()}});
    create(objects, &machine_image::KIND, (namespace, name), spec).await
}

/// A template for machine images.
pub(crate) async fn template(objects: &Objects, namespace: &str, name: &str, pod_spec: Value) -> Value {
    let spec = json!({"template": {"spec": {"jobTemplate": {"spec": pod_spec}}}});
    create(objects, &machine_image_template::KIND, (namespace, name), spec).await
}

/// A package repository. Its interval is so long that only what a test asks for is fetched.
pub(crate) async fn source(objects: &Objects, namespace: &str, name: &str, url: &str) -> Value {
    let spec = json!({"url": url, "interval": "1h"});
    create(objects, &debian_repository_source::KIND, (namespace, name), spec).await
}

/// A syncer of everything in a range, from a source of any kind, by the template `template`.
pub(crate) async fn syncer(
    objects: &Objects,
    namespace: &str,
    name: &str,
    (source_kind, source, range): (&Kind, &str, &str),
) -> Value {
    let spec = json!({
        "versionRange": range,
        "interval": "10s",
        "sourceRef": {"apiVersion": source_kind.api_version(), "kind": source_kind.kind, "name": source},
        "machineImageTemplateRef": {"name": "template"},
    });
    create(objects, &machine_image_syncer::KIND, (namespace, name), spec).await
}

/// A plan that selects every image of the namespace.
pub(crate) async fn plan(objects: &Objects, namespace: &str, name: &str, range: &str) -> Value {
    create(objects, &plan::KIND, (namespace, name), json!({"versionRange": range})).await
}

/// An upgrader; with `""` for a variable it sets the version only.
pub(crate) async fn upgrader(
    objects: &Objects,
    namespace: &str,
    name: &str,
    (cluster, plan, variable): (&str, &str, &str),
) -> Value {
    let spec = json!({"clusterName": cluster, "planRef": {"name": plan}, "topologyVariable": variable});
    create(objects, &cluster_upgrader::KIND, (namespace, name), spec).await
}

/// An object with a spec.
pub(crate) async fn create(
    objects: &Objects,
    kind: &Kind,
    (namespace, name): (&str, &str),
    spec: Value,
) -> Value {
    let object = json!({"metadata": {"name": name}, "spec": spec});
    objects.create(kind, namespace, &object).await.unwrap()
}

/// The resourceVersion of an object: who wrote to it changed it.
pub(crate) async fn written(objects: &Objects, (kind, namespace, name): (&Kind, &str, &str)) -> Value {
    let object = objects.get(kind, namespace, name).await.unwrap().unwrap();
    object["metadata"]["resourceVersion"].clone()
}
