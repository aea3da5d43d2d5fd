//! The requests themselves, on a scripted transport behind the room's own rules.

use domain::object::{Meta, ResourceVersion};
use serde_json::json;

use super::*;

const MANAGER: &str = "fieldManager=kubernetes-upgrader-nodelabeler";

async fn talk(step: Step, code: u16, body: Value) -> (String, String) {
    let (answer, sent) = testkit::talk(&room(), &[], &[("*", code, body)], step).await;
    (format!("{answer:?}"), sent.concat())
}

#[tokio::test]
async fn jobs_are_created_and_deleted() {
    let node = Meta { key: ObjectKey::new("", "n"), uid: "uid-n".into(), ..Meta::default() };
    let body = room().0.job(&node, 1);
    let (answer, sent) = talk(Step::CreateJob { node, body: body.clone() }, 201, body.clone()).await;
    assert_eq!(answer, "Ok(Applied { answer: Some(Written), rows: 1 })");
    assert_eq!(sent, format!("POST /apis/batch/v1/namespaces/ns/jobs?{MANAGER} {body}"));

    let job = Meta {
        key: ObjectKey::new("ns", "kairos-node-labeler-n"),
        uid: "uid-j".into(),
        resource_version: ResourceVersion(7),
        ..Meta::default()
    };
    let delete = Step::DeleteJob { job, node_uid: "uid-n".into(), next: 2 };
    let (answer, sent) = talk(delete, 200, json!({"kind": "Status"})).await;
    assert_eq!(answer, "Ok(Applied { answer: Some(Deleted), rows: 0 })");
    let (line, options) = sent.split_once(" {").unwrap();
    assert_eq!(line, "DELETE /apis/batch/v1/namespaces/ns/jobs/kairos-node-labeler-n");
    assert!(options.contains(r#""preconditions":{"resourceVersion":"7","uid":"uid-j"}"#), "{options}");
}

#[tokio::test]
async fn the_daemon_set_is_created_and_its_template_replaced() {
    let body = room().0.daemon_set();
    let (answer, sent) = talk(Step::CreateDaemonSet { body: body.clone() }, 201, body.clone()).await;
    assert_eq!(answer, "Ok(Applied { answer: Some(Written), rows: 1 })");
    let path = "/apis/apps/v1/namespaces/ns/daemonsets";
    assert_eq!(sent, format!("POST {path}?{MANAGER} {body}"));
    let template = json!({"spec": {}});
    let replace = json!({"op": "replace", "path": "/spec/template", "value": template});
    for (uid, first) in [
        (Some("u"), json!({"op": "test", "path": "/metadata/uid", "value": "u"})),
        (None, json!({"op": "add", "path": "/metadata/labels", "value": {"app": "kairos-node-labeler"}})),
    ] {
        let key = ObjectKey::new("ns", NAME);
        let step = Step::ConvergeDaemonSet { key, uid: uid.map(Box::from), template: template.clone() };
        let (answer, sent) = talk(step, 200, body.clone()).await;
        assert_eq!(answer, "Ok(Applied { answer: Some(Written), rows: 1 })");
        assert_eq!(sent, format!("PATCH {path}/{NAME}?{MANAGER} {}", json!([first, replace])));
    }
}
