//! The status of an operation on 5,000 nodes fits into one object.

use api::kairos::node_op;
use e2e::{Expected, Installed};
use serde_json::{Value, json};

use crate::witness::{self, NAMESPACE};

const NODES: usize = 5_000;
const IN_FLIGHT: usize = 500;

/// Written as the manager writes it: nodes with names as cloud providers give them, all with a reboot, and as many in flight as
/// there may be.
#[tokio::test]
async fn five_thousand_nodes_fit_into_one_object() {
    let world = Installed::start_nodes().await.unwrap();
    witness::operation(&world, "os-upgrade-2026-11", "none", &json!({"command": ["true"], "concurrency": 1}))
        .await;
    let mut statuses = serde_json::Map::new();
    let mut records = serde_json::Map::new();
    for number in 0..NODES {
        let name = format!(
            "ip-10-{}-{}-{}.eu-central-1.compute.internal",
            number / 2_500,
            number / 250 % 10,
            number % 250
        );
        let mut entry = json!({
            "phase": "Completed", "jobName": format!("os-upgrade-2026-11-ip-10-0-9-24-{:012x}-abcde", number),
            "message": "Job and reboot completed successfully", "rebootStatus": "completed",
            "lastUpdated": "2026-11-22T10:00:00Z",
        });
        if number < IN_FLIGHT {
            entry["message"] = json!("Job completed successfully");
            entry["preRebootBootID"] = json!("b8de4a5e-51a4-4a8e-8c0c-0a4d6f0f6e22");
            records.insert(name.clone(), json!({
                "nodeUID": "5a1f0c52-0000-4f0e-9d5e-000000000002", "preflightPassed": true, "commandStarted": true,
                "commandSucceeded": true, "drainStartedAt": "2026-11-22T10:00:00Z", "rebootAskedAt": "2026-11-22T10:00:00Z",
            }));
        }
        statuses.insert(name, entry);
    }
    let status = json!({"nodeStatuses": statuses, "nodeRecords": records, "phase": "Running"});
    let size = status.to_string().len();
    let path =
        format!("/apis/operator.kairos.io/v1alpha1/namespaces/{NAMESPACE}/nodeops/os-upgrade-2026-11/status");
    let request = http::Request::patch(path)
        .header("content-type", "application/merge-patch+json")
        .body(json!({"status": status}).to_string().into_bytes())
        .unwrap();
    let answer: Value = world.objects().client().request(request).await.unwrap();
    let stored = answer.to_string().len();
    eprintln!("{NODES} nodes, {IN_FLIGHT} in flight: status of {size} bytes, object of {stored}");
    assert!(stored < 1_500_000, "{stored}: etcd takes 1.5 MiB");
    world.objects().delete(&node_op::KIND, NAMESPACE, "os-upgrade-2026-11").await.unwrap();
    world.finish(Expected::nothing()).await.unwrap();
}
