//! The shell through kube's client, against a server of one lease.

use std::sync::Mutex;

use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tower::service_fn;

use super::super::*;
use crate::clock::Clock;
use crate::lease::record::Record;
use crate::metrics::Metrics;

const COLLECTION: &str = "/apis/coordination.k8s.io/v1/namespaces/system/leases";
const OBJECT: &str = "/apis/coordination.k8s.io/v1/namespaces/system/leases/id";

/// How the server behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mood {
    #[default]
    Well,
    Unavailable,
    Silent,
    Forbidding,
}

#[derive(Clone, Debug, Default)]
struct Server {
    lease: Arc<Mutex<Option<Value>>>,
    mood: Arc<Mutex<Mood>>,
    journal: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn client(&self) -> Client {
        let server = self.clone();
        let service = service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move { server.answer(request).await }
        });
        Client::new(service, "system")
    }

    fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn stored(&self) -> Option<Lease> {
        self.lease.lock().unwrap().clone().map(|lease| serde_json::from_value(lease).unwrap())
    }

    fn holder(&self) -> String {
        self.stored().map(|lease| Record::of(&lease).holder).unwrap_or_default()
    }

    fn journal(&self) -> Vec<String> {
        self.journal.lock().unwrap().clone()
    }

    async fn answer(&self, request: Request<Body>) -> Result<Response<Body>, std::io::Error> {
        let (parts, body) = request.into_parts();
        let mood = *self.mood.lock().unwrap();
        self.journal.lock().unwrap().push(parts.method.to_string());
        if mood == Mood::Silent {
            std::future::pending::<()>().await;
        }
        let body = body.collect().await.unwrap().to_bytes();
        let (status, answer) = match mood {
            Mood::Unavailable => refusal(503, "ServiceUnavailable"),
            Mood::Forbidding => refusal(403, "Forbidden"),
            _ => self.done(&parts.method, parts.uri.path(), &body),
        };
        let answer = Body::from(serde_json::to_vec(&answer).unwrap());
        Ok(Response::builder().status(status).body(answer).unwrap())
    }

    fn done(&self, method: &Method, path: &str, body: &[u8]) -> (StatusCode, Value) {
        let mut stored = self.lease.lock().unwrap();
        let next = |version: u64, body: &[u8]| {
            let mut lease: Value = serde_json::from_slice(body).unwrap();
            lease["metadata"]["resourceVersion"] = json!(version.to_string());
            lease
        };
        let version = stored.as_ref().map(|lease| lease["metadata"]["resourceVersion"].clone());
        match (method.as_str(), path, version) {
            ("GET", OBJECT, Some(_)) => (StatusCode::OK, stored.clone().unwrap()),
            ("GET" | "PUT", OBJECT, None) => refusal(404, "NotFound"),
            ("POST", COLLECTION, Some(_)) => refusal(409, "AlreadyExists"),
            ("POST", COLLECTION, None) => {
                *stored = Some(next(1, body));
                (StatusCode::CREATED, stored.clone().unwrap())
            }
            ("PUT", OBJECT, Some(version)) => {
                let sent: Value = serde_json::from_slice(body).unwrap();
                assert!(sent["metadata"]["resourceVersion"].is_string(), "an unconditional write: {sent}");
                if sent["metadata"]["resourceVersion"] != version {
                    return refusal(409, "Conflict");
                }
                let version: u64 = version.as_str().unwrap().parse().unwrap();
                *stored = Some(next(version + 1, body));
                (StatusCode::OK, stored.clone().unwrap())
            }
            other => panic!("unexpected request {other:?}"),
        }
    }
}

fn refusal(code: u16, reason: &str) -> (StatusCode, Value) {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure",
        "code": code, "reason": reason, "message": reason,
    });
    (StatusCode::from_u16(code).unwrap(), status)
}

fn clock() -> Clock {
    Clock::simulated("2026-11-21T10:00:00Z".parse().unwrap(), 1)
}

fn settings(identity: &str) -> Settings {
    Settings {
        namespace: "system".to_owned(),
        name: "id".to_owned(),
        identity: identity.to_owned(),
        timing: Timing::default(),
    }
}

fn run(server: &Server, identity: &str, clock: &Clock) -> (Candidacy, Leadership) {
    Candidacy::task(server.client(), settings(identity), clock.clone(), Metrics::new("test"))
}

async fn follows(leadership: &mut Leadership, holder: &str) {
    let wanted = State::Following { holder: Some(holder.into()) };
    leadership.state.wait_for(|state| *state == wanted).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_first_creates_and_the_second_follows_until_the_first_lets_go() {
    let (server, clock) = (Server::default(), clock());
    let (first, mut one) = run(&server, "first", &clock);
    one.leading().await;
    assert_eq!(server.journal(), ["GET", "POST"]);
    let (_second, mut two) = run(&server, "second", &clock);
    follows(&mut two, "first").await;
    assert!(one.may_act(clock.now()) && !two.may_act(clock.now()));

    let before = clock.now();
    first.release().await;
    assert!(!one.may_act(clock.now()));
    assert_eq!(server.holder(), "");
    two.leading().await;
    assert!(clock.now() <= after(before, Duration::from_secs(6)), "a released lease is not waited for");
    assert_eq!(server.holder(), "second");
    assert_eq!(Record::of(&server.stored().unwrap()).transitions, 1);
}

#[tokio::test(start_paused = true)]
async fn a_killed_holder_is_waited_for() {
    let (server, clock) = (Server::default(), clock());
    let (first, mut one) = run(&server, "first", &clock);
    one.leading().await;
    let (_second, mut two) = run(&server, "second", &clock);
    follows(&mut two, "first").await;
    let killed = clock.now();
    drop(first);
    assert_eq!(one.lost().await, Cause::Ended);
    two.leading().await;
    assert!(clock.now() >= after(killed, Duration::from_secs(40)));
    assert!(clock.now() <= after(killed, Duration::from_secs(42)));
}

#[tokio::test(start_paused = true)]
async fn a_lost_race_for_an_absent_lease_is_looked_at_again() {
    let (server, clock) = (Server::default(), clock());
    let (_first, mut one) = run(&server, "first", &clock);
    let (_second, mut two) = run(&server, "second", &clock);
    one.leading().await;
    follows(&mut two, "first").await;
    assert_eq!(server.journal(), ["GET", "GET", "POST", "POST", "GET"]);
}

async fn stops_acting_in_time(mood: Mood) {
    let (server, clock) = (Server::default(), clock());
    let sent = clock.now();
    let (_first, mut one) = run(&server, "first", &clock);
    one.leading().await;
    server.set(mood);
    assert_eq!(one.lost().await, Cause::NotRenewed);
    assert!(clock.now() <= after(sent, Duration::from_millis(25_100)), "{mood:?}: {}", clock.now());
    assert!(clock.now() >= after(sent, Duration::from_secs(24)));
    assert!(!one.may_act(clock.now()));
}

#[tokio::test(start_paused = true)]
async fn no_renewal_ends_acting_whatever_the_reason() {
    for mood in [Mood::Unavailable, Mood::Silent, Mood::Forbidding] {
        stops_acting_in_time(mood).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_short_outage_is_survived_and_a_lease_deleted_by_hand_comes_back() {
    let (server, clock) = (Server::default(), clock());
    let (_first, mut one) = run(&server, "first", &clock);
    one.leading().await;
    let started = clock.now();
    server.set(Mood::Unavailable);
    clock.sleep_until(after(started, Duration::from_secs(20))).await;
    server.set(Mood::Well);
    clock.sleep_until(after(started, Duration::from_secs(60))).await;
    assert!(one.may_act(clock.now()));

    *server.lease.lock().unwrap() = None;
    clock.sleep_until(after(started, Duration::from_secs(80))).await;
    assert!(one.may_act(clock.now()));
    assert_eq!(server.holder(), "first");
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_another_has_taken_ends_this_process() {
    let (server, clock) = (Server::default(), clock());
    let (_first, mut one) = run(&server, "first", &clock);
    one.leading().await;
    {
        let mut lease = server.lease.lock().unwrap();
        let lease = lease.as_mut().unwrap();
        lease["spec"]["holderIdentity"] = json!("intruder");
        lease["metadata"]["resourceVersion"] = json!("99");
    }
    assert_eq!(one.lost().await, Cause::TakenBy("intruder".into()));
    assert!(!one.may_act(clock.now()));
    assert_eq!(server.holder(), "intruder");
}

#[tokio::test(start_paused = true)]
async fn an_edit_that_leaves_the_record_alone_neither_ends_nor_prolongs_anything() {
    let (server, clock) = (Server::default(), clock());
    let (first, mut one) = run(&server, "first", &clock);
    one.leading().await;
    let label = |version: &str| {
        let mut lease = server.lease.lock().unwrap();
        let lease = lease.as_mut().unwrap();
        lease["metadata"]["labels"] = json!({"edited": version});
        lease["metadata"]["resourceVersion"] = json!(version);
    };
    label("50");
    clock.sleep(Duration::from_secs(30)).await;
    assert!(one.may_act(clock.now()), "a conflict is followed by another look, not by the end");
    let (_second, mut two) = run(&server, "second", &clock);
    follows(&mut two, "first").await;
    let killed = clock.now();
    drop(first);
    clock.sleep(Duration::from_secs(20)).await;
    label("90");
    two.leading().await;
    assert!(clock.now() <= after(killed, Duration::from_secs(42)));
    assert_eq!(server.stored().unwrap().metadata.labels.unwrap()["edited"], "90");
}

#[tokio::test]
async fn a_thread_of_its_own_takes_and_releases() {
    let server = Server::default();
    let clock = Clock::system(1);
    let served = server.clone();
    let connect = move || Ok(served.client());
    let (candidacy, mut leadership) =
        Candidacy::thread(connect, settings("only"), clock.clone(), Metrics::new("test")).unwrap();
    leadership.leading().await;
    assert!(leadership.may_act(clock.now()));
    candidacy.release().await;
    assert_eq!(server.holder(), "");
    assert!(!leadership.may_act(clock.now()));
}

#[tokio::test]
async fn a_thread_without_a_client_is_a_lost_lease() {
    let connect = || Err(kube::Error::TlsRequired);
    let (_candidacy, mut leadership) =
        Candidacy::thread(connect, settings("only"), Clock::system(1), Metrics::new("test")).unwrap();
    assert_eq!(leadership.lost().await, Cause::Ended);
}
