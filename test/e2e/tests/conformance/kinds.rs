//! Short names of what the scripts ask for.

const OURS: &str = "kubernetesupgraded.dimitrikoshkin.com/v1alpha1";
const CLUSTER_API: &str = "cluster.x-k8s.io/v1beta2";

/// Plural, `apiVersion`, kind.
type Line = (&'static str, &'static str, &'static str);

const KINDS: [Line; 18] = [
    ("debianrepositorysources", OURS, "DebianRepositorySource"),
    ("machineimagetemplates", OURS, "MachineImageTemplate"),
    ("machineimagesyncers", OURS, "MachineImageSyncer"),
    ("machineimages", OURS, "MachineImage"),
    ("plans", OURS, "Plan"),
    ("clusterclassclusterupgraders", OURS, "ClusterClassClusterUpgrader"),
    ("gadgets", OURS, "Gadget"),
    ("clusters", CLUSTER_API, "Cluster"),
    ("clusterclasses", CLUSTER_API, "ClusterClass"),
    ("machinedeployments", CLUSTER_API, "MachineDeployment"),
    ("machinepools", CLUSTER_API, "MachinePool"),
    ("machines", CLUSTER_API, "Machine"),
    ("jobs", "batch/v1", "Job"),
    ("pods", "v1", "Pod"),
    ("poddisruptionbudgets", "policy/v1", "PodDisruptionBudget"),
    ("secrets", "v1", "Secret"),
    ("configmaps", "v1", "ConfigMap"),
    ("events", "events.k8s.io/v1", "Event"),
];
const LEASES: Line = ("leases", "coordination.k8s.io/v1", "Lease");

/// `apiVersion` and kind of what a path of a script begins with; nothing where the path is a whole one.
pub(crate) fn of(path: &str) -> Option<(&'static str, &'static str)> {
    let plural = path.split(['/', '?']).next().unwrap_or_default();
    let line = KINDS.iter().chain([&LEASES]).find(|(known, ..)| *known == plural);
    line.map(|(_, api_version, kind)| (*api_version, *kind))
}

/// The lists of everything that is served, in all namespaces.
pub(crate) fn lists() -> impl Iterator<Item = String> {
    KINDS.iter().filter(|(_, _, kind)| *kind != "Gadget").map(|(plural, api_version, _)| {
        let root = if api_version.contains('/') { "apis" } else { "api" };
        format!("/{root}/{api_version}/{plural}")
    })
}

/// The plural of a kind: where a fixture is created.
pub(crate) fn plural(kind: &str) -> &'static str {
    KINDS.iter().find(|(_, _, known)| *known == kind).unwrap().0
}

/// The path of a request, in the namespace of its script.
pub(crate) fn path(short: &str, namespace: &str) -> String {
    if short.starts_with('/') {
        return short.to_owned();
    }
    let (api_version, _) = of(short).unwrap_or_else(|| panic!("{short} is of no kind that is known"));
    let root = if api_version.contains('/') { "apis" } else { "api" };
    format!("/{root}/{api_version}/namespaces/{namespace}/{short}")
}
