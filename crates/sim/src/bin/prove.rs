//! `prove`: runs the controllers in worlds and under faults by seed, and stops at the first seed at which an invariant does
//! not hold.

use std::collections::BTreeSet;
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use clap::Parser;
use sim::prove::{Family, Figures, Only, command, run, search, shortened, trace};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Searches for a seed at which an invariant of the controllers does not hold.
#[derive(Debug, Parser)]
#[command(name = "prove")]
struct Arguments {
    /// Which controllers: chain or nodes.
    #[arg(long, default_value = "chain", value_parser = family)]
    family: Family,
    /// How many seeds are lived through.
    #[arg(long, default_value_t = 1_000)]
    runs: u64,
    /// The first of them.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// This seed alone.
    #[arg(long, conflicts_with_all = ["runs", "from"])]
    seed: Option<u64>,
    /// Of that seed only the faults at these requests: numbers with commas between, or none.
    #[arg(long, requires = "seed", value_parser = numbers::<u64>)]
    faults: Option<Numbers<u64>>,
    /// Of that seed only these of the things that people and machines do: numbers with commas between, or none.
    #[arg(long, requires = "seed", value_parser = numbers::<usize>)]
    troubles: Option<Numbers<usize>>,
    /// Print everything that happens.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Go on where a seed fails, and list every seed that does.
    #[arg(long, conflicts_with = "seed")]
    keep_going: bool,
    /// How many threads; as many as there are processors where absent.
    #[arg(long)]
    threads: Option<usize>,
}

fn family(text: &str) -> Result<Family, String> {
    match text {
        "chain" => Ok(Family::Chain),
        "nodes" => Ok(Family::Nodes),
        _ => Err("there are chain and nodes".to_owned()),
    }
}

#[derive(Clone, Debug)]
struct Numbers<T>(BTreeSet<T>);

fn numbers<T: FromStr + Ord>(text: &str) -> Result<Numbers<T>, String> {
    if text == "none" {
        return Ok(Numbers(BTreeSet::new()));
    }
    let read =
        text.split(',').map(|number| number.trim().parse().map_err(|_| format!("{number:?} is no number")));
    Ok(Numbers(read.collect::<Result<_, _>>()?))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.seed {
        Some(seed) => one(seed, &arguments),
        None => many(&arguments),
    }
}

fn one(seed: u64, arguments: &Arguments) -> ExitCode {
    let only = Only {
        faults: arguments.faults.clone().map(|Numbers(numbers)| numbers),
        troubles: arguments.troubles.clone().map(|Numbers(numbers)| numbers),
    };
    let run = if arguments.trace {
        trace(arguments.family, seed, &only)
    } else {
        run(arguments.family, seed, &only)
    };
    if arguments.trace {
        print(&format!("{}\n", run.timeline));
    }
    let requests = format!("{} requests, {} processes", run.requests, run.processes);
    match &run.violation {
        None => print(&format!("seed {seed}: every invariant holds; {requests}\n")),
        Some(violation) => print(&format!(
            "seed {seed}: violated: {}\n  {}\n  at {:.0}; {requests}\n",
            violation.invariant, violation.words, violation.at
        )),
    }
    if run.violation.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

#[allow(clippy::disallowed_methods, reason = "how long the search takes is told, and nothing rests on it")]
fn many(arguments: &Arguments) -> ExitCode {
    let begun = std::time::Instant::now();
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = arguments.threads.unwrap_or(processors);
    let (runs, from) = (arguments.runs, arguments.from);
    let progress = std::io::stderr().is_terminal();
    let figures = search(arguments.family, from, runs, threads, arguments.keep_going, &|done| {
        if progress && (done % 50 == 0 || done == runs) {
            let each = per_second(done, begun.elapsed());
            // Whoever has closed the terminal does not read it.
            let _ = write!(std::io::stderr(), "\r{done} of {runs} runs, {each} a second ");
        } else if !progress && done % 10_000 == 0 {
            let each = per_second(done, begun.elapsed());
            let _ = writeln!(std::io::stderr(), "{done} of {runs} runs, {each} a second");
        }
    });
    if progress {
        let _ = writeln!(std::io::stderr());
    }
    report(&figures, from, begun.elapsed());
    let Some(seed) = figures.failed.keys().next().copied() else { return ExitCode::SUCCESS };
    if arguments.keep_going {
        for (seed, violation) in &figures.failed {
            print(&format!("seed {seed}: violated: {}: {}\n", violation.invariant, violation.words));
        }
        return ExitCode::FAILURE;
    }
    let whole = command(arguments.family, seed, &Only::default());
    print(&format!("\nSeed {seed} fails; all of it: {whole}\nLeaving out what it does not need …\n\n"));
    print(&shortened(arguments.family, seed).to_string());
    ExitCode::FAILURE
}

fn per_second(count: u64, time: Duration) -> u128 {
    u128::from(count) * 1_000 / time.as_millis().max(1)
}

fn report(figures: &Figures, from: u64, took: Duration) {
    let Figures { runs, requests, processes, troubles, faults, asked, lived, failed } = figures;
    let (last, each) = (from.wrapping_add(runs.saturating_sub(1)), per_second(*runs, took));
    let days = lived.as_secs() / 86_400;
    print(&format!("{runs} runs in {} s ({each} a second), seeds {from} to {last}\n", took.as_secs()));
    print(&format!(
        "{requests} requests of {processes} processes in {days} simulated days; people and machines did {troubles} \
         things\nmost requests that a run needed after its last fault: {asked}\n{} faults:\n",
        faults.values().sum::<u64>()
    ));
    for (kind, count) in faults {
        print(&format!("{count:>9}  {}\n", kind.name()));
    }
    print(if failed.is_empty() {
        "every invariant held in every run\n"
    } else {
        "an invariant was violated\n"
    });
}

/// A reader who has gone away is no failure of the search.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}
