//! Events: the original's words, once per occurrence.

use domain::verdict::{Because, Severity};

use super::*;

fn first_event(mut world: World) -> (Severity, &'static str) {
    world.pass();
    assert_eq!(world.notes.len(), 1, "{:?}", world.notes);
    world.pass();
    assert_eq!(world.notes.len(), 1, "it is told once");
    (world.notes[0].severity, world.notes[0].reason)
}

#[test]
fn the_originals_words_are_kept() {
    let new = World::new;
    let up = "ClusterClassClusterUpgrader";
    let table = [
        (new().without("Cluster"), Severity::Warning, "GetClusterFailed"),
        (new().without("Plan"), Severity::Warning, "GetPlanFailed"),
        (new().with("Plan", "status", json!({})), Severity::Warning, "MachineImageDetailsVersionNotSet"),
        (
            new().with("Plan", "status.machineImageDetails.version", json!("new")),
            Severity::Warning,
            "ErrorParsingLatestFoundVersion",
        ),
        (
            new().with("Cluster", "spec.topology.version", json!("x")),
            Severity::Warning,
            "ErrorParsingClusterVersion",
        ),
        (
            new().with("Cluster", "spec.topology.version", json!("v1.40.0")),
            Severity::Normal,
            "ClusterUsingLatestVersion",
        ),
        (new().with(up, "spec.paused", json!(true)), Severity::Normal, "Paused"),
        (new().with("Cluster", "spec.topology", Value::Null), Severity::Warning, "ClusterWithoutTopology"),
    ];
    for (world, severity, reason) in table {
        assert_eq!(first_event(world), (severity, reason));
    }
}

/// What the engine reports after a failed write is the original's `ErrorUpdatingVersion`; of a failed read it is not.
#[test]
fn a_failed_write_is_told_as_the_original_did() {
    let trouble = |requests: usize| {
        let mut world = World::settled();
        world.pass_until(requests);
        let observed = world.observe();
        let verdict = Verdict::failed(Because::new(Reason::ApiUnavailable, "cannot do it"));
        let report = world.room.report(&observed, &verdict, at(world.now));
        report.notes.into_iter().map(|note| note.reason).collect::<Vec<_>>()
    };
    assert_eq!(trouble(0), ["ApiUnavailable"]);
    assert_eq!(trouble(1), ["ErrorUpdatingVersion"]);
}

/// One wait after another, and back again: each is an occurrence of its own.
#[test]
fn a_reason_that_comes_back_is_told_again() {
    let mut world = World::new().with("Cluster", "spec.paused", json!(true));
    world.pass();
    world.set("Cluster", "spec.paused", json!(false));
    world.set("Plan", "status.machineImageDetails.version", json!("v1.38.0"));
    world.pass();
    world.set("Cluster", "spec.paused", json!(true));
    world.pass();
    assert_eq!(world.events(), ["ClusterPaused", "NoImageForHop", "ClusterPaused"]);
    assert_ne!(world.notes[0].occurrence, world.notes[2].occurrence);
}

/// Done means the version. That the image is not the Plan's is said, and a later process still knows it as done.
#[test]
fn an_image_that_is_not_the_plans_is_said_where_the_version_is_reached() {
    let message = |world: &mut World| {
        world.status()["conditions"][1]["message"].as_str().unwrap_or_default().to_owned()
    };
    let mut world = World::new().with("Cluster", "spec.topology.version", json!("v1.36.4"));
    world.set("Cluster", "spec.topology.variables.2.value", json!("img:2"));
    world.pass();
    world.now = 20;
    assert_eq!(world.pass(), "done");
    assert_eq!(
        message(&mut world),
        "Cluster c runs v1.36.4; its image is img:2, and the image of the Plan is img:4: spec.rolloutImageChanges would \
         roll it out"
    );
    world.kill();
    assert_eq!(world.pass(), "done");
    world.set("Cluster", "spec.topology.variables.2.value", json!("img:4"));
    assert_eq!(world.pass(), "done");
    assert_eq!(message(&mut world), "Cluster c runs v1.36.4");
    // A build of the same version is neither newer nor the same.
    world.set("Plan", "status.machineImageDetails.version", json!("v1.36.4+2"));
    assert_eq!(world.pass(), "done");
    assert_eq!(
        message(&mut world),
        "Cluster c runs v1.36.4; v1.36.4+2, the result of the Plan, is another build of it"
    );
}

#[test]
fn the_status_follows_the_generation() {
    let mut world = World::new().with("ClusterClassClusterUpgrader", "metadata.generation", json!(4));
    world.pass();
    assert_eq!(world.status()["observedGeneration"], 4);
    assert_eq!(world.status()["conditions"][0]["observedGeneration"], 4);
}

/// Cluster API's words change with each machine that moves; a write for each would be one per machine of the fleet.
#[test]
fn machines_that_move_cost_no_write_and_an_upgrade_that_lingers_says_why() {
    let mut world = World::new();
    let set = |world: &mut World, words: &str, up_to_date: i32| {
        world.say("False", "ClusterUpgrading", words);
        world.set("Cluster", "status.workers.upToDateReplicas", json!(up_to_date));
    };
    let message = |world: &mut World| world.status()["conditions"][1]["message"].as_str().unwrap().to_owned();
    set(&mut world, "* control plane upgrading", 0);
    world.pass();
    assert!(message(&mut world).contains("control plane upgrading"), "{}", message(&mut world));
    set(&mut world, "* MachineDeployment a upgrading", 1);
    world.pass();
    assert!(message(&mut world).contains("control plane upgrading"), "{}", message(&mut world));
    world.now += 301;
    world.pass();
    assert!(message(&mut world).contains("MachineDeployment a upgrading"), "{}", message(&mut world));
}
