//! Which upgraders a change concerns.

use super::*;

fn names(keys: Vec<ObjectKey>) -> Vec<String> {
    keys.iter().map(ToString::to_string).collect()
}

#[test]
fn a_plan_concerns_its_upgraders_when_its_result_changes() {
    let mut world = World::new();
    let (store, key) = (world.store(), ObjectKey::new("ns", "plan"));
    let before = store.snapshot().get::<PlanRow>(&key).unwrap().clone();
    let mut told = |path: &str, value: Value| {
        world.set("Plan", path, value);
        let store = world.store();
        let after = store.snapshot().get::<PlanRow>(&key);
        names(wakes::of_plan(store.snapshot(), &key, Some(&before), after))
    };
    assert!(told("metadata.resourceVersion", json!("9")).is_empty());
    assert!(told("status.phase", json!("FoundMachineImage")).is_empty());
    assert_eq!(told("status.machineImageDetails.id", json!("img:5")), ["ns/up"]);
    assert_eq!(told("spec.maxConcurrent", json!(3)), ["ns/up"]);
    assert_eq!(names(wakes::of_plan(store.snapshot(), &key, Some(&before), None)), ["ns/up"]);
    // Why there is no result is what the upgraders say; of a result nothing is said.
    let said = |message: &str| {
        json!([{"type": "UpToDate", "status": "False", "reason": "NoSuitableMachineImage", "message": message,
            "lastTransitionTime": "2026-11-21T10:00:00Z"}])
    };
    let mut world = World::new().with("Plan", "status.conditions", said("a"));
    let with = |world: &World| world.store().snapshot().get::<PlanRow>(&key).unwrap().clone();
    let first = with(&world);
    world.set("Plan", "status.conditions", said("b"));
    let changed = |world: &World, before: &PlanRow| {
        names(wakes::of_plan(world.store().snapshot(), &key, Some(before), Some(&with(world))))
    };
    assert!(changed(&world, &first).is_empty());
    world.set("Plan", "status.machineImageDetails", Value::Null);
    let without = with(&world);
    world.set("Plan", "status.conditions", said("c"));
    assert_eq!(changed(&world, &without), ["ns/up"]);
    let other = ObjectKey::new("ns", "other");
    assert!(wakes::of_plan(store.snapshot(), &other, Some(&before), None).is_empty());
}

/// Only where it may be the next hop, and only where the plan picks it.
#[test]
fn an_image_concerns_the_clusters_that_it_may_bring_on() {
    let woken = |version: &str, cluster: &str, labels: Value, id: Value| {
        let mut world = World::new().with("Cluster", "spec.topology.version", json!(cluster));
        world.choose("v1.38.0");
        world.set("Plan", "spec.machineImageSelector", json!({"matchLabels": {"os": "linux"}}));
        world.add_image(version);
        let name = format!("img-{version}");
        world.named("MachineImage", &name)["metadata"]["labels"] = json!({ "os": labels });
        world.named("MachineImage", &name)["spec"]["id"] = id;
        let (store, key) = (world.store(), ObjectKey::new("ns", name));
        let after = store.snapshot().get::<MachineImageRow>(&key);
        assert!(wakes::of_image(store.snapshot(), &key, after, after).is_empty());
        names(wakes::of_image(store.snapshot(), &key, None, after))
    };
    assert_eq!(woken("v1.37.1", "v1.36.2", json!("linux"), json!("img")), ["ns/up"]);
    assert!(woken("v1.37.1", "v1.36.2", json!("other"), json!("img")).is_empty());
    assert!(woken("v1.37.1", "v1.36.2", json!("linux"), json!("")).is_empty());
    assert!(woken("v1.37.1", "v1.35.2", json!("linux"), json!("img")).is_empty());
    assert!(woken("v1.37.1", "v1.38.0", json!("linux"), json!("img")).is_empty());
    assert!(woken("v1.39.0", "v1.38.0", json!("linux"), json!("img")).is_empty());
}

#[test]
fn a_class_concerns_the_upgraders_of_its_clusters_here_and_elsewhere() {
    let changed = |world: &mut World, namespace: &str| {
        let key = ObjectKey::new(namespace, "class");
        let store = world.store();
        names(wakes::of_class(store.snapshot(), &key, None, Some(&ClusterClassRow::default())))
    };
    let mut world = World::new();
    assert_eq!(changed(&mut world, "ns"), ["ns/up"]);
    assert!(changed(&mut world, "other").is_empty());
    world.set("Cluster", "spec.topology.classRef.namespace", json!("other"));
    assert_eq!(changed(&mut world, "other"), ["ns/up"]);
    assert!(changed(&mut world, "ns").is_empty());

    let key = ObjectKey::new("other", "class");
    let store = world.store();
    let row = |resource_version| ClusterClassRow {
        meta: domain::object::Meta {
            resource_version: domain::object::ResourceVersion(resource_version),
            ..Default::default()
        },
        ..ClusterClassRow::default()
    };
    assert!(wakes::of_class(store.snapshot(), &key, Some(&row(1)), Some(&row(2))).is_empty());
}

#[test]
fn a_class_in_another_namespace_is_found() {
    let mut world = World::settled()
        .with("Cluster", "spec.topology.classRef.namespace", json!("other"))
        .with("ClusterClass", "metadata.namespace", json!("other"));
    world.pass();
    assert_eq!(world.patches(), 1);
}
