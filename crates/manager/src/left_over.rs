//! The webhooks that the original leaves behind.
//!
//! They refuse when they cannot be reached, and after an upgrade their Service selects our pods, which serve none: every
//! write of the six kinds then fails. Our own manifests carry both configurations under their names, empty; where they
//! were not applied, this says so at start, with the command that helps. So it does of a Deployment under the original's
//! name that takes no lease: nothing keeps that one from acting.

use std::time::Duration;

use http::Request;
use kube::Client;
use runtime::answer::Refusal;
use runtime::clock::Clock;
use runtime::metrics::Metrics;
use runtime::rules::Rule;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::family::Family;

/// The original's mutating configuration.
pub const MUTATING: &str = "kubernetes-upgrader-mutating-webhook-configuration";
/// The original's validating configuration.
pub const VALIDATING: &str = "kubernetes-upgrader-validating-webhook-configuration";

/// What removes them.
pub const REMEDY: &str = "kubectl delete \
    mutatingwebhookconfiguration/kubernetes-upgrader-mutating-webhook-configuration \
    validatingwebhookconfiguration/kubernetes-upgrader-validating-webhook-configuration";

const GROUP: &str = "admissionregistration.k8s.io";

/// The requests of this module: these two objects, and no other.
pub const RULES: &[Rule] = &[
    Rule { names: &[MUTATING], ..Rule::new(GROUP, "mutatingwebhookconfigurations", &["get"]) },
    Rule { names: &[VALIDATING], ..Rule::new(GROUP, "validatingwebhookconfigurations", &["get"]) },
];

/// How often an API server that does not answer is asked again.
const ATTEMPTS: u32 = 5;
/// Time between two attempts.
const PAUSE: Duration = Duration::from_secs(30);

/// What is read of a Deployment. The whole of one would make the program larger by everything that a pod can be.
#[derive(Deserialize)]
struct Deployment {
    spec: Option<DeploymentSpec>,
}

#[derive(Deserialize)]
struct DeploymentSpec {
    replicas: Option<i32>,
    template: Template,
}

#[derive(Deserialize)]
struct Template {
    spec: Option<PodSpec>,
}

#[derive(Deserialize)]
struct PodSpec {
    containers: Vec<Container>,
}

#[derive(Deserialize)]
struct Container {
    name: String,
    args: Option<Vec<String>>,
}

/// What is read of either configuration.
#[derive(Deserialize)]
struct Webhooks {
    webhooks: Option<Vec<Webhook>>,
}

#[derive(Deserialize)]
struct Webhook {
    name: String,
}

/// An object; none where it is not there.
async fn get<T: DeserializeOwned>(client: &Client, path: &str) -> Result<Option<T>, Refusal> {
    let request = Request::get(path).body(Vec::new());
    let request = request.map_err(|error| Refusal::Other(format!("cannot build the request: {error}")))?;
    match client.request(request).await.map_err(|error| Refusal::of(&error)) {
        Ok(found) => Ok(Some(found)),
        Err(Refusal::NotFound) => Ok(None),
        Err(refusal) => Err(refusal),
    }
}

/// Looks once, and warns of a Deployment whose manager acts without the lease.
pub async fn report_deployment(client: Client, family: Family, namespace: String) {
    let name = family.deployment();
    let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments/{name}");
    if let Ok(Some(deployment)) = get::<Deployment>(&client, &path).await
        && acts_without_lease(&deployment)
    {
        tracing::warn!(
            deployment = name,
            namespace,
            "A Deployment runs a manager without --leader-elect: it takes no lease, and acts beside whoever holds it; scale it to 0"
        );
    }
}

fn acts_without_lease(deployment: &Deployment) -> bool {
    let Some(spec) = &deployment.spec else { return false };
    let containers = spec.template.spec.as_ref().map(|pod| pod.containers.as_slice()).unwrap_or_default();
    let elects = |arguments: &[String]| {
        arguments.iter().any(|argument| {
            let flag = argument.trim_start_matches('-');
            flag == "leader-elect" || flag == "leader-elect=true"
        })
    };
    let dry =
        |arguments: &[String]| arguments.iter().any(|argument| argument.trim_start_matches('-') == "dry-run");
    let manager = containers.iter().find(|container| container.name == "manager");
    let arguments = manager.and_then(|manager| manager.args.as_deref()).unwrap_or_default();
    spec.replicas != Some(0) && manager.is_some() && !elects(arguments) && !dry(arguments)
}

/// Looks once, and warns where one of the configurations still holds webhooks.
pub async fn report(client: Client, clock: Clock, metrics: Metrics) {
    for _ in 0..ATTEMPTS {
        match look(&client).await {
            Ok(names) => return tell(&names, &metrics),
            Err(Refusal::Forbidden(message)) => {
                tracing::warn!(message, "Cannot look for left-over webhooks of the original");
                return;
            }
            Err(refusal) => {
                tracing::debug!(%refusal, "Cannot look for left-over webhooks of the original yet");
                clock.sleep(PAUSE).await;
            }
        }
    }
}

/// The names of the webhooks in both configurations.
async fn look(client: &Client) -> Result<Vec<String>, Refusal> {
    let mut names = Vec::new();
    for (plural, name) in
        [("mutatingwebhookconfigurations", MUTATING), ("validatingwebhookconfigurations", VALIDATING)]
    {
        let found: Option<Webhooks> = get(client, &format!("/apis/{GROUP}/v1/{plural}/{name}")).await?;
        let webhooks = found.and_then(|found| found.webhooks).unwrap_or_default();
        names.extend(webhooks.into_iter().map(|webhook| webhook.name));
    }
    Ok(names)
}

fn tell(names: &[String], metrics: &Metrics) {
    metrics.foreign_webhooks(names.len());
    if names.is_empty() {
        tracing::debug!("No left-over webhooks of the original");
    } else {
        tracing::warn!(
            webhooks = names.join(","),
            "Webhooks of the original are left over and refuse every write of its kinds; remove them with: {REMEDY}"
        );
    }
}

#[cfg(test)]
mod tests {
    fn deployment(replicas: i32, arguments: &[&str]) -> Deployment {
        serde_json::from_value(json!({"spec": {
            "replicas": replicas, "selector": {},
            "template": {"spec": {"containers": [{"name": "kube-rbac-proxy"}, {"name": "manager", "args": arguments}]}},
        }}))
        .unwrap()
    }

    #[test]
    fn a_deployment_without_the_lease_is_told_from_one_with_it() {
        assert!(acts_without_lease(&deployment(1, &["--zap-devel"])));
        assert!(acts_without_lease(&deployment(1, &["--leader-elect=false"])));
        assert!(!acts_without_lease(&deployment(1, &["--leader-elect"])));
        assert!(!acts_without_lease(&deployment(1, &["-leader-elect=true"])));
        assert!(!acts_without_lease(&deployment(1, &["nodes", "--leader-elect"])));
        assert!(acts_without_lease(&deployment(1, &["nodes"])));
        assert!(!acts_without_lease(&deployment(0, &[])));
        assert!(!acts_without_lease(&deployment(1, &["--dry-run"])));
    }

    use http::Response;
    use kube::client::Body;
    use serde_json::json;

    use super::*;

    /// A server with these webhooks in the mutating configuration, and no validating one.
    fn client(webhooks: &'static [&'static str]) -> Client {
        Client::new(
            tower::service_fn(move |request: Request<Body>| async move {
                let path = request.uri().path();
                let (status, body) = if path.ends_with(&format!("/mutatingwebhookconfigurations/{MUTATING}"))
                {
                    let client_config =
                        json!({"service": {"namespace": "s", "name": "kubernetes-upgrader-webhook-service"}});
                    let webhooks: Vec<_> = webhooks
                        .iter()
                        .map(|name| {
                            json!({
                                "name": name, "clientConfig": client_config, "sideEffects": "None",
                                "admissionReviewVersions": ["v1"],
                            })
                        })
                        .collect();
                    (200, json!({"metadata": {"name": MUTATING}, "webhooks": webhooks}))
                } else {
                    (
                        404,
                        json!({"kind": "Status", "code": 404, "reason": "NotFound", "message": "not found"}),
                    )
                };
                let body = Body::from(body.to_string().into_bytes());
                Ok::<_, std::io::Error>(Response::builder().status(status).body(body).unwrap())
            }),
            "default",
        )
    }

    async fn counted(webhooks: &'static [&'static str]) -> String {
        let metrics = Metrics::new("test");
        report(client(webhooks), Clock::system(1), metrics.clone()).await;
        let page = metrics.render().unwrap();
        page.lines()
            .find(|line| line.starts_with("kubernetes_upgrader_foreign_webhooks "))
            .unwrap()
            .to_owned()
    }

    #[tokio::test]
    async fn left_over_webhooks_are_counted_and_emptied_ones_are_not() {
        assert!(counted(&["mmachineimage.kb.io", "mplan.kb.io"]).await.ends_with(" 2"));
        assert!(counted(&[]).await.ends_with(" 0"));
    }

    #[test]
    fn the_remedy_names_both() {
        assert!(REMEDY.contains(MUTATING) && REMEDY.contains(VALIDATING));
    }
}
