//! `ClusterRoleBinding` that the original made for the reboot pods of a NodeOp. Its name has no namespace in it, so that two
//! NodeOps of one name share it: whose it is, its subjects say.

use domain::object::{Kind, Meta, ObjectKey, Row, WireMeta, null_is_default};
use serde::Deserialize;

use super::{CLUSTER_ROLE, SERVICE_ACCOUNT_SUFFIX};

/// The kind. Cluster-scoped.
pub const KIND: Kind = Kind {
    group: "rbac.authorization.k8s.io",
    versions: &["v1"],
    kind: "ClusterRoleBinding",
    plural: "clusterrolebindings",
};

/// A binding as read.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Wire {
    #[serde(deserialize_with = "null_is_default")]
    role_ref: RoleWire,
    #[serde(deserialize_with = "null_is_default")]
    subjects: Vec<SubjectWire>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct RoleWire {
    name: Box<str>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct SubjectWire {
    kind: Box<str>,
    name: Box<str>,
    #[serde(deserialize_with = "null_is_default")]
    namespace: Box<str>,
}

/// What is kept of a binding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RebootBindingRow {
    /// Identity.
    pub meta: Meta,
    /// Why the binding could not be read; the fields below are then empty.
    pub malformed: Option<Box<str>>,
    /// It is of the role [`CLUSTER_ROLE`].
    pub is_of_the_role: bool,
    /// The ServiceAccounts that it is for.
    pub service_accounts: Vec<ObjectKey>,
}

impl RebootBindingRow {
    /// Whether it is for the reboot pods of a NodeOp, and of nobody else: then it may go with it.
    pub fn is_of(&self, node_op: &ObjectKey) -> bool {
        let account = node_op.sibling(&format!("{}{SERVICE_ACCOUNT_SUFFIX}", node_op.name));
        self.is_of_the_role && self.service_accounts == [account]
    }
}

impl Row for RebootBindingRow {
    type Wire = Wire;

    fn from_wire(meta: &WireMeta, wire: Wire) -> Self {
        let accounts = wire.subjects.into_iter().filter(|subject| *subject.kind == *"ServiceAccount");
        Self {
            meta: meta.meta(),
            malformed: None,
            is_of_the_role: *wire.role_ref.name == *CLUSTER_ROLE,
            service_accounts: accounts
                .map(|subject| ObjectKey::new(subject.namespace, subject.name))
                .collect(),
        }
    }

    fn malformed(meta: &WireMeta, error: &str) -> Self {
        Self { meta: meta.meta(), malformed: Some(error.into()), ..Self::default() }
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
    fn one_that_others_use_too_stays() {
        let binding = |role: &str, subjects: &str| {
            row::<RebootBindingRow>(&format!(
                "metadata: {{name: nodeop-reboot-op}}\nroleRef: {{kind: ClusterRole, name: {role}}}\nsubjects: {subjects}"
            ))
        };
        let op = ObjectKey::new("ns", "op");
        let ours = "{kind: ServiceAccount, namespace: ns, name: op-reboot}";
        assert!(binding("nodeop-reboot", &format!("[{ours}]")).is_of(&op));
        let other = "{kind: ServiceAccount, namespace: other, name: op-reboot}";
        assert!(!binding("nodeop-reboot", &format!("[{ours}, {other}]")).is_of(&op));
        assert!(!binding("nodeop-reboot", &format!("[{other}]")).is_of(&op));
        assert!(!binding("cluster-admin", &format!("[{ours}]")).is_of(&op));
        assert!(!binding("nodeop-reboot", "null").is_of(&op));
        assert!(!binding("nodeop-reboot", "7").is_of(&op));
    }
}
