//! A Cluster two minors behind. With no image of the minor between it stays where it is, and says which one it lacks; with one it
//! walks both hops by itself, each with its own image.

use std::collections::BTreeSet;

use api::upgrader::{cluster_upgrader, plan};
use controlplane::ClassCluster;
use e2e::{
    Apply, BuildActor, Installed, Objects, PackageRepository, Part, ROLLED_WITHIN, Rollout, WITHIN, capi,
    find_condition,
};
use serde_json::{Value, json};

use crate::steps::Recorder;
use crate::{agree, built, patches, wait};

const NAMESPACE: &str = "paths";
const CLUSTER: &str = "behind";
const FROM: &str = "v1.34.0";
const MIDDLE: &str = "v1.35.1";
const TO: &str = "v1.36.1";
const FOLDER: &str = "all/deb";
const MANIFEST: &str = include_str!("../../fixtures/paths.yaml");
/// What the Cluster starts with: any text that a variable may hold.
const IMAGE: &str = "registry.example.org/node: v1.34.0 \"quoted\"";
const UPGRADER: &str = "clusterclassclusterupgraders/behind";

/// What the controllers do, without the hashes of names.
pub(crate) const STEPS: [&str; 8] = [
    "MachineImage node-v1.36.1: created for v1.36.1",
    "Job node-v1.36.1: created",
    "MachineImage node-v1.36.1: has image image-v1.36.1",
    "MachineImage node-v1.35.1: created for v1.35.1",
    "Job node-v1.35.1: created",
    "MachineImage node-v1.35.1: has image image-v1.35.1",
    "Cluster behind: set v1.34.0 → v1.35.1 with image image-v1.35.1",
    "Cluster behind: set v1.35.1 → v1.36.1 with image image-v1.36.1",
];

fn image(version: &str) -> String {
    format!("image-{version}-built")
}

/// The Cluster.
pub(crate) fn cluster() -> ClassCluster {
    let cluster = ClassCluster::new(CLUSTER, FROM).with_image(IMAGE);
    ClassCluster { namespace: NAMESPACE.to_owned(), worker_replicas: 1, ..cluster }
}

/// What is applied beside it, for a repository at this address.
pub(crate) fn manifest(url: &str) -> String {
    MANIFEST.replace("$URL", url)
}

/// A machine's version, and what its KubeadmConfig runs.
type Machine = (String, String);

/// Every machine that there is.
async fn machines(objects: &Objects) -> e2e::Result<BTreeSet<Machine>> {
    let configs = objects.list(&capi::KUBEADM_CONFIG, NAMESPACE).await?;
    let mut machines = BTreeSet::new();
    for machine in objects.list(&capi::MACHINE, NAMESPACE).await? {
        let config = &machine["spec"]["bootstrap"]["configRef"]["name"];
        let config = configs.iter().find(|found| found["metadata"]["name"] == *config);
        let commands = config.map(|config| config["spec"]["preKubeadmCommands"].to_string());
        // One of them may be gone between the two lists.
        if let Some(commands) = commands {
            machines.insert((machine["spec"]["version"].as_str().unwrap_or_default().to_owned(), commands));
        }
    }
    Ok(machines)
}

fn machine(version: &str, image: &str) -> Machine {
    (version.to_owned(), json!([ClassCluster::image_command(image)]).to_string())
}

/// Every machine has this version and its image. Notes all machines seen on the way.
async fn rolled(objects: &Objects, version: &str, seen: &mut BTreeSet<Machine>) {
    let what = format!("every machine has {version} and its image");
    let complete = async || {
        seen.extend(machines(objects).await?);
        let rollout = Rollout::of(objects, (NAMESPACE, CLUSTER), version, &image(version)).await?;
        Ok(rollout.is_complete().then_some(()))
    };
    objects.await_that(&what, NAMESPACE, ROLLED_WITHIN, complete).await.unwrap();
}

/// The middle image is missing: the Plan knows its result, and the Cluster cannot get there.
async fn waits_for_the_middle(world: &Installed) {
    let objects = world.objects();
    let upgrader = (&cluster_upgrader::KIND, NAMESPACE, CLUSTER);
    let waits = ("UpToDate", "False", "NoImageForHop");
    let waits = objects.await_condition(upgrader, waits, ROLLED_WITHIN).await.unwrap();
    let message = find_condition(&waits, "UpToDate")["message"].as_str().unwrap();
    assert!(message.contains("v1.35") && !message.contains("v1.35."), "{message}");
    assert_eq!(find_condition(&waits, "Ready")["status"], "True", "an orderly wait");
    assert_eq!(waits["status"]["waiting"]["reason"], "NoImageForHop", "{waits}");
    let plan = objects.get(&plan::KIND, NAMESPACE, "newest").await.unwrap().unwrap();
    assert_eq!(plan["status"]["machineImageDetails"], json!({"version": TO, "id": image(TO)}));
    let minors = |plan: &Value| -> Vec<Value> {
        let path = plan["status"]["path"].as_array().unwrap();
        path.iter().map(|entry| entry["minor"].clone()).collect()
    };
    assert_eq!(minors(&plan), ["v1.36"], "from the lowest minor that has an image");
    assert_eq!(patches(world, NAMESPACE), []);
}

pub(crate) async fn play(world: &Installed, builds: &BuildActor) {
    let objects = world.objects();
    let repository = PackageRepository::start().await.unwrap();
    repository.publish(FOLDER, "1.36.1-1.1");
    builds.play_in(NAMESPACE, Part::Annotates(image("{version}")));
    let (cluster, manifest) = (cluster(), manifest(&repository.url(FOLDER)));
    world.plane().create_class_cluster(&cluster).await.unwrap();
    let recorder = Recorder::start(world, NAMESPACE).await;
    world.plane().apply_yaml(&manifest).await.unwrap();
    waits_for_the_middle(world).await;

    repository.publish(FOLDER, "1.35.1-1.1");
    let mut seen = BTreeSet::new();
    rolled(objects, MIDDLE, &mut seen).await;
    rolled(objects, TO, &mut seen).await;
    wait(world, NAMESPACE, "UpToDate", UPGRADER, WITHIN).await;
    // No machine ever had an image of another version than its own.
    let images = [machine(FROM, IMAGE), machine(MIDDLE, &image(MIDDLE)), machine(TO, &image(TO))];
    assert_eq!(seen, BTreeSet::from(images));
    assert_eq!(patches(world, NAMESPACE), [("patch".to_owned(), 200), ("patch".to_owned(), 200)]);
    assert_eq!(built(builds, NAMESPACE), [TO, MIDDLE]);
    gitops_is_refused(objects, &cluster).await;
    let steps = recorder.steps();
    assert_eq!(steps, STEPS);
    assert_eq!(agree::simulated(&cluster, &manifest).await, steps);
}

/// A GitOps tool that still has the first version in Git, on the real Cluster API: the whole of its apply is refused.
async fn gitops_is_refused(objects: &Objects, cluster: &ClassCluster) {
    let in_git = cluster.cluster_manifest();
    let applied = objects.apply(&capi::CLUSTER, Apply::forced("kustomize-controller"), &in_git).await;
    let words = applied.unwrap_err().to_string();
    assert!(words.contains("version cannot be decreased"), "{words}");
}
