//! Several Clusters of one plan: how many roll, and what a stalled one means to the others.

use super::*;

const UP: &str = "ClusterClassClusterUpgrader";

/// `c`, `c1`, `c2`, … of one plan, each watched for long enough.
fn fleet(clusters: usize, limit: Option<u32>) -> World {
    let mut world = World::new();
    for number in 1..clusters {
        world.add(&format!("c{number}"), &format!("up{number}"));
    }
    world.set("Plan", "spec.maxConcurrent", json!(limit));
    for who in upgraders(&world) {
        // A look without a report: nobody's status says anything yet.
        world.turn(&who).decide();
    }
    world.now = 20;
    world
}

fn upgraders(world: &World) -> Vec<String> {
    let of_kind = world.objects.iter().filter(|object| object["kind"] == UP);
    of_kind.map(|object| object["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}

fn finish(world: &mut World, who: &str) {
    world.turn(who).converge();
    world.pass();
    world.now += 20;
    assert_eq!(world.pass(), "done");
}

#[test]
fn no_more_roll_than_the_plan_lets() {
    let mut world = fleet(4, Some(2));
    for who in ["up", "up1", "up2", "up3"] {
        world.turn(who).pass();
    }
    assert_eq!(world.patches(), 2);
    assert_eq!(
        world.turn("up3").pass(),
        "wait: MaxConcurrentReached - 2 of the Clusters of the Plan may roll at a time, and every place is taken (Plan \
         ns/plan); raise spec.maxConcurrent of the Plan, or wait for those that roll"
    );
    assert!(
        testkit::conditions(world.status()).starts_with("Ready=True/MaxConcurrentReached UpToDate=False/")
    );
    finish(&mut world, "up");
    for who in ["up2", "up3"] {
        world.turn(who).pass();
    }
    assert_eq!(world.patches(), 3);
    // A Cluster that rolls for another reason counts as well.
    finish(&mut world, "up1");
    world.turn("up1").set("Cluster", "status.conditions.1.status", json!("True"));
    world.pass();
    assert!(world.turn("up3").pass().starts_with("wait: MaxConcurrentReached"));
    world.set("Plan", "spec.maxConcurrent", json!(3));
    world.pass();
    assert_eq!(world.patches(), 4);
}

/// At the start all are watched at once. None of them rolls, so none waits for the others; also after a kill in between.
#[test]
fn clusters_that_are_only_watched_take_no_place() {
    for kill in [false, true] {
        let mut world = World::new();
        for number in 1..4 {
            world.add(&format!("c{number}"), &format!("up{number}"));
        }
        world.set("Plan", "spec.maxConcurrent", json!(2));
        for who in upgraders(&world) {
            assert!(world.turn(&who).pass().starts_with("wait: Settling"));
        }
        if kill {
            world.kill();
        }
        for who in upgraders(&world) {
            assert!(world.turn(&who).pass().starts_with("wait: Settling"), "{kill}: {who}");
        }
        world.now = 20;
        let told: Vec<String> = upgraders(&world).iter().map(|who| world.turn(who).pass()).collect();
        let words: Vec<&str> =
            told.iter().filter_map(|told| told.split_once(": ")?.1.split(' ').next()).collect();
        let reached = "MaxConcurrentReached";
        assert_eq!(words, ["UpgradeInProgress", "UpgradeInProgress", reached, reached], "{kill}");
        assert_eq!(world.patches(), 2);
    }
}

/// Killed after a write in the 15 s between two hops: the status still says that the Cluster rests.
#[test]
fn a_cluster_that_was_set_before_a_kill_has_its_place() {
    let mut world = fleet(2, Some(1)).image("v1.37.1");
    world.choose("v1.38.0");
    world.turn("up").pass();
    world.converge();
    assert!(world.pass().starts_with("wait: Settling"));
    world.now += 20;
    assert_eq!(world.pass_until(2), "killed");
    assert_eq!(world.version(), "v1.38.0");
    world.kill();
    assert!(world.turn("up1").pass().starts_with("wait: MaxConcurrentReached"));
}

/// Two that are looked at before either has written its status: the second sees the place that the first has taken.
#[test]
fn a_place_is_taken_before_the_write() {
    let mut world = fleet(2, Some(1));
    let taken = |world: &mut World, refusal: Option<Refusal>| {
        world.refuses = refusal;
        world.turn("up").pass_until(2);
        world.refuses = None;
        world.turn("up1").shown()
    };
    // The write is under way or done; the status is not written yet.
    let text = taken(&mut world, None);
    assert!(text.starts_with("wait: MaxConcurrentReached"), "{text}");
    // An unknown outcome holds the place for a while, and is looked at again each minute of it.
    let mut world = fleet(2, Some(1));
    let lost = Refusal::Unavailable { message: "timeout".to_owned(), retry_after: None };
    let text = taken(&mut world, Some(lost));
    assert!(text.starts_with("wait: MaxConcurrentReached") && text.ends_with("again in 10 s"), "{text}");
    for _ in 0..6 {
        world.pass();
        assert!(world.shown().ends_with("again in 60 s"), "{}", world.shown());
        assert_eq!(world.patches(), 1);
        world.now += 60;
    }
    world.pass();
    assert_eq!(world.version(), "v1.36.4");
    // A refusal gives it back at once.
    let mut world = fleet(2, Some(1));
    taken(&mut world, Some(refusals::refused("no")));
    world.turn("up1").pass();
    assert_eq!(world.version(), "v1.36.4");
}

/// Somebody sets the clock forward, far beyond the time for which a place is held.
#[test]
fn a_clock_that_is_set_frees_no_place() {
    let mut world = fleet(2, Some(1));
    assert_eq!(world.turn("up").pass_until(2), "killed");
    assert!(world.turn("up1").shown().starts_with("wait: MaxConcurrentReached"));
    world.now += 3_600;
    assert!(world.turn("up1").shown().starts_with("wait: MaxConcurrentReached"));
}

/// Killed after the write, and the next process has looked at another Cluster only, however long ago: requests about the
/// one that was set have no answer, say.
#[test]
fn a_cluster_that_nobody_has_looked_at_yet_has_its_place() {
    let mut world = fleet(2, Some(1));
    world.turn("up1").pass_until(0);
    assert_eq!(world.turn("up").pass_until(2), "killed");
    world.kill();
    for _ in 0..3 {
        assert!(world.turn("up1").pass().starts_with("wait: MaxConcurrentReached"));
        world.now += 60;
    }
    assert_eq!(world.patches(), 1);
}

/// Between two hops of its way a Cluster keeps its place, and it does not wait for itself.
#[test]
fn a_cluster_does_not_wait_for_itself() {
    let mut world = fleet(2, Some(1)).image("v1.37.1");
    world.choose("v1.38.0");
    world.turn("up").pass();
    assert_eq!(world.version(), "v1.37.1");
    world.converge();
    world.pass();
    assert!(world.turn("up1").pass().starts_with("wait: MaxConcurrentReached"));
    world.now += 20;
    world.turn("up").pass();
    assert_eq!(world.version(), "v1.38.0");
}

/// After a restart those that wait still wait, and write nothing.
#[test]
fn a_restart_does_not_open_the_gate() {
    let mut world = fleet(3, Some(1));
    for who in ["up", "up1", "up2"] {
        world.turn(who).pass();
    }
    world.kill();
    let written = world.statuses.len();
    for who in ["up1", "up2", "up"] {
        world.turn(who).pass();
    }
    assert_eq!((world.patches(), world.statuses.len()), (1, written));
}

/// Killed after the write and before the status: no other takes the place that nobody's status tells of.
#[test]
fn a_place_taken_before_a_kill_is_not_taken_twice() {
    for first in ["up", "up1"] {
        let mut world = fleet(2, Some(1));
        for who in ["up", "up1"] {
            // As after a hop: each is known to have converged.
            let message = if who == "up" { "Cluster c runs v1.36.2" } else { "Cluster c1 runs v1.36.2" };
            let done = json!([{"type": "UpToDate", "status": "True", "reason": "UpToDate", "message": message,
                "lastTransitionTime": "2026-11-21T10:00:00Z"}]);
            world.turn(who).set(UP, "status.conditions", done);
        }
        assert_eq!(world.turn("up").pass_until(2), "killed");
        world.kill();
        for who in [first, "up", "up1"] {
            world.turn(who).pass();
        }
        world.now += 20;
        let text = world.turn("up1").pass();
        assert!(text.starts_with("wait: MaxConcurrentReached"), "{first}: {text}");
        assert_eq!(world.patches(), 1, "{first}");
    }
}

/// `up` has started on the image and is stalled.
fn stalled(clusters: usize) -> World {
    let mut world = fleet(clusters, None);
    world.turn("up").pass();
    world.touch();
    world.say("False", "ClusterUpgrading", "ThinControlPlane upgrading to version v1.36.4");
    world.set("Cluster", "status.controlPlane.upToDateReplicas", json!(1));
    world.pass();
    world.now += 3600;
    assert!(world.pass().starts_with("failed: UpgradeStalled"));
    world
}

const SUSPECT: &str = "wait: ImageSuspect - Cluster c has started on v1.36.4 with image img:4, and is stalled (Cluster ns/c); \
                       repair it, let the Plan choose another image, or pause its upgrader";

#[test]
fn no_cluster_starts_on_an_image_that_has_stalled_another() {
    let mut world = stalled(2);
    let text = world.turn("up1").pass();
    assert_eq!(text, format!("{SUSPECT}\nagain in 10 s"));
    assert_eq!(world.pass(), SUSPECT);
    // What was said outlives the process.
    world.kill();
    assert_eq!(world.turn("up1").pass(), SUSPECT);
    assert!(world.turn("up").pass().starts_with("failed: UpgradeStalled"));
    assert_eq!(world.turn("up1").pass(), SUSPECT);
    assert_eq!(world.patches(), 1);
    // One machine moves.
    world.turn("up").set("Cluster", "status.controlPlane.upToDateReplicas", json!(2));
    world.pass();
    world.now += 20;
    world.turn("up1").pass();
    assert_eq!(world.version(), "v1.36.4");
}

/// Whoever pauses the stalled Cluster to look at its Machines does not clear its image.
#[test]
fn a_pause_of_the_stalled_cluster_does_not_open_the_gate() {
    let mut world = stalled(2);
    world.turn("up").set("Cluster", "spec.paused", json!(true));
    world.say("False", "Paused", "Cluster spec.paused is set to true");
    let text = world.pass();
    assert!(text.starts_with("failed: UpgradeStalled - no machine has moved"), "{text}");
    assert!(text.contains("; the Cluster is paused (Cluster ns/c); unset its spec.paused"), "{text}");
    world.kill();
    assert_eq!(world.pass(), text);
    assert!(world.turn("up1").pass().starts_with("wait: ImageSuspect"));
    // Taken back, the Cluster is as stalled as before, until a machine moves.
    world.turn("up").set("Cluster", "spec.paused", json!(false));
    world.say("False", "ClusterUpgrading", "ThinControlPlane upgrading to version v1.36.4");
    assert!(world.pass().starts_with("failed: UpgradeStalled"));
    world.set("Cluster", "status.controlPlane.upToDateReplicas", json!(2));
    assert!(world.pass().starts_with("wait: UpgradeInProgress"));
    world.set("Cluster", "spec.paused", json!(true));
    assert!(world.pass().starts_with("wait: ClusterPaused"), "it had not stalled");
}

/// With another image to start on, it is not the image that holds the others back.
#[test]
fn it_is_said_that_every_place_is_taken_by_one_that_is_stalled() {
    let mut world = stalled(3);
    world.set("Plan", "spec.maxConcurrent", json!(1));
    world.choose("v1.36.5");
    let text = world.turn("up1").pass();
    assert!(
        text.starts_with(
            "wait: MaxConcurrentReached - 1 of the Clusters of the Plan may roll at a time, and every place is taken by one \
             that is stalled (Cluster ns/c); repair it, pause its upgrader, or raise spec.maxConcurrent of the Plan"
        ),
        "{text}"
    );
    world.set("Plan", "spec.maxConcurrent", json!(2));
    world.turn("up1").pass();
    assert!(world.turn("up2").pass().contains("and every place is taken (Plan ns/plan)"));
}

#[test]
fn another_image_or_version_is_not_suspect() {
    let changes: [fn(&mut World); 4] = [
        |world| {
            world.set("Plan", "status.machineImageDetails.id", json!("img:4b"));
            world.set("MachineImage", "spec.id", json!("img:4b"));
        },
        |world| world.choose("v1.36.5"),
        |world| world.turn("up").set(UP, "status.waiting.reason", json!("UpgradeInProgress")),
        |world| {
            world.objects.retain(|object| object["kind"] != "Cluster" || object["metadata"]["name"] != "c")
        },
    ];
    for change in changes {
        let mut world = stalled(2);
        change(&mut world);
        world.turn("up1").pass();
        assert_eq!(world.patches(), 2);
    }
}

/// Without a variable it is the version by which the image is found.
#[test]
fn without_a_variable_the_version_is_suspect() {
    let mut world = stalled(2);
    for who in ["up", "up1"] {
        world.turn(who).set(UP, "spec.topologyVariable", Value::Null);
    }
    assert!(world.turn("up1").pass().starts_with("wait: ImageSuspect"));
}

/// All that start in one moment share one read of the image; later ones read it again.
#[test]
fn an_image_is_read_once_for_all_that_start_on_it() {
    let mut world = fleet(5, None);
    for who in upgraders(&world) {
        world.turn(&who).pass();
    }
    let reads =
        |world: &World| world.requests.iter().filter(|it| it.starts_with("read MachineImage")).count();
    assert_eq!((reads(&world), world.patches()), (1, 5));
    let mut world = fleet(2, None);
    world.turn("up").pass();
    world.now += 5;
    world.turn("up1").pass();
    assert_eq!((reads(&world), world.patches()), (2, 2));
}

fn woken(world: &mut World, who: &str, change: impl Fn(&mut UpgraderRow)) -> Vec<String> {
    let store = world.store();
    let key = ObjectKey::new("ns", who);
    let before = store.snapshot().get::<UpgraderRow>(&key).unwrap().clone();
    let mut after = before.clone();
    change(&mut after);
    let mut then = world.store();
    then.put::<UpgraderRow>(&runtime::store::TableId::of::<UpgraderRow>(), after.clone());
    let keys = wakes::of_upgrader(then.snapshot(), &key, Some(&before), Some(&after));
    keys.iter().map(|key| key.name.to_string()).collect()
}

/// As many as there are places, and only of those that wait for one.
#[test]
fn who_waits_is_woken_when_a_place_is_free() {
    let mut world = fleet(6, Some(2));
    for who in upgraders(&world) {
        world.turn(&who).pass();
    }
    assert_eq!(world.patches(), 2);
    let done = |row: &mut UpgraderRow| row.status.waiting = None;
    assert_eq!(woken(&mut world, "up", done), ["up2"]);
    // One that does not take the place lets the next have it.
    let blocked = |row: &mut UpgraderRow| row.status.waiting.as_mut().unwrap().reason = "Paused".into();
    assert!(woken(&mut world, "up3", blocked).is_empty(), "no place is free");
    world.named(UP, "up")["status"]["waiting"] = Value::Null;
    assert_eq!(woken(&mut world, "up3", blocked), ["up2"]);
    let rolls =
        |row: &mut UpgraderRow| row.status.waiting.as_mut().unwrap().reason = "UpgradeInProgress".into();
    assert!(woken(&mut world, "up3", rolls).is_empty());
    assert!(woken(&mut world, "up1", |row| row.meta.resource_version.0 += 1).is_empty());
}

#[test]
fn who_waits_for_a_suspect_image_is_woken_when_it_recovers() {
    let mut world = stalled(3);
    world.turn("up1").pass();
    world.turn("up2").set(UP, "spec.paused", json!(true));
    world.pass();
    let moves =
        |row: &mut UpgraderRow| row.status.waiting.as_mut().unwrap().reason = "UpgradeInProgress".into();
    assert_eq!(woken(&mut world, "up", moves), ["up1"]);
}

/// Why it waits may be another reason then: the image is suspect, or no place becomes free by itself.
#[test]
fn who_waits_for_a_place_is_woken_when_a_cluster_stalls_and_when_it_goes_on() {
    let mut world = fleet(3, Some(1));
    for who in upgraders(&world) {
        world.turn(&who).pass();
    }
    let reason = |reason: &'static str| {
        move |row: &mut UpgraderRow| row.status.waiting.as_mut().unwrap().reason = reason.into()
    };
    assert_eq!(woken(&mut world, "up", reason("UpgradeStalled")), ["up1", "up2"]);
    world.named(UP, "up")["status"]["waiting"]["reason"] = json!("UpgradeStalled");
    assert_eq!(woken(&mut world, "up", reason("UpgradeInProgress")), ["up1", "up2"]);
    assert!(woken(&mut world, "up", |row| row.meta.resource_version.0 += 1).is_empty());
}

#[test]
fn others_of_a_cluster_are_woken_when_one_comes_or_goes() {
    let mut world = World::new();
    world.add_upgrader("c", "later");
    world.add("c1", "elsewhere");
    assert_eq!(woken(&mut world, "up", |row| row.meta.deleting = true), ["later"]);
    assert_eq!(woken(&mut world, "up", |row| row.cluster_name = "c1".into()), ["elsewhere", "later"]);
    assert!(woken(&mut world, "up", |row| row.paused = true).is_empty());
    let store = world.store();
    let key = ObjectKey::new("ns", "up");
    let row = store.snapshot().get::<UpgraderRow>(&key);
    assert_eq!(wakes::of_upgrader(store.snapshot(), &key, row, None), [ObjectKey::new("ns", "later")]);
}
