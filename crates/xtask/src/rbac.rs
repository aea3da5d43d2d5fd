//! `config/rbac/role.yaml` and `config/nodes/rbac/role.yaml`: what each manager may do, from the `RULES` beside each controller's
//! code; and what it may do only where its users have bound a role of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use manager::family::Family;
use manager::{label_node, rooms};
use runtime::rules::Rule;
use serde_json::{Value, json};

use crate::{Error, Files, yaml};

/// The roles of the managers, and the one that is there to be bound per namespace.
pub fn generate() -> Result<Files, Error> {
    let chain = role("manager-role", &rooms::rules(Family::Chain));
    let opt_in = role("repository-secrets-reader-role", &rooms::opt_in_rules(Family::Chain));
    let nodes = role("manager-role", &rooms::rules(Family::Nodes));
    let labeler = role(api::kairos::labeler::NAME, label_node::RULES);
    Ok(Files::from([
        (PathBuf::from("config/rbac/role.yaml"), yaml::file(&[chain])?),
        (PathBuf::from("config/nodes/rbac/role.yaml"), yaml::file(&[nodes])?),
        (PathBuf::from("config/nodes/labeler/role.yaml"), yaml::file(&[labeler])?),
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
        assert_eq!(rooms::opt_in_rules(Family::Chain), expected);
        assert_eq!(rooms::opt_in_rules(Family::Nodes), [], "there is no role for them");
        let installed = format!("kubernetes-upgrader-{}", "repository-secrets-reader-role");
        assert_eq!(chain::debian_repository_source::READER_ROLE, installed);
    }

    #[test]
    fn the_manager_may_read_no_secret_and_change_no_foreign_spec_but_a_clusters() {
        for rule in rooms::rules(Family::Chain) {
            assert!(!matches!(rule.resource, "secrets" | "configmaps"), "{rule:?}");
            let changes = rule.verbs.iter().any(|verb| matches!(*verb, "update" | "patch" | "delete"));
            let foreign = rule.group != api::upgrader::GROUP;
            assert!(!changes || !foreign || rule.resource == "clusters", "{rule:?}");
            assert!(!rule.verbs.contains(&"*"), "{rule:?}");
        }
    }

    /// It makes privileged pods, which is much; but what it may is listed, and it hands out no more than it has.
    #[test]
    fn the_manager_of_nodes_reads_no_secret_and_hands_out_no_right_that_it_has_not() {
        const NEVER: [&str; 5] = ["*", "bind", "escalate", "impersonate", "deletecollection"];
        for rule in rooms::rules(Family::Nodes) {
            assert!(!matches!(rule.resource, "secrets" | "configmaps" | "*"), "{rule:?}");
            assert!(!rule.verbs.iter().any(|verb| NEVER.contains(verb)), "{rule:?}");
        }
    }
}
