//! Names of what is created for a node, as the original of the NodeOp dialect gives them.
//!
//! The rule of cutting is kept, so that names look as its users know them; two faults of it are not: a hash with leading
//! zeros is padded, and a cut that ends in `.` or `-` loses them, since no name may have them before the hash's `-`.

use domain::name;

/// Digits of the hash in a cut name.
const HASH: usize = 12;

/// `name` if it has at most `limit - 13` bytes, else its first `limit - 13` bytes, `-`, and 12 hexadecimal digits of the
/// FNV-1a hash of the whole. What stands at the end of a prefix and may not end a DNS name goes, so that a DNS name gives a
/// DNS name, also where something is appended with a `-`.
pub fn truncated(name: &str, limit: usize) -> String {
    let room = limit.saturating_sub(HASH + 1);
    if name.len() <= room {
        return ended(name).to_owned();
    }
    hashed(name, room, limit)
}

/// A label value: the same where it has at most 63 bytes and is one, else cut to 63 with a hash.
pub fn label_value(value: &str) -> String {
    if value.len() <= name::LIMIT {
        return name::label_value(value);
    }
    let illegal = |c: char| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '-' | '_');
    let cut = hashed(value, name::LIMIT - HASH - 1, name::LIMIT).replace(illegal, "_");
    cut.trim_start_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned()
}

/// `<truncated base>-<5>`, where the five letters come from `parts`: a Job of the same operation on the same node has the
/// same name in every attempt, so that it is not created twice.
pub fn child(base: &str, limit: usize, parts: &[&str]) -> String {
    format!("{}-{}", truncated(base, limit), name::suffix(parts, 5))
}

fn hashed(name: &str, room: usize, limit: usize) -> String {
    let hash = format!("{:016x}", fnv1a(name));
    let hash = &hash[..HASH.min(limit)];
    let cut = (0..=room.min(name.len())).rev().find(|at| name.is_char_boundary(*at)).unwrap_or(0);
    match ended(&name[..cut]) {
        "" => hash.to_owned(),
        prefix => format!("{prefix}-{hash}"),
    }
}

/// Without what may not end a DNS name.
fn ended(name: &str) -> &str {
    name.trim_end_matches(['.', '-'])
}

/// FNV-1a with 64 bits.
fn fnv1a(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn is_subdomain(name: &str) -> bool {
        let alphanumeric = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        name.split('.').all(|part| {
            part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
                && alphanumeric(part.chars().next())
                && alphanumeric(part.chars().last())
        })
    }

    #[test]
    fn the_hash_is_fnv1a() {
        // The vectors that its authors publish.
        assert_eq!(fnv1a(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a("a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a("foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn a_name_is_cut_from_13_below_the_limit_on() {
        let fits = "n".repeat(44);
        assert_eq!(truncated(&fits, 57), fits);
        let cut = truncated(&"n".repeat(45), 57);
        assert_eq!(cut.len(), 57);
        assert!(cut.starts_with(&format!("{}-", "n".repeat(44))), "{cut}");
        assert_ne!(truncated(&"n".repeat(253), 57), truncated(&"n".repeat(252), 57));
    }

    #[test]
    fn the_hash_of_a_cut_name_is_padded() {
        // A hash that begins with a zero: found by counting, and checked here.
        let name = (0..1_000_000)
            .map(|n| format!("{n:050}"))
            .find(|name| fnv1a(name) >> 60 == 0)
            .unwrap_or_default();
        let cut = truncated(&name, 57);
        assert_eq!(cut.len(), 57);
        assert_eq!(&cut[45..], &format!("{:016x}", fnv1a(&name))[..12]);
        assert!(cut[45..].starts_with('0'), "{cut}");
    }

    #[test]
    fn a_cut_leaves_no_dot_or_dash_before_the_hash() {
        let cut = truncated(&format!("{}.-.{}", "a".repeat(41), "b".repeat(30)), 57);
        assert_eq!(cut.len(), 41 + 1 + HASH, "{cut}");
        assert!(is_subdomain(&cut), "{cut}");
    }

    #[test]
    fn a_label_value_of_63_stays_and_a_longer_one_is_told_apart() {
        let short = "n".repeat(63);
        assert_eq!(label_value(&short), short);
        let (one, other) = (label_value(&"n".repeat(64)), label_value(&"n".repeat(65)));
        assert_eq!((one.len(), other.len()), (63, 63));
        assert_ne!(one, other);
    }

    #[test]
    fn a_child_has_the_same_name_in_every_attempt() {
        let name = child("upgrade-node-1", 57, &["uid-of-op", "node-1"]);
        assert_eq!(name, child("upgrade-node-1", 57, &["uid-of-op", "node-1"]));
        assert_ne!(name, child("upgrade-node-1", 57, &["uid-of-another", "node-1"]));
        assert!(name.starts_with("upgrade-node-1-"), "{name}");
    }

    proptest! {
        #[test]
        fn names_of_dns_names_are_dns_names(
            name in "[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?){0,6}",
            limit in 14_usize..100,
        ) {
            let cut = truncated(&name, limit);
            prop_assert!(cut.len() <= limit && is_subdomain(&cut), "{cut}");
            let child = child(&name, limit, &[&name]);
            prop_assert!(is_subdomain(&child), "{child}");
            let label = label_value(&name);
            prop_assert!(label.len() <= 63 && is_subdomain(&label), "{label}");
            prop_assert!(name.len() > 63 || label == name);
        }

        #[test]
        fn any_text_gives_a_name_within_the_limit(name in ".{0,120}", limit in 0_usize..100) {
            prop_assert!(truncated(&name, limit).len() <= limit.max(name.len().min(limit)));
            let label = label_value(&name);
            prop_assert!(label.len() <= 63);
            prop_assert!(label.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')));
        }
    }
}
