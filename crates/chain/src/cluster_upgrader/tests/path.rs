//! A way through several minors, both shapes of the variable, and images that change.

use super::*;

/// A Cluster at v1.34.2 whose plan is at v1.36.4.
fn far() -> World {
    let mut world = World::new().with("Cluster", "spec.topology.version", json!("v1.34.2"));
    world.choose("v1.36.4");
    world
}

/// Passes until nothing more is set, each hop converging in between; the versions that were set.
fn walk(world: &mut World) -> Vec<String> {
    let mut versions = Vec::new();
    for _ in 0..12 {
        let before = world.patches();
        world.pass();
        if world.patches() > before {
            versions.push(world.version());
        }
        world.now += 20;
        world.converge();
    }
    versions
}

#[test]
fn one_minor_after_another_each_with_its_image() {
    let mut world = far().image("v1.35.1").image("v1.35.7").image("v1.36.1").image("v1.34.9");
    assert_eq!(walk(&mut world), ["v1.35.7", "v1.36.4"]);
    assert_eq!(
        world.requests,
        [
            "read MachineImage ns/img-v1.35.7",
            "set Cluster ns/c to v1.35.7 with image img:v1.35.7",
            "note on ClusterClassClusterUpgrader ns/up that v1.35.7 with img:v1.35.7 was set",
            "read MachineImage ns/img-v1.36.4",
            "set Cluster ns/c to v1.36.4 with image img:v1.36.4",
            "note on ClusterClassClusterUpgrader ns/up that v1.36.4 with img:v1.36.4 was set",
        ]
    );
    let set: Vec<&str> =
        world.statuses.iter().filter_map(|status| status["latestSetVersion"].as_str()).collect();
    assert_eq!(set, ["v1.35.7", "v1.36.4"]);
    let told = world.events().iter().filter(|event| **event == "SettingClusterVersion").count();
    assert_eq!((told, world.pass()), (2, "done".to_owned()));
}

#[test]
fn the_next_hop_waits_until_the_last_one_has_converged() {
    let mut world = far().image("v1.35.1");
    world.pass();
    world.now = 20;
    assert!(world.pass().starts_with("wait: UpgradeInProgress"));
    assert_eq!(world.version(), "v1.35.1");
    for second in 0..600 {
        world.now = 20 + second;
        world.touch();
        world.pass();
    }
    assert_eq!((world.version().as_str(), world.patches()), ("v1.35.1", 1));
}

/// What is missing in the middle is named, and it goes on by itself once it is there.
#[test]
fn a_missing_middle_is_named_and_waited_for() {
    let mut world = far();
    world.pass();
    world.now = 20;
    assert_eq!(
        world.pass(),
        "wait: NoImageForHop - on the way from v1.34.2 to v1.36.4 comes v1.35, of which the Plan has no machine image \
         (Plan ns/plan); have a machine image of v1.35 made that the Plan selects"
    );
    world.set("Plan", "spec.versionRange", json!("v1.36.x"));
    assert_eq!(
        world.pass(),
        "wait: NoImageForHop - on the way from v1.34.2 to v1.36.4 comes v1.35, which is outside v1.36.x, the range of \
         the Plan (Plan ns/plan); widen spec.versionRange, and have a machine image of v1.35 made"
    );
    // There is one, and it is none of this plan's.
    world.add_image("v1.35.3");
    assert!(world.pass().starts_with("wait: NoImageForHop"));
    world.set("Plan", "spec.versionRange", json!(">=1.35.0 <1.37.0"));
    world.named("MachineImage", "img-v1.35.3")["metadata"]["labels"] = json!({"os": "other"});
    world.set("Plan", "spec.machineImageSelector", json!({"matchLabels": {"os": "linux"}}));
    assert!(world.pass().starts_with("wait: NoImageForHop"));
    world.named("MachineImage", "img-v1.35.3")["metadata"]["labels"] = json!({"os": "linux"});
    world.pass();
    assert_eq!(world.version(), "v1.35.3");
}

/// Only what the class lists; what is not listed is named.
#[test]
fn a_class_that_lists_its_versions_is_followed() {
    let class = |listed: Value| {
        far().image("v1.35.1").image("v1.35.7").with("ClusterClass", "spec.kubernetesVersions", listed)
    };
    let mut world = class(json!(["v1.34.2", "v1.35.1", "v1.36.4"]));
    assert_eq!(walk(&mut world), ["v1.35.1", "v1.36.4"]);
    let mut world = class(json!(["v1.34.2", "v1.35.9", "v1.36.4"]));
    assert!(walk(&mut world).is_empty());
    assert_eq!(
        world.pass(),
        "wait: VersionNotInClass - the ClusterClass does not list v1.35.7 (ClusterClass ns/class); add it to \
         spec.kubernetesVersions of the ClusterClass"
    );
    // An extension that plans upgrades is not asked for more than one minor either.
    let external = json!({"external": {"generateUpgradePlanExtension": "plan.ext"}});
    let mut world = far().image("v1.35.7").with("ClusterClass", "spec.upgrade", external);
    assert_eq!(walk(&mut world), ["v1.35.7", "v1.36.4"]);
}

#[test]
fn a_worker_that_is_too_old_holds_back_the_next_minor() {
    let versions = |version: &str| json!([{"version": version}, {"version": "v1.34.2"}]);
    let mut world = far().image("v1.35.1").with("Cluster", "status.workers.versions", versions("v1.31.9"));
    world.pass();
    world.now = 20;
    assert_eq!(
        world.pass(),
        "failed: WorkerSkew - a worker has v1.31.9, and a control plane of v1.35 takes none that is more than 3 minors \
         older (Cluster ns/c); upgrade the workers of the Cluster first"
    );
    world.set("Cluster", "status.workers.versions", versions("v1.32.0"));
    world.pass();
    assert_eq!(world.version(), "v1.35.1");
}

fn with_map(value: Value) -> World {
    let map = json!({"type": "object", "additionalProperties": {"type": "string"}});
    let variables = if value.is_null() { json!([]) } else { json!([{"name": "image", "value": value}]) };
    World::new().with("ClusterClass", "status.variables.0.definitions.0.schema.openAPIV3Schema", map).with(
        "Cluster",
        "spec.topology.variables",
        variables,
    )
}

/// Keys are added, and stay; what is there already is put right.
#[test]
fn a_map_gets_the_key_of_each_hop() {
    let mut world = with_map(json!({"v1.34.2": "img:2"})).image("v1.35.1");
    world.set("Cluster", "spec.topology.version", json!("v1.34.2"));
    world.choose("v1.36.4");
    assert_eq!(walk(&mut world), ["v1.35.1", "v1.36.4"]);
    let ids = json!({"v1.34.2": "img:2", "v1.35.1": "img:v1.35.1", "v1.36.4": "img:v1.36.4"});
    assert_eq!(world.object("Cluster")["spec"]["topology"]["variables"][0]["value"], ids);
    assert_eq!(world.pass(), "done");

    let mut world = with_map(json!({"v1.36.2": "img:2", "v1.36.4": "old"}));
    assert_eq!(walk(&mut world), ["v1.36.4"]);
    let ids = json!({"v1.36.2": "img:2", "v1.36.4": "img:4"});
    assert_eq!(world.object("Cluster")["spec"]["topology"]["variables"][0]["value"], ids);
}

/// A map that is made anew also holds the present version, where the plan has its image.
#[test]
fn a_map_that_is_absent_is_made_with_the_present_version() {
    for (image, ids) in [
        (None, json!({"v1.36.4": "img:4"})),
        (Some("v1.36.2"), json!({"v1.36.2": "img:v1.36.2", "v1.36.4": "img:4"})),
    ] {
        let mut world = with_map(Value::Null);
        if let Some(version) = image {
            world.add_image(version);
        }
        assert_eq!(walk(&mut world), ["v1.36.4"]);
        let variables = json!([{"name": "image", "value": ids}]);
        assert_eq!(world.object("Cluster")["spec"]["topology"]["variables"], variables);
    }
}

/// RFC 6901.
#[test]
fn keys_are_escaped() {
    assert_eq!(variable::escaped("v1.36.2"), "v1.36.2");
    assert_eq!(variable::escaped("a/b~c~1"), "a~1b~0c~01");
}

/// A group that has an image of its own keeps it, where that is allowed.
#[test]
fn overrides_may_be_allowed() {
    let overrides = json!({"overrides": [{"name": "image", "value": "x"}]});
    let mut world = World::new().with("Cluster", "spec.topology.controlPlane.variables", overrides.clone());
    assert!(walk(&mut world).is_empty());
    world.set("ClusterClassClusterUpgrader", "spec.allowImageOverrides", json!(true));
    assert_eq!(walk(&mut world), ["v1.36.4"]);
    assert_eq!(world.object("Cluster")["spec"]["topology"]["controlPlane"]["variables"], overrides);
}

/// A new image of the version that the Cluster has: only where it is asked for, once, and the version is not touched.
#[test]
fn a_new_image_of_the_same_version_is_rolled_where_that_is_asked_for() {
    let mut world = World::new().with("Cluster", "spec.topology.version", json!("v1.36.4")).with(
        "Cluster",
        "spec.topology.variables.2.value",
        json!("img:4"),
    );
    assert!(walk(&mut world).is_empty());
    world.set("MachineImage", "spec.id", json!("img:4b"));
    world.set("Plan", "status.machineImageDetails.id", json!("img:4b"));
    assert!(walk(&mut world).is_empty());
    world.set("ClusterClassClusterUpgrader", "spec.rolloutImageChanges", json!(true));
    world.notes.clear();
    assert_eq!(walk(&mut world), ["v1.36.4"]);
    assert_eq!(world.object("Cluster")["spec"]["topology"]["variables"][2]["value"], "img:4b");
    let told: Vec<&str> = world
        .notes
        .iter()
        .filter(|note| note.reason == "SettingClusterVersion")
        .map(|note| &*note.message)
        .collect();
    assert_eq!(told, ["Cluster c at v1.36.4 is set to image img:4b"]);
    assert_eq!(world.pass(), "done");
}

/// Build metadata has no order, so another image of a rebuild is none of the same version.
#[test]
fn a_rebuild_is_left_alone() {
    let mut world = World::new().with("Cluster", "spec.topology.version", json!("v1.36.4+vendor.1")).with(
        "ClusterClassClusterUpgrader",
        "spec.rolloutImageChanges",
        json!(true),
    );
    assert!(walk(&mut world).is_empty());
    assert_eq!(world.pass(), "done");
}

/// With `--dry-run` a Plan writes conditions alone: what it has chosen is looked up.
#[test]
fn a_result_that_the_plan_may_not_write_is_taken_from_its_images() {
    let mut world = World::settled();
    let found = json!([{"type": "UpToDate", "status": "True", "reason": "FoundMachineImage", "message": "v1.36.4",
        "lastTransitionTime": "2026-11-21T10:00:00Z"}]);
    world.set("Plan", "status", json!({"observedGeneration": 1, "conditions": found}));
    world.pass();
    assert_eq!(world.version(), "v1.36.4");
    // One that says nothing of its present spec has none.
    let mut world = World::settled();
    world.set("Plan", "status", json!({"observedGeneration": 0, "conditions": found}));
    assert!(world.pass().starts_with("wait: PlanWithoutResult"));
}

/// Of what a class lists in the minor, an image of it would do as well.
#[test]
fn a_version_that_the_class_lists_and_that_has_no_image_is_named() {
    let mut world = World::new().with(
        "ClusterClass",
        "spec.kubernetesVersions",
        json!(["v1.36.2", "v1.36.3", "v1.37.0", "v1.37.1", "v1.37.9", "v1.38.0"]),
    );
    world.add_image("v1.37.5");
    world.choose("v1.38.0");
    assert_eq!(
        world.shown(),
        "wait: VersionNotInClass - the ClusterClass does not list v1.37.5, and of v1.37.1, which it lists, the Plan has no \
         machine image (ClusterClass ns/class); add it to spec.kubernetesVersions of the ClusterClass, or have a machine \
         image of v1.37.1 made that the Plan selects"
    );
}
