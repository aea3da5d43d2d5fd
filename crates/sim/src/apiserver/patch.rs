//! Merge Patch (RFC 7386) and JSON Patch (RFC 6902), as an API server applies them.

use serde_json::{Map, Value};

/// A JSON Patch that does not apply; the server does not say why, so neither does this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DoesNotApply;

/// Applies a Merge Patch: `null` removes, objects are merged, anything else replaces.
pub(crate) fn merge(target: &mut Value, patch: Value) {
    let Value::Object(fields) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(into) = target else { return };
    for (name, value) in fields {
        match value {
            Value::Null => {
                into.remove(&name);
            }
            Value::Object(_) => merge(into.entry(name).or_insert(Value::Null), value),
            other => {
                into.insert(name, other);
            }
        }
    }
}

/// Applies a JSON Patch, whole or not at all: the caller keeps the object as it was.
pub(crate) fn json(target: &mut Value, operations: &[Value]) -> Result<(), DoesNotApply> {
    for operation in operations {
        let path = operation["path"].as_str().ok_or(DoesNotApply)?;
        let value = || operation.get("value").cloned().ok_or(DoesNotApply);
        let from = || operation["from"].as_str().ok_or(DoesNotApply);
        match operation["op"].as_str() {
            Some("test") => {
                // An absent value tests for null, and a path that is not there passes for it.
                let expected = operation.get("value").cloned().unwrap_or(Value::Null);
                let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
                let found = match target.pointer(path) {
                    Some(found) => found.clone(),
                    None if target.pointer(parent).is_some() => Value::Null,
                    None => return Err(DoesNotApply),
                };
                if found != expected {
                    return Err(DoesNotApply);
                }
            }
            Some("add") => add(target, path, value()?)?,
            // A field that is not there is added: the library of the server does not mind.
            Some("replace") => match parent(target, path)? {
                (Value::Object(fields), name) => {
                    fields.insert(name, value()?);
                }
                _ => *target.pointer_mut(path).ok_or(DoesNotApply)? = value()?,
            },
            Some("remove") => {
                remove(target, path)?;
            }
            Some("move") => {
                let moved = remove(target, from()?)?;
                add(target, path, moved)?;
            }
            Some("copy") => {
                let copied = target.pointer(from()?).cloned().ok_or(DoesNotApply)?;
                add(target, path, copied)?;
            }
            _ => return Err(DoesNotApply),
        }
    }
    Ok(())
}

/// The parent of a path, and the last part of it, unescaped.
fn parent<'a>(target: &'a mut Value, path: &str) -> Result<(&'a mut Value, String), DoesNotApply> {
    let (parent, last) = path.rsplit_once('/').ok_or(DoesNotApply)?;
    let last = last.replace("~1", "/").replace("~0", "~");
    Ok((target.pointer_mut(parent).ok_or(DoesNotApply)?, last))
}

fn add(target: &mut Value, path: &str, value: Value) -> Result<(), DoesNotApply> {
    if path.is_empty() {
        *target = value;
        return Ok(());
    }
    match parent(target, path)? {
        (Value::Object(fields), name) => {
            fields.insert(name, value);
        }
        (Value::Array(items), place) if place == "-" => items.push(value),
        (Value::Array(items), place) => {
            let place: usize = place.parse().map_err(|_| DoesNotApply)?;
            if place > items.len() {
                return Err(DoesNotApply);
            }
            items.insert(place, value);
        }
        _ => return Err(DoesNotApply),
    }
    Ok(())
}

fn remove(target: &mut Value, path: &str) -> Result<Value, DoesNotApply> {
    match parent(target, path)? {
        (Value::Object(fields), name) => fields.remove(&name).ok_or(DoesNotApply),
        (Value::Array(items), place) => {
            let place: usize = place.parse().map_err(|_| DoesNotApply)?;
            if place < items.len() { Ok(items.remove(place)) } else { Err(DoesNotApply) }
        }
        _ => Err(DoesNotApply),
    }
}
