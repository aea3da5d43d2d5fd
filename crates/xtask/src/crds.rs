//! `config/crd` and `config/nodes/crd`: the CRDs of our kinds.

use std::path::{Path, PathBuf};

use api::clusterctl;
use api::kairos::{node_op, node_op_upgrade};
use api::schema::Rule;
use api::upgrader::{
    cluster_upgrader, debian_repository_source, machine_image, machine_image_syncer, machine_image_template,
    plan,
};
use domain::object::Kind;
use serde_json::{Value, json};

use crate::{Error, Files, structural, yaml};

/// What all CRDs of one group share.
struct Group {
    crds: &'static [Crd],
    categories: &'static [&'static str],
    labels: &'static [&'static str],
    /// Installed by the overlay beside it, and so only where the controllers of the group are.
    folder: &'static str,
}

const GROUPS: [Group; 2] = [
    Group {
        crds: &CHAIN,
        // The original's category of v0.5.0, and the one since v0.6.0.
        categories: &["cluster-api", "cluster-upgrader"],
        // clusterctl moves what is of a labelled CRD; the hierarchy takes what the object owns along.
        labels: &[clusterctl::LABEL, clusterctl::MOVE_HIERARCHY_LABEL],
        folder: "config/crd",
    },
    // In the cluster whose nodes they are, which clusterctl moves nothing out of. The original's have neither categories nor
    // short names.
    Group { crds: &KAIROS, categories: &[], labels: &[], folder: "config/nodes/crd" },
];

/// A printer column: name, `JSONPath` and whether it is shown by `-o wide` only.
type Column = (&'static str, &'static str, bool);

const READY: Column = ("Ready", ".status.conditions[?(@.type==\"Ready\")].status", false);
const UP_TO_DATE: Column = ("Up To Date", ".status.conditions[?(@.type==\"UpToDate\")].status", false);
const REASON: Column = ("Reason", ".status.conditions[?(@.type==\"Ready\")].reason", false);
const WAITS_FOR: Column = ("Reason", ".status.conditions[?(@.type==\"UpToDate\")].reason", false);
const MESSAGE: Column = ("Message", ".status.conditions[?(@.type==\"Ready\")].message", true);

/// One CRD.
struct Crd {
    kind: Kind,
    /// Short name for kubectl.
    short: Option<&'static str>,
    description: &'static str,
    /// The original's columns first, in their order. The API server shows Age by itself only where there are none.
    columns: &'static [Column],
    spec: fn() -> Result<Value, Error>,
    status: fn() -> Result<Value, Error>,
    /// Rules of the spec that do not hold wherever its type is used.
    rules: &'static [Rule],
}

const CHAIN: [Crd; 6] = [
    Crd {
        kind: debian_repository_source::KIND,
        short: Some("debsrc"),
        description: "DebianRepositorySource lists the versions of Kubernetes in a Debian package repository.",
        columns: &[
            ("Latest Version", ".status.versions[-1:]", false),
            READY,
            REASON,
            ("URL", ".spec.url", true),
            MESSAGE,
        ],
        spec: structural::of::<debian_repository_source::Spec>,
        status: structural::of::<debian_repository_source::Status>,
        rules: debian_repository_source::SPEC_RULES,
    },
    Crd {
        kind: machine_image_template::KIND,
        short: Some("mimgtmpl"),
        description: "MachineImageTemplate is what a MachineImageSyncer makes its MachineImages from.",
        columns: &[],
        spec: structural::of::<machine_image_template::Spec>,
        status: structural::of::<machine_image_template::Status>,
        rules: &[],
    },
    Crd {
        kind: machine_image_syncer::KIND,
        short: Some("mimgsync"),
        description: "MachineImageSyncer makes a MachineImage for the newest version of a source in its range.",
        columns: &[("Latest Version", ".status.latestVersion", false), READY, UP_TO_DATE, WAITS_FOR, MESSAGE],
        spec: structural::of::<machine_image_syncer::Spec>,
        status: structural::of::<machine_image_syncer::Status>,
        rules: &[],
    },
    Crd {
        kind: machine_image::KIND,
        short: Some("mimg"),
        description: "MachineImage is a machine image with one version of Kubernetes, and the Job that builds it.",
        columns: &[
            ("ID", ".spec.id", false),
            ("Version", ".spec.version", false),
            ("Ready", ".status.ready", false),
            ("Phase", ".status.phase", false),
            REASON,
            MESSAGE,
        ],
        spec: structural::of::<machine_image::Spec>,
        status: structural::of::<machine_image::Status>,
        rules: machine_image::SPEC_RULES,
    },
    Crd {
        kind: plan::KIND,
        short: Some("kubeplan"),
        description: "Plan chooses the machine image to roll out: the newest one that is selected and in its range.",
        columns: &[
            ("Version Range", ".spec.versionRange", false),
            ("Latest Version", ".status.machineImageDetails.version", false),
            ("Phase", ".status.phase", false),
            READY,
            UP_TO_DATE,
            WAITS_FOR,
            MESSAGE,
        ],
        spec: structural::of::<plan::Spec>,
        status: structural::of::<plan::Status>,
        rules: &[],
    },
    Crd {
        kind: cluster_upgrader::KIND,
        short: Some("ccup"),
        description: "ClusterClassClusterUpgrader moves one Cluster of Cluster API to the result of a Plan.",
        columns: &[
            ("Cluster Name", ".spec.clusterName", false),
            ("Latest Set Version", ".status.latestSetVersion", false),
            READY,
            UP_TO_DATE,
            WAITS_FOR,
            MESSAGE,
        ],
        spec: structural::of::<cluster_upgrader::Spec>,
        status: structural::of::<cluster_upgrader::Status>,
        rules: &[],
    },
];

/// Columns beyond the original's, which has none: what `kubectl get` shows of an operation.
const PHASE: Column = ("Phase", ".status.phase", false);
const NODES: Column = ("Nodes", ".status.counts.nodes", false);
const COMPLETED: Column = ("Completed", ".status.counts.completed", false);
const FAILED: Column = ("Failed", ".status.counts.failed", false);
const IN_FLIGHT: Column = ("In Flight", ".status.counts.inFlight", true);

const KAIROS: [Crd; 2] = [
    Crd {
        kind: node_op::KIND,
        short: None,
        description: "NodeOp runs a command once on each node that it selects, with cordon, drain and reboot around it.",
        columns: &[PHASE, NODES, COMPLETED, FAILED, WAITS_FOR, IN_FLIGHT, MESSAGE],
        spec: structural::of::<node_op::Spec>,
        status: structural::of::<node_op::Status>,
        rules: &[],
    },
    Crd {
        kind: node_op_upgrade::KIND,
        short: None,
        description: "NodeOpUpgrade brings the operating system of nodes to an image of Kairos, by a NodeOp of its name.",
        columns: &[
            PHASE,
            NODES,
            COMPLETED,
            FAILED,
            WAITS_FOR,
            ("Image", ".spec.image", true),
            IN_FLIGHT,
            MESSAGE,
        ],
        spec: structural::of::<node_op_upgrade::Spec>,
        status: structural::of::<node_op_upgrade::Status>,
        rules: &[],
    },
];

/// The CRDs of each group, and the kustomization that lists them.
pub fn generate() -> Result<Files, Error> {
    let mut files = Files::new();
    for group in &GROUPS {
        let folder = Path::new(group.folder);
        let mut resources = Vec::new();
        for crd in group.crds {
            let name = format!("bases/{}_{}.yaml", crd.kind.group, crd.kind.plural);
            files.insert(folder.join(&name), yaml::file(&[crd.render(group)?])?);
            resources.push(name);
        }
        let kustomization = json!({
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": resources,
        });
        files.insert(folder.join("kustomization.yaml"), yaml::file(&[kustomization])?);
    }
    Ok(files)
}

/// Where the CRD of a kind of ours is.
pub fn path(kind: Kind) -> PathBuf {
    let of_kind = |group: &&Group| group.crds.iter().any(|crd| crd.kind == kind);
    let folder = GROUPS.iter().find(of_kind).map_or("config/crd", |group| group.folder);
    Path::new(folder).join(format!("bases/{}_{}.yaml", kind.group, kind.plural))
}

impl Crd {
    fn render(&self, group: &Group) -> Result<Value, Error> {
        let Self { kind, short, description, columns, .. } = self;
        let mut spec = (self.spec)()?;
        if !self.rules.is_empty() {
            spec["x-kubernetes-validations"] = self.rules.iter().map(Rule::render).collect();
        }
        let mut version = json!({
            "name": kind.versions[0],
            "served": true,
            "storage": true,
            "subresources": {"status": {}},
            "schema": {"openAPIV3Schema": {
                "description": description,
                "type": "object",
                "properties": {
                    "apiVersion": {"type": "string"},
                    "kind": {"type": "string"},
                    "metadata": {"type": "object"},
                    "spec": spec,
                    "status": (self.status)()?,
                },
            }},
        });
        if !columns.is_empty() {
            version["additionalPrinterColumns"] =
                columns.iter().map(|column| render_column(*column)).chain([age()]).collect();
        }
        let mut names = json!({
            "kind": kind.kind,
            "listKind": format!("{}List", kind.kind),
            "plural": kind.plural,
            "singular": kind.kind.to_lowercase(),
        });
        if let Some(short) = short {
            names["shortNames"] = json!([short]);
        }
        if !group.categories.is_empty() {
            names["categories"] = json!(group.categories);
        }
        let mut metadata = json!({"name": format!("{}.{}", kind.plural, kind.group)});
        if !group.labels.is_empty() {
            metadata["labels"] = group.labels.iter().map(|label| (*label, json!(""))).collect();
        }
        Ok(json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": metadata,
            "spec": {
                "group": kind.group,
                "scope": "Namespaced",
                "conversion": self.conversion(),
                "names": names,
                "versions": [version],
            },
        }))
    }

    /// Said, because the original's CRD of MachineImage names a conversion webhook that nothing serves any more. The server
    /// refuses its remains beside the strategy None, and kubectl takes them out by itself only where it applied them, so that
    /// null has to.
    fn conversion(&self) -> Value {
        if self.kind == machine_image::KIND {
            json!({"strategy": "None", "webhook": null})
        } else {
            json!({"strategy": "None"})
        }
    }
}

fn render_column((name, path, wide): Column) -> Value {
    let mut column = json!({"name": name, "type": "string", "jsonPath": path});
    if wide {
        column["priority"] = json!(1);
    }
    column
}

fn age() -> Value {
    json!({"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"})
}
