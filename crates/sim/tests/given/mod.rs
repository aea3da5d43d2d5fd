//! Objects of scenarios that are too many, or too random, to be written down.

#![allow(dead_code, reason = "each test file uses its own part")]

use serde_json::{Value, json};

pub(crate) const GROUP: &str = "kubernetesupgraded.dimitrikoshkin.com/v1alpha1";
const CAPI: &str = "cluster.x-k8s.io/v1beta2";

fn object(api_version: &str, kind: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": "default"}, "spec": spec})
}

/// A class with the variable `image`.
pub(crate) fn class() -> Value {
    let image = json!({"name": "image", "schema": {"openAPIV3Schema": {"type": "string"}}});
    object(CAPI, "ClusterClass", "class", &json!({"variables": [image]}))
}

/// A Cluster of three machines and two.
pub(crate) fn cluster(name: &str, version: &str) -> Value {
    let topology = json!({
        "classRef": {"name": "class"}, "version": version,
        "variables": [{"name": "image", "value": format!("image-{version}")}],
        "controlPlane": {"replicas": 3},
        "workers": {"machineDeployments": [{"class": "w", "name": "md-0", "replicas": 2}]},
    });
    object(CAPI, "Cluster", name, &json!({"topology": topology}))
}

/// An image that is there: `ami-<version>`, under the name `image-<version>`.
pub(crate) fn image(version: &str) -> Value {
    let pod = json!({"containers": [{"name": "build", "image": "builder"}]});
    let spec = json!({"version": version, "id": format!("ami-{version}"), "jobTemplate": {"spec": pod}});
    object(GROUP, "MachineImage", &format!("image-{version}"), &spec)
}

/// A plan of the name `plan`.
pub(crate) fn plan(range: &str, max_concurrent: Option<u32>) -> Value {
    object(GROUP, "Plan", "plan", &json!({"versionRange": range, "maxConcurrent": max_concurrent}))
}

/// An upgrader of the Cluster of its own name.
pub(crate) fn upgrader(cluster: &str, rollout_image_changes: bool) -> Value {
    let spec = json!({
        "clusterName": cluster, "topologyVariable": "image", "planRef": {"name": "plan"},
        "rolloutImageChanges": rollout_image_changes,
    });
    object(GROUP, "ClusterClassClusterUpgrader", cluster, &spec)
}

/// A source of every minor, a template and a syncer.
pub(crate) fn built(range: &str, build: &Value, retention: &Value) -> Vec<Value> {
    let url = "https://mirror.example.org/kubernetes/Packages";
    let pod = json!({"containers": [{"name": "build", "image": "builder"}]});
    let template = json!({"template": {"spec": {"jobTemplate": {"spec": pod}, "build": build}}});
    let source = json!({"apiVersion": GROUP, "kind": "DebianRepositorySource", "name": "debian"});
    let syncer = json!({
        "versionRange": range, "versionPolicy": "NewestOfEachMinor", "retention": retention,
        "sourceRef": source, "machineImageTemplateRef": {"name": "template"},
    });
    vec![
        object(GROUP, "DebianRepositorySource", "debian", &json!({"url": url, "interval": "1h"})),
        object(GROUP, "MachineImageTemplate", "template", &template),
        object(GROUP, "MachineImageSyncer", "syncer", &syncer),
    ]
}
