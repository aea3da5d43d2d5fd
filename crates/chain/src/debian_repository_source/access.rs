//! What is read of the Secrets and ConfigMaps that a source names: a user's name and password, certificates, a key.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use api::upgrader::debian_repository_source::{KeyHolder, SECRET_TYPE};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::object::Kind;
use serde::Deserialize;
use sources::Credentials;

use super::target::{Reference, Use};

/// Secrets.
pub const SECRET: Kind = Kind { group: "", versions: &["v1"], kind: "Secret", plural: "secrets" };
/// ConfigMaps.
pub const CONFIG_MAP: Kind = Kind { group: "", versions: &["v1"], kind: "ConfigMap", plural: "configmaps" };
/// The ClusterRole that allows both, as it is installed.
pub const READER_ROLE: &str = "kubernetes-upgrader-repository-secrets-reader-role";
/// Type of the Secrets of Kubernetes with a user's name and password.
const BASIC_AUTH: &str = "kubernetes.io/basic-auth";

/// What an object held; no output ever shows it.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// A user's name and password.
    Credentials(Credentials),
    /// The bytes of one key.
    Bytes(Arc<[u8]>),
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Credentials(_) => "Credentials(..)",
            Self::Bytes(_) => "Bytes(..)",
        })
    }
}

/// Why an object brought nothing. Nothing here says what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    /// It does not exist.
    Missing,
    /// RBAC refuses to read it.
    Forbidden,
    /// Secrets of its type are never sent anywhere.
    Type,
    /// It lacks a key.
    NoKey(Box<str>),
    /// What is under a key is empty, or no text where one is needed.
    Unreadable(Box<str>),
}

impl Reference {
    /// The kind of the object.
    pub fn kind(&self) -> Kind {
        match self.kind {
            KeyHolder::Secret => SECRET,
            KeyHolder::ConfigMap => CONFIG_MAP,
        }
    }
}

/// A Secret or a ConfigMap as it is read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Live {
    #[serde(default, rename = "type")]
    type_: Option<Box<str>>,
    #[serde(default)]
    data: Option<BTreeMap<Box<str>, String>>,
    #[serde(default)]
    binary_data: Option<BTreeMap<Box<str>, String>>,
}

impl Live {
    /// What it holds for a use. Only Secrets that are made to be sent are sent: whoever may create a source may not read
    /// every Secret, and could otherwise have any sent to a host of his choice.
    pub(super) fn value(&self, of: Use, reference: &Reference) -> Result<Value, Denied> {
        if of != Use::Credentials {
            return self.bytes(reference.kind, &reference.key).map(|bytes| Value::Bytes(bytes.into()));
        }
        if !matches!(self.type_.as_deref(), Some(BASIC_AUTH | SECRET_TYPE)) {
            return Err(Denied::Type);
        }
        let text = |key: &str| {
            let bytes = self.bytes(KeyHolder::Secret, key)?;
            String::from_utf8(bytes).map(Box::<str>::from).map_err(|_| Denied::Unreadable(key.into()))
        };
        Ok(Value::Credentials(Credentials { username: text("username")?, password: text("password")? }))
    }

    fn bytes(&self, kind: KeyHolder, key: &str) -> Result<Vec<u8>, Denied> {
        let of = |map: &Option<BTreeMap<Box<str>, String>>| {
            map.as_ref().and_then(|map| map.get(key)).map(String::to_owned)
        };
        let decoded = |text: String| STANDARD.decode(text).map_err(|_| Denied::Unreadable(key.into()));
        let bytes = match (kind, of(&self.data), of(&self.binary_data)) {
            (KeyHolder::Secret, Some(text), _) | (KeyHolder::ConfigMap, None, Some(text)) => decoded(text)?,
            (KeyHolder::ConfigMap, Some(text), _) => text.into_bytes(),
            (KeyHolder::Secret, None, _) | (KeyHolder::ConfigMap, None, None) => {
                return Err(Denied::NoKey(key.into()));
            }
        };
        if bytes.is_empty() { Err(Denied::Unreadable(key.into())) } else { Ok(bytes) }
    }
}
