//! `config/rbac/role.yaml`: what the manager may do, from the `RULES` beside each controller's code.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use runtime::rules::Rule;
use serde_json::{Value, json};

use crate::{Error, Files, yaml};

/// The role of the manager.
pub fn generate() -> Result<Files, Error> {
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {
            "name": "manager-role",
            "labels": {"app.kubernetes.io/part-of": "kubernetes-upgrader"},
        },
        "rules": rules(&manager::rooms::rules()),
    });
    Ok(Files::from([(PathBuf::from("config/rbac/role.yaml"), yaml::file(&[role])?)]))
}

/// One entry for each resource, its verbs those of every controller together.
fn rules(declared: &[Rule]) -> Vec<Value> {
    let mut verbs: BTreeMap<(&str, &str, &[&str]), BTreeSet<&str>> = BTreeMap::new();
    for rule in declared {
        verbs.entry((rule.group, rule.resource, rule.names)).or_default().extend(rule.verbs);
    }
    let entry = |((group, resource, names), verbs): ((&str, &str, &[&str]), BTreeSet<&str>)| {
        let mut entry = json!({"apiGroups": [group], "resources": [resource], "verbs": verbs});
        if !names.is_empty() {
            entry["resourceNames"] = json!(names);
        }
        entry
    };
    verbs.into_iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_of_several_controllers_come_together() {
        let declared = [
            Rule::new("", "pods", &["list"]),
            Rule::new("", "pods", &["get", "list"]),
            Rule { names: &["one"], ..Rule::new("x.io", "things", &["get"]) },
        ];
        assert_eq!(
            rules(&declared),
            [
                json!({"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}),
                json!({"apiGroups": ["x.io"], "resources": ["things"], "verbs": ["get"], "resourceNames": ["one"]}),
            ]
        );
    }

    #[test]
    fn the_manager_may_read_no_secret_and_change_no_foreign_spec_but_a_clusters() {
        for rule in manager::rooms::rules() {
            assert_ne!(rule.resource, "secrets");
            let changes = rule.verbs.iter().any(|verb| matches!(*verb, "update" | "patch" | "delete"));
            let foreign = rule.group != api::upgrader::GROUP;
            assert!(!changes || !foreign || rule.resource == "clusters", "{rule:?}");
            assert!(!rule.verbs.contains(&"*"), "{rule:?}");
        }
    }
}
