//! The machine image that is made, as the server gets it.

use super::super::manifest::{Lineage, image_name, machine_image};
use super::*;
use runtime::room::Recall;

/// The body of the one image that a pass over the documents makes.
fn made(world: &mut World) -> Value {
    loop {
        let (_, verdict) = world.look(at(0));
        let step = verdict.steps.first().expect("an image is to be made").clone();
        if let Step::CreateImage(creation) = step {
            return creation.body;
        }
        let answer = world.answer(&step);
        SyncerRoom.learn(Recall { memory: &mut world.memory, shared: &mut () }, &step, Ok(answer), at(0));
    }
}

#[test]
fn it_has_identity_owner_and_the_templates_job() {
    insta::assert_snapshot!(serde_json::to_string_pretty(&made(&mut World::new(CHAIN))).unwrap());
}

/// Bug B12: the template's labels cannot take the image's identity away. And `spec.id` and `spec.version` of a template
/// are not an image's.
#[test]
fn a_template_overwrites_nothing_of_it_and_loses_nothing_of_the_job() {
    let mut world = World::new(CHAIN);
    let template = &mut world.get("MachineImageTemplate")["spec"]["template"];
    template["metadata"] = json!({
        "labels": {
            "kubernetes-upgrader.dimitrikoshkin.com/machine-image-syncer-name": "mine",
            "kubernetes-upgrader.dimitrikoshkin.com/kubernetes-version": "v0",
            "tier": "gold",
        },
        "annotations": {"kubernetes-upgrader.dimitrikoshkin.com/cloned-from": "another", "note": "kept"},
    });
    template["spec"] = json!({
        "version": "v0", "id": "stale",
        "jobTemplate": {"spec": {
            "containers": [{"name": "a", "image": "a", "fieldOfTheFuture": {"deep": [1, 2.5, null]}}],
            "restartPolicy": "OnFailure", "anotherOne": "stays",
        }},
    });
    insta::assert_snapshot!(serde_json::to_string_pretty(&made(&mut world)).unwrap());
}

/// Bug B14: no name and no label value is too long or has a letter that it may not have.
#[test]
fn long_names_and_plus_signs_are_legal() {
    let mut world = World::new(CHAIN);
    let name = format!("{}.end", "very-long-name".repeat(8));
    world.syncer()["metadata"]["name"] = json!(name);
    world.get("DebianRepositorySource")["status"]["versions"] = json!(["v1.27.6+vmware.1-Fips.2"]);
    let body = made(&mut world);
    insta::assert_snapshot!(serde_json::to_string_pretty(&body["metadata"]).unwrap());
    assert_eq!(body["spec"]["version"], "v1.27.6+vmware.1-Fips.2");
    // Its own image is found by it again.
    world.pass(at(0));
    world.restart();
    assert_eq!(world.pass(at(1)).decided, "done");
    world.get("MachineImage")["metadata"].as_object_mut().unwrap().remove("ownerReferences");
    assert_eq!(world.pass(at(2)).decided, "done", "also by its labels alone");
}

#[test]
fn the_name_depends_on_the_syncers_uid_and_the_version_alone() {
    let mut world = World::new(CHAIN);
    let row = testkit::row::<SyncerRow>(world.syncer());
    let mut twin = row.clone();
    twin.meta.uid = "another".into();
    twin.version_range = "v1.28.x".into();
    let live = LiveTemplate::of(world.get("MachineImageTemplate").clone()).unwrap();
    let name = |row: &SyncerRow, version: &str| {
        machine_image(row, version, &live, Lineage::default())["metadata"]["name"].clone()
    };
    assert_eq!(name(&row, "v1.27.6"), image_name(&row.meta, "v1.27.6"));
    assert_ne!(name(&row, "v1.27.6"), name(&twin, "v1.27.6"));
    assert_ne!(name(&row, "v1.27.6+a"), name(&row, "v1.27.6-a"), "though both are cut to the same letters");
}

/// By names, versions and package strings, so that it survives a move; and no template says otherwise.
#[test]
fn it_says_where_its_version_is_from_and_takes_the_templates_build() {
    let mut world = World::new(CHAIN);
    let source = world.get("DebianRepositorySource");
    source["spec"] =
        json!({"url": "https://user:secret@packages.example/v{minor}/deb/Packages", "fromMinor": "1.27"});
    source["status"]["packages"] = json!([{"version": "v1.27.6", "package": "1.27.6-1.1"}]);
    let template = &mut world.get("MachineImageTemplate")["spec"]["template"];
    let key = |name: &str| format!("kubernetesupgraded.dimitrikoshkin.com/{name}");
    template["metadata"]["annotations"] =
        json!({key("source"): "mine", key("package"): "mine", key("repository"): "mine"});
    template["spec"]["build"] = json!({"deadlineSeconds": 3600, "retries": 2, "fieldOfTheFuture": true});
    let body = made(&mut world);
    let annotations = &body["metadata"]["annotations"];
    assert_eq!(annotations[key("source")], "DebianRepositorySource/source");
    assert_eq!(annotations[key("package")], "kubeadm 1.27.6-1.1");
    assert_eq!(annotations[key("repository")], "https://packages.example/v1.27/deb/Packages");
    assert_eq!(
        body["spec"]["build"],
        json!({"deadlineSeconds": 3600, "retries": 2, "fieldOfTheFuture": true})
    );
    // What is not known is not said, by no template either.
    world.get("DebianRepositorySource")["status"]["packages"] = json!([]);
    world.get("DebianRepositorySource")["spec"]["url"] = json!("");
    let body = made(&mut world);
    let annotations = &body["metadata"]["annotations"];
    assert_eq!((annotations.get(key("package")), annotations.get(key("repository"))), (None, None));
}
