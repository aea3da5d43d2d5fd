//! The requests of a machine image.

use std::fmt;

use api::batch::job::{self, JobRow};
use api::batch::pod::{self, PodTermination};
use api::clusterctl::BLOCK_MOVE_ANNOTATION;
use api::upgrader::machine_image::{KIND, MachineImageRow};
use domain::object::{Meta, WireMeta};
use runtime::answer::Refusal;
use runtime::request::{Patch, Place, Shell};
use runtime::room::Applied;
use serde::Deserialize;
use serde_json::{Value, json};

use super::job::{image_label, lineage};
use super::memory::{Answer, TemplateRead};

/// Who holds a move, for whoever finds the annotation; clusterctl looks at its presence only.
const HOLDER: &str = "kubernetes-upgrader";

/// The closed set of a machine image's requests.
#[derive(Clone, Debug)]
pub enum Step {
    /// Hold `clusterctl move` while a Job builds: a build cannot be moved.
    HoldMove {
        /// The image.
        image: Meta,
        /// Name of the Job.
        job: Box<str>,
    },
    /// Let `clusterctl move` go on.
    ReleaseMove {
        /// The image.
        image: Meta,
    },
    /// List the Jobs of the image live: the one that its status names is not in the store.
    ReadJobs {
        /// The image.
        image: Meta,
        /// Uid of that Job.
        previous: Box<str>,
        /// Uids of those that are.
        seen: Vec<Box<str>>,
    },
    /// Read the `PodSpec`, which rows do not keep.
    ReadTemplate {
        /// The image.
        image: Meta,
    },
    /// Create the Job.
    CreateJob {
        /// The image.
        image: Meta,
        /// Name of the Job.
        name: Box<str>,
        /// The Job.
        body: Value,
    },
    /// Read the pods of a Job for their termination messages.
    ReadPods {
        /// The Job.
        job: Meta,
    },
    /// Write the id of the image, once and for all.
    RecordId {
        /// The image, which had no id at this resourceVersion.
        image: Meta,
        /// The id.
        id: Box<str>,
        /// Let `clusterctl move` go on, in the same write.
        let_go: bool,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HoldMove { job, .. } => write!(f, "hold clusterctl move while Job {job} builds"),
            Self::ReleaseMove { .. } => f.write_str("let clusterctl move go on"),
            Self::ReadJobs { .. } => f.write_str("look for a Job that the watch has not shown"),
            Self::ReadTemplate { .. } => f.write_str("read spec.jobTemplate"),
            Self::CreateJob { name, .. } => write!(f, "create Job {name}"),
            Self::ReadPods { job } => write!(f, "read the termination message of Job {}", job.key.name),
            Self::RecordId { id, .. } => write!(f, "record image id {id}"),
        }
    }
}

impl runtime::room::Step for Step {
    fn writes(&self) -> bool {
        !matches!(self, Self::ReadJobs { .. } | Self::ReadTemplate { .. } | Self::ReadPods { .. })
    }
}

/// A machine image as it is read live: the one part that its row does not keep.
#[derive(Deserialize)]
struct Live {
    metadata: WireMeta,
    #[serde(default)]
    spec: LiveSpec,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct LiveSpec {
    job_template: LiveTemplate,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct LiveTemplate {
    spec: Value,
}

/// Makes the request of a step.
pub(super) async fn apply(shell: Shell, step: Step) -> Result<Applied<Answer>, Refusal> {
    match step {
        Step::HoldMove { image, .. } => patch(&shell, &image, holding(&image, Some(HOLDER))).await,
        Step::ReleaseMove { image } => patch(&shell, &image, holding(&image, None)).await,
        Step::RecordId { image, id, let_go } => patch(&shell, &image, recording(&image, &id, let_go)).await,
        Step::ReadJobs { image, seen, .. } => {
            let labels = format!("{}={}", job::MACHINE_IMAGE_NAME_LABEL, image_label(&image));
            let jobs = shell.rows::<JobRow>(&Place::of(job::KIND), &image.key.namespace, &labels).await?;
            let mut unseen = jobs
                .into_iter()
                .filter(|job| job.owner_uid.as_ref() == Some(&image.uid) && !seen.contains(&job.meta.uid));
            Ok(Applied::answer(Answer::Jobs(unseen.next().map(|job| (&*job.meta.key.name).into()))))
        }
        Step::ReadTemplate { image } => {
            let live: Live = shell.get(&Place::of(KIND), &image.key).await?;
            let Meta { uid, generation, resource_version, .. } = live.metadata.meta();
            let template = TemplateRead {
                uid,
                generation,
                resource_version,
                spec: live.spec.job_template.spec,
                lineage: lineage(&live.metadata),
            };
            Ok(Applied::answer(Answer::Template(template)))
        }
        Step::CreateJob { image, body, .. } => {
            let place = Place::of(job::KIND);
            shell.create::<JobRow>(&place, &image.key.namespace, &body).await.map(Applied::wrote)
        }
        Step::ReadPods { job } => {
            let labels = format!("{}={}", pod::CONTROLLER_UID_LABEL, job.uid);
            let pods =
                shell.rows::<PodTermination>(&Place::of(pod::KIND), &job.key.namespace, &labels).await?;
            Ok(Applied::answer(Answer::Pods(pods)))
        }
    }
}

/// The merge patch that holds a move, or lets it go. The uid refuses it for a namesake.
pub(super) fn holding(image: &Meta, holder: Option<&str>) -> Value {
    json!({"metadata": {"uid": image.uid, "annotations": {BLOCK_MOVE_ANNOTATION: holder}}})
}

/// The merge patch that writes the id. The resourceVersion refuses it where an id was set since: none is ever
/// overwritten.
pub(super) fn recording(image: &Meta, id: &str, let_go: bool) -> Value {
    let mut body = json!({
        "metadata": {"uid": image.uid, "resourceVersion": image.resource_version.to_string()},
        "spec": {"id": id},
    });
    if let_go {
        body["metadata"]["annotations"] = json!({BLOCK_MOVE_ANNOTATION: null});
    }
    body
}

async fn patch(shell: &Shell, image: &Meta, body: Value) -> Result<Applied<Answer>, Refusal> {
    let patch = Patch::Merge(body);
    shell.patch::<MachineImageRow>(&Place::of(KIND), &image.key, None, &patch).await.map(Applied::wrote)
}
