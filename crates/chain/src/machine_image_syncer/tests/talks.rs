//! The requests themselves, on a scripted transport.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use domain::object::Meta;
use http::{Request, Response};
use kube::client::Body;
use runtime::clock::Clock;

use super::*;

/// Answers by `VERB path`; anything else is not found. Keeps what it was sent.
#[derive(Clone, Default)]
struct Server {
    answers: Arc<BTreeMap<&'static str, (u16, Value)>>,
    sent: Arc<Mutex<Vec<String>>>,
}

impl tower::Service<Request<Body>> for Server {
    type Response = Response<Body>;
    type Error = tower::BoxError;
    type Future = BoxFuture<'static, Result<Response<Body>, tower::BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), tower::BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let line = format!("{} {}", request.method(), request.uri());
        let missing =
            (404, json!({"kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound"}));
        let (code, body) = self.answers.get(&*line).cloned().unwrap_or(missing);
        let sent = self.sent.clone();
        Box::pin(async move {
            let body_sent = request.into_body().collect_bytes().await?;
            sent.lock().unwrap().push(format!("{line} {}", String::from_utf8_lossy(&body_sent)));
            Ok(Response::builder().status(code).body(Body::from(body.to_string().into_bytes()))?)
        })
    }
}

async fn talk(answers: &[(&'static str, u16, Value)], step: Step) -> (Result<String, Refusal>, Vec<String>) {
    let answers = answers.iter().map(|(line, code, body)| (*line, (*code, body.clone()))).collect();
    let server = Server { answers: Arc::new(answers), sent: Arc::default() };
    let client = kube::Client::new(server.clone(), "default");
    let shell = Shell::new(client, SyncerRoom::MANAGER, Clock::simulated(at(0), 1));
    let answer = SyncerRoom.apply(shell, step).await.map(|applied| format!("{applied:?}"));
    let sent = server.sent.lock().unwrap().clone();
    (answer, sent)
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
