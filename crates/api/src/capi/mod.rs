//! Group `cluster.x-k8s.io` of Cluster API, versions v1beta2 and v1beta1.
//!
//! One wire struct reads both versions: what moved between them is under another name, so both names are looked for.

use domain::condition::Status;
use domain::object::Kind;
use serde::Deserialize;

pub mod cluster;
pub mod cluster_class;
pub mod control_plane;
pub mod in_use;
pub mod machine_pool;

/// API group of Cluster, `ClusterClass`, `MachinePool` and others.
pub const GROUP: &str = "cluster.x-k8s.io";

/// Label on a `MachineDeployment`, `MachinePool` or Machine: name of its Cluster.
pub const CLUSTER_NAME_LABEL: &str = "cluster.x-k8s.io/cluster-name";
/// Label on an object that was made from a Cluster's topology; empty value.
pub const TOPOLOGY_OWNED_LABEL: &str = "topology.cluster.x-k8s.io/owned";

const fn kind(kind: &'static str, plural: &'static str) -> Kind {
    Kind { group: GROUP, versions: &["v1beta2", "v1beta1"], kind, plural }
}

/// What is kept of a condition of another controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Whether it holds.
    pub status: Status,
    /// CamelCase reason, may be empty.
    pub reason: Box<str>,
    /// For people, may be empty.
    pub message: Box<str>,
    /// Generation that it speaks of; conditions of v1beta1's older kind have none.
    pub observed_generation: Option<i64>,
}

/// A condition of either kind: the older one has a severity, which is not read, and no observedGeneration.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ConditionWire {
    #[serde(rename = "type")]
    type_: Box<str>,
    status: Box<str>,
    reason: Option<Box<str>>,
    message: Option<Box<str>>,
    observed_generation: Option<i64>,
}

fn told(conditions: &[ConditionWire], type_: &str) -> Option<Told> {
    let condition = conditions.iter().find(|condition| *condition.type_ == *type_)?;
    Some(Told {
        status: match condition.status.as_ref() {
            "True" => Status::True,
            "False" => Status::False,
            _ => Status::Unknown,
        },
        reason: condition.reason.clone().unwrap_or_default(),
        message: condition.message.clone().unwrap_or_default(),
        observed_generation: condition.observed_generation,
    })
}

#[cfg(test)]
mod tests;
