//! The Job that builds an image: its name and its manifest.
//!
//! The `PodSpec` passes through as it was read, whatever fields it has: only `env` of its containers and `restartPolicy`
//! are edited. Nothing else is set, so that `backoffLimit` stays the API's default and no TTL takes a Job away that still
//! has an id to tell.

use api::batch::job::{KIND, MACHINE_IMAGE_NAME_LABEL, OWNED_LABEL};
use api::upgrader::machine_image::{self, KUBERNETES_VERSION_ENV, MachineImageRow};
use domain::name;
use domain::object::Meta;
use serde_json::{Value, json};

/// The name of the next Job of an image, while it has none. The same until that Job was seen: a lost answer creates no
/// second one. A new one afterwards, since the uid of the Job before is part of it: deleting a Job builds again.
pub(super) fn next_name(image: &MachineImageRow) -> Box<str> {
    let previous = image.status.job_ref.as_ref().and_then(|job| job.uid.as_deref()).unwrap_or_default();
    name::unique(&image.meta.key.name, &[&image.meta.uid, previous]).into()
}

/// The value by which the Jobs of an image can be listed: its name, hashed where that is too long for a label.
pub(super) fn image_label(image: &Meta) -> String {
    name::label_value(&image.key.name)
}

/// The Job as it is sent. `pod_spec` is `spec.jobTemplate.spec` of the image.
pub(super) fn manifest(image: &Meta, version: &str, name: &str, pod_spec: &Value) -> Value {
    json!({
        "apiVersion": KIND.api_version(),
        "kind": KIND.kind,
        "metadata": {
            "name": name,
            "namespace": image.key.namespace,
            // Both generations' labels, for whoever selects by either; we know our Jobs by their owner.
            "labels": {MACHINE_IMAGE_NAME_LABEL: image_label(image), OWNED_LABEL: ""},
            "ownerReferences": [{
                "apiVersion": machine_image::KIND.api_version(),
                "kind": machine_image::KIND.kind,
                "name": image.key.name,
                "uid": image.uid,
                "controller": true,
                "blockOwnerDeletion": true,
            }],
        },
        "spec": {"template": {"spec": prepared(pod_spec, version)}},
    })
}

/// A `PodSpec` with the version in every container and init container, and a restart policy that a Job can have.
pub(super) fn prepared(pod_spec: &Value, version: &str) -> Value {
    let mut pod_spec = pod_spec.clone();
    let Value::Object(fields) = &mut pod_spec else { return pod_spec };
    for list in ["initContainers", "containers"] {
        let containers = fields.get_mut(list).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            set_version(container, version);
        }
    }
    let policy = fields.entry("restartPolicy").or_insert(Value::Null);
    if policy.is_null() || *policy == "" {
        // The default of a pod is Always, which no Job can have.
        *policy = json!("Never");
    }
    pod_spec
}

/// Puts the variable in once, first, and takes out every other of its name: the original appended one at each update,
/// and left them in the template. First, so that the values after it can say `$(KUBERNETES_VERSION)`.
fn set_version(container: &mut Value, version: &str) {
    let Value::Object(fields) = container else { return };
    let env = fields.entry("env").or_insert(Value::Null);
    if env.is_null() {
        *env = json!([]);
    }
    // Anything else is no list of variables, and the API server's to refuse.
    let Value::Array(variables) = env else { return };
    variables.retain(|variable| variable.get("name").is_none_or(|name| name != KUBERNETES_VERSION_ENV));
    variables.insert(0, json!({"name": KUBERNETES_VERSION_ENV, "value": version}));
}
