//! `cargo xtask generate | check | fetch-openapi`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::{fs, io};

use clap::{Parser, Subcommand};
use xtask::Error;

/// Generates what is kept in the repository from Rust.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Writes every generated file.
    Generate,
    /// Names the generated files that differ from the tree; fails if there are any.
    Check,
    /// Keeps the schema of PodSpec from the answer of a kube-apiserver to GET /openapi/v3/api/v1.
    FetchOpenapi {
        /// File with that answer.
        #[arg(long)]
        from: PathBuf,
    },
}

fn main() -> ExitCode {
    match run(&Arguments::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> Result<ExitCode, Error> {
    let root = xtask::root();
    match command {
        Command::Generate => {
            for path in xtask::write(&root)? {
                println!("{}", path.display());
            }
        }
        Command::Check => {
            let differing = xtask::differing(&root)?;
            for path in &differing {
                println!("{} differs: run cargo run -p xtask generate", path.display());
            }
            if !differing.is_empty() {
                return Ok(ExitCode::FAILURE);
            }
        }
        Command::FetchOpenapi { from } => {
            let failed = |path: &PathBuf| {
                let path = path.clone();
                move |error: io::Error| Error::File { path, error }
            };
            let text = fs::read_to_string(from).map_err(failed(from))?;
            let file = root.join(xtask::openapi::PATH);
            fs::write(&file, xtask::openapi::fetch(&text)?).map_err(failed(&file))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
