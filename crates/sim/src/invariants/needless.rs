//! No write without need, and no controller that finds itself at fault.

use jiff::SignedDuration;
use serde_json::Value;

use super::{Broken, Terms, Write, holds};

const NEEDED: &str = "no write without need";
const NO_BUG: &str = "no controller finds a bug of its own";

/// After the last fault: what was late by then has come.
const CALM: SignedDuration = SignedDuration::from_mins(10);

/// A write has changed nothing. While answers are lost and caches late it repeats what was done already, as it must.
pub(super) fn check(terms: &Terms, at: jiff::Timestamp, what: &str) -> Result<(), Broken> {
    let calm = terms.faultless || at.duration_since(terms.until) > CALM;
    holds(!calm, NEEDED, || format!("{what} has changed nothing"))
}

/// No status tells of a bug.
pub(super) fn no_bug(write: &Write<'_>) -> Result<(), Broken> {
    let Some(new) = write.after.filter(|_| write.is_ours()) else { return Ok(()) };
    let conditions = new["status"]["conditions"].as_array();
    let told = conditions.into_iter().flatten().filter_map(|condition| condition["message"].as_str());
    let mut bugs =
        told.filter(|message| message.contains("a bug:") || message.contains("was repeated without effect"));
    let bug = bugs.next().map(str::to_owned);
    let unreadable = new["status"] == Value::Null && write.before.is_some_and(|old| !old["status"].is_null());
    holds(bug.is_none() && !unreadable, NO_BUG, || format!("{} {}: {bug:?}", write.kind, write.key))
}
