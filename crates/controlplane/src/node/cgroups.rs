//! Control groups of a node's own, in every hierarchy of the machine.
//!
//! The node sees them as the roots of a control group namespace, so that whatever containerd and runc make lies below them and is
//! removed with them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, Result};

const PREFIX: &str = "kubernetes-upgrader-node-";
const POLL: Duration = Duration::from_millis(20);
/// The kernel lets go of a group a moment after its last process.
const EMPTY_WITHIN: Duration = Duration::from_secs(5);

/// The groups of one node. Dropping them removes them, for which no process may be left in them.
#[derive(Debug)]
pub(super) struct Groups {
    folders: Vec<PathBuf>,
    leaf: Option<PathBuf>,
}

/// Where a group of ours goes in one hierarchy.
#[derive(Debug, PartialEq, Eq)]
struct Hierarchy {
    parent: PathBuf,
    unified: bool,
}

impl Groups {
    /// Makes a group in each hierarchy, and removes those of processes that have died. `name` is of this process alone.
    pub(super) fn create(name: &str) -> Result<Self> {
        let read = |path: &str| fs::read_to_string(path).map_err(Error::file(path));
        let hierarchies = hierarchies(&read("/proc/self/cgroup")?, &read("/proc/self/mountinfo")?);
        let only_unified = hierarchies.iter().all(|hierarchy| hierarchy.unified);
        let mut groups = Self { folders: Vec::new(), leaf: None };
        for Hierarchy { parent, unified } in hierarchies {
            remove_orphans(&parent);
            let folder = parent.join(format!("{PREFIX}{}-{name}", std::process::id()));
            fs::create_dir(&folder).map_err(Error::file(&folder))?;
            groups.folders.push(folder.clone());
            // Of version 1, and without processors or memory no process may join.
            for setting in ["cpuset.cpus", "cpuset.mems"] {
                if !unified && folder.join(setting).is_file() {
                    let inherited = fs::read(parent.join(setting)).map_err(Error::file(&parent))?;
                    fs::write(folder.join(setting), inherited).map_err(Error::file(&folder))?;
                }
            }
            if only_unified {
                let leaf = folder.join("init");
                fs::create_dir(&leaf).map_err(Error::file(&leaf))?;
                groups.leaf = Some(leaf);
            }
        }
        Ok(groups)
    }

    /// The group in each hierarchy.
    pub(super) fn folders(&self) -> &[PathBuf] {
        &self.folders
    }

    /// The group that the node's own processes are in where there is only the hierarchy of version 2.
    pub(super) fn leaf(&self) -> Option<&Path> {
        self.leaf.as_deref()
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        let mut left = EMPTY_WITHIN;
        loop {
            self.folders.retain(|folder| {
                // What is not empty yet is tried again.
                remove_tree(folder);
                folder.exists()
            });
            if self.folders.is_empty() || left.is_zero() {
                return;
            }
            std::thread::sleep(POLL);
            left = left.saturating_sub(POLL);
        }
    }
}

/// Removes a group and all below it. The files in it are the kernel's and go with it.
fn remove_tree(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path());
        }
    }
    // A group with a process stays; its owner looks again.
    let _ = fs::remove_dir(folder);
}

fn remove_orphans(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if owner(&name.to_string_lossy())
            .is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists())
        {
            remove_tree(&entry.path());
        }
    }
}

/// The process that has made a group of ours.
fn owner(name: &str) -> Option<u32> {
    name.strip_prefix(PREFIX)?.split('-').next()?.parse().ok()
}

/// From `/proc/self/cgroup` and `/proc/self/mountinfo`: where this process is in each mounted hierarchy. In that of version 2 it is
/// the root instead: a group with processes, as ours may be, hands no controllers down.
fn hierarchies(cgroup: &str, mountinfo: &str) -> Vec<Hierarchy> {
    let mounts: Vec<(&str, &str, &str, Vec<&str>)> = mountinfo.lines().filter_map(mount).collect();
    cgroup
        .lines()
        .filter_map(|line| {
            let mut fields = line.splitn(3, ':');
            let (id, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
            if id == "0" {
                let (_, place, ..) = mounts.iter().find(|(_, _, kind, _)| *kind == "cgroup2")?;
                return Some(Hierarchy { parent: PathBuf::from(place), unified: true });
            }
            let (root, place, ..) = mounts.iter().find(|(_, _, kind, options)| {
                *kind == "cgroup" && controllers.split(',').all(|controller| options.contains(&controller))
            })?;
            let below = Path::new(path).strip_prefix(root).unwrap_or(Path::new(""));
            Some(Hierarchy { parent: Path::new(place).join(below), unified: false })
        })
        .collect()
}

/// Root, place, type and options of the filesystem of a line of mountinfo.
fn mount(line: &str) -> Option<(&str, &str, &str, Vec<&str>)> {
    let (before, after) = line.split_once(" - ")?;
    let mut before = before.split(' ').skip(3);
    let (root, place) = (before.next()?, before.next()?);
    let mut after = after.split(' ');
    let (kind, options) = (after.next()?, after.nth(1)?);
    Some((root, place, kind, options.split(',').collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(cgroup: &str, mountinfo: &str) -> Vec<(String, bool)> {
        hierarchies(cgroup, mountinfo)
            .into_iter()
            .map(|h| (h.parent.display().to_string(), h.unified))
            .collect()
    }

    #[test]
    fn each_hierarchy_of_version_1_has_its_own_place() {
        let mountinfo = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n\
            32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct\n\
            35 31 0:32 /pod /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
            40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n\
            41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let cgroup = "9:name=systemd:/\n4:memory:/pod/mine\n2:cpu,cpuacct:/a\n1:pids:/\n0::/\n";
        assert_eq!(
            shown(cgroup, mountinfo),
            [
                ("/sys/fs/cgroup/systemd/".to_owned(), false),
                ("/sys/fs/cgroup/memory/mine".to_owned(), false),
                ("/sys/fs/cgroup/cpu,cpuacct/a".to_owned(), false),
                ("/sys/fs/cgroup/unified".to_owned(), true),
            ]
        );
    }

    #[test]
    fn in_version_2_it_is_the_root() {
        let mountinfo = "35 24 0:30 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
        assert_eq!(shown("0::/user.slice/me.scope\n", mountinfo), [("/sys/fs/cgroup".to_owned(), true)]);
    }

    #[test]
    fn a_group_names_its_owner() {
        assert_eq!(owner("kubernetes-upgrader-node-17-x1Yz"), Some(17));
        assert_eq!(owner("kubernetes-upgrader-node-"), None);
        assert_eq!(owner("system.slice"), None);
    }
}
