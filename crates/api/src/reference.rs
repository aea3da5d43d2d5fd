//! `core/v1` `ObjectReference`, with the fields that the original wrote.

use domain::object::{Kind, Meta, ObjectKey};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A reference to an object. Every field is optional on the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-map-type" = "atomic"))]
pub struct ObjectReference {
    /// group/version of the object.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::wire::filled")]
    #[schemars(length(max = 317))]
    pub api_version: Option<Box<str>>,
    /// Part of the object that is meant. Not used.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::wire::filled")]
    #[schemars(length(max = 1024))]
    pub field_path: Option<Box<str>>,
    /// Kind of the object.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::wire::filled")]
    #[schemars(length(max = 63))]
    pub kind: Option<Box<str>>,
    /// Name of the object.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::wire::filled")]
    #[schemars(length(max = 253))]
    pub name: Option<Box<str>>,
    /// Namespace of the object; absent means the namespace of the referring object, and no other is allowed.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::wire::filled")]
    #[schemars(length(max = 63))]
    pub namespace: Option<Box<str>>,
    /// resourceVersion of the object. Not used.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::wire::filled")]
    #[schemars(length(max = 64))]
    pub resource_version: Option<Box<str>>,
    /// Uid of the object.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::wire::filled")]
    #[schemars(length(max = 64))]
    pub uid: Option<Box<str>>,
}

impl ObjectReference {
    /// A reference to an object that was read, without its resourceVersion: that changes when nothing that matters does.
    pub fn to(kind: Kind, meta: &Meta) -> Self {
        Self {
            api_version: Some(kind.api_version().into()),
            kind: Some(kind.kind.into()),
            name: Some((&*meta.key.name).into()),
            namespace: Some(&*meta.key.namespace).filter(|namespace| !namespace.is_empty()).map(Into::into),
            uid: Some(meta.uid.clone()).filter(|uid| !uid.is_empty()),
            ..Self::default()
        }
    }

    /// Whether it points out of a namespace. Absent is within it.
    pub fn leaves(&self, namespace: &str) -> bool {
        self.namespace.as_deref().is_some_and(|other| other != namespace)
    }

    /// Where it points, within the namespace of the referring object. Empty name where none is given.
    pub fn key(&self, namespace: &str) -> ObjectKey {
        ObjectKey::new(
            self.namespace.as_deref().unwrap_or(namespace),
            self.name.as_deref().unwrap_or_default(),
        )
    }
}
