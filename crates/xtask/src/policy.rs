//! `config/components/validating-admission-policy`: what CEL in a CRD cannot see, because it has no namespace there. It is
//! optional: the controllers enforce the same.

use std::path::Path;

use api::upgrader::{GROUP, VERSION, cluster_upgrader, machine_image_syncer};
use domain::object::Kind;
use serde_json::{Value, json};

use crate::{Error, Files, yaml};

const FOLDER: &str = "config/components/validating-admission-policy";

/// The references of a kind that must stay within its namespace.
const REFERENCES: [(Kind, &[&str]); 2] = [
    (machine_image_syncer::KIND, &["sourceRef", "machineImageTemplateRef"]),
    (cluster_upgrader::KIND, &["planRef"]),
];

/// The policies with their bindings, and the component that lists them.
pub fn generate() -> Result<Files, Error> {
    let documents: Vec<Value> = REFERENCES.iter().flat_map(|(kind, fields)| policy(*kind, fields)).collect();
    let component = json!({
        "apiVersion": "kustomize.config.k8s.io/v1alpha1",
        "kind": "Component",
        "resources": ["policy.yaml"],
    });
    let folder = Path::new(FOLDER);
    Ok(Files::from([
        (folder.join("policy.yaml"), yaml::file(&documents)?),
        (folder.join("kustomization.yaml"), yaml::file(&[component])?),
    ]))
}

fn policy(kind: Kind, fields: &[&str]) -> [Value; 2] {
    let name = format!("same-namespace.{}.{GROUP}", kind.plural);
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [{
                "apiGroups": [GROUP],
                "apiVersions": [VERSION],
                "operations": ["CREATE", "UPDATE"],
                "resources": [kind.plural],
            }]},
            "variables": fields.iter().flat_map(|field| variables(field)).collect::<Vec<_>>(),
            "validations": fields.iter().map(|field| validation(field)).collect::<Vec<_>>(),
        },
    });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    });
    [policy, binding]
}

/// Namespaces that a reference names, now and before; empty where none is named.
fn variables(field: &str) -> [Value; 2] {
    let of = |name: &str, object: &str| json!({"name": format!("{name}_{field}"), "expression": format!("{object}.?spec.?{field}.?namespace.orValue('')")});
    [of("new", "object"), of("old", "oldObject")]
}

/// The reference stays within the namespace, or is what it was.
fn validation(field: &str) -> Value {
    let (new, old) = (format!("variables.new_{field}"), format!("variables.old_{field}"));
    json!({
        "expression": format!(
            "{new} == null || {new} in ['', request.namespace] || (request.operation == 'UPDATE' && {old} == {new})"
        ),
        "message": format!("spec.{field}.namespace must be the object's own namespace"),
        "reason": "Invalid",
    })
}
