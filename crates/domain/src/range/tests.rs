use super::*;
use proptest::prelude::*;

const ORACLE: &str = include_str!("tests/masterminds-3.2.1.tsv");

fn range(text: &str) -> VersionRange {
    text.parse().unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

fn version(text: &str) -> KubernetesVersion {
    text.parse().unwrap()
}

fn error(text: &str) -> String {
    text.parse::<VersionRange>().expect_err(text).to_string()
}

#[test]
fn answers_are_those_of_masterminds() {
    let mut rows = ORACLE.lines().filter(|line| !line.starts_with('#')).map(|line| {
        line.split_once('\t').map(|(range, versions)| (range, versions.split(' '))).expect("two columns")
    });
    let all: Vec<&str> = rows.next().unwrap().1.collect();
    let mut checked = 0;
    for (quoted, expected) in rows {
        let text = quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).expect(quoted);
        let range = range(text);
        let found: Vec<&str> = all.iter().copied().filter(|one| range.matches(&version(one))).collect();
        let expected: Vec<&str> = expected.filter(|one| !one.is_empty()).collect();
        assert_eq!(found, expected, "{text:?}, read as {range}");
        checked += 1;
    }
    assert!(checked > 150, "{checked}");
}

#[test]
fn the_table_of_the_original() {
    // T1: what compiles, and what does not.
    for text in ["1.0.x", "^1.0", "=1.0.0", "~1.0", ">=1.0", ">0,<2.0"] {
        range(text);
    }
    for text in ["1.0.0p", "1x", "x1", "-1", "a", ""] {
        error(text);
    }
    // T2: malformed candidates are passed over.
    let newest = |candidates: &[&'static str]| {
        range("1.0.x").newest(candidates.iter().copied()).map(|(text, version)| (text, version.to_string()))
    };
    let found = newest(&["1.0.0", "1.0.0.1", "1.0.0p", "1.0.1", "1.2.0", "0.1.0"]);
    assert_eq!(found, Some(("1.0.1", "v1.0.1".to_owned())));
    // T3: the string comes back as it was.
    assert_eq!(newest(&["v1.2.3", "v1.0.0", "v0.1.0"]), Some(("v1.0.0", "v1.0.0".to_owned())));
    // T4: nothing.
    assert_eq!(newest(&["b1.0.0", "b1.0.1"]), None);
    assert_eq!(newest(&[]), None);
    assert_eq!(newest(&["1.2.3", "0.1.0"]), None);
}

#[test]
fn of_equal_candidates_the_first_is_kept() {
    let candidates = ["1.27.2", "1.27.3+a", "v1.27.3", "1.27.3+b", "1.27.1"];
    let (text, version) = range("1.27.x").newest(candidates).unwrap();
    assert_eq!((text, version.to_string()), ("1.27.3+a", "v1.27.3+a".to_owned()));
}

#[test]
fn prereleases_must_be_asked_for() {
    let candidates = ["v1.28.4", "v1.29.0-rc.1", "v1.29.0-rc.0"];
    assert_eq!(range(">=1.28").newest(candidates).unwrap().0, "v1.28.4");
    assert_eq!(range("*").newest(candidates).unwrap().0, "v1.28.4");
    assert_eq!(range(">=1.29.0-0").newest(candidates).unwrap().0, "v1.29.0-rc.1");
    assert_eq!(range(">=1.29.0-0 !=1.29.0").newest(candidates).unwrap().0, "v1.29.0-rc.1");
    assert_eq!(range(">=1.29.0-0 !=1.30").newest(candidates), None);
    assert_eq!(range(">=1.29.0-0 <1.30").newest(candidates), None);
}

/// Each of these is an error in Masterminds 3.2.1 too, but for those in the test below.
#[test]
fn what_is_no_range() {
    for text in [
        " ",
        "xx",
        "1.2.3.4",
        "1.",
        ".1",
        "1..2",
        "1.27.",
        "1.2.3-",
        "1.2.3+",
        "1.2.3-01",
        "1.2.3-a..b",
        "1.2.3-a.",
        "==1",
        "=!1",
        "> =1",
        ">",
        ">= ",
        "!1",
        "<>1",
        "^^1",
        "~=1",
        "1 ||",
        "|| 1",
        "1 || || 2",
        "1 | 2",
        "1|2",
        "1,",
        ",1",
        "1,,2",
        "1 2,",
        ">=1.27<1.29",
        "1.27-",
        "1 -",
        "- 1",
        "1 - ",
        "1 -2",
        "1 - 2 - 3",
        ">1 - 2",
        "~1 - 2",
        "1 - >2",
        "V1.27",
        "vv1",
        "v",
        "v 1",
        "99999999999999999999",
        "1.99999999999999999999",
        "latest",
        "1.27.x;1.28.x",
        "1.27 and 1.28",
        "１.27",
        "1.27\u{a0}1.28",
        "≥1.27",
        "1.27.x\0",
        "1\u{b}2",
        "1.27🚀",
        "é",
    ] {
        error(text);
    }
}

#[test]
fn where_masterminds_is_not_followed() {
    // It reads `|` as a digit, finds `1||2` to be the beginning of the hyphen range, and then splits.
    let shown = range("1||2 - 3").to_string();
    assert_eq!(shown, "1.x || >=2.x <=3.x");
    // It takes anything made of digits, wildcards and `|` after a wildcard.
    error("1.x.2x");
    error("1.x.|");
    // It loses the space before the hyphen range.
    assert_eq!(range("!=1.27.3 1.27 - 1.28").to_string(), "!=1.27.3 >=1.27.x <=1.28.x");
}

#[test]
fn the_canonical_form() {
    for (text, shown) in [
        ("v1.27", "1.27.x"),
        ("= 1.27.3", "1.27.3"),
        ("=> 1.27,=<v1.29.x", ">=1.27.x <=1.29.x"),
        ("~> 1.27.3||^1", "~1.27.3 || ^1.x"),
        ("X.1.2", "*"),
        ("*-0", "*-0"),
        (">=1.29-rc.1+k3s1", ">=1.29.x-rc.1"),
        ("1.26 - 1.28.4", ">=1.26.x <=1.28.4"),
        ("01.027.03", "1.27.3"),
    ] {
        assert_eq!(range(text).to_string(), shown);
        assert_eq!(range(shown), range(text));
    }
}

#[test]
fn errors_say_what_and_where() {
    for (text, shown) in [
        ("", "a version range must not be empty; `*` means any version"),
        ("latest", "expected a number, x or * at column 1, found `l`"),
        ("1.27.", "expected a number, x or * at column 6, found the end"),
        (">=1.27<1.29", "expected a space, a comma or `||` at column 7, found `<`"),
        ("1.27.3p", "expected a space, a comma or `||` at column 7, found `p`"),
        ("1.27 || ", "expected a number, x or * at column 9, found the end"),
        ("1.27 ≥1.28", "expected a number, x or * at column 6, found `≥`"),
        ("1.27 \u{1f680}", "expected a number, x or * at column 6, found `🚀`"),
        ("1.27\n-", "expected a number, x or * at column 6, found `-`"),
        ("1.27\0", "expected a space, a comma or `||` at column 5, found `\\0`"),
        (">=1x", "`1x` at column 3 is neither a number nor one of x, X and *"),
        (">1.26 - 1.28", "the hyphen range at column 2 must not begin with an operator"),
        ("1.27.3-", "expected a letter or a digit at column 8, found the end"),
    ] {
        assert_eq!(error(text), shown);
    }
    let shown = error("1.29.0-01");
    assert!(shown.starts_with("`01` at column 8 is not a valid prerelease: "), "{shown}");
    let shown = error(&format!("1.{}", "9".repeat(1000)));
    assert!(shown.len() < 150, "{shown}");
}

#[test]
fn a_long_range_is_refused_unread() {
    let longest = "1.27.3 || ".repeat(MAX_BYTES).split_at(MAX_BYTES - 4).0.to_owned();
    assert!(format!("{longest}1.27").parse::<VersionRange>().is_ok());
    assert_eq!(
        "1".repeat(MAX_BYTES + 1).parse::<VersionRange>(),
        Err(RangeError::TooLong { bytes: MAX_BYTES + 1 })
    );
}

proptest! {
    #[test]
    fn parsing_never_panics(text in ".{0,60}") {
        let _ = text.parse::<VersionRange>().is_ok();
    }

    #[test]
    fn nor_on_what_looks_like_a_range(text in "[ ,|=!<>~^v0-2xX*.+a-]{0,24}") {
        if let Ok(range) = text.parse::<VersionRange>() {
            prop_assert_eq!(range.to_string().parse::<VersionRange>(), Ok(range));
        }
    }

    #[test]
    fn the_canonical_form_means_the_same(
        items in prop::collection::vec(
            "(=|!=|>|<|>=|=>|<=|=<|~|~>|\\^)? ?v?[0-3*](\\.([0-3x]))?(\\.[0-3X])?(-(0|rc\\.1|a-b))?(\\+b)?( - 3\\.1)?",
            1..5,
        ),
        joined in prop::sample::select(vec![", ", " || "]),
        (major, minor, patch) in (0_u64..4, 0_u64..4, 0_u64..4),
        pre in prop::sample::select(vec!["", "-0", "-rc.1", "-z"]),
    ) {
        let version = version(&format!("{major}.{minor}.{patch}{pre}"));
        if let Ok(range) = items.join(joined).parse::<VersionRange>() {
            let again: VersionRange = range.to_string().parse().unwrap();
            prop_assert_eq!(&again, &range);
            prop_assert_eq!(again.matches(&version), range.matches(&version));
        }
    }
}
