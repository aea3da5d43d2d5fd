//! Nodes whose own way to reboot does not work: the kernel of the sandbox is asked, which ends the node's PID namespace.

use std::time::Duration;

use controlplane::image::busybox;
use controlplane::node::NodeOptions;
use serde_json::json;

use crate::scene::{NAMESPACE, NODE, TOOLS, leaves_a_line, scene_of};

/// Its exit code stands in a file; it does nothing else.
const PROGRAM: &str = "#!/bin/sh\nexit \"$(cat /etc/reboot.exit)\"\n";

#[tokio::test]
async fn the_kernel_reboots_a_node_whose_own_program_fails_or_does_nothing() {
    let options = NodeOptions::default()
        .off_for(Duration::from_secs(2))
        .file("/etc/kairos-release", 0o644, busybox::release("v3.4.0"))
        .file("/usr/sbin/reboot", 0o755, PROGRAM);
    let test = "the_kernel_reboots_a_node_whose_own_program_fails_or_does_nothing";
    let Some(scene) = scene_of(test, options).await else { return };
    scene.undeploy().await;
    let flags = ["--controllers=nodeop,nodeopupgrade", "--orderly-reboot-timeout=5s"];
    let manager = scene.world.start_manager_with(&flags).await.unwrap();
    let courses = [
        ("fails", "1", "program failed; asking the kernel"),
        ("ignores", "0", "not gone down in time; asking the kernel"),
    ];
    for (round, (name, code, said)) in courses.into_iter().enumerate() {
        scene.node.write("/etc/reboot.exit", code).unwrap();
        let file = format!("/etc/ran-{name}");
        let spec = json!({
            "nodeSelector": {"matchLabels": {"fleet": "real"}}, "image": TOOLS, "command": leaves_a_line(&file),
            "cordon": true, "rebootOnSuccess": true,
        });
        scene.operation(name, spec).await;
        let ended = scene.ended(name).await;
        assert_eq!(ended["status"]["phase"], "Completed", "{}", ended["status"]);
        assert_eq!(ended["status"]["nodeStatuses"][NODE]["rebootStatus"], "completed");
        assert_eq!(
            (scene.lines(&file), scene.node.boots()),
            (vec!["ran".to_owned()], round + 2),
            "{name}: once each"
        );
        let pods = scene.objects().list(&api::batch::pod::KIND, NAMESPACE).await.unwrap();
        let labels = |pod: &&serde_json::Value, key: &str| pod["metadata"]["labels"][key].clone();
        let reboot = pods.iter().find(|pod| {
            labels(pod, api::kairos::REBOOT_LABEL).is_string()
                && labels(pod, api::kairos::NODE_OP_LABEL) == name
        });
        let log = scene.node.pod_log(NAMESPACE, e2e::name(reboot.unwrap()));
        assert!(log.contains(said), "{name}: {log}");
        assert!(!scene.is_cordoned().await, "{name}");
    }
    manager.terminate().await.unwrap();
    scene.finish(&[]).await;
}
