//! The NodeOp of an upgrade: its manifest, and what of it a spec that was edited since would have otherwise.

use api::kairos::node_op::{self, NodeOpRow};
use api::kairos::node_op_upgrade::{self, NodeOpUpgradeRow};
use api::kairos::{DEFAULT_HOST_MOUNT_PATH, MANAGED_BY_LABEL, UPGRADE_MANAGER, UPGRADE_NAME_LABEL};
use domain::object::{Row, WireMeta};
use serde::Deserialize as _;
use serde_json::{Map, Value, json};

use super::script;
use crate::names;

/// Seconds that a preflight has, as in the original. The time that its image takes does not count: the controller of NodeOps makes
/// a preflight anew that has ended before it ran.
const PREFLIGHT_DEADLINE_SECONDS: u32 = 120;

/// The NodeOp as it is created. Of the options of the drain only the switch is named, as in the original: a NodeOp with the
/// label [`UPGRADE_NAME_LABEL`] lets pods with emptyDir volumes go, whatever default the server fills in. What a spec does not
/// have is absent here too; of resources absent and empty differ.
///
/// Nothing where the selector cannot be read: without it, every node would be upgraded.
pub(super) fn manifest(upgrade: &NodeOpUpgradeRow) -> Option<Value> {
    let meta = &upgrade.meta;
    Some(json!({
        "apiVersion": node_op::KIND.api_version(),
        "kind": node_op::KIND.kind,
        "metadata": {
            "name": meta.key.name,
            "namespace": meta.key.namespace,
            "labels": {
                MANAGED_BY_LABEL: UPGRADE_MANAGER,
                UPGRADE_NAME_LABEL: names::label_value(&meta.key.name),
            },
            "ownerReferences": [{
                "apiVersion": node_op_upgrade::KIND.api_version(),
                "kind": node_op_upgrade::KIND.kind,
                "name": meta.key.name,
                "uid": meta.uid,
                "controller": true,
                "blockOwnerDeletion": true,
            }],
        },
        "spec": spec(upgrade)?,
    }))
}

fn spec(upgrade: &NodeOpUpgradeRow) -> Option<Map<String, Value>> {
    let selector = upgrade.selector.as_ref().ok()?;
    let mut spec = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            spec.insert(name.to_owned(), value);
        }
    };
    put("nodeSelector", selector.as_ref().map(|selector| json!(selector)));
    put("image", Some(json!(upgrade.image)));
    let secrets = &upgrade.image_pull_secrets;
    put("imagePullSecrets", (!secrets.is_empty()).then(|| json!(secrets)));
    put("concurrency", upgrade.concurrency.map(Value::from));
    put("stopOnFailure", upgrade.stop_on_failure.map(Value::from));
    put("hostMountPath", Some(json!(DEFAULT_HOST_MOUNT_PATH)));
    put("cordon", Some(json!(true)));
    put("uncordonOnFailure", upgrade.uncordon_on_failure.map(Value::from));
    put("drainOptions", Some(json!({"enabled": true})));
    put("rebootOnSuccess", Some(json!(upgrade.upgrade_active)));
    let preflight = || {
        json!({
            "image": upgrade.image,
            "command": shell(&script::preflight()),
            "activeDeadlineSeconds": PREFLIGHT_DEADLINE_SECONDS,
        })
    };
    put("preflight", script::compares_versions(upgrade).then(preflight));
    put("command", Some(shell(&script::upgrade(upgrade))));
    put("resources", upgrade.resources.as_ref().map(|resources| resources.0.clone()));
    put("preflightResources", upgrade.preflight_resources.as_ref().map(|resources| resources.0.clone()));
    put("rebootResources", upgrade.reboot_resources.as_ref().map(|resources| resources.0.clone()));
    Some(spec)
}

fn shell(script: &str) -> Value {
    json!(["/bin/sh", "-c", script])
}

/// Fields of a NodeOp that would be others if it were made of the spec as it is now, in the order of the NodeOp's schema.
/// Scripts are compared by what they do, and those of another program not at all.
pub(super) fn differences(upgrade: &NodeOpUpgradeRow, node_op: &NodeOpRow) -> Vec<&'static str> {
    let read = |body: Value| <NodeOpRow as Row>::Wire::deserialize(body).ok();
    let Some(wire) = manifest(upgrade).and_then(read) else { return Vec::new() };
    if node_op.malformed.is_some() {
        return Vec::new();
    }
    let wanted = NodeOpRow::from_wire(&WireMeta::default(), wire);
    let is = gist(node_op);
    let differs = [
        ("nodeSelector", wanted.selector != node_op.selector),
        ("command", is.is_some() && is != gist(&wanted)),
        ("image", wanted.image != node_op.image),
        ("imagePullSecrets", wanted.image_pull_secrets != node_op.image_pull_secrets),
        ("uncordonOnFailure", wanted.uncordon_on_failure != node_op.uncordon_on_failure),
        ("rebootOnSuccess", wanted.reboot_on_success != node_op.reboot_on_success),
        ("concurrency", wanted.concurrency != node_op.concurrency),
        ("stopOnFailure", wanted.stop_on_failure != node_op.stop_on_failure),
        ("preflight", wanted.preflight.is_some() != node_op.preflight.is_some()),
        ("resources", wanted.resources != node_op.resources),
        ("preflightResources", wanted.preflight_resources != node_op.preflight_resources),
        ("rebootResources", wanted.reboot_resources != node_op.reboot_resources),
    ];
    differs.into_iter().filter_map(|(name, differs)| differs.then_some(name)).collect()
}

fn gist(node_op: &NodeOpRow) -> Option<(bool, Vec<&str>)> {
    node_op.command.get(2).and_then(|script| script::gist(script))
}
