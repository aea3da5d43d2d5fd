//! The demo: a new package appears in a repository, and a Cluster moves to its version, on a real control plane.
//!
//! Builds what it needs, runs everything as processes of this machine, and ends all of it. `KEEP=1` leaves it running until
//! Ctrl-C. What it has seen is in `target/demo/report.json`.

mod display;
mod report;
mod story;

use std::env;
use std::process::ExitCode;

use e2e::{Error, Result};
use tokio::signal::unix::{SignalKind, signal};

use crate::display::Display;
use crate::story::Stage;

fn main() -> ExitCode {
    let outcome = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Error::System { what: "make a runtime".to_owned(), source })
        .and_then(|runtime| runtime.block_on(run()));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\ndemo: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let signals = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let at = |source| Error::System { what: "listen for signals".to_owned(), source };
    let mut listeners = signals.into_iter().map(signal).collect::<Result<Vec<_>, _>>().map_err(at)?;
    let interrupted = futures::future::select_all(listeners.iter_mut().map(|signal| Box::pin(signal.recv())));
    // A signal drops the work wherever it is, and with it the processes.
    tokio::select! {
        biased;
        _ = interrupted => Err(Error::Unexpected("interrupted; everything is stopped".to_owned())),
        outcome = play() => outcome,
    }
}

async fn play() -> Result<()> {
    let display = Display::new();
    let keep = env::var_os("KEEP").is_some_and(|value| value == "1");
    let stage = Stage::set(display).await?;
    if let Err(error) = stage.play().await {
        for line in stage.complaints() {
            eprintln!("manager: {line}");
        }
        return Err(error);
    }
    stage.sum_up().await?;
    if keep {
        display.title("It goes on until Ctrl-C:");
        display.say(&format!("  export KUBECONFIG={}", stage.kubeconfig().display()));
        display.say(&format!("  alias kubectl={}", stage.kubectl().display()));
        std::future::pending::<()>().await;
    }
    stage.clear().await
}
