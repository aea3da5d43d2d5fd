//! What would be done for one Cluster, told from objects that were read once: for a person who asks before anything is
//! written.

use api::upgrader::cluster_upgrader::{Reason, UpgraderRow};
use api::upgrader::machine_image::MachineImageRow;
use domain::object::ObjectKey;
use domain::verdict::Because;
use domain::version::KubernetesVersion;
use jiff::Timestamp;
use runtime::store::Snapshot;
use serde_json::Value;

use super::conditions::{Condition, Outcome, look};
use super::decide::{api_version, operations};
use super::facts::Target;
use super::fleet::Fleet;
use super::memory::Memory;
use super::observe::{Observed, observe};
use super::{Policy, facts, hop};

/// What would be done for a Cluster, and what speaks against it.
#[derive(Clone, Debug, PartialEq)]
pub struct Preflight {
    /// Everything that must hold, in the order in which it is looked at.
    pub conditions: Vec<Condition>,
    /// The write of the next hop, where it is known, whether every condition holds or not; none where the Cluster is
    /// where it is to go.
    pub write: Option<Write>,
    /// What ends the way behind that hop, so that the Cluster would stop short of the version that was asked for.
    pub ends: Option<Because<Reason>>,
}

/// The write of one hop.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// The version that it sets.
    pub version: KubernetesVersion,
    /// The id of the image that it sets, or, without `spec.topologyVariable`, that the provider will look up.
    pub image: Box<str>,
    /// The machine image that it comes from.
    pub machine_image: ObjectKey,
    /// `group/version` in which the patch is to be sent: that in which the Cluster was read.
    pub api_version: Box<str>,
    /// The Cluster.
    pub cluster: ObjectKey,
    /// The operations of the JSON Patch.
    pub patch: Vec<Value>,
}

/// What moving a Cluster to `to` would take; to the result of its plan where nothing is asked for.
///
/// The snapshot has to hold the upgraders, Plan and machine images of the namespace, the Cluster and its class; for
/// `ImageNotSuspect` also the Clusters of the other upgraders. Availability of the Clusters' table tells in which
/// `group/version` they were read. The upgrader need not exist: where a Cluster has none, one can be made up, with a Plan of
/// its name that selects everything. What one look cannot tell, as whether a Cluster has been at rest for long enough, is
/// not looked at; the machine image counts as read.
pub fn preflight(
    snapshot: Snapshot<'_>,
    upgrader: &UpgraderRow,
    to: Option<&KubernetesVersion>,
    now: Timestamp,
    policy: Policy,
) -> Preflight {
    let (mut memory, mut fleet) = (Memory::default(), Fleet::default());
    let mut observed = observe(snapshot, upgrader, to, (&mut memory, &mut fleet), now);
    observed.live.image = next_image(&observed).map(|key| {
        let found = snapshot.get::<MachineImageRow>(&key).cloned();
        (key, found)
    });
    let looked = look(&observed, now, policy);
    let patch = operations(&observed, &looked);
    let write = looked.target.as_ref().zip(looked.hop.as_ref()).zip(patch);
    let write = write.map(|((target, hop), patch)| Write {
        version: hop.version.clone(),
        image: hop.source.id.clone(),
        machine_image: hop.source.key.clone(),
        api_version: api_version(&observed).into(),
        cluster: target.cluster.meta.key.clone(),
        patch,
    });
    let ends = looked.target.as_ref().filter(|_| write.is_some()).and_then(|target| ends(&observed, target));
    Preflight { conditions: looked.conditions.into_iter().map(seen_once).collect(), write, ends }
}

/// What is missing behind the next hop, on the way from what the Cluster has to what is wanted.
fn ends(observed: &Observed, from: &Target<'_>) -> Option<Because<Reason>> {
    let wanted = facts::wanted(observed).ok()?;
    let mut at = from.clone();
    loop {
        match hop::next(observed, &at, &wanted) {
            // Each leads to a newer image, so there are no more of them than images.
            hop::Next::Hop(hop) if !hop.image_only => at.current = hop.version,
            hop::Next::Missing(missing) => {
                let ends = hop::image_missing(from, &wanted, &missing);
                return ends.or_else(|| hop::not_listed(observed, from, &missing)).map(|because| *because);
            }
            hop::Next::Hop(_) | hop::Next::Reached => return None,
        }
    }
}

fn next_image(observed: &Observed) -> Option<ObjectKey> {
    let (target, wanted) = (facts::target(observed).ok()?, facts::wanted(observed).ok()?);
    match hop::next(observed, &target, &wanted) {
        hop::Next::Hop(hop) => Some(hop.source.key),
        _ => None,
    }
}

fn seen_once(condition: Condition) -> Condition {
    let settling =
        matches!(&condition.outcome, Outcome::NotPassed(because) if because.reason == Reason::Settling);
    if settling { Condition { outcome: Outcome::NotLookedAt, ..condition } } else { condition }
}
