//! One word for why an object waits, wherever it is read: in the condition, in the Event, in the metric, and in the plugin.
//!
//! The manager runs as `start(deps)` gives it, against the simulated API server. Its metrics are scraped from the server that
//! serves them in production, and the plugin is the process, which reads the same API server over HTTP. The word is taken from
//! the stored condition alone; everybody else is held to it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where it cannot go on")]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use api::batch::job;
use api::upgrader::{cluster_upgrader, debian_repository_source, machine_image, machine_image_syncer, plan};
use axum::Router;
use axum::extract::State;
use domain::object::{Kind, api_version};
use http::{Method, Request, Response};
use kube::Client;
use kube::client::Body;
use manager::options::Options;
use manager::start::{self, Deps, Election, Manager};
use runtime::client::Stack;
use runtime::clock::Clock;
use runtime::health::{self, BindAddress, Heartbeat, Readiness};
use runtime::metrics::Metrics;
use serde_json::{Value, json};
use sim::ApiServer;
use tempfile::TempDir;
use tower::{BoxError, service_fn};

const NAMESPACE: &str = "fleet";
/// When the clock of the API server begins.
const START: &str = "2026-01-01T00:00:00Z";
/// Until nobody has anything left to do.
const AT_REST: Duration = Duration::from_secs(60);
/// Ends a scrape that is not answered, on a clock that does not stand still.
const SCRAPED_WITHIN: Duration = Duration::from_secs(60);

/// At least one object of each kind that waits, or has failed.
const OBJECTS: &str = "
apiVersion: kubernetesupgraded.dimitrikoshkin.com/v1alpha1
kind: DebianRepositorySource
metadata: {name: kubernetes, namespace: fleet}
spec: {url: 'https://pkgs.k8s.io/core:/stable:/v1.36/deb/Packages'}
---
apiVersion: kubernetesupgraded.dimitrikoshkin.com/v1alpha1
kind: MachineImageTemplate
metadata: {name: ubuntu, namespace: fleet}
spec: {template: {spec: {jobTemplate: {spec: {containers: [{name: builder, image: builder}]}}}}}
---
apiVersion: kubernetesupgraded.dimitrikoshkin.com/v1alpha1
kind: MachineImageSyncer
metadata: {name: ubuntu, namespace: fleet}
spec:
  versionRange: v1.36.x
  sourceRef: {apiVersion: kubernetesupgraded.dimitrikoshkin.com/v1alpha1, kind: DebianRepositorySource, name: kubernetes}
  machineImageTemplateRef: {name: ubuntu}
---
apiVersion: kubernetesupgraded.dimitrikoshkin.com/v1alpha1
kind: MachineImage
metadata: {name: ubuntu-v1.35.1, namespace: fleet}
spec: {version: v1.35.1, jobTemplate: {spec: {containers: [{name: builder, image: builder}]}}}
---
apiVersion: kubernetesupgraded.dimitrikoshkin.com/v1alpha1
kind: Plan
metadata: {name: stable, namespace: fleet}
spec: {versionRange: v1.35.x}
---
apiVersion: kubernetesupgraded.dimitrikoshkin.com/v1alpha1
kind: Plan
metadata: {name: mistaken, namespace: fleet}
spec: {versionRange: v1.35.x, machineImageSelector: {matchExpressions: [{key: os, operator: Resembles, values: [linux]}]}}
---
apiVersion: cluster.x-k8s.io/v1beta2
kind: ClusterClass
metadata: {name: class, namespace: fleet}
spec: {variables: [{name: image, required: false, schema: {openAPIV3Schema: {type: string}}}]}
---
apiVersion: cluster.x-k8s.io/v1beta2
kind: Cluster
metadata: {name: production, namespace: fleet}
spec:
  topology: {classRef: {name: class}, version: v1.35.0, controlPlane: {replicas: 3}}
---
apiVersion: cluster.x-k8s.io/v1beta2
kind: Cluster
metadata: {name: lab, namespace: fleet}
spec:
  paused: true
  topology: {classRef: {name: class}, version: v1.35.0, controlPlane: {replicas: 3}}
---
apiVersion: kubernetesupgraded.dimitrikoshkin.com/v1alpha1
kind: ClusterClassClusterUpgrader
metadata: {name: production, namespace: fleet}
spec: {clusterName: production, topologyVariable: image, planRef: {name: stable}}
---
apiVersion: kubernetesupgraded.dimitrikoshkin.com/v1alpha1
kind: ClusterClassClusterUpgrader
metadata: {name: lab, namespace: fleet}
spec: {clusterName: lab, topologyVariable: image, planRef: {name: stable}}
";

/// An object, why it waits, and the `reason` of its Event: where the original had a word of its own for that, it stands there,
/// and ours in `action`.
type Waits = (Kind, &'static str, &'static str, &'static str);

fn waiting(image: (&'static str, &'static str)) -> [Waits; 7] {
    [
        (debian_repository_source::KIND, "kubernetes", "RepositoryForbidden", "ListVersionsFailed"),
        (machine_image_syncer::KIND, "ubuntu", "NoVersionsInSource", "GetVersionsFromSourceFailed"),
        (machine_image::KIND, "ubuntu-v1.35.1", image.0, image.1),
        (plan::KIND, "stable", "NoSuitableMachineImage", "LatestVersionNotFound"),
        (plan::KIND, "mistaken", "InvalidSelector", "InvalidSelector"),
        (cluster_upgrader::KIND, "production", "PlanWithoutResult", "MachineImageDetailsVersionNotSet"),
        (cluster_upgrader::KIND, "lab", "ClusterPaused", "ClusterPaused"),
    ]
}

/// Events in the order in which they were accepted. The simulated server keeps of an Event but its name.
type Events = Arc<Mutex<Vec<Value>>>;

/// Hands requests on, and notes what Events were created.
async fn noted(client: Client, events: Events, request: Request<Body>) -> Result<Response<Body>, BoxError> {
    if request.method() != Method::POST || !request.uri().path().ends_with("/events") {
        return Ok(client.send(request).await?);
    }
    let (head, body) = request.into_parts();
    let body = body.collect_bytes().await?;
    let answer = client.send(Request::from_parts(head, Body::from(body.clone()))).await?;
    if answer.status().is_success() {
        events.lock().unwrap().push(serde_json::from_slice(&body)?);
    }
    Ok(answer)
}

/// Hands a request from the network on.
async fn forwarded(
    State(client): State<Client>,
    request: axum::extract::Request,
) -> Response<axum::body::Body> {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let answer = client.send(Request::from_parts(head, Body::from(body))).await.unwrap();
    answer.map(axum::body::Body::new)
}

async fn serve(what: &'static str, router: Router) -> health::Server {
    let address = BindAddress::Host("127.0.0.1:0".to_owned());
    health::Server::start(what, &address, router).await.unwrap().unwrap()
}

/// A manager at work, and everything that says why an object waits.
struct Stage {
    api_server: ApiServer,
    client: Client,
    events: Events,
    scrapes: health::Server,
    kubeconfig: PathBuf,
    clock: Clock,
    _manager: Manager,
    _network: health::Server,
    _folder: TempDir,
}

impl Stage {
    async fn start() -> Self {
        let objects: Vec<Value> =
            OBJECTS.split("---\n").map(|text| serde_saphyr::from_str(text).unwrap()).collect();
        let api_server = ApiServer::start(&objects);
        let client = api_server.client();
        let network = serve("api", Router::new().fallback(forwarded).with_state(client.clone())).await;
        let metrics = Metrics::new("test");
        let scrapes = serve("metrics", health::metrics(metrics.clone())).await;
        let events = Events::default();
        let transport = {
            let (client, events) = (client.clone(), events.clone());
            service_fn(move |request| noted(client.clone(), events.clone(), request))
        };
        let clock = Clock::simulated(START.parse().unwrap(), 1);
        let manager = start::start(Deps {
            client: Stack::new(metrics.clone()).client(transport, NAMESPACE),
            clock: clock.clone(),
            options: Options::parse(["manager", "--leader-elect=false"].map(OsString::from)).unwrap(),
            election: Election::None,
            metrics,
            readiness: Readiness::new(),
            heartbeat: Heartbeat::unwatched(clock.now()),
            instance: "test".into(),
            parts: api_server.parts(),
        });
        let folder = TempDir::new().unwrap();
        let kubeconfig = folder.path().join("config");
        let text = format!(
            "{{apiVersion: v1, kind: Config, current-context: c, clusters: [{{name: c, cluster: {{server: 'http://{}'}}}}], \
             users: [{{name: u, user: {{}}}}], contexts: [{{name: c, context: {{cluster: c, user: u, namespace: {NAMESPACE}}}}}]}}",
            network.address()
        );
        std::fs::write(&kubeconfig, text).unwrap();
        Self {
            api_server,
            client,
            events,
            scrapes,
            kubeconfig,
            clock,
            _manager: manager.unwrap(),
            _network: network,
            _folder: folder,
        }
    }

    /// What the API server has of a kind.
    async fn stored(&self, kind: Kind) -> Vec<Value> {
        let group = api_version(kind.group, kind.versions[0]);
        let request = Request::get(format!("/apis/{group}/namespaces/{NAMESPACE}/{}", kind.plural));
        let list: Value = self.client.request(request.body(Vec::new()).unwrap()).await.unwrap();
        list["items"].as_array().unwrap().clone()
    }

    async fn object(&self, kind: Kind, name: &str) -> Value {
        let mut stored = self.stored(kind).await.into_iter();
        stored.find(|object| object["metadata"]["name"] == *name).unwrap()
    }

    /// The Job of the one image ends as the Job controller has it.
    async fn fail_the_job(&self) {
        let jobs = self.stored(job::KIND).await;
        let [job] = jobs.as_slice() else { panic!("{jobs:?}") };
        let condition = |type_: &str| {
            json!({"type": type_, "status": "True", "reason": "BackoffLimitExceeded", "message": "no luck",
                "lastTransitionTime": START, "lastProbeTime": START})
        };
        let status = json!({"failed": 1, "startTime": START, "conditions": [condition("FailureTarget"), condition("Failed")]});
        let name = job["metadata"]["name"].as_str().unwrap();
        let patch = Request::patch(format!("/apis/batch/v1/namespaces/{NAMESPACE}/jobs/{name}/status"))
            .header(http::header::CONTENT_TYPE, "application/merge-patch+json")
            .body(json!({"status": status}).to_string().into_bytes());
        let _: Value = self.client.request(patch.unwrap()).await.unwrap();
    }

    /// The last Event on an object.
    fn event(&self, kind: Kind, name: &str) -> Value {
        let events = self.events.lock().unwrap();
        let regarding =
            |event: &&Value| event["regarding"]["kind"] == *kind.kind && event["regarding"]["name"] == *name;
        events.iter().rev().find(regarding).cloned().unwrap_or_default()
    }

    /// How many objects wait, by controller and reason, as the manager's own page has it.
    async fn metrics(&self) -> BTreeMap<(String, String), u64> {
        let address = self.scrapes.address();
        // While a thread is at work, the clock stands still.
        let page = tokio::task::spawn_blocking(move || scrape(address)).await.unwrap();
        let series = page.lines().filter_map(|line| {
            let (labels, count) = line.strip_prefix("kubernetes_upgrader_objects{")?.split_once("} ")?;
            let (controller, reason) = labels.split_once(',').unwrap();
            let value = |label: &str, name: &str| {
                let quoted = label.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')).unwrap();
                quoted.trim_matches('"').to_owned()
            };
            Some(((value(controller, "controller"), value(reason, "reason")), count.parse().unwrap()))
        });
        series.filter(|(_, count)| *count > 0).collect()
    }

    /// What the plugin prints.
    async fn plugin(&self, arguments: &str) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-upgrader"));
        command.args(arguments.split_whitespace()).env("KUBECONFIG", &self.kubeconfig);
        for proxy in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"] {
            command.env_remove(proxy);
        }
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        let code = output.status.code();
        assert!(matches!(code, Some(2 | 3)), "{arguments}: {code:?}: something waits or is blocked: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    async fn plugin_json(&self, arguments: &str) -> Value {
        serde_json::from_str(&self.plugin(&format!("{arguments} -o json")).await).unwrap()
    }

    /// Everything that anybody says of an object: who says it, and the word.
    async fn words(&self, kind: Kind, name: &str) -> Vec<(&'static str, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let object = self.object(kind, name).await;
        let event = self.event(kind, name);
        let asked = format!("why {}/{name}", kind.kind);
        let (why, why_json) = (self.plugin(&asked).await, self.plugin_json(&asked).await);
        // `KIND/NAME  STATE: REASON …` is its first line.
        let first = why.lines().next().unwrap_or_default();
        let printed = first.split_once(": ").and_then(|(_, rest)| rest.split_whitespace().next());
        let mut words = vec![
            ("status.waiting", text(&object["status"]["waiting"]["reason"])),
            ("the action of the Event", text(&event["action"])),
            ("why", printed.unwrap_or_default().to_owned()),
            ("why -o json", text(&why_json["reason"])),
        ];
        if kind == cluster_upgrader::KIND {
            let lines = self.plugin_json("get").await;
            let of_it = |line: &&Value| line["upgrader"] == *name;
            let line = lines["clusters"].as_array().unwrap().iter().find(of_it).unwrap();
            words.push(("get -o json", text(&line["reason"])));
            // CLUSTER, HAVE, WANT, NEXT HOP, STATE, REASON: nothing of it is two words here.
            let table = self.plugin("get").await;
            let row = table.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            words.push(("get", row.split_whitespace().nth(5).unwrap_or_default().to_owned()));
        }
        words
    }

    /// Holds everybody to the condition.
    async fn agrees(&self, waiting: &[Waits]) {
        let (mut counts, mut wrong) = (BTreeMap::new(), Vec::new());
        for &(kind, name, expected, event) in waiting {
            let object = self.object(kind, name).await;
            let conditions = object["status"]["conditions"].as_array().unwrap();
            let ready = conditions.iter().find(|condition| condition["type"] == "Ready").unwrap();
            let word = ready["reason"].as_str().unwrap();
            assert_eq!(word, expected, "{} {name}: {ready}", kind.kind);
            *counts.entry((kind.kind.to_lowercase(), word.to_owned())).or_insert(0) += 1;
            let said = self.words(kind, name).await.into_iter();
            wrong.extend(said.filter(|(_, said)| said != word).map(|(who, said)| {
                format!("{} {name}: {who} says {said:?}, and the condition {word}", kind.kind)
            }));
            let told = self.event(kind, name);
            if told["reason"] != *event {
                wrong.push(format!("{} {name}: the reason of its Event is no {event}: {told}", kind.kind));
            }
        }
        assert_eq!(wrong, Vec::<String>::new());
        assert_eq!(
            self.metrics().await,
            counts,
            "the metric counts the words of the conditions, and no other"
        );
        assert_eq!(self.api_server.unsupported(), None);
    }
}

fn scrape(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(SCRAPED_WITHIN)).unwrap();
    // HTTP/1.0, so that the page ends with the connection.
    write!(stream, "GET /metrics HTTP/1.0\r\nHost: {address}\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    assert!(page.starts_with("HTTP/1.0 200"), "{page}");
    page
}

#[tokio::test(start_paused = true)]
async fn condition_event_metric_and_plugin_say_one_word() {
    let stage = Stage::start().await;
    stage.clock.sleep(AT_REST).await;
    stage.agrees(&waiting(("Building", "CreatingJob"))).await;
    // The word changes, and everybody changes with it.
    stage.fail_the_job().await;
    stage.clock.sleep(AT_REST).await;
    stage.agrees(&waiting(("JobFailed", "JobFailed"))).await;
}
