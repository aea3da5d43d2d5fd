//! From a derived schema to a structural one, which is all that a CRD may hold.

use api::schema::{DEFAULT, POD_SPEC_FORMAT, RESOURCES_FORMAT};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::{Error, pod_spec};

/// The structural schema of a type.
pub fn of<T: JsonSchema>() -> Result<Value, Error> {
    let settings = SchemaSettings::openapi3().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    structural(settings.into_generator().into_root_schema_for::<T>().to_value())
}

/// Optional means nullable (but for lists of words, and for what has a default), descriptions are plain text, and what only
/// describes Rust goes: titles, defaults (a default would be written into users' objects; those that are meant to be have
/// [`DEFAULT`]) and formats of unsigned integers.
fn structural(schema: Value) -> Result<Value, Error> {
    let Value::Object(schema) = schema else { return Ok(schema) };
    let mut schema = without_null(schema);
    if schema.get("format").and_then(Value::as_str).is_some_and(|format| format.starts_with("uint")) {
        schema.remove("format");
    }
    let kept = match schema.get("format").and_then(Value::as_str) {
        Some(POD_SPEC_FORMAT) => Some(pod_spec::schema()?),
        Some(RESOURCES_FORMAT) => Some(pod_spec::resources()?),
        _ => None,
    };
    if let Some(kept) = kept {
        let Value::Object(mut kept) = kept else {
            return Err(Error::Content("a kept schema is not an object".to_owned()));
        };
        let description = schema.get("description").and_then(Value::as_str).map(plain);
        kept.extend(description.map(|text| ("description".to_owned(), json!(text))));
        return Ok(Value::Object(kept));
    }
    for keyword in ["title", "default"] {
        schema.remove(keyword);
    }
    if let Some(default) = schema.remove(DEFAULT) {
        // A null that is kept gets no default.
        schema.remove("nullable");
        schema.insert("default".to_owned(), default);
    }
    if let Some(Value::String(description)) = schema.get_mut("description") {
        *description = plain(description);
    }
    let required: Vec<Value> = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        let old = std::mem::take(properties);
        for (name, property) in old {
            let mut property = structural(property)?;
            if let (false, Some(of)) = (required.contains(&json!(name)), property.as_object_mut()) {
                // A null that is kept is looked up among the words, and never found, even where it is one of them. Where it
                // is not kept, the server drops the field.
                if !of.contains_key("enum") && !of.contains_key("default") {
                    of.insert("nullable".to_owned(), json!(true));
                }
            }
            properties.insert(name, property);
        }
    }
    for keyword in ["items", "additionalProperties"] {
        if let Some(of) = schema.remove(keyword) {
            schema.insert(keyword.to_owned(), structural(of)?);
        }
    }
    Ok(Value::Object(untyped_int_or_string(listed(schema))))
}

/// "This or null", which an optional type is, becomes this: what is optional is nullable anyway.
fn without_null(mut schema: Map<String, Value>) -> Map<String, Value> {
    let is_null = |entry: &Value| entry.get("enum").is_some_and(|words| *words == json!([null]));
    let choice = schema.get("anyOf").and_then(Value::as_array);
    let present = choice.filter(|choice| choice.iter().any(is_null)).map(|choice| {
        let present = choice.iter().filter(|entry| !is_null(entry)).filter_map(Value::as_object);
        present.flatten().map(|(name, value)| (name.clone(), value.clone())).collect::<Vec<_>>()
    });
    if let Some(present) = present {
        schema.remove("anyOf");
        for (name, value) in present {
            // What is said of the field goes before what is said of its type.
            schema.entry(name).or_insert(value);
        }
    }
    schema
}

/// A choice of words, each with its own description, becomes a list of words: structural schemas have no other form.
fn listed(mut schema: Map<String, Value>) -> Map<String, Value> {
    let words = |entry: &Value| match (entry.get("const"), entry.get("enum").and_then(Value::as_array)) {
        (Some(word), _) => vec![word.clone()],
        (None, words) => words.cloned().unwrap_or_default(),
    };
    if let Some(choice) = schema.remove("oneOf").as_ref().and_then(Value::as_array) {
        schema.insert("type".to_owned(), json!("string"));
        schema.insert("enum".to_owned(), choice.iter().flat_map(words).collect());
    }
    schema
}

/// A doc comment without its markup.
fn plain(text: &str) -> String {
    let text = text.replace('`', "").replace("<http", "http").replace(">.", ".");
    text.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

/// `x-kubernetes-int-or-string` stands instead of a type.
fn untyped_int_or_string(mut schema: Map<String, Value>) -> Map<String, Value> {
    if schema.contains_key("x-kubernetes-int-or-string") {
        schema.remove("type");
    }
    schema
}
