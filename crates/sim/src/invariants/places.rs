//! No more Clusters of a Plan roll at a time than its `spec.maxConcurrent` lets.

use std::collections::BTreeMap;

use api::upgrader::plan;
use domain::object::ObjectKey;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::fields::upgraders;
use super::{Broken, Write, holds, text};
use crate::world::{CLUSTER_API, World};

const INVARIANT: &str = "no more Clusters roll than spec.maxConcurrent lets";

/// For so long nobody may know that a limit was changed: the latest watch, and the write that was on its way meanwhile.
const UNKNOWN: SignedDuration = SignedDuration::from_mins(8);

/// Who has a place.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Clusters that roll since we have set them, with the Plan that they were set for.
    taken: BTreeMap<ObjectKey, Box<str>>,
    /// Limits that were changed, with their Plan and when.
    before: Vec<(Timestamp, ObjectKey, Option<u64>)>,
}

impl Places {
    pub(super) fn check(&mut self, world: &World, write: &Write<'_>, alone: bool) -> Result<(), Broken> {
        let (Some(old), Some(new)) = (write.before, write.after) else { return Ok(()) };
        match write.kind {
            // Whoever pauses an upgrader gives the place of its Cluster to another.
            "ClusterClassClusterUpgrader" if new["spec"]["paused"] == true => {
                let cluster = write.key.sibling(text(new, "/spec/clusterName"));
                self.taken.remove(&cluster);
            }
            "Plan" if old["spec"]["maxConcurrent"] != new["spec"]["maxConcurrent"] => {
                self.before.push((write.at, write.key.clone(), limit(old)));
            }
            "Cluster" if new["spec"]["paused"] == true => {
                self.taken.remove(write.key);
            }
            "Cluster" if write.actor == CLUSTER_API => {
                let state = world.clusters.states.get(write.key);
                if state.is_none_or(|state| !state.is_rolling()) {
                    self.taken.remove(write.key);
                }
            }
            "Cluster" if write.is_ours() && old["spec"] != new["spec"] => {
                let found = driver(world, write.key);
                let Some((of, now)) = found else { return Ok(()) };
                let plan = write.key.sibling(&of);
                let known = self
                    .before
                    .iter()
                    .filter(|(at, of, _)| *of == plan && write.at.duration_since(*at) < UNKNOWN);
                let mut limits = known.map(|(_, _, limit)| *limit).chain([now]);
                let same = self.taken.iter().filter(|(key, plan)| {
                    *key != write.key && key.namespace == write.key.namespace && **plan == of
                });
                let others: Vec<&str> = same.map(|(key, _)| &*key.name).collect();
                let free = limits.any(|limit| limit.is_none_or(|limit| (others.len() as u64) < limit));
                let words = format!("{} began while {} roll", write.key.name, others.join(", "));
                self.taken.insert(write.key.clone(), of);
                // Two processes without a lease know nothing of each other's reservations.
                return holds(free || !alone, INVARIANT, || words);
            }
            _ => {}
        }
        Ok(())
    }
}

/// The plan of the upgrader that drives a Cluster, and its limit.
fn driver(world: &World, cluster: &ObjectKey) -> Option<(Box<str>, Option<u64>)> {
    let oldest = |it: &&Value| {
        (text(it, "/metadata/creationTimestamp").to_owned(), text(it, "/metadata/name").to_owned())
    };
    let driver = upgraders(world, cluster).min_by_key(oldest)?;
    let of = text(driver, "/spec/planRef/name");
    let id = world.catalogue.of_kind(plan::KIND.group, plan::KIND.kind)?;
    let plan = &world.objects.get(id, &cluster.sibling(of))?.value;
    Some((of.into(), limit(plan)))
}

/// The limit of a Plan; nothing for none.
fn limit(plan: &Value) -> Option<u64> {
    plan["spec"]["maxConcurrent"].as_u64()
}
