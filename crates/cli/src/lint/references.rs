//! References to objects that are not among the files.

use std::collections::BTreeSet;

use api::capi::cluster;
use api::upgrader::cluster_upgrader::{self, UpgraderRow};
use api::upgrader::machine_image_syncer::{self, SyncerRow};
use api::upgrader::{debian_repository_source, machine_image_template, plan};
use domain::object::Kind;

use super::{Finding, Severity};
use crate::manifests::Manifest;
use crate::object::{Id, Object};

/// References that nothing among the files answers, and those that lead out of their namespace.
pub(super) fn dangling(manifests: &[Manifest], namespace: &str, strict: bool) -> Vec<Finding> {
    let placed = |manifest: &Manifest| {
        let mut object = Object::read(manifest.body.clone())?;
        if object.id.key.namespace.is_empty() {
            object.id.key.namespace = namespace.into();
        }
        Some(object)
    };
    let objects: Vec<(&Manifest, Object)> =
        manifests.iter().filter_map(|manifest| Some((manifest, placed(manifest)?))).collect();
    let there: BTreeSet<&Id> = objects.iter().map(|(_, object)| &object.id).collect();
    let missing = if strict { Severity::Error } else { Severity::Warning };
    let mut findings = Vec::new();
    for (manifest, object) in &objects {
        for Reference { field, to, leaves } in references(object) {
            let pointer = format!("/spec/{field}");
            if leaves {
                let reason = format!("spec.{field}: it points to another namespace, which is not allowed");
                findings.push(Finding::new(Severity::Error, manifest.fault(&pointer, reason)));
            } else if !there.contains(&to) {
                let reason = format!("spec.{field}: {to} is not among the files");
                findings.push(Finding::new(missing, manifest.fault(&pointer, reason)));
            }
        }
    }
    findings
}

/// What a field of an object names.
struct Reference {
    field: &'static str,
    to: Id,
    leaves: bool,
}

fn references(object: &Object) -> Vec<Reference> {
    let namespace = &*object.id.key.namespace;
    let here = |field, kind: Kind, reference: &api::reference::ObjectReference| Reference {
        field,
        to: object.sibling(kind, reference.name.as_deref().unwrap_or_default()),
        leaves: reference.leaves(namespace),
    };
    if object.id.is(machine_image_syncer::KIND) {
        let row: SyncerRow = object.row();
        if row.malformed.is_some() {
            return Vec::new();
        }
        let known = debian_repository_source::KIND;
        let mut source = here("sourceRef", known, &row.source);
        let kind = row.source.kind.as_deref().unwrap_or(known.kind);
        let group = row.source.api_version.as_deref().and_then(|version| version.split_once('/'));
        source.to.kind = kind.into();
        source.to.group = group.map_or(known.group, |(group, _)| group).into();
        return vec![source, here("machineImageTemplateRef", machine_image_template::KIND, &row.template)];
    }
    if object.id.is(cluster_upgrader::KIND) {
        let row: UpgraderRow = object.row();
        if row.malformed.is_some() {
            return Vec::new();
        }
        let to = object.sibling(cluster::KIND, &row.cluster_name);
        return vec![
            here("planRef", plan::KIND, &row.plan),
            Reference { field: "clusterName", to, leaves: false },
        ];
    }
    Vec::new()
}
