//! Where the binary is: cargo builds it, so that no test runs an old one.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde::Deserialize;
use tokio::sync::OnceCell;

use crate::error::{Error, Result};
use crate::installed::repository;

/// Names a binary to be used as it is, such as one of another profile.
const PROGRAM: &str = "E2E_MANAGER";

/// One of cargo's messages: what it has made.
#[derive(Deserialize)]
struct Message {
    target: Option<Target>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

/// Built once by each process: a restart within a test is one of the same binary, and does not wait for cargo.
static BUILT: OnceCell<PathBuf> = OnceCell::const_new();

/// The path of `manager`: the one that `E2E_MANAGER` names, else `cargo build -p manager`, with cargo's progress on standard error.
///
/// # Errors
/// It does not compile.
pub async fn program() -> Result<PathBuf> {
    if let Some(path) = env::var_os(PROGRAM) {
        return Ok(path.into());
    }
    let built = BUILT.get_or_try_init(async || {
        let build = tokio::task::spawn_blocking(build);
        build.await.map_err(|error| Error::Unexpected(format!("cargo build: {error}")))?
    });
    built.await.cloned()
}

fn build() -> Result<PathBuf> {
    let failed = |what: String| Error::Manager { what, log: String::new() };
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "build",
            "--quiet",
            "-p",
            "manager",
            "--bin",
            "manager",
            "--message-format=json-render-diagnostics",
        ])
        .current_dir(repository())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(Error::system("run cargo"))?;
    if !output.status.success() {
        return Err(failed(format!("cargo build -p manager ended with {}", output.status)));
    }
    executable(&String::from_utf8_lossy(&output.stdout))
        .ok_or_else(|| failed("cargo named no executable".to_owned()))
}

fn executable(messages: &str) -> Option<PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Message>(line).ok());
    messages
        .filter(|message| message.target.as_ref().is_some_and(|target| target.name == "manager"))
        .find_map(|message| message.executable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_is_found_among_cargos_messages() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"kind":["lib"],"name":"manager"},"executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"other"},"executable":"/o"}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"manager"},"executable":"/m"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        assert_eq!(executable(messages), Some(PathBuf::from("/m")));
    }
}
