//! The next step for one Cluster, or the one reason why there is none.

use std::time::Duration;

use api::capi::cluster::ClusterRow;
use api::upgrader::cluster_upgrader::Reason;
use domain::condition;
use domain::verdict::{Reason as _, Verdict};
use jiff::Timestamp;
use runtime::clock::after;
use runtime::store::Availability;
use serde_json::Value;

use super::Policy;
use super::apply::Step;
use super::conditions::{Looked, Outcome, look};
use super::convergence::{self, Lacking, Standing};
use super::facts::{Hindrance, Target, hindrance};
use super::gates;
use super::hop::{self, Hop};
use super::observe::Observed;
use super::patch::patch;
use super::refusal::Attempt;
use super::variable::Image;

/// How long a Cluster must look converged: new machines do not count as out of date at once.
pub(super) const HOLD: Duration = Duration::from_secs(15);
/// When an image that was gone is looked for again, should nothing change before.
const IMAGE_AGAIN: Duration = Duration::from_secs(60);
/// When an upgrader that begins to wait for others looks again: whom it waits for may have changed before its status said
/// so, by which it is woken.
const OTHERS_AGAIN: Duration = Duration::from_secs(10);

/// A verdict that comes before its time.
type Early = Box<Verdict<Step, Reason>>;

pub(super) fn decide(observed: &Observed, now: Timestamp, policy: Policy) -> Verdict<Step, Reason> {
    // Nothing to do, and nothing to be said of it.
    if observed.upgrader.meta.deleting {
        return Verdict::done();
    }
    let mut looked = look(observed, now, policy);
    let stop = looked.conditions.iter_mut().find_map(|condition| condition.stop.take());
    let mut verdict = match (stop, &looked.hop) {
        (Some(verdict), _) => *verdict,
        (None, None) => Verdict::done(),
        (None, Some(hop)) => set(observed, &looked, hop),
    };
    if let Some(last_set) = looked.record {
        let meta = &observed.upgrader.meta;
        verdict.steps.insert(0, Step::Record { upgrader: meta.key.clone(), uid: meta.uid.clone(), last_set });
    }
    verdict
}

/// Sets version and image: nothing speaks against it.
fn set(observed: &Observed, looked: &Looked<'_>, hop: &Hop) -> Verdict<Step, Reason> {
    let passed = looked.conditions.iter().all(|condition| condition.outcome == Outcome::Passed);
    let Some((target, patch)) = looked.target.as_ref().zip(operations(observed, looked).filter(|_| passed))
    else {
        let unknown = looked.conditions.iter().find(|condition| condition.outcome != Outcome::Passed);
        let name = unknown.map_or("a condition", |condition| condition.name);
        let message = format!("a bug: {name} was not looked at before a write");
        return Verdict::failed(hindrance(Reason::InternalError, message));
    };
    let verdict = Verdict::wait(setting(hop).blocked_by(target.object()));
    verdict.step(Step::PatchCluster {
        api_version: api_version(observed).into(),
        cluster: target.cluster.meta.key.clone(),
        variable: observed.upgrader.topology_variable.clone(),
        attempt: attempt(observed, target, hop),
        image_only: hop.image_only,
        patch,
    })
}

/// The operations that set the hop, where it is known how its image is set.
pub(super) fn operations(observed: &Observed, looked: &Looked<'_>) -> Option<Vec<Value>> {
    let (target, hop) = looked.target.as_ref().zip(looked.hop.as_ref())?;
    let Some(variable) = observed.upgrader.topology_variable.as_deref() else {
        return Some(patch(target, hop, None));
    };
    let at = observed.images.iter().find(|image| image.version == target.current);
    let current = at.map(|image| (&image.version, &*image.image.id));
    let (version, id) = (&hop.version, &*hop.source.id);
    let image = Image { variable, takes: looked.takes?, version, id, current };
    Some(patch(target, hop, Some(image)))
}

fn setting(hop: &Hop) -> domain::verdict::Because<Reason> {
    let what = if hop.image_only { "another image of" } else { "the version and image of" };
    hindrance(Reason::SettingVersion, format!("{what} {} is being set", hop.version))
}

/// Waits where nobody has to act and fails where someone has: each reason says which.
#[expect(clippy::boxed_local, reason = "a hindrance is boxed where it arises, to keep results small")]
pub(super) fn stop(because: Hindrance) -> Early {
    let verdict = match because.reason.actor() {
        "waits" | "works" => Verdict::wait(*because),
        _ => Verdict::failed(*because),
    };
    verdict.into()
}

/// Waits for other Clusters; `until` is when what holds it may lapse by itself.
pub(super) fn held(
    observed: &Observed,
    because: Hindrance,
    until: Option<Timestamp>,
    now: Timestamp,
) -> Early {
    let again = (!observed.upgrader.waits_for(because.reason)).then(|| after(now, OTHERS_AGAIN));
    let verdict = *stop(because);
    again.into_iter().chain(until).fold(verdict, Verdict::recheck).into()
}

/// The Cluster runs the version of its topology everywhere.
pub(super) fn converged(
    observed: &Observed,
    target: &Target<'_>,
    now: Timestamp,
    policy: Policy,
) -> Result<(), Early> {
    let (mut because, again) =
        match convergence::standing(target.cluster, target.topology, &target.current, &observed.live) {
            Standing::Converged => return Ok(()),
            Standing::Lacking(lacking) => return Err(read(observed, target, lacking)),
            Standing::Not { because, again } => (because, again),
        };
    let unmoved = observed.clocks.unmoved.as_ref().filter(|_| convergence::can_stall(because.reason));
    let mut deadline = None;
    if let Some(unmoved) = unmoved {
        let due = after(unmoved.since, policy.stall_after);
        let head = stalled(&unmoved.counters);
        if due <= now || was_stalled(observed, &head) {
            because.reason = Reason::UpgradeStalled;
            because.message = format!("{head}; {}", because.message);
            because.unblock = Some("look at the Machines of the Cluster".to_owned());
        } else {
            deadline = Some(due);
        }
    }
    let told_anew =
        convergence::lingers_from(&observed.clocks).filter(|from| deadline.is_some() && now < *from);
    let verdict = *stop(because);
    Err(again.into_iter().chain(deadline).chain(told_anew).fold(verdict, Verdict::recheck).into())
}

/// Nobody has paused the Cluster. One that had stalled before is stalled still, as far as its counters tell: whoever pauses
/// it to look at its Machines does not clear its image.
pub(super) fn not_paused(observed: &Observed, cluster: &ClusterRow) -> Result<(), Hindrance> {
    let Err(mut because) = gates::cluster_not_paused(cluster) else { return Ok(()) };
    let (control_plane, pools) = (&observed.live.control_plane, &observed.live.machine_pools);
    let head = stalled(&convergence::counters(cluster, control_plane.as_ref(), pools.as_ref()));
    if was_stalled(observed, &head) {
        because.reason = Reason::UpgradeStalled;
        because.message = format!("{head}; {}", because.message);
    }
    Err(because)
}

fn stalled(counters: &str) -> String {
    format!("no machine has moved for longer than the deadline [{counters}]")
}

/// The clock is lost with the process; a condition that already says so, about the same counters, is not. Otherwise a
/// restart would hide a stall for another deadline.
fn was_stalled(observed: &Observed, head: &str) -> bool {
    let stalled = condition::find(&observed.upgrader.status.conditions, condition::STALLED);
    stalled.is_some_and(|stalled| {
        stalled.status == condition::Status::True
            && stalled.reason == Reason::UpgradeStalled.name()
            && stalled.message.starts_with(head)
    })
}

/// A Cluster that names no control plane is not provisioned, so the reference is there; if not, it is waited for.
fn read(observed: &Observed, target: &Target<'_>, lacking: Lacking) -> Early {
    let message = format!("it is not known yet whether every machine runs {}", target.current);
    let verdict = *stop(hindrance(Reason::UpgradeInProgress, message).blocked_by(target.object()).into());
    let step = match (lacking, &target.cluster.control_plane_ref) {
        (Lacking::ControlPlane, Some(control_plane)) => Step::ReadControlPlane {
            namespace: (&*target.cluster.meta.key.namespace).into(),
            control_plane: control_plane.clone(),
        },
        (Lacking::ControlPlane, None) => return verdict.into(),
        (Lacking::MachinePools, _) => Step::ReadMachinePools {
            api_version: api_version(observed).into(),
            cluster: target.cluster.meta.key.clone(),
        },
    };
    verdict.step(step).into()
}

/// The Cluster has been converged for long enough, or was known to be. Where it would take a place among those of its
/// plan that may roll, this process has to have watched it: until then it may not have looked at every Cluster that an
/// earlier one has set in its last moment.
pub(super) fn settled(
    observed: &Observed,
    target: &Target<'_>,
    takes_place: bool,
    now: Timestamp,
) -> Result<(), Early> {
    let known = condition::find(&observed.upgrader.status.conditions, condition::UP_TO_DATE);
    let known =
        known.is_some_and(|known| known.status == condition::Status::True && is_of(&known.message, target));
    let due = after(observed.clocks.settled_since.unwrap_or(now), HOLD);
    if (known && !takes_place) || due <= now {
        return Ok(());
    }
    let message = format!("every machine runs {}, which is watched for {} s", target.current, HOLD.as_secs());
    let because = hindrance(Reason::Settling, message).blocked_by(target.object()).not_before(due);
    Err(stop(because.into()))
}

/// The message of a Cluster that has nothing left to do begins so: also the mark by which a later process knows that.
pub(super) fn runs(target: &Target<'_>) -> String {
    format!("Cluster {} runs {}", target.cluster.meta.key.name, target.current)
}

/// Whether a message says that the Cluster has nothing left to do at its present version.
fn is_of(message: &str, target: &Target<'_>) -> bool {
    message.strip_prefix(&*runs(target)).is_some_and(|rest| rest.is_empty() || rest.starts_with(';'))
}

fn attempt(observed: &Observed, target: &Target<'_>, hop: &Hop) -> Attempt {
    let variable = observed.upgrader.topology_variable.as_ref();
    Attempt {
        resource_version: target.cluster.meta.resource_version,
        class_generation: observed.class.as_ref().map_or(0, |class| class.meta.generation),
        version: hop.version.to_string().into(),
        image: variable.map(|_| hop.source.id.clone()),
    }
}

/// This write was not refused, or may be tried again.
pub(super) fn not_refused(
    observed: &Observed,
    target: &Target<'_>,
    hop: &Hop,
    now: Timestamp,
) -> Result<(), Early> {
    let Some(refused) = &observed.refused else { return Ok(()) };
    let due = refused.due(&attempt(observed, target, hop), &target.cluster.meta.uid);
    if due <= now {
        return Ok(());
    }
    let words = convergence::single_line(&refused.words);
    let message = format!("setting {} was refused: {words}", refused.attempt.version);
    let because = hindrance(Reason::Blocked, message).blocked_by(target.object()).not_before(due);
    Err(stop(because.into()))
}

/// The image of the hop, read a moment ago, is what the plan found.
pub(super) fn image_there(observed: &Observed, hop: &Hop, now: Timestamp) -> Result<(), Early> {
    let key = &hop.source.key;
    let Some((_, found)) = observed.live.image.as_ref().filter(|(of, _)| of == key) else {
        let verdict = *stop(setting(hop).into());
        return Err(verdict.step(Step::ReadImage { key: key.clone() }).into());
    };
    hop::image(hop, found.as_ref())
        .map_err(|because| stop(because.not_before(after(now, IMAGE_AGAIN)).into()))
}

/// The `group/version` in which Clusters are read: a patch in another could drop fields.
pub(super) fn api_version(observed: &Observed) -> &str {
    match &observed.clusters {
        Availability::Synced { api_version } => api_version,
        _ => "",
    }
}
