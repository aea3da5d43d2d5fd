//! The node's processes as the machine sees them: which is its supervisor, which its init.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};

use crate::error::{Error, Result};

/// The inode of the machine's first PID namespace (`PROC_PID_INIT_INO` of the kernel), whose init is never to be ended.
const INITIAL_PID_NAMESPACE: &str = "pid:[4026531836]";

/// The process ids, on the machine, of what a node consists of. Each is looked for when it is needed: a boot changes the last.
pub(super) struct Inside {
    /// The child process that keeps the node's namespaces.
    keeper: u32,
}

impl Inside {
    pub(super) fn of(keeper: u32) -> Self {
        Self { keeper }
    }

    /// The init of the namespace that outlives the node's boots.
    pub(super) fn supervisor(&self) -> Option<u32> {
        children(self.keeper).into_iter().find(|pid| is_init(*pid) && is_foreign(*pid))
    }

    /// The node's own init, while it is booted.
    pub(super) fn init(&self) -> Option<u32> {
        children(self.supervisor()?)
            .into_iter()
            .flat_map(children)
            .find(|pid| is_init(*pid) && is_foreign(*pid))
    }

    /// Where a path of the supervisor's root is found from here.
    pub(super) fn supervisors(&self, path: &Path) -> Option<PathBuf> {
        Some(below(self.supervisor()?, path))
    }

    /// Where a path of the booted node's root is found from here.
    pub(super) fn nodes(&self, path: &Path) -> Option<PathBuf> {
        Some(below(self.init()?, path))
    }
}

/// Ends an init, and with it its namespace. It must be of another PID namespace than ours, and of none that could be the machine's.
pub(super) fn end_namespace(init: u32) -> Result<()> {
    let path = format!("/proc/{init}/ns/pid");
    let refused = |reason: &str| Error::Manifest { manifest: path.clone(), reason: reason.to_owned() };
    if !(is_init(init) && is_foreign(init)) {
        return Err(refused("not the init of a namespace of a node: it is not ended"));
    }
    let pid = i32::try_from(init).ok().and_then(Pid::from_raw).ok_or_else(|| refused("not a process id"))?;
    kill_process(pid, Signal::KILL).map_err(|error| Error::file(&path)(error.into()))
}

fn below(pid: u32, path: &Path) -> PathBuf {
    let root = PathBuf::from(format!("/proc/{pid}/root"));
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// Whether its PID namespace is another than ours and than the machine's first.
fn is_foreign(pid: u32) -> bool {
    let namespace = |process: &str| fs::read_link(format!("/proc/{process}/ns/pid")).ok();
    match (namespace(&pid.to_string()), namespace("self")) {
        (Some(its), Some(ours)) => its != ours && its != Path::new(INITIAL_PID_NAMESPACE),
        _ => false,
    }
}

/// Whether it is process 1 of its own PID namespace.
fn is_init(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/status")).is_ok_and(|status| own_id(&status) == Some(1))
}

/// The process id in the innermost namespace, from `/proc/<pid>/status`.
fn own_id(status: &str) -> Option<u32> {
    let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    ids.split_whitespace().next_back()?.parse().ok()
}

fn children(parent: u32) -> Vec<u32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_string_lossy().parse().ok())
        .filter(|pid: &u32| {
            fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| parent_id(&stat) == Some(parent))
        })
        .collect()
}

/// The parent's process id, from `/proc/<pid>/stat`, in which a program's name may hold anything.
fn parent_id(stat: &str) -> Option<u32> {
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_of_our_own_namespace_is_ended() {
        let error = end_namespace(std::process::id()).unwrap_err();
        assert!(error.to_string().ends_with("it is not ended"), "{error}");
        let error = end_namespace(1).unwrap_err();
        assert!(error.to_string().ends_with("it is not ended"), "{error}");
    }

    #[test]
    fn names_with_brackets_do_not_hide_a_parent() {
        assert_eq!(parent_id("17 (a) (b) S 4 17 17 0"), Some(4));
        assert_eq!(parent_id(""), None);
        assert!(children(std::process::id()).is_empty() || parent_id("1 (x) S 2 3").is_some());
    }

    #[test]
    fn the_innermost_id_counts() {
        assert_eq!(own_id("Name:\tsh\nNSpid:\t812\t4\t1\nVmPeak:"), Some(1));
        assert_eq!(own_id("Name:\tsh\n"), None);
    }
}
