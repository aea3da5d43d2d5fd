//! Where, when and with what was measured.

use std::fs;
use std::path::Path;
use std::process::Command;

use controlplane::Binary;
use e2e::{Result, repository};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Where, when and with what was measured.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Machine {
    /// When the run began, UTC, to the second.
    pub(crate) date: String,
    /// The processor's name, as it tells it.
    pub(crate) processor: String,
    /// Processors.
    pub(crate) processors: usize,
    /// Memory in GiB.
    pub(crate) memory: u64,
    /// Of Linux.
    pub(crate) kernel: String,
    /// The commit that is checked out; with `-dirty` where the tree differs from it.
    pub(crate) commit: String,
    /// The beginning of the binary's SHA-256, by which runs of one binary are known.
    pub(crate) binary: String,
    /// Of Kubernetes, etcd and Cluster API.
    pub(crate) versions: String,
}

impl Machine {
    /// Looks around.
    pub(crate) fn look(program: &Path) -> Result<Self> {
        let file = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let after = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
        };
        let memory: u64 =
            after(&file("/proc/meminfo"), "MemTotal").trim_end_matches(" kB").parse().unwrap_or_default();
        let binary = fs::read(program)
            .map_err(|source| e2e::Error::System { what: program.display().to_string(), source })?;
        let digest = Sha256::digest(&binary);
        Ok(Self {
            date: now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            processor: after(&file("/proc/cpuinfo"), "model name"),
            processors: std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
            memory: memory.div_ceil(1 << 20),
            kernel: file("/proc/sys/kernel/osrelease").trim().to_owned(),
            commit: commit(),
            binary: digest.iter().take(6).fold(String::new(), |text, byte| format!("{text}{byte:02x}")),
            versions: format!(
                "Kubernetes {}, etcd {}, Cluster API {} (CRDs)",
                Binary::KubeApiserver.version(),
                Binary::Etcd.version(),
                Binary::ClusterApiCore.version()
            ),
        })
    }
}

#[expect(clippy::disallowed_methods, reason = "tells when something was measured; nothing is decided by it")]
fn now() -> Timestamp {
    Timestamp::now()
}

/// Empty where there is no git.
fn commit() -> String {
    let describe = ["describe", "--always", "--dirty", "--exclude=*"];
    let output = Command::new("git").args(describe).current_dir(repository()).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}
