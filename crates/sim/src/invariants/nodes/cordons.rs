//! A cordon is undone by whoever made it.

use domain::object::ObjectKey;
use serde_json::Value;

use super::{OfNodes, claim, is_cordoned};
use crate::invariants::{Broken, Write, holds};
use crate::world::World;
use crate::world::nodes::uid;

const FOREIGN: &str = "a foreign cordon is never undone, and never taken for ours";

const DONE: &str = "a node is said to have been rebooted once its cordon is undone";

pub(super) fn check(seen: &OfNodes, world: &World, write: &Write<'_>, alone: bool) -> Result<(), Broken> {
    // Of two processes without a lease one may know of a reboot before the other.
    if let ("NodeOp", Some(op), true) = (write.kind, write.after, write.is_ours() && alone) {
        return is_undone(world, write, op);
    }
    if write.kind != "Node" || !write.is_ours() {
        return Ok(());
    }
    let (Some(before), Some(after)) = (write.before, write.after) else { return Ok(()) };
    let foreign = seen.foreign.contains(&*write.key.name);
    let words = |what: &str| format!("Node {} was cordoned by somebody else, and {what}", write.key.name);
    let undone = is_cordoned(before) && !is_cordoned(after);
    holds(!undone || (!foreign && claim(before).is_some()), FOREIGN, || words("was made schedulable"))?;
    let taken = is_cordoned(before) && claim(after).is_some() && claim(before) != claim(after);
    holds(!taken, FOREIGN, || words("is claimed now"))?;
    holds(
        claim(before).is_none()
            || claim(after).is_none()
            || claim(before) == claim(after)
            || is_dead(seen, before),
        FOREIGN,
        || words("its claim was taken from another NodeOp"),
    )
}

/// Whether no cordon is left where it is newly said that everything was done.
fn is_undone(world: &World, write: &Write<'_>, op: &Value) -> Result<(), Broken> {
    let said = |op: &Value, node: &str| op["status"]["nodeStatuses"][node]["rebootStatus"] == "completed";
    let entries = op["status"]["nodeStatuses"].as_object().into_iter().flatten();
    let new = entries.filter(|(node, _)| said(op, node) && !write.before.is_some_and(|it| said(it, node)));
    for (name, _) in new {
        let id = world.catalogue.of_kind("", "Node");
        let node = id.and_then(|id| world.objects.get(id, &ObjectKey::new("", name.as_str())));
        let ours = node.is_some_and(|node| is_cordoned(&node.value) && claim(&node.value) == Some(uid(op)));
        holds(!ours, DONE, || format!("{} says so of {name}", write.key))?;
    }
    Ok(())
}

/// Whether the NodeOp that claims a cordon is gone, or about to be.
fn is_dead(seen: &OfNodes, node: &Value) -> bool {
    let op = claim(node).and_then(|uid| seen.ops.get(uid));
    op.is_none_or(|op| !op["metadata"]["deletionTimestamp"].is_null())
}
