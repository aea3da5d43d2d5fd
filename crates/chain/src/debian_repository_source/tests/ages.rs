//! What is known of each version: its package, and when it was seen first.

use super::*;

fn first_seen(story: &Story) -> String {
    let list = story.object["status"]["packages"].as_array().cloned().unwrap_or_default();
    let one = |package: &Value| {
        let age =
            package["firstSeen"].as_str().map_or_else(|| "old".to_owned(), |time| time[11..19].to_owned());
        format!("{}={age}", package["version"].as_str().unwrap())
    };
    list.iter().map(one).collect::<Vec<_>>().join(" ")
}

#[test]
fn what_the_first_good_fetch_brought_is_old_and_what_follows_is_new() {
    let mut story = Story::new(json!({"url": URL}));
    story.pass(at(0), Err(FetchError::Timeout));
    story.pass(at(10), good(&["v1.27.0", "v1.27.1"]));
    assert_eq!(first_seen(&story), "v1.27.0=old v1.27.1=old");
    assert_eq!(story.object["status"]["packages"][0], json!({"version": "v1.27.0", "package": "1-1"}));
    story.pass(at(100), good(&["v1.27.0", "v1.27.1", "v1.27.2"]));
    let expected = "v1.27.0=old v1.27.1=old v1.27.2=10:01:40";
    assert_eq!(first_seen(&story), expected);
    // Neither time nor a restart changes that.
    assert_eq!(story.pass(at(200), good(&["v1.27.0", "v1.27.1", "v1.27.2"])).0, Report::default());
    story.restart();
    assert_eq!(story.pass(at(300), good(&["v1.27.0", "v1.27.1", "v1.27.2"])).0, Report::default());
    // One that vanished and comes back has been seen.
    story.pass(at(400), good(&["v1.27.0"]));
    assert_eq!(story.versions(), "v1.27.0");
    assert_eq!(first_seen(&story), expected);
    story.pass(at(500), good(&["v1.27.0", "v1.27.2"]));
    assert_eq!(first_seen(&story), expected);
}

#[test]
fn a_new_revision_of_a_package_is_told_and_keeps_its_age() {
    let mut story = Story::new(json!({"url": URL}));
    story.pass(at(0), good(&["v1.27.0"]));
    story.pass(at(100), good(&["v1.27.0", "v1.27.1"]));
    let mut revised = good(&["v1.27.0", "v1.27.1"]).unwrap();
    if let Fetched::Fresh { index, .. } = &mut revised {
        index.versions[1].package = "1-2".into();
    }
    story.pass(at(200), Ok(revised));
    let expected = json!({"version": "v1.27.1", "package": "1-2", "firstSeen": "2026-11-21T10:01:40Z"});
    assert_eq!(story.object["status"]["packages"][1], expected);
}

/// Versions that an earlier release of this controller, or the original, has written.
#[test]
fn what_was_listed_without_an_age_is_old() {
    let mut story = Story::new(json!({"url": URL}));
    story.object["status"] = json!({"versions": ["v1.27.0"]});
    story.pass(at(0), good(&["v1.27.0", "v1.27.1"]));
    assert_eq!(first_seen(&story), "v1.27.0=old v1.27.1=10:00:00");
}

#[test]
fn a_new_minor_is_new_and_an_older_one_that_is_added_is_old() {
    let url = "https://packages.example/v{minor}/deb/Packages";
    let mut story = Story::new(json!({"url": url, "fromMinor": "1.35"}));
    story.serve("1.35", good(&["v1.35.0"])).serve("1.36", good(&["v1.36.0"]));
    story.run(at(0));
    assert_eq!(first_seen(&story), "v1.35.0=old v1.36.0=old");
    story.serve("1.37", good(&["v1.37.0"]));
    story.run(at(70));
    story.object["spec"]["fromMinor"] = json!("1.34");
    story.serve("1.34", good(&["v1.34.9"]));
    story.run(at(80));
    assert_eq!(first_seen(&story), "v1.34.9=old v1.35.0=old v1.36.0=old v1.37.0=10:01:10");
}

#[test]
fn the_newest_five_hundred_are_kept() {
    let mut story = Story::new(json!({"url": URL}));
    let names: Vec<String> = (0..600).map(|patch| format!("v1.27.{patch}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    story.pass(at(0), good(&names));
    let list = story.object["status"]["packages"].as_array().unwrap();
    assert_eq!((list.len(), &list[0]["version"]), (500, &json!("v1.27.100")));
    assert_eq!(story.pass(at(100), good(&names)).0, Report::default(), "what fell off does not come back");
}

#[test]
fn what_is_longer_than_the_schema_takes_is_left_out_or_cut() {
    let long = format!("v1.27.1-{}", "a".repeat(300));
    let mut answer = good(&["v1.27.0", &long]);
    let Ok(Fetched::Fresh { index, .. }) = &mut answer else { panic!("{answer:?}") };
    index.versions[0].package = "ä".repeat(300).into();
    let mut story = Story::new(json!({"url": URL}));
    story.pass(at(0), answer);
    assert_eq!(story.versions(), "v1.27.0");
    assert_eq!(
        story.object["status"]["packages"],
        json!([{"version": "v1.27.0", "package": "ä".repeat(256)}])
    );
}
