//! The patch, as it is sent.

use super::*;

/// The operations that the next pass would send, one a line; they are tried on the Cluster as it is.
fn sent(mut world: World) -> String {
    let api_version = world.clusters.clone();
    world.pass();
    world.now += 20;
    let decided = loop {
        let observed = world.observe();
        let verdict = world.room.decide(&observed, at(world.now));
        let step =
            verdict.steps.first().cloned().unwrap_or_else(|| panic!("{}", shown(&verdict, at(world.now))));
        if let Step::PatchCluster { .. } = step {
            break step;
        }
        let answer = world.answer(&step);
        assert!(world.learn(&step, &answer));
    };
    let line = decided.to_string();
    let Step::PatchCluster { api_version: sent_in, patch, .. } = decided else { unreachable!() };
    assert_eq!(Availability::Synced { api_version: sent_in.clone() }, api_version);
    let mut cluster = world.object("Cluster").clone();
    for operation in &patch {
        operate(&mut cluster, operation);
    }
    assert_eq!(cluster["spec"]["topology"]["version"], "v1.36.4");
    let operations: Vec<String> = patch.iter().map(Value::to_string).collect();
    let variables = cluster["spec"]["topology"]["variables"].to_string();
    format!("{line}\nin {sent_in}\n{}\nvariables then: {variables}", operations.join("\n"))
}

fn with_variables(variables: Value) -> World {
    World::new().with("Cluster", "spec.topology.variables", variables)
}

#[test]
fn the_variable_is_the_third_of_the_list() {
    insta::assert_snapshot!("variable_at_index_2", sent(World::new()));
}

#[test]
fn the_variable_is_the_only_one() {
    let world = with_variables(json!([{"name": "image", "value": "img:2"}]));
    insta::assert_snapshot!("variable_present", sent(world));
}

#[test]
fn the_list_lacks_the_variable() {
    let world = with_variables(json!([{"name": "region", "value": "north"}]));
    insta::assert_snapshot!("variable_absent_in_list", sent(world));
}

#[test]
fn the_list_is_empty() {
    insta::assert_snapshot!("variable_list_empty", sent(with_variables(json!([]))));
}

#[test]
fn there_is_no_list() {
    let mut world = World::new();
    world.object("Cluster")["spec"]["topology"].as_object_mut().unwrap().remove("variables");
    insta::assert_snapshot!("no_variable_list", sent(world));
}

#[test]
fn no_variable_is_asked_for() {
    let world = World::new().with("ClusterClassClusterUpgrader", "spec.topologyVariable", json!(""));
    insta::assert_snapshot!("no_variable", sent(world));
}

/// The variable is known to the Cluster only: what it holds is a string, so it is replaced, and the server has its say.
#[test]
fn the_class_does_not_know_the_variable() {
    let world = World::new().with("ClusterClass", "status.variables", json!([]));
    insta::assert_snapshot!("variable_of_the_cluster_alone", sent(world));
}

#[test]
fn a_cluster_of_v1beta1_is_written_in_v1beta1() {
    let mut world = World::new();
    world.clusters = Availability::Synced { api_version: "cluster.x-k8s.io/v1beta1".into() };
    let cluster = world.object("Cluster");
    let status = cluster["status"].take();
    cluster["status"] = json!({
        "phase": "Provisioned",
        "controlPlaneReady": true,
        "conditions": [{"type": "ControlPlaneInitialized", "status": "True"}, {"type": "TopologyReconciled", "status": "True"}],
        "v1beta2": {
            "conditions": status["conditions"], "controlPlane": status["controlPlane"], "workers": status["workers"],
        },
    });
    let topology = &mut cluster["spec"]["topology"];
    topology.as_object_mut().unwrap().remove("classRef");
    topology["class"] = json!("class");
    topology["variables"][2]["definitionFrom"] = json!("inline");
    cluster["spec"]["controlPlaneRef"] = json!({"apiVersion": "controlplane.cluster.x-k8s.io/v1beta1", "kind": "ThinControlPlane", "name": "c-cp"});
    let class = world.object("ClusterClass");
    class["status"]["conditions"] = json!([{"type": "VariablesReconciled", "status": "True"}]);
    insta::assert_snapshot!("v1beta1", sent(world));
}

/// Versions are written with a `v`, however the plan has them; an id may hold anything.
#[test]
fn what_is_set_is_normalised_and_quoted() {
    let id = "a \"quoted\"/~id";
    let world = World::new()
        .with("Plan", "status.machineImageDetails", json!({"version": "1.36.4", "id": id}))
        .with("MachineImage", "spec.version", json!("1.36.4"))
        .with("MachineImage", "spec.id", json!(id));
    insta::assert_snapshot!("normalised", sent(world));
}
