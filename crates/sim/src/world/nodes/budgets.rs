//! The disruption controller: how many pods of a budget may go.

use api::nodes::disruption_budget;
use domain::object::ObjectKey;
use serde_json::{Value, json};

use super::{DISRUPTION, controller, has_ended, is_leaving};
use crate::apiserver::eviction::{is_ready, selects};
use crate::world::World;

/// A number of pods, or a part of so many, rounded up.
fn amount(value: &Value, all: i64) -> i64 {
    let percent =
        value.as_str().and_then(|text| text.strip_suffix('%')).and_then(|text| text.parse::<i64>().ok());
    percent.map_or_else(|| value.as_i64().unwrap_or(0), |percent| (all * percent + 99) / 100)
}

impl World {
    /// Counts the pods of the budgets of a namespace.
    pub(super) fn count_budgets(&mut self, namespace: &str) {
        let Some(id) = self.kind_id("policy", disruption_budget::KIND.kind) else { return };
        let all: Vec<(ObjectKey, Value)> = self
            .objects
            .all(id)
            .filter(|(key, _)| *key.namespace == *namespace)
            .map(|(key, budget)| (key.clone(), budget.clone()))
            .collect();
        for (key, budget) in all {
            let (expected, healthy, desired) = self.counted(&key, &budget);
            let allowed = if expected > 0 { (healthy - desired).max(0) } else { 0 };
            let status = json!({
                "observedGeneration": budget["metadata"]["generation"], "expectedPods": expected,
                "currentHealthy": healthy, "desiredHealthy": desired, "disruptionsAllowed": allowed,
            });
            self.set_status(DISRUPTION, id, &key, status);
        }
    }

    /// Pods of a budget that are expected, that are healthy and stay, and that must be.
    pub(crate) fn counted(&self, key: &ObjectKey, budget: &Value) -> (i64, i64, i64) {
        let spec = &budget["spec"];
        let pods = self.pods_where(|pod| {
            pod["metadata"]["namespace"] == *key.namespace
                && selects(&spec["selector"], &pod["metadata"]["labels"])
        });
        let live: Vec<&Value> = pods.iter().map(|(_, pod)| pod).filter(|pod| !has_ended(pod)).collect();
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let healthy = count(live.iter().filter(|pod| is_ready(pod) && !is_leaving(pod)).count());
        let (expected, desired) = if spec["maxUnavailable"].is_null() && !spec["minAvailable"].is_string() {
            (count(live.len()), spec["minAvailable"].as_i64().unwrap_or(1))
        } else {
            let scale = self.scale_of(key, &live);
            let desired = if spec["maxUnavailable"].is_null() {
                amount(&spec["minAvailable"], scale)
            } else {
                (scale - amount(&spec["maxUnavailable"], scale)).max(0)
            };
            (scale, desired)
        };
        (expected, healthy, desired)
    }

    /// How many pods the owners of some want.
    fn scale_of(&self, key: &ObjectKey, pods: &[&Value]) -> i64 {
        let mut owners: Vec<&str> = pods.iter().filter_map(|pod| Some(controller(pod)?.1)).collect();
        owners.sort_unstable();
        owners.dedup();
        let id = self.kind_id("apps", "ReplicaSet");
        let wants = |name: &str| {
            let set = &self.objects.get(id?, &key.sibling(name))?.value;
            set["spec"]["replicas"].as_i64()
        };
        owners.into_iter().filter_map(wants).sum()
    }
}
