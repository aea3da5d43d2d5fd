//! Which resources are served, and what discovery says of them.

use api::batch::{job, pod};
use api::capi::{self, cluster, cluster_class};
use api::kairos;
use api::nodes::{disruption_budget, node};
use api::upgrader;
use domain::object::{Kind, api_version};
use serde_json::{Value, json};

/// A resource's place in the catalogue, and of its objects in the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Id(pub(crate) usize);

/// A resource that is served, in one version.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resource {
    pub(crate) group: Box<str>,
    pub(crate) version: Box<str>,
    pub(crate) kind: Box<str>,
    pub(crate) plural: Box<str>,
    pub(crate) namespaced: bool,
    /// It has the subresource `status`: nothing else writes its status.
    pub(crate) status: bool,
    /// Only because an object of the scenario has this kind: whoever runs such a thing grants the reading of it.
    pub(crate) foreign: bool,
    /// Follows from other objects, and is never written by anyone.
    pub(crate) made: bool,
}

impl Resource {
    /// `group/version`.
    pub(crate) fn api_version(&self) -> String {
        api_version(&self.group, &self.version)
    }

    /// One of our kinds, whose schema is known.
    pub(crate) fn is_ours(&self) -> bool {
        (*self.group == *upgrader::GROUP || *self.group == *kairos::GROUP) && !self.foreign
    }

    /// Defined by a CRD; what is not is written in the server itself, and follows rules of its own.
    pub(crate) fn is_custom(&self) -> bool {
        self.foreign || !is_built_in(&self.group)
    }

    /// Pods that are stored, which leave with grace.
    pub(crate) fn is_pod(&self) -> bool {
        self.group.is_empty() && *self.kind == *pod::KIND.kind && !self.foreign && !self.made
    }

    /// Whether its objects count the changes of their spec.
    pub(crate) fn has_generation(&self) -> bool {
        !self.group.is_empty() && *self.group != *RBAC
    }

    /// Whether its objects have a status from the beginning.
    pub(crate) fn writes_empty_status(&self) -> bool {
        *self.group == *job::KIND.group && *self.kind == *job::KIND.kind
    }
}

/// Everything that is served.
#[derive(Clone, Debug)]
pub(crate) struct Catalogue(Vec<Resource>);

const OWN: [Kind; 6] = [
    upgrader::debian_repository_source::KIND,
    upgrader::machine_image_template::KIND,
    upgrader::machine_image_syncer::KIND,
    upgrader::machine_image::KIND,
    upgrader::plan::KIND,
    upgrader::cluster_upgrader::KIND,
];

/// Group, version, kind, plural, and whether it lies in a namespace.
type Line = (&'static str, &'static str, &'static str, &'static str, bool);

const KUBERNETES: [Line; 8] = [
    ("", "v1", "Namespace", "namespaces", false),
    ("", "v1", "Secret", "secrets", true),
    ("", "v1", "ConfigMap", "configmaps", true),
    ("", "v1", "Service", "services", true),
    ("events.k8s.io", "v1", "Event", "events", true),
    ("apps", "v1", "Deployment", "deployments", true),
    (
        "admissionregistration.k8s.io",
        "v1",
        "MutatingWebhookConfiguration",
        "mutatingwebhookconfigurations",
        false,
    ),
    (
        "admissionregistration.k8s.io",
        "v1",
        "ValidatingWebhookConfiguration",
        "validatingwebhookconfigurations",
        false,
    ),
];

/// What Cluster API makes of a topology; served from the model, and read only.
const MADE: [Line; 4] = [
    (capi::GROUP, "v1beta2", "MachineDeployment", "machinedeployments", true),
    (capi::GROUP, "v1beta2", "MachinePool", "machinepools", true),
    (capi::GROUP, "v1beta2", "Machine", "machines", true),
    ("controlplane.cluster.x-k8s.io", "v1beta2", "KubeadmControlPlane", "kubeadmcontrolplanes", true),
];

const RBAC: &str = "rbac.authorization.k8s.io";

/// What is there beside, where nodes are simulated: what a cluster has for its nodes and pods.
const NODES: [Line; 9] = [
    ("", "v1", node::KIND.kind, node::KIND.plural, false),
    ("", "v1", "ServiceAccount", "serviceaccounts", true),
    ("policy", "v1", disruption_budget::KIND.kind, disruption_budget::KIND.plural, true),
    ("apps", "v1", "ReplicaSet", "replicasets", true),
    ("apps", "v1", "DaemonSet", "daemonsets", true),
    (RBAC, "v1", "Role", "roles", true),
    (RBAC, "v1", "RoleBinding", "rolebindings", true),
    (RBAC, "v1", "ClusterRole", "clusterroles", false),
    (RBAC, "v1", "ClusterRoleBinding", "clusterrolebindings", false),
];

/// Kinds of others that lie in no namespace; of any other it is taken that they do.
const CLUSTER_WIDE: [&str; 9] = [
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "StorageClass",
    "PriorityClass",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "PersistentVolume",
    "Node",
];

impl Catalogue {
    /// What a management cluster serves, with Cluster API or without. With `nodes` pods are objects like others; without,
    /// they are what is read of Jobs.
    pub(crate) fn new(cluster_api: bool, nodes: bool) -> Self {
        let known = |kind: Kind| Resource {
            group: kind.group.into(),
            version: kind.versions.first().copied().unwrap_or_default().into(),
            kind: kind.kind.into(),
            plural: kind.plural.into(),
            namespaced: true,
            status: true,
            foreign: false,
            made: kind == pod::KIND && !nodes,
        };
        let line = |(group, version, kind, plural, namespaced): Line| Resource {
            group: group.into(),
            version: version.into(),
            kind: kind.into(),
            plural: plural.into(),
            namespaced,
            status: matches!(kind, "Namespace" | "Deployment" | "Service" | "Node" | "PodDisruptionBudget"),
            foreign: false,
            made: MADE.iter().any(|made| (made.0, made.2) == (group, kind)),
        };
        let mut all: Vec<Resource> = OWN.into_iter().chain([job::KIND, pod::KIND]).map(known).collect();
        all.extend(KUBERNETES.into_iter().map(line));
        if cluster_api {
            all.extend([cluster::KIND, cluster_class::KIND].map(known));
            all.extend(MADE.into_iter().map(line));
        }
        if nodes {
            all.extend(kairos::KINDS.map(known));
            all.extend(NODES.into_iter().map(line));
        }
        Self(all)
    }

    /// Serves a kind that an object has, and says where.
    pub(crate) fn serve(&mut self, group: &str, version: &str, kind: &str) -> Id {
        if let Some(id) = self.of_kind(group, kind) {
            return id;
        }
        self.0.push(Resource {
            group: group.into(),
            version: version.into(),
            kind: kind.into(),
            plural: plural(kind).into(),
            namespaced: !CLUSTER_WIDE.contains(&kind),
            status: true,
            foreign: true,
            made: false,
        });
        Id(self.0.len() - 1)
    }

    /// A resource by its path.
    pub(crate) fn at(&self, group: &str, version: &str, plural: &str) -> Option<Id> {
        let is = |r: &Resource| *r.group == *group && *r.version == *version && *r.plural == *plural;
        self.0.iter().position(is).map(Id)
    }

    /// A resource by its kind, in whatever version.
    pub(crate) fn of_kind(&self, group: &str, kind: &str) -> Option<Id> {
        self.0.iter().position(|r| *r.group == *group && *r.kind == *kind).map(Id)
    }

    /// A resource by a kind that only one group has, as people write it.
    pub(crate) fn named(&self, kind: &str) -> Option<Id> {
        self.0.iter().position(|r| r.kind.eq_ignore_ascii_case(kind)).map(Id)
    }

    /// What is known of one.
    pub(crate) fn get(&self, id: Id) -> &Resource {
        // An id comes from this catalogue, which never shrinks.
        &self.0[id.0]
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// `/apis`.
    pub(crate) fn groups(&self) -> Value {
        let mut names: Vec<&str> = self.0.iter().map(|r| &*r.group).filter(|g| !g.is_empty()).collect();
        names.sort_unstable();
        names.dedup();
        let groups: Vec<Value> = names.iter().filter_map(|name| self.group(name)).collect();
        json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
    }

    /// `/apis/<group>`; nothing where it is not served.
    pub(crate) fn group(&self, name: &str) -> Option<Value> {
        let mut versions: Vec<Value> = Vec::new();
        for resource in self.0.iter().filter(|r| *r.group == *name) {
            let version = json!({"groupVersion": resource.api_version(), "version": resource.version});
            if !versions.contains(&version) {
                versions.push(version);
            }
        }
        let preferred = versions.first()?.clone();
        Some(json!({"kind": "APIGroup", "apiVersion": "v1", "name": name, "versions": versions,
            "preferredVersion": preferred}))
    }

    /// `/apis/<group>/<version>`; nothing where it is not served.
    pub(crate) fn resources(&self, group: &str, version: &str) -> Option<Value> {
        let mut list: Vec<Value> = Vec::new();
        for r in self.0.iter().filter(|r| *r.group == *group && *r.version == *version) {
            let verbs = ["create", "delete", "get", "list", "patch", "watch"];
            list.push(json!({"name": r.plural, "singularName": r.kind.to_ascii_lowercase(),
                "namespaced": r.namespaced, "kind": r.kind, "verbs": verbs}));
            if r.status {
                list.push(json!({"name": format!("{}/status", r.plural), "singularName": "",
                    "namespaced": r.namespaced, "kind": r.kind, "verbs": ["get", "patch"]}));
            }
        }
        (!list.is_empty()).then(|| {
            let group_version = api_version(group, version);
            let mut found =
                json!({"kind": "APIResourceList", "groupVersion": group_version, "resources": list});
            // The oldest group has never said it.
            if !group.is_empty() {
                found["apiVersion"] = json!("v1");
            }
            found
        })
    }
}

/// Whether the server itself has a group.
pub(crate) fn is_built_in(group: &str) -> bool {
    matches!(
        group,
        "" | "batch" | "apps" | "policy" | "events.k8s.io" | "admissionregistration.k8s.io" | RBAC
    )
}

/// The plural that kubebuilder gives to a kind.
fn plural(kind: &str) -> String {
    let lower = kind.to_ascii_lowercase();
    if let Some(stem) = lower.strip_suffix('y').filter(|stem| !stem.ends_with(['a', 'e', 'o', 'u'])) {
        return format!("{stem}ies");
    }
    if lower.ends_with(['s', 'x']) || lower.ends_with("ch") || lower.ends_with("sh") {
        return format!("{lower}es");
    }
    format!("{lower}s")
}
