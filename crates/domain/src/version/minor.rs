//! A minor of Kubernetes: what the version-skew policy counts, and what a Cluster goes through one after another.

use std::fmt;
use std::str::FromStr;

use super::{KubernetesVersion, VersionError};

/// A minor, for example v1.36. Ordered by its two numbers; displayed with a leading `v`, whichever way it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minor {
    /// The first number of a version.
    pub major: u64,
    /// The second number of a version.
    pub minor: u64,
}

impl Minor {
    /// The minor after it, of the same major; none after the last number.
    pub fn next(self) -> Option<Self> {
        Some(Self { minor: self.minor.checked_add(1)?, ..self })
    }
}

impl From<&KubernetesVersion> for Minor {
    fn from(version: &KubernetesVersion) -> Self {
        Self { major: version.major(), minor: version.minor() }
    }
}

/// Reads `1.36` or `v1.36`: two numbers, as strict as [`KubernetesVersion::parse_strict`].
impl FromStr for Minor {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let fail = || VersionError::new(text, "a minor is two numbers, for example v1.36".to_owned());
        let bare = text.strip_prefix('v').unwrap_or(text);
        let (major, minor) = bare.split_once('.').ok_or_else(fail)?;
        let number = |digits: &str| match digits {
            "0" => Some(0),
            _ if digits.starts_with('0') => None,
            _ => super::number_of(digits),
        };
        let (major, minor) = number(major).zip(number(minor)).ok_or_else(fail)?;
        Ok(Self { major, minor })
    }
}

impl fmt::Display for Minor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minor_is_two_numbers() {
        for text in ["1.36", "v1.36", "0.0", "v2.0"] {
            let minor: Minor = text.parse().unwrap();
            assert_eq!(minor.to_string(), format!("v{}", text.trim_start_matches('v')));
        }
        for text in ["", "v", "1", "1.", ".36", "1.36.0", "1.x", "vv1.36", "1.036", "1.-1", "1.+1", " 1.36"] {
            let error = text.parse::<Minor>().unwrap_err().to_string();
            assert_eq!(
                error,
                format!("`{text}` is not a version: a minor is two numbers, for example v1.36")
            );
        }
        assert!("1.99999999999999999999".parse::<Minor>().is_err());
    }

    #[test]
    fn minors_are_ordered_by_number() {
        let minor = |text: &str| text.parse::<Minor>().unwrap();
        assert!(minor("1.9") < minor("1.10") && minor("1.99") < minor("2.0"));
        assert_eq!(minor("1.9").next(), Some(minor("1.10")));
        assert_eq!(Minor { major: 1, minor: u64::MAX }.next(), None);
        let version: KubernetesVersion = "v1.36.2-rc.1+k3s1".parse().unwrap();
        assert_eq!(Minor::from(&version), minor("v1.36"));
    }
}
