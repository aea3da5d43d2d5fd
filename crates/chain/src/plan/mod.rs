//! `Plan`: the newest machine image in a range, among those that a selector picks.
//!
//! *Reads* the MachineImages of its namespace. *Writes* its own status and nothing else. An image counts once it has an id.
//! Of two images of one version the younger counts, then the first by name, so that the choice does not depend on the
//! order of a list. A result that no longer holds is cleared.
//!
//! It looks at no Cluster: `status.path` says for each minor from the lowest that has an image up to the result which image
//! a Cluster gets there, or that there is none. Which hop a Cluster makes is its upgrader's matter, out of [`candidates`].

mod apply;
mod decide;
mod observe;
mod status;
#[cfg(test)]
mod tests;

use api::upgrader::machine_image::{self, MachineImageRow};
use api::upgrader::plan::{KIND, PlanRow, Reason};
use domain::object::{Kind, ObjectKey, Row as _};
use domain::verdict::Verdict;
use futures::future::BoxFuture;
use jiff::Timestamp;
use runtime::answer::Refusal;
use runtime::engine::Registrar;
use runtime::request::Shell;
use runtime::room::{Applied, Recall, Report, Room};
use runtime::rules::Rule;
use runtime::store::Snapshot;

pub use self::apply::Step;
pub use self::observe::{Candidate, Observed, candidates, candidates_of};

/// The controller of plans.
#[derive(Debug, Default)]
pub struct PlanRoom;

impl Room for PlanRoom {
    const NAME: &'static str = "plan";
    const MANAGER: &'static str = "kubernetes-upgrader-plan";
    const KIND: Kind = KIND;
    const RULES: &'static [Rule] = &[
        Rule::new(KIND.group, "plans", &["list", "watch"]),
        Rule::new(KIND.group, "plans/status", &["patch"]),
        Rule::new(KIND.group, "machineimages", &["list", "watch"]),
        runtime::EVENTS_RULE,
    ];
    type Row = PlanRow;
    type Observed = Observed;
    type Step = Step;
    type Answer = ();
    type Memory = ();
    type Shared = ();
    type Reason = Reason;

    fn watches(registrar: &mut Registrar<'_>) {
        registrar.watch::<MachineImageRow>(machine_image::KIND, plans_of);
    }

    fn observe(&self, snapshot: Snapshot<'_>, row: &PlanRow, _: Recall<'_, Self>, _: Timestamp) -> Observed {
        observe::observe(snapshot, row)
    }

    fn decide(&self, observed: &Observed, _: Timestamp) -> Verdict<Step, Reason> {
        decide::decide(observed)
    }

    fn report(&self, observed: &Observed, verdict: &Verdict<Step, Reason>, now: Timestamp) -> Report {
        status::report(observed, verdict, now)
    }

    fn apply(&self, _: Shell, step: Step) -> BoxFuture<'static, Result<Applied<()>, Refusal>> {
        match step {}
    }
}

/// What of an image a plan chooses by, and with that what its upgraders go by.
pub(crate) fn chosen_by(row: &MachineImageRow) -> impl PartialEq + use<'_> {
    (&row.version, &row.id, &row.labels, &row.meta.uid, row.meta.deleting)
}

/// Every plan of the namespace may choose this image, or may have chosen it.
fn plans_of(
    snapshot: Snapshot<'_>,
    image: &ObjectKey,
    before: Option<&MachineImageRow>,
    after: Option<&MachineImageRow>,
) -> Vec<ObjectKey> {
    if before.map(chosen_by) == after.map(chosen_by) {
        return Vec::new();
    }
    let plans = snapshot.in_namespace::<PlanRow>(&image.namespace);
    plans.map(|plan| plan.meta().key.clone()).collect()
}
