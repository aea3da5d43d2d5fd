//! Which image a plan rolls out, or why none.

use std::cmp::Ordering;

use api::upgrader::plan::Reason;
use domain::range::VersionRange;
use domain::verdict::{Because, Reason as _, Trouble, Verdict};
use domain::version::KubernetesVersion;

use super::apply::Step;
use super::observe::{Candidate, Observed};

pub(super) fn decide(observed: &Observed) -> Verdict<Step, Reason> {
    let plan = &observed.plan;
    if let Some(error) = &plan.malformed {
        return Verdict::failed(Because::new(Reason::of_trouble(Trouble::Malformed), &**error));
    }
    if let Some(problem) = plan.selector.problem() {
        let because = Because::new(Reason::InvalidSelector, format!("spec.machineImageSelector: {problem}"));
        return Verdict::failed(because.unblock("correct the selector"));
    }
    let range: VersionRange = match plan.version_range.parse() {
        Ok(range) => range,
        Err(error) => {
            let because = Because::new(Reason::InvalidVersionRange, format!("spec.versionRange: {error}"));
            return Verdict::failed(because.unblock("correct the range"));
        }
    };
    if choose(&range, &observed.candidates).is_some() {
        return Verdict::done();
    }
    let message = match observed.candidates.len() {
        0 => "no selected machine image has an id".to_owned(),
        1 => format!("the one selected machine image with an id is not in {}", plan.version_range),
        several => {
            format!("none of the {several} selected machine images with an id is in {}", plan.version_range)
        }
    };
    Verdict::wait(Because::new(Reason::NoSuitableMachineImage, message))
}

/// The image that a plan rolls out.
pub(super) fn chosen(observed: &Observed) -> Option<&Candidate> {
    let plan = &observed.plan;
    if plan.malformed.is_some() || plan.selector.problem().is_some() {
        return None;
    }
    choose(&plan.version_range.parse().ok()?, &observed.candidates)
}

fn choose<'a>(range: &VersionRange, candidates: &'a [Candidate]) -> Option<&'a Candidate> {
    let parsed = candidates.iter().filter_map(|candidate| {
        let version = KubernetesVersion::parse_strict(&candidate.version).ok()?;
        range.matches(&version).then_some((version, candidate))
    });
    parsed.max_by(preferred).map(|(_, candidate)| candidate)
}

/// By version, then the younger, then the first by name: the same choice whatever the order of the list.
fn preferred(a: &(KubernetesVersion, &Candidate), b: &(KubernetesVersion, &Candidate)) -> Ordering {
    let by_version = a.0.cmp_precedence(&b.0);
    by_version
        .then_with(|| a.1.meta.created.cmp(&b.1.meta.created))
        .then_with(|| b.1.meta.key.cmp(&a.1.meta.key))
}
