//! The next step for one Cluster, or the one reason why there is none.

use std::time::Duration;

use api::upgrader::cluster_upgrader::Reason;
use domain::condition;
use domain::verdict::Verdict;
use domain::version::Hop;
use jiff::Timestamp;
use runtime::clock::after;
use runtime::store::Availability;

use super::Policy;
use super::apply::Step;
use super::convergence::{self, Lacking, Standing};
use super::gates::{self, Hindrance, Target, Wanted, hindrance};
use super::hop;
use super::observe::Observed;
use super::patch::{Image, patch};
use super::refusal::Attempt;

/// How long a Cluster must look converged: new machines do not count as out of date at once.
pub(super) const HOLD: Duration = Duration::from_secs(15);
/// When an image that was gone is looked for again, should nothing change before.
const IMAGE_AGAIN: Duration = Duration::from_secs(60);

/// A verdict that comes before its time.
type Early = Box<Verdict<Step, Reason>>;

pub(super) fn decide(observed: &Observed, now: Timestamp, policy: Policy) -> Verdict<Step, Reason> {
    // Nothing to do, and nothing to be said of it.
    if observed.upgrader.meta.deleting {
        return Verdict::done();
    }
    next(observed, now, policy).unwrap_or_else(|early| *early)
}

fn next(observed: &Observed, now: Timestamp, policy: Policy) -> Result<Verdict<Step, Reason>, Early> {
    gates::upgrader(&observed.upgrader).map_err(stop)?;
    let target = gates::target(observed).map_err(stop)?;
    let wanted = gates::wanted(observed).map_err(stop)?;
    match target.current.hop_to(&wanted.version) {
        Hop::Downgrade => {
            let message = format!(
                "the Cluster is at {}, and the Plan at {}: a downgrade is never asked for",
                target.current, wanted.version
            );
            let because = hindrance(Reason::ClusterAhead, message).blocked_by(wanted.object());
            Err(stop(because.unblock("move the range of the Plan up").into()))
        }
        // Build metadata has no order: of two versions that differ in it alone, neither is an upgrade of the other.
        Hop::Same | Hop::Rebuild => {
            converged(observed, &target, now, policy)?;
            settled(observed, &target, now)?;
            Ok(Verdict::done())
        }
        Hop::Patch | Hop::NextMinor | Hop::Minors(_) | Hop::NextMajor => {
            converged(observed, &target, now, policy)?;
            set(observed, &target, &wanted, now)
        }
    }
}

/// Waits where nobody has to act and fails where someone has: each reason says which.
#[expect(clippy::boxed_local, reason = "a hindrance is boxed where it arises, to keep results small")]
fn stop(because: Hindrance) -> Early {
    let verdict = match because.reason.actor() {
        "waits" | "works" => Verdict::wait(*because),
        _ => Verdict::failed(*because),
    };
    verdict.into()
}

/// The Cluster runs the version of its topology everywhere.
fn converged(observed: &Observed, target: &Target<'_>, now: Timestamp, policy: Policy) -> Result<(), Early> {
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

fn stalled(counters: &str) -> String {
    format!("no machine has moved for longer than the deadline [{counters}]")
}

/// The clock is lost with the process; a condition that already says so, about the same counters, is not. Otherwise a
/// restart would hide a stall for another deadline.
fn was_stalled(observed: &Observed, head: &str) -> bool {
    let stalled = condition::find(&observed.upgrader.status.conditions, condition::STALLED);
    stalled.is_some_and(|stalled| {
        let reason = domain::verdict::Reason::name(Reason::UpgradeStalled);
        stalled.status == condition::Status::True
            && stalled.reason == reason
            && stalled.message.starts_with(head)
    })
}

/// A Cluster that names no control plane is not provisioned, so the reference is there; if not, it is waited for.
fn read(observed: &Observed, target: &Target<'_>, lacking: Lacking) -> Early {
    let message = format!("it is not known yet whether every machine runs {}", target.current);
    let verdict = *stop(hindrance(Reason::UpgradeInProgress, message).blocked_by(target.object()).into());
    let step = match (lacking, &target.cluster.control_plane_ref) {
        (Lacking::ControlPlane, Some(control_plane)) => Step::ReadControlPlane {
            namespace: target.cluster.meta.key.namespace.clone(),
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

/// The Cluster has been converged for long enough, or was known to be.
fn settled(observed: &Observed, target: &Target<'_>, now: Timestamp) -> Result<(), Early> {
    let known = condition::find(&observed.upgrader.status.conditions, condition::UP_TO_DATE);
    let known =
        known.is_some_and(|known| known.status == condition::Status::True && *known.message == *runs(target));
    let due = after(observed.clocks.settled_since.unwrap_or(now), HOLD);
    if known || due <= now {
        return Ok(());
    }
    let message = format!("every machine runs {}, which is watched for {} s", target.current, HOLD.as_secs());
    let because = hindrance(Reason::Settling, message).blocked_by(target.object()).not_before(due);
    Err(stop(because.into()))
}

/// The message of a Cluster that has nothing left to do: also the mark by which a later process knows that.
pub(super) fn runs(target: &Target<'_>) -> String {
    format!("Cluster {} runs {}", target.cluster.meta.key.name, target.current)
}

/// Sets version and image, once nothing speaks against it. What Cluster API would refuse anyway is not sent.
fn set(
    observed: &Observed,
    target: &Target<'_>,
    wanted: &Wanted<'_>,
    now: Timestamp,
) -> Result<Verdict<Step, Reason>, Early> {
    hop::size(target, wanted).map_err(stop)?;
    let class = hop::class(observed, target, &wanted.version).map_err(stop)?;
    let variable = observed.upgrader.topology_variable.as_deref();
    if let Some(name) = variable {
        hop::variable(target, class, name).map_err(stop)?;
    }
    settled(observed, target, now)?;

    let image = variable.map(|variable| Image { variable, id: wanted.id });
    let attempt = Attempt {
        resource_version: target.cluster.meta.resource_version,
        class_generation: class.meta.generation,
        version: wanted.version.to_string().into(),
        image: image.map(|image| image.id.into()),
    };
    if let Some(refused) = &observed.refused {
        let due = refused.due(&attempt, &target.cluster.meta.uid);
        if now < due {
            let message = format!(
                "setting {} was refused: {}",
                refused.attempt.version,
                convergence::single_line(&refused.words)
            );
            let because = hindrance(Reason::Blocked, message).blocked_by(target.object()).not_before(due);
            return Err(stop(because.into()));
        }
    }

    let message = format!("{} and its image are being set", wanted.version);
    let verdict = Verdict::wait(hindrance(Reason::SettingVersion, message).blocked_by(target.object()));
    let found = observed.live.image.as_ref().filter(|(key, _)| *key == wanted.image);
    let Some((_, found)) = found else {
        return Ok(verdict.step(Step::ReadImage { key: wanted.image.clone() }));
    };
    if let Err(because) = hop::image(wanted, found.as_ref()) {
        return Err(stop(because.not_before(after(now, IMAGE_AGAIN)).into()));
    }
    Ok(verdict.step(Step::PatchCluster {
        api_version: api_version(observed).into(),
        cluster: target.cluster.meta.key.clone(),
        variable: variable.map(Into::into),
        attempt,
        patch: patch(target.cluster, target.topology, &wanted.version, image),
    }))
}

/// The `group/version` in which Clusters are read: a patch in another could drop fields.
fn api_version(observed: &Observed) -> &str {
    match &observed.clusters {
        Availability::Synced { api_version } => api_version,
        _ => "",
    }
}
