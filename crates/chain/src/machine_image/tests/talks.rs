//! The requests themselves, on a scripted transport behind the room's own rules.

use domain::object::{Meta, ResourceVersion};

use super::*;

/// Makes the one request of a step, answered with `body`: what it brought, and what was sent.
async fn talk(step: Step, body: Value) -> (Result<Applied<Answer>, Refusal>, String) {
    let (answer, sent) = testkit::talk(&MachineImageRoom, &[], &[("*", 200, body)], step).await;
    (answer, sent.concat())
}

fn meta() -> Meta {
    Meta {
        key: ObjectKey::new("ns", "image"),
        uid: "uid-1".into(),
        resource_version: ResourceVersion(7),
        generation: 1,
        ..Meta::default()
    }
}

fn live() -> Value {
    json!({
        "metadata": {"namespace": "ns", "name": "image", "uid": "uid-1", "resourceVersion": "8", "generation": 2,
            "managedFields": [{}],
            "annotations": {"kubernetesupgraded.dimitrikoshkin.com/package": "kubeadm 1.27.6-1.1", "note": "mine"}},
        "spec": {"version": "v1.27.6", "jobTemplate": {"spec": {"containers": [{"name": "build", "new": 1}]}}},
    })
}

const IMAGE: &str = "/apis/kubernetesupgraded.dimitrikoshkin.com/v1alpha1/namespaces/ns/machineimages/image";

#[tokio::test]
async fn the_template_is_read_raw_with_its_version() {
    let (answer, sent) = talk(Step::ReadTemplate { image: meta() }, live()).await;
    let expected = TemplateRead {
        uid: "uid-1".into(),
        generation: 2,
        resource_version: ResourceVersion(8),
        spec: json!({"containers": [{"name": "build", "new": 1}]}),
        lineage: [("kubernetesupgraded.dimitrikoshkin.com/package".into(), "kubeadm 1.27.6-1.1".into())]
            .into(),
    };
    let shown = format!("{:?}", answer.unwrap());
    assert!(shown.contains(&format!("{expected:?}")), "{shown}");
    assert_eq!(sent, format!("GET {IMAGE} "));
}

#[tokio::test]
async fn a_job_is_created_and_its_row_kept() {
    let step = Step::CreateJob { image: meta(), name: "image-dk99q".into(), body: json!({"kind": "Job"}) };
    let job = json!({"metadata": {"namespace": "ns", "name": "image-dk99q", "uid": "j"}});
    let (answer, sent) = talk(step, job).await;
    assert_eq!(format!("{:?}", answer.unwrap()), "Applied { answer: None, rows: 1 }");
    let manager = "fieldManager=kubernetes-upgrader-machineimage";
    assert_eq!(sent, format!("POST /apis/batch/v1/namespaces/ns/jobs?{manager} {{\"kind\":\"Job\"}}"));
}

#[tokio::test]
async fn patches_go_to_the_image_and_its_row_is_kept() {
    let manager = "fieldManager=kubernetes-upgrader-machineimage";
    let image = meta();
    for (step, body) in [
        (
            Step::HoldMove { image: meta(), job: "j".into() },
            super::super::apply::holding(&image, Some("kubernetes-upgrader")),
        ),
        (Step::ReleaseMove { image: meta() }, super::super::apply::holding(&image, None)),
        (
            Step::RecordId { image: meta(), id: "ami-1".into(), let_go: false },
            json!({"metadata": {"uid": "uid-1", "resourceVersion": "7"}, "spec": {"id": "ami-1"}}),
        ),
    ] {
        let (answer, sent) = talk(step, live()).await;
        assert_eq!(format!("{:?}", answer.unwrap()), "Applied { answer: None, rows: 1 }");
        assert_eq!(sent, format!("PATCH {IMAGE}?{manager} {body}"));
    }
}

#[tokio::test]
async fn jobs_and_pods_are_listed_by_label_and_counted_by_owner() {
    let owner =
        |uid: &str| json!([{"apiVersion": "x/v1", "kind": "K", "name": "n", "uid": uid, "controller": true}]);
    let job = |name: &str, uid: &str| json!({"metadata": {"name": name, "uid": name, "ownerReferences": owner(uid)}});
    let read = Step::ReadJobs { image: meta(), previous: "j".into(), seen: vec!["seen".into()] };
    let list = json!({
        "metadata": {}, "items": [job("of-a-namesake", "uid-0"), job("seen", "uid-1"), job("image-1", "uid-1")]
    });
    let (answer, sent) = talk(read.clone(), list).await;
    assert!(format!("{:?}", answer.unwrap()).contains("Jobs(Some(\"image-1\"))"));
    let selector = "kubernetesupgraded%2Edimitrikoshkin%2Ecom%2Fmachine%2Dimage%2Dname%3Dimage";
    assert_eq!(sent, format!("GET /apis/batch/v1/namespaces/ns/jobs?limit=100&labelSelector={selector} "));
    let (answer, _) = talk(read, json!({"items": [job("of-a-namesake", "uid-0")]})).await;
    assert!(format!("{:?}", answer.unwrap()).contains("Jobs(None)"));

    let pod = json!({
        "metadata": {"name": "p", "ownerReferences": owner("j")}, "spec": {"containers": [{"name": "build"}]},
        "status": {"phase": "Succeeded", "containerStatuses": [
            {"name": "build", "state": {"terminated": {"exitCode": 0, "message": "ami-1\n"}}},
        ]},
    });
    let step = Step::ReadPods { job: Meta { uid: "j".into(), ..meta() } };
    let (answer, sent) = talk(step, json!({"items": [pod]})).await;
    let shown = format!("{:?}", answer.unwrap());
    assert!(shown.contains("message: \"ami-1\\n\""), "{shown}");
    let selector = "batch%2Ekubernetes%2Eio%2Fcontroller%2Duid%3Dj";
    assert_eq!(sent, format!("GET /api/v1/namespaces/ns/pods?limit=100&labelSelector={selector} "));
}
