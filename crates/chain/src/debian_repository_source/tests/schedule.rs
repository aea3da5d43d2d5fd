//! When a repository is read.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

/// Seconds until the next look, without fetching.
fn wait(story: &mut Story, now: i64) -> i64 {
    let verdict = story.verdict(at(now)).1;
    assert_eq!(verdict.steps.len(), 0, "a fetch is due already");
    verdict.recheck.unwrap().duration_since(at(now)).as_secs()
}

#[test]
fn the_interval_is_the_sources_own_within_bounds() {
    for (interval, least) in [
        (json!(null), 60),
        (json!("10m"), 600),
        (json!(600_000_000_000_i64), 600),
        (json!("1s"), 10),
        (json!(-5), 10),
    ] {
        let mut story = Story::new(json!({"url": URL, "interval": interval}));
        story.pass(at(0), good(&["v1.27.0"]));
        let seconds = wait(&mut story, 0);
        assert!(seconds >= least && seconds <= least + least / 10, "{interval}: {seconds}");
    }
}

#[test]
fn sources_that_appear_together_part() {
    let mut waits = std::collections::BTreeSet::new();
    for number in 0..20 {
        let mut story = Story::new(json!({"url": URL, "interval": "1h"}));
        story.object["metadata"]["uid"] = json!(format!("uid-{number}"));
        story.pass(at(0), good(&["v1.27.0"]));
        waits.insert(wait(&mut story, 0));
    }
    assert!(waits.len() > 15, "{waits:?}");
}

#[test]
fn failures_wait_longer_each_time() {
    let mut story = Story::new(json!({"url": URL}));
    let (mut now, mut waits) = (0, Vec::new());
    for _ in 0..9 {
        story.pass(at(now), Err(FetchError::Timeout));
        let seconds = wait(&mut story, now);
        waits.push(seconds);
        now += seconds + 1;
    }
    for (seconds, least) in waits.iter().zip([5, 10, 20, 40, 80, 160, 300, 300, 300]) {
        assert!(*seconds >= least && *seconds <= least + least / 10, "{waits:?}");
    }
    story.pass(at(now), good(&["v1.27.0"]));
    assert!(wait(&mut story, now) <= 66, "a success starts over");
}

#[test]
fn what_the_repository_asks_for_is_kept_within_a_day() {
    for (retry_after, least) in [(600, 600), (1_000_000, 86_400)] {
        let retry_after = Some(Duration::from_secs(retry_after));
        for error in [FetchError::TooMany { retry_after }, FetchError::Server { status: 503, retry_after }] {
            let mut story = Story::new(json!({"url": URL}));
            story.pass(at(0), Err(error));
            assert_eq!(wait(&mut story, 0), least);
        }
    }
}

#[test]
fn a_changed_spec_is_fetched_at_once_and_unconditionally() {
    for (field, value) in [("url", "https://packages.example/v1.28/deb/Packages"), ("architecture", "arm64")]
    {
        let mut story = Story::new(json!({"url": URL}));
        story.pass(at(0), good(&["v1.27.0"]));
        story.object["spec"][field] = json!(value);
        let (_, verdict) = story.verdict(at(1));
        let Step::Fetch(fetch) = &verdict.steps[0] else { panic!("{:?}", verdict.steps) };
        assert_eq!(fetch.validators, Validators::default());
        // The other repository's list stays until this one is read.
        story.pass(at(1), Err(FetchError::Timeout));
        assert_eq!(story.object["status"]["versions"], json!(["v1.27.0"]));
        story.pass(at(10), good(&["v1.28.0"]));
        assert_eq!(story.object["status"]["versions"], json!(["v1.28.0"]));
    }
}

#[test]
fn a_request_is_handled_once_and_remembered() {
    let mut story = Story::new(json!({"url": URL}));
    story.pass(at(0), good(&["v1.27.0"]));
    let asked = api::upgrader::debian_repository_source::REQUESTED_AT_ANNOTATION;
    story.object["metadata"]["annotations"] = json!({asked: "now"});
    let (_, verdict) = story.verdict(at(1));
    assert_eq!(verdict.steps[0].to_string(), format!("fetch {URL}"), "unconditionally");
    let (report, _) = story.pass(at(1), good(&["v1.27.0"]));
    assert_eq!(report.status.unwrap(), json!({"lastHandledRequest": "now"}));
    assert_eq!(story.verdict(at(2)).1.steps.len(), 0);
    story.restart();
    assert_eq!(story.pass(at(3), good(&["v1.27.0"])).0, Report::default());
    // The annotation goes; what was handled is still told.
    story.object["metadata"]["annotations"] = json!({});
    assert_eq!(story.pass(at(4), good(&["v1.27.0"])).0, Report::default());
    // A failure handles it as well, or it would be asked for without a wait.
    story.object["metadata"]["annotations"] = json!({asked: "later"});
    let (report, _) = story.pass(at(5), Err(FetchError::Timeout));
    assert_eq!(report.status.unwrap()["lastHandledRequest"], "later");
    assert_eq!(story.verdict(at(6)).1.steps.len(), 0);
}

proptest! {
    /// Whatever a repository answers: it is never asked twice within five seconds, and versions never vanish but by a
    /// good list.
    #[test]
    fn a_repository_is_never_hammered_and_a_list_never_wiped(
        answers in proptest::collection::vec(0..4_u8, 1..40),
        interval in proptest::option::of(-10..4_000_i64),
        step in 1..400_i64,
    ) {
        let mut story = Story::new(json!({"url": URL, "interval": interval.map(|s| format!("{}s", s.max(0)))}));
        story.pass(at(0), good(&["v1.27.0"]));
        let (mut now, mut last) = (0, 0);
        for answer in answers {
            now += step;
            let fetches = !story.verdict(at(now)).1.steps.is_empty();
            if fetches {
                prop_assert!(now - last >= 5);
                last = now;
            }
            let outcome = match answer {
                0 => good(&["v1.27.0"]),
                1 => Ok(Fetched::NotModified),
                2 => nothing(Index::default()),
                _ => Err(FetchError::Timeout),
            };
            story.pass(at(now), outcome);
            prop_assert_eq!(&story.object["status"]["versions"], &json!(["v1.27.0"]));
        }
    }
}
