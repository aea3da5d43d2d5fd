//! The flags.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

/// Measures what the manager costs: memory, processors, requests, time.
#[derive(Debug, Parser)]
#[command(name = "bench")]
pub(crate) struct Options {
    /// How many Clusters, each number a control plane of its own; idle for long only with the most
    #[arg(long, value_delimiter = ',', default_value = "250,500,1000,2000")]
    clusters: Vec<u32>,
    /// How many times everything is measured
    #[arg(long, default_value_t = 1)]
    pub(crate) runs: u32,
    /// How long it is looked at while nothing happens, in seconds
    #[arg(long, default_value_t = 180)]
    idle: u64,
    /// Folder of the results, one file a run
    #[arg(long, default_value = "out/bench")]
    pub(crate) out: PathBuf,
    /// Results of an earlier run, to be shown with those of this one
    #[arg(long)]
    pub(crate) with: Vec<PathBuf>,
    /// Only shows the results of earlier runs
    #[arg(long, requires = "with")]
    show: bool,
    /// Also writes the page of the docs
    #[arg(long)]
    pub(crate) write_docs: Option<PathBuf>,
}

impl Options {
    /// Whether anything is to be measured.
    pub(crate) fn measures(&self) -> bool {
        !self.show
    }

    /// The numbers of Clusters, each once, the fewest first.
    pub(crate) fn sizes(&self) -> Vec<u32> {
        let mut sizes = self.clusters.clone();
        sizes.sort_unstable();
        sizes.dedup();
        sizes
    }

    /// How long it is looked at while nothing happens.
    pub(crate) fn idle(&self) -> Duration {
        Duration::from_secs(self.idle)
    }
}
