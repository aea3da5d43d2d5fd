//! Version ranges in the grammar of Masterminds/semver v3 (3.2.1), which `versionRange` has always had.
//!
//! ```text
//! range      = group *( "||" group )
//! group      = item *( separator item )         every item must hold
//! separator  = "," or white space
//! item       = operand SP "-" SP operand        both ends included
//!            | [operator] operand
//! operator   = "=" "!=" ">" "<" ">=" "=>" "<=" "=<" "~" "~>" "^"
//! operand    = ["v"] part ["." part ["." part]] ["-" prerelease] ["+" build]
//! part       = number | "x" | "X" | "*"
//! ```
//!
//! The crate `semver` has another grammar (there a bare version is a caret, and `||`, `!=`, hyphens, white space and `v`
//! are errors), so only its versions are used here.
//!
//! Everything that Masterminds 3.2.1 accepts is accepted with the same meaning, `^*` as `^0.0.0` included, but for what
//! only slips in its expressions let pass: garbage after a wildcard (`1.x.2x`), and `|` as a digit, by which `1||2 - 3`
//! without spaces means `>=1 || 2 <=3` there and `1 || 2 - 3` here. Accepted beyond it: a hyphen range after white space
//! (`!=1.27.3 1.27 - 1.28`).

mod evaluate;
mod parse;

use std::fmt;
use std::str::FromStr;

use semver::Version;

use crate::version::KubernetesVersion;

pub use parse::{MAX_BYTES, RangeError};

/// A set of versions, written as alternatives of conditions.
///
/// Displayed in one canonical form, which reads back as an equal range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionRange {
    /// Any group may hold; of a group all comparators must.
    groups: Vec<Vec<Comparator>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Comparator {
    operator: Operator,
    operand: Operand,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    /// `=` or none: exact with three numbers, else as `~`.
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterEqual,
    LessEqual,
    Tilde,
    Caret,
}

/// The right side of a comparator: its lowest version, and how many of its numbers were given.
/// Build metadata plays no part and is not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Operand {
    floor: Version,
    given: Given,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Given {
    /// `*`
    Nothing,
    /// `1`, `1.x`
    Major,
    /// `1.27`, `1.27.x`
    Minor,
    /// `1.27.3`
    Patch,
}

impl VersionRange {
    /// Whether the version is in the range. A prerelease is only where every comparator of a group names one itself
    /// (`>=1.29.0-0`), or excludes one full version (`!=1.29.0`).
    pub fn matches(&self, version: &KubernetesVersion) -> bool {
        self.groups.iter().any(|group| group.iter().all(|one| one.matches(version.as_semver())))
    }

    /// The newest of the candidates that is a strict version and in the range, with the string it came from (which keeps
    /// or lacks its `v`). Of equal ones the first.
    pub fn newest<'a>(
        &self,
        candidates: impl IntoIterator<Item = &'a str>,
    ) -> Option<(&'a str, KubernetesVersion)> {
        candidates
            .into_iter()
            .filter_map(|text| Some((text, KubernetesVersion::parse_strict(text).ok()?)))
            .filter(|(_, version)| self.matches(version))
            .reduce(|best, next| if next.1.is_newer_than(&best.1) { next } else { best })
    }
}

impl FromStr for VersionRange {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, RangeError> {
        parse::range(text)
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, group) in self.groups.iter().enumerate() {
            if index > 0 {
                f.write_str(" || ")?;
            }
            for (index, one) in group.iter().enumerate() {
                if index > 0 {
                    f.write_str(" ")?;
                }
                write!(f, "{}{}", one.operator.symbol(), one.operand)?;
            }
        }
        Ok(())
    }
}

impl Operator {
    fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "",
            Self::NotEqual => "!=",
            Self::Greater => ">",
            Self::Less => "<",
            Self::GreaterEqual => ">=",
            Self::LessEqual => "<=",
            Self::Tilde => "~",
            Self::Caret => "^",
        }
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Version { major, minor, patch, pre, build: _ } = &self.floor;
        match self.given {
            Given::Nothing => f.write_str("*")?,
            Given::Major => write!(f, "{major}.x")?,
            Given::Minor => write!(f, "{major}.{minor}.x")?,
            Given::Patch => write!(f, "{major}.{minor}.{patch}")?,
        }
        if pre.is_empty() { Ok(()) } else { write!(f, "-{pre}") }
    }
}

#[cfg(test)]
mod tests;
