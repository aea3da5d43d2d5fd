//! The objects that the original leaves in a namespace, and what must become of them.

use api::upgrader::{machine_image, machine_image_syncer, plan};
use controlplane::ControlPlane;
use e2e::{Installed, Objects, PackageRepository, WITHIN};
use serde_json::json;

pub(crate) const NAMESPACE: &str = "default";
pub(crate) const SYNCER: &str = "syncer";
pub(crate) const FOLDER: &str = "v1.27/deb";
const IMAGE: &str = "syncer-v1.27.5-x7k2p";

/// Nothing that is to be stored: what somebody tries while the original's webhooks have nobody to ask.
pub(crate) const ANOTHER_IMAGE: &str = r#"{"apiVersion": "kubernetesupgraded.dimitrikoshkin.com/v1alpha1",
    "kind": "MachineImage", "metadata": {"name": "refused", "namespace": "default"}, "spec": {"version": "v1.27.5",
    "id": "x", "jobTemplate": {"spec": {"containers": [{"name": "builder", "image": "none"}]}}}}"#;

/// What v0.6.0 has stored: everything but a Cluster, with one version built and no other there.
pub(crate) async fn write(plane: &ControlPlane, packages: &PackageRepository) {
    packages.publish(FOLDER, "1.27.5-1.1");
    let object = |kind: &str, name: &str, spec: serde_json::Value| {
        let api_version = "kubernetesupgraded.dimitrikoshkin.com/v1alpha1";
        let metadata = json!({"name": name, "namespace": NAMESPACE});
        json!({"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec})
    };
    let job = json!({"spec": {"restartPolicy": "Never", "containers": [
        {"name": "builder", "image": "example.org/builder:v1"},
    ]}});
    let source_ref = json!({
        "apiVersion": "kubernetesupgraded.dimitrikoshkin.com/v1alpha1", "kind": "DebianRepositorySource",
        "name": "source", "namespace": NAMESPACE,
    });
    let objects = [
        object(
            "DebianRepositorySource",
            "source",
            json!({"url": packages.url(FOLDER), "architecture": "amd64"}),
        ),
        object("MachineImageTemplate", "template", json!({"template": {"spec": {"jobTemplate": job}}})),
        object(
            "MachineImageSyncer",
            SYNCER,
            json!({
                "versionRange": "v1.27.x", "sourceRef": source_ref, "interval": 3_600_000_000_000_i64,
                "machineImageTemplateRef": {"name": "template", "namespace": NAMESPACE},
            }),
        ),
        object("Plan", "plan", json!({"versionRange": "v1.27.x", "machineImageSelector": {}})),
        object(
            "ClusterClassClusterUpgrader",
            "upgrader",
            json!({
                "clusterName": "production", "planRef": {"name": "plan", "namespace": NAMESPACE},
            }),
        ),
    ];
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    plane.apply_yaml(&list.to_string()).await.unwrap();

    let stored = Objects::new(plane.client().await.unwrap());
    let syncer = stored.get(&machine_image_syncer::KIND, NAMESPACE, SYNCER).await.unwrap().unwrap();
    let mut image = object(
        "MachineImage",
        IMAGE,
        json!({
            "version": "v1.27.5", "id": "kindest/node:v1.27.5", "jobTemplate": job,
        }),
    );
    image["metadata"]["labels"] = json!({
        "kubernetes-upgrader.dimitrikoshkin.com/machine-image-syncer-name": SYNCER,
        "kubernetes-upgrader.dimitrikoshkin.com/kubernetes-version": "v1.27.5",
    });
    image["metadata"]["ownerReferences"] = json!([{
        "apiVersion": syncer["apiVersion"], "kind": syncer["kind"], "name": SYNCER, "uid": syncer["metadata"]["uid"],
        "controller": true, "blockOwnerDeletion": true,
    }]);
    plane.apply_yaml(&image.to_string()).await.unwrap();

    // What the original's controllers wrote.
    let status = async |kind, name: &str, status| {
        let name = format!("{name}/status");
        stored.merge(&kind, NAMESPACE, &name, &json!({"status": status})).await.unwrap();
    };
    status(machine_image_syncer::KIND, SYNCER, json!({"latestVersion": "v1.27.5"})).await;
    status(machine_image::KIND, IMAGE, json!({"ready": true, "phase": "Created"})).await;
    let found = json!({
        "phase": "FoundMachineImage",
        "machineImageDetails": {"version": "v1.27.5", "id": "kindest/node:v1.27.5"},
        "machineImageRef": {"name": IMAGE, "namespace": NAMESPACE},
    });
    status(plan::KIND, "plan", found).await;
}

/// Awaits that the plan is at this version, by conditions, which the original's stale result has none of.
pub(crate) async fn await_newest(world: &Installed, version: &str) {
    let what = format!("the plan is at {version}");
    let plan = (&plan::KIND, NAMESPACE, "plan");
    let found = |plan: &serde_json::Value| {
        plan["status"]["machineImageDetails"]["version"] == version
            && e2e::find_condition(plan, "UpToDate")["status"] == "True"
    };
    world.objects().await_object(&what, plan, 2 * WITHIN, found).await.unwrap();
}
