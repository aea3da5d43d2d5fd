//! A NodeOp from its cordon to its uncordon, by the Deployment of `config/nodes` in its own image.

use api::kairos::node_op;
use domain::object::Kind;
use e2e::WITHIN;
use serde_json::json;

use crate::scene::{ENDS_WITHIN, NAMESPACE, NODE, TOOLS, leaves_a_line, scene};

const POD: Kind = api::nodes::pod::KIND;

#[tokio::test]
async fn a_node_is_cordoned_drained_changed_rebooted_and_given_back() {
    let Some(scene) = scene("a_node_is_cordoned_drained_changed_rebooted_and_given_back").await else {
        return;
    };
    let objects = scene.objects();
    let before = scene.the_node().await["status"]["nodeInfo"]["bootID"].clone();
    scene.block_drains().await;

    // Meanwhile the labeler has found out that the node runs Kairos.
    objects
        .await_object("the node is labelled", (&api::nodes::node::KIND, "", NODE), WITHIN, |node| {
            let labels = &node["metadata"]["labels"];
            labels["kairos.io/managed"] == "true" && labels["kairos.io/flavor"] == "debian"
        })
        .await
        .unwrap();

    let spec = json!({
        "nodeSelector": {"matchLabels": {"fleet": "real"}}, "image": TOOLS, "command": leaves_a_line("/etc/ran"),
        "cordon": true, "drainOptions": {"enabled": true}, "rebootOnSuccess": true, "concurrency": 1,
    });
    scene.operation("whole", spec).await;
    // A budget that blocks for ever is found before the cordon.
    let op = (&node_op::KIND, NAMESPACE, "whole");
    objects.await_condition(op, ("Ready", "False", "BudgetNeverMet"), ENDS_WITHIN).await.unwrap();
    assert!(!scene.is_cordoned().await);
    assert_eq!(
        objects
            .list(&POD, NAMESPACE)
            .await
            .unwrap()
            .iter()
            .filter(|pod| pod["metadata"]["labels"]["app"] == "web")
            .count(),
        1
    );
    scene.let_drains_go().await;

    let ended = scene.ended("whole").await;
    assert_eq!(ended["status"]["phase"], "Completed", "{}", ended["status"]);
    let entry = &ended["status"]["nodeStatuses"][NODE];
    assert_eq!(
        (&entry["message"], &entry["rebootStatus"]),
        (&json!("Job and reboot completed successfully"), &json!("completed"))
    );
    let after = scene.the_node().await["status"]["nodeInfo"]["bootID"].clone();
    assert_ne!(before, after, "it has rebooted");
    assert_eq!(scene.node.boots(), 2, "once");
    assert_eq!(scene.lines("/etc/ran"), ["ran"], "the command ran once");
    assert!(!scene.is_cordoned().await, "it is schedulable again");
    assert!(ended["metadata"]["finalizers"].is_null(), "the finalizer is gone");
    let events = scene.world.plane().audit_events().unwrap();
    let evicted = |event: &&controlplane::AuditEvent| {
        event.subresource == "eviction" && event.name.starts_with("web") && event.code == 201
    };
    assert_eq!(events.iter().filter(evicted).count(), 1, "its pod was evicted, as the budget lets");
    scene.finish(&[]).await;
}
