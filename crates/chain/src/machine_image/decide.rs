//! Whether an image is there, is being built, or is to be built.

use api::batch::job::{self, DEADLINE_EXCEEDED, Ended, IMAGE_ID, JobRow};
use api::upgrader::machine_image::{MachineImageRow, Reason};
use domain::object::ObjectRef;
use domain::verdict::{Because, Reason as _, Trouble, Verdict};
use domain::version::KubernetesVersion;
use jiff::Timestamp;

use super::apply::Step;
use super::image_id::{self, Told};
use super::job::{Order, manifest};
use super::observe::{Next, Observed, Previous, Template};
use super::retry;

pub(super) fn decide(observed: &Observed, now: Timestamp) -> Verdict<Step, Reason> {
    let image = &observed.image;
    if image.meta.deleting {
        return Verdict::wait(Because::new(Reason::Deleting, "the machine image is being deleted"));
    }
    if let Some(error) = &image.malformed {
        return Verdict::failed(Because::new(Reason::of_trouble(Trouble::Malformed), &**error));
    }
    if image.id.is_some() {
        return let_go(image, Verdict::done());
    }
    if let Some(words) = &observed.hidden {
        let message = format!("cannot see the Jobs that may build it: {words}");
        return Verdict::failed(Because::new(Reason::of_trouble(Trouble::Forbidden), message));
    }
    match (&observed.job, &observed.next) {
        (Some(job), _) => built(observed, job, now),
        (None, Some(next)) => to_build(image, next),
        (None, None) => Verdict::done(),
    }
}

/// There is a Job: its end decides, and nothing else; a pod of it that failed is retried by the Job itself.
fn built(observed: &Observed, job: &JobRow, now: Timestamp) -> Verdict<Step, Reason> {
    let image = &observed.image;
    if let Some(error) = &job.malformed {
        let message = format!("the Job that builds it cannot be read: {error}");
        return Verdict::failed(of(job, Reason::of_trouble(Trouble::Malformed), message));
    }
    let told = image_id::of_job(job);
    // Where no condition was set (an older or a foreign Job controller), the id must be there to believe the counters.
    let succeeded = job.complete.is_some()
        || (job.failed.is_none() && job.succeeded >= 1 && job.active == 0 && told.is_some());
    let told = told.or_else(|| observed.told.clone()).filter(|_| succeeded);
    let other = job.kubernetes_version.as_deref().filter(|built| **built != *image.version);
    if let (Some(Told::Id(_)), Some(built), false) = (&told, other, job.meta.deleting) {
        // Its image under this version would be rolled out as what it is not.
        let message = format!("the Job has built {built}, and spec.version is {} now", image.version);
        let again = format!("delete Job {} to build again", job.meta.key.name);
        let because = of(job, Reason::JobOfOtherVersion, message).unblock(again);
        return let_go(image, Verdict::failed(because));
    }
    if let (Some(Told::Id(id)), None) = (told.clone(), other) {
        // Also of a Job that is being deleted: the image is there.
        let because = of(job, Reason::Building, "the image is built, its id is to be recorded");
        let step = Step::RecordId { image: image.meta.clone(), id, let_go: image.blocks_move };
        return Verdict::wait(because).step(step);
    }
    if job.meta.deleting {
        return deleting(job);
    }
    let failed = |reason, message: String| {
        let again = format!("delete Job {} to build again", job.meta.key.name);
        let_go(image, Verdict::failed(of(job, reason, message).unblock(again)))
    };
    match told {
        Some(Told::Nothing(why)) => {
            let message =
                format!("the Job has succeeded without an image id: no annotation {IMAGE_ID}, and {why}");
            failed(Reason::ImageIdMissing, message)
        }
        Some(Told::Unclear(why)) => {
            let message = format!("the Job has succeeded, and what it tells cannot be an image id: {why}");
            failed(Reason::ImageIdAmbiguous, message)
        }
        _ if succeeded => {
            let because =
                of(job, Reason::Building, "the Job has succeeded, its pods are to tell the image id");
            Verdict::wait(because).step(Step::ReadPods { job: job.meta.clone() })
        }
        _ => match &job.failed {
            Some(ended) => match &observed.next {
                Some(Next { not_before: Some(due), .. }) if *due > now => waiting(image, job, ended, *due),
                Some(next) => to_build(image, next),
                None => last_failed(image, job, ended),
            },
            None => building(image, job, other),
        },
    }
}

/// `other` is the version that the Job builds where it is not the one that is asked for.
fn building(image: &MachineImageRow, job: &JobRow, other: Option<&str>) -> Verdict<Step, Reason> {
    let message = match (other, job.failed_pods) {
        (Some(built), _) => format!("the Job builds {built}, and spec.version is {} now", image.version),
        (None, 0) => "the image is being built".to_owned(),
        (None, 1) => "the image is being built, 1 pod has failed so far".to_owned(),
        (None, several) => format!("the image is being built, {several} pods have failed so far"),
    };
    let mut because = of(job, Reason::Building, message);
    if other.is_some() {
        because = because.unblock(format!("delete Job {} to build that", job.meta.key.name));
    }
    let verdict = Verdict::wait(because);
    if image.blocks_move { verdict } else { verdict.step(hold(image, &job.meta.key.name)) }
}

/// A build has failed, and another follows by itself. Nothing is being built until then.
fn waiting(image: &MachineImageRow, job: &JobRow, ended: &Ended, due: Timestamp) -> Verdict<Step, Reason> {
    let (attempt, most) = (retry::attempt(job), retry::most(image));
    let message = format!("build {attempt} of {most} has failed, and another follows: {}", how(ended));
    let again = format!("delete Job {} to build at once", job.meta.key.name);
    let because = of(job, Reason::WaitingToRetry, message).not_before(due).unblock(again);
    let_go(image, Verdict::wait(because))
}

/// A build has failed, and none follows by itself.
fn last_failed(image: &MachineImageRow, job: &JobRow, ended: &Ended) -> Verdict<Step, Reason> {
    let message = match retry::attempt(job) {
        1 => how(ended),
        several => format!("all {several} builds have failed, the last one so: {}", how(ended)),
    };
    let raise =
        if *ended.reason == *DEADLINE_EXCEEDED { "raise spec.build.deadlineSeconds, then " } else { "" };
    let again = format!("{raise}delete Job {} to build again", job.meta.key.name);
    let_go(image, Verdict::failed(of(job, Reason::JobFailed, message).unblock(again)))
}

/// How a Job failed, with the Job controller's words.
fn how(ended: &Ended) -> String {
    let mut message = if *ended.reason == *DEADLINE_EXCEEDED {
        "the Job has taken longer than its deadline allows".to_owned()
    } else {
        "the Job has failed".to_owned()
    };
    for words in [&ended.reason, &ended.message] {
        let words = words.trim_end_matches('.');
        if !words.is_empty() {
            message.push_str(": ");
            message.push_str(words);
        }
    }
    message
}

/// There is neither Job nor id.
fn to_build(image: &MachineImageRow, next: &Next) -> Verdict<Step, Reason> {
    let failed = |reason, message: String, hint: &str| {
        let_go(image, Verdict::failed(Because::new(reason, message).unblock(hint)))
    };
    if let Err(error) = KubernetesVersion::parse_lenient(&image.version) {
        let message = if image.version.is_empty() { "it is missing".to_owned() } else { error.to_string() };
        return failed(Reason::InvalidVersion, format!("spec.version: {message}"), "correct the version");
    }
    if let Err(problem) = &image.containers {
        return failed(Reason::InvalidTemplate, problem.to_string(), "correct spec.jobTemplate.spec");
    }
    if let Some(refused) = &next.refused {
        let because =
            Because::new(refused.reason, format!("cannot create Job {}: {}", next.name, refused.message));
        return let_go(image, Verdict::failed(because.not_before(refused.until)));
    }
    match &next.occupant {
        Some(job) if job.meta.deleting => return let_go(image, deleting(job)),
        Some(job) => {
            let because = of(job, Reason::JobNameTaken, "the name of the Job to be made is taken");
            return let_go(image, Verdict::wait(because));
        }
        None => {}
    }
    let creating = |message: String| Verdict::wait(Because::new(Reason::CreatingJob, message));
    let verdict = creating(format!("Job {} is being made", next.name));
    match &next.previous {
        Previous::Gone => {}
        Previous::Unknown(uid) => {
            let (image, previous, seen) = (image.meta.clone(), uid.clone(), next.seen.clone());
            return verdict.step(Step::ReadJobs { image, previous, seen });
        }
        Previous::Unseen { name, again } => {
            return creating(format!("Job {name} is there, and the watch has not shown it yet"))
                .recheck(*again);
        }
    }
    // Held before there is a Job: a process that is killed in between leaves no build that could be moved away from.
    if !image.blocks_move {
        return verdict.step(hold(image, &next.name));
    }
    match &next.template {
        Template::Unread => verdict.step(Step::ReadTemplate { image: image.meta.clone() }),
        Template::Ahead => {
            creating("the machine image has changed, and the watch has not shown it yet".to_owned())
        }
        Template::Read(template) => verdict.step(Step::CreateJob {
            image: image.meta.clone(),
            name: next.name.clone(),
            body: manifest(Order { image, name: &next.name, attempt: next.attempt }, template),
        }),
    }
}

fn deleting(job: &JobRow) -> Verdict<Step, Reason> {
    Verdict::wait(of(job, Reason::JobDeleting, "the Job is being deleted"))
}

fn hold(image: &MachineImageRow, job: &str) -> Step {
    Step::HoldMove { image: image.meta.clone(), job: job.into() }
}

/// Nothing is being built: `clusterctl move` may take it.
fn let_go(image: &MachineImageRow, verdict: Verdict<Step, Reason>) -> Verdict<Step, Reason> {
    if image.blocks_move { verdict.step(Step::ReleaseMove { image: image.meta.clone() }) } else { verdict }
}

/// A reason that lies with a Job.
fn of(job: &JobRow, reason: Reason, message: impl Into<String>) -> Because<Reason> {
    Because::new(reason, message).blocked_by(ObjectRef::of(job::KIND, &job.meta))
}
