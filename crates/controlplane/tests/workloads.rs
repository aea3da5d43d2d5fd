//! Jobs run without a kubelet, and a test decides how they end.

use std::time::Duration;

use controlplane::{ControlPlane, kwok};
use serde_json::json;

const DONE_WITHIN: Duration = Duration::from_secs(60);

fn job(name: &str, annotations: &[(&str, &str)]) -> String {
    let annotations: serde_json::Map<String, serde_json::Value> =
        annotations.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": { "name": name, "namespace": "default" },
        "spec": { "backoffLimit": 0, "template": {
            "metadata": { "annotations": annotations },
            "spec": { "restartPolicy": "Never", "containers": [{ "name": "build", "image": "none" }] },
        }},
    })
    .to_string()
}

#[tokio::test]
async fn jobs_complete_fail_leave_a_message_or_wait() {
    let cluster = ControlPlane::builder().workloads().start().await.unwrap();
    cluster.create_node("worker", &[("zone", "a")]).await.unwrap();
    let jobs = [
        job("completes", &[(kwok::TERMINATION_MESSAGE, r#"image: "a/b:1""#)]),
        job("fails", &[(kwok::EXIT_CODE, "3")]),
        job("waits", &[(kwok::HOLD, "true")]),
    ];
    for manifest in jobs {
        cluster.apply_yaml(&manifest).await.unwrap();
    }
    cluster.wait_for("condition=Complete", "jobs/completes", "default", DONE_WITHIN).await.unwrap();
    cluster.wait_for("condition=Failed", "jobs/fails", "default", DONE_WITHIN).await.unwrap();
    let terminated = async |job: &str, field: &str| {
        let selector = format!("batch.kubernetes.io/job-name={job}");
        let path = format!("jsonpath={{.items[0].status.containerStatuses[0].state.terminated.{field}}}");
        cluster.run_kubectl(&["get", "pods", "-l", &selector, "-o", &path]).await.unwrap()
    };
    assert_eq!(terminated("completes", "message").await, r#"image: "a/b:1""#);
    assert_eq!(terminated("fails", "exitCode").await, "3");

    // The others are done, and it had the same time: it is held, not late.
    cluster.wait_for("jsonpath={.status.ready}=1", "jobs/waits", "default", DONE_WITHIN).await.unwrap();
    assert_eq!(terminated("waits", "exitCode").await, "");
    cluster.release_job("default", "waits").await.unwrap();
    cluster.wait_for("condition=Complete", "jobs/waits", "default", DONE_WITHIN).await.unwrap();
}
