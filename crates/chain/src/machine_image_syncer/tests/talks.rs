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
