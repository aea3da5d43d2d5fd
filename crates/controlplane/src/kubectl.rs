//! The real kubectl, run against this control plane and nothing of the developer's own.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::error::{Error, Result};
use crate::guard::{guarded, spawn_error};

/// Runs kubectl as the user of one kubeconfig.
pub(crate) struct Kubectl {
    pub(crate) program: PathBuf,
    pub(crate) kubeconfig: PathBuf,
    /// For its caches and in the place of a home.
    pub(crate) folder: PathBuf,
}

impl Kubectl {
    /// Runs it and gives its standard output. A failure holds what it printed on standard error.
    pub(crate) async fn run(&self, arguments: &[&str], input: Option<&str>) -> Result<String> {
        let output = self.output(arguments, input).await?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let mut printed = String::from_utf8_lossy(&output.stderr).into_owned();
        printed.push_str(&String::from_utf8_lossy(&output.stdout));
        Err(Error::Command {
            command: format!("kubectl {}", arguments.join(" ")),
            status: output.status.to_string(),
            output: printed,
        })
    }

    async fn output(&self, arguments: &[&str], input: Option<&str>) -> Result<Output> {
        let mut command = Command::from(guarded(&self.program));
        command
            .args(arguments)
            .env("KUBECONFIG", &self.kubeconfig)
            .env("HOME", &self.folder)
            .env("KUBECACHEDIR", self.folder.join("cache"))
            .env("KUBERC", "off")
            .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(spawn_error)?;
        let stdin = child.stdin.take();
        let feed = async {
            if let (Some(mut stdin), Some(input)) = (stdin, input) {
                // It may have ended before it read all, which its exit status tells better.
                let _ = stdin.write_all(input.as_bytes()).await;
            }
        };
        let ((), output) = tokio::join!(feed, child.wait_with_output());
        output.map_err(Error::file(&self.program))
    }
}

/// A path as an argument.
pub(crate) fn argument(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| Error::Manifest {
        manifest: path.display().to_string(),
        reason: "a path that is not UTF-8 cannot be handed to kubectl".to_owned(),
    })
}
