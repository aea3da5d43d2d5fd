//! The plugin as a process, against a server of prepared answers: what it asks for, and what it says where it is refused.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a test ends where it cannot go on")]

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;
use wiremock::{Match, Mock, MockServer, Request, Respond, ResponseTemplate};

/// What the server has, and what it refuses.
#[derive(Clone, Default)]
struct Server {
    objects: Vec<Value>,
    /// Groups that are not served.
    without: Vec<&'static str>,
    /// Resources that may not be listed.
    forbidden: Vec<&'static str>,
    /// Everything is refused with 401.
    signed_out: bool,
    /// The answer to a patch.
    patched: Option<(u16, Value)>,
    /// Objects of a page of a list.
    page: Option<usize>,
    /// The version in which Cluster API is served, if it is another one.
    cluster_api: Option<&'static str>,
    /// The server forgets where a list was.
    forgetful: bool,
    /// Discovery is refused.
    secretive: bool,
}

fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message})
}

impl Server {
    /// What the example of the docs has.
    fn of_the_docs() -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/examples/fleet.yaml");
        let list: Value = serde_saphyr::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        Self { objects: list["items"].as_array().unwrap().clone(), ..Self::default() }
    }

    fn answer(&self, request: &Request) -> (u16, Value) {
        let path = request.url.path();
        if self.signed_out {
            return (401, status(401, "Unauthorized", "Unauthorized"));
        }
        if request.method.as_str() == "PATCH" {
            return self
                .patched
                .clone()
                .unwrap_or((500, status(500, "InternalError", "no patch was expected")));
        }
        if path == "/version" {
            return (200, json!({"gitVersion": "v1.36.3"}));
        }
        if self.without.iter().any(|group| path.starts_with(&format!("/apis/{group}"))) {
            return (404, status(404, "NotFound", "the server could not find the requested resource"));
        }
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        if let ["apis", group] = parts.as_slice() {
            if self.secretive {
                return (403, status(403, "Forbidden", "is forbidden"));
            }
            let version = match *group {
                "cluster.x-k8s.io" => self.cluster_api.unwrap_or("v1beta2"),
                "batch" | "apps" => "v1",
                _ => "v1alpha1",
            };
            return (
                200,
                json!({"kind": "APIGroup", "name": group, "versions": [{"groupVersion": format!("{group}/{version}"), "version": version}]}),
            );
        }
        let (api_version, rest) = match parts.as_slice() {
            ["apis", group, version, rest @ ..] => (format!("{group}/{version}"), rest),
            ["api", version, rest @ ..] => ((*version).to_owned(), rest),
            _ => return (404, status(404, "NotFound", "")),
        };
        let (namespace, plural) = match rest {
            ["namespaces", namespace, plural] => (Some(*namespace), *plural),
            [plural] => (None, *plural),
            _ => return (404, status(404, "NotFound", "")),
        };
        if self.forbidden.contains(&plural) {
            return (403, status(403, "Forbidden", "is forbidden"));
        }
        let listed = |object: &&Value| {
            let kind = object["kind"].as_str().unwrap().to_lowercase();
            let plurals = [format!("{kind}s"), format!("{kind}es")];
            object["apiVersion"] == *api_version
                && plurals.iter().any(|known| known == plural)
                && namespace.is_none_or(|namespace| object["metadata"]["namespace"] == namespace)
        };
        let items: Vec<Value> = self.objects.iter().filter(listed).cloned().collect();
        let at = request.url.query_pairs().find(|(name, _)| name == "continue");
        let at: usize = at.map_or(0, |(_, at)| at.parse().unwrap());
        if self.forgetful && at > 0 {
            return (410, status(410, "Expired", "The provided continue parameter is too old"));
        }
        let limited = request.url.query_pairs().any(|(name, _)| name == "limit");
        let size = self.page.filter(|_| limited).unwrap_or(500);
        let more = (at + size < items.len()).then(|| (at + size).to_string());
        let page: Vec<&Value> = items.iter().skip(at).take(size).collect();
        (200, json!({"metadata": {"continue": more}, "items": page}))
    }
}

impl Match for Server {
    fn matches(&self, _: &Request) -> bool {
        true
    }
}

impl Respond for Server {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let (code, body) = self.answer(request);
        ResponseTemplate::new(code).set_body_json(body)
    }
}

/// What the plugin printed, how it ended, and what it asked for.
struct Ran {
    out: String,
    err: String,
    code: i32,
    asked: Vec<String>,
}

async fn run(server: Server, arguments: &[&str]) -> Ran {
    let mock = MockServer::start().await;
    Mock::given(server.clone()).respond_with(server).mount(&mock).await;
    let mut ran = run_at(&mock.uri(), arguments);
    let requests = mock.received_requests().await.unwrap();
    ran.asked = requests.iter().map(|request| format!("{} {}", request.method, request.url.path())).collect();
    ran
}

fn run_at(server: &str, arguments: &[&str]) -> Ran {
    run_with(server, "token: t", arguments)
}

fn run_with(server: &str, user: &str, arguments: &[&str]) -> Ran {
    let folder = TempDir::new().unwrap();
    let kubeconfig = folder.path().join("config");
    let text = format!(
        "{{apiVersion: v1, kind: Config, current-context: c, clusters: [{{name: c, cluster: {{server: '{server}'}}}}], \
         users: [{{name: u, user: {{{user}}}}}], contexts: [{{name: c, context: {{cluster: c, user: u, namespace: fleet}}}}]}}"
    );
    std::fs::write(&kubeconfig, text).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_kubectl-upgrader"))
        .args(arguments)
        .env("KUBECONFIG", &kubeconfig)
        .env("LC_ALL", "C.UTF-8")
        .env_remove("http_proxy")
        .env_remove("HTTP_PROXY")
        .output()
        .unwrap();
    Ran {
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
        code: output.status.code().unwrap(),
        asked: Vec::new(),
    }
}

#[tokio::test]
async fn it_lists_what_it_needs_in_one_namespace() {
    let ran = run(Server::of_the_docs(), &["get"]).await;
    assert_eq!(ran.code, 3, "{}", ran.err);
    assert!(ran.out.starts_with("CLUSTER "), "{}", ran.out);
    assert!(
        ran.out.contains("production   v1.34.9   v1.36.2   v1.35: no image   Waiting   NoImageForHop"),
        "{}",
        ran.out
    );
    let lists: Vec<&String> = ran.asked.iter().filter(|line| line.contains("/namespaces/")).collect();
    assert_eq!(lists.len(), 3, "{:?}", ran.asked);
    assert!(
        lists.iter().all(|line| line.starts_with("GET") && line.contains("/namespaces/fleet/")),
        "{lists:?}"
    );

    let ran = run(Server::of_the_docs(), &["get", "-A"]).await;
    assert!(ran.out.starts_with("NAMESPACE "), "{}", ran.out);
    assert!(!ran.asked.iter().any(|line| line.contains("/namespaces/")), "{:?}", ran.asked);
}

#[tokio::test]
async fn a_long_list_comes_in_pages() {
    let ran = run(Server { page: Some(1), ..Server::of_the_docs() }, &["get", "-o", "json"]).await;
    let read: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(read["clusters"].as_array().unwrap().len(), 2);
    let forgetful = Server { page: Some(1), forgetful: true, ..Server::of_the_docs() };
    let again = run(forgetful, &["get", "-o", "json"]).await;
    assert_eq!(again.out, ran.out, "{}", again.err);
}

#[tokio::test]
async fn what_is_missing_is_said_in_one_sentence() {
    let docs = Server::of_the_docs();
    for (server, arguments, words) in [
        (
            Server { without: vec!["kubernetesupgraded.dimitrikoshkin.com"], ..docs.clone() },
            vec!["get"],
            "kubernetes-upgrader's CRDs are not installed in this cluster: install them with `kubectl apply -k config/default`",
        ),
        (
            Server { without: vec!["cluster.x-k8s.io"], ..docs.clone() },
            vec!["get"],
            "Cluster API is not installed in this cluster: install it with `clusterctl init`",
        ),
        (
            Server { forbidden: vec!["plans"], ..docs.clone() },
            vec!["why", "cluster/production"],
            "you may not list plans.kubernetesupgraded.dimitrikoshkin.com in the namespace fleet: ask for the verb list",
        ),
        (
            Server { forbidden: vec!["clusters"], ..docs.clone() },
            vec!["get", "-A"],
            "you may not list clusters.cluster.x-k8s.io in all namespaces: ask for the verb list",
        ),
        (
            Server { cluster_api: Some("v1alpha4"), ..docs.clone() },
            vec!["get"],
            "the API server has cluster.x-k8s.io in v1alpha4 alone, and this program reads v1beta2 and v1beta1",
        ),
        (
            Server { secretive: true, ..docs.clone() },
            vec!["get"],
            "you may not get /apis/kubernetesupgraded.dimitrikoshkin.com: ask for the verb get on the nonResourceURL",
        ),
        (Server { signed_out: true, ..docs.clone() }, vec!["get"], "does not accept your credentials"),
    ] {
        let ran = run(server, &arguments).await;
        assert_eq!((ran.code, &*ran.out), (1, ""), "{}", ran.err);
        assert!(ran.err.contains(words), "{}", ran.err);
        assert_eq!(ran.err.trim_end().lines().count(), 1, "{}", ran.err);
    }
}

#[test]
fn an_unreachable_server_is_named() {
    let ran = run_at("http://127.0.0.1:1", &["get"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.starts_with("cannot reach the API server at http://127.0.0.1:1: "), "{}", ran.err);
    let ran = run_with(
        "http://127.0.0.1:1",
        "exec: {apiVersion: client.authentication.k8s.io/v1, command: no-such-helper, interactiveMode: Never}",
        &["get"],
    );
    assert!(ran.err.starts_with("cannot sign in: no-such-helper cannot be started"), "{}", ran.err);
    assert_eq!((ran.code, ran.err.trim_end().lines().count()), (1, 1), "{}", ran.err);
    let ran = run_at("http://127.0.0.1:1", &["get", "--context", "other"]);
    assert!(ran.err.contains("it has no context other"), "{}", ran.err);
}

#[tokio::test]
async fn why_goes_as_far_as_it_may() {
    let ran =
        run(Server { forbidden: vec!["pods"], ..Server::of_the_docs() }, &["why", "ccup", "production"])
            .await;
    assert_eq!(ran.code, 3);
    assert!(ran.out.contains("Job/ubuntu-v1.35.6-9kfxm-2dd7s  Failing"), "{}", ran.out);
    assert!(!ran.out.contains("Pod/"), "{}", ran.out);
    assert!(ran.err.contains("you may not list pods in the namespace fleet"), "{}", ran.err);
}

#[tokio::test]
async fn a_simulation_of_a_cluster_only_reads() {
    let arguments =
        ["simulate", "--from-cluster", "--start", "2026-11-21T12:00:00Z", "--until", "1h", "-o", "json"];
    let ran = run(Server::of_the_docs(), &arguments).await;
    let timeline: Value = serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{}{}", ran.out, ran.err));
    assert_eq!(timeline["outcomes"].as_array().unwrap().len(), 2);
    assert_eq!(ran.code, 3);
    assert!(ran.asked.iter().all(|line| line.starts_with("GET")), "{:?}", ran.asked);
}

#[tokio::test]
async fn the_server_is_asked_to_judge_the_very_write() {
    let preflight = ["preflight", "lab", "--to", "v1.36.2"];
    let accepts = Server { patched: Some((200, json!({}))), ..Server::of_the_docs() };
    let ran = run(accepts, &preflight).await;
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("✔   ServerAccepts"), "{}", ran.out);
    let patches: Vec<&String> = ran.asked.iter().filter(|line| !line.starts_with("GET")).collect();
    assert_eq!(patches, ["PATCH /apis/cluster.x-k8s.io/v1beta2/namespaces/fleet/clusters/lab"]);

    let words = "admission webhook \"freeze.example.org\" denied the request: not on a Friday";
    let refuses = Server { patched: Some((403, status(403, "Forbidden", words))), ..Server::of_the_docs() };
    let ran = run(refuses, &preflight).await;
    assert_eq!(ran.code, 3);
    assert!(ran.out.contains("✖   ServerAccepts"), "{}", ran.out);
    assert!(ran.out.contains("not on a Friday"), "{}", ran.out);

    let words =
        "clusters.cluster.x-k8s.io \"lab\" is forbidden: User \"me\" cannot patch resource \"clusters\"";
    let forbids = Server { patched: Some((403, status(403, "Forbidden", words))), ..Server::of_the_docs() };
    let ran = run(forbids, &preflight).await;
    assert!(ran.out.contains("◌   ServerAccepts"), "{}", ran.out);
    assert!(
        ran.out.contains("you may not patch clusters.cluster.x-k8s.io in the namespace fleet"),
        "{}",
        ran.out
    );
}

#[tokio::test]
async fn version_tells_what_is_installed() {
    let mut server = Server { without: vec!["cluster.x-k8s.io"], ..Server::of_the_docs() };
    server.objects.push(json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "m", "namespace": "system"},
        "spec": {"template": {"spec": {"containers": [{"name": "manager", "image": "ghcr.io/dkoshkin/kubernetes-upgrader:v0.7.0"}]}}}}));
    let ran = run(server, &["version"]).await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    for line in [
        "Kubernetes: v1.36.3",
        "CRDs: installed",
        "Cluster API: not installed",
        "Manager: ghcr.io/dkoshkin/kubernetes-upgrader:v0.7.0 (Deployment system/m)",
    ] {
        assert!(ran.out.lines().any(|printed| printed == line), "{}", ran.out);
    }
}
