//! What labels the nodes that run Kairos: a Job for each node, which finds out whether it does, and a DaemonSet on those that
//! do, which keeps their labels true. Names and labels are the original's.

use domain::object::{Kind, Meta, Row, WireMeta, null_is_default};
use serde::Deserialize;
use serde_json::Value;

use super::node_job::Progress;
use crate::batch::job::StatusWire;
use crate::selector::Labels;

pub use crate::batch::job::KIND as JOB_KIND;

/// The kind of the DaemonSet.
pub const DAEMON_SET_KIND: Kind =
    Kind { group: "apps", versions: &["v1"], kind: "DaemonSet", plural: "daemonsets" };

/// Name of the DaemonSet, its ServiceAccount, ClusterRole and ClusterRoleBinding; what the names of the Jobs begin with.
pub const NAME: &str = "kairos-node-labeler";
/// Label on Jobs, the DaemonSet and the pods of both, with the value [`NAME`].
pub const APP_LABEL: &str = "app";
/// The label selector of Jobs and DaemonSet.
pub const SELECTOR: &str = "app=kairos-node-labeler";
/// Label on a Job: name of its node.
pub const NODE_LABEL: &str = "node";
/// Label on the pods of the DaemonSet, with the value [`DAEMON_MODE`].
pub const MODE_LABEL: &str = "mode";
/// Value of [`MODE_LABEL`].
pub const DAEMON_MODE: &str = "daemon";
/// Annotation on a Job: the how manyth it is of its node, from 1.
pub const ATTEMPT_ANNOTATION: &str = "operator.kairos.io/labeler-attempt";

/// Environment variable of the labeler: the node that it labels.
pub const NODE_NAME_ENV: &str = "NODE_NAME";
/// Environment variable of the labeler: where the node's /etc is mounted.
pub const HOST_ETC_ENV: &str = "HOST_ETC_PATH";
/// Value of [`HOST_ETC_ENV`] in its pods.
pub const HOST_ETC: &str = "/host/etc";
/// Environment variable of the labeler: where the node's /sys is mounted, for the variables of EFI. The original has none.
pub const HOST_SYS_ENV: &str = "HOST_SYS_PATH";
/// Value of [`HOST_SYS_ENV`] in its pods.
pub const HOST_SYS: &str = "/host/sys";

/// The Job of a node as read.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct JobWire {
    #[serde(deserialize_with = "null_is_default")]
    status: StatusWire,
}

/// What is kept of the Job of a node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LabelerJobRow {
    /// Identity.
    pub meta: Meta,
    /// Why the Job could not be read.
    pub malformed: Option<Box<str>>,
    /// Uid of the Node that owns it; the Jobs of the original are of nobody.
    pub node_uid: Option<Box<str>>,
    /// The label [`NODE_LABEL`], as it stands: a name that no label can be is not in it as it is.
    pub node_label: Option<Box<str>>,
    /// The annotation [`ATTEMPT_ANNOTATION`]; 1 where it is absent or no number from 1 on.
    pub attempt: u32,
    /// How far it is.
    pub progress: Progress,
}

impl LabelerJobRow {
    fn of_meta(meta: &WireMeta) -> Self {
        let attempt = meta.annotation(ATTEMPT_ANNOTATION).and_then(|text| text.parse().ok());
        Self {
            meta: meta.meta(),
            node_uid: meta.controller().map(|owner| owner.uid.clone()),
            node_label: meta.label(NODE_LABEL).map(Box::from),
            attempt: attempt.filter(|attempt| *attempt > 0).unwrap_or(1),
            ..Self::default()
        }
    }
}

impl Row for LabelerJobRow {
    type Wire = JobWire;

    fn from_wire(meta: &WireMeta, wire: JobWire) -> Self {
        Self { progress: Progress::of(&wire.status), ..Self::of_meta(meta) }
    }

    fn malformed(meta: &WireMeta, error: &str) -> Self {
        Self { malformed: Some(error.into()), ..Self::of_meta(meta) }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }
}

/// The DaemonSet as read.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct DaemonSetWire {
    #[serde(deserialize_with = "null_is_default")]
    spec: DaemonSetSpecWire,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct DaemonSetSpecWire {
    template: Value,
}

/// What is kept of a DaemonSet of the labeler.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LabelerDaemonSetRow {
    /// Identity.
    pub meta: Meta,
    /// Why it could not be read.
    pub malformed: Option<Box<str>>,
    /// Its labels.
    pub labels: Labels,
    /// `spec.template` as it is, for a comparison with what it should be.
    pub template: Value,
}

impl Row for LabelerDaemonSetRow {
    type Wire = DaemonSetWire;

    fn from_wire(meta: &WireMeta, wire: DaemonSetWire) -> Self {
        Self { meta: meta.meta(), malformed: None, labels: meta.labels.clone(), template: wire.spec.template }
    }

    fn malformed(meta: &WireMeta, error: &str) -> Self {
        Self {
            meta: meta.meta(),
            malformed: Some(error.into()),
            labels: meta.labels.clone(),
            template: Value::Null,
        }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::row;

    #[test]
    fn a_job_of_the_original_is_the_first_of_nobody() {
        let job: LabelerJobRow = row(
            "metadata: {name: kairos-node-labeler-n, labels: {app: kairos-node-labeler, node: n0}}\nstatus: {conditions: [{type: Complete, status: 'True'}]}",
        );
        assert_eq!((job.node_uid, job.node_label.as_deref(), job.attempt), (None, Some("n0"), 1));
        assert!(matches!(job.progress, Progress::Succeeded(_)));
    }

    #[test]
    fn a_job_of_ours_tells_its_node_and_its_number() {
        let job: LabelerJobRow = row("
metadata:
  name: j
  annotations: {operator.kairos.io/labeler-attempt: '3'}
  ownerReferences: [{apiVersion: v1, kind: Node, name: n0, uid: uid-n, controller: true}]
status: {conditions: [{type: Failed, status: 'True', reason: DeadlineExceeded}]}");
        assert_eq!((job.node_uid.as_deref(), job.attempt), (Some("uid-n"), 3));
        let Progress::Failed(ended) = job.progress else { panic!("{:?}", job.progress) };
        assert_eq!(&*ended.reason, "DeadlineExceeded");
        for odd in ["0", "-1", "many", ""] {
            let job: LabelerJobRow = row(&format!(
                "metadata: {{name: j, annotations: {{operator.kairos.io/labeler-attempt: '{odd}'}}}}\nstatus: null"
            ));
            assert_eq!((job.attempt, job.progress), (1, Progress::Running), "{odd}");
        }
        let torn: LabelerJobRow = row("metadata: {name: j, labels: {node: n0}}\nstatus: 7");
        assert!(torn.malformed.is_some() && torn.node_label.as_deref() == Some("n0"));
    }

    #[test]
    fn of_a_daemon_set_the_template_is_kept_as_it_is() {
        let set: LabelerDaemonSetRow = row(
            "metadata: {name: d, labels: {a: b}}\nspec: {selector: {}, template: {spec: {new: 1}}}\nstatus: {numberReady: 3}",
        );
        assert_eq!((set.template["spec"]["new"].as_i64(), set.labels.len()), (Some(1), 1));
        let torn: LabelerDaemonSetRow = row("metadata: {name: d}\nspec: 7");
        assert!(torn.malformed.is_some() && torn.template.is_null());
    }
}
