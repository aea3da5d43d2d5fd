//! What a machine image sees: itself, its newest Job, and what live reads told.

use std::time::Duration;

use api::batch::job::{self, JobRow};
use api::upgrader::machine_image::MachineImageRow;
use jiff::Timestamp;
use runtime::clock::after;
use runtime::store::{Availability, Snapshot, Table};

use super::image_id::Told;
use super::job::next_name;
use super::memory::{Memory, Refused, TemplateRead};
use super::retry;

/// How long a watch may be late before the API server is asked once more.
const LATE: Duration = Duration::from_secs(5);

/// Everything that a decision about a machine image rests on.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// The image.
    pub image: MachineImageRow,
    /// The server refuses to show Jobs: its words.
    pub hidden: Option<Box<str>>,
    /// The newest Job that it owns, of either generation; none where a human has deleted the one after it.
    pub job: Option<JobRow>,
    /// What the pods of that Job tell of the image id, once they were read.
    pub told: Option<Told>,
    /// What would be made, where there is no id and no Job, or one that has failed and is followed by another.
    pub next: Option<Next>,
}

/// The Job that is to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct Next {
    /// Its name.
    pub name: Box<str>,
    /// The how manyth build it is, from 1.
    pub attempt: u32,
    /// It follows a Job that has failed: not before this time, where it is set.
    pub not_before: Option<Timestamp>,
    /// Uids of the Jobs of this image that the store has.
    pub seen: Vec<Box<str>>,
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

/// What a Job is made of, which rows do not keep.
#[derive(Clone, Debug, PartialEq)]
pub enum Template {
    /// Not read.
    Unread,
    /// Of a newer spec than the row's, which the watch will show.
    Ahead,
    /// Of just this spec.
    Read(TemplateRead),
}

pub(super) fn observe(
    snapshot: Snapshot<'_>,
    image: &MachineImageRow,
    memory: &mut Memory,
    now: Timestamp,
) -> Observed {
    let newest = newest(snapshot, image);
    let wanted = wanted(snapshot, image, newest);
    let job = newest.filter(|_| !matches!(wanted, Some(Wanted::Anew)));
    memory.told.take_if(|(uid, _)| job.is_none_or(|job| *uid != job.meta.uid));
    let next = if let Some(wanted) = &wanted {
        Some(next(snapshot, image, wanted, memory, now))
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
    Observed { image: image.clone(), hidden, job: job.cloned(), told, next }
}

/// The Jobs that an image owns, by owner and nothing else: a Job of a deleted namesake has the same labels, and one of
/// v0.5.0 has others.
fn owned<'a>(snapshot: Snapshot<'a>, image: &'a MachineImageRow) -> impl Iterator<Item = &'a JobRow> {
    snapshot.referring::<JobRow>(job::OWNER_INDEX, &image.meta.key.namespace, &image.meta.uid)
}

/// Where the original's race left two, or one has failed and was followed by another, the younger counts, and the others are
/// left alone.
fn newest<'a>(snapshot: Snapshot<'a>, image: &'a MachineImageRow) -> Option<&'a JobRow> {
    owned(snapshot, image).max_by_key(|job| (job.meta.created, job.attempt, &job.meta.key.name))
}

/// A Job that is to be made.
enum Wanted<'a> {
    /// There is none, or a human has deleted the last one.
    Anew,
    /// This one has failed, and another follows.
    Following(&'a JobRow, u32),
}

impl Wanted<'_> {
    fn name(&self, image: &MachineImageRow) -> Box<str> {
        match self {
            Self::Anew => next_name(image, last_named(image)),
            Self::Following(job, _) => next_name(image, &job.meta.uid),
        }
    }
}

fn wanted<'a>(
    snapshot: Snapshot<'_>,
    image: &MachineImageRow,
    job: Option<&'a JobRow>,
) -> Option<Wanted<'a>> {
    if image.id.is_some() {
        return None;
    }
    let Some(job) = job else { return Some(Wanted::Anew) };
    if job.failed.is_none() || job.malformed.is_some() || job.meta.deleting {
        return None;
    }
    // The status names a Job that is gone, while one before it is still there: somebody deleted it to have another. Where
    // the Job after it is there, only the status was lost.
    let last = last_named(image);
    let after_it = next_name(image, last);
    let deleted = !last.is_empty()
        && owned(snapshot, image).all(|job| *job.meta.uid != *last && *job.meta.key.name != *after_it);
    if deleted {
        return Some(Wanted::Anew);
    }
    retry::following(image, job).map(|attempt| Wanted::Following(job, attempt))
}

/// The name of the Job that an image without id waits to make: another object of that name concerns it.
pub(super) fn awaited(snapshot: Snapshot<'_>, image: &MachineImageRow) -> Box<str> {
    let wanted = wanted(snapshot, image, newest(snapshot, image));
    wanted.unwrap_or(Wanted::Anew).name(image)
}

/// Uid of the Job that the status names; empty where it names none.
fn last_named(image: &MachineImageRow) -> &str {
    image.status.job_ref.as_ref().and_then(|job| job.uid.as_deref()).unwrap_or_default()
}

fn next(
    snapshot: Snapshot<'_>,
    image: &MachineImageRow,
    wanted: &Wanted<'_>,
    memory: &mut Memory,
    now: Timestamp,
) -> Next {
    let version = image.meta.resource_version;
    memory.template.take_if(|template| !template.is_of(&image.meta) && template.resource_version <= version);
    memory.refused.take_if(|refused| !refused.holds(&image.meta, now));
    let name = wanted.name(image);
    let (attempt, not_before, previous) = match wanted {
        Wanted::Anew => (1, None, previous(image, memory, now)),
        // It is here to be seen; and a second Job after it would have the same name.
        Wanted::Following(job, attempt) => (*attempt, retry::due(job, now), Previous::Gone),
    };
    Next {
        attempt,
        not_before,
        seen: owned(snapshot, image).map(|job| job.meta.uid.clone()).collect(),
        occupant: snapshot.get::<JobRow>(&image.meta.key.sibling(&name)).cloned(),
        previous,
        template: match &memory.template {
            None => Template::Unread,
            Some(template) if template.is_of(&image.meta) => Template::Read(template.clone()),
            Some(_) => Template::Ahead,
        },
        refused: memory.refused.clone(),
        name,
    }
}

fn previous(image: &MachineImageRow, memory: &mut Memory, now: Timestamp) -> Previous {
    let uid = last_named(image);
    if uid.is_empty() {
        return Previous::Gone;
    }
    memory.looked.take_if(|looked| {
        *looked.previous != *uid || (looked.found.is_some() && after(looked.at, LATE) <= now)
    });
    match &memory.looked {
        None => Previous::Unknown(uid.into()),
        Some(looked) => match &looked.found {
            None => Previous::Gone,
            Some(name) => Previous::Unseen { name: name.clone(), again: after(looked.at, LATE) },
        },
    }
}
