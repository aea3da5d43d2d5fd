//! `ClusterRole` that the original made once, for all of its reboot pods: they may get and patch any pod.

use std::collections::BTreeSet;

use domain::object::{Kind, Meta, Row, WireMeta, null_is_default};
use serde::Deserialize;

/// The kind. Cluster-scoped.
pub const KIND: Kind = Kind {
    group: "rbac.authorization.k8s.io",
    versions: &["v1"],
    kind: "ClusterRole",
    plural: "clusterroles",
};

/// A role as read.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wire {
    #[serde(deserialize_with = "null_is_default")]
    rules: Vec<RuleWire>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RuleWire {
    #[serde(deserialize_with = "null_is_default")]
    api_groups: BTreeSet<Box<str>>,
    #[serde(deserialize_with = "null_is_default")]
    resources: BTreeSet<Box<str>>,
    #[serde(deserialize_with = "null_is_default")]
    verbs: BTreeSet<Box<str>>,
}

/// What is kept of a role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RebootRoleRow {
    /// Identity.
    pub meta: Meta,
    /// Why the role could not be read; it is then nobody's that is known.
    pub malformed: Option<Box<str>>,
    /// It says what the original's says and nothing else: who has made another one of its name, or has changed it, keeps it.
    pub is_the_originals: bool,
}

impl Row for RebootRoleRow {
    type Wire = Wire;

    fn from_wire(meta: &WireMeta, wire: Wire) -> Self {
        let is = |found: &BTreeSet<Box<str>>, wanted: &[&str]| {
            found.iter().map(AsRef::as_ref).eq(wanted.iter().copied())
        };
        let is_the_originals = match &wire.rules[..] {
            [rule] => {
                is(&rule.api_groups, &[""])
                    && is(&rule.resources, &["pods"])
                    && is(&rule.verbs, &["get", "patch"])
            }
            _ => false,
        };
        Self { meta: meta.meta(), malformed: None, is_the_originals }
    }

    fn malformed(meta: &WireMeta, error: &str) -> Self {
        Self { meta: meta.meta(), malformed: Some(error.into()), is_the_originals: false }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::row;

    #[test]
    fn one_that_says_something_else_is_somebody_elses() {
        let is = |rules: &str| {
            row::<RebootRoleRow>(&format!("metadata: {{name: nodeop-reboot}}\nrules: {rules}"))
                .is_the_originals
        };
        assert!(is("[{apiGroups: [''], resources: [pods], verbs: [get, patch]}]"));
        assert!(is("[{apiGroups: [''], resources: [pods], verbs: [patch, get]}]"));
        assert!(!is("[{apiGroups: [''], resources: [pods], verbs: [get, patch, delete]}]"));
        assert!(!is("[{apiGroups: [''], resources: [pods, nodes], verbs: [get, patch]}]"));
        assert!(!is("[{apiGroups: [''], resources: [pods], verbs: [get, patch]}, {apiGroups: [apps]}]"));
        assert!(!is("null"));
        assert!(!is("7"));
    }
}
