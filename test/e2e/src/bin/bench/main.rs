//! The bench: what the manager costs, on a real control plane with up to 2,000 Clusters, as a table and as JSON.
//!
//! Everything runs as processes of this machine, and all of it is ended, by Ctrl-C as well. The manager is the one that
//! `E2E_MANAGER` names, under its own ServiceAccount; Cluster API is played: its objects are real, and what it would say in
//! their status is written by the bench.

mod course;
mod crowd;
mod docs;
mod figures;
mod fleet;
mod index;
mod machine;
mod micro;
mod options;
mod requests;
mod results;
mod stage;
mod status;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser as _;
use e2e::{Error, Result, Signals, Stopwatch};

use crate::figures::Figures;
use crate::machine::Machine;
use crate::options::Options;
use crate::results::Results;

fn main() -> ExitCode {
    let options = Options::parse();
    let outcome = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Error::System { what: "make a runtime".to_owned(), source })
        .and_then(|runtime| runtime.block_on(run(options)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nbench: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<()> {
    let mut results =
        options.with.iter().map(|path| Results::read(path)).collect::<Result<Vec<Results>>>()?;
    let mut written = Vec::new();
    if options.measures() {
        let mut signals = Signals::listen()?;
        // A signal drops the work wherever it is, and with it the processes.
        tokio::select! {
            biased;
            () = signals.recv() => {
                return Err(Error::Unexpected("interrupted; everything is stopped".to_owned()));
            }
            outcome = measure(&options, &mut results, &mut written) => outcome?,
        }
    }
    print!("{}", table::print(&results));
    for path in written {
        println!("JSON: {}", path.display());
    }
    if let Some(path) = &options.write_docs {
        let text = docs::page(&results);
        std::fs::write(path, text)
            .map_err(|source| Error::System { what: format!("write {}", path.display()), source })?;
        println!("docs: {}", path.display());
    }
    Ok(())
}

async fn measure(options: &Options, results: &mut Vec<Results>, written: &mut Vec<PathBuf>) -> Result<()> {
    let program = e2e::program().await?;
    for run in 1..=options.runs {
        let began = Stopwatch::start();
        let mut found = Results::new(Machine::look(&program)?);
        let path = options.out.join(format!("{}.json", found.name()));
        let mut alone = Figures::default();
        micro::measure(&mut alone)?;
        course::binary(&program, &mut alone)?;
        found.add(None, alone);
        for clusters in options.sizes() {
            let most = Some(clusters) == options.sizes().into_iter().max();
            eprintln!("run {run} of {}: {clusters} Clusters", options.runs);
            let figures = Box::pin(course::run(clusters, most.then_some(options.idle()))).await?;
            found.add(Some(clusters), figures);
            // What was measured so far is there should the next size fail.
            found.took = began.elapsed().as_secs();
            found.write(&path)?;
        }
        results.push(found);
        written.push(path);
    }
    Ok(())
}
