//! Where two objects differ.

use serde_json::Value;

/// The paths at which they differ, as JSON Pointers without escapes.
pub(crate) fn differing(before: &Value, after: &Value) -> Vec<String> {
    let mut paths = Vec::new();
    compare(before, after, &mut String::new(), &mut paths);
    paths
}

fn compare(before: &Value, after: &Value, path: &mut String, paths: &mut Vec<String>) {
    if before == after {
        return;
    }
    let (Value::Object(old), Value::Object(new)) = (before, after) else {
        paths.push(path.clone());
        return;
    };
    let names = old.keys().chain(new.keys().filter(|name| !old.contains_key(*name)));
    for name in names {
        let length = path.len();
        path.push('/');
        path.push_str(name);
        let nothing = Value::Null;
        compare(old.get(name).unwrap_or(&nothing), new.get(name).unwrap_or(&nothing), path, paths);
        path.truncate(length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_difference_has_its_path() {
        let before = json!({"a": {"b": 1, "c": [1]}, "same": {}, "gone": 1});
        let after = json!({"a": {"b": 2, "c": [2]}, "same": {}, "new": {"x": 1}});
        assert_eq!(differing(&before, &after), ["/a/b", "/a/c", "/gone", "/new"]);
        assert!(differing(&after, &after).is_empty());
    }
}
