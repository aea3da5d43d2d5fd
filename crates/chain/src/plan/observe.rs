//! What a plan sees: itself, and the images that its selector picks.

use api::upgrader::machine_image::MachineImageRow;
use api::upgrader::plan::PlanRow;
use domain::object::Meta;
use runtime::store::Snapshot;

/// Everything that a decision about a plan rests on.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// The plan.
    pub plan: PlanRow,
    /// Selected images that have an id and are not being deleted, in the order of their names.
    pub candidates: Vec<Candidate>,
}

/// An image that could be rolled out.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Identity.
    pub meta: Meta,
    /// `spec.version` as written.
    pub version: Box<str>,
    /// `spec.id`.
    pub id: Box<str>,
}

pub(super) fn observe(snapshot: Snapshot<'_>, plan: &PlanRow) -> Observed {
    let images = snapshot.in_namespace::<MachineImageRow>(&plan.meta.key.namespace);
    let selected = images.filter(|image| !image.meta.deleting && plan.selector.matches(&image.labels));
    let candidates = selected
        .filter_map(|image| {
            let id = image.id.clone()?;
            Some(Candidate { meta: image.meta.clone(), version: image.version.clone(), id })
        })
        .collect();
    Observed { plan: plan.clone(), candidates }
}
