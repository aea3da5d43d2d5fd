//! NodeOpUpgrades against a stand-in of Kairos that tells how its agent was called.

use api::kairos::node_op_upgrade;
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
