//! What people and other programs do beside us: a quota on Jobs, a finalizer that is taken away, a status that is cleared, and
//! DaemonSets that put back what was evicted.

use api::batch::job;
use api::kairos::{FINALIZER, node_op};
use domain::object::Kind;
use e2e::{Expected, Installed, WITHIN};
use serde_json::json;

use crate::witness::{self, NAMESPACE};

const POD: Kind = api::nodes::pod::KIND;
const QUOTA: Kind = Kind { group: "", versions: &["v1"], kind: "ResourceQuota", plural: "resourcequotas" };
/// Pods of a DaemonSet, and of a ReplicaSet of which only one may be missing: the node is its only one, so that it stays blocked.
const WORKLOADS: &str = "
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: logs, namespace: default}
spec:
  selector: {matchLabels: {app: logs}}
  template:
    metadata: {labels: {app: logs}}
    spec: {containers: [{name: logs, image: logs}], nodeSelector: {fleet: daemons}}
---
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: web, namespace: default}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: web}], nodeSelector: {fleet: blocked}}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web, namespace: default}
spec: {maxUnavailable: 1, selector: {matchLabels: {app: web}}}
";

#[tokio::test]
async fn what_others_change_leaves_no_cordon_and_runs_nothing_twice() {
    let world = Installed::start_nodes().await.unwrap();
    let objects = world.objects();
    witness::nodes(&world, "daemons", 1, 0).await;
    witness::nodes(&world, "blocked", 1, 0).await;
    world.plane().apply_yaml(WORKLOADS).await.unwrap();
    let running = async |app: &str, count: usize| {
        objects
            .await_that("its pods run", NAMESPACE, WITHIN, async || {
                let pods = objects.list(&POD, NAMESPACE).await?;
                let of = pods.iter().filter(|pod| {
                    pod["metadata"]["labels"]["app"] == app && pod["status"]["phase"] == "Running"
                });
                Ok((of.count() == count).then_some(()))
            })
            .await
            .unwrap();
    };
    running("logs", 1).await;
    running("web", 2).await;
    let manager = world.start_manager_with(&["--controllers=nodeop"]).await.unwrap();
    let drained = |more: serde_json::Value| {
        let mut options = json!({"enabled": true});
        for (field, value) in more.as_object().unwrap() {
            options[field] = value.clone();
        }
        json!({"command": ["true"], "cordon": true, "drainOptions": options})
    };

    // Jobs are refused: that is found before the node is disturbed.
    let quota = json!({"metadata": {"name": "none"}, "spec": {"hard": {"count/jobs.batch": "0"}}});
    objects.create(&QUOTA, NAMESPACE, &quota).await.unwrap();
    let quota = (&QUOTA, NAMESPACE, "none");
    objects
        .await_object("the quota is known", quota, WITHIN, |quota| quota["status"]["hard"].is_object())
        .await
        .unwrap();
    witness::operation(&world, "logs", "daemons", &drained(json!({"ignoreDaemonSets": false}))).await;
    let logs = (&node_op::KIND, NAMESPACE, "logs");
    let refused = objects.await_condition(logs, ("Ready", "False", "PodsRefused"), WITHIN).await.unwrap();
    assert!(refused["status"].to_string().contains("count/jobs.batch"), "{}", refused["status"]);
    assert_eq!(witness::cordoned(objects).await, Vec::<String>::new());
    objects.delete(quota.0, quota.1, quota.2).await.unwrap();
    // A NodeOp that is changed is tried again at once.
    objects.merge(logs.0, logs.1, logs.2, &json!({"spec": {"backoffLimit": 5}})).await.unwrap();

    // The DaemonSet puts another pod in the place of the evicted one, and that stays.
    let ended = witness::ended(objects, "logs").await;
    assert_eq!(ended["status"]["phase"], "Completed", "{ended}");
    let events = world.plane().audit_events().unwrap();
    let evicted = |event: &&controlplane::AuditEvent| {
        event.subresource == "eviction" && event.name.starts_with("logs-") && event.code == 201
    };
    assert_eq!(events.iter().filter(evicted).count(), 1);
    running("logs", 1).await;

    // A status that somebody clears is found again from what was made.
    objects.merge(&node_op::KIND, NAMESPACE, "logs/status", &json!({"status": null})).await.unwrap();
    let again = witness::ended(objects, "logs").await;
    assert_eq!(again["status"]["counts"]["completed"], 1, "{again}");
    assert_eq!(objects.list(&job::KIND, NAMESPACE).await.unwrap().len(), 1, "and nothing is run again");

    // A finalizer that is taken away while the node is cordoned comes back, and so the cordon is undone.
    witness::operation(&world, "web", "blocked", &drained(json!({}))).await;
    let web = (&node_op::KIND, NAMESPACE, "web");
    objects.await_condition(web, ("UpToDate", "False", "DrainBlocked"), WITHIN).await.unwrap();
    assert_eq!(witness::cordoned(objects).await, [witness::node_name("blocked", 0, 0)]);
    let none = json!({"metadata": {"finalizers": null}});
    objects.merge(web.0, web.1, web.2, &none).await.unwrap();
    objects
        .await_object("the finalizer is back", web, WITHIN, |op| op["metadata"]["finalizers"][0] == FINALIZER)
        .await
        .unwrap();
    objects.delete(web.0, web.1, web.2).await.unwrap();
    objects
        .await_that("it is gone", NAMESPACE, WITHIN, async || {
            Ok(objects.get(web.0, web.1, web.2).await?.is_none().then_some(()))
        })
        .await
        .unwrap();
    assert_eq!(witness::cordoned(objects).await, Vec::<String>::new());
    manager.terminate().await.unwrap();
    world.finish(Expected::nothing().jobs(1).writes_at_most(60)).await.unwrap();
}
