//! Pruning and defaulting.

use serde_json::Value;

use super::Schema;
use crate::apiserver::metadata;

/// What the server reads of every object, whatever its schema says.
const OF_EVERY_OBJECT: [&str; 3] = ["apiVersion", "kind", "metadata"];

pub(super) fn shape(schema: &Schema, value: &mut Value, before: Option<&Value>) {
    if before == Some(&*value) {
        return;
    }
    match value {
        Value::Object(fields) => {
            fields.retain(|name, field| {
                if schema.root && OF_EVERY_OBJECT.contains(&name.as_str()) {
                    return true;
                }
                match schema.field(name) {
                    // A null where none may be is nothing.
                    Some(inner) => !field.is_null() || inner.nullable || inner.default.is_some(),
                    None => schema.preserve,
                }
            });
            for (name, inner) in &schema.properties {
                let Some(default) = &inner.default else { continue };
                if fields.get(name).is_none_or(|field| field.is_null() && !inner.nullable) {
                    fields.insert(name.clone(), default.clone());
                }
            }
            for (name, field) in fields {
                if schema.root && *name == "metadata" {
                    if let Value::Object(of_server) = field {
                        of_server.retain(|name, _| metadata::FIELDS.contains(&name.as_str()));
                    }
                } else if let Some(inner) = schema.field(name) {
                    shape(inner, field, before.and_then(|before| before.get(name)));
                }
            }
        }
        Value::Array(entries) => {
            if let Some(inner) = &schema.items {
                for entry in entries {
                    shape(inner, entry, None);
                }
            }
        }
        _ => {}
    }
}
