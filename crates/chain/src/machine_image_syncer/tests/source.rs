//! Every way in which a source can be wrong, absent or hard to read.

use super::*;

/// The chain with a source of a kind that others installed.
fn foreign(status: &str) -> World {
    let yaml = CHAIN
        .replace(
            "apiVersion: kubernetesupgraded.dimitrikoshkin.com/v1alpha1, kind: DebianRepositorySource",
            "apiVersion: example.org/v1, kind: Feed",
        )
        .replace("kind: DebianRepositorySource", "apiVersion: example.org/v1\nkind: Feed")
        .replace("status: {versions: [v1.27.5, v1.27.6, v1.28.1]}", status);
    World::new(&yaml)
}

/// What is decided first, its conditions, and its Event.
fn told(world: &mut World) -> (String, String, String) {
    let pass = world.pass(at(0));
    assert_eq!(pass.steps, [""; 0]);
    let notes = pass.notes();
    assert_eq!(notes.len(), 1);
    let conditions = pass.conditions();
    assert_eq!(world.pass(at(0)).report, Report::default(), "told once");
    (pass.decided, conditions, notes[0].clone())
}

#[test]
fn a_source_of_any_kind_is_watched() {
    let mut world = foreign("status: {versions: [v1.27.6]}");
    let syncer = testkit::row::<SyncerRow>(world.syncer());
    let feed = DynamicKind { api_version: "example.org/v1".into(), kind: "Feed".into() };
    assert_eq!(super::super::source::watched(&syncer), Some(feed.clone()));
    assert_eq!(world.pass(at(0)).steps.len(), 2);
    let store =
        testkit::store(&world.objects.iter().map(Value::to_string).collect::<Vec<_>>().join("\n---\n"));
    let woken = |kind: &DynamicKind, name: &str| {
        readers_of_named(store.snapshot(), kind, &ObjectKey::new("ns", name)).len()
    };
    assert_eq!((woken(&feed, "source"), woken(&feed, "other")), (1, 0));
    assert_eq!(woken(&DynamicKind { kind: "Food".into(), ..feed }, "source"), 0);
}

#[test]
fn no_kind_is_watched_for_a_reference_that_is_not_followed() {
    let watched = |change: fn(&mut Value)| {
        let mut world = foreign("status: {}");
        change(world.syncer());
        super::super::source::watched(&testkit::row::<SyncerRow>(world.syncer()))
    };
    assert!(watched(|_| {}).is_some());
    assert!(
        watched(|syncer| syncer["metadata"]["deletionTimestamp"] = json!("2026-11-21T10:00:00Z")).is_none()
    );
    assert!(watched(|syncer| syncer["spec"]["sourceRef"]["namespace"] = json!("other")).is_none());
    assert!(watched(|syncer| syncer["spec"]["sourceRef"]["kind"] = json!("")).is_none());
    assert!(watched(|syncer| syncer["spec"]["sourceRef"]["apiVersion"] = Value::Null).is_none());
    let mut ours = World::new(CHAIN);
    assert!(super::super::source::watched(&testkit::row::<SyncerRow>(ours.syncer())).is_none());
}

#[test]
fn a_source_without_a_version_in_range_is_an_orderly_wait() {
    for (versions, decided) in [
        (
            json!([]),
            "wait: NoVersionsInSource - the source has no versions yet (DebianRepositorySource ns/source)",
        ),
        (
            json!(["v1.28.1"]),
            "wait: NoVersionInRange - the one version of the source is not in v1.27.x (DebianRepositorySource ns/source)",
        ),
        (
            json!(["v1.28.1", "b1.27.3"]),
            "wait: NoVersionInRange - none of the 2 versions of the source is in v1.27.x (DebianRepositorySource ns/source)",
        ),
    ] {
        let mut world = World::new(CHAIN);
        world.get("DebianRepositorySource")["status"]["versions"] = versions;
        let (told, conditions, note) = told(&mut world);
        assert_eq!(told, decided);
        let reason = decided.split_whitespace().nth(1).unwrap();
        assert_eq!(conditions, format!("Ready=True/{reason} UpToDate=False/{reason}"));
        assert!(note.starts_with("Warning GetVersionsFromSourceFailed: "), "{note}");
    }
}

#[test]
fn a_missing_source_is_named() {
    let mut world = World::new(CHAIN);
    world.remove("DebianRepositorySource");
    let (decided, conditions, note) = told(&mut world);
    assert_eq!(
        decided,
        "failed: SourceMissing - the source does not exist (DebianRepositorySource ns/source)"
    );
    assert_eq!(conditions, "Ready=False/SourceMissing UpToDate=Unknown/SourceMissing");
    assert!(note.starts_with("Warning GetVersionsFromSourceFailed: "), "{note}");
}

#[test]
fn versions_of_the_wrong_type_are_named() {
    let mut world = foreign("status: {versions: {a: b}}");
    let (decided, conditions, _) = told(&mut world);
    assert_eq!(
        decided,
        "failed: SourceInvalid - status.versions is an object, not a list of strings (Feed ns/source)"
    );
    assert_eq!(
        conditions,
        "Ready=False/SourceInvalid UpToDate=Unknown/SourceInvalid Stalled=True/SourceInvalid"
    );
}

#[test]
fn a_kind_that_is_not_installed_is_named() {
    let mut world = foreign("status: {}");
    world.foreign = Some(Availability::NotInstalled);
    assert_eq!(
        told(&mut world).0,
        "failed: SourceKindNotInstalled - the server does not serve Feed of example.org/v1 (Feed ns/source); \
         install the kind of the source"
    );
}

#[test]
fn a_reference_is_complete_and_stays_in_its_namespace() {
    for (field, value, decided) in [
        (
            "kind",
            json!(""),
            "failed: SourceInvalid - spec.sourceRef has no kind; name the source's apiVersion, kind and name",
        ),
        (
            "apiVersion",
            json!(null),
            "failed: SourceInvalid - spec.sourceRef has no apiVersion; name the source's apiVersion, kind and name",
        ),
        (
            "name",
            json!(null),
            "failed: SourceInvalid - spec.sourceRef has no name; name the source's apiVersion, kind and name",
        ),
        (
            "namespace",
            json!("other"),
            "failed: CrossNamespaceReference - spec.sourceRef points to namespace other; refer to an object of the syncer's own namespace",
        ),
    ] {
        let mut world = World::new(CHAIN);
        world.syncer()["spec"]["sourceRef"][field] = value;
        assert_eq!(told(&mut world).0, decided);
    }
    let mut world = World::new(CHAIN);
    world.syncer()["spec"]["sourceRef"]["namespace"] = json!("ns");
    assert_eq!(world.pass(at(0)).decided, "done", "its own namespace may be named");
}

#[test]
fn a_range_that_does_not_parse_is_named() {
    for range in ["1.0.0p", "1x", "x1", "-1", "a", ""] {
        let mut world = World::new(CHAIN);
        world.syncer()["spec"]["versionRange"] = json!(range);
        let (decided, conditions, note) = told(&mut world);
        assert!(
            decided.starts_with("failed: InvalidVersionRange - spec.versionRange: "),
            "{range}: {decided}"
        );
        assert!(decided.ends_with("; correct the range"), "{range}: {decided}");
        assert!(conditions.ends_with(" Stalled=True/InvalidVersionRange"), "{range}: {conditions}");
        assert!(note.starts_with("Warning GetVersionsFromSourceFailed: "), "{note}");
    }
    let mut world = World::new(CHAIN);
    world.syncer()["spec"] = json!({"versionRange": 7});
    assert!(told(&mut world).0.starts_with("failed: Malformed - spec: "));
}

/// A watch that begins, at a start or a new kind, says nothing: what the status says may still be true.
#[test]
fn a_first_list_is_waited_for_quietly_but_not_for_ever() {
    let mut world = foreign("status: {versions: [v1.27.6]}");
    world.pass(at(0));
    world.restart();
    world.foreign = Some(Availability::Syncing);
    let pass = world.pass(at(60));
    assert_eq!((pass.steps.len(), pass.report), (0, Report::default()));
    assert!(pass.decided.ends_with("\nagain in 30 s"), "{}", pass.decided);
    let pass = world.pass(at(90));
    assert_eq!(
        pass.decided,
        "failed: ApiUnavailable - the kind of the source, Feed of example.org/v1, cannot be listed (Feed ns/source)"
    );
    world.foreign = None;
    assert_eq!(world.pass(at(100)).conditions(), "Ready=True/ImagesExist UpToDate=True/ImagesExist");
    // The next time is a wait of its own.
    world.foreign = Some(Availability::Syncing);
    assert!(world.pass(at(200)).decided.starts_with("wait: "));
}

#[test]
fn a_source_that_may_only_be_read_is_polled_and_says_so() {
    let mut world = foreign("status: {}");
    world.syncer()["spec"]["interval"] = json!("20m");
    world.foreign = Some(Availability::Forbidden("feeds is forbidden".into()));
    world.feed = Found::Versions(Ok(vec!["v1.27.6".into()]));
    let pass = world.pass(at(0));
    assert_eq!((pass.steps.len(), pass.steps[0].as_str()), (3, "read Feed ns/source"));
    assert!(pass.decided.starts_with("done\nagain in 12"), "{}", pass.decided);
    let message =
        pass.report.status.as_ref().unwrap()["conditions"][0]["message"].as_str().unwrap().to_owned();
    assert!(
        message.ends_with(
            "; the source is read every 20m, since the controller may not list and watch its kind"
        ),
        "{message}"
    );
    assert_eq!(world.pass(at(1_100)).steps, [""; 0], "not before its time");
    assert_eq!(world.pass(at(1_400)).steps, ["read Feed ns/source"]);
    world.feed = Found::Versions(Ok(vec!["v1.28.0".into()]));
    let decided = world.pass(at(3_000)).decided;
    assert!(decided.starts_with("wait: NoVersionInRange - the one version of the source is not in v1.27.x; the source is read every 20m"), "{decided}");
}

#[test]
fn what_a_poll_does_not_find_is_asked_for_sooner() {
    for (feed, decided) in [
        (Found::Missing, "failed: SourceMissing - the source does not exist (Feed ns/source)"),
        (
            Found::NotInstalled,
            "failed: SourceKindNotInstalled - the server does not serve Feed of example.org/v1 (Feed ns/source); install the kind of the source",
        ),
        (
            Found::Forbidden("no get".into()),
            "failed: SourceKindForbidden - the source may not be read: no get (Feed ns/source); grant the controller get, list and watch on the kind of the source",
        ),
    ] {
        let mut world = foreign("status: {}");
        world.foreign = Some(Availability::Forbidden("feeds is forbidden".into()));
        world.feed = feed;
        let pass = world.pass(at(0));
        let (found, again) = pass.decided.split_once('\n').unwrap();
        assert_eq!((found, pass.steps.len()), (decided, 1));
        assert!(again.starts_with("again in 3"), "{again}");
    }
}

#[test]
fn another_reference_is_polled_at_once() {
    let mut world = foreign("status: {}");
    world.foreign = Some(Availability::Forbidden("feeds is forbidden".into()));
    world.feed = Found::Versions(Ok(Vec::new()));
    world.pass(at(0));
    world.syncer()["spec"]["sourceRef"]["name"] = json!("other");
    assert_eq!(world.pass(at(1)).steps, ["read Feed ns/other"]);
}

#[test]
fn an_interval_that_is_none_is_an_hour_and_a_short_one_ten_seconds() {
    for (interval, shown) in [(json!(0), "1h"), (json!(-1), "1h"), (json!(null), "1h"), (json!("1s"), "10s")]
    {
        let mut world = foreign("status: {}");
        world.syncer()["spec"]["interval"] = interval;
        world.foreign = Some(Availability::Forbidden("x".into()));
        world.feed = Found::Versions(Ok(Vec::new()));
        let decided = world.pass(at(0)).decided;
        assert!(decided.contains(&format!("the source is read every {shown},")), "{decided}");
    }
}

#[test]
fn only_new_versions_of_a_source_wake_its_syncers() {
    let store = testkit::store(CHAIN);
    let key = ObjectKey::new("ns", "source");
    let row = store.snapshot().get::<SourceRow>(&key).unwrap();
    let mut same = row.clone();
    same.status.observed_generation = Some(7);
    assert!(readers_of(store.snapshot(), &key, Some(row), Some(&same)).is_empty());
    same.status.versions.pop();
    assert_eq!(readers_of(store.snapshot(), &key, Some(row), Some(&same)), [ObjectKey::new("ns", "syncer")]);
    assert_eq!(readers_of(store.snapshot(), &key, Some(row), None).len(), 1);
}

/// A syncer that is done with a source that has failed for days may well lack a version: it says so, and takes it back.
#[test]
fn a_source_that_fails_is_told_beside_what_it_has_told_before() {
    let status = |ready: &str, reason: &str| {
        json!({"versions": ["v1.27.6"], "conditions": [{"type": "Ready", "status": ready, "reason": reason,
            "message": "m", "lastTransitionTime": "2026-11-21T09:00:00Z"}]})
    };
    let message = |world: &mut World| {
        world.settle(at(0));
        world.syncer()["status"]["conditions"][0]["message"].as_str().unwrap().to_owned()
    };
    let mut world = World::new(CHAIN);
    let good = message(&mut world);
    for (ready, reason, remark) in [
        (
            "False",
            "RepositoryTimeout",
            "; the source fails now (RepositoryTimeout), so that a version that came since is not seen",
        ),
        ("False", "Fetching", ""),
        ("True", "VersionsFound", ""),
    ] {
        world.get("DebianRepositorySource")["status"] = status(ready, reason);
        assert_eq!(message(&mut world), format!("{good}{remark}"));
    }
    world.get("DebianRepositorySource")["status"] =
        json!({"versions": [], "conditions": status("False", "IndexTruncated")["conditions"]});
    world.restart();
    let decided = world.settle(at(0)).1.decided;
    assert!(
        decided.starts_with(
            "wait: NoVersionsInSource - the source has no versions yet; the source fails now (IndexTruncated)"
        ),
        "{decided}"
    );
    let store =
        testkit::store(&world.objects.iter().map(Value::to_string).collect::<Vec<_>>().join("\n---\n"));
    let row = |ready, reason| {
        let mut source =
            world.objects.iter().find(|object| object["kind"] == "DebianRepositorySource").unwrap().clone();
        source["status"] = status(ready, reason);
        testkit::row::<api::upgrader::debian_repository_source::SourceRow>(&source)
    };
    let woken = |before, after| {
        readers_of(store.snapshot(), &ObjectKey::new("ns", "source"), Some(&before), Some(&after)).len()
    };
    assert_eq!(woken(row("True", "VersionsFound"), row("False", "RepositoryTimeout")), 1);
    assert_eq!(woken(row("True", "VersionsFound"), row("True", "KeyExpiresSoon")), 0);
}
