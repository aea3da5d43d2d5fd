//! A running component: its child process, its log and its end.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::error::{Error, Result};
use crate::guard::{Spawner, guarded};

/// How long a component may take to end by itself before it is killed. Nothing it holds is worth more: it is all temporary.
const GRACE: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(20);
const TAIL_LINES: usize = 25;

/// One component. It must be ended with [`end_all`]; the [`Spawner`]'s end kills it otherwise.
pub(crate) struct Process {
    pub(crate) name: String,
    pub(crate) log: PathBuf,
    child: Child,
}

/// What to start.
pub(crate) struct Spec<'a> {
    pub(crate) name: &'a str,
    pub(crate) program: &'a Path,
    pub(crate) flags: Vec<String>,
    pub(crate) environment: Vec<(&'static str, String)>,
}

impl Process {
    /// Starts a component with its output in `<logs>/<name>.log`, appended to what an earlier try left.
    pub(crate) fn start(spawner: &Spawner, logs: &Path, spec: Spec<'_>) -> Result<Self> {
        use std::os::unix::process::CommandExt;
        let log = logs.join(format!("{}.log", spec.name));
        let out = File::options().create(true).append(true).open(&log).map_err(Error::file(&log))?;
        let err = out.try_clone().map_err(Error::file(&log))?;
        let mut command = guarded(spec.program);
        command
            .args(spec.flags)
            .envs(spec.environment)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            // Ctrl-C reaches us alone, and we end the components in order.
            .process_group(0);
        Ok(Self { name: spec.name.to_owned(), child: spawner.spawn(command)?, log })
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The error that says so, if the component has ended.
    pub(crate) fn check_alive(&mut self) -> Result<()> {
        match self.child.try_wait().map_err(Error::file(&self.log))? {
            None => Ok(()),
            Some(status) => Err(Error::Ended {
                component: self.name.clone(),
                status: status.to_string(),
                log: self.log.clone(),
                tail: self.tail(),
            }),
        }
    }

    /// The last lines of its log.
    pub(crate) fn tail(&self) -> String {
        tail(&self.log)
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // Not reaped yet, so the id is still its own; that it may have ended meanwhile is what we want.
            let _ = kill_process(pid, signal);
        }
    }

    fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Awaits that `probe` holds while the component lives.
    pub(crate) async fn await_ready(
        &mut self,
        within: Duration,
        mut probe: impl AsyncFnMut() -> bool,
    ) -> Result<()> {
        let ready = tokio::time::timeout(within, async {
            loop {
                self.check_alive()?;
                if probe().await {
                    return Ok(());
                }
                tokio::time::sleep(POLL).await;
            }
        });
        match ready.await {
            Ok(result) => result,
            Err(_) => Err(Error::NotReady {
                component: self.name.clone(),
                within,
                log: self.log.clone(),
                tail: self.tail(),
            }),
        }
    }
}

/// Ends components, those first that need the others: each started later than the API server, then that, then etcd. SIGTERM,
/// [`GRACE`], then SIGKILL. Blocks until the last one is gone.
pub(crate) fn end_all(processes: &mut Vec<Process>) {
    for first in [2, 1, 0] {
        let first = first.min(processes.len());
        end_together(&mut processes.split_off(first));
    }
}

/// Ends components that do not need each other.
pub(crate) fn end_together(processes: &mut [Process]) {
    for process in processes.iter() {
        process.signal(Signal::TERM);
    }
    let mut left = GRACE;
    while !left.is_zero() && processes.iter_mut().any(|process| !process.has_ended()) {
        std::thread::sleep(POLL);
        left = left.saturating_sub(POLL);
    }
    for process in processes {
        if !process.has_ended() {
            process.signal(Signal::KILL);
            // It fails only if it has been waited for already.
            let _ = process.child.wait();
        }
    }
}

/// The last lines of a file; empty if it cannot be read.
pub(crate) fn tail(path: &Path) -> String {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}
