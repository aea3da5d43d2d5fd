//! What the code and the manifests must agree on.

use manager::left_over::{MUTATING, REMEDY, VALIDATING};
use manager::options::Options;
use manager::start::LEASE;
use manager::surroundings::Surroundings;

const OVERLAY: &str = include_str!("../../../config/default/kustomization.yaml");
const DEPLOYMENT: &str = include_str!("../../../config/manager/manager.yaml");
const LEASE_ROLE: &str = include_str!("../../../config/rbac/leader_election_role.yaml");
const WEBHOOKS: &str = include_str!("../../../config/left-over-webhooks/webhooks.yaml");
const WEBHOOKS_NOTE: &str = include_str!("../../../config/left-over-webhooks/kustomization.yaml");

fn setting<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.trim().strip_prefix(&format!("{key}: ")))
}

#[test]
fn the_role_names_the_lease_that_is_taken() {
    assert!(LEASE_ROLE.contains(&format!("  - {LEASE}\n")));
}

#[test]
fn the_overlay_installs_where_a_process_without_a_pod_looks() {
    assert_eq!(setting(OVERLAY, "namespace"), Some(Surroundings::default().namespace()));
}

#[test]
fn the_emptied_webhooks_have_the_names_that_are_looked_for() {
    let prefix = setting(OVERLAY, "namePrefix").expect("the overlay has a prefix");
    for name in [MUTATING, VALIDATING] {
        let bare = name.strip_prefix(prefix).expect("the original's names have the prefix");
        assert!(WEBHOOKS.contains(&format!("  name: {bare}\n")), "{bare}");
        assert!(REMEDY.contains(name) && WEBHOOKS_NOTE.contains(name));
    }
    assert!(!WEBHOOKS.contains("\nwebhooks"), "an empty list would differ at every apply");
}

#[test]
fn the_deployments_arguments_are_flags() {
    let arguments =
        DEPLOYMENT.lines().filter_map(|line| line.trim().strip_prefix("- ")).filter(|a| a.starts_with("--"));
    let arguments = std::iter::once("manager").chain(arguments);
    let options = Options::parse(arguments.map(Into::into)).expect("they parse");
    assert!(options.takes_lease(), "a rolling update runs two for a while");
}
