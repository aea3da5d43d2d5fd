//! Kubernetes versions: `SemVer` 2 with an optional leading `v`, and the one question that an upgrade asks of two of them.
//!
//! Build metadata (`+k3s1`) has no order in `SemVer`, so a version has no `Ord` here: [`KubernetesVersion::cmp_precedence`]
//! decides what is newer, and `==` says whether two are the same in every part. Two versions that differ in their build
//! metadata only are neither newer nor equal; [`Hop::Rebuild`] is the name of that case.

mod minor;

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use semver::{BuildMetadata, Prerelease, Version};

pub use self::minor::Minor;

/// A version of Kubernetes. Displayed with a leading `v`, whichever way it was written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KubernetesVersion(Version);

/// A string that is not a version. Says why; the caller says whose string it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a version: {reason}")]
pub struct VersionError {
    /// The beginning of the string.
    text: String,
    reason: String,
}

/// What going from one version to another would be. Cluster API takes a patch or the next minor, nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hop {
    /// The two are equal in every part.
    Same,
    /// Equal but for build metadata, which has no order.
    Rebuild,
    /// A newer version of the same minor.
    Patch,
    /// Any version of the next minor of the same major.
    NextMinor,
    /// This many minors ahead, two or more: the ones between must come first.
    Minors(u64),
    /// A later major, which no rule of Kubernetes covers.
    NextMajor,
    /// An older version. Never asked for.
    Downgrade,
}

impl KubernetesVersion {
    /// Reads `SemVer` 2 with an optional leading `v`; `1.27` and `1.0.0.1` are refused.
    /// Versions of a source and of a `MachineImage` are read this way.
    pub fn parse_strict(text: &str) -> Result<Self, VersionError> {
        let bare = text.strip_prefix('v').unwrap_or(text);
        Version::parse(bare).map(Self).map_err(|error| VersionError::new(text, error.to_string()))
    }

    /// Reads what Masterminds `NewVersion` reads: also `1`, `1.27` and numbers with leading zeros.
    /// Versions of a Cluster are read this way, since the original did.
    pub fn parse_lenient(text: &str) -> Result<Self, VersionError> {
        let fail = |reason: &str| VersionError::new(text, reason.to_owned());
        let bare = text.strip_prefix('v').unwrap_or(text);
        let (rest, build) = split(bare, '+');
        let (numbers, pre) = split(rest, '-');

        let mut parts = [0_u64; 3];
        for (index, number) in numbers.split('.').enumerate() {
            let part = parts.get_mut(index).ok_or_else(|| fail("it has more than three numbers"))?;
            let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
            let too_large = "a number in it is not below 2^64";
            let reason = if digits { too_large } else { "not all of its parts are numbers" };
            *part = number_of(number).ok_or_else(|| fail(reason))?;
        }
        let [major, minor, patch] = parts;
        let pre = match pre {
            Some("") => return Err(fail("nothing follows its `-`")),
            Some(pre) => Prerelease::new(pre).map_err(|error| VersionError::new(text, error.to_string()))?,
            None => Prerelease::EMPTY,
        };
        let build = match build {
            Some("") => return Err(fail("nothing follows its `+`")),
            Some(build) => {
                BuildMetadata::new(build).map_err(|error| VersionError::new(text, error.to_string()))?
            }
            None => BuildMetadata::EMPTY,
        };
        Ok(Self(Version { major, minor, patch, pre, build }))
    }

    /// Which of the two is newer by `SemVer` precedence, build metadata aside.
    pub fn cmp_precedence(&self, other: &Self) -> Ordering {
        self.0.cmp_precedence(&other.0)
    }

    /// Whether this one is strictly newer by precedence.
    pub fn is_newer_than(&self, other: &Self) -> bool {
        self.cmp_precedence(other) == Ordering::Greater
    }

    /// What going from this version to `to` would be.
    pub fn hop_to(&self, to: &Self) -> Hop {
        let minors = to.0.minor.saturating_sub(self.0.minor);
        match self.cmp_precedence(to) {
            Ordering::Greater => Hop::Downgrade,
            Ordering::Equal if self == to => Hop::Same,
            Ordering::Equal => Hop::Rebuild,
            Ordering::Less if to.0.major != self.0.major => Hop::NextMajor,
            Ordering::Less => match minors {
                0 => Hop::Patch,
                1 => Hop::NextMinor,
                _ => Hop::Minors(minors),
            },
        }
    }

    /// The first number.
    pub fn major(&self) -> u64 {
        self.0.major
    }

    /// The second number: what Kubernetes calls a minor.
    pub fn minor(&self) -> u64 {
        self.0.minor
    }

    /// The third number.
    pub fn patch(&self) -> u64 {
        self.0.patch
    }

    /// Whether it is an alpha, a beta or a release candidate.
    pub fn is_prerelease(&self) -> bool {
        !self.0.pre.is_empty()
    }

    /// All its parts.
    pub fn as_semver(&self) -> &Version {
        &self.0
    }
}

impl From<Version> for KubernetesVersion {
    fn from(version: Version) -> Self {
        Self(version)
    }
}

/// As [`KubernetesVersion::parse_strict`].
impl FromStr for KubernetesVersion {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        Self::parse_strict(text)
    }
}

impl fmt::Display for KubernetesVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

impl Hop {
    /// Whether Cluster API takes it in one write: a patch, or the next minor.
    pub fn is_one_step(self) -> bool {
        matches!(self, Self::Patch | Self::NextMinor)
    }
}

impl VersionError {
    /// Long enough for every real version; the string may come from anybody's object.
    const SHOWN: usize = 64;

    fn new(text: &str, reason: String) -> Self {
        let mut shown: String = text.chars().take(Self::SHOWN).collect();
        if shown.len() < text.len() {
            shown.push('…');
        }
        Self { text: shown.escape_debug().to_string(), reason }
    }
}

fn split(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(before, after)| (before, Some(after)))
}

/// Digits only: `u64::from_str` would also take a sign.
pub(crate) fn number_of(digits: &str) -> Option<u64> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests;
