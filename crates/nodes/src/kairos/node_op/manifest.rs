//! The objects that a NodeOp makes: Jobs, preflight pods and reboot pods of nodes, and what gives reboot pods their rights.
//!
//! Shapes, names and labels are the original's where users see them: kairos-operator's contract, §1.5, §2.4, §2.8 and §2.9.

use api::kairos::node_op::NodeOpRow;
use api::kairos::{
    BOOT_ID_CONTAINER, HOST_DIR_ENV, NODE_LABEL, NODE_OP_LABEL, OPERATION_CONTAINER, ORDERLY_REBOOT_ENV,
    PREFLIGHT_CONTAINER, PREFLIGHT_LABEL, REBOOT_CONTAINER, REBOOT_LABEL, SERVICE_ACCOUNT_SUFFIX, TRUE,
};
use api::kairos::{GROUP, VERSION, node_op};
use domain::object::Meta;
use serde_json::{Value, json};

use crate::kairos::Settings;
use crate::names;

/// Longest name of what a node gets, before the five letters at its end.
const LIMIT: usize = 57;
/// Longest name of an object.
const LONGEST_NAME: usize = 253;
/// Where the node's `/` is, as a volume.
const HOST_VOLUME: &str = "host-root";
/// The program in the manager's image.
const PROGRAM: &str = "/manager";
/// What the pods of ours ask for that do next to nothing.
const LITTLE: (&str, &str) = ("10m", "32Mi");
/// How many objects give reboot pods their rights.
pub(super) const GRANTS: usize = 3;

/// What is made for a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// The command's Job.
    Job,
    /// The preflight pod.
    Preflight,
    /// The pod that reboots the node.
    Reboot,
}

/// Name and manifest of what is made for a node.
pub(super) fn of(made: Made, op: &NodeOpRow, node: &Meta, settings: &Settings) -> (Box<str>, Value) {
    match made {
        Made::Job => job(op, node, settings),
        Made::Preflight => preflight(op, node, settings),
        Made::Reboot => reboot(op, node, settings),
    }
}

/// The Job that runs the command. With a reboot to come the command is an init container, and the container after it tells
/// the bootID under which it has ended.
fn job(op: &NodeOpRow, node: &Meta, settings: &Settings) -> (Box<str>, Value) {
    let base = format!("{}-{}", op.meta.key.name, node.key.name);
    let name = names::child(&base, LIMIT, &[&op.meta.uid, &node.key.name, &node.uid]);
    let body = job_named(&name, op, node, settings);
    (name.into(), body)
}

fn job_named(name: &str, op: &NodeOpRow, node: &Meta, settings: &Settings) -> Value {
    json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": metadata(name, op, node, &[]),
        "spec": {
            "backoffLimit": op.backoff_limit,
            "template": {
                "metadata": {"labels": labels(op, node, &[])},
                "spec": command_pod(op, node, settings),
            },
        },
    })
}

fn command_pod(op: &NodeOpRow, node: &Meta, settings: &Settings) -> Value {
    let path = &*op.host_mount_path;
    let mut command = json!({
        "name": OPERATION_CONTAINER,
        "image": image(op, settings),
        "command": op.command,
        "env": [{"name": HOST_DIR_ENV, "value": path}],
        "securityContext": {"privileged": true},
        "volumeMounts": [{"name": HOST_VOLUME, "mountPath": path}],
    });
    if let Some(resources) = &op.resources {
        command["resources"] = resources.0.clone();
    }
    let mut spec = pod(op, node);
    spec["restartPolicy"] = json!("Never");
    spec["volumes"] = json!([host_root()]);
    if op.reboot_on_success {
        spec["initContainers"] = json!([command]);
        spec["containers"] = json!([{
            "name": BOOT_ID_CONTAINER,
            "image": settings.operator_image,
            "command": [PROGRAM, "boot-id"],
            "env": [{"name": HOST_DIR_ENV, "value": path}],
            "resources": reboot_resources(op),
            "volumeMounts": [{"name": HOST_VOLUME, "mountPath": path, "readOnly": true}],
        }]);
    } else {
        spec["containers"] = json!([command]);
    }
    spec
}

/// The pod that says whether there is anything to do. Unprivileged, with the node's `/` to read.
fn preflight(op: &NodeOpRow, node: &Meta, settings: &Settings) -> (Box<str>, Value) {
    let name = child(op, node, "preflight");
    let path = &*op.host_mount_path;
    let mut spec = pod(op, node);
    if let Some(preflight) = &op.preflight {
        let resources = op.preflight_resources.as_ref().map_or_else(little, |resources| resources.0.clone());
        spec["restartPolicy"] = json!("OnFailure");
        spec["activeDeadlineSeconds"] = json!(preflight.active_deadline_seconds);
        spec["volumes"] = json!([host_root()]);
        spec["containers"] = json!([{
            "name": PREFLIGHT_CONTAINER,
            "image": preflight.image.as_deref().unwrap_or(image(op, settings)),
            "command": preflight.command,
            "env": [{"name": HOST_DIR_ENV, "value": path}],
            "terminationMessagePolicy": "File",
            "resources": resources,
            "volumeMounts": [{"name": HOST_VOLUME, "mountPath": path, "readOnly": true}],
        }]);
    }
    let body = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": metadata(&name, op, node, &[PREFLIGHT_LABEL]),
        "spec": spec,
    });
    (name.into(), body)
}

/// The pod that reboots the node when it is told to, see `manager reboot`.
fn reboot(op: &NodeOpRow, node: &Meta, settings: &Settings) -> (Box<str>, Value) {
    let name = child(op, node, "reboot");
    let field =
        |name: &str, path: &str| json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}});
    let orderly = settings.orderly_reboot_timeout.as_secs().max(1).to_string();
    let mut spec = pod(op, node);
    spec["restartPolicy"] = json!("OnFailure");
    spec["hostPID"] = json!(true);
    spec["serviceAccountName"] = json!(account(op));
    spec["automountServiceAccountToken"] = json!(true);
    spec["containers"] = json!([{
        "name": REBOOT_CONTAINER,
        "image": settings.operator_image,
        "command": [PROGRAM, "reboot"],
        "env": [
            field("POD_NAME", "metadata.name"), field("POD_NAMESPACE", "metadata.namespace"),
            {"name": ORDERLY_REBOOT_ENV, "value": orderly},
        ],
        "securityContext": {"privileged": true, "runAsUser": 0, "runAsNonRoot": false},
        "resources": reboot_resources(op),
    }]);
    let body = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": metadata(&name, op, node, &[REBOOT_LABEL]),
        "spec": spec,
    });
    (name.into(), body)
}

/// Whether the API server admits what the NodeOp makes: the pod of its Job, and the Job, which others may refuse. To whoever
/// admits pods the reboot pod is one of that kind, and it is made before a node is disturbed.
pub(super) fn trial(op: &NodeOpRow, node: &Meta, settings: &Settings) -> (Value, Value) {
    let name = child(op, node, "trial");
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": metadata(&name, op, node, &[]),
        "spec": command_pod(op, node, settings),
    });
    (pod, job_named(&name, op, node, settings))
}

/// Kind and manifest of the objects that give reboot pods their rights, in the order in which they are made: they read pods
/// of their namespace, and write nothing.
pub(super) fn grant(op: &NodeOpRow, nth: usize) -> (&'static str, Value) {
    let name = account(op);
    let mut meta = json!({"name": name, "namespace": op.meta.key.namespace, "ownerReferences": [owner(op)]});
    meta["labels"] = json!({NODE_OP_LABEL: names::label_value(&op.meta.key.name)});
    let rbac = "rbac.authorization.k8s.io";
    match nth {
        0 => ("ServiceAccount", json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta})),
        1 => (
            "Role",
            json!({
                "apiVersion": format!("{rbac}/v1"), "kind": "Role", "metadata": meta,
                "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}],
            }),
        ),
        _ => (
            "RoleBinding",
            json!({
                "apiVersion": format!("{rbac}/v1"), "kind": "RoleBinding", "metadata": meta,
                "roleRef": {"apiGroup": rbac, "kind": "Role", "name": name},
                "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": op.meta.key.namespace}],
            }),
        ),
    }
}

/// Name of the ServiceAccount of reboot pods.
pub(super) fn account(op: &NodeOpRow) -> String {
    let name = format!("{}{SERVICE_ACCOUNT_SUFFIX}", op.meta.key.name);
    if name.len() > LONGEST_NAME { names::truncated(&name, LONGEST_NAME) } else { name }
}

fn child(op: &NodeOpRow, node: &Meta, what: &str) -> String {
    let base = format!("{}-{what}", op.meta.key.name);
    names::child(&base, LIMIT, &[&op.meta.uid, &node.key.name, &node.uid, what])
}

/// What all pods have. They are pinned to their node, also while it is not ready or under any taint: what was begun there
/// must come to its end.
fn pod(op: &NodeOpRow, node: &Meta) -> Value {
    let mut spec = json!({
        "nodeName": node.key.name,
        "tolerations": [{"operator": "Exists"}],
        "automountServiceAccountToken": false,
    });
    if !op.image_pull_secrets.is_empty() {
        spec["imagePullSecrets"] = json!(op.image_pull_secrets);
    }
    spec
}

fn host_root() -> Value {
    json!({"name": HOST_VOLUME, "hostPath": {"path": "/", "type": "Directory"}})
}

/// Of what is ours in an operation with a reboot.
fn reboot_resources(op: &NodeOpRow) -> Value {
    op.reboot_resources.as_ref().map_or_else(little, |resources| resources.0.clone())
}

fn little() -> Value {
    json!({"requests": {"cpu": LITTLE.0, "memory": LITTLE.1}})
}

fn image<'a>(op: &'a NodeOpRow, settings: &'a Settings) -> &'a str {
    op.image.as_deref().unwrap_or(&settings.default_image)
}

fn labels(op: &NodeOpRow, node: &Meta, switches: &[&str]) -> Value {
    let mut labels = json!({
        NODE_OP_LABEL: names::label_value(&op.meta.key.name),
        NODE_LABEL: names::label_value(&node.key.name),
    });
    for switch in switches {
        labels[*switch] = json!(TRUE);
    }
    labels
}

fn metadata(name: &str, op: &NodeOpRow, node: &Meta, switches: &[&str]) -> Value {
    json!({
        "name": name, "namespace": op.meta.key.namespace,
        "labels": labels(op, node, switches), "ownerReferences": [owner(op)],
    })
}

fn owner(op: &NodeOpRow) -> Value {
    json!({
        "apiVersion": format!("{GROUP}/{VERSION}"), "kind": node_op::KIND.kind, "name": op.meta.key.name,
        "uid": op.meta.uid, "controller": true, "blockOwnerDeletion": true,
    })
}
