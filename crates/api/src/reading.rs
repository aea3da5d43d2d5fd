//! For tests: an object as YAML, read as the engine reads it.

use domain::object::{Row, WireMeta};
use serde_json::Value;

pub(crate) fn object(yaml: &str) -> Value {
    serde_saphyr::from_str(yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"))
}

pub(crate) fn row<R: Row>(yaml: &str) -> R {
    let object = object(yaml);
    let meta: WireMeta = serde_json::from_value(object["metadata"].clone()).unwrap();
    match serde_json::from_value::<R::Wire>(object) {
        Ok(wire) => R::from_wire(&meta, wire),
        Err(error) => R::malformed(&meta, &error.to_string()),
    }
}

pub(crate) fn references<R: Row>(row: &R) -> Vec<(&'static str, String)> {
    let mut references = Vec::new();
    row.references(&mut |index, value| references.push((index, value.to_owned())));
    references
}
