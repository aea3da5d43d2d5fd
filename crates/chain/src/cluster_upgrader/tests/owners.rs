//! Who writes a Cluster: the note of what was set, other writers, and other upgraders.

use api::upgrader::cluster_upgrader::{LAST_SET_ANNOTATION, LastSet};

use super::*;

const UP: &str = "ClusterClassClusterUpgrader";

/// A Cluster that was set to v1.36.4 by us, and has converged.
fn set() -> World {
    let mut world = World::settled();
    world.pass();
    world.now += 20;
    world.converge();
    world.pass();
    world.now += 20;
    assert_eq!(world.pass(), "done");
    world
}

fn noted(world: &mut World) -> Option<LastSet> {
    let text = world.object(UP)["metadata"]["annotations"][LAST_SET_ANNOTATION].as_str()?.to_owned();
    Some(serde_json::from_str(&text).unwrap())
}

fn variable(world: &mut World) -> &mut Value {
    &mut world.object("Cluster")["spec"]["topology"]["variables"][2]["value"]
}

fn notes(world: &World) -> usize {
    world.requests.iter().filter(|request| request.starts_with("note on")).count()
}

#[test]
fn what_was_set_is_noted_once() {
    let mut world = set();
    let last = noted(&mut world).unwrap();
    let expected = LastSet {
        cluster: "uid-cluster-c".into(),
        variable: "image".into(),
        version: "v1.36.4".into(),
        image: "img:4".into(),
        machine_image: "img".into(),
        target: "v1.36.4".into(),
        target_image: "img:4".into(),
    };
    assert_eq!((last, notes(&world)), (expected, 1));
    world.kill();
    world.pass();
    assert_eq!(notes(&world), 1);
    // Without a variable there is no image of ours to tell from another.
    let mut world = World::new().with(UP, "spec.topologyVariable", Value::Null);
    world.pass();
    world.now = 20;
    world.pass();
    assert_eq!((world.version().as_str(), notes(&world)), ("v1.36.4", 0));
}

/// Killed between the patch and the note, and however long nobody looks.
#[test]
fn a_note_is_made_up_for_after_a_kill() {
    for long in [false, true] {
        let mut world = World::settled();
        world.set(
            UP,
            "status",
            json!({"conditions": [{"type": "UpToDate", "status": "False",
            "reason": "Settling", "message": "", "lastTransitionTime": "2026-11-21T10:00:00Z"}]}),
        );
        assert_eq!(world.pass_until(2), "killed");
        world.kill();
        if long {
            world.converge();
        }
        assert_eq!((world.version().as_str(), notes(&world)), ("v1.36.4", 0));
        world.pass();
        assert_eq!((notes(&world), noted(&mut world).unwrap().image), (1, "img:4".into()));
    }
}

/// A Cluster that never was set by us: objects of the original, or one that came with the version.
#[test]
fn what_others_have_set_is_not_noted() {
    let mut world = World::new().with("Cluster", "spec.topology.version", json!("v1.36.4")).with(
        "Cluster",
        "spec.topology.variables.2.value",
        json!("img:4"),
    );
    world.pass();
    world.now = 20;
    assert_eq!(world.pass(), "done");
    world.kill();
    assert_eq!((world.pass().as_str(), notes(&world)), ("done", 0));
    // Nor one that waits on its way, at a version that the plan has an image of.
    let mut world = World::new().image("v1.36.2");
    world.set("Cluster", "spec.topology.variables.2.value", json!("img:v1.36.2"));
    world.set("ClusterClass", "metadata.generation", json!(4));
    world.pass();
    world.kill();
    assert!(world.pass().starts_with("wait: ClassNotReconciled"));
    assert_eq!((notes(&world), world.status().get("latestSetVersion")), (0, None));
}

#[test]
fn another_image_of_the_version_that_was_set_is_someone_elses() {
    let mut world = set();
    world.set(UP, "spec.rolloutImageChanges", json!(true));
    *variable(&mut world) = json!("theirs");
    let said = "failed: ConflictingOwner - v1.36.4 was set with image img:4, and now the Cluster has theirs: someone \
                else writes it (Cluster ns/c); ";
    let text = world.pass();
    assert!(text.starts_with(said), "{text}");
    assert!(testkit::conditions(world.status()).contains("Stalled=True/ConflictingOwner"));
    for _ in 0..5 {
        world.now += 600;
        world.touch();
        world.pass();
    }
    world.kill();
    world.pass();
    assert_eq!((world.patches(), notes(&world)), (1, 1));
    // The plan moves on, and so do we.
    world.choose("v1.36.5");
    world.now += 20;
    world.pass();
    world.now += 20;
    world.pass();
    assert_eq!((world.patches(), world.version().as_str()), (2, "v1.36.5"));
    assert_eq!(noted(&mut world).unwrap().image, "img:v1.36.5".into());
}

/// The way out that the message names.
#[test]
fn without_the_note_it_writes_again() {
    let mut world = set();
    world.set(UP, "spec.rolloutImageChanges", json!(true));
    *variable(&mut world) = json!("theirs");
    world.pass();
    world.set(UP, "metadata.annotations", json!({}));
    world.pass();
    assert_eq!((world.patches(), variable(&mut world).clone()), (2, json!("img:4")));
}

#[test]
fn no_image_at_all_and_a_version_that_went_back_are_someone_elses_too() {
    let mut world = set();
    world.set("Cluster", "spec.topology.variables.2", json!({"name": "other", "value": "x"}));
    assert!(world.pass().contains("now the Cluster has none"));
    let mut world = set();
    world.set("Cluster", "spec.topology.version", json!("v1.36.2"));
    assert!(world.pass().contains("now the Cluster is at v1.36.2"), "{}", world.pass());
    world.now += 600;
    world.pass();
    assert_eq!(world.patches(), 1);
}

/// In a map only the key of the Cluster's version counts.
#[test]
fn in_a_map_it_is_the_key_that_counts() {
    let map = json!({"type": "object", "additionalProperties": {"type": "string"}});
    let mut world = World::new()
        .with("ClusterClass", "status.variables.0.definitions.0.schema.openAPIV3Schema", map)
        .with("Cluster", "spec.topology.variables.2.value", json!({"v1.36.2": "img:2"}));
    world.pass();
    world.now = 20;
    world.pass();
    world.now = 40;
    world.converge();
    world.pass();
    variable(&mut world)["v1.36.9"] = json!("theirs");
    assert!(!world.pass().contains("ConflictingOwner"));
    variable(&mut world)["v1.36.4"] = json!("theirs");
    assert!(world.pass().contains("now the Cluster has theirs"));
}

type Change = fn(&mut World);

/// What looks like another writer and is none.
#[test]
fn what_is_no_conflict() {
    let changes: [(&str, Change); 5] = [
        ("an image rebuilt under its version", |world| {
            world.set("MachineImage", "spec.id", json!("img:4b"));
            world.set("Plan", "status.machineImageDetails.id", json!("img:4b"));
        }),
        ("another variable", |world| {
            world.set(UP, "spec.topologyVariable", json!("region"));
            world.set("ClusterClass", "status.variables.0.name", json!("region"));
        }),
        ("a Cluster made anew at an older version", |world| {
            world.set("Cluster", "metadata.uid", json!("another"));
            world.set("Cluster", "spec.topology.version", json!("v1.36.2"));
            *variable(world) = json!("img:2");
        }),
        ("a Cluster made anew with another image", |world| {
            world.set("Cluster", "metadata.uid", json!("another"));
            *variable(world) = json!("img:0");
        }),
        ("a version further on", |world| {
            world.set("Cluster", "spec.topology.version", json!("v1.37.0"));
            *variable(world) = json!("img:7");
        }),
    ];
    for (what, change) in changes {
        let mut world = set();
        change(&mut world);
        world.touch();
        for _ in 0..3 {
            let text = world.pass();
            assert!(!text.contains("ConflictingOwner"), "{what}: {text}");
            world.now += 20;
            world.converge();
        }
    }
}

/// `clusterctl move`: new uids, no status, and the note is there. It is renewed, and the Cluster left alone.
#[test]
fn a_moved_cluster_keeps_what_is_known_of_it() {
    let mut world = set();
    world.object(UP).as_object_mut().unwrap().remove("status");
    world.set("Cluster", "metadata.uid", json!("moved"));
    world.kill();
    world.pass();
    assert_eq!((world.patches(), notes(&world)), (1, 2));
    assert_eq!(noted(&mut world).unwrap().cluster, "moved".into());
    *variable(&mut world) = json!("theirs");
    assert!(world.pass().contains("ConflictingOwner"));
}

/// The oldest drives, then the first by name.
#[test]
fn one_upgrader_drives_a_cluster() {
    let mut world = World::new();
    world.add_upgrader("c", "later");
    world.named(UP, "later")["metadata"]["creationTimestamp"] = json!("2026-11-21T10:00:01Z");
    world.turn("later");
    let waits = "wait: AnotherUpgrader - Cluster c is driven by an older upgrader (ClusterClassClusterUpgrader ns/up); \
                 delete one of the two";
    assert_eq!(world.pass(), waits);
    assert!(testkit::conditions(world.status()).starts_with("Ready=True/AnotherUpgrader"));
    world.now = 20;
    assert_eq!((world.pass().as_str(), world.patches()), (waits, 0));
    world.turn("up").pass();
    world.now = 40;
    world.pass();
    assert_eq!((world.patches(), notes(&world)), (1, 1));
    world.turn("later").pass();
    assert_eq!((notes(&world), world.status().get("latestSetVersion")), (1, None));
    // The older one goes.
    world.named(UP, "up")["metadata"]["deletionTimestamp"] = json!("2026-11-21T10:00:00Z");
    assert!(!world.turn("later").pass().contains("AnotherUpgrader"));

    let mut world = World::new();
    world.add_upgrader("c", "a");
    assert!(world.pass().starts_with("wait: AnotherUpgrader"));
}
