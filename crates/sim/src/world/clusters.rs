//! What Cluster API knows of each Cluster: the machines it has, the version and variables they were made with, and what its
//! webhook refuses (Cluster API 1.14).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use api::capi::{GROUP, cluster, cluster_class};
use domain::object::ObjectKey;
use domain::version::KubernetesVersion;
use serde_json::Value;

use super::World;
use crate::apiserver::answer::Refused;

/// How long Cluster API takes to notice a write, in seconds.
pub(crate) const NOTICES_AFTER: i64 = 1;
/// The webhook that refuses changes of a topology.
const WEBHOOK: &str = "validation.cluster.cluster.x-k8s.io";
/// Annotation on a Cluster that has the webhook let every version pass.
const UNSAFE: &str = "unsafe.topology.cluster.x-k8s.io/disable-update-version-check";
const VERSION: &str = "spec.topology.version";

/// How long machines take to be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Roll {
    /// All machines of a Cluster together, one after another.
    PerCluster(Duration),
    /// Each machine.
    PerMachine(Duration),
}

/// What a machine is made with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Template {
    pub(crate) version: Arc<str>,
    /// The variables of the topology and the group's overrides, as JSON.
    pub(crate) variables: Arc<str>,
}

/// Which part of a topology.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    ControlPlane,
    Deployment,
    Pool,
}

/// A group of machines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) part: Part,
    pub(crate) name: Box<str>,
    /// What its machines are to be made with.
    pub(crate) wanted: Template,
    pub(crate) machines: Vec<Template>,
}

impl Group {
    pub(crate) fn up_to_date(&self) -> usize {
        self.machines.iter().filter(|machine| **machine == self.wanted).count()
    }
}

/// What Cluster API knows of one Cluster.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) groups: Vec<Group>,
    /// The generation that was looked at.
    pub(crate) generation: i64,
    pub(crate) provisioned: bool,
    pub(crate) paused: bool,
    /// Number of the roll that goes on, if one does.
    pub(crate) roll: Option<u64>,
}

impl State {
    /// Whether machines are still to be replaced, made, or told about.
    pub(crate) fn is_rolling(&self) -> bool {
        self.groups.iter().any(|group| group.up_to_date() < group.machines.len())
    }

    /// Whether a machine has another version than the topology.
    pub(crate) fn is_upgrading(&self, version: &str) -> bool {
        self.groups.iter().flat_map(|group| &group.machines).any(|machine| *machine.version != *version)
    }
}

/// All Clusters.
#[derive(Debug)]
pub(crate) struct Clusters {
    pub(crate) states: BTreeMap<ObjectKey, State>,
    /// Clusters whose machines are not replaced.
    pub(crate) stalled: BTreeSet<ObjectKey>,
    pub(crate) rolls: u64,
    roll: Roll,
}

impl Clusters {
    pub(crate) fn new(roll: Roll) -> Self {
        Self { states: BTreeMap::new(), stalled: BTreeSet::new(), rolls: 0, roll }
    }

    /// How long one machine takes.
    pub(crate) fn step(&self, machines: usize) -> Duration {
        match self.roll {
            Roll::PerMachine(time) => time,
            Roll::PerCluster(time) => time / u32::try_from(machines.max(1)).unwrap_or(u32::MAX),
        }
    }

    pub(crate) fn forget(&mut self, key: &ObjectKey) {
        self.states.remove(key);
        self.stalled.remove(key);
    }
}

/// The name of a Cluster's class, in either version of the API.
pub(crate) fn class_of(cluster: &Value, namespace: &str) -> Option<ObjectKey> {
    let topology = &cluster["spec"]["topology"];
    let reference = &topology["classRef"];
    let name = reference["name"].as_str().filter(|name| !name.is_empty())?;
    Some(ObjectKey::new(reference["namespace"].as_str().unwrap_or(namespace), name))
}

impl World {
    fn class(&self, cluster: &Value, namespace: &str) -> Option<&Value> {
        let id = self.catalogue.of_kind(GROUP, cluster_class::KIND.kind)?;
        self.objects.get(id, &class_of(cluster, namespace)?).map(|entry| &entry.value)
    }

    /// The webhook for Clusters.
    pub(crate) fn admit_cluster(
        &mut self,
        key: &ObjectKey,
        before: Option<&Value>,
        after: &Value,
    ) -> Result<(), Refused> {
        let topology = &after["spec"]["topology"];
        if topology.is_null() {
            return Ok(());
        }
        let refuse = |field: &str, message: String| {
            Err(Refused::invalid(cluster::KIND.kind, GROUP, &key.name, field, &message).by_webhook(WEBHOOK))
        };
        let version = topology["version"].as_str().unwrap_or_default();
        let of_field = |words: &str| format!("Invalid value: \"{version}\": {words}");
        let Ok(new) = KubernetesVersion::parse_strict(version) else {
            return refuse(VERSION, of_field("version must be a valid semantic version"));
        };
        let class = self.class(after, &key.namespace);
        let listed = class.and_then(|class| class["spec"]["kubernetesVersions"].as_array());
        if let Some(listed) = listed.filter(|listed| !listed.is_empty())
            && !listed.iter().any(|listed| listed == version)
        {
            return refuse(VERSION, of_field("version must be one of ClusterClass.spec.kubernetesVersions"));
        }
        if let Some(class) = class
            && let Err((field, message)) = variables(class, topology)
        {
            return refuse(&field, message);
        }
        let old = before.and_then(|before| before["spec"]["topology"]["version"].as_str());
        let unchecked = after["metadata"]["annotations"].get(UNSAFE).is_some();
        let Some(old_text) = old.filter(|old| *old != version && !unchecked) else { return Ok(()) };
        let Ok(old) = KubernetesVersion::parse_lenient(old_text) else { return Ok(()) };
        let numbers = |v: &KubernetesVersion| (v.major(), v.minor(), v.patch());
        if numbers(&new) < numbers(&old) {
            return refuse(VERSION, of_field(&format!("version cannot be decreased from {old} to {new}")));
        }
        if listed.is_none_or(Vec::is_empty)
            && (new.major() > old.major() || new.minor() >= old.minor().saturating_add(2))
        {
            return refuse(VERSION, of_field(&format!("version cannot be increased from {old} to {new}")));
        }
        if let Some(state) = self.clusters.states.get(key) {
            let words = if state.provisioned { "upgrading" } else { "provisioning" };
            if !state.provisioned || state.is_upgrading(old_text) {
                return refuse(
                    VERSION,
                    of_field(&format!("version cannot be changed: the Cluster is still {words}")),
                );
            }
        }
        Ok(())
    }
}

/// Whether the values of a topology are what its class, once it is reconciled, knows.
fn variables(class: &Value, topology: &Value) -> Result<(), (String, String)> {
    if class["status"]["observedGeneration"] != class["metadata"]["generation"] {
        return Ok(());
    }
    let defined = class["status"]["variables"].as_array();
    for (place, variable) in topology["variables"].as_array().into_iter().flatten().enumerate() {
        let name = variable["name"].as_str().unwrap_or_default();
        let field = format!("spec.topology.variables[{name}]");
        let definition = defined.into_iter().flatten().find(|defined| defined["name"] == variable["name"]);
        let Some(definition) = definition else {
            let field = format!("spec.topology.variables[{place}]");
            return Err((field, format!("Invalid value: \"{name}\": variable is not defined")));
        };
        let type_ = definition["definitions"][0]["schema"]["openAPIV3Schema"]["type"].as_str();
        let value = &variable["value"];
        let fits = match type_.unwrap_or_default() {
            "string" => value.is_string(),
            "object" => value.is_object(),
            "array" => value.is_array(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            _ => true,
        };
        if !fits {
            let wanted = type_.unwrap_or_default();
            return Err((format!("{field}.value"), format!("Invalid value: must be of type {wanted}")));
        }
    }
    Ok(())
}
