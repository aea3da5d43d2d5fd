//! Every file in `scenarios` is played, and its course compared with the snapshot beside it.
//!
//! A new scenario is a new file. `INSTA_UPDATE=always cargo test -p nodes --test planner golden` writes its course.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::manager::Manager;
use crate::scenario::Scenario;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

fn named(extension: &str) -> BTreeSet<String> {
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|file| file.extension().is_some_and(|found| found == extension));
    files.map(|file| file.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

fn course(scenario: Scenario) -> String {
    let until = scenario.until.unwrap_or(7200);
    let mut manager = Manager::new(scenario, 0);
    manager.run(until, &mut std::iter::empty());
    let seen = {
        let Manager { world, witness, .. } = &mut manager;
        witness.at_the_end(world);
        witness.seen.clone()
    };
    let mut shown = manager.world.log.join("\n");
    shown.push_str("\n\nAt the end:\n");
    for (name, node) in &manager.world.nodes {
        let (state, _) = manager.look(name);
        let cordon = match (node.unschedulable, node.is_ours()) {
            _ if !node.exists => "gone",
            (true, true) => "cordoned by us",
            (true, false) => "cordoned by others",
            (false, _) => "schedulable",
        };
        let ready = if node.ready { "Ready" } else { "not Ready" };
        let (runs, reboots) = (node.runs, node.reboots);
        let state = state.name();
        writeln!(shown, "{name:<8} {state:<10} {cordon}, {ready}, ran {runs}, rebooted {reboots}").unwrap();
    }
    assert_eq!(seen, Vec::<String>::new(), "{shown}");
    shown
}

#[test]
fn every_scenario_goes_as_it_did() {
    let names = named("yaml");
    assert!(names.len() >= 20, "{names:?}");
    let mut failed = Vec::new();
    for name in &names {
        let text = fs::read_to_string(folder().join(format!("{name}.yaml"))).unwrap();
        let scenario: Scenario =
            serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(folder());
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        // All of them are compared before the test fails.
        let compared = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            settings.bind(|| insta::assert_snapshot!(name.as_str(), course(scenario)));
        }));
        if compared.is_err() {
            failed.push(name);
        }
    }
    assert!(failed.is_empty(), "these went otherwise: {failed:?}");
}

#[test]
fn no_file_stands_there_for_nothing() {
    let (scenarios, courses) = (named("yaml"), named("snap"));
    assert_eq!(courses, scenarios, "a course without its scenario, or the other way round");
    let strangers: Vec<PathBuf> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|file| !file.extension().is_some_and(|found| found == "yaml" || found == "snap"))
        .collect();
    assert_eq!(strangers, Vec::<PathBuf>::new());
}
