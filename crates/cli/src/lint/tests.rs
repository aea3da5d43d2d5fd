#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where it cannot go on")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::*;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../api/fixtures").join(name)
}

/// The errors of each file of a folder of fixtures.
fn errors(name: &str) -> Vec<(String, Vec<Fault>)> {
    let crds = Crds::load().unwrap();
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let check_file = |file: PathBuf| {
        let (manifests, mut faults) = manifests::read_all(std::slice::from_ref(&file));
        for manifest in &manifests {
            faults.extend(check(&crds, manifest).unwrap());
        }
        (file.file_name().unwrap().to_str().unwrap().to_owned(), faults)
    };
    files.into_iter().map(check_file).collect()
}

#[test]
fn what_a_server_accepts_passes() {
    let wrong: Vec<String> = errors("accepted")
        .into_iter()
        .filter(|(_, faults)| !faults.is_empty())
        .map(|(file, faults)| format!("{file}: {faults:?}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// And for the same fault: the text is read by the test's reader.
#[test]
fn what_a_server_refuses_fails() {
    let all = errors("refused");
    assert!(all.len() > 40);
    let mut text = String::new();
    for (file, faults) in all {
        assert!(!faults.is_empty(), "{file} passes");
        for fault in faults {
            writeln!(text, "{file}:{}: {}", fault.line, fault.reason).unwrap();
        }
    }
    insta::assert_snapshot!("refused", text);
}

/// What a server admits of operations on nodes, and their controllers report on the object, is said here as well: the first
/// line of a fixture has the sentence.
#[test]
fn node_operations_that_nothing_can_be_done_with_have_the_fault_of_their_controller() {
    let mut told = 0;
    for (file, faults) in errors("kairos/accepted") {
        let text = std::fs::read_to_string(folder("kairos/accepted").join(&file)).unwrap();
        let first = text.lines().next().unwrap_or_default();
        let said = |word: &str| first.strip_prefix(word);
        let expected = said("# malformed: ").or_else(|| said("# selector: "));
        let reasons: Vec<&str> = faults.iter().map(|fault| fault.reason.as_str()).collect();
        match expected.filter(|_| text.contains("\nspec:")) {
            Some(expected) => assert_eq!(reasons, [expected], "{file}"),
            None => assert_eq!(reasons, Vec::<&str>::new(), "{file}"),
        }
        told += usize::from(!reasons.is_empty());
    }
    assert!(told >= 8, "{told}");
    for (file, faults) in errors("kairos/refused") {
        assert!(!faults.is_empty(), "{file} passes");
    }
}

/// Every rule of every schema, wherever it stands, is one that this program can evaluate.
#[test]
fn every_rule_is_understood() {
    fn rules(schema: &serde_json::Value, all: &mut Vec<String>) {
        match schema {
            serde_json::Value::Object(fields) => {
                for rule in fields
                    .get("x-kubernetes-validations")
                    .and_then(|rules| rules.as_array())
                    .into_iter()
                    .flatten()
                {
                    all.push(rule["rule"].as_str().unwrap().to_owned());
                }
                fields.values().for_each(|inner| rules(inner, all));
            }
            serde_json::Value::Array(entries) => entries.iter().for_each(|inner| rules(inner, all)),
            _ => {}
        }
    }
    let mut all = Vec::new();
    for text in crds::TEXTS {
        rules(&serde_saphyr::from_str::<serde_json::Value>(text).unwrap(), &mut all);
    }
    assert!(all.len() >= 10, "{all:?}");
    for rule in all {
        cel::Program::compile(&rule).unwrap_or_else(|error| panic!("{rule}: {error}"));
    }
}

#[test]
fn samples_are_clean() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/samples");
    let crds = Crds::load().unwrap();
    let (manifests, wrong) = manifests::read_all(&[samples]);
    assert_eq!(wrong, []);
    let faults: Vec<Fault> = manifests.iter().flat_map(|manifest| check(&crds, manifest).unwrap()).collect();
    assert_eq!(faults, []);
}
