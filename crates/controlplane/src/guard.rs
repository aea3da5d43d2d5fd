//! Child processes that cannot outlive us, not even when we are killed with SIGKILL.
//!
//! Linux sends a chosen signal to a child when the thread that forked it ends (`PR_SET_PDEATHSIG`). Setting it is the
//! child's own doing, between fork and exec, which Rust calls unsafe; util-linux's `setpriv --pdeathsig` does it for us and the
//! setting survives exec. A parent that dies before the setting is made is noticed by the shell in between,
//! which compares its parent with ours and does not go on.

use std::ffi::OsStr;
use std::io;
use std::process::Command;
use std::sync::mpsc;
use std::thread;

use crate::error::{Error, Result};

/// A command that is killed when the **thread** that spawns it ends.
pub(crate) fn guarded(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "--", "/bin/sh", "-c", r#"[ "$PPID" = "$0" ] && exec "$@""#])
        .arg(std::process::id().to_string())
        .arg(program);
    command
}

/// Says which package is missing when [`guarded`] could not be spawned at all.
pub(crate) fn spawn_error(error: io::Error) -> Error {
    if error.kind() == io::ErrorKind::NotFound {
        Error::MissingProgram {
            program: "setpriv".to_owned(),
            purpose: "ends the control plane with its parent",
            remedy: "it is part of util-linux",
        }
    } else {
        Error::File { path: "setpriv".into(), source: error }
    }
}

type Order = (Command, mpsc::Sender<io::Result<std::process::Child>>);

/// A thread that does nothing but spawn, because children live no longer than the thread that spawned them and a
/// test's or a runtime's thread may end any time. Dropping it kills what is still alive.
pub(crate) struct Spawner {
    orders: Option<mpsc::Sender<Order>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Spawner {
    pub(crate) fn start() -> Result<Self> {
        let (orders, inbox) = mpsc::channel::<Order>();
        let thread = thread::Builder::new()
            .name("controlplane-spawner".to_owned())
            .spawn(move || {
                for (mut command, answer) in inbox {
                    // Nobody listens only when the one who ordered has panicked; the child then dies with this thread.
                    let _ = answer.send(command.spawn());
                }
            })
            .map_err(Error::file("thread controlplane-spawner"))?;
        Ok(Self { orders: Some(orders), thread: Some(thread) })
    }

    /// Spawns a [`guarded`] command on the long-living thread.
    pub(crate) fn spawn(&self, command: Command) -> Result<std::process::Child> {
        let (answer, child) = mpsc::channel();
        let orders = self.orders.as_ref().ok_or(Error::NoSpawner)?;
        orders.send((command, answer)).map_err(|_| Error::NoSpawner)?;
        child.recv().map_err(|_| Error::NoSpawner)?.map_err(spawn_error)
    }
}

impl Drop for Spawner {
    fn drop(&mut self) {
        drop(self.orders.take());
        if let Some(thread) = self.thread.take() {
            // It cannot panic: it only spawns and sends.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    #[test]
    fn children_die_with_the_spawner() {
        let spawner = Spawner::start().unwrap();
        let mut command = guarded("sleep");
        command.arg("600");
        let mut child = spawner.spawn(command).unwrap();
        // Until the shell has become `sleep` the signal is set but the parent is still compared: wait for that.
        let comm = format!("/proc/{}/comm", child.id());
        while std::fs::read_to_string(&comm).unwrap().trim() != "sleep" {
            thread::yield_now();
        }
        assert!(child.try_wait().unwrap().is_none());
        drop(spawner);
        assert_eq!(child.wait().unwrap().signal(), Some(9));
    }

    #[test]
    fn a_child_whose_parent_is_another_does_not_run() {
        let status = Command::new("/bin/sh")
            .args(["-c", r#"[ "$PPID" = "$0" ] && exec "$@""#, "1", "true"])
            .status()
            .unwrap();
        assert!(!status.success());
    }
}
