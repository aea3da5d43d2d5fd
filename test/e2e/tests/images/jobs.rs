//! A machine image and its Jobs: T10 and T11 of the original, and every way in which a Job tells or does not tell the id.

use std::collections::BTreeSet;

use api::batch::job;
use api::upgrader::machine_image::KIND;
use api::upgrader::{machine_image_syncer, plan};
use domain::object::Kind;
use e2e::{BuildActor, Expected, Installed, Objects, Part, WITHIN, name};
use futures::{StreamExt as _, TryStreamExt as _};
use kube::Api;
use kube::api::{ApiResource, DynamicObject, ListParams, WatchEvent, WatchParams};
use serde_json::{Value, json};

use crate::given;

/// A source of any kind that is there without a CRD of ours: a ConfigMap has no `status.versions`, so a source of our own does.
const SOURCE: Kind = api::upgrader::debian_repository_source::KIND;
/// What the original's test waits for, in seconds.
const CONSISTENTLY: u32 = 10;

struct Scene<'a> {
    objects: &'a Objects,
    builds: &'a BuildActor,
    namespace: &'static str,
}

impl Scene<'_> {
    async fn image(&self, name: &str, version: &str) {
        given::image(self.objects, self.namespace, name, version).await;
    }

    async fn phase(&self, name: &str, phase: &str) -> Value {
        self.objects
            .await_object(
                &format!("MachineImage {name} is {phase}"),
                (&KIND, self.namespace, name),
                WITHIN,
                |image| image["status"]["phase"] == phase && !image["status"]["jobRef"]["name"].is_null(),
            )
            .await
            .unwrap()
    }

    async fn jobs(&self) -> Vec<Value> {
        self.objects.list(&job::KIND, self.namespace).await.unwrap()
    }

    /// The image is there with this id, after so many Jobs that are still there.
    async fn created(&self, name: &str, id: &str, jobs: usize) -> Value {
        let image = self.phase(name, "Created").await;
        assert_eq!((image["spec"]["id"].as_str(), &image["status"]["ready"]), (Some(id), &json!(true)));
        assert_eq!(e2e::find_condition(&image, "Ready")["status"], "True");
        assert_eq!(self.jobs().await.len(), jobs);
        image
    }

    async fn condition(&self, name: &str, wanted: (&str, &str, &str)) -> Value {
        self.objects.await_condition((&KIND, self.namespace, name), wanted, WITHIN).await.unwrap()
    }

    async fn event(&self, name: &str, wanted: (&str, &str, &str)) {
        self.objects.await_event((&KIND, self.namespace, name), wanted, WITHIN).await.unwrap();
    }

    /// Deletes the Job of an image, which is how a human asks for another build.
    async fn build_again(&self, name: &str) -> Value {
        let image = self.objects.get(&KIND, self.namespace, name).await.unwrap().unwrap();
        let before = image["status"]["jobRef"].clone();
        let job = before["name"].as_str().unwrap();
        self.objects.delete(&job::KIND, self.namespace, job).await.unwrap();
        let another = |image: &Value| {
            image["status"]["phase"] == "Building" && image["status"]["jobRef"]["uid"] != before["uid"]
        };
        self.objects
            .await_object("another Job is named", (&KIND, self.namespace, name), WITHIN, another)
            .await
            .unwrap()
    }
}

#[tokio::test]
async fn images_are_built_once_for_each_attempt_and_say_why_they_are_not() {
    let world = Installed::start().await.unwrap();
    let builds = BuildActor::start(world.plane(), Part::Hangs).await.unwrap();
    let manager = world.start_manager_with(&[]).await.unwrap();
    let scene = async |namespace| {
        given::namespace(world.objects(), namespace).await;
        Scene { objects: world.objects(), builds: &builds, namespace }
    };
    tokio::join!(
        async { created_by_an_annotation(scene("t10").await).await },
        async { one_job_after_a_deletion(scene("t11").await).await },
        async { id_from_the_label(scene("label").await).await },
        async { id_from_the_termination_message(scene("message").await).await },
        async { without_an_id(scene("nothing").await).await },
        async { a_job_that_fails(scene("fails").await).await },
        async { two_of_one_version(scene("twins").await).await },
        async { long_names_and_odd_versions(scene("long").await).await },
        async { nothing_to_run(scene("empty").await).await },
    );
    assert_eq!(builds.trouble(), Vec::<String>::new());
    assert!(manager.terminate().await.unwrap().success());
    let expected = Expected::nothing().machine_images(14).jobs(12).writes_at_most(150);
    eprintln!("{:?}", world.finish(expected).await.unwrap());
}

/// T10.
async fn created_by_an_annotation(scene: Scene<'_>) {
    scene.image("image", "v1.35.1").await;
    let image = scene.phase("image", "Building").await;
    let job_ref = &image["status"]["jobRef"];
    assert_eq!((&job_ref["apiVersion"], &job_ref["kind"]), (&json!("batch/v1"), &json!("Job")));
    scene.condition("image", ("Reconciling", "True", "Building")).await;

    let jobs = scene.jobs().await;
    let job = &jobs[0];
    assert_eq!((jobs.len(), job_ref["name"].as_str()), (1, Some(name(job))));
    let pod = &job["spec"]["template"]["spec"];
    assert_eq!(pod["restartPolicy"], "Never");
    assert_eq!(pod["containers"][0]["env"], json!([{"name": "KUBERNETES_VERSION", "value": "v1.35.1"}]));

    scene.builds.play_in(scene.namespace, Part::Annotates("test-id".to_owned()));
    let image = scene.created("image", "test-id", 1).await;
    assert_eq!(image["status"]["jobRef"], *job_ref);
    scene.event("image", ("Normal", "CreatingJob", name(job))).await;
    scene.event("image", ("Normal", "ImageAvailable", "test-id")).await;
}

/// T11, watched instead of looked at from time to time.
async fn one_job_after_a_deletion(scene: Scene<'_>) {
    scene.image("image", "v1.35.1").await;
    let first = scene.phase("image", "Building").await;
    let resource = ApiResource {
        group: job::KIND.group.to_owned(),
        version: "v1".to_owned(),
        api_version: job::KIND.api_version(),
        kind: job::KIND.kind.to_owned(),
        plural: job::KIND.plural.to_owned(),
    };
    let client = scene.objects.client().clone();
    let api: Api<DynamicObject> = Api::namespaced_with(client, scene.namespace, &resource);
    let list = api.list(&ListParams::default()).await.unwrap();
    let mut there: BTreeSet<String> = list.items.iter().filter_map(|job| job.metadata.uid.clone()).collect();
    let mut ever = there.clone();
    assert_eq!(there.len(), 1);
    let from = list.metadata.resource_version.unwrap();

    let job = first["status"]["jobRef"]["name"].as_str().unwrap();
    scene.objects.delete(&job::KIND, scene.namespace, job).await.unwrap();
    // The server ends the watch.
    let mut events =
        api.watch(&WatchParams::default().timeout(CONSISTENTLY), &from).await.unwrap().boxed_local();
    while let Some(event) = events.try_next().await.unwrap() {
        match event {
            WatchEvent::Added(job) | WatchEvent::Modified(job) => {
                let uid = job.metadata.uid.unwrap();
                ever.insert(uid.clone());
                there.insert(uid);
            }
            WatchEvent::Deleted(job) => assert!(there.remove(&job.metadata.uid.unwrap())),
            other => assert!(matches!(other, WatchEvent::Bookmark(_)), "{other:?}"),
        }
        assert!(there.len() <= 1, "{there:?}");
    }
    assert_eq!((there.len(), ever.len()), (1, 2), "one Job for each attempt: {ever:?}");
    let jobs = scene.jobs().await;
    let image = scene.phase("image", "Building").await;
    assert_eq!((jobs.len(), image["status"]["jobRef"]["name"].as_str()), (1, Some(name(&jobs[0]))));
    scene.builds.play_in(scene.namespace, Part::Annotates("second".to_owned()));
    scene.created("image", "second", 1).await;
}

async fn id_from_the_label(scene: Scene<'_>) {
    scene.builds.play_in(scene.namespace, Part::Labels("label-{version}".to_owned()));
    scene.image("image", "v1.35.2").await;
    scene.created("image", "label-v1.35.2", 1).await;
}

async fn id_from_the_termination_message(scene: Scene<'_>) {
    scene.builds.play_in(scene.namespace, Part::LeavesMessage("ami-{version}\n".to_owned()));
    scene.image("plain", "v1.35.3").await;
    scene.created("plain", "ami-v1.35.3", 1).await;
    let json = r#"{"imageId": "ami-{version}", "region": "x"}"#.to_owned();
    scene.builds.play_in(scene.namespace, Part::LeavesMessage(json));
    scene.image("json", "v1.35.4").await;
    scene.created("json", "ami-v1.35.4", 2).await;
    scene.builds.play_in(scene.namespace, Part::LeavesMessage("wrote the image to disk".to_owned()));
    scene.image("prose", "v1.35.5").await;
    let failed = scene.condition("prose", ("Stalled", "True", "ImageIdAmbiguous")).await;
    assert_eq!((&failed["status"]["phase"], &failed["spec"]["id"]), (&json!("Failed"), &Value::Null));
    scene.event("prose", ("Warning", "ImageIdAmbiguous", "to build again")).await;
}

async fn without_an_id(scene: Scene<'_>) {
    scene.builds.play_in(scene.namespace, Part::TellsNothing);
    scene.image("image", "v1.35.1").await;
    let image = scene.condition("image", ("Stalled", "True", "ImageIdMissing")).await;
    assert_eq!((&image["status"]["phase"], &image["status"]["ready"]), (&json!("Failed"), &Value::Null));
    scene.event("image", ("Warning", "ImageIdMissing", "to build again")).await;
    scene.builds.play_in(scene.namespace, Part::Hangs);
    let image = scene.build_again("image").await;
    assert!(e2e::find_condition(&image, "Stalled").is_null(), "{image}");
    scene.builds.play_in(scene.namespace, Part::Annotates("at last".to_owned()));
    scene.created("image", "at last", 1).await;
}

async fn a_job_that_fails(scene: Scene<'_>) {
    scene.image("image", "v1.35.1").await;
    let image = scene.phase("image", "Building").await;
    let job = image["status"]["jobRef"]["name"].as_str().unwrap();
    // Of the seven attempts that are the default, the last ones are minutes apart.
    let once = json!({"spec": {"backoffLimit": 0}});
    scene.objects.merge(&job::KIND, scene.namespace, job, &once).await.unwrap();
    scene.builds.play_in(scene.namespace, Part::Fails(3));
    let image = scene.condition("image", ("Stalled", "True", "JobFailed")).await;
    assert_eq!(image["status"]["phase"], "Failed");
    scene.event("image", ("Warning", "JobFailed", "BackoffLimitExceeded")).await;
    scene.builds.play_in(scene.namespace, Part::Hangs);
    scene.build_again("image").await;
    scene.builds.play_in(scene.namespace, Part::Annotates("second-try".to_owned()));
    scene.created("image", "second-try", 1).await;
}

/// Each is built by itself; a plan chooses one, and stays with it.
async fn two_of_one_version(scene: Scene<'_>) {
    scene.builds.play_in(scene.namespace, Part::Annotates("twin".to_owned()));
    given::plan(scene.objects, scene.namespace, "plan", "v1.35.x").await;
    scene.image("one", "v1.35.1").await;
    scene.created("one", "twin", 1).await;
    given::existing_image(scene.objects, scene.namespace, "other", ("v1.35.1", "other-id")).await;
    let found = |plan: &Value| plan["status"]["machineImageDetails"]["id"] == "other-id";
    let plan = (&plan::KIND, scene.namespace, "plan");
    // The younger one.
    scene.objects.await_object("the Plan has chosen", plan, WITHIN, found).await.unwrap();
    assert_eq!(scene.jobs().await.len(), 1);
}

async fn long_names_and_odd_versions(scene: Scene<'_>) {
    let Scene { objects, builds, namespace } = scene;
    let version = "v1.35.7+vmware.2-fips.1";
    builds.play_in(namespace, Part::Annotates("{version}".to_owned()));
    let long = format!("{}.{}", "a".repeat(60), "b".repeat(100));
    scene.image(&long, version).await;
    let image = scene.created(&long, version, 1).await;
    let jobs = scene.jobs().await;
    assert!(name(&jobs[0]).len() <= 63 && image["status"]["jobRef"]["name"] == name(&jobs[0]));

    // The same from a syncer: its source and its own name are as long.
    let syncer = format!("{}-{}", "s".repeat(70), "t".repeat(70));
    given::template(objects, namespace, "template", given::pod_spec()).await;
    let unreachable = "http://127.0.0.1:1/Packages";
    given::source(objects, namespace, "versions", unreachable).await;
    let versions = json!({"status": {"versions": ["v1.35.6", version]}});
    objects.merge(&SOURCE, namespace, "versions/status", &versions).await.unwrap();
    given::syncer(objects, namespace, &syncer, (&SOURCE, "versions", "v1.35.x")).await;
    let up_to_date = ("UpToDate", "True", "ImagesExist");
    let syncer = (&machine_image_syncer::KIND, namespace, &*syncer);
    let made = objects.await_condition(syncer, up_to_date, WITHIN).await.unwrap();
    assert_eq!(made["status"]["latestVersion"], version);
    let images = objects.list(&KIND, namespace).await.unwrap();
    let image = images.iter().find(|image| name(image) != long).unwrap();
    assert!(name(image).len() <= 63 && image["spec"]["version"] == version, "{image}");
    scene.created(name(image), version, 2).await;
}

/// The schema wants the list of containers, and takes an empty one.
async fn nothing_to_run(scene: Scene<'_>) {
    let Scene { objects, namespace, .. } = scene;
    let empty = json!({"containers": []});
    let spec = json!({"version": "v1.35.1", "jobTemplate": {"spec": empty}});
    given::create(objects, &KIND, (namespace, "image"), spec).await;
    scene.condition("image", ("Stalled", "True", "InvalidTemplate")).await;
    scene.event("image", ("Warning", "InvalidTemplate", "no containers")).await;

    let template = given::template(objects, namespace, "template", empty).await;
    given::source(objects, namespace, "versions", "http://127.0.0.1:1/Packages").await;
    let versions = json!({"status": {"versions": ["v1.35.6"]}});
    objects.merge(&SOURCE, namespace, "versions/status", &versions).await.unwrap();
    given::syncer(objects, namespace, "syncer", (&SOURCE, "versions", "v1.35.x")).await;
    let syncer = (&machine_image_syncer::KIND, namespace, "syncer");
    objects.await_condition(syncer, ("Stalled", "True", "TemplateInvalid"), WITHIN).await.unwrap();
    let told = ("Warning", "GetMachineImageTemplateFailed", "no containers");
    objects.await_event(syncer, told, WITHIN).await.unwrap();
    assert_eq!(scene.jobs().await, Vec::<Value>::new());

    // Mended, it goes on.
    let template = name(&template);
    let mended = json!({"spec": {"template": {"spec": {"jobTemplate": {"spec": given::pod_spec()}}}}});
    scene.builds.play_in(namespace, Part::usual());
    objects.merge(&api::upgrader::machine_image_template::KIND, namespace, template, &mended).await.unwrap();
    objects.await_condition(syncer, ("UpToDate", "True", "ImagesExist"), WITHIN).await.unwrap();
}
