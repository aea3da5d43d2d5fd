//! Small images for tests on a real node, of busybox: tools, a pause container, and a stand-in for an operating system's image.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Image;
use crate::error::{Error, Result};
use crate::node::find_program;

/// Those that end a machine. They get a script that looks where it is first.
const ENDING: [&str; 3] = ["reboot", "halt", "poweroff"];

/// What the stand-in's agent writes on the node, a line for each call: its arguments, with a space between two.
pub const AGENT_CALLS: &str = "/var/log/kairos-agent.calls";
/// If this file is on the node, the stand-in's agent fails, with the exit code in it.
pub const AGENT_FAILS: &str = "/etc/kairos-agent.fails";
/// What the stand-in's agent leaves on the node when it has upgraded the active system: at the next boot a sandbox node takes it for its
/// own `/etc/kairos-release`.
pub const RELEASE_AFTER_BOOT: &str = "/etc/kairos-release.next";

/// This machine's busybox, if it has one.
pub fn find() -> Option<PathBuf> {
    find_program("busybox").or_else(|| Some(PathBuf::from("/bin/busybox")).filter(|path| path.is_file()))
}

/// A shell and the usual tools. `reboot` is there too: it reboots the node if the container is in the node's PID namespace (`hostPID`),
/// ends its container if not, and refuses where it could end the machine.
///
/// # Errors
/// busybox cannot be read or run.
pub fn tools(name: impl Into<String>, busybox: &Path) -> Result<Image> {
    let mut image = Image::new(name)?
        .program("/bin/busybox", busybox)?
        .folder("/tmp", 0o1777)
        .folder("/root", 0o700)
        .file("/etc/passwd", 0o644, "root:x:0:0:root:/root:/bin/sh\n")
        .file("/etc/group", 0o644, "root:x:0:\n")
        .entrypoint(["/bin/sh"]);
    for applet in applets(busybox)? {
        if ENDING.contains(&applet.as_str()) {
            image = image.file(format!("/bin/{applet}"), 0o755, ending(&applet));
        } else if applet != "busybox" {
            image = image.link(format!("/bin/{applet}"), "busybox");
        }
    }
    Ok(image)
}

/// What holds a pod's namespaces: it sleeps.
///
/// # Errors
/// busybox cannot be read.
pub fn pause(name: impl Into<String>, busybox: &Path) -> Result<Image> {
    Ok(Image::new(name)?.program("/bin/busybox", busybox)?.entrypoint([
        "/bin/busybox",
        "sleep",
        "2147483647",
    ]))
}

/// A stand-in for an image of Kairos, of a version such as `v3.5.0`: the [`tools`], release files, and a `kairos-agent` that installs nothing
/// but writes [how it was called](AGENT_CALLS), [fails when told](AGENT_FAILS), and lets the node have
/// [this version after its next boot](RELEASE_AFTER_BOOT) unless it was asked for the recovery system. It finds the node where the
/// operator's Jobs have it: at `$HOST_DIR`, or `/host`.
///
/// # Errors
/// busybox cannot be read or run.
pub fn kairos(name: impl Into<String>, busybox: &Path, version: &str) -> Result<Image> {
    Ok(tools(name, busybox)?
        .file("/etc/kairos-release", 0o644, release(version))
        .file("/etc/os-release", 0o644, "ID=kairos\nNAME=stand-in\n")
        .file("/usr/bin/kairos-agent", 0o755, agent()))
}

/// The text of `/etc/kairos-release` of a [`kairos`] image of this version, and of a node that runs it.
pub fn release(version: &str) -> String {
    format!(
        "KAIROS_ID=\"kairos\"\nKAIROS_NAME=\"stand-in\"\nKAIROS_FAMILY=\"debian\"\nKAIROS_FLAVOR=\"debian\"\n\
         KAIROS_FLAVOR_RELEASE=\"12\"\nKAIROS_VARIANT=\"standard\"\nKAIROS_MODEL=\"generic\"\nKAIROS_ARCH=\"amd64\"\n\
         KAIROS_VERSION=\"{version}\"\nKAIROS_SOFTWARE_VERSION_PREFIX=\"k3s\"\nKAIROS_SOFTWARE_VERSION=\"v1.36.3+k3s1\"\n"
    )
}

fn agent() -> String {
    format!(
        r#"#!/bin/sh
# A stand-in: tells how it was called, and installs nothing.
host=${{HOST_DIR:-/host}}
mkdir -p "$host/var/log"
echo "$*" >>"$host{AGENT_CALLS}"
if [ -e "$host{AGENT_FAILS}" ]; then
  echo "fails as {AGENT_FAILS} says" >&2
  exit "$(cat "$host{AGENT_FAILS}")"
fi
case " $* " in
*" --recovery "*) ;;
*" upgrade "*) cp /etc/kairos-release "$host{RELEASE_AFTER_BOOT}" ;;
esac
"#
    )
}

/// Without `-f` these would ask an init that is not there.
fn ending(applet: &str) -> String {
    format!(
        r#"#!/bin/busybox sh
case $(/bin/busybox readlink /proc/self/ns/pid) in
"pid:[4026531836]" | "")
  echo "refused: this is not the PID namespace of a sandbox node" >&2
  exit 1
  ;;
esac
exec /bin/busybox {applet} -f
"#
    )
}

fn applets(busybox: &Path) -> Result<Vec<String>> {
    let output = Command::new(busybox).arg("--list").output().map_err(Error::file(busybox))?;
    let listed = String::from_utf8_lossy(&output.stdout);
    Ok(listed.lines().map(str::to_owned).filter(|applet| !applet.is_empty()).collect())
}
