//! A manager's log, read back.

use std::fs;
use std::path::Path;

use serde_json::Value;

const TAIL_LINES: usize = 30;

/// One line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// `ERROR`, `WARN`, `INFO`, `DEBUG` or `TRACE`; `PANIC` for what is no line of the log, as a panic's message is not.
    pub level: String,
    /// The whole line.
    pub text: String,
}

impl LogLine {
    /// The lines of a log, one JSON object each, such as that of a pod.
    pub fn all_of(log: &str) -> Vec<Self> {
        lines(log)
    }

    /// True for an error or a panic.
    pub fn is_error(&self) -> bool {
        matches!(self.level.as_str(), "ERROR" | "PANIC")
    }
}

/// The file's text; empty if it is not there.
pub(crate) fn text(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

/// The lines of a log.
pub(crate) fn lines(log: &str) -> Vec<LogLine> {
    let level = |line: &str| {
        let line: Option<Value> = serde_json::from_str(line).ok();
        line.and_then(|line| line["level"].as_str().map(str::to_owned)).unwrap_or_else(|| "PANIC".to_owned())
    };
    // A kill can leave a last line that is not finished.
    let whole = log.rfind('\n').map_or("", |end| &log[..end]);
    whole
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| LogLine { level: level(line), text: line.to_owned() })
        .collect()
}

/// The end of a log.
pub(crate) fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_and_a_panic_is_one() {
        let log = "{\"level\":\"INFO\",\"message\":\"a\"}\nthread 'main' panicked at x\n{\"level\":\"ERROR\"}\n{\"level\":\"ERR";
        let lines = lines(log);
        let errors: Vec<_> = lines.iter().map(|line| (line.level.as_str(), line.is_error())).collect();
        assert_eq!(errors, [("INFO", false), ("PANIC", true), ("ERROR", true)]);
    }
}
