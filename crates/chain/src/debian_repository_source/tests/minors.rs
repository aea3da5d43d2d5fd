//! One source for every minor.

use proptest::prelude::*;

use super::*;

const EVERY: &str = "https://packages.example/v{minor}/deb/Packages";

fn story(from: &str) -> Story {
    Story::new(json!({"url": EVERY, "fromMinor": from}))
}

fn asked(minor: &str) -> String {
    format!("fetch https://packages.example/v{minor}/deb/Packages")
}

fn forbidden() -> Result<Fetched, FetchError> {
    Err(FetchError::Forbidden { status: 403 })
}

/// Three minors that are there, and none above.
fn three() -> Story {
    let mut story = story("1.34");
    story.serve("1.34", good(&["v1.34.0", "v1.34.1"])).serve("1.35", good(&["v1.35.0"]));
    story.serve("1.36", good(&["v1.36.0"])).serve("1.37", forbidden());
    story.run(at(0));
    story
}

#[test]
fn every_minor_is_found_in_order_and_the_next_is_not_yet_there() {
    let mut story = three();
    assert_eq!(story.asked, ["1.34", "1.35", "1.36", "1.37"].map(asked));
    assert_eq!(story.versions(), "v1.34.0 v1.34.1 v1.35.0 v1.36.0");
    assert_eq!(conditions(&story.object["status"]), "Ready=True/VersionsFound");
    // Before the interval is over, nothing is asked; then what is known only if it changed, all in one round.
    assert_eq!(story.run(at(30)).0, Report::default());
    assert_eq!(story.asked, Vec::<String>::new());
    for minor in ["1.34", "1.35", "1.36"] {
        story.serve(minor, Ok(Fetched::NotModified));
    }
    assert_eq!(story.run(at(70)).0, Report::default());
    let changed = |minor: &str| format!("{} if it changed", asked(minor));
    let expected = [changed("1.34"), changed("1.35"), changed("1.36"), asked("1.37")];
    assert_eq!(story.asked, expected);
}

/// With credentials a 403 is theirs by rule; a mirror that answers it for what is not there can be told to say 404.
#[test]
fn what_to_do_about_a_minor_that_is_refused_is_said() {
    let mut story = three();
    story.serve("1.35", Err(FetchError::NotFound { status: 404 }));
    let (_, decided) = story.run(at(70));
    assert!(decided.contains("; check spec.url and spec.fromMinor"), "{decided}");
    let mut story = Story::new(json!({"url": EVERY, "fromMinor": "1.34", "secretRef": {"name": "login"}}));
    let login = sources::Credentials { username: "robot".into(), password: "p".into() };
    story.objects.insert("Secret login".to_owned(), Ok(super::super::Value::Credentials(login)));
    story.serve("1.34", good(&["v1.34.0"])).serve("1.35", forbidden());
    let (_, decided) = story.run(at(0));
    assert!(
        decided.starts_with("failed: AuthFailed - 1.35: ")
            && decided.contains("answer 404 for a minor that is not there yet"),
        "{decided}"
    );
}

#[test]
fn a_new_minor_is_found_at_the_next_look() {
    let mut story = three();
    story.serve("1.37", good(&["v1.37.0-rc.0"]));
    let (report, decided) = story.run(at(70));
    assert!(decided.starts_with("done"), "{decided}");
    assert_eq!(report.notes[0].message, "found v1.37.0-rc.0");
    assert_eq!(story.versions(), "v1.34.0 v1.34.1 v1.35.0 v1.36.0 v1.37.0-rc.0");
    assert_eq!(story.asked.last(), Some(&asked("1.38")), "the one above it is looked for at once");
}

#[test]
fn a_known_minor_that_fails_keeps_its_list_and_the_others_go_on() {
    let errors = [
        forbidden(),
        Err(FetchError::NotFound { status: 404 }),
        Err(FetchError::Timeout),
        nothing(Index::default()),
    ];
    for error in errors {
        for restarted in [false, true] {
            let mut story = three();
            if restarted {
                story.restart();
            }
            story.serve("1.35", error.clone()).serve("1.36", good(&["v1.36.0", "v1.36.1"]));
            let (_, decided) = story.run(at(70));
            assert!(decided.contains(" - 1.35: the "), "{decided}");
            assert!(decided.contains("; the versions found before stay"), "{decided}");
            assert_eq!(story.versions(), "v1.34.0 v1.34.1 v1.35.0 v1.36.0 v1.36.1");
        }
    }
}

#[test]
fn each_minor_waits_for_itself_after_a_failure() {
    let mut story = three();
    story.serve("1.35", Err(FetchError::Timeout)).serve("1.36", Err(FetchError::Truncated));
    let (_, decided) = story.run(at(70));
    assert!(decided.starts_with("failed: RepositoryTimeout - 1.35: "), "{decided}");
    assert!(decided.contains("; also failing: 1.36; "), "{decided}");
    assert!(decided.ends_with("again in 5 s"), "{decided}");
    story.serve("1.35", good(&["v1.35.0", "v1.35.1"]));
    story.run(at(76));
    let changed = |minor: &str| format!("{} if it changed", asked(minor));
    // The minor above is not asked for again so soon.
    assert_eq!(story.asked, [changed("1.35"), changed("1.36")]);
    let (_, decided) = story.run(at(77));
    assert!(decided.starts_with("failed: IndexTruncated - 1.36: "), "{decided}");
    assert_eq!(story.versions(), "v1.34.0 v1.34.1 v1.35.0 v1.35.1 v1.36.0");
}

#[test]
fn not_there_is_no_wait_where_nothing_answers() {
    for outcome in [forbidden(), Err(FetchError::NotFound { status: 404 })] {
        let mut story = story("1.34");
        story.serve("1.34", outcome.clone());
        let (_, decided) = story.run(at(0));
        assert_eq!(story.asked, [asked("1.34")], "what is above is not looked for");
        let reason = if outcome == forbidden() { "RepositoryForbidden" } else { "RepositoryNotFound" };
        assert!(decided.starts_with(&format!("failed: {reason} - 1.34: ")), "{decided}");
        // The same where the minor was once there, and all of the repository is gone.
        let mut story = three();
        for minor in ["1.34", "1.35", "1.36", "1.37"] {
            story.serve(minor, outcome.clone());
        }
        let (_, decided) = story.run(at(70));
        assert!(decided.contains(" - 1.34: ") && decided.contains("also failing: 1.35, 1.36"), "{decided}");
        assert_eq!(story.asked.len(), 3);
        assert_eq!(story.versions(), "v1.34.0 v1.34.1 v1.35.0 v1.36.0");
    }
}

#[test]
fn only_not_there_means_not_yet() {
    for (outcome, reason) in [
        (Err(FetchError::Timeout), "RepositoryTimeout"),
        (Err(FetchError::Forbidden { status: 401 }), "RepositoryForbidden"),
        (Err(FetchError::Server { status: 500, retry_after: None }), "RepositoryError"),
    ] {
        let mut story = three();
        story.serve("1.37", outcome);
        let (_, decided) = story.run(at(70));
        assert!(decided.starts_with(&format!("failed: {reason} - 1.37: ")), "{decided}");
    }
    // Where the interval is long it is looked for again before, behind a minor that answers.
    let mut story = Story::new(json!({"url": EVERY, "fromMinor": "1.35", "interval": "1h"}));
    story.serve("1.35", good(&["v1.35.0"])).serve("1.36", good(&["v1.36.0"]));
    story.serve("1.37", Err(FetchError::Timeout));
    let (_, decided) = story.run(at(0));
    assert!(decided.starts_with("failed: RepositoryTimeout - 1.37: "), "{decided}");
    story.run(at(299));
    assert_eq!(story.asked, Vec::<String>::new());
    story.serve("1.36", Ok(Fetched::NotModified)).serve("1.37", forbidden());
    let (_, decided) = story.run(at(331));
    assert_eq!(story.asked, [format!("{} if it changed", asked("1.36")), asked("1.37")]);
    assert!(decided.starts_with("done"), "{decided}");
    // A repository that shows an index without a version, or one of other minors, for whatever it is asked.
    for outcome in [nothing(Index::default()), good(&["v1.36.0"])] {
        let mut story = three();
        story.serve("1.37", outcome);
        let (_, decided) = story.run(at(70));
        assert!(decided.starts_with("done"), "{decided}");
        assert_eq!(story.asked.len(), 4);
        assert_eq!(story.versions(), "v1.34.0 v1.34.1 v1.35.0 v1.36.0");
    }
}

#[test]
fn what_was_seen_is_known_after_a_restart() {
    let mut story = three();
    story.restart();
    story.serve("1.36", forbidden());
    let (_, decided) = story.run(at(10));
    assert!(decided.starts_with("failed: RepositoryForbidden - 1.36: "), "{decided}");
    assert_eq!(story.versions(), "v1.34.0 v1.34.1 v1.35.0 v1.36.0");
}

#[test]
fn a_from_minor_that_is_none_says_what_to_do() {
    for from in [json!(null), json!("1.x"), json!("1"), json!("")] {
        let mut story = Story::new(json!({"url": EVERY, "fromMinor": from}));
        let (_, decided) = story.run(at(0));
        assert!(decided.starts_with("failed: InvalidUrl - spec.fromMinor is no minor"), "{decided}");
        assert_eq!(story.asked, Vec::<String>::new());
    }
}

#[test]
fn another_from_minor_fetches_what_it_adds_and_drops_what_it_leaves_out() {
    let mut story = three();
    story.object["spec"]["fromMinor"] = json!("1.33");
    story.serve("1.33", good(&["v1.33.5"]));
    story.run(at(10));
    assert_eq!(story.asked, [asked("1.33")]);
    assert_eq!(story.versions(), "v1.33.5 v1.34.0 v1.34.1 v1.35.0 v1.36.0");
    story.object["spec"]["fromMinor"] = json!("1.36");
    story.run(at(100));
    assert_eq!(story.versions(), "v1.36.0");
}

#[test]
fn a_source_of_one_minor_can_become_one_of_all() {
    let mut story = Story::new(json!({"url": EVERY.replace("{minor}", "1.35")}));
    story.serve("1.35", good(&["v1.35.0"]));
    story.run(at(0));
    assert_eq!(story.versions(), "v1.35.0");
    story.object["spec"] = json!({"url": EVERY, "fromMinor": "1.34"});
    story.serve("1.34", good(&["v1.34.0"])).serve("1.36", good(&["v1.36.0"]));
    story.run(at(10));
    assert_eq!(story.asked, ["1.34", "1.35", "1.36", "1.37"].map(asked));
    assert_eq!(story.versions(), "v1.34.0 v1.35.0 v1.36.0");
}

/// A repository that has whatever it is asked for: the newest forty are followed, and no pass asks without an end.
#[test]
fn minors_are_bounded() {
    let mut story = story("1.1");
    for minor in 1..=60 {
        story.serve(&format!("1.{minor}"), good(&[&format!("v1.{minor}.0")]));
    }
    let most = usize::try_from(MOST_MINORS).unwrap();
    for pass in 0..25 {
        story.run(at(pass * 70));
        assert!(story.asked.len() <= most, "{}", story.asked.len());
    }
    let list = story.versions();
    assert_eq!(list.split(' ').count(), most - 1);
    assert!(list.starts_with("v1.22.0 ") && list.ends_with(" v1.60.0"), "{list}");
    assert_eq!(story.asked.len(), most);
    assert!(story.asked[0].contains("v1.22/") && story.asked[39].contains("v1.61/"), "{:?}", story.asked);
}

#[test]
fn a_request_reads_every_minor_again() {
    let mut story = three();
    let annotation = api::upgrader::debian_repository_source::REQUESTED_AT_ANNOTATION;
    story.object["metadata"]["annotations"] = json!({annotation: "now"});
    story.run(at(10));
    assert_eq!(story.asked, ["1.34", "1.35", "1.36", "1.37"].map(asked), "whether or not they changed");
    story.run(at(11));
    assert_eq!(story.asked, Vec::<String>::new());
}

proptest! {
    /// Whatever each minor answers: no index is asked for twice within five seconds, no version vanishes, and a source is
    /// either ready or says why not.
    #[test]
    fn no_minor_is_hammered_and_no_list_lost(
        rounds in proptest::collection::vec((proptest::collection::vec(0..6_u8, 5), 1..200_i64), 1..25),
        restart in 0..25_usize,
    ) {
        let mut story = three();
        let (mut now, mut before) = (0, story.versions());
        let mut last = BTreeMap::<String, i64>::new();
        for (round, (answers, step)) in rounds.into_iter().enumerate() {
            now += step;
            for (minor, answer) in (34..39).zip(answers) {
                let list = [format!("v1.{minor}.0"), format!("v1.{minor}.1")];
                let list: Vec<&str> = list.iter().map(String::as_str).collect();
                let outcome = match answer {
                    0 => good(&list),
                    1 => Ok(Fetched::NotModified),
                    2 => nothing(Index::default()),
                    3 => Err(FetchError::NotFound { status: 404 }),
                    4 => forbidden(),
                    _ => Err(FetchError::Timeout),
                };
                story.serve(&format!("1.{minor}"), outcome);
            }
            if round == restart {
                story.restart();
                last.clear();
            }
            let (_, decided) = story.run(at(now));
            for step in &story.asked {
                let url = step.trim_end_matches(" if it changed").to_owned();
                if let Some(before) = last.insert(url, now) {
                    prop_assert!(now - before >= 5, "{step}");
                }
            }
            let after = story.versions();
            prop_assert!(before.split(' ').all(|version| after.contains(version)), "{before} -> {after}");
            prop_assert!(decided.starts_with("done") || decided.starts_with("failed: "), "{decided}");
            before = after;
        }
    }
}
