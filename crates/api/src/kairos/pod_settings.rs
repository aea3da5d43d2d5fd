//! Settings of the pods that an operation makes, the same in both kinds.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::schema;
use crate::wire::text;

/// A Secret in the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-map-type" = "atomic"))]
pub struct LocalObjectReference {
    /// Name.
    #[serde(default, deserialize_with = "text")]
    #[schemars(extend("x-default" = ""))]
    pub name: Box<str>,
}

/// `core/v1` `ResourceRequirements`, raw, so that no field newer than this program is lost. Absent and empty differ: absent
/// leaves what the program does by itself, empty asks for nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Resources(#[schemars(schema_with = "schema::resource_requirements")] pub Value);
