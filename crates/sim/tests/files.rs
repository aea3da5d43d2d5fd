//! Files of scenarios: what is read, and what is wrong with one and where.

#![allow(
    clippy::unwrap_used,
    reason = "a test stops at what it cannot go on with, outside of its #[test] functions as well"
)]

use std::time::Duration;

use sim::{Happening, Roll, Scenario};

fn reason(text: &str) -> String {
    Scenario::read([("file.yaml", text)]).unwrap_err().to_string()
}

fn simulation(spec: &str) -> String {
    format!(
        "# A comment.\n---\napiVersion: sim.kubernetes-upgrader/v1alpha1\nkind: Simulation\nspec: {spec}\n"
    )
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let cases = [
        "a: b: c".to_owned(),
        "apiVersion: v1\nkind: ConfigMap\n".to_owned(),
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\nkind: Cluster\n".to_owned(),
        simulation("{speed: 2}"),
        simulation("{duration: soon}"),
        simulation("{roll: {perCluster: 1m, perMachine: 1m}}"),
        simulation("{releases: [{version: newest, at: 1d}]}"),
        simulation("{releases: [{version: v1.35.1, at: tomorrow}]}"),
        simulation("{events: [{at: 1d}]}"),
        simulation("{events: [{at: 1d, publish: v1.35.1, restart: {}}]}"),
        simulation("{events: [{at: 1d, outage: {source: a, error: Bored}}]}"),
        simulation("{events: [{at: 1d, back: {}}]}"),
        simulation("{events: [{at: 1d, create: {kind: Job}}]}"),
        simulation("{}").replace("v1alpha1", "v2"),
        simulation("{}") + "---\n" + &simulation("{}"),
    ];
    let shown: Vec<String> = cases.iter().map(|text| reason(text)).collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn times_are_instants_or_durations_since_the_start() {
    let text = simulation(
        "{start: 2026-12-01T00:00:00Z, duration: 1d 12h, build: 90m, roll: {perMachine: 5m}, seed: 7,
  releases: [{version: 1.35.1, at: +36h}, {version: v1.36.0, at: '2026-12-09T12:00Z'}],
  events: [{at: 2d, by: flux, delete: {kind: Plan, name: p}}]}",
    );
    let scenario = Scenario::read([("file.yaml", text.as_str())]).unwrap();
    let releases: Vec<String> =
        scenario.releases.iter().map(|(at, version)| format!("{version} {at}")).collect();
    assert_eq!(releases, ["v1.35.1 2026-12-02T12:00:00Z", "v1.36.0 2026-12-09T12:00:00Z"]);
    assert_eq!(scenario.until, Duration::from_secs(36 * 3_600));
    assert_eq!((scenario.build, scenario.seed), (Duration::from_secs(5_400), 7));
    assert_eq!(scenario.roll, Roll::PerMachine(Duration::from_secs(300)));
    let (at, by, happening) = &scenario.events[0];
    assert_eq!((at.to_string().as_str(), &**by), ("2026-12-03T00:00:00Z", "flux"));
    assert!(matches!(happening, Happening::Delete(target) if target.to_string() == "Plan default/p"));
}

#[test]
fn a_list_is_opened_and_several_files_are_one_scenario() {
    let list = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n\
                - {apiVersion: v1, kind: ConfigMap, metadata: {name: b}}\n";
    let text = simulation("{seed: 3}");
    let scenario = Scenario::read([("a.yaml", list), ("b.yaml", text.as_str())]).unwrap();
    assert_eq!((scenario.objects.len(), scenario.seed), (2, 3));
}

#[test]
fn what_is_not_simulated_ends_the_run() {
    let text = simulation("{duration: 1h, events: [{at: 1m, delete: {kind: Gadget, name: g}}]}");
    let scenario = Scenario::read([("file.yaml", text.as_str())]).unwrap();
    let error = sim::run(&scenario).unwrap_err().to_string();
    assert!(error.contains("Gadget"), "{error}");
}
