//! Sources of kinds that we have never heard of: whatever is granted is used, and what is missing is named.

use std::time::Duration;

use api::upgrader::machine_image::KIND as IMAGE;
use api::upgrader::machine_image_syncer::KIND as SYNCER;
use domain::object::Kind;
use e2e::{Expected, Installed, Objects, USER, WITHIN};
use serde_json::{Value, json};

use crate::given;

/// Polls come every 10 s and a bit, and a kind that was not there is asked for after 5, 10, 20, … s.
const POLLED_WITHIN: Duration = Duration::from_secs(90);
const CRD: Kind = Kind {
    group: "apiextensions.k8s.io",
    versions: &["v1"],
    kind: "CustomResourceDefinition",
    plural: "customresourcedefinitions",
};
const ROLE: Kind = Kind {
    group: "rbac.authorization.k8s.io",
    versions: &["v1"],
    kind: "ClusterRole",
    plural: "clusterroles",
};

/// Granted get, list and watch.
const RELEASE: Kind = foreign("KubernetesRelease", "kubernetesreleases");
/// Granted get.
const FEED: Kind = foreign("ReleaseFeed", "releasefeeds");
/// Granted nothing at first.
const SECRET: Kind = foreign("SecretRelease", "secretreleases");
/// Granted everything, and installed later.
const LATE: Kind = foreign("LateRelease", "latereleases");

const fn foreign(kind: &'static str, plural: &'static str) -> Kind {
    Kind { group: "releases.example.org", versions: &["v1"], kind, plural }
}

#[tokio::test]
async fn a_source_may_be_of_any_kind() {
    let world = Installed::start().await.unwrap();
    let objects = world.objects();
    for kind in [RELEASE, FEED, SECRET] {
        install(objects, &kind).await;
    }
    grant(objects, &RELEASE, &["get", "list", "watch"]).await;
    grant(objects, &FEED, &["get"]).await;
    grant(objects, &LATE, &["get", "list", "watch"]).await;
    await_granted(objects, &[RELEASE, FEED, LATE]).await;

    let manager = world.start_manager_with(&[]).await.unwrap();
    tokio::join!(
        watched(objects),
        polled(objects),
        forbidden_at_first(objects),
        not_installed_at_first(objects),
        wrong_and_missing(objects),
    );
    assert!(manager.terminate().await.unwrap().success());
    let asked: Vec<_> = world.plane().audit_events().unwrap();
    let asked = |kind: Kind, verb: &str| {
        asked.iter().filter(|it| it.user == USER && it.resource == kind.plural && it.verb == verb).count()
    };
    assert_eq!((asked(RELEASE, "get"), asked(RELEASE, "watch") > 0), (0, true), "watched, and not polled");
    assert!(asked(FEED, "get") >= 2 && asked(FEED, "watch") == 0, "polled, and not watched");
    let expected = Expected::nothing()
        .machine_images(7)
        .jobs(7)
        .forbidden(FEED.plural)
        .forbidden(SECRET.plural)
        .writes_at_most(90);
    eprintln!("{:?}", world.finish(expected).await.unwrap());
}

async fn install(objects: &Objects, kind: &Kind) {
    let name = format!("{}.{}", kind.plural, kind.group);
    let singular = kind.kind.to_lowercase();
    let crd = json!({"metadata": {"name": name}, "spec": {
        "group": kind.group, "scope": "Namespaced",
        "names": {"kind": kind.kind, "plural": kind.plural, "singular": singular},
        "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
            "type": "object",
            "properties": {"status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
        }}}],
    }});
    objects.create(&CRD, "", &crd).await.unwrap();
    objects.await_condition((&CRD, "", &name), ("Established", "True", ""), WITHIN).await.unwrap();
}

/// What the documentation tells the owner of a kind to do.
async fn grant(objects: &Objects, kind: &Kind, verbs: &[&str]) {
    let role = json!({
        "metadata": {
            "name": format!("{}-for-upgrader", kind.plural),
            "labels": {"kubernetesupgraded.dimitrikoshkin.com/aggregate-to-manager": "true"},
        },
        "rules": [{"apiGroups": [kind.group], "resources": [kind.plural], "verbs": verbs}],
    });
    objects.create(&ROLE, "", &role).await.unwrap();
}

/// The controller manager copies the rules.
async fn await_granted(objects: &Objects, kinds: &[Kind]) {
    let role = (&ROLE, "", "kubernetes-upgrader-sources-role");
    let copied = |role: &Value| {
        let rules = role["rules"].to_string();
        kinds.iter().all(|kind| rules.contains(&format!("\"{}\"", kind.plural)))
    };
    objects.await_object("the rules are aggregated", role, WITHIN, copied).await.unwrap();
}

/// A namespace with a template, and a source with these versions.
async fn begin(objects: &Objects, namespace: &str, kind: &Kind, versions: Value) {
    given::namespace(objects, namespace).await;
    given::template(objects, namespace, "template", given::pod_spec()).await;
    let source = json!({"metadata": {"name": "source"}, "status": {"versions": versions}});
    objects.create(kind, namespace, &source).await.unwrap();
}

async fn condition(objects: &Objects, namespace: &str, wanted: (&str, &str, &str)) -> Value {
    objects.await_condition((&SYNCER, namespace, "syncer"), wanted, POLLED_WITHIN).await.unwrap()
}

async fn failed(objects: &Objects, namespace: &str, reason: &str, part: &str) {
    condition(objects, namespace, ("Ready", "False", reason)).await;
    let told = ("Warning", "GetVersionsFromSourceFailed", part);
    objects.await_event((&SYNCER, namespace, "syncer"), told, WITHIN).await.unwrap();
}

async fn image_of(objects: &Objects, namespace: &str, version: &str) {
    let made = async || {
        let images = objects.list(&IMAGE, namespace).await?;
        Ok(images.into_iter().find(|image| image["spec"]["version"] == version))
    };
    let what = format!("{version} has a MachineImage");
    objects.await_that(&what, namespace, POLLED_WITHIN, made).await.unwrap();
}

async fn watched(objects: &Objects) {
    begin(objects, "watched", &RELEASE, json!(["v1.35.0", "v1.36.0"])).await;
    given::syncer(objects, "watched", "syncer", (&RELEASE, "source", "v1.35.x")).await;
    image_of(objects, "watched", "v1.35.0").await;
    let next = json!({"status": {"versions": ["v1.35.0", "v1.35.1", "v1.36.0"]}});
    objects.merge(&RELEASE, "watched", "source", &next).await.unwrap();
    image_of(objects, "watched", "v1.35.1").await;
    let told = condition(objects, "watched", ("UpToDate", "True", "ImagesExist")).await;
    assert!(!e2e::find_condition(&told, "UpToDate")["message"].to_string().contains("every"), "{told}");
}

async fn polled(objects: &Objects) {
    begin(objects, "polled", &FEED, json!(["v1.35.0"])).await;
    given::syncer(objects, "polled", "syncer", (&FEED, "source", "v1.35.x")).await;
    image_of(objects, "polled", "v1.35.0").await;
    let told = condition(objects, "polled", ("UpToDate", "True", "ImagesExist")).await;
    let message = e2e::find_condition(&told, "UpToDate")["message"].to_string();
    assert!(message.contains("the source is read every 10s"), "{message}");
    let next = json!({"status": {"versions": ["v1.35.0", "v1.35.1"]}});
    objects.merge(&FEED, "polled", "source", &next).await.unwrap();
    image_of(objects, "polled", "v1.35.1").await;
}

async fn forbidden_at_first(objects: &Objects) {
    begin(objects, "forbidden", &SECRET, json!(["v1.35.0"])).await;
    given::syncer(objects, "forbidden", "syncer", (&SECRET, "source", "v1.35.x")).await;
    failed(objects, "forbidden", "SourceKindForbidden", "secretreleases").await;
    condition(objects, "forbidden", ("Stalled", "True", "SourceKindForbidden")).await;
    grant(objects, &SECRET, &["get"]).await;
    image_of(objects, "forbidden", "v1.35.0").await;
}

async fn not_installed_at_first(objects: &Objects) {
    given::namespace(objects, "late").await;
    given::template(objects, "late", "template", given::pod_spec()).await;
    given::syncer(objects, "late", "syncer", (&LATE, "source", "v1.35.x")).await;
    failed(objects, "late", "SourceKindNotInstalled", "LateRelease").await;
    install(objects, &LATE).await;
    condition(objects, "late", ("Ready", "False", "SourceMissing")).await;
    let source = json!({"metadata": {"name": "source"}, "status": {"versions": ["v1.35.0"]}});
    objects.create(&LATE, "late", &source).await.unwrap();
    image_of(objects, "late", "v1.35.0").await;
}

/// Of one object after the other, and of nothing else: a neighbour of the same namespace is not written to.
async fn wrong_and_missing(objects: &Objects) {
    begin(objects, "wrong", &RELEASE, json!("v1.35.0")).await;
    let good = json!({"metadata": {"name": "good"}, "status": {"versions": ["v1.34.3"]}});
    objects.create(&RELEASE, "wrong", &good).await.unwrap();
    given::syncer(objects, "wrong", "neighbour", (&RELEASE, "good", "v1.34.x")).await;
    let neighbour = (&SYNCER, "wrong", "neighbour");
    objects.await_condition(neighbour, ("UpToDate", "True", "ImagesExist"), WITHIN).await.unwrap();
    let before = given::written(objects, neighbour).await;

    given::syncer(objects, "wrong", "syncer", (&RELEASE, "source", "v1.35.x")).await;
    failed(objects, "wrong", "SourceInvalid", "status.versions is a string").await;
    let numbers = json!({"status": {"versions": ["v1.35.0", 7]}});
    objects.merge(&RELEASE, "wrong", "source", &numbers).await.unwrap();
    let another = async || {
        let syncer = objects.get(&SYNCER, "wrong", "syncer").await?.unwrap_or_default();
        let message = e2e::find_condition(&syncer, "Ready")["message"].to_string();
        Ok(message.contains("a number among its strings").then_some(()))
    };
    objects.await_that("the other mistake is told", "wrong", WITHIN, another).await.unwrap();
    let empty = json!({"status": {"versions": []}});
    objects.merge(&RELEASE, "wrong", "source", &empty).await.unwrap();
    condition(objects, "wrong", ("UpToDate", "False", "NoVersionsInSource")).await;
    objects.delete(&RELEASE, "wrong", "source").await.unwrap();
    failed(objects, "wrong", "SourceMissing", "does not exist").await;
    assert_eq!(given::written(objects, neighbour).await, before, "a neighbour was written to");
}
