//! `lint`: what a server would refuse, and what the controllers could not work with, without a server.

pub(crate) mod crds;
mod references;
mod rules;
mod structure;

use std::fmt::{self, Write as _};

use api::capi::{self, cluster};
use api::kairos;
use api::kairos::node_op::{self, NodeOpRow};
use api::kairos::node_op_upgrade::{self, NodeOpUpgradeRow};
use api::upgrader::machine_image::{self, MachineImageRow};
use api::upgrader::machine_image_syncer::{self, SyncerRow};
use api::upgrader::plan::{self, PlanRow};
use api::upgrader::{GROUP, KINDS, VERSION};
use domain::range::VersionRange;
use domain::version::KubernetesVersion;
use serde::Serialize;
use serde_json::Value;

use crate::args::{self, Flags};
use crate::manifests::{self, Fault, Manifest};
use crate::object::Object;
use crate::screen::Screen;
use crate::{End, Failure, kinds, output};

use crds::Crds;

/// The kinds of Cluster API's own group.
const CLUSTER_API: [&str; 8] = [
    "Cluster",
    "ClusterClass",
    "Machine",
    "MachineDeployment",
    "MachineDrainRule",
    "MachineHealthCheck",
    "MachinePool",
    "MachineSet",
];

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    Error,
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// Something wrong at a place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Finding {
    file: String,
    line: u64,
    severity: Severity,
    reason: String,
}

impl Finding {
    fn new(severity: Severity, fault: Fault) -> Self {
        Self { file: fault.file, line: fault.line, severity, reason: fault.reason }
    }
}

#[derive(Serialize)]
struct Report {
    objects: usize,
    findings: Vec<Finding>,
}

pub(crate) fn run(flags: &Flags, verb: &args::Lint, screen: &mut Screen<'_>) -> Result<End, Failure> {
    let crds = Crds::load()?;
    let (manifests, wrong) = manifests::read_all(&verb.files);
    let mut findings: Vec<Finding> =
        wrong.into_iter().map(|fault| Finding::new(Severity::Error, fault)).collect();
    for manifest in &manifests {
        let errors = check(&crds, manifest)?;
        if errors.is_empty() {
            findings.extend(unfit(manifest).map(|fault| Finding::new(Severity::Warning, fault)));
        }
        findings.extend(errors.into_iter().map(|fault| Finding::new(Severity::Error, fault)));
    }
    let namespace = flags.namespace.as_deref().unwrap_or("default");
    findings.extend(references::dangling(&manifests, namespace, verb.strict));
    findings.sort();
    findings.dedup();
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    let warnings = findings.len() - errors;
    let report = Report { objects: manifests.len(), findings };
    output::print(&report, flags.output, screen, |_| {
        let mut text = String::new();
        for Finding { file, line, severity, reason } in &report.findings {
            let place = if *line == 0 { file.clone() } else { format!("{file}:{line}") };
            let _ = writeln!(text, "{place}: {severity}: {reason}");
        }
        let several =
            |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        let (objects, errors) = (several(report.objects, "object"), several(errors, "error"));
        text + &format!("{objects}: {errors}, {}\n", several(warnings, "warning"))
    })?;
    Ok(if errors == 0 { End::Done } else { End::Error })
}

/// Whether it is a document for `simulate`, which reads it itself, and no object.
pub(crate) fn is_simulation(manifest: &Manifest) -> bool {
    manifest.body["apiVersion"] == sim::scenario::API_VERSION && manifest.body["kind"] == sim::scenario::KIND
}

/// What keeps an object from being read at all: it is none, or of a kind or version that its group does not have.
pub(crate) fn unknown(manifest: &Manifest) -> Vec<Fault> {
    let fault = |pointer: &str, reason: String| vec![manifest.fault(pointer, reason)];
    if !manifest.body.is_object() {
        return fault("", "it is no object of Kubernetes: it must be a map of fields".to_owned());
    }
    let text = |pointer: &str| {
        manifest.body.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty())
    };
    let (Some(api_version), Some(kind)) = (text("/apiVersion"), text("/kind")) else {
        return fault("", "it is no object of Kubernetes: apiVersion and kind must be set".to_owned());
    };
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let (versions, kinds): (&[&str], Vec<&str>) = match group {
        GROUP => (&[VERSION], KINDS.iter().map(|kind| kind.kind).collect()),
        kairos::GROUP => (&[kairos::VERSION], kairos::KINDS.iter().map(|kind| kind.kind).collect()),
        capi::GROUP => (cluster::KIND.versions, CLUSTER_API.to_vec()),
        sim::scenario::GROUP => (&[sim::scenario::VERSION], vec![sim::scenario::KIND]),
        // Of objects of others, only the names are of use here.
        _ => return Vec::new(),
    };
    if !kinds.contains(&kind) {
        return fault("/kind", format!("the group {group} has no kind {kind}: it has {}", kinds.join(", ")));
    }
    if !versions.contains(&version) {
        let known = versions.join(" or ");
        return fault("/apiVersion", format!("the group {group} has no version {version}: it is {known}"));
    }
    Vec::new()
}

/// Everything that is wrong with one object by itself.
pub(crate) fn check(crds: &Crds, manifest: &Manifest) -> Result<Vec<Fault>, Failure> {
    let unknown = unknown(manifest);
    if !unknown.is_empty() || is_simulation(manifest) {
        return Ok(unknown);
    }
    let generated = manifest.body.pointer("/metadata/generateName").is_some_and(Value::is_string);
    if let Err((pointer, reason)) = Object::parse(manifest.body.clone())
        && !generated
    {
        return Ok(vec![manifest.fault(pointer, reason)]);
    }
    let group = manifest.body["apiVersion"].as_str().and_then(|version| version.split_once('/'));
    let crd = group.filter(|(group, _)| kinds::is_ours(group));
    let Some(crd) = crd.and_then(|_| crds.of(manifest.body["kind"].as_str()?)) else { return Ok(Vec::new()) };
    let mut faults = structure::check(crd, manifest);
    // The server evaluates rules where the structure is sound.
    if faults.is_empty() {
        faults = rules::check(crd, manifest)?;
    }
    if faults.is_empty() {
        faults = meaning(manifest);
    }
    Ok(faults)
}

/// What the controllers would report on the object: what no schema says.
fn meaning(manifest: &Manifest) -> Vec<Fault> {
    let Some(object) = Object::read(manifest.body.clone()) else { return Vec::new() };
    let mut faults = Vec::new();
    let mut put = |pointer: &str, reason: Option<String>| {
        faults.extend(reason.map(|reason| manifest.fault(pointer, reason)))
    };
    let range =
        |text: &str| text.parse::<VersionRange>().err().map(|error| format!("spec.versionRange: {error}"));
    if object.id.is(plan::KIND) {
        let row: PlanRow = object.row();
        put("/spec/versionRange", range(&row.version_range));
        let problem = row.selector.problem();
        put(
            "/spec/machineImageSelector",
            problem.map(|problem| format!("spec.machineImageSelector: {problem}")),
        );
    } else if object.id.is(machine_image_syncer::KIND) {
        let row: SyncerRow = object.row();
        put("/spec/versionRange", range(&row.version_range));
    } else if object.id.is(machine_image::KIND) {
        let row: MachineImageRow = object.row();
        let error = KubernetesVersion::parse_lenient(&row.version).err().filter(|_| row.malformed.is_none());
        put("/spec/version", error.map(|error| format!("spec.version: {error}")));
    } else if object.id.is(node_op::KIND) && has_spec(manifest) {
        let row: NodeOpRow = object.row();
        put("/spec/nodeSelector", row.selector.err().map(String::from));
        put(&blamed(row.malformed.as_deref()), row.malformed.map(String::from));
    } else if object.id.is(node_op_upgrade::KIND) && has_spec(manifest) {
        let row: NodeOpUpgradeRow = object.row();
        put("/spec/nodeSelector", row.selector.err().map(String::from));
        put(&blamed(row.malformed.as_deref()), row.malformed.map(String::from));
    }
    faults
}

/// The field that a sentence begins with, as a JSON pointer.
fn blamed(sentence: Option<&str>) -> String {
    let field = sentence.and_then(|sentence| sentence.split([' ', ':']).next()).unwrap_or_default();
    format!("/{}", field.replace('.', "/"))
}

fn has_spec(manifest: &Manifest) -> bool {
    manifest.body.get("spec").is_some_and(|spec| !spec.is_null())
}

/// What a server admits, and no controller can work with.
fn unfit(manifest: &Manifest) -> Option<Fault> {
    let object = Object::read(manifest.body.clone()).filter(Object::is_ours)?;
    (!has_spec(manifest)).then(|| {
        manifest.fault("", format!("{}: spec is missing: its controller reports it as Malformed", object.id))
    })
}

#[cfg(test)]
mod tests;
