mod properties;

use super::*;

fn version(text: &str) -> KubernetesVersion {
    text.parse().unwrap()
}

fn images(texts: &[&str]) -> Vec<Hop<usize>> {
    texts.iter().enumerate().map(|(image, text)| Hop { version: version(text), image }).collect()
}

fn listed(texts: &[&str]) -> Vec<Box<str>> {
    texts.iter().map(|&text| text.into()).collect()
}

/// The versions of the hops, and what stops them: `v1.35.4 v1.36.2`, `v1.35.4 | Missing(v1.36)`.
fn walk(from: &str, worker: Option<&str>, to: &str, class: &[&str], has: &[&str]) -> String {
    let (class, has, worker) = (listed(class), images(has), worker.map(version));
    let allowed = Allowed::of_class(&class);
    let found = path(&version(from), worker.as_ref(), &version(to), allowed, &has);
    let hops: Vec<String> = found.hops.iter().map(|hop| hop.version.to_string()).collect();
    match found.stopped {
        None => hops.join(" "),
        Some(stopped) => format!("{} | {stopped}", hops.join(" ")).trim().to_owned(),
    }
}

const THREE: &[&str] = &["v1.34.1", "v1.34.3", "v1.35.0", "v1.35.4", "v1.36.2", "v1.36.1"];

#[test]
fn one_minor_after_another_to_the_newest_of_each() {
    for (from, to, way) in [
        ("v1.33.9", "v1.36.2", "v1.34.3 v1.35.4 v1.36.2"),
        ("v1.34.0", "v1.36.2", "v1.35.4 v1.36.2"),
        ("v1.34.9", "v1.36.2", "v1.35.4 v1.36.2"),
        ("v1.35.9", "v1.36.2", "v1.36.2"),
        // Straight to the target within its minor, and never above it.
        ("v1.34.0", "v1.34.3", "v1.34.3"),
        ("v1.34.0", "v1.34.1", "v1.34.1"),
        ("v1.34.3", "v1.35.0", "v1.35.0"),
        ("v1.36.2", "v1.36.2", ""),
    ] {
        assert_eq!(walk(from, None, to, &[], THREE), way, "{from} to {to}");
    }
}

#[test]
fn a_missing_image_stops_at_the_minor_that_lacks_it() {
    let without_35 = &["v1.34.3", "v1.36.2"];
    assert_eq!(
        walk("v1.33.0", None, "v1.36.2", &[], without_35),
        "v1.34.3 | v1.35 must come first, and has no image"
    );
    assert_eq!(
        walk("v1.34.3", None, "v1.36.2", &[], without_35),
        "| v1.35 must come first, and has no image"
    );
    assert_eq!(walk("v1.35.0", None, "v1.36.3", &[], THREE), "| v1.36.3 has no image");
    assert_eq!(walk("v1.36.1", None, "v1.36.3", &[], THREE), "| v1.36.3 has no image");
    assert_eq!(walk("v1.35.0", None, "v1.36.0", &[], &[]), "| v1.36.0 has no image");
}

#[test]
fn only_what_the_class_lists_counts() {
    let class = &["v1.34.1", "v1.35.0", "v1.36.2"];
    assert_eq!(walk("v1.33.0", None, "v1.36.2", class, THREE), "v1.34.1 v1.35.0 v1.36.2");
    // The texts are compared.
    assert_eq!(
        walk("v1.35.0", None, "v1.36.2", &["1.36.2"], THREE),
        "| the ClusterClass lists no version of v1.36 that has an image and leads on; the newest image is of v1.36.2"
    );
    // Instead of a target that is not listed, the newest listed one of its minor below it.
    let below = "v1.36.1 | the ClusterClass lists no version of v1.36 that has an image and leads on; the newest image \
                 is of v1.36.2";
    assert_eq!(walk("v1.35.0", None, "v1.36.2", &["v1.36.0", "v1.36.1", "v1.36.9"], THREE), below);
    assert_eq!(walk("v1.36.0", None, "v1.36.2", &["v1.36.1"], THREE), below);
    assert_eq!(
        walk("v1.34.0", None, "v1.36.2", &["v1.34.0", "v1.35.9", "v1.36.2"], THREE),
        "| the ClusterClass lists no version of v1.35 that has an image and leads on; the newest image is of v1.35.4"
    );
    assert_eq!(walk("v1.35.4", None, "v1.36.2", &["v1.35.4"], &[]), "| v1.36.2 has no image");
    assert_eq!(walk("v1.34.3", None, "v1.36.2", class, &[]), "| v1.35 must come first, and has no image");
}

#[test]
fn workers_hold_back_a_minor_and_not_a_patch() {
    assert_eq!(walk("v1.34.0", Some("v1.32.9"), "v1.36.2", &[], THREE), "v1.35.4 v1.36.2");
    assert_eq!(
        walk("v1.34.0", Some("v1.31.9"), "v1.36.2", &[], THREE),
        "| a worker has v1.31.9, and a control plane of v1.35 takes none that is more than 3 minors older"
    );
    assert_eq!(walk("v1.34.0", Some("v1.20.0"), "v1.34.3", &[], THREE), "v1.34.3");
    let old = images(&["v1.26.0", "v1.27.0"]);
    let skew = |worker: &str, to: &str| {
        next_hop(&version("v1.25.0"), Some(&version(worker)), &version(to), Allowed::All, &old).err()
    };
    assert_eq!(skew("v1.24.0", "v1.26.0"), None);
    let worker = version("v1.23.0");
    let next = Minor { major: 1, minor: 26 };
    assert_eq!(skew("v1.23.0", "v1.26.0"), Some(NoHop::WorkerSkew { next, worker, most: 2 }));
    let worker = version("v0.26.0");
    assert_eq!(skew("v0.26.0", "v1.26.0"), Some(NoHop::WorkerSkew { next, worker, most: 2 }));
    assert_eq!(skew("v1.26.0", "v1.26.0"), None);
}

#[test]
fn what_is_never_asked_for() {
    for (from, to, why) in [
        ("v1.36.3", "v1.36.2", NoHop::Downgrade),
        ("v2.0.0", "v1.36.2", NoHop::Downgrade),
        ("v1.36.2", "v1.36.2-rc.1", NoHop::Downgrade),
        ("v1.36.2", "v2.0.0", NoHop::NextMajor),
        ("v1.36.2+a", "v1.36.2+b", NoHop::Rebuild),
        ("v1.36.2", "v1.36.2", NoHop::Done),
    ] {
        let has = images(&[to]);
        assert_eq!(
            next_hop(&version(from), None, &version(to), Allowed::All, &has),
            Err(why),
            "{from} to {to}"
        );
    }
}

#[test]
fn prereleases_count_where_they_are_handed_over() {
    let has = &["v1.35.4", "v1.35.5-rc.1", "v1.36.0-rc.0", "v1.36.0-rc.1"];
    assert_eq!(walk("v1.34.0", None, "v1.36.0-rc.1", &[], has), "v1.35.5-rc.1 v1.36.0-rc.1");
    assert_eq!(walk("v1.36.0-rc.0", None, "v1.36.0-rc.1", &[], has), "v1.36.0-rc.1");
    assert_eq!(walk("v1.36.0-rc.1", None, "v1.36.0", &[], &["v1.36.0"]), "v1.36.0");
}

#[test]
fn of_equally_new_versions_the_first_counts_and_the_target_is_exact() {
    let ways = ["v1.35.4+k3s1", "v1.35.4+k3s2", "v1.36.2+k3s1", "v1.36.2+k3s2"];
    assert_eq!(walk("v1.34.0", None, "v1.36.2+k3s2", &[], &ways), "v1.35.4+k3s1 v1.36.2+k3s2");
    let reversed: Vec<&str> = ways.iter().rev().copied().collect();
    assert_eq!(walk("v1.34.0", None, "v1.36.2+k3s2", &[], &reversed), "v1.35.4+k3s2 v1.36.2+k3s2");
    // A rebuild of the target is not the target, and not below it.
    assert_eq!(walk("v1.35.0", None, "v1.36.2", &[], &["v1.36.2+k3s1"]), "| v1.36.2 has no image");
    let twice = images(&["v1.36.2", "v1.36.2"]);
    let hop = next_hop(&version("v1.35.0"), None, &version("v1.36.2"), Allowed::All, &twice);
    assert_eq!(hop.map(|hop| hop.image), Ok(0));
}

/// Those of the page for users.
#[test]
fn the_examples_of_the_page() {
    let page = include_str!("../../../../docs/paths.md");
    let without_35: Vec<&str> = THREE.iter().filter(|text| !text.starts_with("v1.35")).copied().collect();
    let more: Vec<&str> = THREE.iter().filter(|text| **text != "v1.36.1").copied().collect();
    let newest = "v1.36.2";
    for (row, (from, worker, to, class, has), hops) in [
        (
            "| several minors | v1.33.9 |",
            ("v1.33.9", None, newest, &[][..], &more),
            "v1.34.3 v1.35.4 v1.36.2",
        ),
        (
            "| not to the last patch first | v1.34.1 |",
            ("v1.34.1", None, newest, &[], &more),
            "v1.35.4 v1.36.2",
        ),
        ("| patch only | v1.36.0 |", ("v1.36.0", None, newest, &[], &more), "v1.36.2"),
        (
            "| the class lists v1.34.1, v1.35.0, v1.36.2 | v1.34.1 |",
            ("v1.34.1", None, newest, &["v1.34.1", "v1.35.0", "v1.36.2"], &more),
            "v1.35.0 v1.36.2",
        ),
        (
            "| the class lists v1.35.4, v1.36.1 | v1.35.4 |",
            ("v1.35.4", None, newest, &["v1.35.4", "v1.36.1"], &more),
            "NotListed",
        ),
        (
            "| the same, with an image of v1.36.1 | v1.35.4 |",
            ("v1.35.4", None, newest, &["v1.35.4", "v1.36.1"], &THREE.to_vec()),
            "v1.36.1 NotListed",
        ),
        (
            "| the image of v1.35.0 and that of v1.35.4 are gone | v1.34.3 |",
            ("v1.34.3", None, newest, &[], &without_35),
            "Missing",
        ),
        (
            "| a worker has been held back at v1.31.9 | v1.34.3 |",
            ("v1.34.3", Some("v1.31.9"), newest, &[], &more),
            "WorkerSkew",
        ),
        (
            "| the same worker, patch only | v1.34.1, with a target of v1.34.3 |",
            ("v1.34.1", Some("v1.31.9"), "v1.34.3", &[], &more),
            "v1.34.3",
        ),
    ] {
        let told = page.lines().find(|line| line.starts_with(row)).unwrap_or_else(|| panic!("{row}"));
        let (class, has, worker) = (listed(class), images(has), worker.map(version));
        let allowed = Allowed::of_class(&class);
        let found = path(&version(from), worker.as_ref(), &version(to), allowed, &has);
        let mut words: Vec<String> = found.hops.iter().map(|hop| hop.version.to_string()).collect();
        let cell = told[row.len()..].split('|').next().unwrap().trim();
        assert!(cell == words.join(", ") || (words.is_empty() && cell.starts_with("none")), "{told}");
        words.extend(found.stopped.map(|it| format!("{it:?}").split(' ').next().unwrap().to_owned()));
        assert_eq!(words.join(" "), hops, "{row}");
    }
}
