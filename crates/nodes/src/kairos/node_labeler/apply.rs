//! The requests of the labeler.

use std::fmt;

use api::kairos::labeler::{APP_LABEL, DAEMON_SET_KIND, JOB_KIND, LabelerDaemonSetRow, LabelerJobRow, NAME};
use domain::object::{Meta, ObjectKey};
use runtime::answer::Refusal;
use runtime::request::{Patch, Place, Shell};
use runtime::room::Applied;
use serde_json::{Value, json};

use super::memory::Answer;

/// The closed set of the labeler's requests.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Create the Job of a node.
    CreateJob {
        /// The node.
        node: Meta,
        /// The Job.
        body: Value,
    },
    /// Delete the Job of a node, so that another of its name can be made.
    DeleteJob {
        /// The Job.
        job: Meta,
        /// Uid of the Node that the next one is for.
        node_uid: Box<str>,
        /// The how manyth the next one is.
        next: u32,
    },
    /// Create the DaemonSet.
    CreateDaemonSet {
        /// The DaemonSet.
        body: Value,
    },
    /// Have the pods of the DaemonSet made of the right template.
    ConvergeDaemonSet {
        /// Where it is.
        key: ObjectKey,
        /// Its uid, where it was seen.
        uid: Option<Box<str>>,
        /// The template.
        template: Value,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateJob { node, .. } => write!(f, "create the labeler's Job for node {}", node.key.name),
            Self::DeleteJob { job, .. } => write!(f, "delete Job {}", job.key.name),
            Self::CreateDaemonSet { .. } => write!(f, "create DaemonSet {NAME}"),
            Self::ConvergeDaemonSet { .. } => write!(f, "change the pod template of DaemonSet {NAME}"),
        }
    }
}

impl runtime::room::Step for Step {
    fn writes(&self) -> bool {
        true
    }
}

/// Makes the request of a step.
pub(super) async fn apply(shell: Shell, step: Step) -> Result<Applied<Answer>, Refusal> {
    let written = |applied: Applied<Answer>| applied.with(Answer::Written);
    match step {
        Step::CreateJob { body, .. } => {
            let namespace = namespace(&body).to_owned();
            let row = shell.create::<LabelerJobRow>(&Place::of(JOB_KIND), &namespace, &body).await;
            row.map(Applied::wrote).map(written)
        }
        Step::DeleteJob { job, .. } => {
            let version = Some(job.resource_version);
            shell.delete(&Place::of(JOB_KIND), &job.key, &job.uid, version).await?;
            Ok(Applied::answer(Answer::Deleted))
        }
        Step::CreateDaemonSet { body } => {
            let (place, namespace) = (Place::of(DAEMON_SET_KIND), namespace(&body).to_owned());
            let row = shell.create::<LabelerDaemonSetRow>(&place, &namespace, &body).await;
            row.map(Applied::wrote).map(written)
        }
        Step::ConvergeDaemonSet { key, uid, template } => {
            let patch = Patch::Json(converging(uid.as_deref(), &template));
            let place = Place::of(DAEMON_SET_KIND);
            let row = shell.patch::<LabelerDaemonSetRow>(&place, &key, None, &patch).await;
            row.map(Applied::wrote).map(written)
        }
    }
}

fn namespace(body: &Value) -> &str {
    body["metadata"]["namespace"].as_str().unwrap_or_default()
}

/// The JSON Patch that puts a template in the place of the present one, so that nothing of that is left. One that was never
/// seen has not the label by which it is watched.
pub(super) fn converging(uid: Option<&str>, template: &Value) -> Vec<Value> {
    let first = match uid {
        Some(uid) => json!({"op": "test", "path": "/metadata/uid", "value": uid}),
        None => json!({"op": "add", "path": "/metadata/labels", "value": {APP_LABEL: NAME}}),
    };
    vec![first, json!({"op": "replace", "path": "/spec/template", "value": template})]
}
