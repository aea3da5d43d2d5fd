//! What of a status is written: the difference, or nothing.

use serde::Serialize;
use serde_json::{Map, Value};

/// The merge patch (RFC 7386) that makes `before` into `after`; nothing where they are equal. A field that vanished is
/// `null`, a list is replaced whole.
pub fn merge_patch<T: Serialize>(before: &(impl Serialize + PartialEq<T>), after: &T) -> Option<Value> {
    // Most passes change nothing, and then nothing has to be serialized.
    if before == after {
        return None;
    }
    difference(
        &serde_json::to_value(before).unwrap_or_default(),
        &serde_json::to_value(after).unwrap_or_default(),
    )
}

fn difference(before: &Value, after: &Value) -> Option<Value> {
    if before == after {
        return None;
    }
    let (Value::Object(old), Value::Object(new)) = (before, after) else { return Some(after.clone()) };
    let mut patch = Map::new();
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        patch.insert(name.clone(), Value::Null);
    }
    for (name, value) in new {
        let change = match old.get(name) {
            Some(present) => difference(present, value),
            None => Some(value.clone()),
        };
        if let Some(change) = change {
            patch.insert(name.clone(), change);
        }
    }
    Some(Value::Object(patch))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_changed_is_written() {
        let before = json!({"a": 1, "b": {"c": 2, "d": 3}, "list": [1, 2], "gone": "x"});
        assert_eq!(merge_patch(&before, &before), None);
        let after = json!({"a": 1, "b": {"c": 4, "d": 3}, "list": [1], "new": true});
        assert_eq!(
            merge_patch(&before, &after),
            Some(json!({"b": {"c": 4}, "list": [1], "gone": null, "new": true}))
        );
    }
}
