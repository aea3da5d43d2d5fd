//! Where the output goes, and what may be in it: colour and progress on a terminal, plain lines elsewhere.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use crate::state::State;

/// What the process knows of its surroundings.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Standard output is a terminal.
    pub out_is_terminal: bool,
    /// Standard error is a terminal.
    pub err_is_terminal: bool,
    /// `NO_COLOR`: no colour where it is not empty.
    pub no_color: Option<String>,
    /// `TERM`: no colour where it is `dumb`.
    pub term: Option<String>,
    /// The first of `LC_ALL`, `LC_CTYPE` and `LANG` that is not empty: no glyphs beyond ASCII unless it says UTF-8.
    pub locale: Option<String>,
}

/// The two streams.
pub(crate) struct Screen<'a> {
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
    color: bool,
    progress: bool,
    /// What went wrong when the answer was written.
    unwritten: Option<io::Error>,
    /// Glyphs beyond ASCII may be written.
    pub(crate) unicode: bool,
}

impl<'a> Screen<'a> {
    pub(crate) fn new(surroundings: &Surroundings, out: &'a mut dyn Write, err: &'a mut dyn Write) -> Self {
        let plain = surroundings.no_color.as_deref().is_some_and(|text| !text.is_empty())
            || surroundings.term.as_deref() == Some("dumb");
        let locale = surroundings.locale.as_deref().unwrap_or_default().to_ascii_lowercase();
        Self {
            out,
            err,
            unwritten: None,
            color: surroundings.out_is_terminal && !plain,
            progress: surroundings.err_is_terminal && surroundings.term.as_deref() != Some("dumb"),
            unicode: locale.contains("utf-8") || locale.contains("utf8"),
        }
    }

    /// Writes what was asked for.
    pub(crate) fn print(&mut self, text: &str) {
        self.print_data(&self.spelled(text));
    }

    /// Writes what programs read, as it is.
    pub(crate) fn print_data(&mut self, text: &str) {
        if let Err(error) = self.out.write_all(text.as_bytes()) {
            self.unwritten.get_or_insert(error);
        }
    }

    /// Sees to it that what was printed has arrived, and says why it has not; a reader that has gone is no reason.
    pub(crate) fn flush(&mut self) -> Result<(), String> {
        let error = self.unwritten.take().or(self.out.flush().err());
        let error = error.filter(|error| error.kind() != io::ErrorKind::BrokenPipe);
        error.map_or(Ok(()), |error| Err(format!("cannot write the answer: {error}")))
    }

    /// Writes a sentence that is not part of the answer.
    pub(crate) fn complain(&mut self, sentence: &str) {
        let text = self.spelled(sentence.trim_end());
        let _ = writeln!(self.err, "{text}");
    }

    /// Says what is going on, on a terminal, until something else is said; an empty text takes it away.
    pub(crate) fn progress(&mut self, text: &str) {
        if self.progress {
            let text = self.spelled(text);
            let _ = write!(self.err, "\r\u{1b}[K{text}");
            let _ = self.err.flush();
        }
    }

    /// Glyphs of our own for a terminal that has ASCII only; what objects say is left as it is.
    fn spelled(&self, text: &str) -> String {
        if self.unicode {
            return text.to_owned();
        }
        text.replace("├─", "|-")
            .replace("└─", "`-")
            .replace('│', "|")
            .replace('→', "->")
            .replace('✔', "+")
            .replace('✖', "x")
            .replace('◌', "?")
            .replace('…', "...")
    }

    /// A word in the colour of a state.
    pub(crate) fn painted(&self, state: State, word: &str) -> String {
        let color = match state {
            State::Done => AnsiColor::Green,
            State::Working => AnsiColor::Cyan,
            State::Waiting | State::Pending => AnsiColor::Yellow,
            State::Failing | State::Blocked => AnsiColor::Red,
            State::None => return word.to_owned(),
        };
        if !self.color || word.is_empty() {
            return word.to_owned();
        }
        let style = Style::new().fg_color(Some(color.into()));
        format!("{style}{word}{style:#}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn painted(surroundings: &Surroundings) -> String {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        Screen::new(surroundings, &mut out, &mut err).painted(State::Done, "Done")
    }

    #[test]
    fn colour_is_for_terminals_that_want_it() {
        let terminal =
            Surroundings { out_is_terminal: true, term: Some("xterm".into()), ..Surroundings::default() };
        assert_eq!(painted(&terminal), "\u{1b}[32mDone\u{1b}[0m");
        assert_eq!(painted(&Surroundings { no_color: Some("1".into()), ..terminal.clone() }), "Done");
        assert_eq!(
            painted(&Surroundings { no_color: Some(String::new()), ..terminal.clone() }),
            "\u{1b}[32mDone\u{1b}[0m"
        );
        assert_eq!(painted(&Surroundings { term: Some("dumb".into()), ..terminal.clone() }), "Done");
        assert_eq!(painted(&Surroundings { out_is_terminal: false, ..terminal }), "Done");
    }

    #[test]
    fn glyphs_need_a_locale_that_has_them() {
        let printed = |locale: Option<&str>| {
            let (mut out, mut err) = (Vec::new(), Vec::new());
            let surroundings = Surroundings { locale: locale.map(Into::into), ..Surroundings::default() };
            Screen::new(&surroundings, &mut out, &mut err).print("├─a → b\n│ └─✔");
            String::from_utf8(out).unwrap()
        };
        assert_eq!(printed(Some("en_GB.UTF-8")), "├─a → b\n│ └─✔");
        assert_eq!(printed(Some("C.utf8")), "├─a → b\n│ └─✔");
        assert_eq!(printed(Some("C")), "|-a -> b\n| `-+");
        assert_eq!(printed(None), "|-a -> b\n| `-+");
    }
}
