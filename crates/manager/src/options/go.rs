//! The notations of Go's `flag` package that differ from everybody else's.

use std::ffi::OsString;
use std::time::Duration;

use api::interval::{Interval, NotInterval};

/// What Go's `strconv.ParseBool` does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither true nor false")]
pub(super) struct NotBoolean(String);

/// `strconv.ParseBool`.
pub(super) fn boolean(text: &str) -> Result<bool, NotBoolean> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        other => Err(NotBoolean(other.to_owned())),
    }
}

/// `time.ParseDuration`, but nothing negative.
pub(super) fn duration(text: &str) -> Result<Duration, NotInterval> {
    // The one number that needs no unit.
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let Interval(duration) = text.parse()?;
    Ok(duration.unsigned_abs())
}

/// `-leader-elect` is `--leader-elect`. Only known names get their second dash: a value may begin with one
/// (`--controllers -plan`).
pub(super) fn two_dashes(argument: OsString, names: &[String]) -> OsString {
    let Some(text) = argument.to_str() else { return argument };
    let Some(flag) = text.strip_prefix('-').filter(|flag| !flag.starts_with('-')) else { return argument };
    let name = flag.split('=').next().unwrap_or(flag);
    let known = names.iter().any(|known| known == name) || matches!(name, "version" | "help");
    if known { format!("-{text}").into() } else { argument }
}
