//! What nothing can be done with is a clear condition on its own NodeOp; no node is touched.

use api::kairos::node_op;
use domain::object::Kind;
use e2e::{Expected, Installed, WITHIN};
use serde_json::json;

use crate::witness::{self, NAMESPACE};

const NAMESPACES: Kind = Kind { group: "", versions: &["v1"], kind: "Namespace", plural: "namespaces" };

#[tokio::test]
async fn each_says_what_is_wrong_with_it() {
    let world = Installed::start_nodes().await.unwrap();
    let objects = world.objects();
    witness::nodes(&world, "bad", 2, 0).await;
    let manager = world.start_manager_with(&["--controllers=nodeop"]).await.unwrap();
    let spec = |more: serde_json::Value| {
        let mut spec = json!({"command": ["true"], "cordon": true});
        for (field, value) in more.as_object().unwrap() {
            spec[field] = value.clone();
        }
        spec
    };
    witness::operation(&world, "no-command", "bad", &spec(json!({"command": []}))).await;
    let selector = json!({"nodeSelector": {"matchExpressions": [{"key": "a", "operator": "Has"}]}});
    witness::operation(&world, "no-selector", "bad", &spec(selector)).await;
    witness::operation(&world, "nothing", "no-such-fleet", &spec(json!({}))).await;
    witness::operation(&world, "no-image", "bad", &spec(json!({"image": " "}))).await;
    let expected = [
        ("no-command", ("Ready", "False", "Malformed")),
        ("no-selector", ("Ready", "False", "InvalidSelector")),
        ("no-image", ("Ready", "False", "PodsInvalid")),
        ("nothing", ("UpToDate", "True", "NoNodeSelected")),
    ];
    for (name, condition) in expected {
        objects.await_condition((&node_op::KIND, NAMESPACE, name), condition, WITHIN).await.unwrap();
    }

    let restricted = json!({"metadata": {"name": "restricted", "labels": {
        "pod-security.kubernetes.io/enforce": "restricted",
    }}});
    objects.create(&NAMESPACES, "", &restricted).await.unwrap();
    let op = json!({"metadata": {"name": "refused", "namespace": "restricted"}, "spec": spec(json!({}))});
    objects.create(&node_op::KIND, "restricted", &op).await.unwrap();
    let refused = (&node_op::KIND, "restricted", "refused");
    objects.await_condition(refused, ("Ready", "False", "PodsRefused"), WITHIN).await.unwrap();
    assert_eq!(witness::cordoned(objects).await, Vec::<String>::new());

    // A name that is as long as a name can be.
    let long = "n".repeat(253);
    witness::operation(&world, &long, "bad", &spec(json!({}))).await;
    let ended = witness::ended(objects, &long).await;
    assert_eq!(ended["status"]["phase"], "Completed", "{ended}");
    assert_eq!(witness::cordoned(objects).await, Vec::<String>::new());
    manager.terminate().await.unwrap();
    world.finish(Expected::nothing().jobs(2).writes_at_most(80)).await.unwrap();
}
