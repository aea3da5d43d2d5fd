//! A hop from its start to its end, kills, and Clusters that someone else moves.

use super::world::READY;
use super::*;

/// The whole of a hop: one read, one patch, one note, one status and one Event to start it; two statuses when it has converged.
#[test]
fn a_hop_from_its_start_to_its_end() {
    let mut world = World::settled();
    assert_eq!(
        world.pass(),
        "wait: UpgradeInProgress - Cluster API moves the machines to v1.36.4 (Cluster ns/c)\nagain in 300 s"
    );
    assert_eq!(
        world.requests,
        [
            "read MachineImage ns/img",
            "set Cluster ns/c to v1.36.4 with image img:4",
            "note on ClusterClassClusterUpgrader ns/up that v1.36.4 with img:4 was set",
        ]
    );
    assert_eq!(world.object("Cluster")["spec"]["topology"]["version"], "v1.36.4");
    assert_eq!(world.object("Cluster")["spec"]["topology"]["variables"][2]["value"], "img:4");
    assert_eq!(world.statuses.len(), 1);
    assert_eq!(world.statuses[0]["latestSetVersion"], "v1.36.4");
    assert_eq!(
        testkit::conditions(&world.statuses[0]),
        "Ready=True/UpgradeInProgress UpToDate=False/UpgradeInProgress Reconciling=True/UpgradeInProgress"
    );
    assert_eq!(world.events(), ["SettingClusterVersion"]);
    assert_eq!(world.notes[0].message, "Cluster c is set to v1.36.4 with image img:4");
    assert_eq!(world.notes[0].occurrence, "v1.36.4 img:4");
    assert_eq!(world.notes[0].related.as_ref().unwrap().kind, "Plan".into());

    // Counters and RollingOut move, and nothing is written.
    for up_to_date in 0..3 {
        world.now += 60;
        world.converge();
        world.set("Cluster", "status.conditions.1.status", json!("True"));
        world.set("Cluster", "status.controlPlane.upToDateReplicas", json!(up_to_date));
        assert!(world.pass().starts_with("wait: UpgradeInProgress"));
    }
    world.set("Cluster", "status.conditions.1.status", json!("False"));
    assert!(world.pass().starts_with("wait: UpgradeInProgress"));
    assert_eq!(world.statuses.len(), 1);

    world.set("Cluster", "status.controlPlane.upToDateReplicas", json!(3));
    world.touch();
    assert!(world.pass().starts_with("wait: Settling"));
    assert_eq!(world.statuses.len(), 1, "what was said while its machines moved holds on for a moment");
    world.now += 15;
    assert_eq!(world.pass(), "done");
    world.touch();
    assert_eq!(world.pass(), "done");
    assert_eq!((world.statuses.len(), world.patches()), (2, 1));
    assert_eq!(testkit::conditions(&world.statuses[1]), "Ready=True/UpToDate UpToDate=True/UpToDate");
    assert_eq!(world.events(), ["SettingClusterVersion", "ClusterUsingLatestVersion"]);
}

#[test]
fn a_restart_of_a_done_upgrader_writes_nothing() {
    let mut world = World::new().with("Cluster", "spec.topology.version", json!("v1.36.4"));
    world.pass();
    world.now = 15;
    assert_eq!(world.pass(), "done");
    (world.statuses, world.notes) = (Vec::new(), Vec::new());
    world.kill();
    assert_eq!(world.pass(), "done");
    // Nor does it hold up the next hop.
    world.kill();
    world.set("Plan", "status.machineImageDetails", json!({"version": "v1.36.5", "id": "img:5"}));
    world.set("MachineImage", "spec.version", json!("v1.36.5"));
    world.set("MachineImage", "spec.id", json!("img:5"));
    assert!(world.statuses.is_empty() && world.notes.is_empty());
    assert!(world.pass().starts_with("wait: UpgradeInProgress"));
    assert_eq!(
        (world.patches(), world.statuses.len(), world.events()),
        (1, 1, vec!["SettingClusterVersion"])
    );
}

/// Killed after any request, the next process does not patch again, and tells of the hop once.
#[test]
fn killed_at_any_request_there_is_one_patch_and_one_event() {
    for requests in 0..=3 {
        let mut world = World::settled();
        assert_eq!(world.pass_until(requests), if requests < 3 { "killed" } else { IN_PROGRESS });
        world.kill();
        world.pass();
        world.now += 15;
        world.pass();
        world.converge();
        world.pass();
        world.now += 15;
        assert_eq!(world.pass(), "done");
        assert_eq!(world.patches(), 1, "killed after {requests}");
        assert_eq!(world.events(), ["SettingClusterVersion", "ClusterUsingLatestVersion"]);
    }
}

const IN_PROGRESS: &str =
    "wait: UpgradeInProgress - Cluster API moves the machines to v1.36.4 (Cluster ns/c)\nagain in 300 s";

/// A write whose answer was lost may have been done.
#[test]
fn a_lost_answer_is_told_of_as_our_hop() {
    let mut world = World::settled();
    world.refuses = Some(Refusal::Unavailable { message: "timeout".to_owned(), retry_after: None });
    assert_eq!(world.pass(), "left to the engine: timeout");
    world.set("Cluster", "spec.topology.version", json!("v1.36.4"));
    world.touch();
    world.pass();
    assert_eq!(world.events(), ["SettingClusterVersion"]);
}

/// Someone else moves the Cluster to the plan's version: true in the status, and no Event says that we did it.
#[test]
fn a_hop_of_someone_else_is_not_ours() {
    let mut world = World::settled();
    world.set("Cluster", "spec.topology.version", json!("v1.36.4"));
    world.touch();
    world.pass();
    assert_eq!(world.status()["latestSetVersion"], "v1.36.4");
    assert_eq!((world.patches(), world.events().len()), (0, 0));
}

/// Objects of v0.5.0: `latestSetVersion` without `v`, a plan without observedGeneration.
#[test]
fn objects_of_the_original_are_adopted_without_a_patch() {
    let mut world = World::new()
        .with("ClusterClassClusterUpgrader", "status.latestSetVersion", json!("1.36.4"))
        .with("Cluster", "spec.topology.version", json!("v1.36.4"));
    world.pass();
    world.now = 15;
    assert_eq!(world.pass(), "done");
    assert_eq!(world.status()["latestSetVersion"], "v1.36.4");
    assert_eq!((world.patches(), world.events()), (0, vec!["ClusterUsingLatestVersion"]));

    // Another version is left as it was written.
    let mut world = World::new()
        .with("ClusterClassClusterUpgrader", "status.latestSetVersion", json!("1.36.2"))
        .with("Plan", "status.observedGeneration", Value::Null);
    assert!(world.pass().starts_with("wait: PlanWithoutResult"), "our plan room has not looked at it yet");
    assert_eq!(world.status()["latestSetVersion"], "1.36.2");
}

/// `clusterctl move`: no status anywhere, and every uid is new.
#[test]
fn a_moved_cluster_at_its_version_is_not_patched() {
    let mut world = World::new().with("Cluster", "spec.topology.version", json!("v1.36.4"));
    for object in &mut world.objects {
        object.as_object_mut().unwrap().remove("status");
        object["metadata"]["uid"] = json!(format!("moved-{}", object["metadata"]["name"]));
    }
    assert!(world.pass().starts_with("wait: ClusterNotProvisioned"));
    let cluster = testkit::objects(READY).remove(4);
    world.set("Cluster", "status", cluster["status"].clone());
    assert!(world.pass().starts_with("wait: PlanWithoutResult"));
    let plan = testkit::objects(READY).remove(1);
    world.set("Plan", "status", plan["status"].clone());
    world.pass();
    world.now = 15;
    assert_eq!(world.pass(), "done");
    assert_eq!(world.patches(), 0);
    assert!(!world.events().contains(&"SettingClusterVersion"));
}

#[test]
fn build_metadata_alone_moves_nothing() {
    let mut world = World::new().with("Cluster", "spec.topology.version", json!("v1.36.4+vendor.1"));
    world.pass();
    world.now = 15;
    assert_eq!(world.pass(), "done");
    assert_eq!((world.patches(), world.status().get("latestSetVersion")), (0, None));
}

/// Bug B9 is not repaired here, and nothing is done by half: the same version with another image id is left alone.
#[test]
fn another_image_of_the_same_version_moves_nothing() {
    let mut world = World::new().with("Cluster", "spec.topology.version", json!("v1.36.4")).with(
        "Plan",
        "status.machineImageDetails.id",
        json!("img:4-rebuilt"),
    );
    world.pass();
    world.now = 15;
    assert_eq!((world.pass(), world.patches()), ("done".to_owned(), 0));
}
