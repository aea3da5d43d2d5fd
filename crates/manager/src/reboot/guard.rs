//! What keeps a build for tests from rebooting the machine that it runs on.
//!
//! `reboot(2)` ends the PID namespace that it is called in: in the sandbox of a test that is the sandbox, and on a bare machine
//! the machine. So a build with debug assertions refuses the first PID namespace of a kernel. A release build does not: on a
//! real node, that is the one that a pod with the PIDs of its node is in.

use std::io;
use std::os::unix::fs::MetadataExt as _;

/// Inode of the first PID namespace of a kernel: `PROC_PID_INIT_INO` of Linux' `include/uapi/linux/nsfs.h`.
const FIRST: u64 = 4_026_531_836;

/// It would be the machine.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// This is no sandbox.
    #[error(
        "this build is for tests, and its PID namespace is the machine's own: it does not reboot the machine"
    )]
    Machine,
    /// Where this is cannot be told.
    #[error("this build is for tests, and cannot tell its PID namespace from the machine's own: {0}")]
    Unknown(io::Error),
}

/// Refuses to go on where this is a build for tests and not in a sandbox.
pub(super) fn check() -> Result<(), GuardError> {
    if cfg!(debug_assertions) {
        sandboxed(std::fs::metadata("/proc/self/ns/pid").map(|namespace| namespace.ino()))
    } else {
        Ok(())
    }
}

fn sandboxed(namespace: io::Result<u64>) -> Result<(), GuardError> {
    match namespace {
        Ok(FIRST) => Err(GuardError::Machine),
        Ok(_) => Ok(()),
        Err(error) => Err(GuardError::Unknown(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_surely_a_sandbox_is_left() {
        assert!(matches!(sandboxed(Ok(FIRST)), Err(GuardError::Machine)));
        assert!(matches!(sandboxed(Err(io::ErrorKind::NotFound.into())), Err(GuardError::Unknown(_))));
        assert!(sandboxed(Ok(4_026_532_198)).is_ok());
    }

    /// Whichever namespace the tests run in, the check says the same of it as this.
    #[test]
    fn the_check_looks_at_the_namespace_of_this_process() {
        let link = std::fs::read_link("/proc/self/ns/pid").unwrap();
        assert_eq!(check().is_err(), link.as_os_str() == "pid:[4026531836]");
    }
}
