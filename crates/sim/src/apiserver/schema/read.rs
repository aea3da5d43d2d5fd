//! Reads a schema from a CRD. A keyword that is not known here makes it unreadable: nothing is left unchecked in silence.

use regex::Regex;
use serde_json::Value;

use super::rules::Rule;
use super::{Schema, Type};

/// The kind of a CRD, and the schema of its only version.
pub(super) fn crd(text: &str) -> Result<(String, Schema), String> {
    let crd: Value = serde_saphyr::from_str(text).map_err(|error| format!("a CRD: {error}"))?;
    let kind = crd["spec"]["names"]["kind"].as_str().unwrap_or_default().to_owned();
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let mut schema = read(schema).map_err(|what| format!("the schema of {kind}: {what}"))?;
    schema.root = true;
    Ok((kind, schema))
}

fn read(from: &Value) -> Result<Schema, String> {
    let mut schema = Schema::default();
    let fields = from.as_object().ok_or("no object")?;
    for (keyword, value) in fields {
        match keyword.as_str() {
            "description" | "x-kubernetes-map-type" | "anyOf" => {}
            "type" if schema.type_ == Type::Any => schema.type_ = type_(value)?,
            "type" => {}
            "x-kubernetes-int-or-string" => schema.type_ = Type::IntOrString,
            "nullable" => schema.nullable = value == true,
            "x-kubernetes-preserve-unknown-fields" => schema.preserve = value == true,
            "format" => match value.as_str() {
                Some("date-time") => schema.date_time = true,
                Some("int32") => schema.int32 = true,
                Some("int64") => {}
                other => return Err(format!("format {other:?}")),
            },
            "properties" => {
                for (name, inner) in value.as_object().into_iter().flatten() {
                    schema.properties.insert(name.clone(), read(inner)?);
                }
            }
            "additionalProperties" => schema.additional = Some(Box::new(read(value)?)),
            "items" => schema.items = Some(Box::new(read(value)?)),
            "x-kubernetes-list-type" if matches!(value.as_str(), Some("atomic" | "map" | "set")) => {}
            "x-kubernetes-list-map-keys" => schema.keys = texts(value),
            "required" => schema.required = texts(value),
            "enum" => schema.values = value.as_array().cloned().unwrap_or_default(),
            "pattern" => {
                let pattern = value.as_str().unwrap_or_default();
                schema.pattern = Some(Regex::new(pattern).map_err(|error| error.to_string())?);
            }
            "minLength" => schema.lengths.0 = value.as_u64(),
            "maxLength" => schema.lengths.1 = value.as_u64(),
            "minimum" => schema.limits.0 = value.as_i64(),
            "maximum" => schema.limits.1 = value.as_i64(),
            "maxItems" => schema.most_items = value.as_u64(),
            "default" => schema.default = Some(value.clone()),
            "x-kubernetes-validations" => {
                let rules = value.as_array().into_iter().flatten();
                schema.rules = rules.map(Rule::read).collect::<Result<_, _>>()?;
            }
            other => return Err(format!("the keyword {other}")),
        }
    }
    schema.within = schema.find_within();
    Ok(schema)
}

fn type_(value: &Value) -> Result<Type, String> {
    Ok(match value.as_str() {
        Some("object") => Type::Object,
        Some("array") => Type::Array,
        Some("string") => Type::String,
        Some("integer") => Type::Integer,
        Some("number") => Type::Number,
        Some("boolean") => Type::Boolean,
        other => return Err(format!("type {other:?}")),
    })
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}
