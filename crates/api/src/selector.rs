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
    /// What is wrong with it, for the user; the rules of `metav1.LabelSelectorAsSelector`.
    pub fn problem(&self) -> Option<String> {
        self.match_expressions.iter().find_map(|requirement| {
            let Requirement { key, operator, values } = requirement;
            match operator.as_ref() {
                _ if key.is_empty() => Some("a requirement has no key".to_owned()),
                "In" | "NotIn" if values.is_empty() => Some(format!("{operator} on {key} needs values")),
                "Exists" | "DoesNotExist" if !values.is_empty() => {
                    Some(format!("{operator} on {key} takes no values"))
                }
                "In" | "NotIn" | "Exists" | "DoesNotExist" => None,
                other => Some(format!("{other:?} on {key} is none of In, NotIn, Exists, DoesNotExist")),
            }
        })
    }

    /// Whether an object with these labels is selected. A requirement with an unknown operator selects nothing.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
            && self.match_expressions.iter().all(|requirement| requirement.holds(labels))
    }
}

impl Requirement {
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
}
