//! What metadata may be, of an object of any kind.

use serde_json::{Value, json};

use super::schema::{Fault, Why};

const NAME_PART: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric \
    character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
    '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must \
    start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start \
    and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is \
    '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

/// The fields of metadata; the server knows no others, whatever a schema says.
pub(crate) const FIELDS: [&str; 14] = [
    "name",
    "generateName",
    "namespace",
    "selfLink",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
];

/// What is wrong with the metadata of an object that is created, or of one that is changed.
pub(crate) fn check(object: &Value, before: Option<&Value>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let new = &object["metadata"];
    match before.map(|before| &before["metadata"]) {
        None => {
            let name = new["name"].as_str().unwrap_or_default();
            invalid("metadata.name", name, subdomain(name), &mut faults);
        }
        Some(old) => changes(new, old, &mut faults),
    }
    let changed = |field: &str| before.is_none_or(|before| before["metadata"][field] != new[field]);
    if changed("labels") {
        for (key, value) in new["labels"].as_object().into_iter().flatten() {
            invalid("metadata.labels", key, qualified(key), &mut faults);
            let value = value.as_str().unwrap_or_default();
            invalid("metadata.labels", value, label(value), &mut faults);
        }
    }
    if changed("annotations") {
        for key in new["annotations"].as_object().into_iter().flat_map(|fields| fields.keys()) {
            invalid("metadata.annotations", key, qualified(&key.to_ascii_lowercase()), &mut faults);
        }
    }
    if changed("ownerReferences") {
        owners(&new["ownerReferences"], &mut faults);
    }
    if changed("finalizers") {
        for finalizer in texts(&new["finalizers"]) {
            invalid("metadata.finalizers", finalizer, qualified(finalizer), &mut faults);
        }
    }
    faults
}

fn changes(new: &Value, old: &Value, faults: &mut Vec<Fault>) {
    if !old["deletionTimestamp"].is_null() {
        let had: Vec<&str> = texts(&old["finalizers"]).collect();
        let mut added: Vec<&str> = texts(&new["finalizers"]).filter(|one| !had.contains(one)).collect();
        added.sort_unstable();
        if !added.is_empty() {
            let added: Vec<String> = added.iter().map(|one| format!("{one:?}")).collect();
            let words = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                added.join(", ")
            );
            faults.push(Fault::silent(Why::Forbidden, "metadata.finalizers", words));
        }
    }
    for field in ["name", "namespace", "uid", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        if new[field] != old[field] {
            let field_path = format!("metadata.{field}");
            faults.push(Fault::new(Why::Invalid, field_path, new[field].clone(), "field is immutable"));
        }
    }
}

fn owners(references: &Value, faults: &mut Vec<Fault>) {
    let mut controller: Option<String> = None;
    for reference in references.as_array().into_iter().flatten() {
        let text = |field: &str| reference[field].as_str().unwrap_or_default().to_owned();
        for field in ["apiVersion", "kind", "name", "uid"] {
            if text(field).is_empty() {
                let words =
                    if field == "apiVersion" { "version must not be empty" } else { "must not be empty" };
                let path = format!("metadata.ownerReferences.{field}");
                faults.push(Fault::new(Why::Invalid, path, json!(""), words));
            }
        }
        if reference["controller"] == true {
            let this = format!("{}/{}", text("kind"), text("name"));
            match &controller {
                None => controller = Some(this),
                Some(first) => {
                    let words = format!(
                        "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {this}"
                    );
                    faults.push(Fault::new(
                        Why::Invalid,
                        "metadata.ownerReferences",
                        references.clone(),
                        words,
                    ));
                }
            }
        }
    }
}

fn texts(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn invalid(field: &str, value: &str, wrong: Vec<String>, faults: &mut Vec<Fault>) {
    faults.extend(wrong.into_iter().map(|words| Fault::new(Why::Invalid, field, json!(value), words)));
}

fn too_long(most: usize) -> String {
    format!("must be no more than {most} bytes")
}

fn alphanumeric_within(text: &str, inner: impl Fn(char) -> bool, ends: impl Fn(char) -> bool) -> bool {
    text.chars().all(inner) && text.starts_with(&ends) && text.ends_with(&ends)
}

fn subdomain(text: &str) -> Vec<String> {
    let ends = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    let fits =
        text.split('.').all(|part| alphanumeric_within(part, |letter| ends(letter) || letter == '-', ends));
    let mut wrong = Vec::new();
    if text.len() > 253 {
        wrong.push(too_long(253));
    }
    if !fits {
        wrong.push(SUBDOMAIN.to_owned());
    }
    wrong
}

fn is_name(text: &str) -> bool {
    let inner = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    alphanumeric_within(text, inner, |letter| letter.is_ascii_alphanumeric())
}

fn label(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if text.len() > 63 {
        wrong.push(too_long(63));
    }
    if !text.is_empty() && !is_name(text) {
        wrong.push(LABEL.to_owned());
    }
    wrong
}

fn qualified(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let name = match text.split('/').collect::<Vec<_>>().as_slice() {
        [name] => (*name).to_owned(),
        [prefix, name] => {
            if prefix.is_empty() {
                wrong.push("prefix part must be non-empty".to_owned());
            } else {
                wrong.extend(subdomain(prefix).into_iter().map(|words| format!("prefix part {words}")));
            }
            (*name).to_owned()
        }
        _ => {
            return vec![format!(
                "a valid label key {NAME_PART} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            )];
        }
    };
    if name.is_empty() {
        wrong.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        wrong.push(format!("name part {}", too_long(63)));
    }
    if !is_name(&name) {
        wrong.push(format!("name part {NAME_PART}"));
    }
    wrong
}
