//! Our binary as a process, under its own ServiceAccount.

mod binary;
mod log;

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use controlplane::ControlPlane;
use jiff::Timestamp;
use rustix::process::Signal;

pub use self::binary::program;
pub use self::log::LogLine;
use crate::error::{Error, Result};
use crate::installed::{CHAIN, Product};
use crate::objects::LOOK_EVERY;
use crate::process::{Child, guarded};
use crate::web;

const READY_WITHIN: Duration = Duration::from_secs(60);
/// The promise of a graceful stop is 5 s; a machine with other things to do gets more.
const STOP_WITHIN: Duration = Duration::from_secs(15);
/// How often ports are chosen anew because a stranger took one meanwhile.
const TRIES: usize = 5;
/// More managers than any test starts on one control plane.
const MOST: u32 = 10_000;
const KUBECONFIG: &str = "manager.kubeconfig";
/// Clock ticks of a second, as Linux shows them to programs on every platform that we build for.
const TICKS: u64 = 100;

/// A running manager. Dropping it is a `kill -9`, and nothing of it outlives this process.
pub struct Manager {
    child: Child,
    started: Timestamp,
    log: PathBuf,
    probes: SocketAddr,
    metrics: SocketAddr,
}

/// Memory of a process, in KiB, as Linux counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Resident now (`VmRSS`).
    pub resident: u64,
    /// Resident at most so far (`VmHWM`).
    pub peak: u64,
}

impl Manager {
    /// Starts it, not necessarily ready: see [`await_ready`](Self::await_ready). It logs all passes as JSON into `logs/manager-<n>.log` of
    /// the control plane's folder, with `n` from 1.
    pub async fn start(plane: &ControlPlane, flags: &[&str]) -> Result<Self> {
        Self::start_of(&CHAIN, plane, flags).await
    }

    /// The same for any product of ours.
    pub async fn start_of(product: &Product, plane: &ControlPlane, flags: &[&str]) -> Result<Self> {
        let program = program().await?;
        let token = plane.kubeconfig_for_service_account(product.namespace, product.account).await?;
        let kubeconfig = plane.write_file(KUBECONFIG, &token)?;
        for attempt in 1.. {
            let log = next_log(plane)?;
            let manager = Self::spawn(product, &program, (&kubeconfig, &log), flags).await?;
            // Whether it could listen shows at once, before it is ready.
            match manager.await_listening().await {
                Err(_) if attempt < TRIES && manager.log().contains("cannot serve") => {
                    fs::remove_file(&log).map_err(Error::system("remove a log"))?;
                }
                outcome => return outcome.map(|()| manager),
            }
        }
        Err(Error::Unexpected("no free port".to_owned()))
    }

    async fn spawn(
        product: &Product,
        program: &Path,
        (kubeconfig, log): (&Path, &Path),
        flags: &[&str],
    ) -> Result<Self> {
        let (probes, metrics) = free_ports()?;
        let out = File::create(log).map_err(Error::system(format!("create {}", log.display())))?;
        let err = out.try_clone().map_err(Error::system("duplicate a file"))?;
        let mut command = guarded(program);
        let instance = log.file_stem().unwrap_or_default();
        command
            .args(product.arguments)
            .arg(format!("--kubeconfig={}", kubeconfig.display()))
            .arg(format!("--health-probe-bind-address={probes}"))
            .arg(format!("--metrics-bind-address={metrics}"))
            .args(["--zap-encoder=json", "--zap-log-level=debug"])
            .args(flags)
            // What its pod would have.
            .env("POD_NAMESPACE", product.namespace)
            .env("POD_NAME", instance)
            .env("CONTROLLER_POD_NAMESPACE", product.namespace)
            .env("CONTROLLER_POD_NAME", instance)
            .env_remove("KUBECONFIG")
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err);
        let started = now();
        Ok(Self { child: Child::spawn(command).await?, started, log: log.to_path_buf(), probes, metrics })
    }

    /// When it was started.
    pub fn started(&self) -> Timestamp {
        self.started
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub fn is_running(&self) -> bool {
        self.child.ended().is_none()
    }

    /// Awaits that `/readyz` says so.
    ///
    /// # Errors
    /// It ended, or its gates are still shut after a minute: these and the end of the log are in the error.
    pub async fn await_ready(&self) -> Result<()> {
        self.await_answer("ready", |status| status == 200).await
    }

    async fn await_listening(&self) -> Result<()> {
        self.await_answer("listening", |_| true).await
    }

    async fn await_answer(&self, what: &str, wanted: impl Fn(u16) -> bool) -> Result<()> {
        let mut last = "no answer".to_owned();
        let answer = async {
            loop {
                if let Some(status) = self.child.ended() {
                    return Err(self.failed(format!("ended with {status} before it was {what}")));
                }
                match web::get(self.probes, "/readyz", "").await {
                    Ok(answer) if wanted(answer.status) => return Ok(()),
                    Ok(answer) => last = answer.body,
                    Err(error) => last = error.to_string(),
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        match tokio::time::timeout(READY_WITHIN, answer).await {
            Ok(outcome) => outcome,
            Err(_) => Err(self.failed(format!("not {what} within {} s: {last}", READY_WITHIN.as_secs()))),
        }
    }

    /// The page of `/metrics`.
    pub async fn metrics(&self) -> Result<String> {
        web::get(self.metrics, "/metrics", "").await.map(|answer| answer.body)
    }

    /// The status and page of `/readyz`, one line for each gate.
    pub async fn readiness(&self) -> Result<(u16, String)> {
        web::get(self.probes, "/readyz", "").await.map(|answer| (answer.status, answer.body))
    }

    /// Its memory; none once it has ended.
    pub fn memory(&self) -> Option<Memory> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).ok()?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim_start_matches(':').trim().split(' ').next()?.parse().ok()
        };
        Some(Memory { resident: field("VmRSS")?, peak: field("VmHWM")? })
    }

    /// The time that processors have worked for it so far, to a hundredth of a second; none once it has ended.
    pub fn cpu(&self) -> Option<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id())).ok()?;
        // The second field is the program's name in parentheses, which may hold anything; user and system are 14 and 15.
        let (_, fields) = stat.rsplit_once(") ")?;
        let ticks = fields.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().ok());
        ticks.sum::<Option<u64>>().map(|ticks| Duration::from_millis(ticks * 1_000 / TICKS))
    }

    /// `kill -9`, and its end.
    pub async fn kill9(self) -> Result<()> {
        self.child.signal(Signal::KILL);
        self.child.wait().await.map(drop)
    }

    /// SIGTERM, and how it ended.
    ///
    /// # Errors
    /// It did not end in time.
    pub async fn terminate(self) -> Result<ExitStatus> {
        self.child.signal(Signal::TERM);
        match tokio::time::timeout(STOP_WITHIN, self.child.wait()).await {
            Ok(status) => status,
            Err(_) => Err(self.failed(format!("still there {} s after SIGTERM", STOP_WITHIN.as_secs()))),
        }
    }

    /// Awaits that it ends by itself.
    pub async fn ended(&self) -> Result<ExitStatus> {
        self.child.wait().await
    }

    /// Its log so far, one JSON object a line.
    pub fn log(&self) -> String {
        log::text(&self.log)
    }

    /// Where the log is.
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// The lines of the log so far, panics among them.
    pub fn log_lines(&self) -> Vec<LogLine> {
        log::lines(&self.log())
    }

    fn failed(&self, what: String) -> Error {
        Error::Manager { what, log: log::tail(&self.log()) }
    }
}

/// The log files of all managers of a control plane so far.
pub(crate) fn logs(plane: &ControlPlane) -> Vec<PathBuf> {
    (1..=MOST).map(|number| log_file(plane, number)).take_while(|log| log.exists()).collect()
}

/// The lines of one of them.
pub(crate) fn log_lines(path: &Path) -> Vec<LogLine> {
    log::lines(&log::text(path))
}

#[expect(clippy::disallowed_methods, reason = "shows when a process was started; nothing is decided by it")]
fn now() -> Timestamp {
    Timestamp::now()
}

fn next_log(plane: &ControlPlane) -> Result<PathBuf> {
    (1..=MOST)
        .map(|number| log_file(plane, number))
        .find(|log| !log.exists())
        .ok_or_else(|| Error::Unexpected("no name for a log".to_owned()))
}

fn log_file(plane: &ControlPlane, number: u32) -> PathBuf {
    plane.folder().join(format!("logs/manager-{number}.log"))
}

/// Two ports of the loopback address on which nobody listens at this moment.
fn free_ports() -> Result<(SocketAddr, SocketAddr)> {
    let bind =
        || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Error::system("bind a port of 127.0.0.1"));
    let (one, other) = (bind()?, bind()?);
    let address = |listener: &TcpListener| listener.local_addr().map_err(Error::system("read the port"));
    Ok((address(&one)?, address(&other)?))
}
