//! Deterministic names: a lost answer cannot create an object twice, because the second attempt has the same name.

use sha2::{Digest as _, Sha256};

/// Longest name of a Job, and longest label value.
pub const LIMIT: usize = 63;
/// Length of the hash at the end of a name.
const SUFFIX: usize = 5;
/// The letters of `k8s.io/apimachinery` random suffixes: no vowels, so no words.
const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// `<base>-<5>`, with 5 from the hash of `parts`. The base is cut so that the name fits 63; what a cut leaves at its end
/// of `.` and `-` goes, and letters that a name may not have become `-`.
pub fn unique(base: &str, parts: &[&str]) -> String {
    let cut = legal(base, LIMIT - SUFFIX - 1);
    format!("{cut}-{}", suffix(parts, SUFFIX))
}

/// A label value: as it is where it is one, else cut and with a hash of the whole, so that two differ where the originals
/// do (`v1.27.3+vmware.1` is not a legal value).
pub fn label_value(value: &str) -> String {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let ends = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    if value.len() <= LIMIT
        && value.chars().all(inner)
        && ends(value.chars().next())
        && ends(value.chars().last())
    {
        return value.to_owned();
    }
    let readable: String =
        value.chars().map(|c| if inner(c) { c } else { '_' }).take(LIMIT - SUFFIX - 1).collect();
    let readable = readable.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    if readable.is_empty() {
        suffix(&[value], SUFFIX)
    } else {
        format!("{readable}-{}", suffix(&[value], SUFFIX))
    }
}

/// `length` letters from the hash of `parts`; which part a letter belongs to counts.
pub fn suffix(parts: &[&str], length: usize) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize()
        .iter()
        .cycle()
        .take(length)
        .map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]))
        .collect()
}

/// A DNS subdomain: lower case, and every part between dots begins and ends with a letter or a digit.
fn legal(base: &str, limit: usize) -> String {
    let cut: String = base
        .chars()
        .map(|c| c.to_ascii_lowercase())
        .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' { c } else { '-' })
        .take(limit)
        .collect();
    let parts: Vec<&str> =
        cut.split('.').map(|part| part.trim_matches('-')).filter(|part| !part.is_empty()).collect();
    if parts.is_empty() { "x".to_owned() } else { parts.join(".") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn is_subdomain(name: &str) -> bool {
        let alphanumeric = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        name.len() <= LIMIT
            && name.split('.').all(|part| {
                part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
                    && alphanumeric(part.chars().next())
                    && alphanumeric(part.chars().last())
            })
    }

    #[test]
    fn the_same_parts_give_the_same_name() {
        let name = unique("syncer-v1.27.6", &["uid-1", "v1.27.6"]);
        assert_eq!(name, unique("syncer-v1.27.6", &["uid-1", "v1.27.6"]));
        assert_ne!(name, unique("syncer-v1.27.6", &["uid-2", "v1.27.6"]));
        assert_ne!(suffix(&["ab", "c"], 5), suffix(&["a", "bc"], 5));
        assert!(name.starts_with("syncer-v1.27.6-"), "{name}");
    }

    #[test]
    fn a_cut_leaves_no_dot_or_dash_before_the_suffix() {
        let base = format!("{}.-x", "a".repeat(55));
        let name = unique(&base, &["u"]);
        assert_eq!(name.len(), 55 + 1 + SUFFIX);
    }

    #[test]
    fn legal_label_values_stay_and_others_are_told_apart() {
        assert_eq!(label_value("v1.27.6"), "v1.27.6");
        assert_eq!(label_value(""), "");
        assert_ne!(label_value("v1.27.3+a"), label_value("v1.27.3_a"));
        assert!(label_value("v1.27.3+vmware.1").starts_with("v1.27.3_vmware.1-"));
        assert_eq!(label_value(&"x".repeat(200)).len(), LIMIT);
    }

    proptest! {
        #[test]
        fn names_are_always_legal(base in ".{0,120}", part in ".{0,20}") {
            let name = unique(&base, &[&part]);
            prop_assert!(is_subdomain(&name), "{name}");
            let value = label_value(&base);
            prop_assert!(value.len() <= LIMIT);
            prop_assert!(value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')));
        }
    }
}
