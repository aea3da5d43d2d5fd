//! `clusterctl move`, as far as it can be played on one control plane: the namespace is the old management cluster until all is
//! dumped and deleted, and the new one from then on. The order, and what is lost, are clusterctl's.

use api::clusterctl::BLOCK_MOVE_ANNOTATION;
use api::upgrader::{
    cluster_upgrader, debian_repository_source, machine_image, machine_image_syncer, machine_image_template,
    plan,
};
use domain::object::Kind;
use e2e::{BuildActor, Installed, Manager, Part, WITHIN, capi, name};
use serde_json::{Value, json};

use crate::recreated::{Uids, create, owners, recreate, uid};
use crate::samples::{self, Example};
use crate::{builder, count, effects};

const NAMESPACE: &str = "default";
/// Kinds of which no object has an owner.
const ROOTS: [Kind; 5] = [
    debian_repository_source::KIND,
    machine_image_template::KIND,
    machine_image_syncer::KIND,
    plan::KIND,
    cluster_upgrader::KIND,
];
/// What a Cluster may own.
const OF_CLUSTER: &str = "kubeadmcontrolplanes,machinedeployments,machinesets,machines,devclusters,devmachines,\
    devmachinetemplates,kubeadmconfigs,kubeadmconfigtemplates,secrets";

/// A machine image holds a move while it is built, and no longer. Gives how many images it leaves.
pub(crate) async fn hold(world: &Installed, builds: &BuildActor) -> usize {
    builds.play(Part::Hangs);
    let image = json!({
        "apiVersion": machine_image::KIND.api_version(), "kind": "MachineImage", "metadata": {"name": "held"},
        "spec": {"version": "v1.36.1", "jobTemplate": {"spec": {"containers": [{"name": "builder", "image": "none"}]}}},
    });
    create(world.objects(), &machine_image::KIND, NAMESPACE, &image).await;
    let held = (&machine_image::KIND, NAMESPACE, "held");
    let building =
        world.objects().await_condition(held, ("Ready", "False", "Building"), WITHIN).await.unwrap();
    let annotation = |image: &Value| image["metadata"]["annotations"][BLOCK_MOVE_ANNOTATION].clone();
    assert!(!annotation(&building).is_null(), "{building:#}");
    builds.play(builder());
    let built = world.objects().await_condition(held, ("Ready", "True", ""), WITHIN).await.unwrap();
    assert!(annotation(&built).is_null(), "{built:#}");
    1
}

/// Moves the namespace of an example. Gives the manager of the new management cluster.
pub(crate) async fn play(world: &Installed, old: Manager, example: &Example) -> Manager {
    let (objects, namespace) = (world.objects(), example.namespace);
    pause(world, namespace, true).await;
    let mut dumped = Vec::new();
    for kind in ROOTS.iter().chain([&machine_image::KIND]) {
        dumped.extend(objects.list(kind, namespace).await.unwrap().into_iter().map(|object| (*kind, object)));
    }
    let (roots, owned): (Vec<_>, Vec<_>) =
        dumped.into_iter().partition(|(_, object)| object["metadata"]["ownerReferences"].is_null());
    assert_eq!((roots.len(), owned.len()), (ROOTS.len() + samples::STATIC_IMAGES - 1, 1));
    let before = effects(world, namespace);

    // The old one: what is owned goes first, and who owns it sees that it is gone.
    for (kind, object) in &owned {
        objects.delete(kind, namespace, name(object)).await.unwrap();
    }
    let syncer =
        roots.iter().find(|(kind, _)| *kind == machine_image_syncer::KIND).map(|(_, syncer)| name(syncer));
    let syncer = (&machine_image_syncer::KIND, namespace, syncer.unwrap());
    objects.await_condition(syncer, ("UpToDate", "False", ""), WITHIN).await.unwrap();
    for (kind, object) in &roots {
        objects.delete(kind, namespace, name(object)).await.unwrap();
    }
    let gone = async || Ok(objects.list(&api::batch::job::KIND, namespace).await?.is_empty().then_some(()));
    objects.await_that("the Jobs are gone with their images", namespace, WITHIN, gone).await.unwrap();
    assert!(old.terminate().await.unwrap().success());

    // The new one: its manager runs before anything is there, and who owns comes first.
    let new = world.start_manager().await.unwrap();
    let mut uids = Uids::new();
    recreate_cluster(world, namespace, &mut uids).await;
    for (kind, object) in &roots {
        recreate(objects, kind, namespace, object, &mut uids).await;
    }
    // As late as clusterctl may be: the repository has been read, and the syncer has seen what is in it.
    objects.await_condition(syncer, ("UpToDate", "False", "CreatingImage"), WITHIN).await.unwrap();
    for (kind, object) in &owned {
        recreate(objects, kind, namespace, object, &mut uids).await;
    }
    pause(world, namespace, false).await;
    example.await_upgraded(world).await;
    objects.await_condition(syncer, ("UpToDate", "True", ""), WITHIN).await.unwrap();
    for image in objects.list(&machine_image::KIND, namespace).await.unwrap() {
        let image = (&machine_image::KIND, namespace, name(&image));
        objects.await_condition(image, ("Ready", "True", ""), WITHIN).await.unwrap();
    }

    let after = effects(world, namespace);
    for effect in ["create jobs", "create machineimages", "patch clusters", "patch machineimages"] {
        assert_eq!(count(&after, effect), count(&before, effect), "{effect}: {:?}", &after[before.len()..]);
    }
    new
}

async fn pause(world: &Installed, namespace: &str, paused: bool) {
    let patch = json!({"spec": {"paused": paused}});
    world.objects().merge(&capi::CLUSTER, namespace, samples::CLUSTER, &patch).await.unwrap();
}

/// The paused Cluster goes and comes, and what it owns stays: its machines are in the memory of their backend.
async fn recreate_cluster(world: &Installed, namespace: &str, uids: &mut Uids) {
    let (plane, objects) = (world.plane(), world.objects());
    let dumped = objects.get(&capi::CLUSTER, namespace, samples::CLUSTER).await.unwrap().unwrap();
    let owned = plane.run_kubectl(&["get", OF_CLUSTER, "-n", namespace, "-o", "json"]).await.unwrap();
    let owned: Value = serde_json::from_str(&owned).unwrap();
    let cluster = format!("clusters.{}/{}", capi::CLUSTER.group, samples::CLUSTER);
    let delete = ["delete", &cluster, "-n", namespace, "--cascade=orphan", "--wait=false"];
    plane.run_kubectl(&delete).await.unwrap();
    let orphaned = |cluster: &Value| {
        let finalizers = cluster["metadata"]["finalizers"].as_array();
        finalizers.is_none_or(|finalizers| finalizers.iter().all(|finalizer| finalizer != "orphan"))
    };
    let old = (&capi::CLUSTER, namespace, samples::CLUSTER);
    objects.await_object("the Cluster owns nothing any more", old, WITHIN, orphaned).await.unwrap();
    objects.merge(old.0, old.1, old.2, &json!({"metadata": {"finalizers": null}})).await.unwrap();
    let gone = async || Ok(objects.get(old.0, old.1, old.2).await?.is_none().then_some(()));
    objects.await_that("the Cluster is gone", namespace, WITHIN, gone).await.unwrap();

    recreate(objects, &capi::CLUSTER, namespace, &dumped, uids).await;
    let is_owned = |object: &&Value| {
        let owners = object["metadata"]["ownerReferences"].as_array();
        owners.into_iter().flatten().any(|owner| owner["uid"] == uid(&dumped))
    };
    for object in owned["items"].as_array().unwrap().iter().filter(is_owned) {
        let kind = object["kind"].as_str().unwrap().to_lowercase();
        let patch = json!({"metadata": {"ownerReferences": owners(object, uids)}});
        let patch = format!("--patch={patch}");
        plane
            .run_kubectl(&["patch", &kind, name(object), "-n", namespace, "--type=merge", &patch])
            .await
            .unwrap();
    }
}
