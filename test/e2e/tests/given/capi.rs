//! Objects of Cluster API as its controllers would leave them, for where there are none: only its CRDs.

use api::capi::{cluster, cluster_class};
use e2e::Objects;
use serde_json::{Value, json};

/// The version of the Clusters.
pub(crate) const FROM: &str = "v1.35.0";

/// A Cluster at [`FROM`], with something else about it.
pub(crate) fn with(other: Value) -> Value {
    let mut cluster = json!({"spec": {"topology": {"classRef": {"name": "class"}, "version": FROM}}});
    merge(&mut cluster, other);
    cluster
}

fn merge(into: &mut Value, other: Value) {
    match (into, other) {
        (Value::Object(into), Value::Object(other)) => {
            for (key, value) in other {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, other) => *into = other,
    }
}

fn condition(type_: &str, status: &str, generation: i64) -> Value {
    json!({
        "type": type_, "status": status, "reason": "Test", "message": "", "observedGeneration": generation,
        "lastTransitionTime": "2026-11-21T10:00:00Z",
    })
}

/// What Cluster API says of a Cluster at rest.
fn at_rest(generation: i64) -> Value {
    json!({"status": {
        "phase": "Provisioned",
        "initialization": {"infrastructureProvisioned": true, "controlPlaneInitialized": true},
        "conditions": [
            condition("Available", "True", generation), condition("RollingOut", "False", generation),
            condition("TopologyReconciled", "True", generation),
        ],
        "controlPlane": {"desiredReplicas": 1, "replicas": 1, "upToDateReplicas": 1},
        "workers": {"desiredReplicas": 2, "replicas": 2, "upToDateReplicas": 2},
    }})
}

/// What Cluster API says of a class with these string variables.
pub(crate) fn reconciled(variables: &[&str]) -> Value {
    let string = json!({"openAPIV3Schema": {"type": "string"}});
    let definitions = json!([{"from": "inline", "required": false, "schema": string}]);
    let variables: Vec<Value> = variables
        .iter()
        .map(|name| json!({"name": name, "definitionsConflict": false, "definitions": definitions}))
        .collect();
    json!({"status": {
        "observedGeneration": 1,
        "conditions": [condition("VariablesReady", "True", 1)],
        "variables": variables,
    }})
}

/// A Cluster at rest.
pub(crate) async fn create_cluster(objects: &Objects, namespace: &str, name: &str, mut cluster: Value) {
    merge(&mut cluster, json!({"metadata": {"name": name}}));
    objects.create(&cluster::KIND, namespace, &cluster).await.unwrap();
    settle(objects, namespace, name).await;
}

/// Says of a Cluster that its topology is as its spec wants it, as Cluster API does when all machines are there.
pub(crate) async fn settle(objects: &Objects, namespace: &str, name: &str) {
    let cluster = objects.get(&cluster::KIND, namespace, name).await.unwrap().unwrap();
    let generation = cluster["metadata"]["generation"].as_i64().unwrap();
    let status = format!("{name}/status");
    objects.merge(&cluster::KIND, namespace, &status, &at_rest(generation)).await.unwrap();
}

/// The class `class`, reconciled, with the variable `image`.
pub(crate) async fn create_class(objects: &Objects, namespace: &str) {
    let template = |kind: &str| json!({"templateRef": {"apiVersion": "infrastructure.cluster.x-k8s.io/v1beta2", "kind": kind, "name": "x"}});
    let spec = json!({
        "infrastructure": template("DevClusterTemplate"), "controlPlane": template("DevControlPlaneTemplate"),
    });
    super::create(objects, &cluster_class::KIND, (namespace, "class"), spec).await;
    let known = reconciled(&["image"]);
    objects.merge(&cluster_class::KIND, namespace, "class/status", &known).await.unwrap();
}
