//! What is kept of an image between passes. All of it is lost with the process, and read again by the next one.

use std::time::Duration;

use api::batch::pod::PodTermination;
use domain::object::{Meta, ResourceVersion};
use jiff::Timestamp;
use runtime::answer::Refusal;
use runtime::clock::after;
use serde_json::Value;

use super::apply::Step;
use super::image_id::{self, Told};

/// A Job that the API server refuses is sent again after this long at the latest: what it refuses may have changed.
const REJECTED: Duration = Duration::from_secs(15 * 60);

/// What the requests brought.
#[derive(Debug, Default)]
pub struct Memory {
    /// The Job's template, until the Job is made.
    pub(super) template: Option<TemplateRead>,
    /// Whether the Job that the status names is really gone.
    pub(super) looked: Option<Looked>,
    /// What the pods of the Job with this uid tell of the image id.
    pub(super) told: Option<(Box<str>, Told)>,
    /// The API server's refusal of the Job.
    pub(super) rejected: Option<Rejected>,
}

/// `spec.jobTemplate.spec` of one version of the image.
#[derive(Clone, Debug, PartialEq)]
pub struct TemplateRead {
    /// Of the image that was read: a row that is not of this version may have another version of Kubernetes.
    pub resource_version: ResourceVersion,
    /// The `PodSpec`.
    pub spec: Value,
}

/// A live list of an image's Jobs, made because the one that its status names is not in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looked {
    /// Uid of the Job that is not in the store.
    pub previous: Box<str>,
    /// Name of a Job that the list has and the store has not: the watch is late.
    pub found: Option<Box<str>>,
    /// When.
    pub at: Timestamp,
}

/// The API server refuses the Job as invalid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Uid of the image.
    pub uid: Box<str>,
    /// Generation of the image that the Job was made of.
    pub generation: i64,
    /// The server's words.
    pub message: String,
    /// When it is tried again, if the image does not change before.
    pub until: Timestamp,
}

/// What a request brought back.
#[derive(Debug)]
pub enum Answer {
    /// The image as it is.
    Template(TemplateRead),
    /// Name of a Job of the image, by a live list.
    Jobs(Option<Box<str>>),
    /// The pods of a Job.
    Pods(Vec<PodTermination>),
}

impl Memory {
    /// Takes an answer, or the one refusal that is this controller's own: that of an invalid Job.
    pub(super) fn learn(&mut self, step: &Step, outcome: Result<Answer, &Refusal>, now: Timestamp) -> bool {
        match (step, outcome) {
            (_, Ok(Answer::Template(template))) => self.template = Some(template),
            (Step::ReadJobs { previous, .. }, Ok(Answer::Jobs(found))) => {
                self.looked = Some(Looked { previous: previous.clone(), found, at: now });
            }
            (Step::ReadPods { job }, Ok(Answer::Pods(pods))) => {
                self.told = Some((job.uid.clone(), image_id::of_pods(job, &pods)));
            }
            (Step::CreateJob { image, .. }, Err(refusal)) => {
                self.template = None;
                let Refusal::Invalid(message) = refusal else { return false };
                self.rejected = Some(Rejected::of(image, message, now));
            }
            (_, outcome) => return outcome.is_ok(),
        }
        true
    }
}

impl Rejected {
    fn of(image: &Meta, message: &str, now: Timestamp) -> Self {
        Self {
            uid: image.uid.clone(),
            generation: image.generation,
            message: message.to_owned(),
            until: after(now, REJECTED),
        }
    }

    /// Whether it still speaks of this image.
    pub(super) fn holds(&self, image: &Meta, now: Timestamp) -> bool {
        self.uid == image.uid && self.generation == image.generation && now < self.until
    }
}
