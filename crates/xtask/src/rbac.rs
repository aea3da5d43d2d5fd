//! `config/rbac/role.yaml`: what the manager may do, from the `RULES` beside each controller's code; and what it may do only
//! where its users have bound a role of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use runtime::rules::Rule;
use serde_json::{Value, json};

use crate::{Error, Files, yaml};

/// The role of the manager, and the one that is there to be bound per namespace.
pub fn generate() -> Result<Files, Error> {
    let manager = role("manager-role", &manager::rooms::rules());
    let opt_in = role("repository-secrets-reader-role", &manager::rooms::opt_in_rules());
    Ok(Files::from([
        (PathBuf::from("config/rbac/role.yaml"), yaml::file(&[manager])?),
        (PathBuf::from("config/rbac/repository_secrets_reader_role.yaml"), yaml::file(&[opt_in])?),
    ]))
}

fn role(name: &str, declared: &[Rule]) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/part-of": "kubernetes-upgrader"}},
        "rules": rules(declared),
    })
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

    /// Read one by one, by name: nobody who holds the role can look around in the namespace.
    #[test]
    fn what_users_opt_into_is_to_get_secrets_and_config_maps() {
        let expected = [Rule::new("", "configmaps", &["get"]), Rule::new("", "secrets", &["get"])];
        assert_eq!(manager::rooms::opt_in_rules(), expected);
        let installed = format!("kubernetes-upgrader-{}", "repository-secrets-reader-role");
        assert_eq!(chain::debian_repository_source::READER_ROLE, installed);
    }

    #[test]
    fn the_manager_may_read_no_secret_and_change_no_foreign_spec_but_a_clusters() {
        for rule in manager::rooms::rules() {
            assert!(!matches!(rule.resource, "secrets" | "configmaps"), "{rule:?}");
            let changes = rule.verbs.iter().any(|verb| matches!(*verb, "update" | "patch" | "delete"));
            let foreign = rule.group != api::upgrader::GROUP;
            assert!(!changes || !foreign || rule.resource == "clusters", "{rule:?}");
            assert!(!rule.verbs.contains(&"*"), "{rule:?}");
        }
    }
}
