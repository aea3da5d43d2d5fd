//! Cluster API's manifests, changed so that its managers can be processes on this machine.

use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::flags::url;

/// The manifests of one manager, in the two steps in which they can be applied.
#[derive(Debug, Default)]
pub(crate) struct Manifests {
    /// Namespaces and CRDs, without which the manager does not start.
    pub(crate) definitions: Vec<Value>,
    /// Webhook configurations, which refuse everything before the manager has started.
    pub(crate) webhooks: Vec<Value>,
}

impl Manifests {
    /// Sorts the objects, and points every conversion and admission webhook at a port of the loopback address.
    pub(crate) fn localize(objects: Vec<Value>, port: u16, authority: &str) -> Result<Self> {
        let mut manifests = Self::default();
        for mut object in objects {
            let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            match object["kind"].as_str().unwrap_or_default() {
                "CustomResourceDefinition" => {
                    if let Some(config) = object.pointer_mut("/spec/conversion/webhook/clientConfig") {
                        redirect(config, port, authority, &name)?;
                    }
                    manifests.definitions.push(object);
                }
                "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration" => {
                    for webhook in object["webhooks"].as_array_mut().into_iter().flatten() {
                        redirect(&mut webhook["clientConfig"], port, authority, &name)?;
                    }
                    manifests.webhooks.push(object);
                }
                _ => manifests.definitions.push(object),
            }
        }
        Ok(manifests)
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.definitions.extend(other.definitions);
        self.webhooks.extend(other.webhooks);
    }
}

/// A text that kubectl applies as a whole.
pub(crate) fn list(objects: &[Value]) -> String {
    json!({ "apiVersion": "v1", "kind": "List", "items": objects }).to_string()
}

/// Replaces `service` by `url`; the path stays.
fn redirect(config: &mut Value, port: u16, authority: &str, name: &str) -> Result<()> {
    let Some(service) = config.get("service").filter(|service| service.is_object()) else {
        return Err(Error::Manifest {
            manifest: name.to_owned(),
            reason: "a webhook without a Service".to_owned(),
        });
    };
    // An absent path is the root.
    let path = service["path"].as_str().unwrap_or("/");
    *config = json!({ "url": format!("{}{path}", url("https", port)), "caBundle": authority });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(path: &str) -> Value {
        json!({ "service": { "name": "webhook-service", "namespace": "capi-system", "path": path } })
    }

    #[test]
    fn webhooks_go_to_the_local_port() {
        let objects = vec![
            json!({ "kind": "Namespace", "metadata": { "name": "capi-system" } }),
            json!({ "kind": "ValidatingWebhookConfiguration", "metadata": { "name": "v" }, "webhooks": [
                { "name": "a", "clientConfig": service("/validate-a"), "failurePolicy": "Fail" },
                { "name": "b", "clientConfig": service("/validate-b") },
            ]}),
            json!({ "kind": "CustomResourceDefinition", "metadata": { "name": "c" }, "spec": { "conversion": {
                "strategy": "Webhook", "webhook": { "clientConfig": service("/convert"), "conversionReviewVersions": ["v1"] },
            }}}),
            json!({ "kind": "CustomResourceDefinition", "metadata": { "name": "d" }, "spec": {} }),
        ];
        let manifests = Manifests::localize(objects, 1234, "Y2E=").unwrap();
        let names = |objects: &[Value]| {
            objects.iter().map(|o| o["metadata"]["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(&manifests.definitions), ["capi-system", "c", "d"]);
        assert_eq!(names(&manifests.webhooks), ["v"]);
        assert_eq!(
            manifests.webhooks[0]["webhooks"][1]["clientConfig"],
            json!({ "url": "https://127.0.0.1:1234/validate-b", "caBundle": "Y2E=" })
        );
        assert_eq!(manifests.webhooks[0]["webhooks"][0]["failurePolicy"], "Fail");
        let conversion = &manifests.definitions[1]["spec"]["conversion"]["webhook"];
        assert_eq!(conversion["clientConfig"]["url"], "https://127.0.0.1:1234/convert");
        assert_eq!(conversion["conversionReviewVersions"], json!(["v1"]));
        assert!(manifests.definitions[2]["spec"]["conversion"].is_null());
    }

    #[test]
    fn a_webhook_of_another_shape_is_named() {
        let object = json!({ "kind": "MutatingWebhookConfiguration", "metadata": { "name": "m" },
            "webhooks": [{ "clientConfig": { "url": "https://elsewhere" } }] });
        let error = Manifests::localize(vec![object], 1, "").unwrap_err();
        assert_eq!(error.to_string(), "m: a webhook without a Service");
    }
}
