//! What a machine image sees: itself, its newest Job, and what live reads told.

use std::time::Duration;

use api::batch::job::{self, JobRow};
use api::upgrader::machine_image::MachineImageRow;
use jiff::Timestamp;
use runtime::clock::after;
use runtime::store::{Availability, Snapshot, Table};
use serde_json::Value;

use super::image_id::Told;
use super::job::next_name;
use super::memory::{Memory, Refused};

/// How long a watch may be late before the API server is asked once more.
const LATE: Duration = Duration::from_secs(5);

/// Everything that a decision about a machine image rests on.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// The image.
    pub image: MachineImageRow,
    /// The server refuses to show Jobs: its words.
    pub hidden: Option<Box<str>>,
    /// The newest Job that it owns, of either generation.
    pub job: Option<JobRow>,
    /// What the pods of that Job tell of the image id, once they were read.
    pub told: Option<Told>,
    /// What would be made, where there is no Job and no id.
    pub next: Option<Next>,
}

/// The Job that is to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct Next {
    /// Its name.
    pub name: Box<str>,
    /// Somebody else's object of that name.
    pub occupant: Option<JobRow>,
    /// What became of the Job before it.
    pub previous: Previous,
    /// What it is made of.
    pub template: Template,
    /// The API server refuses it.
    pub refused: Option<Refused>,
}

/// What became of the Job that the status names and the store has not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Previous {
    /// There was none, or a live list says that it is gone.
    Gone,
    /// It has this uid, and may be one that the watch has not shown yet: a process that ended a moment ago made it.
    Unknown(Box<str>),
    /// There is a Job of this name, and the watch will show it.
    Unseen {
        /// Name of the Job.
        name: Box<str>,
        /// When the API server is asked once more.
        again: Timestamp,
    },
}

/// `spec.jobTemplate.spec`, which rows do not keep.
#[derive(Clone, Debug, PartialEq)]
pub enum Template {
    /// Not read.
    Unread,
    /// Of a newer image than the row, which the watch will show.
    Ahead,
    /// Of just this row.
    Read(Value),
}

pub(super) fn observe(
    snapshot: Snapshot<'_>,
    image: &MachineImageRow,
    memory: &mut Memory,
    now: Timestamp,
) -> Observed {
    let job = newest(snapshot, image).cloned();
    let job_uid = job.as_ref().map(|job| &job.meta.uid);
    memory.told.take_if(|(uid, _)| Some(&*uid) != job_uid);
    let next = if job.is_none() && image.id.is_none() {
        Some(next(snapshot, image, memory, now))
    } else {
        // A template is large, and of no use before the next Job.
        (memory.template, memory.looked, memory.refused) = (None, None, None);
        None
    };
    let hidden = match snapshot.table::<JobRow>().map(Table::availability) {
        Some(Availability::Forbidden(words)) => Some(words.clone()),
        _ => None,
    };
    let told = memory.told.as_ref().map(|(_, told)| told.clone());
    Observed { image: image.clone(), hidden, job, told, next }
}

/// By owner and nothing else: a Job of a deleted namesake has the same labels, and one of v0.5.0 has others. Where the
/// original's race left two, the younger counts, and the other is left alone.
fn newest<'a>(snapshot: Snapshot<'a>, image: &'a MachineImageRow) -> Option<&'a JobRow> {
    let owned = snapshot.referring::<JobRow>(job::OWNER_INDEX, &image.meta.key.namespace, &image.meta.uid);
    owned.max_by_key(|job| (job.meta.created, &job.meta.key.name))
}

fn next(snapshot: Snapshot<'_>, image: &MachineImageRow, memory: &mut Memory, now: Timestamp) -> Next {
    let version = image.meta.resource_version;
    memory.template.take_if(|template| template.resource_version < version);
    memory.refused.take_if(|refused| !refused.holds(&image.meta, now));
    let name = next_name(image);
    Next {
        occupant: snapshot.get::<JobRow>(&image.meta.key.sibling(&name)).cloned(),
        previous: previous(image, memory, now),
        template: match &memory.template {
            None => Template::Unread,
            Some(template) if template.resource_version > version => Template::Ahead,
            Some(template) => Template::Read(template.spec.clone()),
        },
        refused: memory.refused.clone(),
        name,
    }
}

fn previous(image: &MachineImageRow, memory: &mut Memory, now: Timestamp) -> Previous {
    let Some(uid) = image.status.job_ref.as_ref().and_then(|job| job.uid.as_ref()) else {
        return Previous::Gone;
    };
    memory.looked.take_if(|looked| {
        looked.previous != *uid || (looked.found.is_some() && after(looked.at, LATE) <= now)
    });
    match &memory.looked {
        None => Previous::Unknown(uid.clone()),
        Some(looked) => match &looked.found {
            None => Previous::Gone,
            Some(name) => Previous::Unseen { name: name.clone(), again: after(looked.at, LATE) },
        },
    }
}
