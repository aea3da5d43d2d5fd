//! `metav1` `LabelSelector`: which labels it asks for, and whether an object has them.

use std::collections::BTreeMap;

use domain::object::null_is_default;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Labels of an object.
pub type Labels = BTreeMap<Box<str>, Box<str>>;

/// A label selector: all of its requirements must hold; an empty one matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-map-type" = "atomic"))]
pub struct LabelSelector {
    /// Requirements beyond equality; all must hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub match_expressions: Vec<Requirement>,
    /// Labels that must be there with these values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_is_default")]
    pub match_labels: Labels,
}

/// One requirement on a label.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Requirement {
    /// The label's key.
    pub key: Box<str>,
    /// In, `NotIn`, Exists or `DoesNotExist`.
    pub operator: Box<str>,
    /// The values for In and `NotIn`; empty for the others.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub values: Vec<Box<str>>,
}

impl LabelSelector {
    /// What is wrong with it, for the user; the rules of `metav1.LabelSelectorAsSelector`. The schema admits all of it, and a
    /// key that no label can have would select everything by `NotIn`.
    pub fn problem(&self) -> Option<String> {
        let mut labels = self.match_labels.iter();
        labels
            .find_map(|(key, value)| key_problem(key).or_else(|| value_problem(key, value)))
            .or_else(|| self.match_expressions.iter().find_map(Requirement::problem))
    }

    /// The selector, if nothing is wrong with it. `at` is its path, for the message.
    pub fn checked(self, at: &str) -> Result<Self, Box<str>> {
        match self.problem() {
            Some(problem) => Err(format!("{at}: {problem}").into()),
            None => Ok(self),
        }
    }

    /// Whether an object with these labels is selected. A requirement with an unknown operator selects nothing.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
            && self.match_expressions.iter().all(|requirement| requirement.holds(labels))
    }
}

impl Requirement {
    fn problem(&self) -> Option<String> {
        let Self { key, operator, values } = self;
        key_problem(key).or_else(|| match operator.as_ref() {
            "In" | "NotIn" if values.is_empty() => Some(format!("{operator} on {key} needs values")),
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                Some(format!("{operator} on {key} takes no values"))
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {
                values.iter().find_map(|value| value_problem(key, value))
            }
            other => Some(format!("{other:?} on {key} is none of In, NotIn, Exists, DoesNotExist")),
        })
    }

    fn holds(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.key);
        match self.operator.as_ref() {
            "In" => value.is_some_and(|value| self.values.contains(value)),
            "NotIn" => value.is_none_or(|value| !self.values.contains(value)),
            "Exists" => value.is_some(),
            "DoesNotExist" => value.is_none(),
            _ => false,
        }
    }
}

/// What is wrong with the key of a label: `IsQualifiedName` of apimachinery.
fn key_problem(key: &str) -> Option<String> {
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    if key.is_empty() {
        Some("a requirement has no key".to_owned())
    } else if !is_word(name) || prefix.is_some_and(|prefix| !is_subdomain(prefix)) {
        Some(format!("{key:?} is not the key of a label"))
    } else {
        None
    }
}

/// What is wrong with the value of a label: `IsValidLabelValue` of apimachinery.
fn value_problem(key: &str, value: &str) -> Option<String> {
    let valid = value.is_empty() || is_word(value);
    (!valid).then(|| format!("{value:?} on {key} is not the value of a label"))
}

/// At most 63 letters, digits, `-`, `_` and `.`, the first and the last a letter or digit.
fn is_word(word: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    word.len() <= 63 && ends(word.chars().next()) && ends(word.chars().next_back()) && word.chars().all(inner)
}

/// At most 253 characters, and every part between dots begins and ends with a small letter or a digit.
fn is_subdomain(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_label = |part: &str| {
        !part.is_empty() && part.chars().all(inner) && !part.starts_with('-') && !part.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn selects(selector: serde_json::Value, labels: serde_json::Value) -> bool {
        let selector: LabelSelector = serde_json::from_value(selector).unwrap();
        assert_eq!(selector.problem(), None);
        selector.matches(&serde_json::from_value(labels).unwrap())
    }

    #[test]
    fn all_requirements_must_hold() {
        assert!(selects(json!({}), json!({})));
        assert!(selects(json!({"matchLabels": null}), json!({"a": "1"})));
        assert!(selects(json!({"matchLabels": {"a": "1"}}), json!({"a": "1", "b": "2"})));
        assert!(!selects(json!({"matchLabels": {"a": "1"}}), json!({"a": "2"})));
        let not_old = json!({"matchExpressions": [{"key": "v", "operator": "NotIn", "values": ["old"]}]});
        assert!(selects(not_old.clone(), json!({})));
        assert!(!selects(not_old, json!({"v": "old"})));
        assert!(selects(json!({"matchExpressions": [{"key": "v", "operator": "Exists"}]}), json!({"v": ""})));
        assert!(!selects(
            json!({"matchExpressions": [{"key": "v", "operator": "DoesNotExist"}]}),
            json!({"v": ""})
        ));
        let one_of = json!({"matchExpressions": [{"key": "v", "operator": "In", "values": ["1", "2"]}]});
        assert!(selects(one_of.clone(), json!({"v": "2"})) && !selects(one_of, json!({})));
    }

    #[test]
    fn a_wrong_requirement_is_named_and_selects_nothing() {
        for (operator, values, word) in
            [("In", vec![], "needs values"), ("Exists", vec!["x"], "no values"), ("Has", vec![], "none of")]
        {
            let values = values.into_iter().map(Box::from).collect();
            let requirement = Requirement { key: "k".into(), operator: operator.into(), values };
            let selector = LabelSelector { match_expressions: vec![requirement], ..LabelSelector::default() };
            assert!(selector.problem().unwrap().contains(word), "{:?}", selector.problem());
        }
    }

    fn problem(selector: serde_json::Value) -> Option<String> {
        serde_json::from_value::<LabelSelector>(selector).unwrap().problem()
    }

    #[test]
    fn what_no_label_can_be_is_named() {
        for key in ["a b", "-a", "a/", "/a", "A.b/c", "a..b/c", "a/b/c", "ü", &"k".repeat(64)] {
            let not_a_key = Some(format!("{key:?} is not the key of a label"));
            assert_eq!(problem(json!({"matchLabels": {key: "v"}})), not_a_key);
            let expression = json!({"key": key, "operator": "DoesNotExist"});
            assert_eq!(problem(json!({"matchExpressions": [expression]})), not_a_key, "it would select all");
        }
        for value in ["a b", "-", "a/b", "a.", &"v".repeat(64)] {
            let not_a_value = Some(format!("{value:?} on k is not the value of a label"));
            assert_eq!(problem(json!({"matchLabels": {"k": value}})), not_a_value);
            let expression = json!({"key": "k", "operator": "NotIn", "values": ["good", value]});
            assert_eq!(problem(json!({"matchExpressions": [expression]})), not_a_value);
        }
        let long = format!("{}/{}", "p".repeat(253), "k".repeat(63));
        for key in ["a", "A_b.c-1", "node-role.kubernetes.io/control-plane", &long] {
            for value in ["", "a", "A_b.c-1", &"v".repeat(63)] {
                assert_eq!(problem(json!({"matchLabels": {key: value}})), None);
            }
        }
        let selector: LabelSelector = serde_json::from_value(json!({"matchLabels": {"": "v"}})).unwrap();
        let told = selector.checked("spec.nodeSelector").unwrap_err();
        assert_eq!(&*told, "spec.nodeSelector: a requirement has no key");
    }
}
