//! `completion`: scripts for shells, and the candidates that kubectl asks `kubectl_complete-upgrader` for.

use clap::{Command, CommandFactory as _};

use crate::args::{self, Arguments};
use crate::screen::Screen;
use crate::{End, Failure};

/// Of kubectl's completion protocol: these candidates and no file names.
const NO_FILES: &str = ":4";
/// Of the same: what the shell does by itself, which is file names.
const FILES: &str = ":0";

pub(crate) fn script(verb: &args::Completion, screen: &mut Screen<'_>) -> Result<End, Failure> {
    let mut script = Vec::new();
    let mut command = Arguments::command();
    command = command.bin_name("kubectl-upgrader");
    clap_complete::generate(verb.shell, &mut command, "kubectl-upgrader", &mut script);
    screen.print_data(&String::from_utf8(script)?);
    Ok(End::Done)
}

pub(crate) fn complete(verb: &args::Complete, screen: &mut Screen<'_>) -> End {
    screen.print_data(&candidates(&verb.words));
    End::Done
}

/// The candidates for the last word, one a line, and what the shell is to do besides.
fn candidates(words: &[String]) -> String {
    let root = Arguments::command();
    let (last, before) = words.split_last().map_or(("", &[][..]), |(last, before)| (last.as_str(), before));
    let verb = before.iter().find_map(|word| root.find_subcommand(word));
    let command = verb.unwrap_or(&root);
    let previous = before.last().map(String::as_str).unwrap_or_default();
    if let Some(flag) = flag(&root, command, previous) {
        return match flag.get_possible_values().as_slice() {
            [] if flag.get_id() == "files" || flag.get_id() == "kubeconfig" => format!("{FILES}\n"),
            [] => format!("{NO_FILES}\n"),
            values => listed(values.iter().map(|value| value.get_name().to_owned()), last),
        };
    }
    if last.starts_with('-') {
        let flags = command.get_arguments().chain(root.get_arguments()).filter(|flag| !flag.is_hide_set());
        let mut names: Vec<String> =
            flags.filter_map(|flag| Some(format!("--{}", flag.get_long()?))).collect();
        names.sort();
        names.dedup();
        return listed(names, last);
    }
    match verb {
        None => listed(
            root.get_subcommands().filter(|verb| !verb.is_hide_set()).map(|verb| verb.get_name().to_owned()),
            last,
        ),
        Some(verb) => {
            let values = verb.get_positionals().flat_map(clap::Arg::get_possible_values);
            listed(values.map(|value| value.get_name().to_owned()), last)
        }
    }
}

/// The flag that a word is, if it takes a value.
fn flag<'a>(root: &'a Command, command: &'a Command, word: &str) -> Option<&'a clap::Arg> {
    let called = |flag: &&clap::Arg| {
        let short = flag.get_short().is_some_and(|short| word == format!("-{short}"));
        let long = flag.get_long().is_some_and(|long| word == format!("--{long}"));
        (short || long) && flag.get_action().takes_values()
    };
    command.get_arguments().chain(root.get_arguments()).find(called)
}

fn listed(words: impl IntoIterator<Item = String>, start: &str) -> String {
    let mut text = String::new();
    for word in words.into_iter().filter(|word| word.starts_with(start)) {
        text.push_str(&word);
        text.push('\n');
    }
    text + NO_FILES + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(words: &[&str]) -> String {
        candidates(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn candidates_are_what_kubectl_reads() {
        assert_eq!(after(&["tr"]), "trace\n:4\n");
        assert_eq!(after(&["get", "-o", "w"]), "wide\n:4\n");
        assert_eq!(after(&["lint", "-f", ""]), ":0\n");
        assert_eq!(after(&["lint", "--str"]), "--strict\n:4\n");
        assert_eq!(after(&["completion", "ba"]), "bash\n:4\n");
        assert!(!after(&[""]).contains("__complete"));
    }
}
