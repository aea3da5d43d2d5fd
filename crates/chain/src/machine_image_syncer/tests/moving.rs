//! `clusterctl move` makes owners before what they own, and takes away what is owned before its owner.

use super::*;

const WAITING: &str = "Ready=True/CreatingImage UpToDate=False/CreatingImage Reconciling=True/CreatingImage";
const MADE: &str = "2026-11-21T10:00:00Z";

/// On the new management cluster the controller sees the syncer first, as a new one, and the image a moment later.
#[test]
fn a_young_syncer_lets_its_images_come_first() {
    let mut world = World::new(CHAIN);
    world.syncer()["metadata"]["creationTimestamp"] = json!(MADE);
    let pass = world.pass(at(1));
    assert_eq!(
        (pass.steps.len(), pass.decided.as_str()),
        (
            0,
            "wait: CreatingImage - v1.27.6 has no machine image, and one is made if none comes by itself\nagain in 9 s"
        )
    );
    assert_eq!(pass.conditions(), WAITING);
    assert_eq!(pass.notes(), [""; 0]);

    let mut moved = World::new(CHAIN);
    moved.pass(at(0));
    let mut image = moved.images()[0].clone();
    image["metadata"]["uid"] = json!("uid-new");
    world.objects.push(image);
    let pass = world.pass(at(2));
    assert_eq!((pass.steps.len(), pass.decided.as_str()), (0, "done"));
}

#[test]
fn without_any_it_makes_one_after_ten_seconds() {
    let mut world = World::new(CHAIN);
    world.syncer()["metadata"]["creationTimestamp"] = json!(MADE);
    assert_eq!(world.pass(at(9)).steps.len(), 0);
    assert_eq!(world.pass(at(10)).steps.len(), 2);
}

/// A server whose clock is an hour ahead delays nothing by an hour.
#[test]
fn a_syncer_of_the_future_is_not_waited_for() {
    let mut world = World::new(CHAIN);
    world.syncer()["metadata"]["creationTimestamp"] = json!("2026-11-21T11:00:00Z");
    assert_eq!(world.pass(at(0)).steps.len(), 2);
}

/// On the old management cluster the image goes first; the syncer follows it before another is made.
#[test]
fn an_image_that_vanished_is_made_again_after_half_a_minute() {
    let mut world = World::new(CHAIN);
    world.pass(at(0));
    world.remove("MachineImage");
    let pass = world.pass(at(1));
    assert_eq!(pass.steps.len(), 0);
    assert_eq!(pass.conditions(), WAITING);
    assert_eq!(world.pass(at(30)).steps.len(), 0);
    let pass = world.pass(at(31));
    assert_eq!((pass.steps.len(), pass.notes().len()), (2, 1));
    // Another version is no concern of it.
    world.remove("MachineImage");
    world.get("DebianRepositorySource")["status"]["versions"] = json!(["v1.27.7"]);
    assert_eq!(world.pass(at(32)).steps.len(), 2);
}
