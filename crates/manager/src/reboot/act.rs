//! Reboots the node: in good order where the node has a program for it, and through the kernel where that is of no use.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, chroot};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::system::RebootCommand;

use super::guard::{self, GuardError};

/// Where the node's programs are, in the order in which they are looked for.
const FOLDERS: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];
/// The program that asks the init of the node, systemd or another, to reboot it: services are stopped, disks unmounted.
const PROGRAM: &str = "reboot";

/// Why the node goes on.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    /// It would be the machine that tests run on.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// The node's root cannot be entered.
    #[error("cannot enter the root of the node; the pod needs hostPID and privileged: {0}")]
    Root(io::Error),
    /// The kernel does not reboot.
    #[error("the kernel refuses to reboot; the pod needs to be privileged: {0}")]
    Kernel(io::Error),
    /// The kernel has said that it does, and this goes on.
    #[error("the kernel was asked to reboot, and has not")]
    Nothing,
}

/// Reboots the node whose root this is, through the kernel where its own program has not taken it down after this time. It comes
/// back only where it cannot.
pub(super) fn reboot(root: &Path, orderly: Duration) -> ActError {
    attempt(root, orderly).err().unwrap_or(ActError::Nothing)
}

fn attempt(root: &Path, orderly: Duration) -> Result<(), ActError> {
    guard::check()?;
    chroot(root).and_then(|()| std::env::set_current_dir("/")).map_err(ActError::Root)?;
    rustix::fs::sync();
    match program(is_program).map(|program| ask(&program)) {
        Some(Ok(())) => {
            std::thread::sleep(orderly);
            tracing::warn!("The node has not gone down in time; asking the kernel");
        }
        Some(Err(trouble)) => tracing::warn!(trouble, "The node's own program failed; asking the kernel"),
        None => tracing::warn!("The node has no program to reboot with; asking the kernel"),
    }
    rustix::fs::sync();
    rustix::system::reboot(RebootCommand::Restart).map_err(|error| ActError::Kernel(error.into()))
}

/// Has the node's own program ask for the reboot. It ends before the node goes down.
fn ask(program: &Path) -> Result<(), String> {
    let status = Command::new(program)
        .env_clear()
        .env("PATH", FOLDERS.join(":"))
        // The root is that of systemd itself, so that what it does not do in another one can be done here.
        .env("SYSTEMD_IGNORE_CHROOT", "1")
        .stdin(Stdio::null())
        .status()
        .map_err(|error| format!("{}: {error}", program.display()))?;
    if status.success() { Ok(()) } else { Err(format!("{}: {status}", program.display())) }
}

/// The first place of the program that there is.
fn program(is_there: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    FOLDERS.iter().map(|folder| Path::new(folder).join(PROGRAM)).find(|path| is_there(path))
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_looked_for_where_nodes_have_it() {
        let only = |place: &'static str| program(move |path| path == Path::new(place));
        assert_eq!(program(|_| true), Some("/usr/sbin/reboot".into()));
        assert_eq!(only("/sbin/reboot"), Some("/sbin/reboot".into()));
        assert_eq!(only("/bin/reboot"), Some("/bin/reboot".into()));
        assert_eq!(only("/opt/reboot"), None);
    }

    #[test]
    fn a_file_that_cannot_be_run_is_no_program() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("reboot");
        assert!(!is_program(&file) && !is_program(folder.path()));
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(!is_program(&file));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(is_program(&file));
    }

    #[test]
    fn a_program_that_fails_is_noticed() {
        assert!(ask(Path::new("/nowhere/reboot")).is_err());
        assert_eq!(ask(Path::new("/bin/true")), Ok(()));
        assert!(ask(Path::new("/bin/false")).unwrap_err().contains('1'));
    }
}
