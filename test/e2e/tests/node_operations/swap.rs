//! The swap in the middle of an upgrade: objects and pods as kairos-operator v0.1.3 leaves them, on a real API server.

use std::collections::BTreeMap;

use api::kairos::{CORDONED_BY_ANNOTATION, REBOOT_FROM_ANNOTATION, node_op, node_op_upgrade};
use domain::object::Kind;
use e2e::{Expected, Installed, WITHIN, repository};
use serde_json::{Value, json};

const NAMESPACE: &str = "upgrades";
const NAME: &str = "os-v3-7-0";
const NODE: Kind = api::nodes::node::KIND;
const POD: Kind = api::nodes::pod::KIND;
const JOB: Kind = api::batch::job::KIND;
const ROLE: Kind = api::kairos::reboot_role::KIND;
const NAMESPACES: Kind = Kind { group: "", versions: &["v1"], kind: "Namespace", plural: "namespaces" };
const ACCOUNT: Kind =
    Kind { group: "", versions: &["v1"], kind: "ServiceAccount", plural: "serviceaccounts" };

fn kind(object: &Value) -> Kind {
    match object["kind"].as_str().unwrap() {
        "NodeOpUpgrade" => node_op_upgrade::KIND,
        "NodeOp" => node_op::KIND,
        "Node" => NODE,
        "Pod" => POD,
        "Job" => JOB,
        "ServiceAccount" => ACCOUNT,
        "ClusterRole" => ROLE,
        "ClusterRoleBinding" => api::kairos::reboot_binding::KIND,
        other => panic!("what is a {other}?"),
    }
}

/// Puts the objects of a fixture onto the server, with the uids that it gives them in the places where others name them.
async fn left_behind(world: &Installed, fixture: &str) {
    let path = repository().join(format!("crates/api/fixtures/kairos/upstream-v0.1.3/{fixture}.yaml"));
    let text = std::fs::read_to_string(path).unwrap();
    let objects: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    let mut uids: BTreeMap<String, String> = BTreeMap::new();
    // Owners before what they own.
    let rank = |object: &Value| match object["kind"].as_str() {
        Some("ClusterRole" | "ServiceAccount" | "NodeOpUpgrade") => 0,
        Some("NodeOp") => 1,
        Some("Node") => 2,
        _ => 3,
    };
    let mut objects: Vec<Value> = objects;
    objects.sort_by_key(rank);
    for object in objects {
        let mut text = object.to_string();
        for (old, new) in &uids {
            text = text.replace(old, new);
        }
        let mut object: Value = serde_json::from_str(&text).unwrap();
        let kind = kind(&object);
        let status = object.as_object_mut().unwrap().remove("status").unwrap_or_default();
        let meta = object["metadata"].as_object_mut().unwrap();
        let old = meta.remove("uid").and_then(|uid| uid.as_str().map(str::to_owned));
        for field in ["resourceVersion", "generation", "creationTimestamp"] {
            meta.remove(field);
        }
        if kind == JOB {
            // The server makes the selector and these labels itself.
            object["spec"].as_object_mut().unwrap().remove("selector");
            object["spec"]["template"]["metadata"].as_object_mut().unwrap().remove("labels");
            // Done already, and not to be run by anybody here.
            object["spec"]["suspend"] = json!(true);
        }
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default().to_owned();
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        let made = world.objects().create(&kind, &namespace, &object).await.unwrap();
        if let Some(old) = old {
            uids.insert(old, made["metadata"]["uid"].as_str().unwrap().to_owned());
        }
        if !status.is_null() {
            write_status(world, &kind, (&namespace, &name), &status).await;
        }
    }
}

async fn write_status(world: &Installed, kind: &Kind, (namespace, name): (&str, &str), status: &Value) {
    let group =
        if kind.group.is_empty() { "/api/v1".to_owned() } else { format!("/apis/{}", kind.api_version()) };
    let space = if namespace.is_empty() { String::new() } else { format!("/namespaces/{namespace}") };
    let request = http::Request::patch(format!("{group}{space}/{}/{name}/status", kind.plural))
        .header("content-type", "application/merge-patch+json")
        .body(json!({"status": status}).to_string().into_bytes())
        .unwrap();
    let _: Value = world.objects().client().request(request).await.unwrap();
}

async fn boot(world: &Installed, node: &str, boot_id: &str) {
    let ready = json!([{"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "", "lastHeartbeatTime": "2026-11-22T10:00:00Z", "lastTransitionTime": "2026-11-22T10:00:00Z"}]);
    write_status(world, &NODE, ("", node), &json!({"nodeInfo": {"bootID": boot_id}, "conditions": ready}))
        .await;
}

#[tokio::test]
async fn an_upgrade_is_taken_over_in_the_middle_of_its_second_node() {
    // Nobody plays kubelet here but the test.
    let plane = controlplane::ControlPlane::builder().controller_manager().start().await.unwrap();
    let world = Installed::without_pods(plane, e2e::NODES).await.unwrap();
    let objects = world.objects();
    objects.create(&NAMESPACES, "", &json!({"metadata": {"name": NAMESPACE}})).await.unwrap();
    left_behind(&world, "second-node-reboots").await;
    let jobs_before = objects.list(&JOB, NAMESPACE).await.unwrap().len();
    let first = objects.get(&node_op::KIND, NAMESPACE, NAME).await.unwrap().unwrap();
    let first = first["status"]["nodeStatuses"]["node-1"].clone();
    let manager = world.start_manager_with(&["--controllers=nodeop,nodeopupgrade"]).await.unwrap();
    let op = (&node_op::KIND, NAMESPACE, NAME);
    objects
        .await_object("it knows that node-2 is about to reboot", op, WITHIN, |op| {
            op["status"]["nodeRecords"]["node-2"]["adoptedBootID"].is_string()
        })
        .await
        .unwrap();
    let cordon = |node: Value| {
        (
            node["spec"]["unschedulable"] == true,
            node["metadata"]["annotations"][CORDONED_BY_ANNOTATION].is_string(),
        )
    };
    let node = async |name: &str| objects.get(&NODE, "", name).await.unwrap().unwrap();
    assert_eq!(cordon(node("node-2").await), (true, true), "its cordon is honoured");
    // The old reboot pod does its work.
    boot(&world, "node-2", "00000000-0000-4000-8000-000000000002").await;
    objects
        .await_object("node-2 is given back, and node-3 has its turn", op, WITHIN, |op| {
            op["status"]["nodeStatuses"]["node-2"]["rebootStatus"] == "completed"
                && op["status"]["nodeRecords"]["node-3"].is_object()
        })
        .await
        .unwrap();
    assert_eq!(cordon(node("node-2").await), (false, false));

    // node-3: what its kubelet and the Job controller do.
    let pod = async |label: &str| {
        objects
            .await_that(label, NAMESPACE, WITHIN, async || {
                let pods = objects.list(&POD, NAMESPACE).await?;
                Ok(pods.into_iter().find(|pod| {
                    pod["spec"]["nodeName"] == "node-3" && pod["metadata"]["labels"][label].is_string()
                }))
            })
            .await
            .unwrap()["metadata"]["name"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let preflight = pod("kairos.io/preflight").await;
    write_status(&world, &POD, (NAMESPACE, &preflight), &json!({"phase": "Succeeded"})).await;
    let reboot = pod("kairos.io/reboot").await;
    let ready = json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]});
    write_status(&world, &POD, (NAMESPACE, &reboot), &ready).await;
    let job = objects
        .await_that("the Job of node-3", NAMESPACE, WITHIN, async || {
            let jobs = objects.list(&JOB, NAMESPACE).await?;
            Ok(jobs.into_iter().find(|job| job["spec"]["template"]["spec"]["nodeName"] == "node-3"))
        })
        .await
        .unwrap();
    let command = objects
        .await_that("its pod", NAMESPACE, WITHIN, async || {
            let pods = objects.list(&POD, NAMESPACE).await?;
            let of_job = |pod: &Value| pod["metadata"]["ownerReferences"][0]["uid"] == job["metadata"]["uid"];
            Ok(pods.into_iter().find(of_job))
        })
        .await
        .unwrap();
    assert_eq!(cordon(node("node-3").await), (true, true));
    let name = command["metadata"]["name"].as_str().unwrap();
    write_status(&world, &POD, (NAMESPACE, name), &json!({"phase": "Succeeded"})).await;
    objects
        .await_object("the reboot is asked for", (&POD, NAMESPACE, &reboot), WITHIN, |pod| {
            pod["metadata"]["annotations"][REBOOT_FROM_ANNOTATION].is_string()
        })
        .await
        .unwrap();
    boot(&world, "node-3", "00000000-0000-4000-8000-000000000003").await;
    let ended = objects
        .await_object("the operation has ended", op, WITHIN, |op| op["status"]["finishedAt"].is_string())
        .await
        .unwrap();
    assert_eq!(ended["status"]["phase"], "Completed", "{ended}");
    assert_eq!(ended["status"]["nodeStatuses"]["node-1"], first, "what was done before is left as it was");
    objects
        .await_object("the finalizer is released", op, WITHIN, |op| op["metadata"]["finalizers"].is_null())
        .await
        .unwrap();
    objects
        .await_object(
            "the upgrade says so too",
            (&node_op_upgrade::KIND, NAMESPACE, NAME),
            WITHIN,
            |upgrade| upgrade["status"]["message"] == "Upgrade operation completed successfully",
        )
        .await
        .unwrap();
    assert_eq!(
        objects.list(&JOB, NAMESPACE).await.unwrap().len(),
        jobs_before + 1,
        "no command is run again"
    );
    let bindings = objects.list(&api::kairos::reboot_binding::KIND, "").await.unwrap();
    let of_original = format!("nodeop-reboot-{NAME}");
    assert!(bindings.iter().all(|binding| e2e::name(binding) != of_original), "its binding is gone");
    let role = objects.get(&ROLE, "", api::kairos::CLUSTER_ROLE).await.unwrap();
    assert_eq!(role, None, "nobody needs its role any more");
    for name in ["node-1", "node-2", "node-3"] {
        assert_eq!(cordon(node(name).await), (false, false), "{name}");
    }
    manager.terminate().await.unwrap();
    let jobs = jobs_before + 1;
    world.finish(Expected::nothing().jobs(jobs).writes_at_most(60)).await.unwrap();
}
