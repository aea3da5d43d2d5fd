//! The Job that builds an image: its name and its manifest.
//!
//! The `PodSpec` passes through as it was read, whatever fields it has: only `env` of its containers and `restartPolicy`
//! are edited. Beside it, only a deadline is set where one is asked for, so that `backoffLimit` stays the API's default and
//! no TTL takes a Job away that still has an id to tell.

use std::collections::BTreeMap;

use api::batch::job::{KIND, MACHINE_IMAGE_NAME_LABEL, OWNED_LABEL};
use api::upgrader::machine_image::{
    self, ATTEMPT_ANNOTATION, KUBERNETES_VERSION_ENV, MachineImageRow, PACKAGE_ANNOTATION,
    REPOSITORY_ANNOTATION, SOURCE_ANNOTATION,
};
use domain::name;
use domain::object::{Meta, WireMeta};
use serde_json::{Value, json};

use super::memory::TemplateRead;

/// What is asked of a Job.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Order<'a> {
    /// The image.
    pub image: &'a MachineImageRow,
    /// The Job's name.
    pub name: &'a str,
    /// The how manyth build it is, from 1.
    pub attempt: u32,
}

/// The name of the Job that follows the one with the uid `previous`, which is empty for the first. The same until that Job
/// was seen: a lost answer creates no second one. Another afterwards: deleting a Job builds again.
pub(super) fn next_name(image: &MachineImageRow, previous: &str) -> Box<str> {
    name::unique(&image.meta.key.name, &[&image.meta.uid, previous]).into()
}

/// The value by which the Jobs of an image can be listed: its name, hashed where that is too long for a label.
pub(super) fn image_label(image: &Meta) -> String {
    name::label_value(&image.key.name)
}

/// The annotations of an image that say where its version is from.
pub(super) fn lineage(image: &WireMeta) -> BTreeMap<Box<str>, Box<str>> {
    let told = [SOURCE_ANNOTATION, PACKAGE_ANNOTATION, REPOSITORY_ANNOTATION].into_iter();
    told.filter_map(|key| Some((key.into(), image.annotation(key)?.into()))).collect()
}

/// The Job as it is sent.
pub(super) fn manifest(order: Order<'_>, template: &TemplateRead) -> Value {
    let Order { image: MachineImageRow { meta: image, version, build, .. }, name, attempt } = order;
    let mut annotations = template.lineage.clone();
    annotations.insert(ATTEMPT_ANNOTATION.into(), attempt.to_string().into());
    let mut job = json!({
        "apiVersion": KIND.api_version(),
        "kind": KIND.kind,
        "metadata": {
            "name": name,
            "namespace": image.key.namespace,
            "annotations": annotations,
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
        "spec": {"template": {"spec": prepared(&template.spec, version)}},
    });
    if let Some(seconds) = build.deadline_seconds {
        job["spec"]["activeDeadlineSeconds"] = json!(seconds);
    }
    job
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
