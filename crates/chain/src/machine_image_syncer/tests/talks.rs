//! The requests themselves, on a scripted transport.

use domain::object::Meta;

use super::*;

/// Granted by whoever names a source of a kind of his own.
const GRANTED: &[Rule] = &[Rule::new("example.org", "feeds", &["get"])];

async fn talk(answers: &[testkit::Line<'_>], step: Step) -> (Result<String, Refusal>, Vec<String>) {
    let (answer, sent) = testkit::talk(&SyncerRoom, GRANTED, answers, step).await;
    (answer.map(|applied| format!("{applied:?}")), sent)
}

fn feed() -> Step {
    Step::ReadSource(Target {
        kind: DynamicKind { api_version: "example.org/v1".into(), kind: "Feed".into() },
        key: ObjectKey::new("ns", "source"),
    })
}

fn discovery() -> (&'static str, u16, Value) {
    let resources = json!([
        {"name": "feeds/status", "kind": "Feed", "namespaced": true},
        {"name": "clusterfeeds", "kind": "Feed", "namespaced": false},
        {"name": "feeds", "kind": "Feed", "namespaced": true},
    ]);
    ("GET /apis/example.org/v1", 200, json!({"kind": "APIResourceList", "resources": resources}))
}

const GET: &str = "GET /apis/example.org/v1/namespaces/ns/feeds/source";

#[tokio::test]
async fn a_source_is_read_by_the_plural_that_discovery_names() {
    let (answer, sent) =
        talk(&[discovery(), (GET, 200, json!({"status": {"versions": ["v1.27.6"]}}))], feed()).await;
    assert!(answer.unwrap().contains(r#"Source(Versions(Ok(["v1.27.6"])))"#));
    assert_eq!(sent, ["GET /apis/example.org/v1 ", &*format!("{GET} ")]);
    let core = Step::ReadSource(Target {
        kind: DynamicKind { api_version: "v1".into(), kind: "ConfigMap".into() },
        key: ObjectKey::new("ns", "source"),
    });
    let (answer, sent) = talk(&[], core).await;
    assert_eq!((answer.unwrap().contains("NotInstalled"), sent), (true, vec!["GET /api/v1 ".to_owned()]));
}

#[tokio::test]
async fn what_a_source_answers_is_told_apart() {
    let forbidden = json!({"kind": "Status", "status": "Failure", "code": 403, "message": "no get"});
    let down = json!({"kind": "Status", "status": "Failure", "code": 503, "message": "down"});
    for (code, body, shown) in [
        (200, json!({}), "Versions(Ok([]))"),
        (200, json!({"status": "fine"}), "Versions(Err("),
        (200, json!({"status": {"versions": "v1"}}), "Versions(Err(\"status.versions is a string"),
        (404, json!({"kind": "Status", "status": "Failure", "code": 404}), "Missing"),
        (403, forbidden.clone(), "Forbidden(\"no get\")"),
    ] {
        let answer = talk(&[discovery(), (GET, code, body)], feed()).await.0.unwrap();
        assert!(answer.contains(&format!("Source({shown}")), "{shown}: {answer}");
    }
    assert!(matches!(
        talk(&[discovery(), (GET, 503, down)], feed()).await.0,
        Err(Refusal::Unavailable { .. })
    ));
    let closed = talk(&[("GET /apis/example.org/v1", 403, forbidden)], feed()).await.0.unwrap();
    assert!(closed.contains("Forbidden(\"no get\")"), "{closed}");
}

#[tokio::test]
async fn a_template_is_read_and_an_image_is_made() {
    let mut world = World::new(CHAIN);
    let root = "/apis/kubernetesupgraded.dimitrikoshkin.com/v1alpha1/namespaces/ns";
    let (answer, sent) = talk(
        &[(
            "GET /apis/kubernetesupgraded.dimitrikoshkin.com/v1alpha1/namespaces/ns/machineimagetemplates/template",
            200,
            world.get("MachineImageTemplate").clone(),
        )],
        Step::ReadTemplate(ObjectKey::new("ns", "template")),
    )
    .await;
    assert!(answer.unwrap().contains("Template(Ok("));
    assert_eq!(sent, [format!("GET {root}/machineimagetemplates/template ")]);
    let creation = Creation {
        key: ObjectKey::new("ns", "image"),
        version: "v1.27.6".into(),
        template: Meta::default(),
        body: json!({"kind": "MachineImage"}),
    };
    let made = json!({"metadata": {"name": "image", "namespace": "ns", "uid": "u1"}, "spec": {}});
    let (answer, sent) = talk(
        &[(
            "POST /apis/kubernetesupgraded.dimitrikoshkin.com/v1alpha1/namespaces/ns/machineimages?fieldManager=kubernetes-upgrader-machineimagesyncer",
            201,
            made,
        )],
        Step::CreateImage(Box::new(creation)),
    )
    .await;
    let answer = answer.unwrap();
    assert!(answer.contains("Created(\"u1\")") && answer.contains("rows: 1"), "{answer}");
    assert!(sent[0].ends_with(r#" {"kind":"MachineImage"}"#), "{sent:?}");
}

fn use_of(part: Part) -> Step {
    Step::ReadUse { namespace: "ns".into(), part, images: Vec::new() }
}

fn served(version: &'static str, kinds: &[(&str, &str)]) -> (&'static str, u16, Value) {
    let resources: Vec<Value> =
        kinds.iter().map(|(name, kind)| json!({"name": name, "kind": kind, "namespaced": true})).collect();
    (version, 200, json!({"kind": "APIResourceList", "resources": resources}))
}

const BETA2: &str = "GET /apis/cluster.x-k8s.io/v1beta2";
const BETA1: &str = "GET /apis/cluster.x-k8s.io/v1beta1";
const CONTROL_PLANES: &str = "GET /apis/controlplane.cluster.x-k8s.io";

#[tokio::test]
async fn clusters_are_listed_in_the_version_that_is_served() {
    let cluster = json!({
        "metadata": {"name": "c", "namespace": "ns"},
        "spec": {
            "controlPlaneRef": {"apiVersion": "controlplane.cluster.x-k8s.io/v1beta1", "kind": "K", "name": "cp"},
            "topology": {"version": "v1.27.5", "variables": [{"name": "image", "value": "ami-1"}]},
        },
    });
    let list = "/apis/cluster.x-k8s.io/v1beta1/namespaces/ns/clusters?limit=100&labelSelector=";
    let (answer, sent) = talk(
        &[
            served(BETA1, &[("clusters", "Cluster")]),
            (&format!("GET {list}"), 200, json!({"items": [cluster]})),
        ],
        use_of(Part::Clusters),
    )
    .await;
    let answer = answer.unwrap();
    for part in ["Cluster c", "v1.27.5", "ami-1", "name: \"cp\""] {
        assert!(answer.contains(part), "{part}: {answer}");
    }
    assert_eq!(sent, [format!("{BETA2} "), format!("{BETA1} "), format!("GET {list} ")]);
}

#[tokio::test]
async fn what_cannot_be_read_says_what_to_grant() {
    let forbidden = json!({"kind": "Status", "status": "Failure", "code": 403, "message": "no"});
    let none = talk(&[], use_of(Part::Clusters)).await.0.unwrap();
    assert!(none.contains("Cluster API is not installed"), "{none}");
    for (part, plural, kind) in [
        (Part::Clusters, "clusters", "Cluster"),
        (Part::MachineDeployments, "machinedeployments", "MachineDeployment"),
        (Part::MachinePools, "machinepools", "MachinePool"),
        (Part::Machines, "machines", "Machine"),
    ] {
        let list =
            format!("GET /apis/cluster.x-k8s.io/v1beta2/namespaces/ns/{plural}?limit=100&labelSelector=");
        let answers = [served(BETA2, &[(plural, kind)]), (&*list, 403, forbidden.clone())];
        let told = talk(&answers, use_of(part.clone())).await.0.unwrap();
        assert!(told.contains(&format!("grant the controller list on {plural}.cluster.x-k8s.io")), "{told}");
        let torn = json!({"items": [{"metadata": {"name": "x"}, "spec": 7}]});
        let answers = [served(BETA2, &[(plural, kind)]), (&*list, 200, torn)];
        let told = talk(&answers, use_of(part.clone())).await.0.unwrap();
        assert!(told.contains(&format!("{kind} x cannot be read")), "{told}");
        let absent = talk(&[], use_of(part.clone())).await.0.unwrap();
        assert_eq!(absent.contains("Use(Ok("), part == Part::MachinePools, "{absent}");
    }
}

#[tokio::test]
async fn control_planes_of_any_kind_are_read_by_the_references_of_their_clusters() {
    let reference = |name: &str, group: &str| api::capi::cluster::ControlPlaneRef {
        group: group.into(),
        kind: "K".into(),
        name: name.into(),
    };
    let group = "controlplane.cluster.x-k8s.io";
    let versions = json!({"versions": [{"version": "v1"}], "preferredVersion": {"version": "v1"}});
    let version = served("GET /apis/controlplane.cluster.x-k8s.io/v1", &[("ks", "K")]);
    let place = "GET /apis/controlplane.cluster.x-k8s.io/v1/namespaces/ns/ks";
    let found = json!({"metadata": {"name": "a"}, "spec": {"version": "v1.27.5"}});
    let answers =
        [(CONTROL_PLANES, 200, versions.clone()), version.clone(), (&*format!("{place}/a"), 200, found)];
    let both = Part::ControlPlanes(vec![reference("a", group), reference("gone", group)]);
    let (answer, sent) = talk(&answers, use_of(both)).await;
    let answer = answer.unwrap();
    assert!(answer.contains("K a") && answer.contains("v1.27.5") && !answer.contains("K gone"), "{answer}");
    assert_eq!(sent.len(), 4, "discovery is asked once for a kind: {sent:?}");
    let elsewhere = Part::ControlPlanes(vec![reference("a", "example.org")]);
    let told = talk(&[], use_of(elsewhere)).await.0.unwrap();
    assert!(told.contains("the server does not serve K.example.org"), "{told}");
    let forbidden = json!({"kind": "Status", "status": "Failure", "code": 403, "message": "no"});
    let answers = [(CONTROL_PLANES, 200, versions), version, (&*format!("{place}/a"), 403, forbidden)];
    let told = talk(&answers, use_of(Part::ControlPlanes(vec![reference("a", group)]))).await.0.unwrap();
    assert!(told.contains("grant the controller get on K.controlplane.cluster.x-k8s.io"), "{told}");
}

#[tokio::test]
async fn an_image_is_deleted_while_it_is_as_it_was_read() {
    let path =
        "DELETE /apis/kubernetesupgraded.dimitrikoshkin.com/v1alpha1/namespaces/ns/machineimages/image";
    let image = Meta {
        key: ObjectKey::new("ns", "image"),
        uid: "u1".into(),
        resource_version: domain::object::ResourceVersion(7),
        ..Meta::default()
    };
    let step = Step::DeleteImage { image, version: "v1.27.6".into(), because: "nothing uses it".into() };
    let (answer, sent) =
        talk(&[(path, 200, json!({"kind": "Status", "status": "Success"}))], step.clone()).await;
    assert!(answer.unwrap().contains("Deleted"));
    let body: Value = serde_json::from_str(sent[0].strip_prefix(path).unwrap()).unwrap();
    assert_eq!(body["preconditions"], json!({"uid": "u1", "resourceVersion": "7"}));
    assert_eq!(body["propagationPolicy"], "Background");
    let conflict = json!({"kind": "Status", "status": "Failure", "code": 409, "reason": "Conflict"});
    assert_eq!(talk(&[(path, 409, conflict)], step).await.0, Err(Refusal::Conflict));
}
