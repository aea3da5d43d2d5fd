//! One object as it was read, whatever its kind.

use std::fmt;

use domain::object::{ObjectKey, Row, WireMeta};
use domain::verdict::Blocker;
use serde::Serialize;
use serde_json::Value;

use crate::kinds;

/// Which object: group, kind, namespace and name. The version does not tell objects apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Id {
    pub(crate) group: Box<str>,
    pub(crate) kind: Box<str>,
    pub(crate) key: ObjectKey,
}

impl Id {
    pub(crate) fn new(group: &str, kind: &str, key: ObjectKey) -> Self {
        Self { group: group.into(), kind: kind.into(), key }
    }

    pub(crate) fn of(kind: domain::object::Kind, key: ObjectKey) -> Self {
        Self::new(kind.group, kind.kind, key)
    }

    pub(crate) fn of_blocker(blocker: &Blocker) -> Self {
        let group = blocker.api_version.split_once('/').map_or("", |(group, _)| group);
        Self::new(group, &blocker.kind, ObjectKey::new(blocker.namespace.clone(), blocker.name.clone()))
    }

    /// The kind, where it is one of the chain.
    pub(crate) fn is(&self, kind: domain::object::Kind) -> bool {
        *self.group == *kind.group && *self.kind == *kind.kind
    }
}

/// `Kind/name`; the namespace is said once, elsewhere.
impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.key.name)
    }
}

/// An object in JSON and YAML.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Named {
    #[serde(skip_serializing_if = "str::is_empty")]
    group: Box<str>,
    kind: Box<str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    namespace: Box<str>,
    name: Box<str>,
}

impl From<&Id> for Named {
    fn from(id: &Id) -> Self {
        Self {
            group: id.group.clone(),
            kind: id.kind.clone(),
            namespace: (&*id.key.namespace).into(),
            name: (&*id.key.name).into(),
        }
    }
}

/// An object.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) id: Id,
    pub(crate) meta: WireMeta,
    pub(crate) body: Value,
}

impl Object {
    /// Reads the parts that every object has, or says which of them is wrong: a field, and what is wrong with it.
    pub(crate) fn parse(mut body: Value) -> Result<Self, (&'static str, String)> {
        let text = |field: &str| body.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
        let (Some(api_version), Some(kind)) = (text("apiVersion"), text("kind")) else {
            return Err(("", "it is no object of Kubernetes: apiVersion and kind must be set".to_owned()));
        };
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        let (group, kind): (Box<str>, Box<str>) = (group.into(), kind.into());
        if let Some(fields) = body.get_mut("metadata").and_then(Value::as_object_mut) {
            fields.remove("managedFields");
        }
        let metadata = body.get("metadata").unwrap_or(&Value::Null);
        let meta: Option<WireMeta> = serde::Deserialize::deserialize(metadata)
            .map_err(|error: serde_json::Error| ("/metadata", format!("{kind}: metadata: {error}")))?;
        let meta = meta.unwrap_or_default();
        if meta.name.is_empty() {
            return Err(("/metadata", format!("{kind}: metadata.name must be set")));
        }
        let key = ObjectKey::new(meta.namespace.clone().unwrap_or_default(), meta.name.clone());
        Ok(Self { id: Id { group, kind, key }, meta, body })
    }

    /// The same, where nobody asks what is wrong.
    pub(crate) fn read(body: Value) -> Option<Self> {
        Self::parse(body).ok()
    }

    /// The row that the controllers keep of it.
    pub(crate) fn row<R: Row>(&self) -> R {
        match <R::Wire as serde::Deserialize>::deserialize(&self.body) {
            Ok(wire) => R::from_wire(&self.meta, wire),
            Err(error) => R::malformed(&self.meta, &error.to_string()),
        }
    }

    /// A string somewhere in it, by JSON pointer.
    pub(crate) fn text(&self, pointer: &str) -> Option<&str> {
        self.body.pointer(pointer)?.as_str().filter(|text| !text.is_empty())
    }

    /// Another object of its namespace.
    pub(crate) fn sibling(&self, kind: domain::object::Kind, name: &str) -> Id {
        Id::of(kind, self.id.key.sibling(name))
    }

    /// Whether the kind is one that the controllers of this project write.
    pub(crate) fn is_ours(&self) -> bool {
        kinds::is_ours(&self.id.group)
    }
}
