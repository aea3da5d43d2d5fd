//! Ranges that do not parse, references that lead elsewhere or nowhere, and a Plan whose image goes away.

use api::upgrader::{cluster_upgrader, debian_repository_source, machine_image, machine_image_syncer, plan};
use domain::object::Kind;
use e2e::{Expected, Installed, Objects, WITHIN};
use serde_json::{Value, json};

use crate::given;

const SOURCE: Kind = debian_repository_source::KIND;
const SYNCER: Kind = machine_image_syncer::KIND;
const NAMESPACE: &str = "references";
/// Has a digit, as the schema wants it, and is no range.
const NO_RANGE: &str = "1.0.0p";

#[tokio::test]
async fn what_does_not_parse_or_leads_elsewhere_is_named_and_costs_nothing_else() {
    let world = Installed::start().await.unwrap();
    let objects = world.objects();
    given::namespace(objects, NAMESPACE).await;
    given::namespace(objects, "elsewhere").await;
    let manager = world.start_manager_with(&[]).await.unwrap();

    given::template(objects, NAMESPACE, "template", given::pod_spec()).await;
    given::source(objects, NAMESPACE, "source", "http://127.0.0.1:1/Packages").await;
    let versions = json!({"status": {"versions": ["v1.35.0"]}});
    objects.merge(&SOURCE, NAMESPACE, "source/status", &versions).await.unwrap();
    given::existing_image(objects, NAMESPACE, "stays", ("v1.34.1", "stays-id")).await;
    given::plan(objects, NAMESPACE, "stays", "v1.34.x").await;
    let good = (&plan::KIND, NAMESPACE, "stays");
    objects.await_condition(good, ("UpToDate", "True", "FoundMachineImage"), WITHIN).await.unwrap();
    let image = (&machine_image::KIND, NAMESPACE, "stays");
    objects.await_condition(image, ("Ready", "True", "ImageAvailable"), WITHIN).await.unwrap();
    let before = (given::written(objects, good).await, given::written(objects, image).await);

    tokio::join!(ranges(objects), other_namespaces(objects), nothing_there(objects), image_deleted(objects));

    let after = (given::written(objects, good).await, given::written(objects, image).await);
    assert_eq!(after, before, "a neighbour was written to");
    assert!(manager.terminate().await.unwrap().success());
    let expected = Expected::nothing().machine_images(2).writes_at_most(60);
    eprintln!("{:?}", world.finish(expected).await.unwrap());
}

/// The object is stalled for this reason, and an Event says why.
async fn stalled(objects: &Objects, object: (&Kind, &str, &str), reason: &str, event: (&str, &str)) {
    let stalled = objects.await_condition(object, ("Stalled", "True", reason), WITHIN).await.unwrap();
    assert_eq!(e2e::find_condition(&stalled, "Ready")["status"], "False");
    objects.await_event(object, ("Warning", event.0, event.1), WITHIN).await.unwrap();
}

async fn ranges(objects: &Objects) {
    let words = json!({"metadata": {"name": "words"}, "spec": {"versionRange": "the newest"}});
    let refused = objects.create(&plan::KIND, NAMESPACE, &words).await.unwrap_err().to_string();
    assert!(refused.contains("must be a version range such as v1.36.x"), "{refused}");

    given::plan(objects, NAMESPACE, "range", NO_RANGE).await;
    let plan = (&plan::KIND, NAMESPACE, "range");
    stalled(objects, plan, "InvalidVersionRange", ("InvalidVersionRange", "spec.versionRange")).await;
    given::syncer(objects, NAMESPACE, "range", (&SOURCE, "source", NO_RANGE)).await;
    let syncer = (&SYNCER, NAMESPACE, "range");
    let told = ("GetVersionsFromSourceFailed", "spec.versionRange");
    stalled(objects, syncer, "InvalidVersionRange", told).await;

    // A range that parses, and has nothing: an orderly wait.
    given::plan(objects, NAMESPACE, "nothing", "v1.33.x").await;
    let plan = (&plan::KIND, NAMESPACE, "nothing");
    let waits = objects.await_condition(plan, ("UpToDate", "False", "NoSuitableMachineImage"), WITHIN).await;
    assert_eq!(e2e::find_condition(&waits.unwrap(), "Ready")["status"], "True");
    objects.await_event(plan, ("Warning", "LatestVersionNotFound", "v1.33.x"), WITHIN).await.unwrap();
}

async fn other_namespaces(objects: &Objects) {
    let reference = |namespace: &str, source: &str, template: &str| {
        let at = |name: &str, of: &str| {
            if of == namespace { json!({"name": name}) } else { json!({"name": name, "namespace": of}) }
        };
        let mut source = at("source", source);
        source["apiVersion"] = SOURCE.api_version().into();
        source["kind"] = SOURCE.kind.into();
        let template = at("template", template);
        json!({"versionRange": "v1.35.x", "sourceRef": source, "machineImageTemplateRef": template})
    };
    let told = ("GetVersionsFromSourceFailed", "namespace elsewhere");
    for (name, spec) in [
        ("source-elsewhere", reference(NAMESPACE, "elsewhere", NAMESPACE)),
        ("template-elsewhere", reference(NAMESPACE, NAMESPACE, "elsewhere")),
    ] {
        given::create(objects, &SYNCER, (NAMESPACE, name), spec).await;
        stalled(objects, (&SYNCER, NAMESPACE, name), "CrossNamespaceReference", told).await;
    }
    let spec = json!({"clusterName": "any", "planRef": {"name": "stays", "namespace": "elsewhere"}});
    given::create(objects, &cluster_upgrader::KIND, (NAMESPACE, "elsewhere"), spec).await;
    let upgrader = (&cluster_upgrader::KIND, NAMESPACE, "elsewhere");
    let told = ("CrossNamespaceReference", "namespace elsewhere");
    stalled(objects, upgrader, "CrossNamespaceReference", told).await;
}

async fn nothing_there(objects: &Objects) {
    given::syncer(objects, NAMESPACE, "no-source", (&SOURCE, "nowhere", "v1.35.x")).await;
    let syncer = (&SYNCER, NAMESPACE, "no-source");
    objects.await_condition(syncer, ("Ready", "False", "SourceMissing"), WITHIN).await.unwrap();
    let told = ("Warning", "GetVersionsFromSourceFailed", "does not exist");
    objects.await_event(syncer, told, WITHIN).await.unwrap();

    let spec = json!({
        "versionRange": "v1.35.x",
        "sourceRef": {"apiVersion": SOURCE.api_version(), "kind": SOURCE.kind, "name": "source"},
        "machineImageTemplateRef": {"name": "nowhere"},
    });
    given::create(objects, &SYNCER, (NAMESPACE, "no-template"), spec).await;
    let syncer = (&SYNCER, NAMESPACE, "no-template");
    objects.await_condition(syncer, ("Ready", "False", "TemplateMissing"), WITHIN).await.unwrap();
    let told = ("Warning", "GetMachineImageTemplateFailed", "does not exist");
    objects.await_event(syncer, told, WITHIN).await.unwrap();

    given::image(objects, NAMESPACE, "no-version", "newest").await;
    let image = (&machine_image::KIND, NAMESPACE, "no-version");
    stalled(objects, image, "InvalidVersion", ("InvalidVersion", "spec.version")).await;
}

/// The result goes with the image, and comes back with another.
async fn image_deleted(objects: &Objects) {
    let namespace = "elsewhere";
    given::existing_image(objects, namespace, "goes", ("v1.35.1", "goes-id")).await;
    given::plan(objects, namespace, "plan", "v1.35.x").await;
    let plan = (&plan::KIND, namespace, "plan");
    let found = |id: &'static str| move |plan: &Value| plan["status"]["machineImageDetails"]["id"] == id;
    objects.await_object("the image is chosen", plan, WITHIN, found("goes-id")).await.unwrap();
    objects.delete(&machine_image::KIND, namespace, "goes").await.unwrap();
    let gone = ("UpToDate", "False", "NoSuitableMachineImage");
    let cleared = objects.await_condition(plan, gone, WITHIN).await.unwrap();
    let status = &cleared["status"];
    assert_eq!(
        (&status["phase"], e2e::find_condition(&cleared, "Ready")["status"].as_str()),
        (&json!("NoSuitableMachineImage"), Some("True"))
    );
    assert!(status["machineImageDetails"].is_null() && status["machineImageRef"].is_null(), "{status}");
    objects
        .await_event(plan, ("Warning", "LatestVersionNotFound", "no machine image"), WITHIN)
        .await
        .unwrap();
    // A namesake is another image.
    given::existing_image(objects, namespace, "goes", ("v1.35.1", "another-id")).await;
    objects.await_object("the namesake is chosen", plan, WITHIN, found("another-id")).await.unwrap();
    objects.delete(&machine_image::KIND, namespace, "goes").await.unwrap();
    objects.await_condition(plan, gone, WITHIN).await.unwrap();
}
