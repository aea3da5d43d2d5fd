//! For tests: an object as YAML, read as the engine reads it.

use std::fs;
use std::path::PathBuf;

use domain::object::{Row, WireMeta};
use serde_json::Value;

pub(crate) fn object(yaml: &str) -> Value {
    serde_saphyr::from_str(yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"))
}

pub(crate) fn row<R: Row>(yaml: &str) -> R {
    row_of(object(yaml))
}

pub(crate) fn row_of<R: Row>(object: Value) -> R {
    let meta: WireMeta = serde_json::from_value(object["metadata"].clone()).unwrap();
    match serde_json::from_value::<R::Wire>(object) {
        Ok(wire) => R::from_wire(&meta, wire),
        Err(error) => R::malformed(&meta, &error.to_string()),
    }
}

/// The files of a folder of fixtures, in the order of their names: name without extension, and content.
pub(crate) fn fixtures(folder: &str) -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(folder);
    let files = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    let mut files: Vec<_> = files
        .map(|path| (path.file_stem().unwrap().display().to_string(), fs::read_to_string(&path).unwrap()))
        .collect();
    files.sort();
    files
}

pub(crate) fn references<R: Row>(row: &R) -> Vec<(&'static str, String)> {
    let mut references = Vec::new();
    row.references(&mut |index, value| references.push((index, value.to_owned())));
    references
}
