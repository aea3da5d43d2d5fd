//! `manager label-node` on a scripted API server: what it asks for, and what it writes.

#![allow(
    clippy::unwrap_used,
    reason = "a test stops at what it cannot go on with, outside of its #[test] functions as well"
)]

use std::fs;
use std::sync::{Arc, Mutex};

use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use kube::client::Body;
use manager::label_node::{self, Look, LookError, RULES, Settings, label};
use nodes::kairos::node_labeler::labels::Told;
use runtime::answer::Refusal;
use runtime::client::Stack;
use runtime::clock::Clock;
use runtime::metrics::Metrics;
use runtime::request::Shell;
use runtime::rules::Declared;
use serde_json::{Value, json};
use tower::service_fn;

/// A Node, and how many patches are refused before one is taken.
#[derive(Clone)]
struct Server {
    node: Value,
    refusals: Arc<Mutex<Vec<(u16, &'static str)>>>,
    sent: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn new(metadata: Value, refusals: &[(u16, &'static str)]) -> Self {
        let node = json!({"metadata": metadata});
        Self { node, refusals: Arc::new(Mutex::new(refusals.to_vec())), sent: Arc::default() }
    }

    fn shell(&self) -> Shell {
        let server = self.clone();
        let service = service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move { Ok::<_, tower::BoxError>(server.answer(request).await) }
        });
        let mut stack = Stack::new(Metrics::new("test"));
        stack.declared = Some(Declared::new(RULES.iter().copied()));
        Shell::new(stack.client(service, "default"), "labeler", Clock::system(0))
    }

    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let line = format!("{} {}", request.method(), request.uri().path());
        let writes = request.method() == http::Method::PATCH;
        let body = request.into_body().collect().await.unwrap().to_bytes();
        self.sent.lock().unwrap().push(format!("{line} {}", String::from_utf8_lossy(&body)));
        let mut refusals = self.refusals.lock().unwrap();
        let refusal = if writes && !refusals.is_empty() { Some(refusals.remove(0)) } else { None };
        let (code, answer) = match refusal {
            Some((code, reason)) => (
                code,
                json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": "no"}),
            ),
            None => (200, self.node.clone()),
        };
        let mut response = Response::new(Body::from(answer.to_string().into_bytes()));
        *response.status_mut() = StatusCode::from_u16(code).unwrap();
        response
    }

    fn sent(&self) -> Vec<String> {
        self.sent.lock().unwrap().clone()
    }
}

fn kairos() -> Told {
    Told {
        kairos_release: Some("KAIROS_FLAVOR=ubuntu\n".into()),
        cmdline: "COS_ACTIVE".into(),
        ..Told::default()
    }
}

fn metadata(labels: Value) -> Value {
    json!({"name": "n", "uid": "u", "resourceVersion": "7", "labels": labels})
}

#[tokio::test]
async fn a_node_gets_what_it_has_not() {
    let server = Server::new(metadata(json!({"kairos.io/managed": "true"})), &[]);
    assert_eq!(label(&server.shell(), "n", &kairos()).await.unwrap(), Look::Labelled);
    let body = json!({"metadata": {
        "uid": "u", "resourceVersion": "7",
        "labels": {"kairos.io/boot-state": "active", "kairos.io/flavor": "ubuntu"},
    }});
    assert_eq!(server.sent(), ["GET /api/v1/nodes/n ".to_owned(), format!("PATCH /api/v1/nodes/n {body}")]);
}

#[tokio::test]
async fn nothing_is_written_without_need() {
    let labels =
        json!({"kairos.io/managed": "true", "kairos.io/boot-state": "active", "kairos.io/flavor": "ubuntu"});
    let server = Server::new(metadata(labels), &[]);
    assert_eq!(label(&server.shell(), "n", &kairos()).await.unwrap(), Look::AsItShouldBe);
    let out = Server::new(metadata(json!({"kairos.io/managed": "false"})), &[]);
    assert_eq!(label(&out.shell(), "n", &kairos()).await.unwrap(), Look::AsItShouldBe);
    assert_eq!((server.sent().len(), out.sent().len()), (1, 1));
    let other = Server::new(metadata(json!({})), &[]);
    let debian = Told { os_release: Some("ID=debian".into()), ..Told::default() };
    assert_eq!(label(&other.shell(), "n", &debian).await.unwrap(), Look::NotKairos);
    assert!(other.sent().is_empty(), "of a node that does not run Kairos nobody is told");
}

#[tokio::test]
async fn a_write_that_was_overtaken_is_made_anew_and_another_refusal_is_told() {
    let server = Server::new(metadata(json!({})), &[(409, "Conflict"), (409, "Conflict")]);
    assert_eq!(label(&server.shell(), "n", &kairos()).await.unwrap(), Look::Labelled);
    assert_eq!(server.sent().len(), 6);
    let busy = Server::new(metadata(json!({})), &[(409, "Conflict"); 20]);
    let error = label(&busy.shell(), "n", &kairos()).await.unwrap_err();
    assert!(matches!(error, LookError::Refused(Refusal::Conflict)), "{error}");
    assert_eq!(busy.sent().len(), 12);
    let shut = Server::new(metadata(json!({})), &[(403, "Forbidden")]);
    let error = label(&shut.shell(), "n", &kairos()).await.unwrap_err();
    assert!(matches!(error, LookError::Refused(Refusal::Forbidden(_))), "{error}");
}

#[test]
fn files_are_read_where_the_environment_says_and_may_be_missing() {
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings {
        node: "n".into(),
        etc: directory.path().join("etc"),
        sys: directory.path().join("sys"),
        every: None,
    };
    let none = label_node::read(&settings).unwrap();
    assert_eq!((none.kairos_release, none.os_release, none.efi_entry), (None, None, None));
    assert!(!none.cmdline.is_empty(), "the kernel's own");
    let efi = settings.sys.join("firmware/efi/efivars");
    fs::create_dir_all(&settings.etc).unwrap();
    fs::create_dir_all(&efi).unwrap();
    fs::write(settings.etc.join("kairos-release"), b"KAIROS_NAME=\xff\n").unwrap();
    fs::write(efi.join("LoaderEntrySelected-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"), [6, 0, 0, 0]).unwrap();
    let told = label_node::read(&settings).unwrap();
    assert_eq!(told.kairos_release.as_deref(), Some("KAIROS_NAME=\u{fffd}\n"));
    assert_eq!(told.efi_entry, Some(vec![6, 0, 0, 0]));
    fs::create_dir(settings.etc.join("os-release")).unwrap();
    let error = label_node::read(&settings).unwrap_err();
    assert!(matches!(&error, LookError::File(path, _) if path.ends_with("os-release")), "{error}");
}
