//! Repositories that answer badly or not at all: the last good list stays, whatever comes.

use std::time::Duration;

use api::upgrader::debian_repository_source::{KIND, REQUESTED_AT_ANNOTATION};
use api::upgrader::{machine_image, machine_image_syncer};
use domain::object::Kind;
use e2e::{Expected, Installed, Misbehaviour, Objects, PackageRepository, WITHIN};
use serde_json::{Value, json};

use crate::given;

const NAMESPACE: &str = "repositories";
/// A fetch may take 30 s, and one that is refused at the start is tried again after a while.
const FAILED_WITHIN: Duration = Duration::from_secs(90);

/// A folder of the repository and source of the same name, what the folder does, and what must be said of it.
struct Case {
    name: &'static str,
    how: Misbehaviour,
    reason: &'static str,
    part: &'static str,
}

const CASES: &[Case] = &[
    case("missing", Misbehaviour::Status(404), "RepositoryNotFound", "404"),
    case("failing", Misbehaviour::Status(500), "RepositoryError", "500"),
    case("login", Misbehaviour::Html, "NotAPackageIndex", "Packages file"),
    case("empty", Misbehaviour::Empty, "NoVersions", "index is empty"),
    case("cut", Misbehaviour::Truncated, "IndexTruncated", "ended too early"),
    case("huge", Misbehaviour::Huge, "IndexTooLarge", "larger than"),
    case(SILENT, Misbehaviour::Hangs, "RepositoryTimeout", "in time"),
];
const SILENT: &str = "silent";

const fn case(name: &'static str, how: Misbehaviour, reason: &'static str, part: &'static str) -> Case {
    Case { name, how, reason, part }
}

fn source(name: &str) -> (&Kind, &str, &str) {
    (&KIND, NAMESPACE, name)
}

fn versions(source: &Value) -> Vec<&str> {
    let versions = source["status"]["versions"].as_array();
    versions.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Has a source fetched at once.
async fn fetch(objects: &Objects, name: &str, request: &str) {
    let asked = json!({"metadata": {"annotations": {REQUESTED_AT_ANNOTATION: request}}});
    objects.merge(&KIND, NAMESPACE, name, &asked).await.unwrap();
}

#[tokio::test]
async fn a_repository_that_misbehaves_costs_no_version_and_no_neighbour() {
    let world = Installed::start().await.unwrap();
    let objects = world.objects();
    given::namespace(objects, NAMESPACE).await;
    let repository = PackageRepository::start().await.unwrap();
    let manager = world.start_manager_with(&[]).await.unwrap();

    let neighbours = neighbours(objects, &repository).await;
    let before = written(objects, &neighbours).await;
    repository.publish("lively", "1.35.0-1.1");
    given::source(objects, NAMESPACE, "lively", &repository.url("lively")).await;

    let known = CASES.iter().map(|case| forgets_nothing(objects, &repository, case));
    let new = CASES.iter().map(|case| learns_nothing(objects, &repository, case));
    tokio::join!(futures::future::join_all(known), futures::future::join_all(new), unusable(objects),);

    assert_eq!(written(objects, &neighbours).await, before, "a neighbour was written to");
    assert!(manager.terminate().await.unwrap().success());
    let expected = Expected::nothing().machine_images(1).jobs(1).writes_at_most(100);
    eprintln!("{:?}", world.finish(expected).await.unwrap());
}

/// A source that works, with everything that hangs on it.
async fn neighbours(objects: &Objects, repository: &PackageRepository) -> [(&'static Kind, String); 3] {
    repository.publish("good", "1.34.7-1.1");
    given::source(objects, NAMESPACE, "good", &repository.url("good")).await;
    given::template(objects, NAMESPACE, "template", given::pod_spec()).await;
    given::syncer(objects, NAMESPACE, "good", (&KIND, "good", "v1.34.x")).await;
    let syncer = (&machine_image_syncer::KIND, NAMESPACE, "good");
    objects.await_condition(syncer, ("UpToDate", "True", "ImagesExist"), WITHIN).await.unwrap();
    let images = objects.list(&machine_image::KIND, NAMESPACE).await.unwrap();
    let image = e2e::name(&images[0]).to_owned();
    let building = ("Reconciling", "True", "Building");
    objects.await_condition((&machine_image::KIND, NAMESPACE, &image), building, WITHIN).await.unwrap();
    [
        (&KIND, "good".to_owned()),
        (&machine_image_syncer::KIND, "good".to_owned()),
        (&machine_image::KIND, image),
    ]
}

async fn written(objects: &Objects, of: &[(&Kind, String)]) -> Vec<Value> {
    let mut versions = Vec::new();
    for (kind, name) in of {
        let version = given::written(objects, (kind, NAMESPACE, name)).await;
        versions.push(json!({"kind": kind.kind, "resourceVersion": version}));
    }
    versions
}

/// A source that was good, is not, and is again.
async fn forgets_nothing(objects: &Objects, repository: &PackageRepository, case: &Case) {
    let Case { name, how, reason, part } = case;
    repository.publish(name, "1.35.0-1.1");
    given::source(objects, NAMESPACE, name, &repository.url(name)).await;
    objects.await_condition(source(name), ("Ready", "True", "VersionsFound"), WITHIN).await.unwrap();

    repository.misbehave(name, *how);
    fetch(objects, name, "1").await;
    if *name == SILENT {
        served_meanwhile(objects, repository).await;
    }
    let failed = objects.await_condition(source(name), ("Ready", "False", reason), FAILED_WITHIN).await;
    let failed = failed.unwrap();
    assert_eq!(versions(&failed), ["v1.35.0"], "the last good list stays");
    let message = e2e::find_condition(&failed, "Ready")["message"].as_str().unwrap();
    assert!(message.contains(part) && message.contains("stay"), "{message}");
    objects.await_event(source(name), ("Warning", "ListVersionsFailed", part), WITHIN).await.unwrap();

    repository.behave(name);
    repository.publish(name, "1.35.1-1.1");
    fetch(objects, name, "2").await;
    let again = objects.await_condition(source(name), ("Ready", "True", "VersionsFound"), WITHIN).await;
    assert_eq!(versions(&again.unwrap()), ["v1.35.0", "v1.35.1"]);
}

/// While one repository is silent, another is read.
async fn served_meanwhile(objects: &Objects, repository: &PackageRepository) {
    let silent = async || {
        let asked = repository.requests(SILENT);
        Ok(asked.iter().any(|request| request.status == 0).then_some(()))
    };
    objects.await_that("the silent repository is asked", NAMESPACE, WITHIN, silent).await.unwrap();
    repository.publish("lively", "1.35.1-1.1");
    fetch(objects, "lively", "1").await;
    let read = |source: &Value| versions(source) == ["v1.35.0", "v1.35.1"];
    objects.await_object("the other one is read", source("lively"), WITHIN, read).await.unwrap();
    let waiting = objects.get(&KIND, NAMESPACE, SILENT).await.unwrap().unwrap();
    assert_eq!(e2e::find_condition(&waiting, "Ready")["status"], "True", "it was not waited for");
}

/// A source that was never good.
async fn learns_nothing(objects: &Objects, repository: &PackageRepository, case: &Case) {
    let name = format!("new-{}", case.name);
    repository.publish(&name, "1.35.0-1.1");
    repository.misbehave(&name, case.how);
    given::source(objects, NAMESPACE, &name, &repository.url(&name)).await;
    let failed = ("Ready", "False", case.reason);
    let failed = objects.await_condition(source(&name), failed, FAILED_WITHIN).await.unwrap();
    assert_eq!(versions(&failed), Vec::<&str>::new());
    objects.await_event(source(&name), ("Warning", "ListVersionsFailed", case.part), WITHIN).await.unwrap();
}

/// Where there is no repository at all.
async fn unusable(objects: &Objects) {
    given::source(objects, NAMESPACE, "unreachable", "http://127.0.0.1:1/Packages").await;
    given::source(objects, NAMESPACE, "no-host", "http://[::/Packages").await;
    let unreachable = ("Ready", "False", "RepositoryUnreachable");
    objects.await_condition(source("unreachable"), unreachable, WITHIN).await.unwrap();
    let told = ("Warning", "ListVersionsFailed", "no connection");
    objects.await_event(source("unreachable"), told, WITHIN).await.unwrap();
    objects.await_condition(source("no-host"), ("Stalled", "True", "InvalidUrl"), WITHIN).await.unwrap();
    let told = ("Warning", "ListVersionsFailed", "correct spec.url");
    objects.await_event(source("no-host"), told, WITHIN).await.unwrap();

    let file = json!({"metadata": {"name": "file"}, "spec": {"url": "file:///etc/passwd"}});
    let refused = objects.create(&KIND, NAMESPACE, &file).await.unwrap_err().to_string();
    assert!(refused.contains("must be an http or https URL"), "{refused}");
}
