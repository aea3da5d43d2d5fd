//! The requests themselves, on a scripted transport behind the room's own rules.

use api::capi::cluster::ControlPlaneRef;

use super::*;

async fn talk(answers: &[testkit::Line<'_>], step: Step) -> (Result<String, Refusal>, Vec<String>) {
    let (answer, sent) = testkit::talk(&UpgraderRoom::default(), &[], answers, step).await;
    (answer.map(|applied| format!("{applied:?}")), sent)
}

fn read_control_plane(group: &str) -> Step {
    let control_plane =
        ControlPlaneRef { group: group.into(), kind: "ThinControlPlane".into(), name: "c-cp".into() };
    Step::ReadControlPlane { namespace: "ns".into(), control_plane }
}

const GROUP: &str = "controlplane.cluster.x-k8s.io";

/// In the version that the server prefers, whichever it is, and by the plural that it names.
#[tokio::test]
async fn a_control_plane_is_read_where_discovery_says() {
    let group = json!({"preferredVersion": {"groupVersion": "x", "version": "v1beta7"}, "versions": []});
    let resources = json!({"resources": [
        {"name": "thincontrolplanes/status", "kind": "ThinControlPlane", "namespaced": true},
        {"name": "others", "kind": "Other", "namespaced": true},
        {"name": "thincontrolplanes", "kind": "ThinControlPlane", "namespaced": true},
    ]});
    let object = json!({"metadata": {"name": "c-cp", "namespace": "ns", "generation": 2},
        "spec": {"version": "v1.36.4"}, "status": {"version": "v1.36.2"}});
    let answers = [
        ("GET /apis/controlplane.cluster.x-k8s.io", 200, group),
        ("GET /apis/controlplane.cluster.x-k8s.io/v1beta7", 200, resources),
        ("GET /apis/controlplane.cluster.x-k8s.io/v1beta7/namespaces/ns/thincontrolplanes/c-cp", 200, object),
    ];
    let (answer, sent) = talk(&answers, read_control_plane(GROUP)).await;
    let answer = answer.unwrap();
    assert!(answer.contains(r#"status_version: Some("v1.36.2")"#), "{answer}");
    assert_eq!(sent.len(), 3);
    // Not served: told as gone, which is waited for.
    assert_eq!(talk(&[], read_control_plane(GROUP)).await.0, Err(Refusal::NotFound));
    assert_eq!(talk(&answers[..1], read_control_plane(GROUP)).await.0, Err(Refusal::NotFound));
}

/// The group is a part of the path, and comes from an object.
#[tokio::test]
async fn a_group_cannot_lead_astray() {
    for group in ["../../api/v1/secrets?x=", "a/b", "a%2fb"] {
        let (answer, sent) = talk(&[], read_control_plane(group)).await;
        assert_eq!((answer, sent.len()), (Err(Refusal::NotFound), 0), "{group}");
    }
}

#[tokio::test]
async fn pools_are_listed_by_their_cluster() {
    let step = Step::ReadMachinePools {
        api_version: "cluster.x-k8s.io/v1beta1".into(),
        cluster: ObjectKey::new("ns", "c"),
    };
    let pool = json!({"metadata": {"name": "mp-0", "namespace": "ns"}, "spec": {"replicas": 2}});
    let line = "GET /apis/cluster.x-k8s.io/v1beta1/namespaces/ns/machinepools?limit=100&labelSelector=\
                cluster%2Ex%2Dk8s%2Eio%2Fcluster%2Dname%3Dc%2Ctopology%2Ecluster%2Ex%2Dk8s%2Eio%2Fowned";
    let (answer, _) = talk(&[(line, 200, json!({"metadata": {}, "items": [pool]}))], step).await;
    assert!(answer.unwrap().contains("mp-0"));
}

#[tokio::test]
async fn an_image_is_read_live() {
    let line = "GET /apis/kubernetesupgraded.dimitrikoshkin.com/v1alpha1/namespaces/ns/machineimages/img";
    let image = World::new().object("MachineImage").clone();
    let step = Step::ReadImage { key: ObjectKey::new("ns", "img") };
    let answer = talk(&[(line, 200, image)], step.clone()).await.0.unwrap();
    assert!(answer.contains("img:4") && answer.contains("rows: 0"), "{answer}");
    assert_eq!(talk(&[], step).await.0, Err(Refusal::NotFound));
}

/// One request: the answer is the Cluster's next row, and a refusal is told apart from everything else.
#[tokio::test]
async fn a_cluster_is_patched_in_the_version_that_it_was_read_in() {
    let mut world = World::settled();
    world.pass_until(1);
    let verdict = world.decide();
    let line = "PATCH /apis/cluster.x-k8s.io/v1beta2/namespaces/ns/clusters/c?fieldManager=\
                kubernetes-upgrader-clusterclassclusterupgrader";
    let cluster = world.object("Cluster").clone();
    let (answer, sent) = talk(&[(line, 200, cluster)], verdict.steps[0].clone()).await;
    let answer = answer.unwrap();
    assert!(answer.contains("Set") && answer.contains("rows: 1"), "{answer}");
    assert_eq!(sent.len(), 1);
    let body: Value =
        serde_json::from_str(sent[0].split_once(" [").map(|(_, body)| format!("[{body}")).unwrap().as_str())
            .unwrap();
    assert_eq!(body[1], json!({"op": "test", "path": "/spec/topology/version", "value": "v1.36.2"}));

    let refused = json!({"kind": "Status", "status": "Failure", "code": 422, "reason": "Invalid",
        "message": "admission webhook \"validation.cluster.cluster.x-k8s.io\" denied the request: no",
        "details": {"causes": [{"field": "spec.topology.version"}]}});
    let (answer, _) = talk(&[(line, 422, refused)], verdict.steps[0].clone()).await;
    assert!(matches!(answer, Err(Refusal::Admission { .. })));
}

/// Of this incarnation of the upgrader alone, and nothing but the annotation.
#[tokio::test]
async fn what_was_set_is_noted_on_the_upgrader() {
    let line = "PATCH /apis/kubernetesupgraded.dimitrikoshkin.com/v1alpha1/namespaces/ns/clusterclassclusterupgraders/up\
                ?fieldManager=kubernetes-upgrader-clusterclassclusterupgrader";
    let mut world = World::settled();
    world.pass_until(2);
    let step = world.decide().steps[0].clone();
    let upgrader = world.object("ClusterClassClusterUpgrader").clone();
    let (answer, sent) = talk(&[(line, 200, upgrader)], step).await;
    assert!(answer.unwrap().contains("rows: 1"));
    let body: Value = serde_json::from_str(&sent[0][sent[0].find(" {").unwrap()..]).unwrap();
    let text =
        body["metadata"]["annotations"]["kubernetesupgraded.dimitrikoshkin.com/last-set"].as_str().unwrap();
    assert_eq!(body["metadata"]["uid"], "uid-clusterclassclusterupgrader-up");
    assert_eq!((body.as_object().unwrap().len(), body["metadata"].as_object().unwrap().len()), (1, 2));
    let noted: Value = serde_json::from_str(text).unwrap();
    assert_eq!((&noted["version"], &noted["image"]), (&json!("v1.36.4"), &json!("img:4")));
}
