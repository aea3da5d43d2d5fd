//! The parser: one pass over the bytes, from left to right.

use semver::{BuildMetadata, Prerelease, Version};

use super::{Comparator, Given, Operand, Operator, VersionRange};
use crate::version::number_of;

/// Longest range that is read, in bytes.
pub const MAX_BYTES: usize = 1024;

/// Why a range cannot be read. Columns count characters from one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// Nothing but white space; `*` is how to say "any".
    #[error("a version range must not be empty; `*` means any version")]
    Empty,
    /// Longer than [`MAX_BYTES`].
    #[error("a version range of {bytes} bytes is too long, {MAX_BYTES} are allowed")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// Something else stands there than the grammar allows.
    #[error("expected {expected} at column {column}, found {found}")]
    Unexpected {
        /// What could have stood there.
        expected: &'static str,
        /// What stands there: a character, or `the end`.
        found: String,
        /// Where.
        column: usize,
    },
    /// A part of a version that is neither a number nor one wildcard: `1x`, `xx`, or a number of 2^64 and more.
    #[error("`{part}` at column {column} is neither a number nor one of x, X and *")]
    Part {
        /// The part, shortened.
        part: String,
        /// Where it begins.
        column: usize,
    },
    /// A prerelease or build part that `SemVer` does not allow, such as `-01` or `-a..b`.
    #[error("`{part}` at column {column} is not a valid {kind}: {reason}")]
    Tail {
        /// The part without its `-` or `+`, shortened.
        part: String,
        /// `prerelease` or `build metadata`.
        kind: &'static str,
        /// What is wrong with it.
        reason: String,
        /// Where it begins.
        column: usize,
    },
    /// A hyphen range whose first version has an operator (`>1.26 - 1.28`).
    #[error("the hyphen range at column {column} must not begin with an operator")]
    OperatorBeforeHyphen {
        /// Where the first version begins.
        column: usize,
    },
}

const OPERATORS: [(&str, Operator); 11] = [
    // A longer symbol stands before its beginning.
    ("!=", Operator::NotEqual),
    (">=", Operator::GreaterEqual),
    ("=>", Operator::GreaterEqual),
    ("<=", Operator::LessEqual),
    ("=<", Operator::LessEqual),
    ("~>", Operator::Tilde),
    ("=", Operator::Equal),
    (">", Operator::Greater),
    ("<", Operator::Less),
    ("~", Operator::Tilde),
    ("^", Operator::Caret),
];

pub(super) fn range(text: &str) -> Result<VersionRange, RangeError> {
    if text.len() > MAX_BYTES {
        return Err(RangeError::TooLong { bytes: text.len() });
    }
    if text.bytes().all(is_space) {
        return Err(RangeError::Empty);
    }
    let mut cursor = Cursor { text, at: 0 };
    let mut groups = vec![cursor.group()?];
    while cursor.take("||") {
        groups.push(cursor.group()?);
    }
    if cursor.at == text.len() { Ok(VersionRange { groups }) } else { Err(cursor.expected(SEPARATOR)) }
}

const SEPARATOR: &str = "a space, a comma or `||`";

struct Cursor<'a> {
    text: &'a str,
    /// Always at the beginning of a character: only ASCII is stepped over.
    at: usize,
}

impl<'a> Cursor<'a> {
    /// Reads up to the end or to `||`.
    fn group(&mut self) -> Result<Vec<Comparator>, RangeError> {
        let mut group = Vec::new();
        self.spaces();
        loop {
            let after_hyphen = self.item(&mut group)?;
            let spaced = self.spaces() > 0;
            if self.rest().is_empty() || self.rest().starts_with("||") {
                return Ok(group);
            }
            if self.take(",") {
                self.spaces();
            } else if !spaced && !after_hyphen {
                // After a hyphen range Masterminds itself adds the space.
                return Err(self.expected(SEPARATOR));
            }
        }
    }

    /// Reads one comparator, or the two of a hyphen range; tells whether it was the latter.
    fn item(&mut self, group: &mut Vec<Comparator>) -> Result<bool, RangeError> {
        let operator = self.operator();
        let column = self.column();
        let operand = self.operand()?;
        if !self.hyphen() {
            group.push(Comparator { operator: operator.unwrap_or(Operator::Equal), operand });
            return Ok(false);
        }
        if operator.is_some() {
            return Err(RangeError::OperatorBeforeHyphen { column });
        }
        group.push(Comparator { operator: Operator::GreaterEqual, operand });
        group.push(Comparator { operator: Operator::LessEqual, operand: self.operand()? });
        Ok(true)
    }

    fn operator(&mut self) -> Option<Operator> {
        let (_, operator) = *OPERATORS.iter().find(|(symbol, _)| self.take(symbol))?;
        self.spaces();
        Some(operator)
    }

    /// Steps over a hyphen with white space on both sides, and over nothing else.
    fn hyphen(&mut self) -> bool {
        let before = self.at;
        if self.spaces() > 0 && self.take("-") && self.spaces() > 0 {
            return true;
        }
        self.at = before;
        false
    }

    fn operand(&mut self) -> Result<Operand, RangeError> {
        self.take("v");
        let mut parts = [self.part()?, None, None];
        for part in &mut parts[1..] {
            if !self.take(".") {
                break;
            }
            *part = self.part()?;
        }
        let pre = match self.tail('-')? {
            Some((text, column)) => {
                Prerelease::new(text).map_err(|e| tail_error(text, "prerelease", &e, column))?
            }
            None => Prerelease::EMPTY,
        };
        if let Some((text, column)) = self.tail('+')? {
            BuildMetadata::new(text).map_err(|e| tail_error(text, "build metadata", &e, column))?;
        }
        // What follows the first wildcard counts for nothing: `1.x.3` is `1.x`.
        let (given, major, minor, patch) = match parts {
            [None, ..] => (Given::Nothing, 0, 0, 0),
            [Some(major), None, _] => (Given::Major, major, 0, 0),
            [Some(major), Some(minor), None] => (Given::Minor, major, minor, 0),
            [Some(major), Some(minor), Some(patch)] => (Given::Patch, major, minor, patch),
        };
        Ok(Operand { floor: Version { major, minor, patch, pre, build: BuildMetadata::EMPTY }, given })
    }

    /// A number, or `None` for a wildcard.
    fn part(&mut self) -> Result<Option<u64>, RangeError> {
        let column = self.column();
        let part = self.run(|byte| byte.is_ascii_digit() || matches!(byte, b'x' | b'X' | b'*'));
        match part {
            "" => Err(self.expected("a number, x or *")),
            "x" | "X" | "*" => Ok(None),
            _ => number_of(part).map(Some).ok_or_else(|| RangeError::Part { part: shorten(part), column }),
        }
    }

    /// What follows `mark`, if it stands here, and its column.
    fn tail(&mut self, mark: char) -> Result<Option<(&'a str, usize)>, RangeError> {
        if !self.rest().starts_with(mark) {
            return Ok(None);
        }
        self.at += mark.len_utf8();
        let column = self.column();
        match self.run(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.')) {
            "" => Err(self.expected("a letter or a digit")),
            text => Ok(Some((text, column))),
        }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn take(&mut self, symbol: &str) -> bool {
        let found = self.rest().starts_with(symbol);
        if found {
            self.at += symbol.len();
        }
        found
    }

    fn run(&mut self, of: impl Fn(u8) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.bytes().take_while(|byte| of(*byte)).count();
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    fn spaces(&mut self) -> usize {
        self.run(is_space).len()
    }

    fn column(&self) -> usize {
        self.text.get(..self.at).unwrap_or_default().chars().count() + 1
    }

    fn expected(&self, expected: &'static str) -> RangeError {
        let found = match self.rest().chars().next() {
            Some(found) => format!("`{}`", found.escape_debug()),
            None => "the end".to_owned(),
        };
        RangeError::Unexpected { expected, found, column: self.column() }
    }
}

/// White space as Go's expressions have it.
fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace()
}

fn tail_error(text: &str, kind: &'static str, reason: &semver::Error, column: usize) -> RangeError {
    RangeError::Tail { part: shorten(text), kind, reason: reason.to_string(), column }
}

/// ASCII only, by what is read.
fn shorten(part: &str) -> String {
    const SHOWN: usize = 32;
    part.get(..SHOWN).map_or_else(|| part.to_owned(), |shown| format!("{shown}…"))
}
