use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use http::Response;
use http_body_util::{BodyExt as _, Full, StreamBody};
use kube::client::Body;
use serde_json::{Value, json};

use super::*;

const BOOT: &str = "0b1f3c52-8d43-4c25-9a3a-2f7f5d5f0a11";
const OTHER: &str = "77e5dd0e-4c0f-4f6f-8c55-1d34c6ad7e02";

/// An answer of the server.
enum Answer {
    /// No connection.
    Nothing,
    /// A status code.
    Code(u16),
    /// A list with this pod, or without one.
    List(Option<Value>),
    /// These events, and the end of the watch.
    Events(Vec<Value>),
    /// No answer, for ever.
    Silence,
    /// A watch that says nothing, for ever.
    SilentWatch,
}

/// A piece of a body.
type Frame = Result<http_body::Frame<bytes::Bytes>, std::io::Error>;

#[derive(Default)]
struct Script {
    answers: VecDeque<Answer>,
    asked: Vec<String>,
}

fn pod(annotations: &Value) -> Value {
    json!({"metadata": {"name": "op-reboot", "resourceVersion": "7", "annotations": annotations}})
}

fn told_to(boot_id: &str) -> Value {
    pod(&json!({REBOOT_FROM_ANNOTATION: boot_id}))
}

fn modified(object: &Value) -> Value {
    json!({"type": "MODIFIED", "object": object})
}

/// What comes of these answers, what was asked for, and how many seconds it took.
async fn played(answers: Vec<Answer>) -> (Told, Vec<String>, i64) {
    let script = Arc::new(Mutex::new(Script { answers: answers.into(), ..Script::default() }));
    let server = script.clone();
    let service = tower::service_fn(move |request: Request<Body>| {
        let mut script = server.lock().unwrap();
        script.asked.push(request.uri().to_string());
        let answer = script.answers.pop_front();
        async move {
            let (status, body) = match answer.expect("it asks no more than this") {
                Answer::Nothing => return Err(std::io::Error::other("no route to host")),
                Answer::Silence => std::future::pending().await,
                Answer::SilentWatch => {
                    let body = StreamBody::new(futures::stream::pending::<Frame>());
                    return Ok(Response::new(body.boxed()));
                }
                Answer::Code(code) => {
                    let status =
                        json!({"kind": "Status", "status": "Failure", "code": code, "message": "no"});
                    (code, status.to_string())
                }
                Answer::List(pod) => {
                    let items: Vec<Value> = pod.into_iter().collect();
                    (200, json!({"metadata": {"resourceVersion": "5"}, "items": items}).to_string())
                }
                Answer::Events(events) => {
                    (200, events.iter().map(Value::to_string).collect::<Vec<_>>().join("\n") + "\n")
                }
            };
            let body = Full::new(bytes::Bytes::from(body)).map_err(|never| match never {});
            Ok(Response::builder().status(status).body(body.boxed()).unwrap())
        }
    });
    let client = Client::new(service, "default");
    let clock = Clock::simulated("2026-11-21T10:00:00Z".parse().unwrap(), 1);
    let began = clock.now();
    let place = Pod { name: "op-reboot".to_owned(), namespace: "ns".to_owned() };
    let told = until_told(&client, &clock, &place, BOOT).await;
    let took = clock.now().duration_since(began).as_secs();
    let script = script.lock().unwrap();
    assert!(script.answers.is_empty(), "it ends before everything was said");
    (told, script.asked.clone(), took)
}

#[tokio::test(start_paused = true)]
async fn it_waits_for_the_annotation_on_its_own_pod() {
    let (told, asked, _) = played(vec![
        Answer::List(Some(pod(&json!({})))),
        Answer::Events(vec![
            modified(&pod(&json!({"other": "annotation"}))),
            modified(&told_to(BOOT)),
            modified(&told_to(OTHER)),
        ]),
    ])
    .await;
    assert_eq!(told, Told::Reboot);
    assert_eq!(
        asked,
        [
            "/api/v1/namespaces/ns/pods?fieldSelector=metadata.name%3Dop-reboot",
            "/api/v1/namespaces/ns/pods?fieldSelector=metadata.name%3Dop-reboot&watch=true&resourceVersion=5&timeoutSeconds=300",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_container_that_starts_after_the_reboot_is_done_at_once() {
    assert_eq!(played(vec![Answer::List(Some(told_to(OTHER)))]).await.0, Told::Rebooted);
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_ends_is_begun_again() {
    let (told, asked, took) = played(vec![
        Answer::List(Some(pod(&json!({})))),
        Answer::Events(Vec::new()),
        Answer::List(Some(told_to(BOOT))),
    ])
    .await;
    assert_eq!((told, asked.len(), took), (Told::Reboot, 3, 1));
}

/// The API server of a node that runs alone is away while it starts, and its certificates may be: no code ends the wait.
#[tokio::test(start_paused = true)]
async fn no_trouble_ends_the_wait_and_pauses_grow() {
    let gone = json!({"type": "ERROR", "object": {"kind": "Status", "status": "Failure", "code": 410, "reason": "Expired", "message": "too old"}});
    let mut answers: Vec<Answer> =
        [401, 403, 404, 429, 500, 503].into_iter().map(Answer::Code).chain([Answer::Nothing]).collect();
    answers.extend([
        Answer::List(None),
        Answer::Events(vec![gone]),
        Answer::List(Some(pod(&json!({})))),
        Answer::SilentWatch,
        Answer::List(Some(pod(&json!({})))),
        Answer::Silence,
        Answer::Silence,
    ]);
    answers.push(Answer::List(Some(told_to(BOOT))));
    let (told, _, took) = played(answers).await;
    assert_eq!(told, Told::Reboot);
    // Seven pauses of 1, 2, 4, 8, 16, 30 and 30 s, and the silence of one watch and two requests.
    assert!(took >= 91 + 330 + 30 + 30, "{took}");
    let pauses: Vec<u64> = (1..=7).map(|attempt| pause(attempt).as_secs()).collect();
    assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
    assert_eq!(pause(u32::MAX), LONGEST_PAUSE);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_is_being_deleted_is_told_nothing() {
    let mut deleting = told_to(BOOT);
    deleting["metadata"]["deletionTimestamp"] = json!("2026-11-21T10:00:00Z");
    let (told, ..) = played(vec![
        Answer::List(Some(deleting)),
        Answer::Events(vec![json!({"type": "DELETED", "object": told_to(BOOT)})]),
        Answer::List(None),
        Answer::Events(vec![json!({"type": "ADDED", "object": told_to(OTHER)})]),
    ])
    .await;
    assert_eq!(told, Told::Rebooted);
}
