//! The end of the audit log, read as it grows: what our ServiceAccount asked for in one namespace.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

use e2e::{Installed, USER};
use serde_json::Value;

/// One request of ours that asked for a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Write {
    /// Such as `patch`.
    pub(super) verb: String,
    /// Such as `machineimages/status`.
    pub(super) resource: String,
    /// The object; empty for a create.
    pub(super) name: String,
    /// The HTTP status.
    pub(super) code: u64,
    /// When it arrived, RFC 3339.
    pub(super) received: String,
}

/// Reads what has been added since the last time.
pub(super) struct Tail {
    path: PathBuf,
    offset: u64,
    rest: Vec<u8>,
    namespace: &'static str,
}

impl Tail {
    /// From the beginning of the log.
    pub(super) fn of(world: &Installed, namespace: &'static str) -> Self {
        Self { path: world.plane().audit_log_path().to_owned(), offset: 0, rest: Vec::new(), namespace }
    }

    /// The writes since the last call, in the order of their answers.
    pub(super) fn writes(&mut self) -> Vec<Write> {
        let mut file = File::open(&self.path).unwrap();
        file.seek(SeekFrom::Start(self.offset)).unwrap();
        let read = file.read_to_end(&mut self.rest).unwrap();
        self.offset += u64::try_from(read).unwrap();
        let whole = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let lines: Vec<u8> = self.rest.drain(..whole).collect();
        let text = String::from_utf8_lossy(&lines);
        let ours = text.lines().filter(|line| line.contains(USER));
        ours.filter_map(|line| self.write(&serde_json::from_str(line).unwrap())).collect()
    }

    fn write(&self, line: &Value) -> Option<Write> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (verb, object) = (text(&line["verb"]), &line["objectRef"]);
        let is_write = ["create", "update", "patch", "delete"].contains(&&*verb);
        if !is_write || line["user"]["username"] != USER || object["namespace"] != self.namespace {
            return None;
        }
        let part = object["subresource"].as_str().map(|part| format!("/{part}")).unwrap_or_default();
        Some(Write {
            verb,
            resource: text(&object["resource"]) + &part,
            name: text(&object["name"]),
            code: line["responseStatus"]["code"].as_u64().unwrap_or_default(),
            received: text(&line["requestReceivedTimestamp"]),
        })
    }
}
