//! Whatever there is: no image goes that anything needs.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::*;

const VERSIONS: [&str; 5] = ["v1.27.4", "v1.27.5", "v1.27.6", "v1.28.1", "v1.28.2"];

fn version() -> impl Strategy<Value = &'static str> {
    select(VERSIONS.to_vec())
}

fn image() -> impl Strategy<Value = Value> {
    let phases = vec![json!("Created"), json!("Building"), json!("Failed"), Value::Null];
    (version(), select(phases), any::<bool>(), prop::bool::weighted(0.8), prop::bool::weighted(0.9)).prop_map(
        |(version, phase, has_id, owned, old)| {
            let uid = if owned { "uid-machineimagesyncer-syncer" } else { "another" };
            let created = if old { "2026-11-01T10:00:00Z" } else { "2026-11-21T09:59:00Z" };
            let id = if has_id { json!(format!("ami-{version}")) } else { Value::Null };
            json!({
                "kind": "MachineImage",
                "metadata": {"creationTimestamp": created, "ownerReferences": [{
                    "apiVersion": "kubernetesupgraded.dimitrikoshkin.com/v1alpha1", "kind": "MachineImageSyncer",
                    "name": "syncer", "uid": uid,
                }]},
                "spec": {"version": version, "id": id, "jobTemplate": {"spec": {"containers": [{"name": "c"}]}}},
                "status": {"phase": phase},
            })
        },
    )
}

/// An object of Cluster API that uses a version or an id, in one of the ways there are.
fn user() -> impl Strategy<Value = Value> {
    (version(), 0..8_usize).prop_map(|(version, way)| {
        let bare = version.trim_start_matches('v');
        let overrides =
            json!({"variables": {"overrides": [{"name": "image", "value": [format!("ami-{version}")]}]}});
        match way {
            0 => json!({"kind": "Cluster", "spec": {"topology": {"version": version}}}),
            1 => json!({"kind": "Cluster", "spec": {"topology": {"version": "v1.20.0", "variables": [
                {"name": "image", "value": {"of": format!("ami-{version}")}}
            ]}}}),
            2 => json!({"kind": "Cluster", "spec": {"topology": {"controlPlane": overrides}}}),
            3 => json!({"kind": "Cluster", "spec": {"controlPlaneRef": {
                "apiGroup": "controlplane.cluster.x-k8s.io", "kind": "KubeadmControlPlane", "name": "x",
            }}, "status": {"workers": {"versions": [{"version": bare}]}}}),
            4 => json!({"kind": "MachineDeployment", "spec": {"template": {"spec": {"version": version}}}}),
            5 => json!({"kind": "MachinePool", "spec": {"template": {"spec": {"version": bare}}}}),
            6 => json!({"kind": "Machine", "spec": {"version": version}}),
            _ => json!({"kind": "Machine", "status": {"nodeInfo": {"kubeletVersion": version}}}),
        }
    })
}

fn named(objects: Vec<Value>) -> Vec<Value> {
    let name = |(index, mut object): (usize, Value)| {
        object["metadata"]["name"] = json!(format!("o{index}"));
        testkit::objects(&object.to_string()).remove(0)
    };
    objects.into_iter().enumerate().map(name).collect()
}

/// Why an image may not go, read from the objects themselves and not by way of rows.
fn needed(world: &World, image: &Value, denied: &[&str]) -> Option<&'static str> {
    let version = image["spec"]["version"].as_str().unwrap();
    let phase = image["status"]["phase"].as_str();
    if image["metadata"]["ownerReferences"][0]["uid"] != "uid-machineimagesyncer-syncer" {
        return Some("it is not ours");
    }
    if image["spec"]["id"].is_null() && phase != Some("Failed") {
        return Some("it is being built");
    }
    if VERSIONS.iter().rfind(|version| !denied.contains(version)) == Some(&version) {
        return Some("it is wanted");
    }
    let text = world.live.as_ref().unwrap().iter().map(Value::to_string).collect::<String>();
    let quoted = |text: &str, version: &str| text.contains(&format!("\"{version}\""));
    let id = image["spec"]["id"].as_str().unwrap_or("no id");
    if [version, version.trim_start_matches('v'), id].iter().any(|word| quoted(&text, word)) {
        return Some("it is used");
    }
    let plans: Vec<_> = world.objects.iter().filter(|object| object["kind"] == "Plan").collect();
    let name = image["metadata"]["name"].as_str().unwrap();
    let leads = |plan: &&Value| quoted(&plan["status"].to_string(), name);
    if plans.iter().any(leads) {
        return Some("a plan leads to it");
    }
    plans.iter().any(|plan| plan["status"]["observedGeneration"] != 1).then_some("a plan may lead to it")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_needed_stays_and_the_rest_goes(
        images in prop::collection::vec(image(), 1..10),
        live in prop::collection::vec(user(), 0..4),
        denied in subsequence(VERSIONS.to_vec(), 0..4),
        plan in prop::option::weighted(0.4, (0..10_usize, 0..10_usize, prop::bool::weighted(0.9))),
        keep in 0..3_u32,
        rows_too in any::<bool>(),
    ) {
        let mut world = World::new(CHAIN);
        world.objects.extend(named(images));
        world.live = Ok(named(live));
        world.get("DebianRepositorySource")["status"]["versions"] = json!(VERSIONS);
        world.syncer()["spec"]["versionRange"] = json!("*");
        world.syncer()["spec"]["deniedVersions"] = json!(denied);
        world.syncer()["spec"]["retention"] = json!({"mode": "Delete", "keep": keep});
        if let Some((result, on_path, current)) = plan {
            world.objects.extend(testkit::objects(&json!({
                "kind": "Plan", "metadata": {"name": "p"}, "spec": {"versionRange": "*"},
                "status": {
                    "observedGeneration": i32::from(current), "machineImageRef": {"name": format!("o{result}")},
                    "path": [{"minor": "v1.27", "machineImage": format!("o{on_path}")}],
                },
            }).to_string()));
        }
        if rows_too {
            let clusters: Vec<_> =
                world.live.as_ref().unwrap().iter().filter(|object| object["kind"] == "Cluster").cloned().collect();
            world.objects.extend(clusters);
        }
        for pass in 0.. {
            prop_assert!(pass < 60, "passes without end");
            loop {
                let (_, verdict) = world.look(at(0));
                let Some(step) = verdict.steps.first().cloned() else { break };
                if let Step::DeleteImage { image, .. } = &step {
                    let found = world.images().into_iter().find(|found| found["metadata"]["uid"] == *image.uid);
                    prop_assert_eq!(needed(&world, found.unwrap(), &denied), None, "{}", step);
                }
                let answer = world.answer(&step);
                let recall = Recall { memory: &mut world.memory, shared: &mut () };
                SyncerRoom.learn(recall, &step, Ok(answer), at(0));
            }
            let pass = world.pass(at(0));
            if !pass.decided.ends_with("again in 0 s") {
                break;
            }
        }
        // And no more stay than must.
        let unneeded = world.images().into_iter().filter(|image| {
            let young = image["metadata"]["creationTimestamp"] != "2026-11-01T10:00:00Z";
            !young && needed(&world, image, &denied).is_none()
        });
        prop_assert!(unneeded.count() <= keep as usize);
        let told = world.syncer()["status"]["retention"].to_string();
        prop_assert!(!told.contains("\"Delete\""), "{}", told);
    }
}
