//! What is verified: kept on every refusal, and named.

use super::*;

const DAY: i64 = 24 * 60 * 60;

fn spec() -> Value {
    json!({
        "url": URL,
        "verification": {"publicKey": {"kind": "ConfigMap", "name": "key"}},
    })
}

fn story() -> Story {
    let mut story = Story::new(spec());
    story.objects.insert("ConfigMap key".to_owned(), Ok(super::super::Value::Bytes(Arc::from(&b"key"[..]))));
    story
}

fn dated(seconds: i64) -> Release {
    Release { date: Some(at(seconds)), ..Release::default() }
}

/// Serves one answer and passes.
fn pass(story: &mut Story, seconds: i64, outcome: Result<Fetched, FetchError>) -> (Report, String) {
    story.serve("1.27", outcome);
    story.run(at(seconds))
}

#[test]
fn what_was_verified_is_told() {
    let mut story = story();
    let release = Release { valid_until: Some(at(DAY)), key_expires: Some(at(90 * DAY)), ..dated(-100) };
    let (_, decided) = pass(&mut story, 0, signed(&["v1.27.0"], release));
    assert!(decided.starts_with("done"), "{decided}");
    assert_eq!(story.asked, ["read ConfigMap key".to_owned(), format!("fetch {URL}")]);
    let status = &story.object["status"];
    let url = "https://packages.example/v1.27/deb/InRelease";
    let expected =
        json!([{"url": url, "date": "2026-11-21T09:58:20Z", "validUntil": "2026-11-22T10:00:00Z"}]);
    assert_eq!(status["releases"], expected);
    assert_eq!(status["keyExpires"], "2027-02-19T10:00:00Z");
    // Without verification there is nothing to tell of it.
    story.object["spec"] = json!({"url": URL});
    pass(&mut story, 10, good(&["v1.27.0"]));
    let status = &story.object["status"];
    assert_eq!((&status["releases"], &status["keyExpires"]), (&Value::Null, &Value::Null));
}

/// A repository of a simulation may know nothing of signatures; that is no proof.
#[test]
fn an_answer_that_was_not_verified_does_not_count() {
    let mut story = story();
    let (_, decided) = pass(&mut story, 0, good(&["v1.27.0"]));
    assert!(decided.starts_with("failed: SignatureMissing"), "{decided}");
    assert_eq!(story.versions(), "");
}

#[test]
fn an_older_release_is_refused_in_this_process_and_the_next() {
    for restarted in [false, true] {
        let mut story = story();
        pass(&mut story, 0, signed(&["v1.27.0", "v1.27.1"], dated(-100)));
        if restarted {
            story.restart();
        }
        for old in [dated(-101), Release::default()] {
            let (_, decided) = pass(&mut story, 400, signed(&["v1.27.0"], old));
            assert!(decided.starts_with("failed: ReleaseRolledBack - InRelease is older"), "{decided}");
            assert_eq!(story.versions(), "v1.27.0 v1.27.1");
            assert_eq!(story.object["status"]["releases"][0]["date"], "2026-11-21T09:58:20Z");
        }
        let (_, decided) = pass(&mut story, 4000, signed(&["v1.27.2"], dated(-100)));
        assert!(decided.starts_with("done"), "the same date is no step back: {decided}");
    }
}

/// Another repository has dates of its own.
#[test]
fn dates_of_another_address_do_not_count() {
    let mut story = story();
    pass(&mut story, 0, signed(&["v1.27.0"], dated(-100)));
    story.object["spec"]["url"] = json!("https://mirror.example/v1.27/deb/Packages");
    let (_, decided) = pass(&mut story, 10, signed(&["v1.27.0"], dated(-5000)));
    assert!(decided.starts_with("done"), "{decided}");
}

#[test]
fn a_release_that_is_no_longer_valid_is_a_freeze() {
    let mut story = story();
    let until = Release { valid_until: Some(at(1000)), ..dated(-100) };
    let (_, decided) = pass(&mut story, 0, signed(&["v1.27.0"], until.clone()));
    assert!(decided.starts_with("done"), "{decided}");
    // By time alone, with a repository that says that nothing has changed.
    pass(&mut story, 900, Ok(Fetched::NotModified));
    let (report, decided) = story.run(at(1001));
    assert!(decided.starts_with("failed: ReleaseExpired - "), "{decided}");
    assert!(decided.contains("the versions found before stay"), "{decided}");
    assert_eq!(report.notes[0].reason, "ListVersionsFailed");
    // The same after a restart, where it is shown anew.
    story.restart();
    let (_, decided) = pass(&mut story, 1100, signed(&["v1.27.0"], until));
    assert!(decided.starts_with("failed: ReleaseExpired - "), "{decided}");
    assert_eq!(story.versions(), "v1.27.0");
    let newer = Release { valid_until: Some(at(9000)), ..dated(1100) };
    let (_, decided) = pass(&mut story, 1200, signed(&["v1.27.0", "v1.27.1"], newer));
    assert!(decided.starts_with("done"), "{decided}");
}

#[test]
fn a_key_is_told_of_before_it_expires_and_refused_after() {
    let mut story = story();
    let expires = Release { key_expires: Some(at(20 * DAY)), ..dated(-100) };
    let (_, decided) = pass(&mut story, 0, signed(&["v1.27.0"], expires.clone()));
    assert!(decided.starts_with("done"), "{decided}");
    let (report, decided) = pass(&mut story, 6 * DAY + 1, Ok(Fetched::NotModified));
    assert!(decided.starts_with("done"), "{decided}");
    let status = report.status.unwrap();
    assert_eq!(conditions(&status), "Ready=True/KeyExpiresSoon");
    let message = "1 version, v1.27.0; the key that signs the repository expires on 2026-12-11";
    assert_eq!(status["conditions"][0]["message"], message);
    assert_eq!(report.notes.len(), 1);
    let note = &report.notes[0];
    assert_eq!((note.severity.name(), note.reason, &*note.message), ("Warning", "KeyExpiresSoon", message));
    // Once, also over a failure and a restart: the Event's name is made of its occurrence.
    let occurrence = note.occurrence.clone();
    assert_eq!(pass(&mut story, 7 * DAY, Ok(Fetched::NotModified)).0, Report::default());
    pass(&mut story, 8 * DAY, Err(FetchError::Timeout));
    story.restart();
    let (report, _) = pass(&mut story, 9 * DAY, signed(&["v1.27.0"], expires.clone()));
    assert_eq!(report.notes[0].occurrence, occurrence);

    let (report, decided) = pass(&mut story, 20 * DAY, Ok(Fetched::NotModified));
    assert!(decided.starts_with("failed: KeyExpired - the key that signs"), "{decided}");
    assert!(decided.contains("(ConfigMap ns/key); replace it"), "{decided}");
    assert_eq!(conditions(&report.status.unwrap()), "Ready=False/KeyExpired Stalled=True/KeyExpired");
    story.restart();
    let (_, decided) = pass(&mut story, 21 * DAY, signed(&["v1.27.9"], expires));
    assert!(decided.starts_with("failed: KeyExpired"), "{decided}");
    assert_eq!(story.versions(), "v1.27.0");
    assert_eq!(story.object["status"]["keyExpires"], "2026-12-11T10:00:00Z");
}

/// Its time comes between two looks, which may be days apart.
#[test]
fn a_look_is_due_when_a_key_is_about_to_expire() {
    let mut story = story();
    story.object["spec"]["interval"] = json!("1000h");
    let expires = Release { key_expires: Some(at(20 * DAY)), valid_until: Some(at(18 * DAY)), ..dated(-100) };
    let (_, decided) = pass(&mut story, 0, signed(&["v1.27.0"], expires));
    assert!(decided.ends_with(&format!("again in {} s", 6 * DAY)), "{decided}");
    let (_, decided) = story.run(at(6 * DAY));
    assert!(decided.ends_with(&format!("again in {} s", 12 * DAY + 1)), "{decided}");
    let (_, decided) = story.run(at(18 * DAY + 1));
    assert!(decided.starts_with("failed: ReleaseExpired"), "{decided}");
}

/// A key that was replaced must vouch for what is known already.
#[test]
fn another_key_reads_the_repository_again() {
    let mut story = story();
    pass(&mut story, 0, signed(&["v1.27.0"], dated(-100)));
    pass(&mut story, 70, Ok(Fetched::NotModified));
    assert_eq!(story.asked[1], format!("fetch {URL} if it changed"));
    story
        .objects
        .insert("ConfigMap key".to_owned(), Ok(super::super::Value::Bytes(Arc::from(&b"other"[..]))));
    let (_, decided) = pass(
        &mut story,
        140,
        Err(FetchError::SignatureInvalid { reason: "it is not by the key that is trusted" }),
    );
    assert_eq!(story.asked, ["read ConfigMap key".to_owned(), format!("fetch {URL}")]);
    assert!(decided.starts_with("failed: SignatureInvalid"), "{decided}");
    assert_eq!(story.versions(), "v1.27.0");
}

#[test]
fn where_in_release_is_must_be_known() {
    let mut story = story();
    story.object["spec"]["url"] = json!("https://packages.example/v1.27/index");
    let (_, decided) = pass(&mut story, 0, good(&["v1.27.0"]));
    assert!(decided.starts_with("failed: InvalidUrl - where its InRelease is"), "{decided}");
    assert!(decided.ends_with("set spec.verification.releaseUrl"), "{decided}");
    assert_eq!(story.asked, Vec::<String>::new());
    story.object["spec"]["verification"]["releaseUrl"] = json!("https://packages.example/v1.27/InRelease");
    let (_, decided) = pass(&mut story, 1, signed(&["v1.27.0"], dated(-100)));
    assert!(decided.starts_with("done"), "{decided}");
}

/// Each minor has a release of its own.
#[test]
fn a_rollback_of_one_minor_is_named_with_it() {
    let mut story = story();
    story.object["spec"]["url"] = json!("https://packages.example/v{minor}/deb/Packages");
    story.object["spec"]["fromMinor"] = json!("1.26");
    story.serve("1.26", signed(&["v1.26.0"], dated(-500)));
    pass(&mut story, 0, signed(&["v1.27.0"], dated(-100)));
    assert_eq!(story.object["status"]["releases"].as_array().map(Vec::len), Some(2));
    let (_, decided) = pass(&mut story, 70, signed(&["v1.27.0"], dated(-200)));
    assert!(decided.starts_with("failed: ReleaseRolledBack - 1.27: "), "{decided}");
    story.serve("1.26", signed(&["v1.26.0", "v1.26.1"], dated(-400)));
    let (_, decided) = pass(&mut story, 200, signed(&["v1.27.0"], dated(-50)));
    assert!(decided.starts_with("done"), "{decided}");
    assert_eq!(story.versions(), "v1.26.0 v1.26.1 v1.27.0");
}

#[test]
fn the_key_and_the_place_of_in_release_are_handed_to_the_fetch() {
    let mut story = story();
    let step = story.verdict(at(0)).1.steps.remove(0);
    let answer = story.answer(&step);
    story.memory.learn(&step, answer, at(0));
    let step = story.verdict(at(0)).1.steps.remove(0);
    let Step::Fetch(Fetch { trust: Some(trust), access, .. }) = &step else { panic!("{step:?}") };
    assert_eq!(trust.release_url, "https://packages.example/v1.27/deb/InRelease");
    assert_eq!((&*trust.public_key, access), (&b"key"[..], &Access::default()));
}
