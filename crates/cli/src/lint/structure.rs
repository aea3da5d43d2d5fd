//! The structural schema: types, required fields, limits by a JSON Schema validator; what JSON Schema does not know,
//! unknown fields and entries that have the same key, beside it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use jsonschema::error::ValidationErrorKind;
use serde_json::{Map, Value, json};

use super::crds::Crd;
use crate::manifests::{Fault, Manifest};

/// Makes a JSON Schema of a schema of a CRD. `nullable` needs nothing: the server drops a field that is null where it
/// may not be, and so does [`without_nulls`] everywhere.
pub(super) fn as_json_schema(schema: &mut Value) {
    let Some(fields) = schema.as_object_mut() else { return };
    if fields.get("format").and_then(Value::as_str) == Some("int32") {
        fields.entry("minimum").or_insert_with(|| json!(i32::MIN));
        fields.entry("maximum").or_insert_with(|| json!(i32::MAX));
    }
    if fields.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)) {
        fields.insert("type".to_owned(), json!(["integer", "string"]));
        fields.remove("anyOf");
    }
    for name in ["items", "additionalProperties"] {
        if let Some(inner) = fields.get_mut(name) {
            as_json_schema(inner);
        }
    }
    if let Some(properties) = fields.get_mut("properties").and_then(Value::as_object_mut) {
        properties.values_mut().for_each(as_json_schema);
    }
}

/// An object without its fields that are null.
pub(super) fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(_, value)| !value.is_null());
            Value::Object(
                kept.map(|(name, value)| (name.clone(), without_nulls(value))).collect::<Map<_, _>>(),
            )
        }
        Value::Array(entries) => Value::Array(entries.iter().map(without_nulls).collect()),
        other => other.clone(),
    }
}

/// What is wrong with the structure of an object.
pub(super) fn check(crd: &Crd, manifest: &Manifest) -> Vec<Fault> {
    let body = without_nulls(&manifest.body);
    let mut faults: Vec<Fault> = crd
        .compiled
        .iter_errors(&body)
        .map(|error| {
            let pointer = error.instance_path().as_str().to_owned();
            match error.kind() {
                ValidationErrorKind::Required { property } => {
                    let field = property.as_str().unwrap_or_default();
                    manifest.fault(&pointer, format!("{}: is required", named(&format!("{pointer}/{field}"))))
                }
                _ => manifest.fault(
                    &pointer,
                    format!("{}: {}", named(&pointer), crate::state::one_line(&error.to_string())),
                ),
            }
        })
        .collect();
    walk(&crd.schema, &body, "", &mut |pointer, reason| faults.push(manifest.fault(pointer, reason)));
    faults.sort();
    faults.dedup();
    faults
}

/// A JSON pointer as Kubernetes writes the path of a field.
pub(super) fn named(pointer: &str) -> String {
    let mut path = String::new();
    for part in pointer.split('/').skip(1) {
        if part.parse::<usize>().is_ok() {
            let _ = write!(path, "[{part}]");
        } else {
            let dot = if path.is_empty() { "" } else { "." };
            let _ = write!(path, "{dot}{}", part.replace("~1", "/").replace("~0", "~"));
        }
    }
    path
}

fn walk(schema: &Value, value: &Value, pointer: &str, put: &mut dyn FnMut(&str, String)) {
    match value {
        Value::Object(fields) => {
            let properties = schema.get("properties").and_then(Value::as_object);
            let others = schema.get("additionalProperties").filter(|others| **others != Value::Bool(false));
            // metadata is the server's, and has a schema of its own.
            let open = others.is_some()
                || schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true))
                || pointer == "/metadata";
            for (name, inner) in fields {
                let inside = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
                let known = properties.and_then(|properties| properties.get(name));
                match known.or(others) {
                    Some(known) => walk(known, inner, &inside, put),
                    None if open => {}
                    None => put(&inside, format!("{}: unknown field", named(&inside))),
                }
            }
        }
        Value::Array(entries) => {
            repeated(schema, entries, pointer, put);
            if let Some(items) = schema.get("items") {
                for (place, entry) in entries.iter().enumerate() {
                    walk(items, entry, &format!("{pointer}/{place}"), put);
                }
            }
        }
        _ => {}
    }
}

/// Lists that are maps or sets have each key once. A key that is absent counts with its default.
fn repeated(schema: &Value, entries: &[Value], pointer: &str, put: &mut dyn FnMut(&str, String)) {
    let list_type = schema.get("x-kubernetes-list-type").and_then(Value::as_str);
    let keys: Vec<&str> = match list_type {
        Some("map") => {
            let keys = schema.get("x-kubernetes-list-map-keys").and_then(Value::as_array);
            keys.into_iter().flatten().filter_map(Value::as_str).collect()
        }
        Some("set") => Vec::new(),
        _ => return,
    };
    let default =
        |key: &str| schema.pointer(&format!("/items/properties/{key}/default")).cloned().unwrap_or_default();
    let mut seen = BTreeSet::new();
    for (place, entry) in entries.iter().enumerate() {
        let identity = if keys.is_empty() {
            entry.to_string()
        } else {
            let of = |key: &&str| entry.get(*key).cloned().unwrap_or_else(|| default(key)).to_string();
            keys.iter().map(of).collect::<Vec<_>>().join(" ")
        };
        if !seen.insert(identity.clone()) {
            let inside = format!("{pointer}/{place}");
            put(&inside, format!("{}: duplicate value {identity}", named(&inside)));
        }
    }
}
