//! The NodeOp as it is sent.

use super::super::manifest::{differences, manifest};
use super::*;

/// The NodeOp of the upgrade of a YAML document.
fn node_op(yaml: &str) -> Value {
    manifest(&row::<NodeOpUpgradeRow>(&objects(yaml)[0])).unwrap()
}

/// Scripts are shown as they are read, below the rest.
fn golden(name: &str, yaml: &str) {
    let mut body = node_op(yaml);
    let mut scripts = String::new();
    for pointer in ["/spec/preflight/command/2", "/spec/command/2"] {
        if let Some(Value::String(script)) = body.pointer_mut(pointer) {
            let script = std::mem::replace(script, "...".to_owned());
            scripts.extend(["\n", pointer, ":\n", &script]);
        }
    }
    let text = serde_json::to_string_pretty(&body).unwrap() + "\n" + &scripts;
    insta::with_settings!({omit_expression => true, prepend_module_to_snapshot => false}, {
        insta::assert_snapshot!(name, text);
    });
}

#[test]
fn minimal() {
    golden("minimal", &upgrade("", "{}"));
}

#[test]
fn every_field() {
    golden(
        "every_field",
        &upgrade(
            ", nodeSelector: {matchLabels: {kairos.io/managed: 'true'}, matchExpressions: [{key: a, operator: Exists}]}, \
             imagePullSecrets: [{name: pull}], concurrency: 1, stopOnFailure: true, upgradeActive: true, upgradeRecovery: true, \
             force: false, debug: true, uncordonOnFailure: true, excludePaths: [/var/lib/x, '/it''s $(HOST_DIR)'], \
             resources: {limits: {memory: 1Gi}, later: [1]}, preflightResources: {}, rebootResources: {requests: {cpu: 1m}}",
            "{}",
        ),
    );
}

#[test]
fn recovery_alone() {
    golden("recovery_alone", &upgrade(", upgradeActive: false, upgradeRecovery: true", "{}"));
}

#[test]
fn forced() {
    golden("forced", &upgrade(", force: true", "{}"));
}

#[test]
fn the_reboot_follows_active_and_the_preflight_what_can_be_compared() {
    for (spec, reboots, preflight) in [
        ("", true, true),
        (", upgradeActive: true, upgradeRecovery: true", true, true),
        (", upgradeActive: false", false, true),
        (", upgradeActive: false, upgradeRecovery: true", false, false),
        (", force: true", true, false),
        (", force: false", true, true),
    ] {
        let spec_of = node_op(&upgrade(spec, "{}"))["spec"].clone();
        assert_eq!(spec_of["rebootOnSuccess"], reboots, "{spec}");
        assert_eq!(spec_of.get("preflight").is_some(), preflight, "{spec}");
    }
}

#[test]
fn resources_that_are_absent_and_those_that_are_empty_differ() {
    let spec = node_op(&upgrade(", resources: {}, preflightResources: null", "{}"))["spec"].clone();
    assert_eq!(spec["resources"], json!({}));
    assert_eq!((spec.get("preflightResources"), spec.get("rebootResources")), (None, None));
}

#[test]
fn a_long_name_is_the_node_ops_too_and_cut_in_its_label() {
    let name = "u".repeat(253);
    let body = node_op(&upgrade("", "{}").replace("name: up", &format!("name: {name}")));
    assert_eq!(body["metadata"]["name"], name);
    let label = body["metadata"]["labels"]["nodeopupgrade.kairos.io/name"].as_str().unwrap();
    assert!(label.len() == 63 && label.starts_with("uuuu"), "{label}");
}

/// The NodeOp's own room reads what is made here, and finds nothing to complain of.
#[test]
fn what_is_made_is_well_formed_and_the_same_as_itself() {
    for spec in [
        "",
        ", force: true",
        ", upgradeActive: false, upgradeRecovery: true",
        ", imagePullSecrets: [{}], concurrency: 3",
    ] {
        let yaml = upgrade(spec, "{}");
        let upgrade: NodeOpUpgradeRow = row(&objects(&yaml)[0]);
        let made: NodeOpRow = row(&objects(&made_of(&yaml, "", "{}"))[0]);
        assert_eq!((made.malformed.as_deref(), made.selector.clone().err()), (None, None));
        assert_eq!(made.upgrade_name.as_deref(), Some("up"));
        assert!(made.cordon && made.drain.is_some_and(|drain| !drain.force && drain.ignore_daemon_sets));
        assert_eq!((&*made.host_mount_path, made.backoff_limit), ("/host", 6));
        assert_eq!(differences(&upgrade, &made), Vec::<&str>::new(), "{spec}");
    }
}
