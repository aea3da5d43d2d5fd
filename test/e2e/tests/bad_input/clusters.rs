//! Clusters that cannot be moved, written by hand where no controller of Cluster API mends or refuses them.

use std::time::Duration;

use api::capi::{cluster, cluster_class};
use api::upgrader::cluster_upgrader::KIND;
use e2e::{Expected, Installed, Objects, USER, WITHIN};
use serde_json::{Value, json};

use crate::given;
use crate::given::capi::{FROM, reconciled, with};

const NAMESPACE: &str = "clusters";
/// A write comes 15 s after the Cluster was first seen at rest; a kind that was not served is asked for every 5, 10, 20 … s.
const MOVED_WITHIN: Duration = Duration::from_secs(120);
const TO: &str = "v1.35.1";

/// What is wrong with a Cluster, and what must be said of it on its upgrader.
struct Case {
    name: &'static str,
    reason: &'static str,
    event: (&'static str, &'static str, &'static str),
    /// An orderly wait leaves Ready true.
    ready: &'static str,
    cluster: fn() -> Value,
}

fn cases() -> Vec<Case> {
    let warning = |name, reason, (event, part), cluster| Case {
        name,
        reason,
        event: ("Warning", event, part),
        ready: "False",
        cluster,
    };
    let waits = |name, reason, cluster| Case {
        name,
        reason,
        event: ("Normal", reason, name),
        ready: "True",
        cluster,
    };
    vec![
        warning(
            "without-topology",
            "ClusterWithoutTopology",
            ("ClusterWithoutTopology", "no spec.topology"),
            || json!({"spec": {"clusterNetwork": {"serviceDomain": "cluster.local"}}}),
        ),
        warning("no-version", "ClusterVersionInvalid", ("ErrorParsingClusterVersion", "`newest`"), || {
            with(json!({"spec": {"topology": {"version": "newest"}}}))
        }),
        warning("no-class", "ClassMissing", ("ClassMissing", "nowhere"), || {
            with(json!({"spec": {"topology": {"classRef": {"name": "nowhere"}}}}))
        }),
        waits("paused", "ClusterPaused", || with(json!({"spec": {"paused": true}}))),
        waits("paused-by-annotation", "ClusterPaused", || {
            with(json!({"metadata": {"annotations": {"cluster.x-k8s.io/paused": ""}}}))
        }),
        waits(DELETING, "ClusterDeleting", || {
            with(json!({"metadata": {"finalizers": ["test.example.org/stays"]}}))
        }),
    ]
}
const DELETING: &str = "deleting";

#[tokio::test]
async fn a_cluster_that_cannot_be_moved_is_not_written_to_and_holds_up_no_other() {
    let mut world = Installed::start().await.unwrap();
    given::namespace(world.objects(), NAMESPACE).await;
    let manager = world.start_manager_with(&[]).await.unwrap();
    let objects = world.objects().clone();
    given::existing_image(&objects, NAMESPACE, "image", (TO, "image-id")).await;
    given::plan(&objects, NAMESPACE, "plan", "v1.35.x").await;
    given::upgrader(&objects, NAMESPACE, "good", ("good", "plan", "image")).await;
    let good = (&KIND, NAMESPACE, "good");
    let missing = ("Ready", "False", "ClusterAPINotInstalled");
    objects.await_condition(good, missing, WITHIN).await.unwrap();
    objects.await_event(good, ("Warning", "GetClusterFailed", "not installed"), WITHIN).await.unwrap();

    world.plane_mut().install_cluster_api_crds().await.unwrap();
    given::capi::create_class(&objects, NAMESPACE).await;
    let missing = objects.await_condition(good, ("Ready", "False", "ClusterMissing"), MOVED_WITHIN).await;
    missing.unwrap();
    objects.await_event(good, ("Warning", "GetClusterFailed", "does not exist"), WITHIN).await.unwrap();
    given::capi::create_cluster(&objects, NAMESPACE, "good", with(json!({}))).await;
    given::capi::create_cluster(&objects, NAMESPACE, "unknown-variable", with(json!({}))).await;
    given::upgrader(&objects, NAMESPACE, "unknown-variable", ("unknown-variable", "plan", "nobody")).await;

    let named = cases().into_iter().map(|case| is_named(&objects, case));
    tokio::join!(futures::future::join_all(named), moves(&objects), moves_once_defined(&objects));
    let patched = patched(&world);
    assert_eq!(patched, ["good", "unknown-variable"], "one patch each, and none of the others");
    assert!(manager.terminate().await.unwrap().success());
    let expected = Expected::nothing().machine_images(1).writes_at_most(70);
    eprintln!("{:?}", world.finish(expected).await.unwrap());
}

/// The Clusters that we asked to change, in the order of their names.
fn patched(world: &Installed) -> Vec<String> {
    let events = world.plane().audit_events().unwrap();
    let ours = events.into_iter().filter(|event| event.user == USER && event.is_write());
    let mut names: Vec<String> =
        ours.filter(|event| event.resource == "clusters").map(|event| event.name).collect();
    names.sort();
    names
}

async fn is_named(objects: &Objects, case: Case) {
    let name = case.name;
    given::capi::create_cluster(objects, NAMESPACE, name, (case.cluster)()).await;
    if name == DELETING {
        objects.delete(&cluster::KIND, NAMESPACE, name).await.unwrap();
    }
    let cluster = (&cluster::KIND, NAMESPACE, name);
    let before = given::written(objects, cluster).await;
    given::upgrader(objects, NAMESPACE, name, (name, "plan", "image")).await;
    let upgrader = (&KIND, NAMESPACE, name);
    let told = objects.await_condition(upgrader, ("Ready", case.ready, case.reason), WITHIN).await.unwrap();
    let up_to_date = e2e::find_condition(&told, "UpToDate");
    assert!(up_to_date["status"] != "True" && up_to_date["reason"] == case.reason, "{told}");
    objects.await_event(upgrader, case.event, WITHIN).await.unwrap();
    assert_eq!(given::written(objects, cluster).await, before, "{name} was written to");
}

/// The neighbour: version and image in one write.
async fn moves(objects: &Objects) {
    let moved = |cluster: &Value| cluster["spec"]["topology"]["version"] == TO;
    let cluster = (&cluster::KIND, NAMESPACE, "good");
    let cluster =
        objects.await_object("the good Cluster is moved", cluster, MOVED_WITHIN, moved).await.unwrap();
    let variables = &cluster["spec"]["topology"]["variables"];
    assert_eq!(*variables, json!([{"name": "image", "value": "image-id"}]));
}

/// Neither Cluster nor class knows the variable: the version is not moved, until the class does.
async fn moves_once_defined(objects: &Objects) {
    let name = "unknown-variable";
    let (cluster, upgrader) = ((&cluster::KIND, NAMESPACE, name), (&KIND, NAMESPACE, name));
    let stalled = ("Stalled", "True", "VariableUndefined");
    objects.await_condition(upgrader, stalled, MOVED_WITHIN).await.unwrap();
    let told = ("Warning", "VariableUndefined", "nobody");
    objects.await_event(upgrader, told, WITHIN).await.unwrap();
    // The other one has been moved, and had no more time.
    moves(objects).await;
    let found = objects.get(cluster.0, NAMESPACE, name).await.unwrap().unwrap();
    assert_eq!(found["spec"]["topology"]["version"], FROM);

    let known = reconciled(&["image", "nobody"]);
    objects.merge(&cluster_class::KIND, NAMESPACE, "class/status", &known).await.unwrap();
    let moved = |cluster: &Value| cluster["spec"]["topology"]["version"] == TO;
    let moved = objects.await_object("it is moved now", cluster, MOVED_WITHIN, moved).await.unwrap();
    let variables = &moved["spec"]["topology"]["variables"];
    assert_eq!(*variables, json!([{"name": "nobody", "value": "image-id"}]));
}
