//! Every file in `scenarios` is run, and its timeline compared with the snapshot beside it.
//!
//! A new scenario is a new file. `INSTA_UPDATE=always cargo test -p sim --test golden` writes its timeline.

#![allow(
    clippy::unwrap_used,
    reason = "a test stops at what it cannot go on with, outside of its #[test] functions as well"
)]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use sim::{Scenario, run};

fn scenarios() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    files
}

#[test]
fn every_scenario_goes_as_it_did() {
    let files = scenarios();
    assert!(!files.is_empty());
    let mut failed = Vec::new();
    for file in files {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&file).unwrap();
        let scenario = Scenario::read([(file.file_name().unwrap().to_str().unwrap(), text.as_str())]);
        let timeline = run(&scenario.unwrap_or_else(|error| panic!("{error}")));
        let timeline = timeline.unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut shown = timeline.to_string();
        let writes = timeline.requests.iter().filter(|(request, _)| {
            ["create", "patch", "delete"].iter().any(|verb| request.starts_with(verb))
        });
        shown.push_str("\nWrites:\n");
        for (request, count) in writes {
            writeln!(shown, "{count:>6} {request}").unwrap();
        }
        let settings = {
            let mut settings = insta::Settings::clone_current();
            settings.set_snapshot_path("scenarios");
            settings.set_prepend_module_to_snapshot(false);
            settings.set_omit_expression(true);
            settings
        };
        // All of them are compared before the test fails.
        let compared = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            settings.bind(|| insta::assert_snapshot!(name.as_str(), shown));
        }));
        if compared.is_err() {
            failed.push(name);
        }
    }
    assert!(failed.is_empty(), "these went otherwise: {failed:?}");
}
