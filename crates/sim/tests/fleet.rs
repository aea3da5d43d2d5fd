//! Many Clusters at once: told by counts, since nobody reads a thousand lines.

#![allow(
    clippy::unwrap_used,
    reason = "a test stops at what it cannot go on with, outside of its #[test] functions as well"
)]

mod given;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use domain::object::ObjectKey;
use jiff::{SignedDuration, Timestamp};
use sim::{Happening, Refusing, Roll, Scenario, Timeline, run};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

fn fleet(clusters: usize, max_concurrent: Option<u32>, hours: u64) -> Scenario {
    let mut scenario = Scenario {
        until: Duration::from_secs(hours * HOUR),
        roll: Roll::PerCluster(Duration::from_secs(90 * MINUTE)),
        ..Scenario::default()
    };
    scenario.add(given::class());
    scenario.add(given::image("v1.35.1"));
    scenario.add(given::plan("v1.35.x", max_concurrent));
    for number in 0..clusters {
        let name = format!("c{number:03}");
        scenario.add(given::cluster(&name, "v1.35.0"));
        scenario.add(given::upgrader(&name, false));
    }
    scenario
}

impl Moments<'_> {
    fn at(&mut self, minutes: i64, happening: Happening) {
        let at = self.0.start.checked_add(SignedDuration::from_mins(minutes)).unwrap();
        self.0.events.push((at, "user".into(), happening));
    }
}

struct Moments<'a>(&'a mut Scenario);

/// What an upgrader says, without what names a single Cluster.
fn word(what: &str) -> Option<&str> {
    if what.starts_with("done") {
        return Some("done");
    }
    let said =
        ["waits: ", "works: ", "fails: ", "stuck: "].into_iter().find_map(|verb| what.strip_prefix(verb))?;
    said.split(" - ").next()
}

/// At each time at which something was written of them: how many Clusters were set, and how many upgraders say what.
fn told(timeline: &Timeline) -> String {
    let mut said: BTreeMap<&str, &str> = BTreeMap::new();
    let mut moments: BTreeMap<Timestamp, (usize, BTreeMap<String, usize>)> = BTreeMap::new();
    let mut entries = timeline.entries.iter().peekable();
    let mut set = 0;
    while let Some(entry) = entries.next() {
        if entry.object.starts_with("Cluster default/") && entry.what.starts_with("set ") {
            set += 1;
        }
        if entry.object.starts_with("ClusterClassClusterUpgrader ")
            && let Some(word) = word(&entry.what)
        {
            said.insert(&entry.object, word);
        }
        if entries.peek().is_none_or(|next| next.at != entry.at) {
            let mut counts: BTreeMap<String, usize> = BTreeMap::new();
            for word in said.values() {
                *counts.entry((*word).to_owned()).or_default() += 1;
            }
            if moments.last_key_value().is_none_or(|(_, last)| *last != (set, counts.clone())) {
                moments.insert(entry.at, (set, counts));
            }
        }
    }
    let mut text = String::new();
    for (at, (set, counts)) in moments {
        let counts: Vec<String> = counts.iter().map(|(word, count)| format!("{word} {count}")).collect();
        let minutes = at.duration_since(timeline.start).as_secs();
        writeln!(
            text,
            "+{:02}:{:02}:{:02}  set {set:>3}  {}",
            minutes / 3600,
            minutes / 60 % 60,
            minutes % 60,
            counts.join(", ")
        )
        .unwrap();
    }
    let wishes: BTreeSet<&str> =
        timeline.outcomes.iter().map(|outcome| outcome.reason.as_deref().unwrap_or("done")).collect();
    writeln!(text, "\nAt the end: {wishes:?}\nRequests:").unwrap();
    for (request, count) in &timeline.requests {
        writeln!(text, "{count:>6} {request}").unwrap();
    }
    text
}

fn compare(name: &str, shown: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("scenarios/fleet");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, shown));
}

/// One of a hundred Clusters stalls on a new image: those that roll go on, no other begins, and all go on when it moves.
#[test]
fn a_suspect_image_in_a_fleet_of_100() {
    let mut scenario = fleet(100, Some(5), 48);
    let begun = run(&Scenario { until: Duration::from_secs(MINUTE), ..scenario.clone() }).unwrap();
    let first = begun.entries.iter().find(|entry| entry.what.starts_with("set v1.35.0")).unwrap();
    let first = ObjectKey::new("default", first.object.trim_start_matches("Cluster default/"));
    let mut moments = Moments(&mut scenario);
    moments.at(2, Happening::Stall(first.clone()));
    moments.at(12 * 60, Happening::Resume(first));
    let timeline = run(&scenario).unwrap();
    compare("a_suspect_image_in_a_fleet_of_100", &told(&timeline));
    let started = |before: i64| {
        let until = timeline.start.checked_add(SignedDuration::from_mins(before)).unwrap();
        let set =
            timeline.entries.iter().filter(|entry| entry.at < until && entry.what.starts_with("set v1.35.0"));
        set.count()
    };
    assert_eq!(started(12 * 60), 5, "nobody starts on an image that is suspect");
    assert!(timeline.outcomes.iter().all(|outcome| outcome.reason.is_none()));
}

/// Fifty Clusters in one namespace, and no limit: all of them begin together.
#[test]
fn fifty_clusters_in_one_namespace() {
    let timeline = run(&fleet(50, None, 6)).unwrap();
    compare("fifty_clusters_in_one_namespace", &told(&timeline));
    assert_eq!(timeline.requests["patch clusters"], 50);
    // All who start at one moment share one look at the image, but for those passes that run side by side.
    assert!(timeline.requests["get machineimages"] <= 16);
}

/// A write that is refused is sent again after 1, 2, 5, and then every 15 minutes, with some jitter.
#[test]
fn what_is_refused_is_sent_again_ever_less_often() {
    let attempts = |minutes: u64| {
        let mut scenario = fleet(1, None, 1);
        scenario.until = Duration::from_secs(minutes * MINUTE);
        let until = scenario.start.checked_add(SignedDuration::from_hours(24)).unwrap();
        let rule = Refusing {
            webhook: "freeze.example.org".into(),
            kind: "Cluster".into(),
            namespace: None,
            name: None,
            message: "frozen".into(),
            until,
        };
        Moments(&mut scenario).at(0, Happening::Refuse(rule));
        run(&scenario).unwrap().requests["patch clusters"]
    };
    let seen: Vec<u64> = [1, 2, 5, 10, 28, 45, 60].into_iter().map(attempts).collect();
    assert_eq!(seen, [1, 2, 3, 4, 5, 6, 7], "after 0, 1, 3, 8, 23, 38 and 53 minutes");
}
