//! A release file: assignments as a shell has them, one a line, and nothing that is run.

use std::collections::BTreeMap;

/// The variables of a release file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Release(BTreeMap<String, String>);

impl Release {
    /// Reads the text of a file by the rules of os-release: of a variable that is assigned twice, the last counts; what is no
    /// assignment is passed over.
    pub(super) fn read(text: &str) -> Self {
        let assignments = text.lines().filter_map(|line| {
            let line = line.trim();
            let (name, value) = line.strip_prefix("export ").unwrap_or(line).split_once('=')?;
            let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            (is_name && !name.is_empty()).then(|| (name.to_owned(), unquoted(value)))
        });
        Self(assignments.collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// In double quotes a backslash takes away the meaning of `"`, `\`, `$` and a backquote; in single quotes nothing has one.
fn unquoted(value: &str) -> String {
    let within = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    if let Some(text) = within('\'') {
        return text.to_owned();
    }
    let Some(text) = within('"') else { return value.to_owned() };
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match (character, rest.peek()) {
            ('\\', Some(&escaped @ ('"' | '\\' | '$' | '`'))) => {
                plain.push(escaped);
                rest.next();
            }
            _ => plain.push(character),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments_are_read_as_a_shell_reads_them() {
        let release = Release::read(
            "# a comment\nA=plain\nB=\"in \\\"double\\\" \\$quotes\"\nC='in $single quotes'\nexport D=exported\n  E = no\nA=last\nF=\nG=\"\nno assignment\n=nameless\n",
        );
        assert_eq!(release.get("A"), Some("last"));
        assert_eq!(release.get("B"), Some("in \"double\" $quotes"));
        assert_eq!(release.get("C"), Some("in $single quotes"));
        assert_eq!(release.get("D"), Some("exported"));
        assert_eq!((release.get("E"), release.get("E ")), (None, None));
        assert_eq!((release.get("F"), release.get("G"), release.get("")), (Some(""), Some("\""), None));
    }
}
