//! `manager boot-id`: the last container of a Job that is followed by a reboot.
//!
//! It tells the boot ID under which the command has ended, in its termination message. Whoever looks later, when the node may
//! have rebooted by itself, learns from it whether it has.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Where a kernel tells its boot ID, below the root of the node: a new one for each boot.
const FILE: &str = "proc/sys/kernel/random/boot_id";
/// Where the kubelet reads a container's termination message, unless the container says otherwise.
const TERMINATION_LOG: &str = "/dev/termination-log";

/// Why the boot ID cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum BootIdError {
    /// No file has it.
    #[error("cannot read the boot ID: {0}")]
    Unread(io::Error),
    /// It cannot be left where it is looked for.
    #[error("cannot write the termination message {}: {error}", path.display())]
    Unwritten {
        /// Where.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// Tells the boot ID of the node whose root is mounted at `host`, or that of the kernel, which is the same one: a node may
/// show its containers another than its own processes.
pub fn run(host: Option<OsString>) -> ExitCode {
    let host = host.filter(|host| !host.is_empty()).map(PathBuf::from);
    let roots = host.as_deref().into_iter().chain([Path::new("/")]);
    match tell(roots, Path::new(TERMINATION_LOG)) {
        Ok(boot_id) => {
            println!("{boot_id}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Writes the boot ID that the first of the roots has.
fn tell<'a>(roots: impl IntoIterator<Item = &'a Path>, log: &Path) -> Result<String, BootIdError> {
    let mut found = Err(io::Error::from(io::ErrorKind::NotFound));
    for root in roots {
        found = read(root);
        if found.is_ok() {
            break;
        }
    }
    let boot_id = found.map_err(BootIdError::Unread)?;
    std::fs::write(log, &boot_id)
        .map_err(|error| BootIdError::Unwritten { path: log.to_path_buf(), error })?;
    Ok(boot_id)
}

/// The boot ID of the node whose root this is, without the line's end.
pub(crate) fn read(root: &Path) -> io::Result<String> {
    let path = root.join(FILE);
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let text = std::fs::read_to_string(&path).map_err(named)?;
    let boot_id = text.trim();
    if boot_id.is_empty() {
        return Err(named(io::Error::new(io::ErrorKind::InvalidData, "it is empty")));
    }
    Ok(boot_id.to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn root(boot_id: Option<&str>) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        if let Some(boot_id) = boot_id {
            fs::create_dir_all(root.path().join(FILE).parent().unwrap()).unwrap();
            fs::write(root.path().join(FILE), boot_id).unwrap();
        }
        root
    }

    /// What is written, for a node and a container with these boot IDs.
    fn told(host: Option<&str>, own: Option<&str>) -> Result<String, BootIdError> {
        let (host, own) = (root(host), root(own));
        let log = own.path().join("termination-log");
        let said = tell([host.path(), own.path()], &log)?;
        assert_eq!(fs::read_to_string(log).unwrap(), said);
        Ok(said)
    }

    #[test]
    fn the_nodes_own_file_counts_and_then_the_containers() {
        assert_eq!(told(Some("one\n"), Some("two\n")).unwrap(), "one");
        assert_eq!(told(None, Some("two\n")).unwrap(), "two");
        assert_eq!(told(Some("\n"), Some("two\n")).unwrap(), "two");
    }

    #[test]
    fn without_a_boot_id_nothing_is_said() {
        let error = told(None, Some(" \n")).unwrap_err().to_string();
        assert!(error.starts_with("cannot read the boot ID: ") && error.contains(FILE), "{error}");
        let (host, nowhere) = (root(Some("one\n")), Path::new("/nowhere/termination-log"));
        let error = tell([host.path()], nowhere).unwrap_err().to_string();
        assert!(error.starts_with("cannot write the termination message /nowhere/"), "{error}");
    }
}
