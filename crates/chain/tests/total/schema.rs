//! The schemas of the kinds: values that one admits, and whether it admits a value. The rules of a schema (CEL) are left
//! out: more than the server admits is no harm.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::OnceLock;

use serde_json::{Map, Value, json};

use super::choices::{ANY, Choices, DURATIONS, TIMES};

/// The patterns of the schemas, with texts that match. One that is not here stops the test: it is to be added.
const PATTERNS: &[(&str, &[&str])] = &[
    (r"^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$", DURATIONS),
    (r"^[0-9]+\.[0-9]+$", &["1.34", "1.36", "0.0", "1.01", "99999999.9999999", "18446744073.7095"]),
    (
        r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
        &["Paused", "NoSuitableMachineImage", "RolledOut", "ImageReady", "x", "a,:b", "Stalled"],
    ),
    (
        r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$",
        &["Ready", "UpToDate", "Stalled", "Reconciling", "example.org/Audited", "0", "a_b"],
    ),
    (
        r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$",
        &["1", "-.5e+99999", "1Ei"],
    ),
];

/// The schemas of our kinds by kind, and of what is foreign.
pub(crate) fn of(kind: &str) -> &'static Value {
    static ALL: OnceLock<Map<String, Value>> = OnceLock::new();
    let all = ALL.get_or_init(|| {
        let mut all: Map<String, Value> = serde_saphyr::from_str(include_str!("foreign.yaml")).unwrap();
        let bases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/crd/bases");
        for file in std::fs::read_dir(bases).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            let crd: Value = serde_saphyr::from_str(&text).unwrap();
            let kind = crd["spec"]["names"]["kind"].as_str().unwrap().to_owned();
            all.insert(kind, crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone());
        }
        all
    });
    all.get(kind).unwrap_or_else(|| panic!("there is no schema of {kind}"))
}

/// A value that a schema admits; `wild` ones of foreign objects are now and then something else altogether, since what
/// holds there is not ours to say.
pub(crate) fn value(schema: &Value, field: &str, choices: &mut Choices, wild: bool) -> Value {
    let nullable = wild || schema["nullable"] == true;
    if nullable && choices.once_in(12) {
        return Value::Null;
    }
    if wild && choices.once_in(80) {
        return anything(choices);
    }
    if let Some(words) = schema["enum"].as_array() {
        return words[choices.below(words.len())].clone();
    }
    if schema["x-kubernetes-int-or-string"] == true && choices.once_in(2) {
        return integer(schema, choices);
    }
    match schema["type"].as_str() {
        Some("object") => object(schema, field, choices, wild),
        Some("array") => array(schema, field, choices, wild),
        Some("boolean") => json!(choices.once_in(2)),
        Some("integer") => integer(schema, choices),
        Some("string") => json!(text(schema, field, choices)),
        None if schema["x-kubernetes-int-or-string"] == true => json!(text(schema, field, choices)),
        None => anything(choices),
        Some(other) => panic!("the type {other} is to be added"),
    }
}

fn object(schema: &Value, field: &str, choices: &mut Choices, wild: bool) -> Value {
    let mut object = Map::new();
    if schema["additionalProperties"].is_object() {
        for _ in 0..choices.below(3) {
            let key = choices.text("key");
            // The value is more telling of the map's name than of the key.
            object.insert(key, value(&schema["additionalProperties"], field, choices, wild));
        }
    }
    if schema["x-kubernetes-preserve-unknown-fields"] == true && choices.once_in(4) {
        object.insert(choices.word(ANY), anything(choices));
    }
    let Some(properties) = schema["properties"].as_object() else { return Value::Object(object) };
    let required: BTreeSet<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    // Of a PodSpec with its hundreds of fields a few are enough.
    let few: BTreeSet<usize> = if properties.len() > 24 {
        (0..choices.below(4)).map(|_| choices.below(properties.len())).collect()
    } else {
        BTreeSet::new()
    };
    for (place, (name, schema)) in properties.iter().enumerate() {
        let is_there = required.contains(&**name)
            || if properties.len() > 24 { few.contains(&place) } else { choices.below(3) > 0 };
        if is_there && !matches!(&**name, "apiVersion" | "kind" | "metadata" if field.is_empty()) {
            object.insert(name.clone(), value(schema, name, choices, wild));
        }
    }
    Value::Object(object)
}

fn array(schema: &Value, field: &str, choices: &mut Choices, wild: bool) -> Value {
    let most = schema["maxItems"].as_u64().map_or(usize::MAX, |most| usize::try_from(most).unwrap());
    let count = choices.one(&[1, 0, 2, 3, 1, 2, 7]).min(most);
    let mut items: Vec<Value> = (0..count).map(|_| value(&schema["items"], field, choices, wild)).collect();
    if let Some(keys) = schema["x-kubernetes-list-map-keys"].as_array() {
        let mut seen = BTreeSet::new();
        items.retain(|item| {
            let key: Vec<String> = keys.iter().map(|key| item[key.as_str().unwrap()].to_string()).collect();
            seen.insert(key)
        });
    }
    Value::Array(items)
}

fn integer(schema: &Value, choices: &mut Choices) -> Value {
    let (least, most) = match schema["format"].as_str() {
        Some("int32") => (i64::from(i32::MIN), i64::from(i32::MAX)),
        _ => (i64::MIN, i64::MAX),
    };
    let least = schema["minimum"].as_i64().unwrap_or(least);
    let most = schema["maximum"].as_i64().unwrap_or(most);
    let some = [1, 0, 3, 2, -1, 10_000_000_000, least, most, 4_294_967_296];
    json!(choices.one(&some).clamp(least, most))
}

fn text(schema: &Value, field: &str, choices: &mut Choices) -> String {
    if schema["format"] == "date-time" {
        return choices.word(TIMES);
    }
    if let Some(pattern) = schema["pattern"].as_str() {
        let known = PATTERNS.iter().find(|(known, _)| *known == pattern);
        let Some((_, texts)) = known else { panic!("texts for the pattern {pattern} are to be added") };
        return choices.word(texts);
    }
    let mut text = choices.text(field);
    if choices.once_in(40) {
        // As long as is allowed.
        text = text.repeat(schema["maxLength"].as_u64().map_or(100, |most| usize::try_from(most).unwrap()));
    }
    if let Some(most) = schema["maxLength"].as_u64() {
        text = text.chars().take(usize::try_from(most).unwrap()).collect();
    }
    while (text.chars().count() as u64) < schema["minLength"].as_u64().unwrap_or_default() {
        text.push('x');
    }
    text
}

/// JSON of no schema.
pub(crate) fn anything(choices: &mut Choices) -> Value {
    match choices.below(9) {
        0 => Value::Null,
        1 => json!({}),
        2 => json!([]),
        3 => json!(choices.word(ANY)),
        4 => json!(choices.one(&[0, 1, -1, i64::MIN, i64::MAX])),
        5 => json!(choices.one(&[0.5, 1e300, -0.0])),
        6 => json!(choices.once_in(2)),
        7 => json!({ choices.text("key"): anything(choices) }),
        _ => json!([anything(choices), choices.text("version")]),
    }
}

/// What a server would have against a value, by its path.
pub(crate) fn problem(schema: &Value, value: &Value, path: &str) -> Option<String> {
    let wrong = |what: &str| {
        Some(format!("{path}: {what}: {}", value.to_string().chars().take(200).collect::<String>()))
    };
    if value.is_null() {
        // A null where it is not allowed is dropped by the server where there is a default, else refused.
        return if schema["nullable"] == true { None } else { wrong("null") };
    }
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(value)
    {
        return wrong("not of the enum");
    }
    let fits = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("string") => value.is_string(),
        _ => true,
    };
    if !fits {
        return wrong("another type");
    }
    match value {
        Value::Object(fields) => {
            for name in schema["required"].as_array().into_iter().flatten() {
                if !fields.contains_key(name.as_str().unwrap()) {
                    return wrong(&format!("{name} is required"));
                }
            }
            fields.iter().find_map(|(name, value)| {
                let of = schema["properties"].get(name);
                match of.or_else(|| schema.get("additionalProperties")) {
                    Some(schema) => problem(schema, value, &format!("{path}.{name}")),
                    None => Some(format!("{path}.{name}: the schema has no such field")),
                }
            })
        }
        Value::Array(items) => {
            if schema["maxItems"].as_u64().is_some_and(|most| items.len() as u64 > most) {
                return wrong("too many items");
            }
            if let Some(keys) = schema["x-kubernetes-list-map-keys"].as_array() {
                let keys_of =
                    |item: &Value| keys.iter().map(|key| item[key.as_str().unwrap()].to_string()).collect();
                let all: BTreeSet<Vec<String>> = items.iter().map(keys_of).collect();
                if all.len() < items.len() {
                    return wrong("two items of one key");
                }
            }
            items.iter().find_map(|item| problem(&schema["items"], item, &format!("{path}[]")))
        }
        Value::String(text) => {
            let length = text.chars().count() as u64;
            let too_long = schema["maxLength"].as_u64().is_some_and(|most| length > most);
            let too_short = schema["minLength"].as_u64().is_some_and(|least| length < least);
            let no_time = || text.parse::<jiff::Timestamp>().is_err() && !TIMES.contains(&&**text);
            if too_long || too_short {
                wrong("too long or too short")
            } else if schema["format"] == "date-time" && no_time() {
                wrong("no time")
            } else {
                None
            }
        }
        Value::Number(number) => {
            let number = number.as_i64()?;
            let too_little = schema["minimum"].as_i64().is_some_and(|least| number < least);
            let too_much = schema["maximum"].as_i64().is_some_and(|most| number > most);
            if too_little || too_much { wrong("too little or too much") } else { None }
        }
        _ => None,
    }
}
