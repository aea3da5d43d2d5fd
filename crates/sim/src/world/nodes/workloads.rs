//! Workloads: as many pods as are wanted, on nodes that take pods.

use api::batch::pod;
use api::nodes::node;
use domain::object::ObjectKey;
use serde_json::json;

use super::{AGAIN, Soon, WORKLOAD, bound_to, controller, has_ended, is_leaving, uid};
use crate::apiserver::eviction::is_ready;
use crate::world::World;

impl World {
    /// Makes the pods that are missing. Where no node takes them, that is done when one does.
    pub(super) fn workload_looks(&mut self, key: &ObjectKey) {
        let (Some(id), Some(pods)) =
            (self.kind_id("apps", "ReplicaSet"), self.kind_id(pod::KIND.group, pod::KIND.kind))
        else {
            return;
        };
        let Some(set) = self.objects.get(id, key).map(|entry| entry.value.clone()) else { return };
        let of = uid(&set).to_owned();
        let wanted = set["spec"]["replicas"].as_u64().unwrap_or(1);
        let mine = self.pods_where(|pod| controller(pod).is_some_and(|(_, _, owner)| *owner == *of));
        let live = mine.iter().filter(|(_, pod)| !is_leaving(pod) && !has_ended(pod)).count() as u64;
        for _ in live..wanted {
            let Some(node) = self.emptiest() else { return };
            let template = &set["spec"]["template"];
            let mut spec = template["spec"].clone();
            spec["nodeName"] = json!(node);
            let body = json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {
                    "generateName": format!("{}-", key.name), "namespace": key.namespace,
                    "labels": template["metadata"]["labels"],
                    "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": key.name,
                        "uid": of, "controller": true, "blockOwnerDeletion": true}],
                },
                "spec": spec,
            });
            if self.create(WORKLOAD, pods, &key.namespace, body).is_err() {
                // Somebody refuses it for a while.
                return self.soon(AGAIN, Soon::Workload(key.clone()));
            }
        }
    }

    /// The node that takes pods and has the fewest.
    fn emptiest(&self) -> Option<Box<str>> {
        let id = self.kind_id("", node::KIND.kind)?;
        let takes = self
            .objects
            .all(id)
            .filter(|(_, node)| is_ready(node) && node["spec"]["unschedulable"] != true && !is_leaving(node));
        let on = |name: &str| self.pods_where(|pod| bound_to(pod) == name && !has_ended(pod)).len();
        takes.map(|(key, _)| &*key.name).min_by_key(|name| on(name)).map(Box::from)
    }
}
