//! An upgrade has one NodeOp, made of its own spec, and says what becomes of that.

use api::kairos::{node_op, node_op_upgrade};
use serde_json::Value;

use super::OfNodes;
use crate::invariants::{Broken, Write, holds, text};
use crate::world::World;
use crate::world::nodes::{controller, is_leaving, uid};

const OVER: &str = "an upgrade that has ended is not begun again";
const MADE: &str = "the NodeOp of an upgrade is what its spec asks for";
const TRUE: &str = "every NodeOpUpgrade says what becomes of its NodeOp";

pub(super) fn check(seen: &OfNodes, world: &World, write: &Write<'_>, alone: bool) -> Result<(), Broken> {
    let (true, "NodeOp", None, Some(op)) = (write.is_ours(), write.kind, write.before, write.after) else {
        return Ok(());
    };
    let Some((_, name, of)) = controller(op) else { return Ok(()) };
    let specs = seen.upgrades.get(of).map(Vec::as_slice).unwrap_or_default();
    let made = specs.iter().any(|spec| is_of(op, spec));
    holds(made, MADE, || format!("NodeOp {} is not of the spec of {name}", write.key))?;
    // Of two processes without a lease one may not know yet what the other has written.
    let upgrade = world.by_uid(node_op_upgrade::KIND.group, node_op_upgrade::KIND.kind, of);
    let Some((_, upgrade)) = upgrade.filter(|_| alone) else { return Ok(()) };
    holds(!has_ended(upgrade), OVER, || format!("a NodeOp is made for {name}"))
}

fn has_ended(upgrade: &Value) -> bool {
    let named = !text(upgrade, "/status/nodeOpName").is_empty();
    named && ["Completed", "Failed"].contains(&text(upgrade, "/status/phase"))
}

/// Whether a NodeOp is what a spec of an upgrade asks for.
fn is_of(op: &Value, upgrade: &Value) -> bool {
    let made = &op["spec"];
    let active = upgrade["upgradeActive"] != false;
    let (recovery, force) = (upgrade["upgradeRecovery"] == true, upgrade["force"] == true);
    let limit = |spec: &Value| spec["concurrency"].as_i64().unwrap_or(0);
    let is = |field: &str| (made[field] == true) == (upgrade[field] == true);
    let command = made["command"].to_string();
    let agent = command.matches("kairos-agent ").count();
    made["image"] == upgrade["image"]
        && made["cordon"] == true
        && made["drainOptions"]["enabled"] == true
        && (made["rebootOnSuccess"] == true) == active
        // Of the recovery system alone nothing tells the version.
        && made["preflight"].is_null() == (force || (recovery && !active))
        && command.contains("upgrade --recovery") == recovery
        && agent == 1 + usize::from(recovery && active)
        && limit(made) == limit(upgrade)
        && is("stopOnFailure")
        && is("uncordonOnFailure")
        && made["nodeSelector"] == upgrade["nodeSelector"]
}

/// Whether each says what is true.
pub(super) fn is_true(world: &World) -> Result<(), Broken> {
    let id = world.catalogue.of_kind(node_op_upgrade::KIND.group, node_op_upgrade::KIND.kind);
    let all = id.into_iter().flat_map(|id| world.objects.all(id));
    let ops = world.catalogue.of_kind(node_op::KIND.group, node_op::KIND.kind);
    for (key, upgrade) in all {
        let not = |words: String| Broken { invariant: TRUE, words: format!("NodeOpUpgrade {key}: {words}") };
        let looked = &upgrade["status"]["observedGeneration"];
        if *looked != upgrade["metadata"]["generation"] || is_leaving(upgrade) {
            return Err(not(format!("its status speaks of generation {looked}")));
        }
        let op = ops.and_then(|id| world.objects.get(id, key)).map(|entry| &entry.value);
        let own = op.filter(|op| controller(op).is_some_and(|(_, _, owner)| owner == uid(upgrade)));
        let (phase, reason) = (text(upgrade, "/status/phase"), text(upgrade, "/status/waiting/reason"));
        let is_so = match own {
            Some(op) if is_leaving(op) => reason == "NodeOpDeleting" || has_ended(upgrade),
            Some(op) => {
                let of_op = text(op, "/status/phase");
                let over = !text(op, "/status/finishedAt").is_empty();
                let said = match (of_op, over) {
                    ("Completed", true) => {
                        let applied = op["spec"]["image"] == upgrade["spec"]["image"];
                        phase == "Completed" && reason == if applied { "" } else { "ImageNotApplied" }
                    }
                    ("Failed", _) => phase == "Failed" && reason == "NodeOpFailed",
                    _ => {
                        ["Initializing", "Pending", "Running"].contains(&phase)
                            && reason.starts_with("NodeOp")
                    }
                };
                said && upgrade["status"]["counts"] == op["status"]["counts"]
            }
            None => has_ended(upgrade) || (op.is_some() && reason.starts_with("NodeOp")),
        };
        if !is_so {
            let counts = &upgrade["status"]["counts"];
            let of_op = own.map(|op| (text(op, "/status/phase"), op["status"]["counts"].to_string()));
            let words =
                format!("it is {phase:?} with {counts} and waits for {reason:?}; its NodeOp is {of_op:?}");
            return Err(not(words));
        }
    }
    Ok(())
}
