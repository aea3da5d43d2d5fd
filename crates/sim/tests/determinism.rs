//! One seed gives one run: the same requests at the same times, and the same timeline.

#![allow(
    clippy::unwrap_used,
    reason = "a test stops at what it cannot go on with, outside of its #[test] functions as well"
)]

use sim::{Scenario, run};

const EVENTFUL: &str = include_str!("scenarios/killed_in_the_middle.yaml");
const BUILT: &str = include_str!("scenarios/three_minors.yaml");

#[test]
fn twenty_runs_are_one() {
    for text in [EVENTFUL, BUILT] {
        let scenario = Scenario::read([("scenario.yaml", text)]).unwrap();
        let first = run(&scenario).unwrap();
        assert!(first.entries.len() > 10, "{first}");
        for _ in 1..20 {
            assert_eq!(run(&scenario).unwrap(), first);
        }
    }
}

#[test]
fn another_seed_gives_other_names_and_the_same_end() {
    let mut scenario = Scenario::read([("scenario.yaml", BUILT)]).unwrap();
    let first = run(&scenario).unwrap();
    scenario.seed = 2;
    let other = run(&scenario).unwrap();
    assert_ne!(first.digest, other.digest);
    assert_ne!(first.entries, other.entries);
    assert_eq!(first.outcomes, other.outcomes);
}

#[test]
fn a_timeline_is_json_and_back() {
    let scenario = Scenario::read([("scenario.yaml", EVENTFUL)]).unwrap();
    let timeline = run(&scenario).unwrap();
    let json = serde_json::to_string(&timeline).unwrap();
    assert_eq!(serde_json::from_str::<sim::Timeline>(&json).unwrap(), timeline);
}

#[test]
fn lines_beyond_the_limit_are_counted_and_not_kept() {
    let mut scenario = Scenario::read([("scenario.yaml", BUILT)]).unwrap();
    let whole = run(&scenario).unwrap().entries.len();
    scenario.entries = 5;
    let cut = run(&scenario).unwrap();
    assert_eq!((cut.entries.len(), cut.left_out), (5, whole as u64 - 5));
}
