//! The Job of a node, of a NodeOp: ours, or as the original made it.

use domain::object::{Meta, Row, WireMeta, null_is_default};
use serde::Deserialize;

use super::{NODE_LABEL, NODE_OP_LABEL, SENTINEL_CONTAINER};
use crate::batch::job::{Ended, StatusWire};

pub use crate::batch::job::KIND;

/// Index: uid of the NodeOp that owns the Job.
pub const OWNER_INDEX: &str = "owner";

/// A Job as read.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wire {
    #[serde(deserialize_with = "null_is_default")]
    spec: SpecWire,
    #[serde(deserialize_with = "null_is_default")]
    status: StatusWire,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct SpecWire {
    #[serde(deserialize_with = "null_is_default")]
    template: TemplateWire,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct TemplateWire {
    #[serde(deserialize_with = "null_is_default")]
    spec: PodWire,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PodWire {
    node_name: Option<Box<str>>,
    #[serde(deserialize_with = "null_is_default")]
    containers: Vec<ContainerWire>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct ContainerWire {
    name: Box<str>,
}

/// How far a Job is. One that has both failed and succeeded has failed, as for the original.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Progress {
    /// Neither.
    #[default]
    Running,
    /// Its condition Complete is true, or SuccessCriteriaMet, which comes before.
    Succeeded(Ended),
    /// Its condition Failed is true, or FailureTarget, which comes before.
    Failed(Ended),
}

impl Progress {
    pub(super) fn of(status: &StatusWire) -> Self {
        let ended = |types: [&str; 2]| types.into_iter().find_map(|type_| status.ended(type_));
        let failed = ended(["Failed", "FailureTarget"]).map(Self::Failed);
        let succeeded = || ended(["Complete", "SuccessCriteriaMet"]).map(Self::Succeeded);
        failed.or_else(succeeded).unwrap_or_default()
    }
}

/// What is kept of the Job of a node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeJobRow {
    /// Identity.
    pub meta: Meta,
    /// Why the Job could not be read; of the fields below, those that are not metadata are then empty.
    pub malformed: Option<Box<str>>,
    /// Uid of the owner that manages it.
    pub owner_uid: Option<Box<str>>,
    /// The label [`NODE_OP_LABEL`], as it stands: a name that no label can be is not in it as it is.
    pub node_op_label: Option<Box<str>>,
    /// The label [`NODE_LABEL`], in the same way.
    pub node_label: Option<Box<str>>,
    /// The node that its pods are pinned to.
    pub node_name: Option<Box<str>>,
    /// How far it is.
    pub progress: Progress,
    /// Pods that run or wait to.
    pub active: u32,
    /// Pods that have failed.
    pub failed_pods: u32,
    /// It leaves the file that a reboot pod of the original waits for.
    pub leaves_sentinel: bool,
}

impl NodeJobRow {
    /// The node: the one that its pods are pinned to, else the one of its label.
    pub fn node(&self) -> Option<&str> {
        self.node_name.as_deref().or(self.node_label.as_deref())
    }

    fn of_meta(meta: &WireMeta) -> Self {
        Self {
            meta: meta.meta(),
            owner_uid: meta.controller().map(|owner| owner.uid.clone()),
            node_op_label: meta.label(NODE_OP_LABEL).map(Box::from),
            node_label: meta.label(NODE_LABEL).map(Box::from),
            ..Self::default()
        }
    }
}

impl Row for NodeJobRow {
    type Wire = Wire;

    fn from_wire(meta: &WireMeta, wire: Wire) -> Self {
        let Wire { spec, status } = wire;
        let pod = spec.template.spec;
        Self {
            node_name: pod.node_name.filter(|name| !name.is_empty()),
            leaves_sentinel: pod.containers.iter().any(|container| *container.name == *SENTINEL_CONTAINER),
            progress: Progress::of(&status),
            active: status.active.unwrap_or_default(),
            failed_pods: status.failed.unwrap_or_default(),
            ..Self::of_meta(meta)
        }
    }

    fn malformed(meta: &WireMeta, error: &str) -> Self {
        Self { malformed: Some(error.into()), ..Self::of_meta(meta) }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn references(&self, put: &mut dyn FnMut(&'static str, &str)) {
        if let Some(uid) = &self.owner_uid {
            put(OWNER_INDEX, uid);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::row;

    fn job(conditions: &str) -> NodeJobRow {
        row(&format!(
            "metadata: {{name: j, labels: {{kairos.io/nodeop: op, kairos.io/node: node-1}}}}\nstatus: {{active: 1, failed: 2, conditions: {conditions}}}"
        ))
    }

    #[test]
    fn a_job_has_failed_before_it_has_succeeded() {
        let ended = |reason: &str| Ended { reason: reason.into(), ..Ended::default() };
        assert_eq!(job("[]").progress, Progress::Running);
        assert_eq!(
            job("[{type: Failed, status: 'False'}, {type: Suspended, status: 'True'}]").progress,
            Progress::Running
        );
        for (condition, progress) in [
            ("Complete", Progress::Succeeded(ended("r"))),
            ("SuccessCriteriaMet", Progress::Succeeded(ended("r"))),
            ("Failed", Progress::Failed(ended("r"))),
            ("FailureTarget", Progress::Failed(ended("r"))),
        ] {
            assert_eq!(
                job(&format!("[{{type: {condition}, status: 'True', reason: r}}]")).progress,
                progress
            );
        }
        let both = job(
            "[{type: Complete, status: 'True', reason: c}, {type: FailureTarget, status: 'True', reason: f}]",
        );
        assert_eq!(both.progress, Progress::Failed(ended("f")));
        assert_eq!((both.active, both.failed_pods), (1, 2));
    }

    #[test]
    fn the_node_is_the_one_that_the_pods_are_pinned_to() {
        assert_eq!(job("null").node(), Some("node-1"));
        let pinned: NodeJobRow = row(
            "metadata: {name: j, labels: {kairos.io/node: cut-off}}\nspec: {template: {spec: {nodeName: whole.name, containers: [{name: nodeop}]}}}",
        );
        assert_eq!((pinned.node(), pinned.leaves_sentinel), (Some("whole.name"), false));
        let odd: NodeJobRow = row("metadata: {name: j, labels: {kairos.io/node: node-1}}\nspec: 7");
        assert!(odd.malformed.is_some() && odd.node() == Some("node-1"));
    }
}
