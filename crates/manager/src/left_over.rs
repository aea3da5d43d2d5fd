//! The webhooks that the original leaves behind.
//!
//! They refuse when they cannot be reached, and after an upgrade their Service selects our pods, which serve none: every
//! write of the six kinds then fails. Our own manifests carry both configurations under their names, empty; where they
//! were not applied, this says so at start, with the command that helps.

use std::time::Duration;

use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use kube::{Api, Client};
use runtime::answer::Refusal;
use runtime::clock::Clock;
use runtime::metrics::Metrics;
use runtime::rules::Rule;

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
    let mutating: Option<MutatingWebhookConfiguration> =
        Api::all(client.clone()).get_opt(MUTATING).await.map_err(|error| Refusal::of(&error))?;
    let validating: Option<ValidatingWebhookConfiguration> =
        Api::all(client.clone()).get_opt(VALIDATING).await.map_err(|error| Refusal::of(&error))?;
    let mutating = mutating.and_then(|found| found.webhooks).unwrap_or_default();
    let validating = validating.and_then(|found| found.webhooks).unwrap_or_default();
    let names = mutating.into_iter().map(|webhook| webhook.name);
    Ok(names.chain(validating.into_iter().map(|webhook| webhook.name)).collect())
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
    use http::{Request, Response};
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
