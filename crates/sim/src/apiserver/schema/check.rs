//! Types, limits and required fields, and that the entries of a list that is a map are unique.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{Fault, Schema, Type, Why};

/// What does not change is not refused: a schema may have become stricter since it was written.
pub(super) fn check(
    schema: &Schema,
    value: &Value,
    before: Option<&Value>,
    path: &str,
    faults: &mut Vec<Fault>,
) {
    if before == Some(value) {
        return;
    }
    let is = name_of(value);
    let may_be_null = schema.nullable || schema.type_ == Type::Any;
    let is_kept_null = value.is_null() && may_be_null;
    if !(is_kept_null || fits(schema.type_, is)) {
        wrong_type(path, schema.type_.name(), is, faults);
        if schema.type_ == Type::IntOrString {
            // It is said three times: of the type, of all that it may be, and of the first of these.
            let words = format!("{path:?} must validate at least one schema (anyOf)");
            faults.push(Fault::new(Why::Invalid, "<nil>", json!(""), words));
            wrong_type(path, Type::Integer.name(), is, faults);
        }
    }
    match value {
        Value::Object(fields) => check_fields(schema, fields, before, path, faults),
        Value::Array(entries) => check_entries(schema, entries, before, path, faults),
        Value::String(text) => check_text(schema, text, path, faults),
        Value::Number(_) => check_number(schema, value, path, faults),
        Value::Null | Value::Bool(_) => {}
    }
    // A null is never found among the values, even where it stands there.
    if !schema.values.is_empty() && (value.is_null() || !schema.values.contains(value)) {
        let quoted = |value: &Value| match value {
            Value::String(_) => value.to_string(),
            other => format!("\"{other}\""),
        };
        let known: Vec<String> = schema.values.iter().map(quoted).collect();
        let words = format!("supported values: {}", known.join(", "));
        faults.push(Fault::new(Why::NotSupported, path, value.clone(), words));
    }
}

fn wrong_type(path: &str, wanted: &str, is: &str, faults: &mut Vec<Fault>) {
    let words = format!("{path} in body must be of type {wanted}: {is:?}");
    faults.push(Fault::new(Why::WrongType, path, json!(is), words));
}

fn check_fields(
    schema: &Schema,
    fields: &Map<String, Value>,
    before: Option<&Value>,
    path: &str,
    faults: &mut Vec<Fault>,
) {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    for (name, field) in fields {
        // The root's metadata is checked as that of every object is.
        if let Some(inner) = schema.field(name).filter(|_| !(schema.root && name == "metadata")) {
            check(inner, field, before.and_then(|before| before.get(name)), &below(name), faults);
        }
    }
    for name in schema.required.iter().filter(|name| !fields.contains_key(*name)) {
        faults.push(Fault::silent(Why::Required, below(name), ""));
    }
}

fn check_entries(
    schema: &Schema,
    entries: &[Value],
    before: Option<&Value>,
    path: &str,
    faults: &mut Vec<Fault>,
) {
    if let Some(most) = schema.most_items.filter(|most| entries.len() as u64 > *most) {
        let items = if most == 1 { "item" } else { "items" };
        let words = format!("must have at most {most} {items}");
        faults.push(Fault::new(Why::TooMany, path, json!(entries.len()), words));
    }
    let Some(inner) = &schema.items else { return };
    let had = before.and_then(Value::as_array);
    for (place, entry) in entries.iter().enumerate() {
        let same = |old: &&Value| schema.keys.iter().all(|key| old.get(key) == entry.get(key));
        let before = had.filter(|_| !schema.keys.is_empty()).and_then(|had| had.iter().find(same));
        check(inner, entry, before, &format!("{path}[{place}]"), faults);
    }
}

fn check_text(schema: &Schema, text: &str, path: &str, faults: &mut Vec<Fault>) {
    let length = text.chars().count() as u64;
    let (least, most) = schema.lengths;
    if let Some(most) = most.filter(|most| length > *most) {
        let bytes = if most == 1 { "byte" } else { "bytes" };
        faults.push(Fault::silent(Why::TooLong, path, format!("may not be more than {most} {bytes}")));
    } else if let Some(least) = least.filter(|least| length < *least) {
        let words = format!("{path} in body should be at least {least} chars long");
        faults.push(Fault::new(Why::Invalid, path, json!(text), words));
    } else if let Some(pattern) = schema.pattern.as_ref().filter(|pattern| !pattern.is_match(text)) {
        let words = format!("{path} in body should match '{pattern}'");
        faults.push(Fault::new(Why::Invalid, path, json!(text), words));
    }
    if schema.date_time && text.parse::<Timestamp>().is_err() {
        wrong_type(path, "date-time", text, faults);
    }
}

fn check_number(schema: &Schema, value: &Value, path: &str, faults: &mut Vec<Fault>) {
    let Some(number) = value.as_i64() else { return };
    if schema.int32 && i32::try_from(number).is_err() {
        let words = format!("{path} in body must be of type int32: {number}");
        faults.push(Fault::new(Why::WrongType, path, value.clone(), words));
    }
    let (least, most) = schema.limits;
    if let Some(most) = most.filter(|most| number > *most) {
        let words = format!("{path} in body should be less than or equal to {most}");
        faults.push(Fault::new(Why::Invalid, path, value.clone(), words));
    }
    if let Some(least) = least.filter(|least| number < *least) {
        let words = format!("{path} in body should be greater than or equal to {least}");
        faults.push(Fault::new(Why::Invalid, path, value.clone(), words));
    }
}

/// Entries of the same key.
pub(super) fn unique(schema: &Schema, value: &Value, path: &str, faults: &mut Vec<Fault>) {
    if !schema.within.unique {
        return;
    }
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                if let Some(inner) = schema.field(name).filter(|_| !(schema.root && name == "metadata")) {
                    let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    unique(inner, field, &below, faults);
                }
            }
        }
        Value::Array(entries) => {
            let is_same = |one: &Value, other: &Value| {
                if schema.set {
                    one == other
                } else {
                    schema.keys.iter().all(|key| one.get(key) == other.get(key))
                }
            };
            let mut seen: Vec<(&Value, usize)> = Vec::new();
            for (place, entry) in entries.iter().enumerate() {
                if schema.set || !schema.keys.is_empty() {
                    match seen.iter_mut().find(|(other, _)| is_same(other, entry)) {
                        None => seen.push((entry, 1)),
                        Some((_, times)) => {
                            // The second one is told, and no more of them.
                            if *times == 1 {
                                let key = key_of(schema, entry);
                                faults.push(Fault::new(Why::Duplicate, format!("{path}[{place}]"), key, ""));
                            }
                            *times += 1;
                        }
                    }
                }
                if let Some(inner) = schema.items.as_ref().filter(|inner| inner.within.unique) {
                    unique(inner, entry, &format!("{path}[{place}]"), faults);
                }
            }
        }
        _ => {}
    }
}

/// What makes an entry unique.
fn key_of(schema: &Schema, entry: &Value) -> Value {
    if schema.set {
        return entry.clone();
    }
    schema.keys.iter().filter_map(|key| Some((key.clone(), entry.get(key)?.clone()))).collect()
}

/// The name of a value's type.
fn name_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn fits(wanted: Type, is: &str) -> bool {
    match wanted {
        Type::Any => true,
        Type::IntOrString => matches!(is, "integer" | "string"),
        Type::Number => matches!(is, "integer" | "number"),
        exact => exact.name() == is,
    }
}
