use super::*;
use proptest::prelude::*;

fn strict(text: &str) -> KubernetesVersion {
    KubernetesVersion::parse_strict(text).unwrap()
}

#[test]
fn strict_takes_semver_with_or_without_v() {
    for (text, shown) in [
        ("v1.27.3", "v1.27.3"),
        ("1.27.3", "v1.27.3"),
        ("v1.29.0-rc.1", "v1.29.0-rc.1"),
        ("v1.27.3+k3s1", "v1.27.3+k3s1"),
        ("1.0.0-alpha-1.2+b.007", "v1.0.0-alpha-1.2+b.007"),
    ] {
        assert_eq!(strict(text).to_string(), shown);
    }
}

#[test]
fn strict_refuses_the_rest() {
    for text in [
        "",
        "v",
        "1",
        "1.27",
        "v1.27",
        "1.0.0.1",
        "1.0.0p",
        "b1.2.3",
        "vv1.2.3",
        "V1.2.3",
        " 1.2.3",
        "1.2.3 ",
        "01.2.3",
        "1.2.3-",
        "1.2.3-01",
        "1.2.3+",
        "1.2.3-a..b",
        "99999999999999999999.0.0",
        "+1.2.3",
        "-1.2.3",
        "1.26.8-00",
        "1.29.0~rc.1-1.1",
        "١.٢.٣",
    ] {
        assert!(KubernetesVersion::parse_strict(text).is_err(), "{text}");
    }
}

#[test]
fn what_is_no_version_is_said_as_it_is() {
    let told = |text: &str| KubernetesVersion::parse_lenient(text).unwrap_err().to_string();
    for text in ["newest", "", "v", "1.x", "1..2", "x1.2.3"] {
        assert_eq!(told(text), format!("`{text}` is not a version: not all of its parts are numbers"));
    }
    assert!(told("1.99999999999999999999").ends_with("a number in it is not below 2^64"));
    assert!(told("1.2.3.4").ends_with("it has more than three numbers"));
}

#[test]
fn lenient_fills_in_what_is_left_out() {
    for (text, shown) in [
        ("1", "v1.0.0"),
        ("v1", "v1.0.0"),
        ("1.27", "v1.27.0"),
        ("v1.27", "v1.27.0"),
        ("v1.27.3", "v1.27.3"),
        ("01.027.03", "v1.27.3"),
        ("1.27-rc.1", "v1.27.0-rc.1"),
        ("1+build-1", "v1.0.0+build-1"),
        ("1.27.3-rc.1+k3s1", "v1.27.3-rc.1+k3s1"),
    ] {
        assert_eq!(KubernetesVersion::parse_lenient(text).unwrap().to_string(), shown);
    }
    for text in
        ["", "v", "1.", ".1", "1..2", "1.2.3.4", "1.2.x", "1-", "1+", "1-01", "1-a..b", "+1", "1.+2", " 1"]
    {
        assert!(KubernetesVersion::parse_lenient(text).is_err(), "{text}");
    }
}

#[test]
fn precedence_is_semvers_and_leaves_build_metadata_out() {
    let ordered = [
        "1.26.9",
        "1.27.0-alpha.1",
        "1.27.0-alpha.2",
        "1.27.0-beta.0",
        "1.27.0-rc.1",
        "1.27.0",
        "1.27.2",
        "1.27.10",
    ];
    for pair in ordered.windows(2) {
        assert!(strict(pair[1]).is_newer_than(&strict(pair[0])), "{pair:?}");
        assert!(!strict(pair[0]).is_newer_than(&strict(pair[1])), "{pair:?}");
    }
    let (one, two) = (strict("v1.27.3+k3s1"), strict("v1.27.3+k3s2"));
    assert_eq!(one.cmp_precedence(&two), Ordering::Equal);
    assert_ne!(one, two);
}

#[test]
fn hops() {
    for (from, to, hop) in [
        ("v1.27.3", "v1.27.3", Hop::Same),
        ("v1.27.3+a", "v1.27.3+b", Hop::Rebuild),
        ("v1.27.3", "v1.27.4", Hop::Patch),
        ("v1.27.3-rc.1", "v1.27.3", Hop::Patch),
        ("v1.27.9", "v1.28.0", Hop::NextMinor),
        ("v1.27.9", "v1.28.0-rc.1", Hop::NextMinor),
        ("v1.26.0", "v1.28.0", Hop::Minors(2)),
        ("v1.27.0", "v2.27.1", Hop::NextMajor),
        ("v1.27.0", "v2.0.0", Hop::NextMajor),
        ("v1.27.4", "v1.27.3", Hop::Downgrade),
        ("v1.27.3", "v1.27.3-rc.1", Hop::Downgrade),
        ("v1.28.0", "v1.27.9", Hop::Downgrade),
        ("v2.0.0", "v1.99.0", Hop::Downgrade),
    ] {
        assert_eq!(strict(from).hop_to(&strict(to)), hop, "{from} to {to}");
    }
    assert!(Hop::Patch.is_one_step() && Hop::NextMinor.is_one_step());
    for hop in [Hop::Same, Hop::Rebuild, Hop::Minors(2), Hop::NextMajor, Hop::Downgrade] {
        assert!(!hop.is_one_step(), "{hop:?}");
    }
}

#[test]
fn errors_are_short_and_on_one_line() {
    let error = KubernetesVersion::parse_strict(&format!("1.2\n{}", "9".repeat(10_000))).unwrap_err();
    let shown = error.to_string();
    assert!(shown.len() < 300 && !shown.contains('\n'), "{shown}");
    assert!(shown.starts_with("`1.2\\n999"), "{shown}");
}

proptest! {
    #[test]
    fn parsing_never_panics(text in ".{0,80}") {
        let _ = KubernetesVersion::parse_strict(&text).is_ok();
        let _ = KubernetesVersion::parse_lenient(&text).is_ok();
    }

    #[test]
    fn whatever_is_strict_is_lenient_and_means_the_same(
        text in "v?[0-9]{1,2}\\.[0-9]{1,3}\\.[0-9]{1,3}(-[0-9A-Za-z.-]{1,6})?(\\+[0-9A-Za-z.-]{1,6})?"
    ) {
        if let Ok(version) = KubernetesVersion::parse_strict(&text) {
            prop_assert_eq!(KubernetesVersion::parse_lenient(&text), Ok(version.clone()));
            prop_assert_eq!(version.to_string().parse(), Ok(version));
        }
    }
}
