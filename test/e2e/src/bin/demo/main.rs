//! The demo: a new package appears in a repository, and a Cluster moves to its version, on a real control plane.
//!
//! Builds what it needs, runs everything as processes of this machine, and ends all of it. `KEEP=1` leaves it running until
//! Ctrl-C. What it has seen is in `target/demo/report.json`.

mod display;
mod report;
mod story;

use std::env;
use std::process::ExitCode;

use e2e::{Error, Result, Signals};

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
    let display = Display::new();
    let mut signals = Signals::listen()?;
    // A signal drops the work wherever it is, and with it the processes.
    let stage = tokio::select! {
        biased;
        () = signals.recv() => {
            return Err(Error::Unexpected("interrupted; everything is stopped".to_owned()));
        }
        stage = play(display) => stage?,
    };
    if env::var_os("KEEP").is_some_and(|value| value == "1") {
        display.title("It goes on until Ctrl-C");
        display.say(&format!("  export KUBECONFIG={}", stage.kubeconfig().display()));
        display.say(&format!("  alias kubectl={}", stage.kubectl().display()));
        signals.recv().await;
    }
    stage.clear().await
}

/// Everything up to the last hop, still running.
async fn play(display: Display) -> Result<Stage> {
    let stage = Stage::set(display).await?;
    let played = tokio::select! {
        biased;
        // Nothing comes after that: no need to wait for a deadline.
        error = stage.manager_ended() => Err(error),
        outcome = stage.play() => outcome,
    };
    if let Err(error) = played {
        for line in stage.complaints() {
            eprintln!("manager: {line}");
        }
        return Err(error);
    }
    stage.sum_up().await?;
    Ok(stage)
}
