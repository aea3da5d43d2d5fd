//! The machine image that is made from a template.

use std::collections::BTreeMap;

use api::selector::Labels;
use api::upgrader::machine_image::{
    self, CLONED_FROM_ANNOTATION, KUBERNETES_VERSION_LABEL, PACKAGE_ANNOTATION, REPOSITORY_ANNOTATION,
    SOURCE_ANNOTATION, SYNCER_NAME_LABEL,
};
use api::upgrader::machine_image_syncer::{KIND, SyncerRow};
use api::upgrader::machine_image_template::TemplateRow;
use domain::name;
use domain::object::{Meta, Row as _, WireMeta};
use domain::version::KubernetesVersion;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::source::{Catalog, Target};

/// A template as it was read a moment ago, with the `PodSpec` as it is, so that no field newer than this program is lost.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveTemplate {
    /// Identity.
    pub meta: Meta,
    labels: Labels,
    annotations: BTreeMap<Box<str>, Box<str>>,
    job_template: Value,
    build: Value,
}

impl LiveTemplate {
    /// From the object; an error says why no Job can be made of it.
    pub fn of(mut object: Value) -> Result<Self, Box<str>> {
        let meta: WireMeta = part(object["metadata"].take(), "metadata")?;
        // The same reading as the watch's, so that both say the same of a template.
        TemplateRow::from_wire(&meta, part(object.clone(), "the template")?).containers?;
        let mut template = object["spec"]["template"].take();
        let mut metadata = template["metadata"].take();
        Ok(Self {
            meta: meta.meta(),
            labels: part(metadata["labels"].take(), "spec.template.metadata.labels")?,
            annotations: part(metadata["annotations"].take(), "spec.template.metadata.annotations")?,
            job_template: template["spec"]["jobTemplate"].take(),
            build: template["spec"]["build"].take(),
        })
    }
}

/// The name of the machine image of a version.
pub(super) fn image_name(syncer: &Meta, version: &str) -> String {
    name::unique(&format!("{}-{version}", syncer.key.name), &[&syncer.uid, version])
}

/// Where a version is from, in words that survive a move: names and package strings, never a uid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Lineage {
    /// `<kind>/<name>` of the source.
    pub(super) source: String,
    /// The package that has the version, where it is known.
    pub(super) package: Option<String>,
    /// The package index that lists it, where it is known.
    pub(super) repository: Option<String>,
}

impl Lineage {
    /// Of a version of a source.
    pub(super) fn of(target: &Target, catalog: Option<&Catalog>, version: &str) -> Self {
        let package = catalog.and_then(|catalog| catalog.package(version));
        let parsed = KubernetesVersion::parse_strict(version).ok();
        Self {
            source: format!("{}/{}", target.kind.kind, target.key.name),
            package: package.map(|package| format!("kubeadm {package}")),
            repository: catalog.zip(parsed).and_then(|(catalog, version)| catalog.repository(&version)),
        }
    }

    /// Puts it over a template's annotations: what is not known is not said, by no template either.
    fn annotate(self, annotations: &mut BTreeMap<Box<str>, Box<str>>) {
        let Self { source, package, repository } = self;
        let told = [
            (SOURCE_ANNOTATION, Some(source)),
            (PACKAGE_ANNOTATION, package),
            (REPOSITORY_ANNOTATION, repository),
        ];
        for (key, value) in told {
            annotations.remove(key);
            annotations.extend(value.map(|value| (key.into(), value.into())));
        }
    }
}

/// The machine image of a version. What identifies it, and where it is from, is put over the template's labels and
/// annotations, and the template's id and version are not taken.
pub(super) fn machine_image(
    syncer: &SyncerRow,
    version: &str,
    template: &LiveTemplate,
    lineage: Lineage,
) -> Value {
    let meta = &syncer.meta;
    let mut labels = template.labels.clone();
    labels.insert(SYNCER_NAME_LABEL.into(), name::label_value(&meta.key.name).into());
    labels.insert(KUBERNETES_VERSION_LABEL.into(), name::label_value(version).into());
    let mut annotations = template.annotations.clone();
    annotations.insert(CLONED_FROM_ANNOTATION.into(), (&*template.meta.key.name).into());
    lineage.annotate(&mut annotations);
    let mut spec = json!({"version": version, "jobTemplate": template.job_template});
    if !template.build.is_null() {
        spec["build"] = template.build.clone();
    }
    json!({
        "apiVersion": machine_image::KIND.api_version(),
        "kind": machine_image::KIND.kind,
        "metadata": {
            "name": image_name(meta, version),
            "namespace": meta.key.namespace,
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [{
                "apiVersion": KIND.api_version(),
                "kind": KIND.kind,
                "name": meta.key.name,
                "uid": meta.uid,
                "controller": true,
                "blockOwnerDeletion": true,
            }],
        },
        "spec": spec,
    })
}

/// A part of an object; absent and `null` are empty.
fn part<T: DeserializeOwned + Default>(value: Value, at: &str) -> Result<T, Box<str>> {
    let read: Result<Option<T>, _> = serde_json::from_value(value);
    read.map(Option::unwrap_or_default).map_err(|error| format!("{at}: {error}").into())
}
