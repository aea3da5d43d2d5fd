//! What a plan sees: itself, and the images that its selector and its range pick.

use std::cmp::Ordering;

use api::upgrader::machine_image::{self, MachineImageRow};
use api::upgrader::plan::PlanRow;
use domain::object::{Meta, ObjectRef};
use domain::path::Hop;
use domain::range::VersionRange;
use domain::version::KubernetesVersion;
use runtime::store::Snapshot;

/// Everything that a decision about a plan rests on.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// The plan.
    pub plan: PlanRow,
    /// What may be rolled out, as [`candidates`] has it.
    pub candidates: Vec<Hop<Candidate>>,
    /// There is an image in the namespace.
    pub any: bool,
    /// An image is selected, in the range or not.
    pub any_selected: bool,
    /// The newest selected image in the range that has no id yet.
    pub awaited: Option<Hop<ObjectRef>>,
}

/// An image that may be rolled out.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Identity.
    pub meta: Meta,
    /// `spec.version` as written.
    pub version: Box<str>,
    /// `spec.id`.
    pub id: Box<str>,
}

/// The images that a plan lets its Clusters have: selected, in the range, with an id and not being deleted. One for each
/// version, the newest first; of those that are equally new the younger first, then by name, so that the order is the
/// same whatever the order of a list. None where the plan is not valid.
pub fn candidates(snapshot: Snapshot<'_>, plan: &PlanRow) -> Vec<Hop<Candidate>> {
    candidates_of(snapshot, plan, |_| true)
}

/// The same, of some versions.
pub fn candidates_of(
    snapshot: Snapshot<'_>,
    plan: &PlanRow,
    wanted: impl Fn(&KubernetesVersion) -> bool,
) -> Vec<Hop<Candidate>> {
    let Some(range) = range(plan) else { return Vec::new() };
    let asked_for = |image: &&MachineImageRow| image.parsed.as_ref().is_some_and(&wanted);
    let found = selected(snapshot, plan).filter(asked_for).filter_map(|image| {
        let id = image.id.clone()?;
        let version = version_in(&range, image)?;
        let image = Candidate { meta: image.meta.clone(), version: image.version.clone(), id };
        Some(Hop { version, image })
    });
    let mut found: Vec<_> = found.collect();
    found.sort_by(|a, b| preferred((&a.version, &a.image.meta), (&b.version, &b.image.meta)));
    let mut unique: Vec<Hop<Candidate>> = Vec::with_capacity(found.len());
    for hop in found {
        // Equal versions stand among those that are equally new.
        let equally_new =
            unique.iter().rev().take_while(|it| it.version.cmp_precedence(&hop.version).is_eq());
        if equally_new.into_iter().all(|it| it.version != hop.version) {
            unique.push(hop);
        }
    }
    unique
}

pub(super) fn observe(snapshot: Snapshot<'_>, plan: &PlanRow) -> Observed {
    let awaited = range(plan).and_then(|range| {
        let without_id = selected(snapshot, plan).filter(|image| image.id.is_none());
        let in_range = without_id.filter_map(|image| Some((version_in(&range, image)?, &image.meta)));
        in_range.min_by(|a, b| preferred((&a.0, a.1), (&b.0, b.1)))
    });
    Observed {
        plan: plan.clone(),
        candidates: candidates(snapshot, plan),
        any: present(snapshot, plan).next().is_some(),
        any_selected: selected(snapshot, plan).next().is_some(),
        awaited: awaited
            .map(|(version, meta)| Hop { version, image: ObjectRef::of(machine_image::KIND, meta) }),
    }
}

/// The range, unless the plan is not valid.
fn range(plan: &PlanRow) -> Option<VersionRange> {
    let valid = plan.malformed.is_none() && plan.selector.problem().is_none();
    valid.then(|| plan.version_range.parse().ok()).flatten()
}

fn present<'a>(snapshot: Snapshot<'a>, plan: &'a PlanRow) -> impl Iterator<Item = &'a MachineImageRow> {
    let images = snapshot.in_namespace::<MachineImageRow>(&plan.meta.key.namespace);
    images.filter(|image| !image.meta.deleting)
}

fn selected<'a>(snapshot: Snapshot<'a>, plan: &'a PlanRow) -> impl Iterator<Item = &'a MachineImageRow> {
    present(snapshot, plan).filter(|image| plan.selector.matches(&image.labels))
}

fn version_in(range: &VersionRange, image: &MachineImageRow) -> Option<KubernetesVersion> {
    image.parsed.as_ref().filter(|version| range.matches(version)).cloned()
}

/// The newer first, then the younger, then by name.
fn preferred(a: (&KubernetesVersion, &Meta), b: (&KubernetesVersion, &Meta)) -> Ordering {
    let newer = b.0.cmp_precedence(a.0);
    newer.then_with(|| b.1.created.cmp(&a.1.created)).then_with(|| a.1.key.cmp(&b.1.key))
}
