//! What kairos-operator's reboot pods may do is left to them until they are finished: one that may not say that it reboots waits
//! for ever.

use api::kairos::{CLUSTER_ROLE, SENTINEL_VOLUME};
use serde_json::Value;

use crate::invariants::{Broken, Write, holds};
use crate::world::World;
use crate::world::nodes::{has_ended, is_leaving};

const INVARIANT: &str = "a reboot pod of kairos-operator keeps its rights until it is finished";

pub(super) fn check(world: &World, write: &Write<'_>) -> Result<(), Broken> {
    let (Some(gone), None) = (write.before, write.after) else { return Ok(()) };
    let needs: &dyn Fn(&Value) -> bool = match write.kind {
        "ClusterRole" if *write.key.name == *CLUSTER_ROLE => &|_| true,
        "ClusterRoleBinding" if gone["roleRef"]["name"] == CLUSTER_ROLE => &|pod| {
            gone["subjects"].as_array().into_iter().flatten().any(|subject| {
                subject["name"] == pod["spec"]["serviceAccountName"]
                    && subject["namespace"] == pod["metadata"]["namespace"]
            })
        },
        _ => return Ok(()),
    };
    let waits = |pod: &Value| {
        let volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
        let mut names = volumes.map(|volume| &volume["name"]);
        names.any(|name| name == SENTINEL_VOLUME) && !has_ended(pod) && !is_leaving(pod)
    };
    let pod = world.pods_where(|pod| waits(pod) && needs(pod)).into_iter().next();
    holds(pod.is_none(), INVARIANT, || {
        let pod = pod.map(|(key, _)| key.to_string()).unwrap_or_default();
        format!("deleted {} {}, and Pod {pod} is not finished", write.kind, write.key)
    })
}
