//! `ClusterClass`: what a Cluster is made from, which variables it knows and which versions it allows.

use std::collections::BTreeMap;

use domain::condition::Status;
use domain::object::{Kind, Meta, Row, WireMeta, null_is_default};
use serde::Deserialize;
use serde_json::Value;

use super::{ConditionWire, told};
use crate::wire::{filled, text};

/// The kind.
pub const KIND: Kind = super::kind("ClusterClass", "clusterclasses");

/// Shape of a variable, as far as an image can be put into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `type: string`.
    String,
    /// `type: object` whose values are strings.
    Map,
    /// Anything else, in the words of the schema; `any` where it names no type.
    Other(Box<str>),
}

/// What is kept of a class.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClusterClassRow {
    /// Identity, with the generation of its spec.
    pub meta: Meta,
    /// Why the class could not be read; the fields below are then empty.
    pub malformed: Option<Box<str>>,
    /// `status.observedGeneration`; while it differs from the generation, Cluster API admits any variable.
    pub observed_generation: Option<i64>,
    /// The condition `VariablesReady`, or the older `VariablesReconciled`.
    pub variables_ready: Option<Status>,
    /// `spec.kubernetesVersions`, as listed; empty means that every version is allowed.
    pub kubernetes_versions: Vec<Box<str>>,
    /// An extension plans upgrades through several versions.
    pub has_upgrade_plan_extension: bool,
    /// The variables of `status.variables`, by name. Where definitions of one name differ, it is `Other`.
    pub variables: BTreeMap<Box<str>, Shape>,
}

/// A class as read.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wire {
    #[serde(deserialize_with = "null_is_default")]
    spec: SpecWire,
    #[serde(deserialize_with = "null_is_default")]
    status: StatusWire,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct SpecWire {
    #[serde(deserialize_with = "null_is_default")]
    kubernetes_versions: Vec<Box<str>>,
    #[serde(deserialize_with = "null_is_default")]
    upgrade: UpgradeWire,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct UpgradeWire {
    #[serde(deserialize_with = "null_is_default")]
    external: ExternalWire,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ExternalWire {
    #[serde(deserialize_with = "filled")]
    generate_upgrade_plan_extension: Option<Box<str>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct StatusWire {
    observed_generation: Option<i64>,
    #[serde(deserialize_with = "null_is_default")]
    conditions: Vec<ConditionWire>,
    /// The newer conditions, within v1beta1.
    #[serde(deserialize_with = "null_is_default")]
    v1beta2: NewerWire,
    #[serde(deserialize_with = "null_is_default")]
    variables: Vec<VariableWire>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct NewerWire {
    #[serde(deserialize_with = "null_is_default")]
    conditions: Vec<ConditionWire>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct VariableWire {
    #[serde(deserialize_with = "text")]
    name: Box<str>,
    #[serde(deserialize_with = "null_is_default")]
    definitions: Vec<DefinitionWire>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct DefinitionWire {
    #[serde(deserialize_with = "null_is_default")]
    schema: SchemaWire,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct SchemaWire {
    #[serde(rename = "openAPIV3Schema", deserialize_with = "null_is_default")]
    open_api: TypeWire,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct TypeWire {
    #[serde(rename = "type", deserialize_with = "filled")]
    type_: Option<Box<str>>,
    /// A schema, or in odd cases a boolean.
    additional_properties: Value,
    properties: Option<serde::de::IgnoredAny>,
}

impl TypeWire {
    fn shape(&self) -> Shape {
        let values = self.additional_properties.get("type").and_then(Value::as_str);
        match (self.type_.as_deref(), values) {
            (Some("string"), _) => Shape::String,
            (Some("object"), Some("string")) if self.properties.is_none() => Shape::Map,
            (Some("object"), Some(values)) => Shape::Other(format!("object of {values}").into()),
            (Some(other), _) => Shape::Other(other.into()),
            (None, _) => Shape::Other("any".into()),
        }
    }
}

fn shape(definitions: &[DefinitionWire]) -> Shape {
    let mut shapes = definitions.iter().map(|definition| definition.schema.open_api.shape());
    let first = shapes.next().unwrap_or_else(|| Shape::Other("any".into()));
    if shapes.all(|other| other == first) { first } else { Shape::Other("of several definitions".into()) }
}

impl Row for ClusterClassRow {
    type Wire = Wire;

    fn from_wire(meta: &WireMeta, wire: Wire) -> Self {
        let Wire { spec, status } = wire;
        let ready = told(&status.v1beta2.conditions, "VariablesReady")
            .or_else(|| told(&status.conditions, "VariablesReady"))
            .or_else(|| told(&status.conditions, "VariablesReconciled"));
        let variables = status.variables.iter();
        Self {
            meta: meta.meta(),
            malformed: None,
            observed_generation: status.observed_generation,
            variables_ready: ready.map(|condition| condition.status),
            kubernetes_versions: spec.kubernetes_versions,
            has_upgrade_plan_extension: spec.upgrade.external.generate_upgrade_plan_extension.is_some(),
            variables: variables.map(|entry| (entry.name.clone(), shape(&entry.definitions))).collect(),
        }
    }

    fn malformed(meta: &WireMeta, error: &str) -> Self {
        Self { meta: meta.meta(), malformed: Some(error.into()), ..Self::default() }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }
}
