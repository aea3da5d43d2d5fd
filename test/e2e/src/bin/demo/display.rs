//! One line for each step: a spinner on a terminal, plain lines elsewhere.

use std::cell::RefCell;
use std::env;
use std::future::Future;
use std::io::{IsTerminal as _, Write as _, stdout};
use std::time::Duration;

use e2e::{Result, Stopwatch};

const FRAMES: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const TICK: Duration = Duration::from_millis(100);
/// Width of a step's name, so that what follows stands in a column. All together fits 80 columns: a line that wraps could not be
/// erased.
const NAME: usize = 22;
const DETAIL: usize = 41;

/// What a step has to say while it goes on and when it is done.
#[derive(Default)]
pub(crate) struct Detail(RefCell<String>);

impl Detail {
    /// Replaces what is shown.
    pub(crate) fn say(&self, text: impl Into<String>) {
        *self.0.borrow_mut() = text.into();
    }

    fn shown(&self) -> String {
        let text = self.0.borrow();
        match (text.chars().count() > DETAIL, text.char_indices().nth(DETAIL - 1)) {
            (true, Some((end, _))) => format!("{}…", &text[..end]),
            _ => text.clone(),
        }
    }
}

/// The terminal, or what takes its place.
#[derive(Clone, Copy)]
pub(crate) struct Display {
    live: bool,
    colours: bool,
}

impl Display {
    /// As standard output and `NO_COLOR` have it.
    pub(crate) fn new() -> Self {
        let live = stdout().is_terminal() && env::var_os("TERM").is_none_or(|term| term != "dumb");
        let colours = live && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { live, colours }
    }

    /// A line of its own.
    #[expect(clippy::unused_self, reason = "whoever prints has the display")]
    pub(crate) fn say(self, text: &str) {
        // A reader that is gone is no reason to stop.
        let _ = writeln!(stdout(), "{text}");
    }

    /// A line that stands out, with an empty one before it.
    pub(crate) fn title(self, text: &str) {
        self.say(&format!("\n{}", self.painted("1", text)));
    }

    /// Shows a step while it goes on, and how long it took when it is done.
    pub(crate) async fn step<T>(
        self,
        name: &str,
        work: impl AsyncFnOnce(&Detail) -> Result<T>,
    ) -> Result<(T, Duration)> {
        let (watch, detail) = (Stopwatch::start(), Detail::default());
        let outcome = self.spinning(name, watch, &detail, work(&detail)).await;
        let took = watch.elapsed();
        let (colour, mark) = if outcome.is_ok() { ("32", "✔") } else { ("31", "✘") };
        self.erase();
        self.say(&self.line(&self.painted(colour, mark), name, &detail.shown(), took));
        outcome.map(|value| (value, took))
    }

    /// The same for work that prints lines of progress itself, which a spinner would spoil.
    pub(crate) async fn noisy_step<T>(
        self,
        name: &str,
        work: impl AsyncFnOnce(&Detail) -> Result<T>,
    ) -> Result<(T, Duration)> {
        Self { live: false, ..self }.step(name, work).await
    }

    async fn spinning<T>(
        self,
        name: &str,
        watch: Stopwatch,
        detail: &Detail,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let mut work = std::pin::pin!(work);
        for frame in FRAMES.iter().cycle() {
            if self.live {
                self.erase();
                let _ = write!(
                    stdout(),
                    "{}",
                    self.line(&self.painted("36", frame), name, &detail.shown(), watch.elapsed())
                );
                let _ = stdout().flush();
            }
            if let Ok(outcome) = tokio::time::timeout(TICK, &mut work).await {
                return outcome;
            }
        }
        work.await
    }

    fn line(self, mark: &str, name: &str, detail: &str, took: Duration) -> String {
        let seconds = self.painted("2", &format!("{:>7.1} s", took.as_secs_f64()));
        format!("  {mark} {name:<NAME$} {detail:<DETAIL$} {seconds}")
    }

    fn erase(self) {
        if self.live {
            let _ = write!(stdout(), "\r\x1b[2K");
        }
    }

    fn painted(self, colour: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_detail_is_cut_at_a_character() {
        let detail = Detail::default();
        detail.say("ä".repeat(DETAIL + 1));
        assert_eq!(detail.shown().chars().count(), DETAIL);
        assert!(detail.shown().ends_with('…'));
        detail.say("ä".repeat(DETAIL));
        assert_eq!(detail.shown(), "ä".repeat(DETAIL));
    }

    #[tokio::test]
    async fn a_step_gives_what_its_work_gives() {
        let plain = Display { live: false, colours: false };
        let (value, _) = plain.step("name", async |_| Ok(7)).await.unwrap();
        assert_eq!(value, 7);
        let line = plain.line("✔", "name", "detail", Duration::from_millis(1_250));
        assert!(line.starts_with("  ✔ name ") && line.ends_with("    1.2 s"), "{line}");
        assert!(line.chars().count() < 80, "{line}");
    }
}
