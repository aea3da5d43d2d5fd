//! Objects as v0.5.0 and v0.6.0 wrote them, with their status: there before our manager is.

use api::batch::job;
use api::upgrader::{
    cluster_upgrader, debian_repository_source, machine_image, machine_image_syncer, machine_image_template,
    plan,
};
use domain::object::Kind;
use e2e::{
    BuildActor, Installed, PackageRepository, Part, ROLLED_WITHIN, WITHIN, capi, find_condition, name,
};
use serde_json::{Value, json};

use crate::recreated::{create, uid};

/// Converged, but for a build by hand.
pub(crate) const V0_5_0: &str = "v0-5-0";
/// About to move its Cluster.
pub(crate) const V0_6_0: &str = "v0-6-0";
pub(crate) const CLUSTER: &str = "production";
pub(crate) const NEWEST: &str = "v1.27.6";
pub(crate) const OLDER: &str = "v1.27.2";
/// Machine images of both namespaces.
pub(crate) const IMAGES: usize = 5;
/// Those whose Job is gone, and not to be made again.
pub(crate) const WITHOUT_JOB: usize = 1;
const FOLDER: &str = "stored/deb";
/// The image that each of them builds when our manager comes.
const BUILDING: [(&str, &str); 2] = [(V0_5_0, "by-hand"), (V0_6_0, "syncer-v1.27.6-q8z4d")];
/// An image of which v0.6.0 had not even begun.
const FRESH: &str = "fresh";

/// An object of one of the two.
struct Writer<'a> {
    world: &'a Installed,
    namespace: &'static str,
}

impl Writer<'_> {
    async fn write(&self, kind: Kind, metadata: Value, spec: Value, status: Value) -> Value {
        let body =
            json!({"apiVersion": kind.api_version(), "kind": kind.kind, "metadata": metadata, "spec": spec});
        let written = create(self.world.objects(), &kind, self.namespace, &body).await;
        if status.is_null() {
            return written;
        }
        let path = format!("{}/status", name(&written));
        self.world.objects().merge(&kind, self.namespace, &path, &json!({"status": status})).await.unwrap()
    }

    /// Source, template and syncer, which is given back.
    async fn roots(&self, packages: &PackageRepository, spec_of_syncer: Value) -> Value {
        let found = json!({"versions": ["v1.27.2", "v1.27.5", NEWEST]});
        let source = json!({"url": packages.url(FOLDER), "architecture": "amd64"});
        self.write(debian_repository_source::KIND, json!({"name": "source"}), source, found).await;
        let template = json!({"template": {"spec": {"jobTemplate": {"spec": pod_spec("", 0)}}}});
        self.write(machine_image_template::KIND, json!({"name": "template"}), template, Value::Null).await;
        let mut spec = json!({
            "versionRange": "v1.27.x",
            "sourceRef": {
                "apiVersion": debian_repository_source::KIND.api_version(), "kind": "DebianRepositorySource",
                "name": "source", "namespace": self.namespace,
            },
            "machineImageTemplateRef": {"name": "template", "namespace": self.namespace},
        });
        spec.as_object_mut().unwrap().extend(spec_of_syncer.as_object().unwrap().clone());
        let status = json!({"latestVersion": NEWEST});
        self.write(machine_image_syncer::KIND, json!({"name": "syncer"}), spec, status).await
    }

    /// A machine image whose stored template has the version so often.
    async fn image(
        &self,
        image: &str,
        version: &str,
        repeated: usize,
        id: Option<&str>,
        owner: Value,
    ) -> Value {
        let mut metadata = json!({"name": image});
        if !owner.is_null() {
            metadata["generateName"] = json!(format!("syncer-{version}-"));
            metadata["ownerReferences"] = json!([owner]);
            metadata["annotations"] =
                json!({"kubernetes-upgrader.dimitrikoshkin.com/cloned-from": "template"});
            metadata["labels"] = json!({
                "kubernetes-upgrader.dimitrikoshkin.com/machine-image-syncer-name": "syncer",
                "kubernetes-upgrader.dimitrikoshkin.com/kubernetes-version": version,
            });
        }
        let mut spec = json!({"version": version, "jobTemplate": {"spec": pod_spec(version, repeated)}});
        if let Some(id) = id {
            spec["id"] = json!(id);
        }
        self.write(machine_image::KIND, metadata, spec, Value::Null).await
    }

    /// The original's Job of an image, and what the status of the image then says.
    async fn job(&self, image: &Value, labels: Value, typed: bool, phase: &str) -> Value {
        let version = image["spec"]["version"].as_str().unwrap();
        let metadata = json!({
            "name": format!("{}-abcde", name(image)), "generateName": format!("{}-", name(image)), "labels": labels,
            "ownerReferences": [reference(image, true)],
        });
        let spec = json!({"template": {"spec": pod_spec(version, 3)}});
        let job = self.write(job::KIND, metadata, spec, Value::Null).await;
        let mut status = json!({"phase": phase, "jobRef": {
            "namespace": self.namespace, "name": name(&job), "uid": uid(&job),
            "resourceVersion": job["metadata"]["resourceVersion"],
        }});
        if typed {
            status["jobRef"]["apiVersion"] = json!("batch/v1");
            status["jobRef"]["kind"] = json!("Job");
        }
        if phase == "Created" {
            status["ready"] = json!(true);
        }
        self.status(image, status).await;
        job
    }

    async fn status(&self, image: &Value, status: Value) {
        let path = format!("{}/status", name(image));
        let status = json!({"status": status});
        self.world.objects().merge(&machine_image::KIND, self.namespace, &path, &status).await.unwrap();
    }

    async fn upgrader(&self, plan_status: Value, latest: &str) {
        let spec = json!({"versionRange": "v1.27.x", "machineImageSelector": {}});
        self.write(plan::KIND, json!({"name": "plan"}), spec, plan_status).await;
        let spec = json!({"clusterName": CLUSTER, "planRef": {"name": "plan", "namespace": self.namespace}});
        let status = json!({"latestSetVersion": latest});
        self.write(cluster_upgrader::KIND, json!({"name": "upgrader"}), spec, status).await;
    }
}

fn pod_spec(version: &str, repeated: usize) -> Value {
    let variable = json!({"name": "KUBERNETES_VERSION", "value": version});
    json!({"restartPolicy": "Never", "containers": [
        {"name": "builder", "image": "example.org/builder:v1", "env": vec![variable; repeated]},
    ]})
}

/// A plain reference, or a controller's.
fn reference(owner: &Value, controller: bool) -> Value {
    let mut reference = json!({
        "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": name(owner), "uid": uid(owner),
    });
    if controller {
        reference["controller"] = json!(true);
        reference["blockOwnerDeletion"] = json!(true);
    }
    reference
}

fn details(version: &str) -> Value {
    json!({"version": version, "id": format!("kindest/node:{version}")})
}

/// Writes both namespaces. Builds end until here, and hang from here on.
pub(crate) async fn write(world: &Installed, packages: &PackageRepository, builds: &BuildActor) {
    for version in ["1.27.2-1.1", "1.27.5-1.1", "1.27.6-1.1"] {
        packages.publish(FOLDER, version);
    }
    let owned = json!({"image-builder.kubernetesupgraded.dimitrikoshkin.com/owned": ""});

    let old = Writer { world, namespace: V0_5_0 };
    let syncer = old.roots(packages, json!({})).await;
    let built = old
        .image("syncer-v1.27.6-x7k2p", NEWEST, 2, Some("kindest/node:v1.27.6"), reference(&syncer, false))
        .await;
    let job = old.job(&built, owned.clone(), false, "Created").await;
    let job = format!("jobs/{}", name(&job));
    world.plane().wait_for("condition=Complete", &job, V0_5_0, WITHIN).await.unwrap();
    builds.play(Part::Hangs);
    let by_hand = old.image(BUILDING[0].1, "v1.27.4", 2, None, Value::Null).await;
    old.job(&by_hand, owned, false, "Building").await;
    // Its image was deleted, and is nevertheless what it says (v0.5.0 knew no phase).
    let stale = json!({
        "machineImageDetails": details("v1.27.9"),
        "machineImageRef": {
            "apiVersion": machine_image::KIND.api_version(), "kind": "MachineImage", "namespace": V0_5_0,
            "name": "syncer-v1.27.9-gone0", "uid": "4f0d8a9e-6c0b-4a51-9b39-0b3d0f4e9c11", "resourceVersion": "812",
        },
    });
    old.upgrader(stale, "1.27.6").await;

    let new = Writer { world, namespace: V0_6_0 };
    let syncer = new.roots(packages, json!({"paused": false, "interval": 3_600_000_000_000_i64})).await;
    let by_name = |image: &str| json!({"kubernetesupgraded.dimitrikoshkin.com/machine-image-name": image});
    let before = new
        .image("syncer-v1.27.2-m2n7b", OLDER, 5, Some("kindest/node:v1.27.2"), reference(&syncer, true))
        .await;
    // Somebody has cleaned up its Job.
    let gone = json!({
        "apiVersion": "batch/v1", "kind": "Job", "namespace": V0_6_0, "name": "syncer-v1.27.2-m2n7b-fghij",
        "uid": "0e6b7a52-3a0e-4d63-8f0a-54c5d5a3f7aa", "resourceVersion": "433",
    });
    new.status(&before, json!({"ready": true, "phase": "Created", "jobRef": gone})).await;
    let building = new.image(BUILDING[1].1, NEWEST, 2, None, reference(&syncer, true)).await;
    new.job(&building, by_name(name(&building)), true, "Building").await;
    new.image(FRESH, "v1.27.1", 4, None, Value::Null).await;
    let found = json!({
        "phase": "FoundMachineImage", "machineImageDetails": details(OLDER),
        "machineImageRef": {
            "apiVersion": machine_image::KIND.api_version(), "kind": "MachineImage", "namespace": V0_6_0,
            "name": name(&before), "uid": uid(&before), "resourceVersion": before["metadata"]["resourceVersion"],
        },
    });
    new.upgrader(found, OLDER).await;
}

/// The builds under way are taken for ours.
pub(crate) async fn await_adopted(world: &Installed) {
    for (namespace, image) in BUILDING {
        let image = (&machine_image::KIND, namespace, image);
        let adopted =
            world.objects().await_condition(image, ("Ready", "False", "Building"), WITHIN).await.unwrap();
        assert_eq!(adopted["status"]["jobRef"]["name"], format!("{}-abcde", image.2));
    }
}

/// What has become of both in the end.
pub(crate) async fn check(world: &Installed) {
    let objects = world.objects();
    for (namespace, images, jobs) in [(V0_5_0, 2, 2), (V0_6_0, 3, 2)] {
        let upgrader = (&cluster_upgrader::KIND, namespace, "upgrader");
        let at_newest = |upgrader: &Value| {
            upgrader["status"]["latestSetVersion"] == NEWEST
                && find_condition(upgrader, "UpToDate")["status"] == "True"
        };
        objects
            .await_object("the Cluster is at the newest", upgrader, ROLLED_WITHIN, at_newest)
            .await
            .unwrap();
        let cluster = objects.get(&capi::CLUSTER, namespace, CLUSTER).await.unwrap().unwrap();
        assert_eq!(cluster["spec"]["topology"]["version"], NEWEST);
        let plan = objects.get(&plan::KIND, namespace, "plan").await.unwrap().unwrap();
        assert_eq!(plan["status"]["machineImageDetails"], details(NEWEST));
        let all = objects.list(&machine_image::KIND, namespace).await.unwrap();
        assert_eq!(all.len(), images, "{}", objects.describe(namespace).await);
        for image in &all {
            assert_eq!(image["status"]["ready"], true, "{image:#}");
        }
        let all = objects.list(&job::KIND, namespace).await.unwrap();
        assert_eq!(all.len(), jobs, "{}", objects.describe(namespace).await);
        for job in all.iter().filter(|job| name(job).starts_with(FRESH)) {
            let told = &job["spec"]["template"]["spec"]["containers"][0]["env"];
            assert_eq!(*told, json!([{"name": "KUBERNETES_VERSION", "value": "v1.27.1"}]));
        }
    }
}
