//! Reading objects that may be wrong in a part: the part says so, the rest is read.

use std::ops::{Deref, DerefMut};

use domain::object::null_is_default;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
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

/// A status as it was read. One that cannot be read counts as empty, since it is ours and is written anew; what the server
/// has of it is kept, and is what it serializes to, so that the patch which makes a new one of it takes away what the new
/// one has not. Without that it would stay unreadable, and be written for ever.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Written<T> {
    read: T,
    unreadable: Option<Box<Value>>,
}

impl<T> Written<T> {
    /// Whether the server has a status that could not be read. Where a status is all that is known of work that was done,
    /// an empty one must not be mistaken for none.
    pub fn is_unreadable(&self) -> bool {
        self.unreadable.is_some()
    }
}

impl<T: PartialEq> PartialEq<T> for Written<T> {
    fn eq(&self, other: &T) -> bool {
        self.unreadable.is_none() && self.read == *other
    }
}

impl<T> From<T> for Written<T> {
    fn from(read: T) -> Self {
        Self { read, unreadable: None }
    }
}

impl<T> Deref for Written<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.read
    }
}

impl<T> DerefMut for Written<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.read
    }
}

impl<'de, T: Default + DeserializeOwned> Deserialize<'de> for Written<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Ok(match Option::<T>::deserialize(&value) {
            Ok(read) => read.unwrap_or_default().into(),
            Err(_) => Self { read: T::default(), unreadable: Some(value.into()) },
        })
    }
}

impl<T: Serialize> Serialize for Written<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.unreadable {
            Some(value) => value.serialize(serializer),
            None => self.read.serialize(serializer),
        }
    }
}

/// One of our own objects: `spec` and `status`, each read on its own.
#[derive(Clone, Debug, Deserialize)]
#[serde(bound = "S: DeserializeOwned, T: Default + DeserializeOwned")]
pub struct Own<S, T> {
    /// What the user asks for.
    #[serde(default)]
    pub spec: Part<S>,
    /// What the controller last wrote.
    #[serde(default)]
    pub status: Written<T>,
}

impl<S, T: Default> Default for Own<S, T> {
    fn default() -> Self {
        Self { spec: Part::default(), status: Written::default() }
    }
}

impl<S: Default, T: Default> Own<S, T> {
    /// Spec and status, empty where absent or wrong, and what is wrong with the spec.
    pub fn split(self) -> (S, Written<T>, Option<Box<str>>) {
        let Self { spec, status } = self;
        match spec.0 {
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

/// A part that cannot be read counts as absent. For parts of a status whose rest must be kept whatever they hold: a time
/// that the schema admits may be later than any that there is.
pub(crate) fn lenient<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + DeserializeOwned,
{
    let value = Value::deserialize(deserializer)?;
    Ok(Option::<T>::deserialize(value).unwrap_or_default().unwrap_or_default())
}
