//! The manager is killed at random moments, and the node loses its power in the middle: the command runs once, and the node
//! reboots once more.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

use api::kairos::node_op;
use serde_json::json;

use crate::scene::{NAMESPACE, NODE, TOOLS, leaves_a_line, scene};

const KILLS: usize = 10;

#[tokio::test]
async fn killed_ten_times_the_command_runs_once_and_the_node_reboots_once() {
    let Some(scene) = scene("killed_ten_times_the_command_runs_once_and_the_node_reboots_once").await else {
        return;
    };
    scene.undeploy().await;
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let mut seed = number("SEED").unwrap_or_else(|| RandomState::new().build_hasher().finish()) | 1;
    eprintln!("SEED={seed}");
    let mut kills = 0;
    for round in 0..10 {
        let (name, file) = (format!("killed-{round}"), format!("/etc/ran-{round}"));
        let boots = scene.node.boots();
        let spec = json!({
            "nodeSelector": {"matchLabels": {"fleet": "real"}}, "image": TOOLS, "command": leaves_a_line(&file),
            "cordon": true, "drainOptions": {"enabled": true}, "rebootOnSuccess": true,
            "preflight": {"command": ["/bin/true"], "image": TOOLS},
        });
        scene.operation(&name, spec).await;
        loop {
            let manager = scene.manager().await;
            // xorshift64
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            tokio::time::sleep(Duration::from_millis(seed % 1_500)).await;
            manager.kill9().await.unwrap();
            kills += 1;
            let op = scene.objects().get(&node_op::KIND, NAMESPACE, &name).await.unwrap().unwrap();
            if op["status"]["finishedAt"].is_string() || kills >= 3 * KILLS {
                break;
            }
        }
        let manager = scene.manager().await;
        let ended = scene.ended(&name).await;
        manager.terminate().await.unwrap();
        assert_eq!(ended["status"]["phase"], "Completed", "round {round}: {}", ended["status"]);
        assert_eq!(scene.lines(&file), ["ran"], "round {round}: the command ran once");
        assert_eq!(scene.node.boots(), boots + 1, "round {round}: one reboot");
        assert!(!scene.is_cordoned().await, "round {round}");
        if kills >= KILLS {
            break;
        }
    }
    eprintln!("{kills} kills");
    assert!(kills >= KILLS);
    scene.finish(&[]).await;
}

/// Its command is under way when the power goes: the Job's pod has failed with the node, its Job runs it again, as Jobs do, and
/// the reboot after it is another one.
#[tokio::test]
async fn a_node_that_reboots_by_itself_in_the_middle() {
    let Some(mut scene) = scene("a_node_that_reboots_by_itself_in_the_middle").await else { return };
    let script = "echo began >>$HOST_DIR/etc/began; [ $(wc -l <$HOST_DIR/etc/began) -gt 1 ] || sleep 100000; echo ran >>$HOST_DIR/etc/ran";
    let spec = json!({
        "nodeSelector": {"matchLabels": {"fleet": "real"}}, "image": TOOLS, "command": ["/bin/sh", "-c", script],
        "cordon": true, "rebootOnSuccess": true,
    });
    scene.operation("power-cut", spec).await;
    let objects = scene.objects();
    objects
        .await_that("the command has begun", NAMESPACE, e2e::WITHIN, async || {
            Ok((scene.lines("/etc/began").len() == 1).then_some(()))
        })
        .await
        .unwrap();
    scene.node.reboot_by_itself().unwrap();
    scene.node.await_ready(2).await.unwrap();
    let ended = scene.ended("power-cut").await;
    assert_eq!(ended["status"]["phase"], "Completed", "{}", ended["status"]);
    assert_eq!(ended["status"]["nodeStatuses"][NODE]["rebootStatus"], "completed");
    assert_eq!(scene.lines("/etc/ran"), ["ran"], "it ran to its end once");
    assert_eq!(scene.node.boots(), 3, "by itself, and once for the operation");
    assert!(!scene.is_cordoned().await);
    scene.finish(&[]).await;
}
