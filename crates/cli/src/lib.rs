//! kubectl-upgrader: why a Cluster was not upgraded yet, and what would happen.
//!
//! What a verb shows is computed by pure functions from a [`world::World`], the objects that were read: from a server, or
//! from files. Only `client` talks, and it only reads.
//!
//! *Architecture invariant:* nothing here decides what a controller decides. States and reasons are those that the
//! controllers wrote; `simulate` and `preflight` run the controllers' own code.

mod ago;
mod args;
mod client;
mod completion;
mod get;
mod kinds;
mod lint;
mod manifests;
mod object;
mod output;
mod preflight;
mod read_error;
mod screen;
mod simulate;
mod source;
mod state;
mod table;
mod trace;
mod tree;
mod version;
mod why;
mod world;

use std::io::Write;
use std::process::ExitCode;

pub use crate::screen::Surroundings;

use crate::args::{Arguments, Verb};
use crate::screen::Screen;

/// What a verb ends with; the exit code says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum End {
    /// Nothing is left to do.
    #[default]
    Done,
    /// An orderly wait, or work in progress.
    Waiting,
    /// Something failed, or a human must act.
    Blocked,
    /// The question could not be answered, or what was looked at is wrong.
    Error,
}

impl End {
    fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Error => 1,
            Self::Blocked => 2,
            Self::Waiting => 3,
        }
    }
}

/// Why a verb could not do its work: one sentence.
pub(crate) type Failure = Box<dyn std::error::Error>;

/// Runs one command, and says how it ended: 0 done, 1 error, 2 blocked, 3 waiting.
pub fn run(
    arguments: impl IntoIterator<Item = std::ffi::OsString>,
    surroundings: &Surroundings,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> ExitCode {
    let arguments = match Arguments::parse(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            let to: &mut dyn Write = if error.use_stderr() { &mut *err } else { &mut *out };
            let _ = write!(to, "{error}");
            return ExitCode::from(u8::from(error.use_stderr()));
        }
    };
    let mut screen = Screen::new(surroundings, out, err);
    let end = dispatch(&arguments, &mut screen);
    // An answer that was not written, as on a full disk, is none; a reader that has gone, such as `head`, had enough.
    match end.and_then(|end| screen.flush().map(|()| end).map_err(Into::into)) {
        Ok(end) => ExitCode::from(end.code()),
        Err(failure) => {
            screen.complain(&failure.to_string());
            ExitCode::from(End::Error.code())
        }
    }
}

fn dispatch(arguments: &Arguments, screen: &mut Screen<'_>) -> Result<End, Failure> {
    let flags = &arguments.flags;
    match &arguments.verb {
        Verb::Get(verb) => get::run(flags, verb, screen),
        Verb::Why(verb) => why::run(flags, verb, screen),
        Verb::Trace(verb) => trace::run(flags, verb, screen),
        Verb::Lint(verb) => lint::run(flags, verb, screen),
        Verb::Preflight(verb) => preflight::run(flags, verb, screen),
        Verb::Simulate(verb) => simulate::run(flags, verb, screen),
        Verb::Version(verb) => version::run(flags, verb, screen),
        Verb::Completion(verb) => completion::script(verb, screen),
        Verb::Complete(verb) => Ok(completion::complete(verb, screen)),
    }
}
