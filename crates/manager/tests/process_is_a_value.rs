//! A whole manager on a scripted API server: ready without the lease, released at a stop, kept at a kill.

use std::ffi::OsString;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use manager::family::Family;
use manager::options::{Disruption, Options};
use manager::rooms::Parts;
use manager::start::{self, Deps, Election, End, Manager, STANDSTILL};
use manager::surroundings::Surroundings;
use runtime::clock::Clock;
use runtime::health::{Heartbeat, Readiness};
use runtime::lease::{Cause, Settings, State, Timing};
use runtime::metrics::Metrics;
use serde_json::{Value, json};
use sources::{FetchError, Fetched, Repository};
use tower::service_fn;

/// No source asks it for anything: there are no objects.
struct NoRepository;

#[async_trait]
impl Repository for NoRepository {
    async fn fetch(&self, _: &sources::Request) -> Result<Fetched, FetchError> {
        std::future::pending().await
    }
}

/// A server without objects, whose watches never say anything, and which keeps one lease.
#[derive(Clone, Default)]
struct Server {
    lease: Arc<Mutex<Option<Value>>>,
    writes: Arc<Mutex<Vec<String>>>,
    /// First lists of plans, of which there is one a process, and one more where it takes the lease over.
    lists: Arc<AtomicUsize>,
}

impl Server {
    fn client(&self) -> Client {
        let server = self.clone();
        let service = service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move { Ok::<_, std::io::Error>(server.answer(request).await) }
        });
        Client::new(service, "system")
    }

    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        if parts.uri.query().is_some_and(|query| query.contains("watch=")) {
            std::future::pending::<()>().await;
        }
        let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let (status, answer) = self.done(parts.method.as_str(), parts.uri.path(), &body);
        let mut response = Response::new(Body::from(answer.to_string().into_bytes()));
        *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
        response
    }

    fn done(&self, method: &str, path: &str, body: &[u8]) -> (u16, Value) {
        let missing =
            || (404, json!({"kind": "Status", "code": 404, "reason": "NotFound", "message": "not found"}));
        let Ok(mut lease) = self.lease.lock() else { return missing() };
        if path.ends_with("/plans") {
            self.lists.fetch_add(1, Ordering::Relaxed);
        }
        if !path.contains("/leases") {
            if method != "GET"
                && let Ok(mut writes) = self.writes.lock()
            {
                writes.push(format!("{method} {path}"));
            }
            let list = json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": []});
            // Cluster API is not installed, and nobody has left a webhook.
            let absent = path == "/apis/cluster.x-k8s.io" || path.contains("webhookconfigurations/");
            return if absent { missing() } else { (200, list) };
        }
        if method == "GET" {
            return lease.clone().map_or_else(missing, |lease| (200, lease));
        }
        let mut sent: Value = serde_json::from_slice(body).unwrap_or_default();
        let version = |lease: &Value| lease["metadata"]["resourceVersion"].as_str().map(str::to_owned);
        if lease.as_ref().and_then(version) != version(&sent) {
            let conflict = json!({"kind": "Status", "code": 409, "reason": "Conflict", "message": "changed"});
            return (409, conflict);
        }
        let next = version(&sent).and_then(|version| version.parse::<u64>().ok()).unwrap_or_default() + 1;
        sent["metadata"]["resourceVersion"] = json!(next.to_string());
        *lease = Some(sent.clone());
        (200, sent)
    }

    fn hold_as(&self, holder: &str) {
        let record = json!({
            "metadata": {"namespace": "system", "name": Family::Chain.lease(), "resourceVersion": "1000"},
            "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15, "leaseTransitions": 0},
        });
        self.lease.lock().unwrap_or_else(std::sync::PoisonError::into_inner).replace(record);
    }

    fn holder(&self) -> Option<String> {
        let lease = self.lease.lock().ok()?;
        Some(lease.as_ref()?["spec"]["holderIdentity"].as_str()?.to_owned())
    }
}

struct Running {
    manager: Manager,
    readiness: Readiness,
    clock: Clock,
}

fn run(server: &Server) -> Result<Running, Box<dyn std::error::Error>> {
    let clock = Clock::simulated("2026-11-21T10:00:00Z".parse()?, 1);
    let readiness = Readiness::new();
    let settings = Settings {
        namespace: "system".to_owned(),
        name: Family::Chain.lease().to_owned(),
        identity: "me".to_owned(),
        timing: Timing::default(),
    };
    let manager = start::start(Deps {
        client: server.client(),
        clock: clock.clone(),
        options: Options::parse(["manager", "--leader-elect"].map(OsString::from))?,
        election: Election::Task(settings, server.client()),
        metrics: Metrics::new("test"),
        readiness: readiness.clone(),
        heartbeat: Heartbeat::new(clock.now(), STANDSTILL),
        instance: "me".into(),
        parts: Parts {
            repository: Arc::new(NoRepository),
            settings: Surroundings::default().settings(Disruption::default()),
        },
    })?;
    Ok(Running { manager, readiness, clock })
}

/// Time stands still while anything can run, so this is a wait for a condition and no pause.
async fn comes_about(clock: &Clock, holds: impl Fn() -> bool) -> bool {
    for _ in 0..100 {
        if holds() {
            return true;
        }
        clock.sleep(Duration::from_millis(100)).await;
    }
    false
}

#[tokio::test(start_paused = true)]
async fn it_is_ready_while_another_holds_the_lease_and_writes_nothing() {
    let server = Server::default();
    server.hold_as("kubernetes-upgrader-controller-manager-of-old");
    let running = run(&server).expect("it starts");
    assert!(comes_about(&running.clock, || running.readiness.is_ready()).await, "{}", running.readiness);
    let leadership = running.manager.leadership();
    assert!(matches!(leadership.state(), State::Following { holder: Some(_) }), "{:?}", leadership.state());
    assert_eq!(*server.writes.lock().expect("not poisoned"), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_stop_gives_the_lease_back_and_a_kill_does_not() {
    let server = Server::default();
    let running = run(&server).expect("it starts");
    running.manager.leadership().leading().await;
    assert_eq!(server.holder().as_deref(), Some("me"));
    running.manager.stop().await;
    assert_eq!(server.holder().as_deref(), Some(""));
    assert!(!running.readiness.is_ready(), "a process that stops is not ready");

    let running = run(&server).expect("it starts again");
    running.manager.leadership().leading().await;
    let Running { manager, clock, .. } = running;
    drop(manager);
    clock.sleep(Duration::from_mins(2)).await;
    assert_eq!(server.holder().as_deref(), Some("me"));
}

/// Its watches may be behind what the last holder has written.
#[tokio::test(start_paused = true)]
async fn whoever_takes_the_lease_over_lists_everything_again_and_stays_ready() {
    let server = Server::default();
    server.hold_as("one that was killed");
    let running = run(&server).expect("it starts");
    assert!(comes_about(&running.clock, || running.readiness.is_ready()).await, "{}", running.readiness);
    assert_eq!(server.lists.load(Ordering::Relaxed), 1);
    running.manager.leadership().leading().await;
    let again = || server.lists.load(Ordering::Relaxed) == 2 || !running.readiness.is_ready();
    assert!(comes_about(&running.clock, again).await);
    assert!(running.readiness.is_ready(), "{}", running.readiness);

    // Nobody else has led.
    let server = Server::default();
    let running = run(&server).expect("it starts");
    running.manager.leadership().leading().await;
    assert!(comes_about(&running.clock, || running.readiness.is_ready()).await, "{}", running.readiness);
    running.clock.sleep(Duration::from_secs(30)).await;
    assert_eq!(server.lists.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lost_lease_ends_it() {
    let server = Server::default();
    let mut running = run(&server).expect("it starts");
    running.manager.leadership().leading().await;
    server.hold_as("intruder");
    let end = tokio::time::timeout(Duration::from_mins(1), running.manager.ended()).await;
    assert_eq!(end.ok(), Some(End::LeaseLost(Cause::TakenBy("intruder".into()))));
}
