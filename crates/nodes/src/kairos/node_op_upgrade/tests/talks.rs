//! The request itself, on a scripted transport behind the room's own rules.

use super::*;

const MANAGER: &str = "fieldManager=kubernetes-upgrader-nodeopupgrade";

#[tokio::test]
async fn a_node_op_is_created_and_its_row_kept() {
    let step = look(&upgrade("", "{}")).verdict.steps[0].clone();
    let Step::CreateNodeOp { body, .. } = step.clone();
    let mut answer = body.clone();
    answer["metadata"]["uid"] = json!("uid-1");
    let (answer, sent) = testkit::talk(&UpgradeRoom, &[], &[("*", 201, answer)], step).await;
    assert_eq!(format!("{:?}", answer.unwrap()), "Applied { answer: None, rows: 1 }");
    let path = "/apis/operator.kairos.io/v1alpha1/namespaces/ns/nodeops";
    assert_eq!(sent, [format!("POST {path}?{MANAGER} {body}")]);
}

#[tokio::test]
async fn a_node_op_that_is_there_already_is_observed_again() {
    let step = look(&upgrade("", "{}")).verdict.steps[0].clone();
    let taken = json!({"kind": "Status", "status": "Failure", "code": 409, "reason": "AlreadyExists", "message": "m"});
    let (answer, _) = testkit::talk(&UpgradeRoom, &[], &[("*", 409, taken)], step).await;
    assert_eq!(answer.unwrap_err(), Refusal::AlreadyExists);
}
