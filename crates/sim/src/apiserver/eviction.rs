//! Evictions, as the subresource of pods does them: with the PodDisruptionBudgets asked first.

use bytes::Bytes;
use domain::object::ObjectKey;
use serde_json::{Value, json};

use super::answer::Refused;
use super::catalogue::Id;
use super::delete::Deletion;
use crate::world::World;

/// Who deletes a pod that is evicted: the API server, for whoever asked.
pub(crate) const EVICTION: &str = "eviction";

const WOULD_VIOLATE: &str = "Cannot evict pod as it would violate the pod's disruption budget.";
const MORE_THAN_ONE: &str =
    "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
/// Seconds to wait for a budget that nobody has looked at since it was changed.
const BEING_PROCESSED: u32 = 10;

/// The options of the deletion that an eviction asks for, and whether it only asks; or what of it is not simulated.
pub(super) fn options(body: &Value) -> Result<(Value, bool), String> {
    let known = ["apiVersion", "kind", "metadata", "deleteOptions"];
    let unknown = body.as_object().into_iter().flat_map(|fields| fields.keys());
    if let Some(unknown) = unknown.into_iter().find(|name| !known.contains(&name.as_str())) {
        return Err(format!("the field {unknown} of an eviction"));
    }
    let mut options = body["deleteOptions"].clone();
    let dry_run = options.as_object_mut().and_then(|fields| fields.remove("dryRun"));
    Ok((options, dry_run == Some(json!(["All"]))))
}

/// 429 by a budget. The seconds are told where there are any.
fn too_many(seconds: u32, cause: String) -> Refused {
    let mut details = json!({"causes": [{"reason": "DisruptionBudget", "message": cause}]});
    if seconds > 0 {
        details["retryAfterSeconds"] = json!(seconds);
    }
    Refused { code: 429, reason: "TooManyRequests", message: WOULD_VIOLATE.to_owned(), details }
}

impl World {
    /// Evicts a pod: it is deleted, if its budget lets it go.
    pub(crate) fn evict(&mut self, id: Id, key: &ObjectKey, deletion: &Deletion) -> Result<Bytes, Refused> {
        let Some(entry) = self.objects.kept(id, key) else {
            return Err(Refused::not_found("", "pods", &key.name));
        };
        let pod = &entry.value;
        let phase = pod["status"]["phase"].as_str().unwrap_or_default();
        let leaves = !pod["metadata"]["deletionTimestamp"].is_null();
        if !leaves && !matches!(phase, "Succeeded" | "Failed" | "Pending") {
            self.ask_budgets(key, pod, deletion.dry_run)?;
        }
        self.delete(EVICTION, id, key, deletion)?;
        let done =
            json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
        Ok(done.to_string().into())
    }

    fn ask_budgets(&mut self, key: &ObjectKey, pod: &Value, dry_run: bool) -> Result<(), Refused> {
        let mut budgets = self.budgets_over(&key.namespace, &pod["metadata"]["labels"]);
        if budgets.len() > 1 {
            let message = MORE_THAN_ONE.to_owned();
            return Err(Refused { code: 500, reason: "", message, details: Value::Null });
        }
        let Some((id, name, mut budget)) = budgets.pop() else { return Ok(()) };
        let number = |field: &str| budget["status"][field].as_i64().unwrap_or(0);
        let (allowed, healthy, desired) =
            (number("disruptionsAllowed"), number("currentHealthy"), number("desiredHealthy"));
        if !is_ready(pod) {
            let always = budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow";
            if always || (desired > 0 && healthy >= desired) {
                return Ok(());
            }
        }
        if number("observedGeneration") < budget["metadata"]["generation"].as_i64().unwrap_or(0) {
            let words =
                format!("The disruption budget {} is still being processed by the server.", name.name);
            return Err(too_many(BEING_PROCESSED, words));
        }
        if allowed <= 0 {
            let name = &name.name;
            let words = if healthy > desired {
                format!("The disruption budget {name} does not allow evicting pods currently")
            } else {
                format!(
                    "The disruption budget {name} needs {desired} healthy pods and has {healthy} currently"
                )
            };
            return Err(too_many(0, words));
        }
        if dry_run {
            return Ok(());
        }
        let mut status = budget["status"].take();
        status["disruptionsAllowed"] = json!(allowed - 1);
        status["disruptedPods"][&*key.name] = json!(self.stamp());
        self.set_status(EVICTION, id, &name, status);
        Ok(())
    }

    /// The budgets of a namespace over labels. Only `matchLabels` are simulated.
    pub(crate) fn budgets_over(&mut self, namespace: &str, labels: &Value) -> Vec<(Id, ObjectKey, Value)> {
        let Some(id) = self.catalogue.of_kind("policy", "PodDisruptionBudget") else { return Vec::new() };
        let all = self.objects.all(id).filter(|(key, _)| *key.namespace == *namespace);
        let over = all.filter(|(_, budget)| selects(&budget["spec"]["selector"], labels));
        over.map(|(key, budget)| (id, key.clone(), budget.clone())).collect()
    }
}

/// Whether a selector of `matchLabels` selects labels: an empty one all, an absent one none.
pub(crate) fn selects(selector: &Value, labels: &Value) -> bool {
    let wanted = selector["matchLabels"].as_object().into_iter().flatten();
    selector.is_object() && wanted.into_iter().all(|(key, value)| labels[key] == *value)
}

/// Whether the condition Ready of a pod, or of a Node, is true.
pub(crate) fn is_ready(object: &Value) -> bool {
    let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}
