//! When a Cluster has converged, and when its upgrade has stalled.

use super::*;

/// A Cluster that is at the version of its plan.
fn at_version() -> World {
    World::new().with("Cluster", "spec.topology.version", json!("v1.36.4"))
}

/// The reason of a verdict, or `done`; with the time of the next look where there is one.
fn word(text: &str) -> &str {
    text.split_once(": ").and_then(|(_, rest)| rest.split_once(" - ")).map_or("done", |(word, _)| word)
}

fn half(replicas: Value, up_to_date: Value) -> Value {
    json!({"desiredReplicas": 3, "replicas": replicas, "upToDateReplicas": up_to_date})
}

/// (what, path, value, reason of the first pass): `Settling` is converged, at this moment.
#[test]
fn what_counts_as_converged() {
    let (none, null) = (json!({}), Value::Null);
    let table = [
        ("all is as it should be", "spec.paused", null.clone(), "Settling"),
        ("an autoscaler moves desired", "status.workers.desiredReplicas", json!(9), "Settling"),
        ("no workers", "status.workers", null.clone(), "Settling"),
        ("no workers, told as nothing", "status.workers", none.clone(), "Settling"),
        ("no workers, told as zero", "status.workers", half(json!(0), json!(0)), "Settling"),
        ("a worker lags", "status.workers", half(json!(3), json!(2)), "UpgradeInProgress"),
        ("an old worker is still there", "status.workers", half(json!(4), json!(3)), "UpgradeInProgress"),
        ("the control plane lags", "status.controlPlane", half(json!(3), json!(1)), "UpgradeInProgress"),
        ("no RollingOut", "status.conditions.1", json!({"type": "Other", "status": "True"}), "Settling"),
        ("RollingOut unknown", "status.conditions.1.status", json!("Unknown"), "Settling"),
        ("RollingOut", "status.conditions.1.status", json!("True"), "UpgradeInProgress"),
        ("a stale True", "metadata.generation", json!(8), "UpgradeInProgress"),
        ("no TopologyReconciled", "status.conditions.2", json!({"type": "Other"}), "UpgradeInProgress"),
        (
            "steps to come",
            "status.controlPlane.upgradePlan",
            json!([{"version": "v1.36.4"}]),
            "UpgradeInProgress",
        ),
        (
            "worker steps to come",
            "status.workers.upgradePlan",
            json!([{"version": "v1.36.4"}]),
            "UpgradeInProgress",
        ),
    ];
    for (what, path, value, reason) in table {
        let mut world = at_version().with("Cluster", path, value);
        assert_eq!((what, word(&world.pass())), (what, reason));
        assert!(world.requests.is_empty(), "{what}");
    }
}

/// A False from before the last change is as stale as a True.
#[test]
fn a_stale_failure_does_not_count() {
    let mut world = at_version().topology("False", "ReconcileFailed", "broken");
    world.set("Cluster", "metadata.generation", json!(8));
    assert_eq!(word(&world.pass()), "UpgradeInProgress");
}

#[test]
fn it_must_hold_for_15_seconds_without_a_break() {
    let mut world = at_version();
    assert!(world.pass().ends_with("again in 15 s"));
    world.now = 10;
    world.touch();
    assert!(world.pass().ends_with("again in 5 s"));
    world.set("Cluster", "status.workers.upToDateReplicas", json!(1));
    assert_eq!(word(&world.pass()), "UpgradeInProgress");
    world.now = 14;
    world.set("Cluster", "status.workers.upToDateReplicas", json!(2));
    assert!(world.pass().ends_with("again in 15 s"));
    world.now = 28;
    assert_eq!(word(&world.pass()), "Settling");
    world.now = 29;
    assert_eq!(world.pass(), "done");
}

#[test]
fn a_cluster_that_starts_rolling_again_is_no_longer_up_to_date() {
    let mut world = at_version();
    world.pass();
    world.now = 15;
    assert_eq!(world.pass(), "done");
    world.set("Cluster", "status.conditions.1.status", json!("True"));
    assert_eq!(word(&world.pass()), "UpgradeInProgress");
    world.set("Cluster", "status.conditions.1.status", json!("False"));
    assert_eq!(word(&world.pass()), "Settling");
}

fn control_plane(version: &str, runs: Value) -> Value {
    json!({"kind": "ThinControlPlane", "metadata": {"name": "c-cp", "generation": 2, "resourceVersion": "5"},
        "spec": {"version": version}, "status": {"version": runs, "observedGeneration": 2}})
}

/// A control plane without counters tells by itself.
#[test]
fn a_control_plane_without_counters_is_read() {
    let table = [
        (control_plane("v1.36.4", json!("v1.36.4")), "Settling"),
        (control_plane("v1.36.4", json!("1.36.4")), "Settling"),
        (control_plane("v1.36.4", Value::Null), "Settling"),
        (control_plane("v1.36.4", json!("v1.36.2")), "UpgradeInProgress"),
        (control_plane("v1.36.2", json!("v1.36.2")), "UpgradeInProgress"),
    ];
    for (object, reason) in table {
        let mut world = at_version().with("Cluster", "status.controlPlane", Value::Null);
        world.control_plane = Some(object.clone());
        let text = world.pass();
        assert_eq!(word(&text), reason, "{object}");
        assert_eq!(world.requests, ["read ThinControlPlane ns/c-cp"]);
    }
    let mut stale = control_plane("v1.36.4", json!("v1.36.4"));
    stale["metadata"]["generation"] = json!(3);
    let mut world = at_version().with("Cluster", "status.controlPlane", Value::Null);
    world.control_plane = Some(stale);
    assert_eq!(word(&world.pass()), "UpgradeInProgress");
}

/// While it waits, it reads every 30 s at most, however often the Cluster changes; once it knows, only after a change.
#[test]
fn live_reads_are_rationed() {
    let mut world = at_version().with("Cluster", "status.controlPlane", Value::Null);
    assert_eq!(
        world.pass(),
        "wait: UpgradeInProgress - Cluster API moves the machines to v1.36.4: it is not there yet by its own word \
         (ThinControlPlane ns/c-cp)\nagain in 30 s"
    );
    for second in 1..30 {
        world.now = second;
        world.touch();
        world.pass();
    }
    assert_eq!(world.requests.len(), 1);
    world.control_plane = Some(control_plane("v1.36.4", json!("v1.36.4")));
    world.now = 30;
    assert_eq!(word(&world.pass()), "Settling");
    world.now = 45;
    assert_eq!(world.pass(), "done");
    world.now = 1000;
    assert_eq!(world.pass(), "done");
    assert_eq!(world.requests.len(), 2, "nothing has changed since");
    world.touch();
    assert_eq!(world.pass(), "done");
    assert_eq!(world.requests.len(), 3);
    // A change of the spec makes every earlier read worthless, even one of this second.
    world.set("Cluster", "metadata.generation", json!(8));
    world.converge();
    assert_eq!(world.pass(), "done");
    assert_eq!(world.requests.len(), 4);
    assert_eq!(world.statuses.len(), 2, "that it was watched for a moment is not worth a write");
}

fn with_pools() -> World {
    at_version().with(
        "Cluster",
        "spec.topology.workers.machinePools",
        json!([{"class": "p", "name": "mp-0"}]),
    )
}

fn pool(name: &str, version: &str, versions: Value, ready: i64) -> Value {
    json!({"kind": "MachinePool", "metadata": {"name": name, "generation": 1, "resourceVersion": "5"},
        "spec": {"replicas": 2, "template": {"spec": {"version": version}}},
        "status": {"observedGeneration": 1, "replicas": 2, "readyReplicas": ready, "versions": versions}})
}

/// Cluster API 1.14 tells the versions of all workers; their up-to-date counter says nothing where there are pools.
#[test]
fn the_versions_of_workers_tell_of_pools() {
    let seen = |versions: Value| {
        let mut world = with_pools().with("Cluster", "status.workers.versions", versions);
        world.set("Cluster", "status.workers.upToDateReplicas", json!(0));
        (word(&world.pass()).to_owned(), world.requests.len())
    };
    assert_eq!(seen(json!([{"version": "v1.36.4", "replicas": 2}])), ("Settling".to_owned(), 0));
    let both = json!([{"version": "v1.36.2", "replicas": 1}, {"version": "v1.36.4", "replicas": 1}]);
    assert_eq!(seen(both), ("UpgradeInProgress".to_owned(), 0));
}

#[test]
fn pools_are_read_where_the_cluster_does_not_tell() {
    let read = |pools: Vec<Value>| {
        let mut world = with_pools();
        world.pools = pools;
        let text = world.pass();
        assert_eq!(world.requests, ["read the MachinePools of Cluster ns/c"]);
        text
    };
    let one = |version, versions, ready| read(vec![pool("mp-0", version, versions, ready)]);
    let seen = |version| json!([{"version": version}]);
    assert_eq!(word(&one("v1.36.4", Value::Null, 2)), "Settling");
    assert_eq!(word(&one("v1.36.4", seen("v1.36.4"), 0)), "Settling");
    assert_eq!(word(&one("v1.36.4", Value::Null, 1)), "UpgradeInProgress");
    assert_eq!(word(&one("v1.36.2", Value::Null, 2)), "UpgradeInProgress");
    assert_eq!(word(&one("v1.36.4", seen("v1.36.2"), 2)), "UpgradeInProgress");
    assert_eq!(word(&read(Vec::new())), "UpgradeInProgress");
    let two = read(vec![pool("a", "v1.36.4", Value::Null, 2), pool("b", "v1.36.2", Value::Null, 2)]);
    assert!(two.contains("(MachinePool ns/b)"), "{two}");
    // A list without versions, while there are machines, tells nothing either.
    let mut world = with_pools().with("Cluster", "status.workers.versions", json!([]));
    world.pass();
    assert_eq!(world.requests.len(), 1);
}

/// An upgrade that goes on, until nothing moves any more.
fn stuck() -> World {
    let mut world = World::settled();
    world.pass();
    world.touch();
    world.say("False", "ClusterUpgrading", "ThinControlPlane upgrading to version v1.36.4");
    world.set("Cluster", "status.controlPlane.upToDateReplicas", json!(1));
    world.now = 100;
    assert!(world.pass().ends_with("again in 300 s"));
    world
}

const STALLED: &str = "failed: UpgradeStalled - no machine has moved for longer than the deadline [control plane 1 of 3 up to \
    date, workers 2 of 2 up to date]; Cluster API moves the machines to v1.36.4: ThinControlPlane upgrading to version \
    v1.36.4 (Cluster ns/c); look at the Machines of the Cluster";

#[test]
fn counters_that_stop_moving_are_a_stall() {
    let mut world = stuck();
    world.now = 3699;
    world.touch();
    assert!(world.pass().ends_with("again in 1 s"));
    world.now = 3700;
    assert_eq!(world.pass(), STALLED);
    assert_eq!(
        testkit::conditions(world.status()),
        "Ready=False/UpgradeStalled UpToDate=Unknown/UpgradeStalled Stalled=True/UpgradeStalled"
    );
    assert_eq!(world.events().last(), Some(&"UpgradeStalled"));
    let written = world.statuses.len();
    world.touch();
    world.now += 600;
    assert_eq!(world.pass(), STALLED);
    assert_eq!(world.statuses.len(), written);
    // One machine moves, and the deadline begins anew.
    world.set("Cluster", "status.controlPlane.upToDateReplicas", json!(2));
    let text = world.pass();
    assert!(word(&text) == "UpgradeInProgress" && text.ends_with("again in 300 s"), "{text}");
}

/// The clock is lost with the process, what it has said is not.
#[test]
fn a_stall_outlives_the_process() {
    let mut world = stuck();
    world.now = 3700;
    world.pass();
    let written = world.statuses.len();
    world.kill();
    assert_eq!(world.pass(), STALLED);
    assert_eq!(world.statuses.len(), written);
    world.kill();
    world.set("Cluster", "status.controlPlane.upToDateReplicas", json!(2));
    assert_eq!(word(&world.pass()), "UpgradeInProgress", "a machine has moved while nobody looked");
}

#[test]
fn a_cluster_that_was_at_rest_for_long_is_not_stalled_at_once() {
    let mut world = World::settled();
    world.now = 100_000;
    assert!(world.pass().ends_with("again in 300 s"));
    // Nor one that was paused, or waited for someone.
    world.now += 3000;
    world.set("Cluster", "spec.paused", json!(true));
    assert_eq!(word(&world.pass()), "ClusterPaused");
    world.now += 3000;
    world.set("Cluster", "spec.paused", json!(false));
    assert!(world.pass().ends_with("again in 300 s"));
}

#[test]
fn an_autoscaler_does_not_keep_a_stalled_upgrade_alive() {
    let mut world = stuck();
    for desired in 0..36 {
        world.now += 100;
        world.set("Cluster", "status.workers.desiredReplicas", json!(desired));
        world.touch();
        world.pass();
    }
    assert_eq!(world.pass(), STALLED);
}

#[test]
fn deferred_groups_never_stall() {
    let mut world =
        at_version().topology("False", "MachinePoolsUpgradeDeferred", "MachinePools mp-0 upgrade deferred");
    world.pass();
    world.now = 1_000_000;
    let said =
        "wait: UpgradeDeferred - MachinePools mp-0 upgrade deferred (Cluster ns/c); remove the annotation ";
    assert!(world.pass().starts_with(said) && !world.pass().contains("again in"), "{}", world.pass());
}
