//! What every object has in common: its key, its identity and the row that is kept of it.
//!
//! A *wire struct* is what a server sends; a *row* is the little that decisions need of it. A wire struct lives only
//! while its row is made.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::Arc;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Namespace and name of an object; the namespace is empty for cluster-scoped objects. Shared, since a row, its references
/// and whatever is kept of it have the same key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ObjectKey {
    /// Namespace, empty for cluster-scoped objects.
    pub namespace: Arc<str>,
    /// Name within the namespace.
    pub name: Arc<str>,
}

impl ObjectKey {
    /// A key from its two parts.
    pub fn new(namespace: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// Another object of the same namespace.
    #[must_use]
    pub fn sibling(&self, name: &str) -> Self {
        Self { namespace: self.namespace.clone(), name: name.into() }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}/{}", self.namespace, self.name)
        }
    }
}

/// A kind as the API server serves it. `versions` holds every version that we can read, the preferred first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    /// API group, empty for the core group.
    pub group: &'static str,
    /// Versions that we can read, the preferred first; never empty.
    pub versions: &'static [&'static str],
    /// CamelCase kind.
    pub kind: &'static str,
    /// Lower-case plural, the resource name.
    pub plural: &'static str,
}

impl Kind {
    /// `group/version` of the preferred version, or `version` for the core group.
    pub fn api_version(&self) -> String {
        api_version(self.group, self.versions.first().copied().unwrap_or_default())
    }
}

/// `group/version`, or `version` for the core group.
pub fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

/// An object named in a message: `Kind namespace/name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectRef {
    /// `group/version` of the object.
    pub api_version: Box<str>,
    /// CamelCase kind.
    pub kind: Box<str>,
    /// Where it is.
    pub key: ObjectKey,
    /// Its uid where known, else empty.
    pub uid: Box<str>,
}

impl ObjectRef {
    /// A reference to an object of a known kind.
    pub fn of(kind: Kind, meta: &Meta) -> Self {
        Self { uid: meta.uid.clone(), ..Self::named(kind, meta.key.clone()) }
    }

    /// A reference by name only, for an object that was not seen.
    pub fn named(kind: Kind, key: ObjectKey) -> Self {
        Self { api_version: kind.api_version().into(), kind: kind.kind.into(), key, uid: Box::default() }
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.key)
    }
}

/// A resourceVersion. The API server promises that they are decimal numbers which grow (KEP-5504); anything else reads
/// as 0, which every other version replaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ResourceVersion(pub u64);

impl ResourceVersion {
    /// Reads the string form.
    pub fn parse(text: &str) -> Self {
        Self(text.parse().unwrap_or(0))
    }
}

impl fmt::Display for ResourceVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The identity of an object, kept in every row.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Meta {
    /// Namespace and name.
    pub key: ObjectKey,
    /// Uid, new for each incarnation of a name.
    pub uid: Box<str>,
    /// The version last seen or written.
    pub resource_version: ResourceVersion,
    /// Counts changes of the spec; 0 where the server keeps none.
    pub generation: i64,
    /// Creation time, to the second.
    pub created: Option<Timestamp>,
    /// A deletionTimestamp is set.
    pub deleting: bool,
    /// Of labels, annotations and owners, which no generation counts.
    pub digest: u64,
}

/// An entry of `metadata.ownerReferences`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OwnerReference {
    /// `group/version` of the owner.
    pub api_version: Box<str>,
    /// Kind of the owner.
    pub kind: Box<str>,
    /// Name of the owner, in the same namespace.
    pub name: Box<str>,
    /// Uid of the owner.
    pub uid: Box<str>,
    /// Whether the owner manages this object.
    #[serde(default)]
    pub controller: Option<bool>,
}

/// `metadata` as it is read from the wire. managedFields are skipped by the parser, never built.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WireMeta {
    /// Name.
    pub name: Box<str>,
    /// Namespace, absent for cluster-scoped objects.
    pub namespace: Option<Box<str>>,
    /// Uid.
    pub uid: Box<str>,
    /// resourceVersion as sent.
    pub resource_version: Box<str>,
    /// Generation of the spec.
    pub generation: i64,
    /// Creation time.
    pub creation_timestamp: Option<Timestamp>,
    /// Set once a deletion was asked for.
    pub deletion_timestamp: Option<Timestamp>,
    /// Labels.
    #[serde(deserialize_with = "null_is_default")]
    pub labels: BTreeMap<Box<str>, Box<str>>,
    /// Annotations.
    #[serde(deserialize_with = "null_is_default")]
    pub annotations: BTreeMap<Box<str>, Box<str>>,
    /// Owners.
    #[serde(deserialize_with = "null_is_default")]
    pub owner_references: Vec<OwnerReference>,
    /// What must be gone before a deletion comes to its end.
    #[serde(deserialize_with = "null_is_default")]
    pub finalizers: Vec<Box<str>>,
}

/// Reads `null` as the default value, as the API server does.
pub fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

impl WireMeta {
    /// The part that rows keep.
    pub fn meta(&self) -> Meta {
        Meta {
            key: ObjectKey::new(self.namespace.as_deref().unwrap_or_default(), &*self.name),
            uid: self.uid.clone(),
            resource_version: ResourceVersion::parse(&self.resource_version),
            generation: self.generation,
            created: self.creation_timestamp,
            deleting: self.deletion_timestamp.is_some(),
            digest: {
                let mut hasher = DefaultHasher::new();
                (&self.labels, &self.annotations, &self.owner_references).hash(&mut hasher);
                hasher.finish()
            },
        }
    }

    /// The value of a label.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.labels.get(key).map(AsRef::as_ref)
    }

    /// The value of an annotation.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.get(key).map(AsRef::as_ref)
    }

    /// Whether it has a finalizer.
    pub fn has_finalizer(&self, name: &str) -> bool {
        self.finalizers.iter().any(|finalizer| **finalizer == *name)
    }

    /// The owner that manages this object, if any.
    pub fn controller(&self) -> Option<&OwnerReference> {
        self.owner_references.iter().find(|owner| owner.controller == Some(true))
    }
}

/// What the store keeps of an object: made from its wire struct, which is dropped at once.
pub trait Row: fmt::Debug + Clone + PartialEq + Send + Sync + 'static {
    /// The object without `apiVersion`, `kind` and `metadata`: the fields that are read, and no more.
    type Wire: DeserializeOwned;

    /// Keeps what decisions need.
    fn from_wire(meta: &WireMeta, wire: Self::Wire) -> Self;

    /// The row of an object whose body did not parse: it says so, and is reported on the object.
    fn malformed(meta: &WireMeta, error: &str) -> Self;

    /// The identity.
    fn meta(&self) -> &Meta;

    /// Names this row's references, so that it is found from the other end: calls `put(index, value)` for each. The
    /// value is looked up within the row's namespace.
    fn references(&self, put: &mut dyn FnMut(&'static str, &str)) {
        let _ = put;
    }
}
