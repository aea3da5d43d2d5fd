//! The original's two example files, ours by their names and as they were, each pair in namespaces of its own.

use std::path::Path;

use api::upgrader::{cluster_upgrader, debian_repository_source, machine_image, machine_image_syncer, plan};
use e2e::{Installed, PackageRepository, ROLLED_WITHIN, Sample, WITHIN, capi, find_condition, repository};
use serde_json::Value;

/// The Cluster that the static example names.
pub(crate) const CLUSTER: &str = "capi-quickstart";
/// What the quick start makes.
pub(crate) const FROM: &str = "v1.26.3";
/// The newest version that the repositories have in the range of the example.
pub(crate) const NEWEST: &str = "v1.27.6";
const PACKAGES: [&str; 5] = ["1.27.0-2.1", "1.27.2-1.1", "1.27.6-1.1", "1.27.6-2.1", "1.27.3-1.1"];
const STATIC: &str = "example-docker-static.yaml";
const VSPHERE: &str = "example-vsphere-with-job-template.yaml";

/// Four of the static file and one of its syncer.
pub(crate) const STATIC_IMAGES: usize = 5;
/// With the one for vSphere.
pub(crate) const IMAGES: usize = STATIC_IMAGES + 1;

const UPGRADER: &str = "clusterclassclusterupgrader-sample";
const PLAN: &str = "plan-sample";
const SYNCER: &str = "machineimagesyncer-sample";
const SOURCE: &str = "debianrepositorysource-sample";

/// Both files in one shape.
pub(crate) struct Example {
    /// Of the static example.
    pub(crate) namespace: &'static str,
    /// Of the one for vSphere: both have a plan of the same name.
    vsphere: &'static str,
    files: [Sample; 2],
}

impl Example {
    /// Ours, and in the original's shape.
    pub(crate) fn both(packages: &PackageRepository) -> [Self; 2] {
        let read = |folder: &Path, file: &str| {
            let sample = Sample::read(folder.join(file).to_str().unwrap(), packages).unwrap();
            for folder in &sample.folders {
                for version in PACKAGES {
                    packages.publish(folder, version);
                }
            }
            sample
        };
        let (ours, original) =
            (repository().join("config/samples"), repository().join("test/e2e/fixtures/original"));
        [
            Self {
                namespace: "static",
                vsphere: "vsphere",
                files: [read(&ours, STATIC), read(&ours, VSPHERE)],
            },
            Self {
                namespace: "static-original",
                vsphere: "vsphere-original",
                files: [read(&original, STATIC), read(&original, VSPHERE)],
            },
        ]
    }

    /// `kubectl apply -f`, which refuses what it does not know.
    pub(crate) async fn apply(&self, world: &Installed) {
        let plane = world.plane();
        plane.run_kubectl(&["create", "namespace", self.vsphere]).await.unwrap();
        let secret =
            ["create", "secret", "generic", "image-builder-vsphere-vars", "--from-literal=vsphere.json={}"];
        plane.run_kubectl(&[&secret[..], &["-n", self.vsphere]].concat()).await.unwrap();
        for (namespace, sample) in [self.namespace, self.vsphere].into_iter().zip(&self.files) {
            let file = plane.write_file(&format!("{namespace}.yaml"), &sample.yaml).unwrap();
            plane.run_kubectl(&["apply", "-n", namespace, "-f", file.to_str().unwrap()]).await.unwrap();
        }
    }

    /// Every image is built, and both plans chose.
    pub(crate) async fn await_images(&self, world: &Installed) {
        let what = format!("all images of {} and {} have ids", self.namespace, self.vsphere);
        let built = async || {
            let mut images = world.objects().list(&machine_image::KIND, self.namespace).await?;
            images.extend(world.objects().list(&machine_image::KIND, self.vsphere).await?);
            let built = images.iter().filter(|image| {
                let version = image["spec"]["version"].as_str().unwrap_or_default();
                image["spec"]["id"] == format!("kindest/node:{version}")
            });
            Ok((built.count() == IMAGES).then_some(()))
        };
        world.objects().await_that(&what, self.namespace, 2 * WITHIN, built).await.unwrap();
        for (namespace, version) in [(self.namespace, NEWEST), (self.vsphere, "v1.26.8")] {
            let found = |plan: &Value| {
                plan["status"]["machineImageDetails"]["version"] == version
                    && find_condition(plan, "UpToDate")["status"] == "True"
            };
            let plan = (&plan::KIND, namespace, PLAN);
            world.objects().await_object("the plan has chosen", plan, WITHIN, found).await.unwrap();
        }
    }

    /// The Cluster runs the newest version, everywhere.
    pub(crate) async fn await_upgraded(&self, world: &Installed) {
        let objects = world.objects();
        let done = |upgrader: &Value| {
            upgrader["status"]["latestSetVersion"] == NEWEST
                && find_condition(upgrader, "UpToDate")["status"] == "True"
        };
        let upgrader = (&cluster_upgrader::KIND, self.namespace, UPGRADER);
        objects.await_object("the Cluster is upgraded", upgrader, 2 * ROLLED_WITHIN, done).await.unwrap();
        let cluster = objects.get(&capi::CLUSTER, self.namespace, CLUSTER).await.unwrap().unwrap();
        assert_eq!(cluster["spec"]["topology"]["version"], NEWEST);
        let machines = objects.list(&capi::MACHINE, self.namespace).await.unwrap();
        assert!(
            machines.len() == 2 && machines.iter().all(|it| it["spec"]["version"] == NEWEST),
            "{machines:#?}"
        );
    }
}

/// What users wait with.
pub(crate) async fn kubectl_waits(world: &Installed, namespace: &str) {
    let ready = [
        (debian_repository_source::KIND, SOURCE),
        (machine_image_syncer::KIND, SYNCER),
        (machine_image::KIND, "machineimage-sample-1-27-2"),
        (plan::KIND, PLAN),
        (cluster_upgrader::KIND, UPGRADER),
    ];
    for (kind, name) in ready {
        let object = format!("{}.{}/{name}", kind.plural, kind.group);
        world.plane().wait_for("condition=Ready", &object, namespace, WITHIN).await.unwrap();
        if kind != debian_repository_source::KIND && kind != machine_image::KIND {
            world.plane().wait_for("condition=UpToDate", &object, namespace, WITHIN).await.unwrap();
        }
    }
}
