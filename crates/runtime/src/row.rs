//! The row of an object's JSON, in one pass over it: objects are large, and most of them is in nobody's row.

use std::fmt;

use domain::object::{Row, WireMeta};
use serde::de::value::StringDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error, IntoDeserializer as _, MapAccess, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};

/// The row of an object's JSON; one whose body does not parse gives the row that says so. An error where there is no
/// metadata that can be read.
pub(crate) fn of<R: Row>(text: &str) -> Result<R, serde_json::Error> {
    let (meta, wire) = parts::<R::Wire>(text);
    Ok(match (meta, wire) {
        (Some(meta), Ok(wire)) => R::from_wire(&meta, wire),
        // What stands behind a part that does not parse was not read.
        (_, Err(error)) => R::malformed(&metadata(text)?, &error.to_string()),
        (None, Ok(_)) => return Err(serde_json::Error::missing_field(METADATA)),
    })
}

const METADATA: &str = "metadata";

fn metadata(text: &str) -> Result<WireMeta, serde_json::Error> {
    #[derive(Deserialize)]
    struct Envelope {
        metadata: WireMeta,
    }
    serde_json::from_str::<Envelope>(text).map(|envelope| envelope.metadata)
}

/// The metadata, and the rest as `W` reads it.
fn parts<'de, W: Deserialize<'de>>(text: &'de str) -> (Option<WireMeta>, Result<W, serde_json::Error>) {
    let mut meta = None;
    let mut inner = serde_json::Deserializer::from_str(text);
    let wire = W::deserialize(Apart { inner: &mut inner, meta: &mut meta });
    (meta, wire.and_then(|wire| inner.end().map(|()| wire)))
}

/// Reads an object without its metadata, and the metadata apart.
struct Apart<'a, T> {
    inner: T,
    meta: &'a mut Option<WireMeta>,
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Apart<'_, D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_map(Apart { inner: visitor, meta: self.meta })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Apart<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.inner.visit_map(Apart { inner: map, meta: self.meta })
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Apart<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        while let Some(key) = self.inner.next_key::<String>()? {
            if key != METADATA {
                let key: StringDeserializer<A::Error> = key.into_deserializer();
                return seed.deserialize(key).map(Some);
            }
            if self.meta.replace(self.inner.next_value()?).is_some() {
                return Err(A::Error::duplicate_field(METADATA));
            }
        }
        Ok(None)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.inner.next_value_seed(seed)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;

    use super::*;

    type Rest = BTreeMap<String, Value>;

    #[test]
    fn metadata_is_read_apart_wherever_it_stands() {
        for text in [
            r#"{"metadata": {"name": "a", "uid": "u"}, "kind": "K", "spec": {"metadata": 1}}"#,
            r#"{"kind": "K", "spec": {"metadata": 1}, "metadata": {"name": "a", "uid": "u"}}"#,
        ] {
            let (meta, rest) = parts::<Rest>(text);
            assert_eq!(meta.map(|meta| (meta.name, meta.uid)), Some(("a".into(), "u".into())));
            let rest = rest.unwrap();
            assert_eq!(rest.keys().collect::<Vec<_>>(), ["kind", "spec"]);
            assert_eq!(rest["spec"]["metadata"], 1);
        }
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for text in ["", "[]", "7", r#""metadata""#, "{} {}", r#"{"metadata": {}, "metadata": {}}"#] {
            assert!(parts::<Rest>(text).1.is_err(), "{text}");
        }
        assert!(parts::<Rest>("{}").0.is_none());
        assert!(metadata("{}").is_err());
    }
}
