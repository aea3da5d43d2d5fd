//! `MachineImage`: an image with one version of Kubernetes, and the Job that builds it.
//!
//! *Reads* its Jobs, by owner; live, just before a Job is made, its own `jobTemplate`, and once, after a Job has succeeded
//! without saying more, the termination messages of its pods. *Writes* its status, `spec.id` once, the annotation that
//! holds `clusterctl move`, and one Job per attempt.
//!
//! An image with an id is there, wherever the id came from: no Job is made for it, and no id is ever overwritten. Without
//! one, a Job is made as soon as there is none; deleting a Job that has failed is how a human asks for the next, and
//! `spec.build.retries` has some made without asking: each after a pause that grows, one at a time, counted by an annotation
//! of the Job, so that a restart begins no count anew. Nothing builds in the pause, so that `clusterctl move` may go on in
//! it. A Job is never deleted, and judged by its conditions. `spec.version` may be anything as long as an id is there; to build, it
//! must read as a version (`1.27` does), because nothing downstream would ever choose another.

mod apply;
mod decide;
mod image_id;
mod job;
mod memory;
mod observe;
mod retry;
mod status;
#[cfg(test)]
mod tests;

use api::batch::job::{self as batch_job, JobRow};
use api::upgrader::machine_image::{KIND, MachineImageRow, Reason};
use domain::object::{Kind, ObjectKey};
use domain::verdict::Verdict;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use jiff::Timestamp;
use runtime::answer::Refusal;
use runtime::engine::Registrar;
use runtime::request::Shell;
use runtime::room::{Applied, Recall, Report, Room};
use runtime::rules::Rule;
use runtime::store::Snapshot;

pub use self::apply::Step;
pub use self::image_id::Told;
pub use self::job::Order;
pub use self::memory::{Answer, Looked, Memory, Refused, TemplateRead};
pub use self::observe::{Next, Observed, Previous, Template};

/// The controller of machine images.
#[derive(Debug, Default)]
pub struct MachineImageRoom;

impl Room for MachineImageRoom {
    const NAME: &'static str = "machineimage";
    const MANAGER: &'static str = "kubernetes-upgrader-machineimage";
    const KIND: Kind = KIND;
    const RULES: &'static [Rule] = &[
        Rule::new(KIND.group, "machineimages", &["get", "list", "watch", "patch"]),
        Rule::new(KIND.group, "machineimages/status", &["patch"]),
        // For no request of ours: a Job that blocks the deletion of its owner may only be created by who has this, where
        // the admission plugin OwnerReferencesPermissionEnforcement is on.
        Rule::new(KIND.group, "machineimages/finalizers", &["update"]),
        Rule::new("batch", "jobs", &["list", "watch", "create"]),
        Rule::new("", "pods", &["list"]),
        runtime::EVENTS_RULE,
    ];
    type Row = MachineImageRow;
    type Observed = Observed;
    type Step = Step;
    type Answer = Answer;
    type Memory = Memory;
    type Shared = ();
    type Reason = Reason;

    fn watches(registrar: &mut Registrar<'_>) {
        registrar.watch::<JobRow>(batch_job::KIND, images_of);
    }

    fn observe(
        &self,
        snapshot: Snapshot<'_>,
        row: &MachineImageRow,
        recall: Recall<'_, Self>,
        now: Timestamp,
    ) -> Observed {
        observe::observe(snapshot, row, recall.memory, now)
    }

    fn decide(&self, observed: &Observed, now: Timestamp) -> Verdict<Step, Reason> {
        decide::decide(observed, now)
    }

    fn report(&self, observed: &Observed, verdict: &Verdict<Step, Reason>, now: Timestamp) -> Report {
        status::report(observed, verdict, now)
    }

    fn apply(&self, shell: Shell, step: Step) -> BoxFuture<'static, Result<Applied<Answer>, Refusal>> {
        apply::apply(shell, step).boxed()
    }

    fn learn(
        &self,
        recall: Recall<'_, Self>,
        step: &Step,
        outcome: Result<Answer, &Refusal>,
        now: Timestamp,
    ) -> bool {
        recall.memory.learn(step, outcome, now)
    }
}

/// The image that owns a Job, and one that waits for its name to become free. Most Jobs of a cluster are of nobody here,
/// and in namespaces without images, so they cost a look at an empty range.
fn images_of(
    snapshot: Snapshot<'_>,
    key: &ObjectKey,
    before: Option<&JobRow>,
    after: Option<&JobRow>,
) -> Vec<ObjectKey> {
    let owners = [before, after].map(|job| job.and_then(|job| job.owner_uid.as_deref()));
    let concerns = |image: &&MachineImageRow| {
        owners.contains(&Some(&*image.meta.uid))
            || (image.id.is_none() && *observe::awaited(snapshot, image) == *key.name)
    };
    let images = snapshot.in_namespace::<MachineImageRow>(&key.namespace);
    images.filter(concerns).map(|image| image.meta.key.clone()).collect()
}
