//! Commands that fail and images that do not exist, on a real kubelet.

use api::kairos::node_op;
use e2e::WITHIN;
use serde_json::json;

use crate::scene::{NAMESPACE, NODE, TOOLS, scene};

#[tokio::test]
async fn a_job_that_fails_and_an_image_that_is_not_there() {
    let Some(scene) = scene("a_job_that_fails_and_an_image_that_is_not_there").await else { return };
    let boots = scene.node.boots();
    let with = |more: serde_json::Value| {
        let mut spec = json!({
            "nodeSelector": {"matchLabels": {"fleet": "real"}}, "image": TOOLS, "command": ["/bin/sh", "-c", "exit 3"],
            "cordon": true, "rebootOnSuccess": true, "backoffLimit": 0,
        });
        for (field, value) in more.as_object().unwrap() {
            spec[field] = value.clone();
        }
        spec
    };
    scene.operation("fails", with(json!({"uncordonOnFailure": true}))).await;
    let ended = scene.ended("fails").await;
    let entry = &ended["status"]["nodeStatuses"][NODE];
    assert_eq!((&ended["status"]["phase"], &entry["message"]), (&json!("Failed"), &json!("Job failed")));
    assert_eq!(entry["rebootStatus"], "cancelled");
    assert!(!scene.is_cordoned().await, "as uncordonOnFailure says");

    scene.operation("stays", with(json!({}))).await;
    scene.ended("stays").await;
    assert!(scene.is_cordoned().await, "a person is to look first");
    scene.objects().delete(&node_op::KIND, NAMESPACE, "stays").await.unwrap();
    scene
        .objects()
        .await_that("deleting it gives the node back", NAMESPACE, WITHIN, async || {
            let gone = scene.objects().get(&node_op::KIND, NAMESPACE, "stays").await?.is_none();
            Ok((gone && !scene.is_cordoned().await).then_some(()))
        })
        .await
        .unwrap();

    scene
        .operation("no-image", with(json!({"image": "localhost:1/nothing:v1", "rebootOnSuccess": false})))
        .await;
    let op = (&node_op::KIND, NAMESPACE, "no-image");
    scene.objects().await_condition(op, ("Ready", "False", "PodNotStarting"), WITHIN).await.unwrap();
    scene.objects().delete(&node_op::KIND, NAMESPACE, "no-image").await.unwrap();
    scene
        .objects()
        .await_that("the node is given back", NAMESPACE, WITHIN, async || {
            Ok((!scene.is_cordoned().await).then_some(()))
        })
        .await
        .unwrap();
    assert_eq!(scene.node.boots(), boots, "nobody asked for a reboot");
    scene.finish(&[]).await;
}
