//! Reading objects that may be wrong in a part: the part says so, the rest is read.

use domain::object::null_is_default;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A part of an object that is read on its own: absent or `null`, well-formed, or wrong with the reason. A wrong part
/// leaves the rest of the object readable; without this a malformed spec would hide the status, and the same status would
/// be written for ever.
#[derive(Clone, Debug, PartialEq)]
pub struct Part<T>(pub Result<Option<T>, Box<str>>);

impl<T> Default for Part<T> {
    fn default() -> Self {
        Self(Ok(None))
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Part<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Ok(Self(Option::<T>::deserialize(value).map_err(|error| error.to_string().into())))
    }
}

/// One of our own objects: `spec` and `status`, each read on its own.
#[derive(Clone, Debug, Deserialize)]
#[serde(bound = "S: DeserializeOwned, T: DeserializeOwned")]
pub struct Own<S, T> {
    /// What the user asks for.
    #[serde(default)]
    pub spec: Part<S>,
    /// What the controller last wrote.
    #[serde(default)]
    pub status: Part<T>,
}

impl<S, T> Default for Own<S, T> {
    fn default() -> Self {
        Self { spec: Part::default(), status: Part::default() }
    }
}

impl<S: Default, T: Default> Own<S, T> {
    /// Spec and status, empty where absent or wrong, and what is wrong with the spec. A status that cannot be read counts
    /// as empty: it is ours, and is written anew.
    pub fn split(self) -> (S, T, Option<Box<str>>) {
        let status = self.status.0.ok().flatten().unwrap_or_default();
        match self.spec.0 {
            Ok(Some(spec)) => (spec, status, None),
            Ok(None) => (S::default(), status, Some("spec is missing".into())),
            Err(error) => (S::default(), status, Some(format!("spec: {error}").into())),
        }
    }
}

/// A string; `null` and absence are empty.
pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Box<str>, D::Error> {
    null_is_default(deserializer)
}

/// A string that is kept only if it says something: `null`, absence and the empty string are `None`, as Go reads them.
pub(crate) fn filled<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<str>>, D::Error> {
    Ok(Option::<Box<str>>::deserialize(deserializer)?.filter(|text| !text.is_empty()))
}
