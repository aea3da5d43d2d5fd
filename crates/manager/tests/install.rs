//! What the code and the manifests must agree on.

use manager::family::Family;
use manager::left_over::{MUTATING, REMEDY, VALIDATING};
use manager::options::Options;
use manager::surroundings::{IMAGE, Surroundings};

/// What is installed of a family.
struct Install {
    family: Family,
    overlay: &'static str,
    prefixed: &'static str,
    deployment: &'static str,
    images: &'static str,
    lease_role: &'static str,
    lease_binding: &'static str,
    role_binding: &'static str,
}

macro_rules! read {
    ($path:literal) => {
        include_str!(concat!("../../../config/", $path))
    };
}

const INSTALLS: [Install; 2] = [
    Install {
        family: Family::Chain,
        overlay: read!("default/kustomization.yaml"),
        prefixed: read!("default/kustomization.yaml"),
        deployment: read!("manager/manager.yaml"),
        images: read!("manager/kustomization.yaml"),
        lease_role: read!("rbac/leader_election_role.yaml"),
        lease_binding: read!("rbac/leader_election_role_binding.yaml"),
        role_binding: read!("rbac/role_binding.yaml"),
    },
    Install {
        family: Family::Nodes,
        overlay: read!("nodes/default/kustomization.yaml"),
        prefixed: read!("nodes/operator/kustomization.yaml"),
        deployment: read!("nodes/manager/manager.yaml"),
        images: read!("nodes/manager/kustomization.yaml"),
        lease_role: read!("nodes/rbac/leader_election_role.yaml"),
        lease_binding: read!("nodes/rbac/leader_election_role_binding.yaml"),
        role_binding: read!("nodes/rbac/role_binding.yaml"),
    },
];
const WEBHOOKS: &str = read!("left-over-webhooks/webhooks.yaml");
const WEBHOOKS_NOTE: &str = read!("left-over-webhooks/kustomization.yaml");

fn setting<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.trim().trim_start_matches("- ").strip_prefix(&format!("{key}: ")))
}

#[test]
fn the_role_names_the_lease_and_the_deployment() {
    for Install { family, prefixed, deployment, lease_role, .. } in INSTALLS {
        assert!(lease_role.contains(&format!("  - {}\n", family.lease())), "{family}");
        assert!(lease_role.contains(&format!("  - {}\n", family.deployment())), "{family}");
        let prefix = setting(prefixed, "namePrefix").expect("the overlay has a prefix");
        let bare = family.deployment().strip_prefix(prefix).expect("the original's name has the prefix");
        assert!(deployment.contains(&format!("\nkind: Deployment\nmetadata:\n  name: {bare}\n")), "{family}");
    }
}

#[test]
fn the_account_that_the_deployment_runs_under_is_bound() {
    for Install { family, deployment, lease_binding, role_binding, .. } in INSTALLS {
        let account = setting(deployment, "serviceAccountName").expect("it names one");
        for binding in [lease_binding, role_binding] {
            assert!(binding.contains(&format!("- kind: ServiceAccount\n  name: {account}\n")), "{family}");
        }
    }
}

#[test]
fn the_overlay_installs_where_a_process_without_a_pod_looks() {
    for Install { family, overlay, .. } in INSTALLS {
        assert_eq!(setting(overlay, "namespace"), Some(Surroundings::default().namespace(family)));
    }
}

/// Pods on nodes run this one where the environment names none.
#[test]
fn the_published_image_is_the_one_that_is_installed() {
    for Install { family, images, .. } in INSTALLS {
        let (name, tag) = (setting(images, "newName"), setting(images, "newTag"));
        assert_eq!(IMAGE.split_once(':'), name.zip(tag), "{family}");
    }
}

#[test]
fn the_emptied_webhooks_have_the_names_that_are_looked_for() {
    let prefix = setting(INSTALLS[0].prefixed, "namePrefix").expect("the overlay has a prefix");
    for name in [MUTATING, VALIDATING] {
        let bare = name.strip_prefix(prefix).expect("the original's names have the prefix");
        assert!(WEBHOOKS.contains(&format!("  name: {bare}\n")), "{bare}");
        assert!(REMEDY.contains(name) && WEBHOOKS_NOTE.contains(name));
    }
    assert!(!WEBHOOKS.contains("\nwebhooks"), "an empty list would differ at every apply");
}

/// The arguments of a manifest.
fn arguments(deployment: &str) -> impl Iterator<Item = &str> {
    let list = deployment.lines().map(str::trim).skip_while(|line| *line != "args:").skip(1);
    list.map_while(|line| line.strip_prefix("- ")).filter(|argument| !argument.starts_with("name: "))
}

#[test]
fn the_deployments_arguments_are_flags() {
    for Install { family, deployment, .. } in INSTALLS {
        let arguments = std::iter::once("manager").chain(arguments(deployment));
        let options = Options::parse(arguments.map(Into::into)).expect("they parse");
        assert_eq!(options.family, family);
        assert!(options.takes_lease(), "a rolling update runs two for a while");
    }
}

#[test]
fn the_environment_that_is_read_is_the_one_that_is_set() {
    for Install { family, deployment, .. } in INSTALLS {
        for variable in family.pod_variables() {
            assert!(deployment.contains(&format!("- name: {variable}\n")), "{family}: {variable}");
        }
    }
    assert!(INSTALLS[1].deployment.contains("- name: OPERATOR_IMAGE\n"));
}

/// Labelling pods mount a folder of their node; a manager of the chain starts no pod in its own namespace.
#[test]
fn each_namespace_admits_what_runs_there_and_no_more() {
    let enforced = |deployment| setting(deployment, "pod-security.kubernetes.io/enforce");
    assert_eq!(enforced(INSTALLS[0].deployment), Some("restricted"));
    assert_eq!(enforced(INSTALLS[1].deployment), Some("privileged"));
    for Install { family, deployment, .. } in INSTALLS {
        for kept in ["runAsNonRoot: true", "allowPrivilegeEscalation: false", "type: RuntimeDefault", "- ALL"]
        {
            assert!(deployment.contains(kept), "{family}: {kept}");
        }
    }
}
