//! One line on standard error for whatever lets its caller wait.

use std::fmt;
use std::io::Write;
use std::time::{Duration, Instant};

/// Prints a progress line. Not by `eprintln!`, which a test run captures: minutes of building would look like a hang.
pub(crate) fn say(line: fmt::Arguments<'_>) {
    // A closed standard error is no reason to stop.
    let _ = writeln!(std::io::stderr(), "controlplane: {line}");
}

/// How long something took, for progress lines only: nothing is decided by it.
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "prints how long a build took; this crate has no Clock")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// A duration as `4m12s` or `8s`.
pub(crate) struct Took(pub(crate) Duration);

impl fmt::Display for Took {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        if seconds >= 60 {
            write!(out, "{}m{:02}s", seconds / 60, seconds % 60)
        } else {
            write!(out, "{seconds}s")
        }
    }
}
