use super::*;
use crate::batch::pod::{PodTermination, Terminated};
use crate::tests::{references, row};

#[test]
fn a_job_that_has_succeeded() {
    let row: JobRow = row("
metadata:
  namespace: ns
  name: image-abcde
  labels: {kubernetesupgraded.dimitrikoshkin.com/machine-image-name: image}
  annotations:
    kubernetesupgraded.dimitrikoshkin.com/image-id: 'kindest/node:v1.27.6'
    kubernetesupgraded.dimitrikoshkin.com/attempt: '2'
  ownerReferences: [{apiVersion: a/v1, kind: MachineImage, name: image, uid: u1, controller: true}]
spec: {template: {spec: {initContainers: [{name: i}], containers: [{name: a}, {name: b}]}}}
status:
  succeeded: 1
  conditions:
  - {type: SuccessCriteriaMet, status: 'True'}
  - {type: Complete, status: 'True', reason: CompletionsReached, message: done}
  - {type: Failed, status: 'False'}");
    assert_eq!(row.malformed, None);
    assert_eq!(references(&row), [("owner", "u1".to_owned())]);
    assert_eq!(row.image_id_annotation.as_deref(), Some("kindest/node:v1.27.6"));
    assert_eq!((row.image_id_label.as_deref(), row.machine_image_name.as_deref()), (None, Some("image")));
    assert_eq!(
        row.complete,
        Some(Ended { reason: "CompletionsReached".into(), message: "done".into(), at: None })
    );
    assert_eq!(row.attempt, Some(2));
    assert_eq!((row.failed, row.active, row.succeeded, row.containers), (None, 0, 1, 2));
}

#[test]
fn a_job_that_has_failed_tells_when_and_its_attempt_is_a_number_or_nothing() {
    for (attempt, read) in [("1", Some(1)), ("0", None), ("-1", None), ("two", None), ("", None)] {
        let row: JobRow = row(&format!(
            "
metadata: {{name: j, annotations: {{kubernetesupgraded.dimitrikoshkin.com/attempt: '{attempt}'}}}}
status:
  conditions:
  - {{type: Failed, status: 'True', reason: DeadlineExceeded, lastTransitionTime: '2026-11-21T10:00:00Z'}}"
        ));
        let failed = row.failed.unwrap();
        assert_eq!((&*failed.reason, failed.at), (DEADLINE_EXCEEDED, "2026-11-21T10:00:00Z".parse().ok()));
        assert_eq!(row.attempt, read, "{attempt}");
    }
}

/// v0.5.0 knew its Jobs by `status.jobRef` alone, and labelled them with `owned`.
#[test]
fn a_job_of_v0_5_0_is_known_by_its_owner() {
    let row: JobRow = row("
metadata:
  name: image-abcde
  labels: {image-builder.kubernetesupgraded.dimitrikoshkin.com/owned: ''}
  ownerReferences: [{apiVersion: a/v1, kind: MachineImage, name: image, uid: u1, controller: true}]
status: {active: 1}");
    assert_eq!((row.owner_uid.as_deref(), row.machine_image_name.as_deref()), (Some("u1"), None));
    assert_eq!((row.active, row.complete, row.failed), (1, None, None));
}

#[test]
fn a_job_that_cannot_be_read_keeps_its_owner() {
    let row: JobRow = row("
metadata: {name: j, ownerReferences: [{apiVersion: a/v1, kind: Kind, name: owner, uid: u1, controller: true}]}
status: {active: many}");
    assert!(row.malformed.is_some());
    assert_eq!(row.owner_uid.as_deref(), Some("u1"));
}

#[test]
fn a_pod_tells_what_its_containers_left() {
    let pod: PodTermination = row("
metadata:
  name: image-abcde-xyz
  labels: {batch.kubernetes.io/controller-uid: j1}
  ownerReferences: [{apiVersion: batch/v1, kind: Job, name: image-abcde, uid: j1, controller: true}]
spec: {containers: [{name: a}, {name: b}]}
status:
  phase: Succeeded
  initContainerStatuses: [{name: i, state: {terminated: {exitCode: 0, message: not this}}}]
  containerStatuses:
  - {name: a, state: {terminated: {exitCode: 0, message: \"ami-1\\n\"}}}
  - {name: b, state: {running: {}}}");
    assert_eq!((pod.owner_uid.as_deref(), pod.controller_uid.as_deref()), (Some("j1"), Some("j1")));
    assert_eq!((pod.phase.as_ref(), pod.containers), ("Succeeded", 2));
    assert_eq!(
        pod.terminated,
        [Terminated { container: "a".into(), exit_code: 0, message: "ami-1\n".into() }]
    );
}
