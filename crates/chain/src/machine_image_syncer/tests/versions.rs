//! Which versions are chosen: one or one of each minor, old enough, and not denied.

use super::*;

/// The chain with versions of several minors in the source, and `more` in the syncer's spec.
fn chain(more: &str, packages: &str) -> World {
    let yaml = CHAIN
        .replace("versionRange: v1.27.x", &format!("versionRange: '>=1.27 <1.30'\n{more}"))
        .replace(
            "status: {versions: [v1.27.5, v1.27.6, v1.28.1]}",
            &format!(
                "status:\n  versions: [v1.26.9, v1.27.5, v1.27.6, v1.28.1, v1.28.2, v1.29.0, v1.30.0]\n  packages: [{packages}]"
            ),
        );
    World::new(&yaml)
}

/// The versions that have an image, sorted.
fn made(world: &World) -> Vec<&str> {
    let mut made: Vec<_> =
        world.images().iter().map(|image| image["spec"]["version"].as_str().unwrap()).collect();
    made.sort_unstable();
    made
}

#[test]
fn the_newest_of_each_minor_gets_an_image_the_oldest_first() {
    let mut world = chain("  versionPolicy: NewestOfEachMinor", "");
    let first = world.pass(at(0));
    assert_eq!(made(&world), ["v1.27.6"], "one in a pass, so that each is told of");
    assert_eq!(
        first.decided,
        "wait: CreatingImage - the machine image for v1.28.2 is next to be made\nagain in 0 s"
    );
    assert_eq!(first.notes().len(), 1);
    let (steps, last) = world.settle(at(1));
    assert_eq!(made(&world), ["v1.27.6", "v1.28.2", "v1.29.0"]);
    let versions: Vec<_> = steps.iter().filter_map(|step| step.split(" for ").nth(1)).collect();
    assert_eq!(versions, ["v1.28.2", "v1.29.0"]);
    assert_eq!(last.decided, "done");
    let status = &world.syncer()["status"];
    assert_eq!(status["latestVersion"], "v1.29.0");
    let message = status["conditions"][0]["message"].as_str().unwrap().to_owned();
    assert_eq!(message.matches(" has MachineImage ").count(), 3, "{message}");
    assert_eq!(world.pass(at(2)).report, Report::default());
}

#[test]
fn a_minor_that_is_held_up_holds_up_no_other() {
    let mut world = chain("  versionPolicy: NewestOfEachMinor", "");
    world.settle(at(0));
    let name = world.images()[0]["metadata"]["name"].clone();
    world.objects.retain(|object| object["kind"] != "MachineImage");
    world.restart();
    let foreign = json!({"kind": "MachineImage", "metadata": {"name": name}, "spec": {"version": "v9.9.9"}});
    world.objects.extend(testkit::objects(&foreign.to_string()));
    let (_, last) = world.settle(at(60));
    assert_eq!(made(&world), ["v1.28.2", "v1.29.0", "v9.9.9"]);
    assert!(last.decided.starts_with("wait: ImageNameTaken - "), "{}", last.decided);
}

#[test]
fn each_policy_asks_of_the_same_versions() {
    for (more, expected) in [
        ("", vec!["v1.29.0"]),
        ("  versionPolicy: Newest", vec!["v1.29.0"]),
        ("  versionPolicy: NewestOfEachMinor", vec!["v1.27.6", "v1.28.2", "v1.29.0"]),
        ("  deniedVersions: [v1.29.0]", vec!["v1.28.2"]),
        ("  deniedVersions: [1.29.0, '1.28.2']", vec!["v1.28.1"]),
        (
            "  versionPolicy: NewestOfEachMinor\n  deniedVersions: [v1.29.0, v1.27.6]",
            vec!["v1.27.5", "v1.28.2"],
        ),
        ("  deniedVersions: [v1.29.0+build.1, v1.29]", vec![]),
        ("  deniedVersions: [v1.29.0+build.1, v1.29.1]", vec!["v1.29.0"]),
    ] {
        let mut world = chain(more, "");
        world.settle(at(0));
        assert_eq!(made(&world), expected, "{more}");
    }
}

#[test]
fn all_versions_denied_is_a_wait_of_its_own() {
    let mut world = chain("  deniedVersions: [1.27.5, 1.27.6, 1.28.1, 1.28.2, 1.29.0]", "");
    let pass = world.pass(at(0));
    assert_eq!(
        pass.decided,
        "wait: VersionDenied - spec.deniedVersions has all 5 versions in >=1.27 <1.30 (DebianRepositorySource ns/source)"
    );
    assert_eq!(pass.conditions(), "Ready=True/VersionDenied UpToDate=False/VersionDenied");
    world.syncer()["spec"]["versionRange"] = json!("v1.29.x");
    assert_eq!(
        world.pass(at(0)).decided,
        "wait: VersionDenied - spec.deniedVersions has the one version that is in v1.29.x (DebianRepositorySource ns/source)"
    );
}

#[test]
fn an_entry_that_is_no_version_is_named() {
    for entry in ["v1.27", "latest", "1.27.x", "v1.27.6 "] {
        let mut world = chain("", "");
        world.syncer()["spec"]["deniedVersions"] = json!(["v1.29.0", entry]);
        let pass = world.pass(at(0));
        assert!(
            pass.decided.starts_with(&format!(
                "failed: InvalidVersionRange - spec.deniedVersions: `{entry}` is not a version: "
            )) && pass.decided.ends_with("; correct or remove the entry"),
            "{}",
            pass.decided
        );
        assert!(pass.conditions().ends_with("Stalled=True/InvalidVersionRange"));
        assert_eq!(pass.steps, [""; 0]);
    }
}

/// v1.28.2 was seen an hour ago, v1.29.0 ten minutes ago; the rest is old.
const PACKAGES: &str = "{version: v1.28.1, package: 1.28.1-1.1}, \
    {version: v1.28.2, package: 1.28.2-1.1, firstSeen: '2026-11-21T09:00:00Z'}, \
    {version: v1.29.0, package: 1.29.0-1.1, firstSeen: '2026-11-21T09:50:00Z'}";

#[test]
fn a_young_version_is_passed_over_until_it_is_old_enough() {
    let mut world = chain("  minimumAge: 2h", PACKAGES);
    let pass = world.pass(at(0));
    assert_eq!(made(&world), ["v1.28.1"]);
    assert_eq!(
        pass.decided,
        "wait: VersionTooYoung - v1.28.2 has not been in the source for 2h yet (DebianRepositorySource \
         ns/source)\nagain in 3600 s"
    );
    assert_eq!(pass.conditions(), "Ready=True/VersionTooYoung UpToDate=False/VersionTooYoung");
    assert_eq!(world.syncer()["status"]["waiting"]["notBefore"], "2026-11-21T11:00:00Z");
    assert_eq!(world.pass(at(3_599)).steps.len(), 0);
    let pass = world.pass(at(3_600));
    assert_eq!(made(&world), ["v1.28.1", "v1.28.2"]);
    assert!(pass.decided.starts_with("wait: VersionTooYoung - v1.29.0 "), "{}", pass.decided);
    let pass = world.pass(at(3_600 + 3_000));
    assert_eq!((made(&world).len(), pass.decided.as_str()), (3, "done"));
}

#[test]
fn age_counts_in_each_minor_by_itself() {
    let mut world = chain("  minimumAge: 2h\n  versionPolicy: NewestOfEachMinor", PACKAGES);
    let (_, last) = world.settle(at(0));
    assert_eq!(made(&world), ["v1.27.6", "v1.28.1"], "of 1.29 there is none that is old enough");
    assert!(last.decided.starts_with("wait: VersionTooYoung - v1.28.2 "), "{}", last.decided);
    // A young version below the chosen one is nobody's concern.
    let mut world = chain("  minimumAge: 30m", PACKAGES);
    world.get("DebianRepositorySource")["status"]["packages"][1]["firstSeen"] = json!("2026-11-21T09:59:00Z");
    world.get("DebianRepositorySource")["status"]["packages"][2]["firstSeen"] = Value::Null;
    assert_eq!(world.pass(at(0)).decided, "done");
    assert_eq!(made(&world), ["v1.29.0"]);
}

#[test]
fn an_image_that_was_made_stays_wanted_however_young_its_version_is() {
    let mut world = chain("", PACKAGES);
    world.pass(at(0));
    assert_eq!(made(&world), ["v1.29.0"]);
    world.syncer()["spec"]["minimumAge"] = json!("720h");
    assert_eq!(world.pass(at(1)).decided, "done");
    assert_eq!(made(&world), ["v1.29.0"]);
}

#[test]
fn where_nothing_is_old_enough_nothing_is_made() {
    let packages = "{version: v1.29.0, firstSeen: '2026-11-21T10:00:00Z'}";
    let mut world = chain("  minimumAge: 1h", packages);
    world.syncer()["spec"]["versionRange"] = json!("v1.29.x");
    let pass = world.pass(at(0));
    assert!(pass.decided.starts_with("wait: VersionTooYoung - v1.29.0 "), "{}", pass.decided);
    assert_eq!(made(&world), [""; 0]);
    world.syncer()["spec"]["minimumAge"] = json!(-1);
    assert_eq!(world.pass(at(0)).decided, "done", "an age below zero is none");
}

#[test]
fn a_source_of_another_kind_tells_no_ages_and_the_message_says_so() {
    let yaml = CHAIN
        .replace(
            "apiVersion: kubernetesupgraded.dimitrikoshkin.com/v1alpha1, kind: DebianRepositorySource",
            "apiVersion: example.org/v1, kind: Feed",
        )
        .replace("kind: DebianRepositorySource", "apiVersion: example.org/v1\nkind: Feed")
        .replace("versionRange: v1.27.x", "versionRange: v1.27.x\n  minimumAge: 72h");
    let mut world = World::new(&yaml);
    let pass = world.pass(at(0));
    assert_eq!(pass.decided, "done");
    let status = pass.report.status.unwrap();
    assert!(
        status["conditions"][0]["message"].as_str().unwrap().ends_with(
            "; a source of this kind tells no ages, so that spec.minimumAge passes over no version"
        ),
        "{status}"
    );
    let annotations = &world.images()[0]["metadata"]["annotations"];
    assert_eq!(annotations["kubernetesupgraded.dimitrikoshkin.com/source"], "Feed/source");
    assert_eq!(annotations.get("kubernetesupgraded.dimitrikoshkin.com/package"), None);
}

#[test]
fn new_ages_wake_the_syncer() {
    let store = testkit::store(CHAIN);
    let key = ObjectKey::new("ns", "source");
    let row = store.snapshot().get::<SourceRow>(&key).unwrap();
    let mut aged = row.clone();
    aged.status.packages.push(api::upgrader::debian_repository_source::PackageOf::default());
    assert_eq!(readers_of(store.snapshot(), &key, Some(row), Some(&aged)).len(), 1);
}

/// Somebody asks why the newest version gets no image, and finds the syncer done.
#[test]
fn a_denied_version_that_would_be_chosen_is_told() {
    let remark = "; v1.29.0 is newer, and spec.deniedVersions has it";
    for (more, told) in [
        ("  deniedVersions: [v1.29.0, v1.28.2]", true),
        ("  deniedVersions: [v1.28.2, v1.27.5]", false),
        ("  versionPolicy: NewestOfEachMinor\n  deniedVersions: [v1.29.0, v1.28.2]", true),
        ("  versionPolicy: NewestOfEachMinor\n  deniedVersions: [v1.28.1]", false),
    ] {
        let mut world = chain(more, "");
        world.settle(at(0));
        let message = world.syncer()["status"]["conditions"][0]["message"].as_str().unwrap().to_owned();
        assert_eq!(message.ends_with(remark), told, "{message}");
        assert_eq!(message.contains("is newer"), told, "{message}");
    }
    let mut world = chain("  versionPolicy: NewestOfEachMinor\n  deniedVersions: [v1.28.2]", "");
    world.settle(at(0));
    let message = world.syncer()["status"]["conditions"][0]["message"].to_string();
    assert!(message.contains("; v1.28.2 is newer, and spec.deniedVersions has it"), "{message}");
}
