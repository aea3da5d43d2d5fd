//! The Job and the DaemonSet of the labeler. Both run `manager label-node` as a user without rights, under the ServiceAccount
//! [`labeler::NAME`], which the install brings with its ClusterRole: get and patch of nodes.

use api::kairos::labeler::{
    self, APP_LABEL, ATTEMPT_ANNOTATION, DAEMON_MODE, DAEMON_SET_KIND, HOST_ETC, HOST_ETC_ENV, HOST_SYS,
    HOST_SYS_ENV, JOB_KIND, MODE_LABEL, NODE_LABEL, NODE_NAME_ENV,
};
use api::kairos::{MANAGED_LABEL, TRUE};
use domain::object::Meta;
use serde_json::{Value, json};

use crate::{NODE, names};

/// Longest name of a Job.
const JOB_NAME_LIMIT: usize = 63;
/// Pods of a Job that may fail before it has.
const BACKOFF_LIMIT: u32 = 3;
/// Seconds after which a Job has failed that is not done, so that a node which went down holds no place for ever.
const DEADLINE_SECONDS: u32 = 600;
/// Seconds between two looks of the DaemonSet.
const EVERY: &str = "60";

/// Where the labeler runs, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labeler {
    /// Namespace of Jobs and DaemonSet: the manager's own.
    pub namespace: Box<str>,
    /// An image with the manager in it.
    pub image: Box<str>,
}

/// The name of a node's Job.
pub(super) fn job_name(node: &str) -> String {
    names::truncated(&format!("{}-{node}", labeler::NAME), JOB_NAME_LIMIT)
}

impl Labeler {
    /// The Job of a node, which goes with its Node. `attempt` counts from 1.
    pub(super) fn job(&self, node: &Meta, attempt: u32) -> Value {
        let name = &node.key.name;
        let labels = json!({APP_LABEL: labeler::NAME, NODE_LABEL: names::label_value(name)});
        let mut pod = self.pod(&[]);
        pod["nodeName"] = json!(name);
        pod["restartPolicy"] = json!("Never");
        json!({
            "apiVersion": JOB_KIND.api_version(),
            "kind": JOB_KIND.kind,
            "metadata": {
                "name": job_name(name),
                "namespace": self.namespace,
                "labels": labels,
                "annotations": {ATTEMPT_ANNOTATION: attempt.to_string()},
                "ownerReferences": [{
                    "apiVersion": NODE.api_version(),
                    "kind": NODE.kind,
                    "name": name,
                    "uid": node.uid,
                    "controller": true,
                }],
            },
            "spec": {
                "backoffLimit": BACKOFF_LIMIT,
                "activeDeadlineSeconds": DEADLINE_SECONDS,
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        })
    }

    /// The DaemonSet. Its selector is all that cannot be changed later.
    pub(super) fn daemon_set(&self) -> Value {
        json!({
            "apiVersion": DAEMON_SET_KIND.api_version(),
            "kind": DAEMON_SET_KIND.kind,
            "metadata": {
                "name": labeler::NAME,
                "namespace": self.namespace,
                "labels": {APP_LABEL: labeler::NAME},
            },
            "spec": {
                "selector": {"matchLabels": pod_labels()},
                "template": self.template(),
            },
        })
    }

    /// What the pods of the DaemonSet are made of.
    pub(super) fn template(&self) -> Value {
        let mut pod = self.pod(&["--every", EVERY]);
        pod["nodeSelector"] = json!({MANAGED_LABEL: TRUE});
        json!({"metadata": {"labels": pod_labels()}, "spec": pod})
    }

    fn pod(&self, flags: &[&str]) -> Value {
        let command: Vec<&str> =
            ["/manager", "label-node"].into_iter().chain(flags.iter().copied()).collect();
        json!({
            "serviceAccountName": labeler::NAME,
            "securityContext": {
                "runAsNonRoot": true,
                "runAsUser": 1000,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            // Pinned to its node, or on each: no taint says that a node is not to be labelled.
            "tolerations": [{"operator": "Exists"}],
            "containers": [{
                "name": "node-labeler",
                "image": self.image,
                "imagePullPolicy": "IfNotPresent",
                "command": command,
                "env": [
                    {"name": NODE_NAME_ENV, "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
                    {"name": HOST_ETC_ENV, "value": HOST_ETC},
                    {"name": HOST_SYS_ENV, "value": HOST_SYS},
                ],
                "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
                "securityContext": {
                    "allowPrivilegeEscalation": false,
                    "capabilities": {"drop": ["ALL"]},
                    "readOnlyRootFilesystem": true,
                },
                "volumeMounts": [
                    {"name": "host-etc", "mountPath": HOST_ETC, "readOnly": true},
                    {"name": "host-sys", "mountPath": HOST_SYS, "readOnly": true},
                ],
            }],
            "volumes": [
                {"name": "host-etc", "hostPath": {"path": "/etc"}},
                {"name": "host-sys", "hostPath": {"path": "/sys"}},
            ],
        })
    }
}

fn pod_labels() -> Value {
    json!({APP_LABEL: labeler::NAME, MODE_LABEL: DAEMON_MODE})
}

/// Whether a template is as wanted: what the server has filled in beside may be there, and what others have annotated; but not
/// another container, toleration or node label than is asked for.
pub(super) fn holds(wanted: &Value, present: &Value) -> bool {
    const SELECTOR: &str = "/spec/nodeSelector";
    within(wanted, present) && wanted.pointer(SELECTOR) == present.pointer(SELECTOR)
}

fn within(wanted: &Value, present: &Value) -> bool {
    match (wanted, present) {
        (Value::Object(wanted), Value::Object(present)) => {
            wanted.iter().all(|(name, value)| present.get(name).is_some_and(|present| within(value, present)))
        }
        (Value::Array(wanted), Value::Array(present)) => {
            wanted.len() == present.len()
                && wanted.iter().zip(present).all(|(wanted, present)| within(wanted, present))
        }
        (wanted, present) => wanted == present,
    }
}
