//! What a machine needs for a sandbox node, and how to get it.

use std::env;
use std::path::{Path, PathBuf};

use crate::image;
use crate::progress::say;

/// Where administrators' programs are, which a user's `PATH` may not name.
const BESIDE_PATH: [&str; 5] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin"];
/// Where distributions and others put the plugins of the container network interface.
const PLUGIN_FOLDERS: [&str; 2] = ["/usr/lib/cni", "/opt/cni/bin"];
const PLUGINS: [&str; 3] = ["bridge", "host-local", "loopback"];
/// Each program, and Debian's package that has it.
const PROGRAMS: [(&str, &str); 8] = [
    ("containerd", "containerd"),
    ("containerd-shim-runc-v2", "containerd"),
    ("ctr", "containerd"),
    ("runc", "runc"),
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
    ("pivot_root", "util-linux"),
    ("ip", "iproute2"),
];

/// The absolute path of a program, from `PATH` or where administrators' programs are.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(BESIDE_PATH.map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

/// The folder with the network plugins that a node uses.
pub(super) fn plugin_folder() -> Option<&'static Path> {
    PLUGIN_FOLDERS
        .into_iter()
        .map(Path::new)
        .find(|folder| PLUGINS.iter().all(|name| folder.join(name).is_file()))
}

/// Whether a test that needs a [`SandboxNode`](super::SandboxNode) has to be skipped here. If so, says on standard error what is [`missing`],
/// past the runner, which shows nothing of a test that ends well: `if node::skipped("the test's name") { return }`.
pub fn skipped(test: &str) -> bool {
    let missing = missing();
    if let Some(missing) = &missing {
        say(format_args!("skipped {test}: {missing}"));
    }
    missing.is_some()
}

/// What is missing on this machine for a [`SandboxNode`](super::SandboxNode), in one line with how to get it; none if it can start.
pub fn missing() -> Option<String> {
    let mut lacking: Vec<(&str, &str)> =
        PROGRAMS.into_iter().filter(|(program, _)| find_program(program).is_none()).collect();
    if plugin_folder().is_none() {
        lacking.push(("the CNI plugins bridge, host-local and loopback", "containernetworking-plugins"));
    }
    if image::busybox::find().is_none() {
        lacking.push(("busybox", "busybox-static"));
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    said(may_administer(&status), &lacking)
}

/// Whether a process of this `/proc/<pid>/status` may make namespaces and mounts: `CAP_SYS_ADMIN`, of which root in a container can be
/// deprived.
fn may_administer(status: &str) -> bool {
    const SYS_ADMIN: u64 = 1 << 21;
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    effective
        .and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok())
        .is_some_and(|bits| bits & SYS_ADMIN != 0)
}

fn said(root: bool, lacking: &[(&str, &str)]) -> Option<String> {
    if root && lacking.is_empty() {
        return None;
    }
    let mut names: Vec<&str> = if root { Vec::new() } else { vec!["root with CAP_SYS_ADMIN"] };
    names.extend(lacking.iter().map(|(name, _)| *name));
    let mut packages: Vec<&str> = lacking.iter().map(|(_, package)| *package).collect();
    packages.sort_unstable();
    packages.dedup();
    let mut remedies = Vec::new();
    if !root {
        remedies.push("run it as root".to_owned());
    }
    if !packages.is_empty() {
        remedies.push(format!("apt-get install --no-install-recommends {}", packages.join(" ")));
    }
    Some(format!("a sandbox node needs {}: {}", names.join(", "), remedies.join(", and ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said_with_how_to_get_it() {
        assert_eq!(said(true, &[]), None);
        assert_eq!(said(false, &[]).unwrap(), "a sandbox node needs root with CAP_SYS_ADMIN: run it as root");
        let lacking = [("containerd", "containerd"), ("ctr", "containerd"), ("busybox", "busybox-static")];
        assert_eq!(
            said(false, &lacking).unwrap(),
            "a sandbox node needs root with CAP_SYS_ADMIN, containerd, ctr, busybox: run it as root, and apt-get install \
             --no-install-recommends busybox-static containerd"
        );
    }

    #[test]
    fn root_without_the_capability_is_not_enough() {
        assert!(may_administer("Name:\tsh\nCapEff:\t000001fffeffffff\n"));
        assert!(!may_administer("Name:\tsh\nCapEff:\t00000000a80425fb\n"));
        assert!(!may_administer(""));
    }

    #[test]
    fn a_program_is_found_by_its_name() {
        assert!(find_program("sh").unwrap().is_absolute());
        assert_eq!(find_program("no-such-program"), None);
    }
}
