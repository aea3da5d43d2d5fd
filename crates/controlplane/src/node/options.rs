//! What a sandbox node is to be, beside its name.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::error::{Error, Result};

/// What a [`SandboxNode`](super::SandboxNode) is to be. Without any call: a worker without labels on this machine's own root.
#[derive(Clone, Debug, Default)]
#[must_use = "nothing starts before SandboxNode::start"]
pub struct NodeOptions {
    pub(super) labels: BTreeMap<String, String>,
    pub(super) files: Vec<NodeFile>,
    pub(super) off_for: Duration,
}

/// A file that is on the node before its first boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NodeFile {
    pub(super) path: PathBuf,
    pub(super) mode: u32,
    pub(super) content: String,
}

impl NodeOptions {
    /// A label of the Node object, which the administrator sets as soon as the node has registered: so it may be one that a
    /// kubelet must not give itself, such as `node-role.kubernetes.io/control-plane`.
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(key.into(), value.into());
        self
    }

    /// How long it stays off between two boots; not at all if not said, and then it is Ready again after a second, which a real machine is
    /// not.
    pub fn off_for(mut self, time: Duration) -> Self {
        self.off_for = time;
        self
    }

    /// A file on the node's own root, such as `/etc/kairos-release`, with its permission bits. The folders in its path must be
    /// folders and no links on this machine (`/usr/sbin`, not `/sbin`).
    pub fn file(mut self, path: impl Into<PathBuf>, mode: u32, content: impl Into<String>) -> Self {
        self.files.push(NodeFile { path: path.into(), mode, content: content.into() });
        self
    }
}

/// Refuses a name that no Node object can have, before it becomes part of a command line.
pub(super) fn check_name(name: &str) -> Result<()> {
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.';
    let alphanumeric = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    let ends = alphanumeric(name.bytes().next()) && alphanumeric(name.bytes().next_back());
    // Linux takes 64 bytes as a host's name, which is less than a Node may have.
    if ends && name.len() <= 64 && name.bytes().all(allowed) {
        return Ok(());
    }
    Err(Error::Manifest {
        manifest: format!("sandbox node {name:?}"),
        reason: "its name has 1 to 64 of a-z, 0-9, - and ., and starts and ends with a letter or digit"
            .to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_that_of_a_node_and_of_a_host() {
        for good in ["a", "worker-1", "n1.example.com", &"a".repeat(64)] {
            check_name(good).unwrap();
        }
        for bad in ["", "-a", "a.", "A", "a b", "a/b", "a'b", &"a".repeat(65)] {
            check_name(bad).unwrap_err();
        }
    }
}
