//! Selectors, as far as they are sent: equality and existence of labels, and the one field by which pods are selected.

use serde_json::Value;

/// What an object's labels must be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Selector(Vec<Term>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Term {
    Equals(String, String),
    Differs(String, String),
    Exists(String),
    Absent(String),
    NodeName(String),
}

/// The field of a pod.
const NODE_NAME: &str = "spec.nodeName=";

impl Selector {
    /// Reads it; set notation is not supported, and named.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut terms = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            if part.contains(['(', ' ']) {
                return Err(format!("label selector {text:?}"));
            }
            let pair = |(key, value): (&str, &str)| (key.trim().to_owned(), value.trim().to_owned());
            terms.push(if let Some(both) = part.split_once("!=").map(pair) {
                Term::Differs(both.0, both.1)
            } else if let Some(both) = part.split_once("==").or_else(|| part.split_once('=')).map(pair) {
                Term::Equals(both.0, both.1)
            } else if let Some(key) = part.strip_prefix('!') {
                Term::Absent(key.to_owned())
            } else {
                Term::Exists(part.to_owned())
            });
        }
        Ok(Self(terms))
    }

    /// Adds a field selector; one that is not supported is named.
    pub(crate) fn by_field(&mut self, text: &str) -> Result<(), String> {
        if text.is_empty() {
            return Ok(());
        }
        let node = text.strip_prefix(NODE_NAME).filter(|node| !node.contains([',', '=']));
        let node = node.ok_or_else(|| format!("field selector {text:?}"))?;
        self.0.push(Term::NodeName(node.to_owned()));
        Ok(())
    }

    /// Adds what another one asks for.
    pub(crate) fn and(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Whether it asks for what pods alone have.
    pub(crate) fn is_of_pods(&self) -> bool {
        self.0.iter().any(|term| matches!(term, Term::NodeName(_)))
    }

    /// Whether an object is selected.
    pub(crate) fn matches(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.0.iter().all(|term| match term {
            Term::Equals(key, value) => labels[key] == **value,
            Term::Differs(key, value) => labels[key] != **value,
            Term::Exists(key) => labels.get(key).is_some(),
            Term::Absent(key) => labels.get(key).is_none(),
            Term::NodeName(name) => object["spec"]["nodeName"] == **name,
        })
    }
}
