//! What was seen, for machines: `target/demo/report.json`.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use e2e::{Error, Result, repository};
use serde::Serialize;

/// The report.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    pub(crate) cluster: String,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) image_id: String,
    pub(crate) hops: Vec<Hop>,
}

/// A hop, with the time since the one before it.
#[derive(Serialize)]
pub(crate) struct Hop {
    pub(crate) name: String,
    pub(crate) seconds: f64,
}

impl Hop {
    pub(crate) fn new(name: &str, took: Duration) -> Self {
        // Milliseconds are more than is looked at.
        Self { name: name.to_owned(), seconds: (took.as_secs_f64() * 1_000.0).round() / 1_000.0 }
    }
}

impl Report {
    fn path() -> PathBuf {
        repository().join("target/demo/report.json")
    }

    /// Removes the report of an earlier run, so that a failure leaves none that says otherwise.
    pub(crate) fn remove() -> Result<()> {
        match fs::remove_file(Self::path()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed(error)),
            _ => Ok(()),
        }
    }

    /// Writes it, and says where.
    pub(crate) fn write(&self) -> Result<PathBuf> {
        let path = Self::path();
        let folder = path.parent().unwrap_or(&path);
        fs::create_dir_all(folder).map_err(failed)?;
        let text = serde_json::to_string_pretty(self).map_err(|error| failed(error.into()))?;
        fs::write(&path, text + "\n").map_err(failed)?;
        Ok(path)
    }
}

fn failed(source: std::io::Error) -> Error {
    Error::System { what: Report::path().display().to_string(), source }
}
