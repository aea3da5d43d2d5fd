//! The plugin's process: reads the environment, and hands over.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use cli::Surroundings;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let variable = |name: &str| std::env::var(name).ok();
    let surroundings = Surroundings {
        out_is_terminal: std::io::stdout().is_terminal(),
        err_is_terminal: std::io::stderr().is_terminal(),
        no_color: variable("NO_COLOR"),
        term: variable("TERM"),
        locale: ["LC_ALL", "LC_CTYPE", "LANG"]
            .into_iter()
            .find_map(|name| variable(name).filter(|text| !text.is_empty())),
    };
    let mut out = std::io::stdout().lock();
    cli::run(std::env::args_os(), &surroundings, &mut out, &mut std::io::stderr().lock())
}
