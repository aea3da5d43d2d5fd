//! The source contract: any namespaced object whose `status.versions` is a list of strings.

use domain::object::{Meta, Row, WireMeta};
use serde::Deserialize;
use serde_json::Value;

/// What is read of a source object of any kind.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Wire {
    /// Its status.
    #[serde(default)]
    status: Option<Status>,
}

/// What is read of its status.
#[derive(Clone, Debug, Default, Deserialize)]
struct Status {
    #[serde(default)]
    versions: Value,
}

/// A source object of any kind, `DebianRepositorySource` included.
#[derive(Clone, Debug, PartialEq)]
pub struct VersionsRow {
    /// Identity.
    pub meta: Meta,
    /// The versions as written, in the order of the list; empty where the field is absent. A field of the wrong type is
    /// the text that says so.
    pub versions: Result<Vec<Box<str>>, Box<str>>,
}

impl Row for VersionsRow {
    type Wire = Wire;

    fn from_wire(meta: &WireMeta, wire: Wire) -> Self {
        Self { meta: meta.meta(), versions: versions(wire.status.unwrap_or_default().versions) }
    }

    fn malformed(meta: &WireMeta, error: &str) -> Self {
        Self { meta: meta.meta(), versions: Err(error.into()) }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }
}

fn versions(value: Value) -> Result<Vec<Box<str>>, Box<str>> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(entries) => entries
            .into_iter()
            .map(|entry| match entry {
                Value::String(version) => Ok(version.into_boxed_str()),
                other => Err(format!("status.versions has {} among its strings", sort(&other)).into()),
            })
            .collect(),
        other => Err(format!("status.versions is {}, not a list of strings", sort(&other)).into()),
    }
}

fn sort(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(object: Value) -> Result<Vec<Box<str>>, Box<str>> {
        let meta = WireMeta::default();
        match serde_json::from_value(object) {
            Ok(wire) => VersionsRow::from_wire(&meta, wire),
            Err(error) => VersionsRow::malformed(&meta, &error.to_string()),
        }
        .versions
    }

    #[test]
    fn an_absent_list_is_empty_and_a_wrong_one_says_so() {
        assert_eq!(read(json!({})), Ok(vec![]));
        assert_eq!(read(json!({"status": {"versions": null}})), Ok(vec![]));
        assert_eq!(read(json!({"status": {"versions": ["v1.2.3"]}, "spec": 7})), Ok(vec!["v1.2.3".into()]));
        assert_eq!(
            read(json!({"status": {"versions": {"a": 1}}})),
            Err("status.versions is an object, not a list of strings".into())
        );
        assert_eq!(
            read(json!({"status": {"versions": ["v1.2.3", 7]}})),
            Err("status.versions has a number among its strings".into())
        );
        assert!(read(json!({"status": "fine"})).is_err());
    }
}
