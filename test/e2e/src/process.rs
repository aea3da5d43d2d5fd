//! A child process that cannot outlive us, and that is signalled by what it is and not by a number.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::thread::{self, JoinHandle};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::sync::{oneshot, watch};

use crate::error::{Error, Result};

/// A child. Dropping it kills it and waits until it is gone; so does our own death, by the kernel.
pub(crate) struct Child {
    id: u32,
    /// Stays the child's own even when its number has been given to somebody else.
    handle: OwnedFd,
    ended: watch::Receiver<Option<ExitStatus>>,
    /// The kernel kills the child when the **thread** that spawned it ends: this one ends after the child.
    thread: Option<JoinHandle<()>>,
}

/// A command whose process is killed when the thread that spawns it ends. util-linux's `setpriv` sets this, and the shell after
/// it goes on only if its parent is still ours. Ctrl-C does not reach it: it has a process group of its own.
pub(crate) fn guarded(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "--", "/bin/sh", "-c", r#"[ "$PPID" = "$0" ] && exec "$@""#])
        .arg(std::process::id().to_string())
        .arg(program.as_os_str() as &OsStr)
        .process_group(0);
    command
}

impl Child {
    /// Starts a [`guarded`] command.
    pub(crate) async fn spawn(mut command: Command) -> Result<Self> {
        let (tell, told) = oneshot::channel();
        let (end, ended) = watch::channel(None);
        let thread = thread::Builder::new()
            .name("e2e-child".to_owned())
            .spawn(move || {
                let mut child = match command.spawn() {
                    Ok(child) => child,
                    Err(error) => return drop(tell.send(Err(error))),
                };
                let id = child.id();
                // Not waited for yet, so the number is still the child's.
                let handle = i32::try_from(id)
                    .ok()
                    .and_then(Pid::from_raw)
                    .ok_or(rustix::io::Errno::SRCH)
                    .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()));
                match handle {
                    Ok(handle) => drop(tell.send(Ok((id, handle)))),
                    Err(error) => {
                        // Ends with this thread.
                        drop(tell.send(Err(error.into())));
                        return;
                    }
                }
                end.send_replace(child.wait().ok());
            })
            .map_err(Error::system("start a thread"))?;
        let started = told.await.map_err(|_| Error::Unexpected("the spawning thread is gone".to_owned()))?;
        let (id, handle) = started.map_err(Error::system("run setpriv, which is part of util-linux"))?;
        Ok(Self { id, handle, ended, thread: Some(thread) })
    }

    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// Nothing happens to a child that has ended.
    pub(crate) fn signal(&self, signal: Signal) {
        // It fails only if the process is gone, which every signal we send is about.
        let _ = pidfd_send_signal(&self.handle, signal);
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&self) -> Option<ExitStatus> {
        *self.ended.borrow()
    }

    /// Awaits its end.
    pub(crate) async fn wait(&self) -> Result<ExitStatus> {
        let mut ended = self.ended.clone();
        let status = ended.wait_for(Option::is_some).await.ok().and_then(|status| *status);
        status.ok_or_else(|| Error::Unexpected(format!("process {} could not be waited for", self.id)))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        if let Some(thread) = self.thread.take() {
            // It cannot panic, and ends as soon as the child has been waited for.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dropped_child_is_gone() {
        let mut command = guarded(Path::new("sleep"));
        command.arg("600");
        let child = Child::spawn(command).await.unwrap();
        let proc = format!("/proc/{}", child.id());
        assert!(Path::new(&proc).exists() && child.ended().is_none());
        drop(child);
        assert!(!Path::new(&proc).exists());
    }

    #[tokio::test]
    async fn an_end_is_told() {
        let child = Child::spawn(guarded(Path::new("false"))).await.unwrap();
        assert_eq!(child.wait().await.unwrap().code(), Some(1));
        assert!(child.ended().is_some());
    }
}
