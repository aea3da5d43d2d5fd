//! A cordon is undone by whoever made it.

use serde_json::Value;

use super::{OfNodes, claim, is_cordoned};
use crate::invariants::{Broken, Write, holds};

const FOREIGN: &str = "a foreign cordon is never undone, and never taken for ours";

pub(super) fn check(seen: &OfNodes, write: &Write<'_>) -> Result<(), Broken> {
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

/// Whether the NodeOp that claims a cordon is gone, or about to be.
fn is_dead(seen: &OfNodes, node: &Value) -> bool {
    let op = claim(node).and_then(|uid| seen.ops.get(uid));
    op.is_none_or(|op| !op["metadata"]["deletionTimestamp"].is_null())
}
