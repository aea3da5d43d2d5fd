//! What the upgraders of one process know of each other before their status says it, lost with the process.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use api::upgrader::machine_image::MachineImageRow;
use domain::object::{Meta, ObjectKey, ResourceVersion};
use jiff::Timestamp;
use runtime::clock::{after, within};

/// How long a place is held where nothing more is heard of its Cluster: longer than a request may take, and than the
/// pause before it is sent again.
const HOLDS: Duration = Duration::from_secs(360);
/// By how much a held place ages between two looks, at most: somebody may have set the clock forward.
const LOOK: Duration = Duration::from_secs(60);
/// How long a live read of a machine image counts: for the upgraders that are looked at in the same moment.
const IMAGE_COUNTS: Duration = Duration::from_secs(5);

/// What the upgraders of this process share.
#[derive(Debug, Default)]
pub struct Fleet {
    /// Places among the Clusters of a plan that roll, by the Cluster.
    held: BTreeMap<ObjectKey, Held>,
    looked: Option<Timestamp>,
    /// Plans whose Clusters were all looked at since this process began.
    met: BTreeSet<ObjectKey>,
    /// Machine images that were read live, with when; `None` where one is gone.
    images: BTreeMap<ObjectKey, (Timestamp, Option<MachineImageRow>)>,
}

/// A place that no status counts.
#[derive(Debug)]
struct Held {
    /// Name of the plan.
    plan: Box<str>,
    /// For how long, if nothing more is heard.
    left: Duration,
    /// Of the Cluster that a write rests on; nothing where its machines were seen to move.
    rests_on: Option<ResourceVersion>,
}

impl Fleet {
    /// Time has passed.
    pub(super) fn age(&mut self, now: Timestamp) {
        let gone = self.looked.replace(now).map(|looked| now.duration_since(looked));
        let gone = gone.and_then(|gone| Duration::try_from(gone).ok()).unwrap_or_default().min(LOOK);
        self.held.retain(|_, held| {
            held.left = held.left.saturating_sub(gone);
            !held.left.is_zero()
        });
    }

    /// Whether the Clusters of a plan are to be looked at for the first time.
    pub(super) fn meets(&mut self, plan: &ObjectKey) -> bool {
        !self.met.contains(plan) && self.met.insert(plan.clone())
    }

    /// Takes a place among the Clusters of a plan that roll, for a write that rests on a version of the Cluster.
    pub(super) fn reserve(&mut self, cluster: &ObjectKey, plan: &str, rests_on: ResourceVersion) {
        let held = Held { plan: plan.into(), left: HOLDS, rests_on: Some(rests_on) };
        self.held.insert(cluster.clone(), held);
    }

    /// The same for a Cluster that is seen to move while its upgrader's status does not say so: the process that set it
    /// may have ended before, or the status cannot be written.
    pub(super) fn moves(&mut self, cluster: &ObjectKey, plan: &str) {
        if self.held.get(cluster).is_none_or(|held| held.rests_on.is_none()) {
            let held = Held { plan: plan.into(), left: HOLDS, rests_on: None };
            self.held.insert(cluster.clone(), held);
        }
    }

    /// It is not seen to move, or its status says so.
    pub(super) fn rests(&mut self, cluster: &ObjectKey) {
        if self.held.get(cluster).is_some_and(|held| held.rests_on.is_none()) {
            self.held.remove(cluster);
        }
    }

    /// Gives the place back: the write was refused.
    pub(super) fn release(&mut self, cluster: &ObjectKey) {
        self.held.remove(cluster);
    }

    /// Gives the place back to a Cluster that its upgrader's status counts, once the Cluster is seen as it is after the
    /// write: before, that status may still speak of the hop before.
    pub(super) fn counted(&mut self, cluster: &Meta) {
        let rests_on = self.held.get(&cluster.key).and_then(|held| held.rests_on);
        if rests_on.is_some_and(|rests_on| rests_on < cluster.resource_version) {
            self.held.remove(&cluster.key);
        }
    }

    /// Clusters of a plan whose places are held, each with when that is to be looked at again.
    pub(super) fn held<'a>(
        &'a self,
        namespace: &'a str,
        plan: &'a str,
        now: Timestamp,
    ) -> impl Iterator<Item = (&'a str, Timestamp)> {
        let all = self.held.range(ObjectKey::new(namespace, "")..);
        let here = all.take_while(move |(key, _)| *key.namespace == *namespace);
        let of_plan = here.filter(move |(_, held)| *held.plan == *plan);
        of_plan.map(move |(key, held)| (&*key.name, after(now, held.left.min(LOOK))))
    }

    /// Keeps a machine image that was just read.
    pub(super) fn read(&mut self, key: &ObjectKey, found: Option<MachineImageRow>, now: Timestamp) {
        self.images.retain(|_, (at, _)| within(*at, IMAGE_COUNTS, now));
        self.images.insert(key.clone(), (now, found));
    }

    /// A machine image that was read a moment ago.
    pub(super) fn image(&self, key: &ObjectKey, now: Timestamp) -> Option<&Option<MachineImageRow>> {
        let (at, found) = self.images.get(key)?;
        within(*at, IMAGE_COUNTS, now).then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap_or_default()
    }

    fn held(fleet: &mut Fleet, second: i64) -> Vec<String> {
        fleet.age(at(second));
        fleet.held("ns", "plan", at(second)).map(|(name, _)| name.to_owned()).collect()
    }

    #[test]
    fn a_place_is_held_for_six_minutes_of_looks() {
        let mut fleet = Fleet::default();
        fleet.age(at(0));
        fleet.reserve(&ObjectKey::new("ns", "a"), "plan", ResourceVersion(7));
        assert_eq!(held(&mut fleet, 600), ["a"], "the clock was set, or nobody has looked: that is one look");
        assert_eq!(held(&mut fleet, 300), ["a"], "set back");
        for second in [360, 420, 480, 540] {
            assert_eq!(held(&mut fleet, second), ["a"]);
        }
        assert_eq!(held(&mut fleet, 600), [""; 0]);
    }

    #[test]
    fn a_cluster_that_moves_holds_its_place_until_it_rests() {
        let (mut fleet, a) = (Fleet::default(), ObjectKey::new("ns", "a"));
        fleet.moves(&a, "plan");
        assert_eq!(held(&mut fleet, 0), ["a"]);
        fleet.rests(&a);
        assert_eq!(held(&mut fleet, 0), [""; 0]);
        // A write that is on its way is not taken for rest, nor for what was seen before it.
        fleet.reserve(&a, "plan", ResourceVersion(7));
        fleet.moves(&a, "plan");
        fleet.rests(&a);
        assert_eq!(held(&mut fleet, 0), ["a"]);
        fleet.counted(&Meta { key: a.clone(), resource_version: ResourceVersion(7), ..Meta::default() });
        assert_eq!(held(&mut fleet, 0), ["a"]);
        fleet.counted(&Meta { key: a, resource_version: ResourceVersion(8), ..Meta::default() });
        assert_eq!(held(&mut fleet, 0), [""; 0]);
    }

    #[test]
    fn a_read_counts_for_a_moment_and_not_before_it_was_made() {
        let (mut fleet, key) = (Fleet::default(), ObjectKey::new("ns", "image"));
        fleet.read(&key, None, at(0));
        assert_eq!(fleet.image(&key, at(4)), Some(&None));
        assert_eq!(fleet.image(&key, at(5)), None);
        assert_eq!(fleet.image(&key, at(-1)), None, "the clock was set back: nobody knows how old it is");
    }

    #[test]
    fn a_plan_is_met_once() {
        let mut fleet = Fleet::default();
        assert!(fleet.meets(&ObjectKey::new("ns", "plan")));
        assert!(!fleet.meets(&ObjectKey::new("ns", "plan")));
    }
}
