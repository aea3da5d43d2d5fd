//! NodeOpUpgrades against a stand-in of Kairos that tells how its agent was called.

use api::kairos::{node_op, node_op_upgrade};
use controlplane::image::busybox;
use serde_json::json;

use crate::scene::{ENDS_WITHIN, NAMESPACE, NEXT, NODE, scene};

const EXCLUDES: &str = "--exclude-path /etc/hostname --exclude-path /etc/hosts";

#[tokio::test]
async fn an_upgrade_a_second_one_that_is_skipped_and_one_of_the_recovery_system() {
    let Some(scene) = scene("an_upgrade_a_second_one_that_is_skipped_and_one_of_the_recovery_system").await
    else {
        return;
    };
    let spec = |more: serde_json::Value| {
        let mut spec = json!({"image": NEXT, "nodeSelector": {"matchLabels": {"fleet": "real"}}});
        for (field, value) in more.as_object().unwrap() {
            spec[field] = value.clone();
        }
        spec
    };
    let entry = async |name: &str| {
        let upgrade = (&node_op_upgrade::KIND, NAMESPACE, name);
        let ended = scene.objects().await_object("the upgrade has ended", upgrade, ENDS_WITHIN, |upgrade| {
            ["Completed", "Failed"].iter().any(|phase| upgrade["status"]["phase"] == **phase)
        });
        let ended = ended.await.unwrap_or_else(|error| panic!("{error}\n{}", scene.node.logs()));
        assert_eq!(ended["status"]["phase"], "Completed", "{}", ended["status"]);
        ended["status"]["nodeStatuses"][NODE].clone()
    };
    scene.upgrade("to-next", spec(json!({"upgradeRecovery": true}))).await;
    let done = entry("to-next").await;
    assert_eq!(done["message"], "Job and reboot completed successfully");
    let calls = scene.lines(busybox::AGENT_CALLS);
    let expected = [
        format!("upgrade --recovery --source dir:/ {EXCLUDES}"),
        format!("upgrade --source dir:/ {EXCLUDES}"),
    ];
    assert_eq!(calls, expected, "recovery first, then active");
    assert_eq!(scene.node.boots(), 2);
    assert!(!scene.is_cordoned().await);

    scene.upgrade("again", spec(json!({}))).await;
    let skipped = entry("again").await;
    assert_eq!(skipped["message"], "Skipped by preflight: node is already at v3.5.0-k3sv1.36.3+k3s1\n");
    assert_eq!(
        (scene.lines(busybox::AGENT_CALLS).len(), scene.node.boots()),
        (2, 2),
        "neither agent nor reboot"
    );

    scene.upgrade("recovery", spec(json!({"upgradeActive": false, "upgradeRecovery": true}))).await;
    let done = entry("recovery").await;
    assert_eq!(
        (&done["message"], &done["rebootStatus"]),
        (&json!("Job completed successfully"), &json!("not-requested"))
    );
    let calls = scene.lines(busybox::AGENT_CALLS);
    assert_eq!(calls[2..], [format!("upgrade --recovery --source dir:/ {EXCLUDES}")]);
    assert_eq!(scene.node.boots(), 2, "no reboot");
    scene.finish(&[]).await;
}

/// Between its preflight and its Job the node is upgraded by somebody else: a budget holds the drain in between.
#[tokio::test]
async fn a_node_that_is_upgraded_meanwhile_is_given_back_without_a_reboot() {
    let Some(scene) = scene("a_node_that_is_upgraded_meanwhile_is_given_back_without_a_reboot").await else {
        return;
    };
    let objects = scene.objects();
    scene.block_drains().await;
    scene.upgrade("late", json!({"image": NEXT, "nodeSelector": {"matchLabels": {"fleet": "real"}}})).await;
    let op = (&node_op::KIND, NAMESPACE, "late");
    let blocked =
        objects.await_condition(op, ("Ready", "False", "BudgetNeverMet"), ENDS_WITHIN).await.unwrap();
    assert_eq!(blocked["status"]["nodeRecords"][NODE]["preflightPassed"], true, "it was not at the version");
    scene.node.write("/etc/kairos-release", busybox::release("v3.5.0")).unwrap();
    scene.let_drains_go().await;

    let ended = scene.ended("late").await;
    assert_eq!(ended["status"]["phase"], "Completed", "{}", ended["status"]);
    let entry = &ended["status"]["nodeStatuses"][NODE];
    assert_eq!(
        (&entry["message"], &entry["rebootStatus"]),
        (&json!("node is already at v3.5.0-k3sv1.36.3+k3s1"), &json!("not-requested"))
    );
    assert!(entry["jobName"].is_string(), "its Job has found that out: {entry}");
    assert_eq!(
        (scene.lines(busybox::AGENT_CALLS).len(), scene.node.boots()),
        (0, 1),
        "neither agent nor reboot"
    );
    assert!(!scene.is_cordoned().await);
    let pods = objects.list(&api::batch::pod::KIND, NAMESPACE).await.unwrap();
    let reboots = |pod: &&serde_json::Value| pod["metadata"]["labels"][api::kairos::REBOOT_LABEL].is_string();
    let left = pods.iter().filter(reboots).filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
    assert_eq!(left.count(), 0, "nothing is left that would reboot the node");
    scene.finish(&[]).await;
}
