//! What is kept of an image between passes. All of it is lost with the process, and read again by the next one.

use std::collections::BTreeMap;
use std::time::Duration;

use api::batch::pod::PodTermination;
use api::upgrader::machine_image::Reason;
use domain::object::{Meta, ResourceVersion};
use domain::verdict::Reason as _;
use jiff::Timestamp;
use runtime::answer::Refusal;
use runtime::clock::after;
use serde_json::Value;

use super::apply::Step;
use super::image_id::{self, Told};

/// A Job that is refused is sent again after this long at the latest: what refuses it may have changed. One that is
/// invalid hardly becomes valid; a role or a policy is corrected by somebody who waits for the effect.
const INVALID: Duration = Duration::from_secs(15 * 60);
const FORBIDDEN: Duration = Duration::from_secs(5 * 60);

/// What the requests brought.
#[derive(Debug, Default)]
pub struct Memory {
    /// The Job's template, until the Job is made.
    pub(super) template: Option<TemplateRead>,
    /// Whether the Job that the status names is really gone.
    pub(super) looked: Option<Looked>,
    /// What the pods of the Job with this uid tell of the image id.
    pub(super) told: Option<(Box<str>, Told)>,
    /// The refusal of the Job.
    pub(super) refused: Option<Refused>,
}

/// What a Job is made of, of one spec of the image.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TemplateRead {
    /// Uid of the image that was read.
    pub uid: Box<str>,
    /// Its generation: a row of another one may have another version of Kubernetes.
    pub generation: i64,
    /// Its resourceVersion, which tells which of two specs is the newer.
    pub resource_version: ResourceVersion,
    /// The `PodSpec`.
    pub spec: Value,
    /// Annotations of the image that say where its version is from: the Job gets them too.
    pub lineage: BTreeMap<Box<str>, Box<str>>,
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

/// The API server refuses the Job. It is not asked again at the engine's pace: each time costs holding `clusterctl move`
/// and letting it go, and between the times nothing may be held, since nothing is being built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Uid of the image.
    pub uid: Box<str>,
    /// Generation of the image that the Job was made of.
    pub generation: i64,
    /// The word for it.
    pub reason: Reason,
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
    /// Takes an answer, or a refusal of the Job that lasts; others are the engine's.
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
                self.refused = Refused::of(image, refusal, now);
                return self.refused.is_some();
            }
            (_, outcome) => return outcome.is_ok(),
        }
        true
    }
}

impl TemplateRead {
    /// Whether it is of this image, and of its spec as it is. Its status may have changed since, by our own hand too.
    pub(super) fn is_of(&self, image: &Meta) -> bool {
        self.uid == image.uid && self.generation == image.generation
    }
}

impl Refused {
    fn of(image: &Meta, refusal: &Refusal, now: Timestamp) -> Option<Self> {
        let (reason, pause) = match refusal {
            Refusal::Invalid(_) => (Reason::JobRejected, INVALID),
            Refusal::Admission { .. } | Refusal::Forbidden(_) => {
                (Reason::of_trouble(refusal.trouble()?), FORBIDDEN)
            }
            _ => return None,
        };
        Some(Self {
            uid: image.uid.clone(),
            generation: image.generation,
            reason,
            message: refusal.to_string(),
            until: after(now, pause),
        })
    }

    /// Whether it still speaks of this image.
    pub(super) fn holds(&self, image: &Meta, now: Timestamp) -> bool {
        self.uid == image.uid && self.generation == image.generation && now < self.until
    }
}
