//! The original's rendered install, in the three ways in which it may have been applied.

use std::collections::BTreeMap;

use controlplane::ControlPlane;
use e2e::repository;
use serde_json::{Value, json};

/// How the original was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// `kubectl apply`: kubectl remembers what it applied.
    Apply,
    /// `kubectl apply --server-side`: the server remembers.
    ServerSide,
    /// `kubectl create`: nobody does.
    Create,
}

impl Way {
    fn words(self) -> &'static [&'static str] {
        match self {
            Self::Apply => &["apply"],
            Self::ServerSide => &["apply", "--server-side"],
            Self::Create => &["create"],
        }
    }

    async fn run(self, plane: &ControlPlane, file: &str) {
        let arguments = [self.words(), &["-f", file]].concat();
        plane.run_kubectl(&arguments).await.unwrap();
    }
}

const CONFIGURATIONS: [&str; 2] = [
    "mutatingwebhookconfigurations/kubernetes-upgrader-mutating-webhook-configuration",
    "validatingwebhookconfigurations/kubernetes-upgrader-validating-webhook-configuration",
];
const SERVICE_OF_WEBHOOKS: &str = "kubernetes-upgrader-webhook-service";
/// The one CRD with a conversion webhook.
pub(crate) const DEFINITION: &str =
    "customresourcedefinitions/machineimages.kubernetesupgraded.dimitrikoshkin.com";

/// The six CRDs, in the shape of v0.6.0.
pub(crate) async fn definitions(plane: &ControlPlane, way: Way) {
    let folder = repository().join("config/crd");
    let ours = ["create", "--dry-run=client", "-o", "json", "-k", folder.to_str().unwrap()];
    let ours = plane.run_kubectl(&ours).await.unwrap();
    let ours = serde_json::Deserializer::from_str(&ours).into_iter::<Value>().map(Result::unwrap);
    let ours = ours.flat_map(|object| match object["items"].as_array() {
        Some(items) => items.clone(),
        None => vec![object],
    });
    let items: Vec<Value> = ours.map(as_original).collect();
    assert_eq!(items.len(), api::upgrader::KINDS.len());
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
    let file = plane.write_file("original-crds.json", &list.to_string()).unwrap();
    way.run(plane, file.to_str().unwrap()).await;
    let wait = ["wait", "--for=condition=Established", "--timeout=60s", "crds", "--all"];
    plane.run_kubectl(&wait).await.unwrap();
}

/// Everything else, the webhooks last, and what cert-manager then does to them.
pub(crate) async fn install(plane: &ControlPlane, way: Way) {
    let folder = repository().join("test/e2e/fixtures/original");
    for file in ["install.yaml", "webhooks.yaml"] {
        way.run(plane, folder.join(file).to_str().unwrap()).await;
    }
    let kubeconfig = plane.kubeconfig();
    let authority =
        kubeconfig.lines().find_map(|line| line.trim().strip_prefix("certificate-authority-data: "));
    let bundle =
        |path: &str| json!({"op": "add", "path": format!("{path}/caBundle"), "value": authority.unwrap()});
    let inject = async |object: &str, patch: Value| {
        let patch = format!("--patch={patch}");
        let words = ["patch", object, "--type=json", "--field-manager=cert-manager-cainjector", &patch];
        plane.run_kubectl(&words).await.unwrap();
    };
    for configuration in CONFIGURATIONS {
        let paths = [0, 1, 2].map(|place| bundle(&format!("/webhooks/{place}/clientConfig")));
        inject(configuration, json!(paths)).await;
    }
    inject(DEFINITION, json!([bundle("/spec/conversion/webhook/clientConfig")])).await;
    assert_eq!(webhooks(plane).await.len(), 6);
}

/// The names of the webhooks in both configurations. A configuration that is gone has none.
pub(crate) async fn webhooks(plane: &ControlPlane) -> Vec<String> {
    let mut names = Vec::new();
    for configuration in CONFIGURATIONS {
        let path = "jsonpath={range .webhooks[*]}{.name}{\"\\n\"}{end}";
        let shown =
            plane.run_kubectl(&["get", configuration, "--ignore-not-found", "-o", path]).await.unwrap();
        names.extend(shown.lines().map(str::to_owned));
    }
    names
}

/// A container of a Deployment's spec.
pub(crate) fn container<'a>(spec: &'a Value, name: &str) -> &'a Value {
    let containers = spec["template"]["spec"]["containers"].as_array().unwrap();
    containers.iter().find(|container| container["name"] == name).unwrap()
}

/// Takes from a CRD of ours what the original's has not: its schema is ours without what we added.
fn as_original(mut definition: Value) -> Value {
    let kind = definition["spec"]["names"]["kind"].as_str().unwrap().to_owned();
    let (columns, added) = original_of(&kind);
    definition["metadata"] = json!({
        "name": definition["metadata"]["name"],
        "annotations": {"controller-gen.kubebuilder.io/version": "v0.12.1"},
    });
    let names = &mut definition["spec"]["names"];
    names.as_object_mut().unwrap().remove("shortNames");
    names["categories"] = json!(["cluster-upgrader"]);
    definition["spec"].as_object_mut().unwrap().remove("conversion");
    if kind == "MachineImage" {
        definition["metadata"]["annotations"]["cert-manager.io/inject-ca-from"] =
            json!("kubernetes-upgrader-system/kubernetes-upgrader-serving-cert");
        let service = json!({"name": SERVICE_OF_WEBHOOKS, "namespace": e2e::NAMESPACE, "path": "/convert"});
        definition["spec"]["conversion"] = json!({
            "strategy": "Webhook",
            "webhook": {"clientConfig": {"service": service}, "conversionReviewVersions": ["v1"]},
        });
    }
    let version = &mut definition["spec"]["versions"][0];
    version["additionalPrinterColumns"] = columns
        .iter()
        .map(|(name, path)| json!({"name": name, "jsonPath": path, "type": "string"}))
        .collect();
    let schema = &mut version["schema"]["openAPIV3Schema"];
    for field in ["/properties/status/properties", "/properties/spec/properties"] {
        if let Some(properties) = schema.pointer_mut(field).and_then(Value::as_object_mut) {
            properties.retain(|name, _| !added.contains(&name.as_str()));
        }
    }
    if kind == "MachineImageSyncer" {
        schema["properties"]["spec"]["properties"]["interval"] =
            json!({"type": "integer", "format": "int64"});
    }
    if kind == "Plan" {
        schema["properties"]["status"]["required"] = json!(["machineImageDetails", "machineImageRef"]);
    }
    loosen(schema);
    definition
}

/// The printer columns of a kind in v0.6.0, and what we have added to its spec and status.
fn original_of(kind: &str) -> (&'static [(&'static str, &'static str)], Vec<&'static str>) {
    let columns: BTreeMap<&str, &[(&str, &str)]> = BTreeMap::from([
        ("MachineImageSyncer", &[("Latest Version", ".status.latestVersion")][..]),
        (
            "MachineImage",
            &[
                ("ID", ".spec.id"),
                ("Version", ".spec.version"),
                ("Ready", ".status.ready"),
                ("Phase", ".status.phase"),
            ][..],
        ),
        (
            "Plan",
            &[
                ("Version Range", ".spec.versionRange"),
                ("Latest Version", ".status.machineImageDetails.version"),
            ][..],
        ),
        (
            "ClusterClassClusterUpgrader",
            &[("Cluster Name", ".spec.clusterName"), ("Latest Set Version", ".status.latestSetVersion")][..],
        ),
    ]);
    let mut added = vec!["conditions", "observedGeneration"];
    if kind == "DebianRepositorySource" {
        added.push("interval");
    }
    (columns.get(kind).copied().unwrap_or_default(), added)
}

/// Takes out every rule that the original's schemas have not.
fn loosen(schema: &mut Value) {
    let Some(fields) = schema.as_object_mut() else { return };
    for rule in ["x-kubernetes-validations", "maxLength", "maxItems", "maxProperties", "pattern", "nullable"]
    {
        fields.remove(rule);
    }
    for (name, part) in fields {
        match (name.as_str(), part) {
            // Names of fields, which may be those of rules.
            ("properties", Value::Object(properties)) => properties.values_mut().for_each(loosen),
            ("items" | "additionalProperties", part) => loosen(part),
            _ => {}
        }
    }
}
