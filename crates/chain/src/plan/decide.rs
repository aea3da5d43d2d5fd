//! Which image a plan rolls out, or why none.

use api::upgrader::plan::Reason;
use domain::path::Hop;
use domain::range::VersionRange;
use domain::verdict::{Because, Reason as _, Trouble, Verdict};

use super::apply::Step;
use super::observe::{Candidate, Observed};

/// Done is done once there is an image to roll out. A minor that has none on the way to it is another matter: it stands
/// in `status.path` and in the message, and holds back those Clusters alone that have not gone through it.
pub(super) fn decide(observed: &Observed) -> Verdict<Step, Reason> {
    let plan = &observed.plan;
    if let Some(error) = &plan.malformed {
        return Verdict::failed(Because::new(Reason::of_trouble(Trouble::Malformed), &**error));
    }
    if let Some(problem) = plan.selector.problem() {
        let because = Because::new(Reason::InvalidSelector, format!("spec.machineImageSelector: {problem}"));
        return Verdict::failed(because.unblock("correct the selector"));
    }
    if let Err(error) = plan.version_range.parse::<VersionRange>() {
        let because = Because::new(Reason::InvalidVersionRange, format!("spec.versionRange: {error}"));
        return Verdict::failed(because.unblock("correct the range"));
    }
    if chosen(observed).is_some() {
        return Verdict::done();
    }
    Verdict::wait(no_suitable_image(observed))
}

fn no_suitable_image(observed: &Observed) -> Because<Reason> {
    let wait = |message: String| Because::new(Reason::NoSuitableMachineImage, message);
    if let Some(awaited) = &observed.awaited {
        let message = format!("the machine image of {} has no id yet", awaited.version);
        return wait(message).blocked_by(awaited.image.clone());
    }
    if observed.any_selected {
        let message = format!("no selected machine image is in {}", observed.plan.version_range);
        return wait(message).unblock("widen spec.versionRange, or have an image of it made");
    }
    if observed.any {
        let message =
            "spec.machineImageSelector selects none of the machine images that there are".to_owned();
        return wait(message).unblock("correct it, or label an image so that it is selected");
    }
    wait("there is no machine image in the namespace".to_owned())
        .unblock("have one made by a MachineImageSyncer, or create one")
}

/// The image that a plan rolls out.
pub(super) fn chosen(observed: &Observed) -> Option<&Candidate> {
    observed.candidates.first().map(|Hop { image, .. }| image)
}
