//! Evictions through the API: a budget that blocks is named and waited for, and no pod leaves before it allows.

use api::kairos::node_op;
use domain::object::Kind;
use e2e::{Expected, Installed, WITHIN};
use serde_json::json;

use crate::witness::{self, NAMESPACE};

const POD: Kind = api::nodes::pod::KIND;
const BUDGET: Kind = api::nodes::disruption_budget::KIND;

#[tokio::test]
async fn a_budget_that_blocks_is_named_and_respected() {
    let world = Installed::start_nodes().await.unwrap();
    let objects = world.objects();
    witness::nodes(&world, "drain", 1, 0).await;
    let node = witness::node_name("drain", 0, 0);
    world
        .plane()
        .apply_yaml(&format!(
            "
apiVersion: apps/v1
kind: ReplicaSet
metadata: {{name: web, namespace: {NAMESPACE}}}
spec:
  replicas: 1
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec: {{containers: [{{name: web, image: web}}], nodeSelector: {{fleet: drain}}}}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {{name: web, namespace: {NAMESPACE}}}
spec: {{minAvailable: 1, selector: {{matchLabels: {{app: web}}}}}}
"
        ))
        .await
        .unwrap();
    objects
        .await_that("the pod runs on the node and the budget knows it", NAMESPACE, WITHIN, async || {
            let pods = objects.list(&POD, NAMESPACE).await?;
            let on_node = pods
                .iter()
                .any(|pod| pod["spec"]["nodeName"] == *node && pod["status"]["phase"] == "Running");
            let budget = objects.get(&BUDGET, NAMESPACE, "web").await?.unwrap_or_default();
            Ok((on_node && budget["status"]["expectedPods"] == 1).then_some(()))
        })
        .await
        .unwrap();
    let manager = world.start_manager_with(&["--controllers=nodeop"]).await.unwrap();
    let spec = json!({"command": ["true"], "cordon": true, "drainOptions": {"enabled": true}});
    witness::operation(&world, "drain", "drain", &spec).await;
    let op = (&node_op::KIND, NAMESPACE, "drain");
    // One replica, and one must be available: that can never be.
    objects.await_condition(op, ("Ready", "False", "BudgetNeverMet"), WITHIN).await.unwrap();
    assert_eq!(witness::cordoned(objects).await, Vec::<String>::new(), "found before the first cordon");
    let patch = json!({"spec": {"minAvailable": 0}});
    objects.merge(&BUDGET, NAMESPACE, "web", &patch).await.unwrap();
    let ended = witness::ended(objects, "drain").await;
    assert_eq!(ended["status"]["phase"], "Completed");
    let events = world.plane().audit_events().unwrap();
    let evictions =
        events.iter().filter(|event| event.subresource == "eviction" && event.code == 201).count();
    assert_eq!(evictions, 1);
    assert!(!events.iter().any(|event| event.user == world.product().user
        && event.resource == "pods"
        && event.verb == "delete"
        && event.name.starts_with("web")));
    assert_eq!(witness::cordoned(objects).await, Vec::<String>::new());
    manager.terminate().await.unwrap();
    world.finish(Expected::nothing().jobs(1).writes_at_most(40)).await.unwrap();
}
