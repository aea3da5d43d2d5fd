//! The pods of a NodeOp: preflight and reboot, ours, or as the original made them, and those of our Jobs. All have
//! [`NODE_OP_LABEL`]: one watch by that label shows them. The pods of the original's Jobs have it not.

use domain::object::{Meta, Row, WireMeta, null_is_default};
use jiff::Timestamp;
use serde::Deserialize;

use super::{
    NODE_LABEL, NODE_OP_LABEL, PREFLIGHT_LABEL, REBOOT_DONE, REBOOT_FROM_ANNOTATION, REBOOT_LABEL,
    REBOOT_STATE_ANNOTATION, SENTINEL_VOLUME,
};
use crate::batch::pod::SUCCEEDED;

pub use crate::batch::pod::KIND;

/// Index: uid of the NodeOp, or of the Job, that owns the pod.
pub const OWNER_INDEX: &str = "owner";
/// Phase of a pod with a container that has failed and is not run again.
pub const FAILED: &str = "Failed";

/// A pod as read.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wire {
    #[serde(deserialize_with = "null_is_default")]
    spec: SpecWire,
    #[serde(deserialize_with = "null_is_default")]
    status: StatusWire,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct SpecWire {
    node_name: Option<Box<str>>,
    #[serde(deserialize_with = "null_is_default")]
    volumes: Vec<VolumeWire>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct VolumeWire {
    name: Box<str>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct StatusWire {
    phase: Option<Box<str>>,
    reason: Option<Box<str>>,
    message: Option<Box<str>>,
    #[serde(deserialize_with = "null_is_default")]
    conditions: Vec<ConditionWire>,
    #[serde(deserialize_with = "null_is_default")]
    init_container_statuses: Vec<ContainerWire>,
    #[serde(deserialize_with = "null_is_default")]
    container_statuses: Vec<ContainerWire>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct ConditionWire {
    #[serde(rename = "type")]
    type_: Box<str>,
    status: Box<str>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ContainerWire {
    #[serde(deserialize_with = "null_is_default")]
    state: StateWire,
    #[serde(deserialize_with = "null_is_default")]
    last_state: StateWire,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct StateWire {
    waiting: Option<SaidWire>,
    running: Option<RunningWire>,
    terminated: Option<TerminatedWire>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct SaidWire {
    reason: Option<Box<str>>,
    message: Option<Box<str>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RunningWire {
    started_at: Option<Timestamp>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct TerminatedWire {
    exit_code: i32,
    reason: Option<Box<str>>,
    message: Option<Box<str>>,
    started_at: Option<Timestamp>,
}

/// What a pod is for, by its labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Says whether there is anything to do on the node.
    Preflight,
    /// Reboots the node.
    Reboot,
    /// Neither label is there: it runs the command.
    #[default]
    Command,
}

/// A reason with its message; both may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// CamelCase.
    pub reason: Box<str>,
    /// For people.
    pub message: Box<str>,
}

/// How a container ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terminated {
    /// Its exit code.
    pub exit_code: i32,
    /// CamelCase, for example Error or OOMKilled; may be empty.
    pub reason: Box<str>,
    /// What it left in its termination log, as it is; empty where nothing.
    pub message: Box<str>,
}

/// What is kept of a pod of an operation. It has one container, and one before it where a Job has a reboot to come.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OperationPodRow {
    /// Identity.
    pub meta: Meta,
    /// Why the pod could not be read; of the fields below, those that are not metadata are then empty.
    pub malformed: Option<Box<str>>,
    /// What it is for.
    pub role: Role,
    /// Uid of the owner that manages it.
    pub owner_uid: Option<Box<str>>,
    /// Name of that owner: of the Job, where it runs the command.
    pub owner_name: Option<Box<str>>,
    /// The label [`NODE_OP_LABEL`], as it stands: a name that no label can be is not in it as it is.
    pub node_op_label: Option<Box<str>>,
    /// The label [`NODE_LABEL`], in the same way.
    pub node_label: Option<Box<str>>,
    /// The node that it is pinned to.
    pub node_name: Option<Box<str>>,
    /// It waits for the file that a Job of the original leaves, and annotates itself: it needs the original's ClusterRole
    /// until it is finished.
    pub awaits_sentinel: bool,
    /// The annotation [`REBOOT_STATE_ANNOTATION`].
    pub reboot_state: Option<Box<str>>,
    /// The annotation [`REBOOT_FROM_ANNOTATION`].
    pub reboot_from: Option<Box<str>>,
    /// `status.phase`.
    pub phase: Box<str>,
    /// Its condition Ready is true.
    pub ready: bool,
    /// Why the pod is in its phase, where the kubelet says so: an eviction, a deadline.
    pub said: Said,
    /// What the first of its containers that does not run waits for; an image that cannot be pulled, for example.
    pub waits_for: Option<Said>,
    /// Since when its container runs or ran: after its image was pulled.
    pub started: Option<Timestamp>,
    /// How its container ended, or, where it is run again, how it ended before.
    pub terminated: Option<Terminated>,
    /// What the command of a pod with a reboot to come has left as its termination message, if it has succeeded: there it is
    /// the first init container.
    pub command_said: Box<str>,
}

impl OperationPodRow {
    /// The node: the one that it is pinned to, else the one of its label.
    pub fn node(&self) -> Option<&str> {
        self.node_name.as_deref().or(self.node_label.as_deref())
    }

    /// What the original takes as the proof of a reboot: the pod has succeeded, and is annotated.
    pub fn reboot_is_done(&self) -> bool {
        *self.phase == *SUCCEEDED && self.reboot_state.as_deref() == Some(REBOOT_DONE)
    }

    /// It has succeeded or failed, and nothing runs in it any more.
    pub fn is_finished(&self) -> bool {
        *self.phase == *SUCCEEDED || *self.phase == *FAILED
    }

    fn of_meta(meta: &WireMeta) -> Self {
        let has = |label| meta.label(label).is_some();
        Self {
            meta: meta.meta(),
            role: match (has(REBOOT_LABEL), has(PREFLIGHT_LABEL)) {
                (true, _) => Role::Reboot,
                (false, true) => Role::Preflight,
                (false, false) => Role::Command,
            },
            owner_uid: meta.controller().map(|owner| owner.uid.clone()),
            owner_name: meta.controller().map(|owner| owner.name.clone()),
            node_op_label: meta.label(NODE_OP_LABEL).map(Box::from),
            node_label: meta.label(NODE_LABEL).map(Box::from),
            reboot_state: meta.annotation(REBOOT_STATE_ANNOTATION).map(Box::from),
            reboot_from: meta.annotation(REBOOT_FROM_ANNOTATION).map(Box::from),
            ..Self::default()
        }
    }
}

impl Row for OperationPodRow {
    type Wire = Wire;

    fn from_wire(meta: &WireMeta, wire: Wire) -> Self {
        let Wire { spec, status } = wire;
        let said = |reason: Option<Box<str>>, message: Option<Box<str>>| Said {
            reason: reason.unwrap_or_default(),
            message: message.unwrap_or_default(),
        };
        let ready = |condition: &ConditionWire| *condition.type_ == *"Ready" && *condition.status == *"True";
        let command_said = status.init_container_statuses.first().and_then(|command| {
            let ended = command.state.terminated.as_ref().filter(|ended| ended.exit_code == 0)?;
            ended.message.clone()
        });
        let before = status.init_container_statuses.into_iter().find_map(|container| container.state.waiting);
        let ContainerWire { state, last_state } =
            status.container_statuses.into_iter().next().unwrap_or_default();
        let terminated = state.terminated.or(last_state.terminated);
        let started = state.running.and_then(|running| running.started_at);
        Self {
            node_name: spec.node_name.filter(|name| !name.is_empty()),
            awaits_sentinel: spec.volumes.iter().any(|volume| *volume.name == *SENTINEL_VOLUME),
            phase: status.phase.unwrap_or_default(),
            ready: status.conditions.iter().any(ready),
            said: said(status.reason, status.message),
            waits_for: before.or(state.waiting).map(|waiting| said(waiting.reason, waiting.message)),
            started: started.or_else(|| terminated.as_ref()?.started_at),
            command_said: command_said.unwrap_or_default(),
            terminated: terminated.map(|of| Terminated {
                exit_code: of.exit_code,
                reason: of.reason.unwrap_or_default(),
                message: of.message.unwrap_or_default(),
            }),
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

    #[test]
    fn what_a_pod_waits_for_is_told() {
        let row: OperationPodRow = row("
metadata: {name: p, labels: {kairos.io/preflight: 'true', kairos.io/node: node-1}}
status:
  phase: Pending
  containerStatuses:
  - {name: preflight, state: {waiting: {reason: ImagePullBackOff, message: not found}}}");
        let said = Said { reason: "ImagePullBackOff".into(), message: "not found".into() };
        assert_eq!((row.role, row.waits_for, row.started), (Role::Preflight, Some(said), None));
        assert!(!row.ready && row.terminated.is_none());
    }

    #[test]
    fn how_a_container_that_is_run_again_ended_before_is_told() {
        let row: OperationPodRow = row("
metadata: {name: p, labels: {kairos.io/reboot: ''}}
status:
  phase: Failed
  reason: DeadlineExceeded
  message: too long
  conditions: [{type: Ready, status: 'True'}]
  containerStatuses:
  - state: {waiting: {reason: CrashLoopBackOff}}
    lastState: {terminated: {exitCode: 2, reason: Error, startedAt: '2026-11-21T10:00:00Z'}}");
        assert_eq!((row.role, row.ready, row.is_finished()), (Role::Reboot, true, true));
        assert_eq!((&*row.said.reason, &*row.said.message), ("DeadlineExceeded", "too long"));
        let ended = row.terminated.unwrap();
        assert_eq!((ended.exit_code, &*ended.reason, &*ended.message), (2, "Error", ""));
        assert_eq!(row.started, "2026-11-21T10:00:00Z".parse().ok());
    }

    /// People set the annotation by hand to free a node: it counts together with the pod's success only.
    #[test]
    fn what_a_command_before_a_reboot_has_said_is_told_if_it_has_succeeded() {
        let said = |ended: &str| {
            let row: OperationPodRow = row(&format!(
                "metadata: {{name: p}}\nstatus: {{initContainerStatuses: [{{state: {{terminated: {ended}}}}}]}}"
            ));
            row.command_said
        };
        assert_eq!(&*said("{exitCode: 0, message: nothing to do}"), "nothing to do");
        assert_eq!(&*said("{exitCode: 1, message: nothing to do}"), "");
        assert_eq!(&*said("{exitCode: 0}"), "");
    }

    #[test]
    fn a_reboot_is_done_by_success_and_annotation() {
        let pod = |state: &str, phase: &str| {
            row::<OperationPodRow>(&format!(
                "metadata: {{name: p, labels: {{kairos.io/reboot: 'true'}}, annotations: {{kairos.io/reboot-state: {state}}}}}\nstatus: {{phase: {phase}}}"
            ))
        };
        assert!(pod("completed", "Succeeded").reboot_is_done());
        assert!(!pod("pending", "Succeeded").reboot_is_done());
        assert!(!pod("completed", "Running").reboot_is_done());
    }

    #[test]
    fn a_pod_that_cannot_be_read_is_still_somebodys() {
        let row: OperationPodRow = row(
            "metadata: {name: p, labels: {kairos.io/reboot: 'true', kairos.io/node: node-1}}\nspec: null\nstatus: {containerStatuses: 7}",
        );
        assert!(row.malformed.is_some());
        assert_eq!((row.role, row.node()), (Role::Reboot, Some("node-1")));
    }
}
