//! The invariants of ARCHITECTURE.md that text can show: which way crates depend, which files talk, how long they are and what
//! they are called.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::repository;
use serde::Deserialize;

/// What each crate may be built on, of ours. Who is not here may not exist: a new crate is a decision.
const INWARDS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("api", &["domain"]),
    ("sources", &["domain"]),
    ("runtime", &["domain"]),
    ("chain", &["api", "domain", "runtime", "sources"]),
    ("nodes", &["api", "domain", "runtime"]),
    ("manager", &["api", "chain", "domain", "nodes", "runtime", "sources"]),
    ("sim", &["api", "domain", "manager", "nodes", "runtime", "sources"]),
    ("cli", &["api", "chain", "domain", "manager", "runtime", "sim"]),
    ("controlplane", &[]),
    ("testkit", &["api", "domain", "runtime"]),
    ("xtask", &["api", "chain", "domain", "manager", "nodes", "runtime"]),
    (
        "e2e",
        &["api", "chain", "controlplane", "cli", "domain", "manager", "runtime", "sim", "sources", "testkit"],
    ),
];
/// What only tests may be built on beyond that.
const FOR_TESTS: &[&str] = &["testkit", "controlplane"];
/// What a crate never knows, by the beginning of a package's name.
const NEVER: &[(&str, &[&str])] = &[
    ("domain", &["kube", "k8s-openapi", "tokio", "futures", "reqwest", "http", "hyper", "tracing", "clap"]),
    ("api", &["kube", "tokio", "futures", "reqwest", "http", "hyper", "tracing"]),
    ("sources", &["kube", "k8s-openapi"]),
];
/// The files of every room.
const ROOM: &[&str] = &["mod.rs", "observe.rs", "decide.rs", "status.rs", "apply.rs", "tests/mod.rs"];
/// What stands in no file of a room but `apply.rs`: talking, and any time that was not handed in.
const TALK: &[&str] = &[
    "async fn",
    "async move",
    "async {",
    ".await",
    "kube::",
    "tokio",
    "reqwest",
    "Timestamp::now",
    "Instant",
    "SystemTime",
    "std::env",
    "std::fs",
    "std::net",
];
const LONGEST_FILE: usize = 500;
const NO_NAMES: &[&str] = &["utils", "util", "helpers", "helper", "common", "misc"];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
    /// Whether `cargo test` runs it without being told to.
    test: bool,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
}

fn metadata() -> Metadata {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version=1"])
        .current_dir(repository())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn packages() -> BTreeMap<String, Vec<Dependency>> {
    metadata().packages.into_iter().map(|package| (package.name, package.dependencies)).collect()
}

/// The Rust files below some folders, as paths from the repository's root.
fn rust_files(roots: &[&str]) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = roots.iter().map(PathBuf::from).collect();
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(repository().join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = folder.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    assert!(!files.is_empty());
    files
}

fn read(path: &Path) -> String {
    fs::read_to_string(repository().join(path)).unwrap()
}

/// The lines of code with their numbers, without comments and without what follows `#[cfg(test)]`.
fn code(text: &str) -> Vec<(usize, &str)> {
    let lines = text.lines().enumerate().take_while(|(_, line)| line.trim() != "#[cfg(test)]");
    let code = lines.map(|(number, line)| (number + 1, line.split("//").next().unwrap_or_default()));
    code.filter(|(_, line)| !line.trim().is_empty()).collect()
}

/// The lines of a file that talk.
fn talking(path: &Path) -> Vec<String> {
    let text = read(path);
    let lines = code(&text).into_iter();
    let found = lines.filter_map(|(number, line)| {
        // A field called `awaited` is no `.await`.
        let stands = |talk: &str| {
            line.match_indices(talk).any(|(at, _)| {
                let next = line[at + talk.len()..].chars().next();
                !talk.ends_with(char::is_alphabetic) || !next.is_some_and(char::is_alphanumeric)
            })
        };
        let talk = TALK.iter().find(|talk| stands(talk))?;
        Some(format!("{}:{number}: {talk}: {}", path.display(), line.trim()))
    });
    found.collect()
}

/// The controllers' folders.
fn rooms() -> Vec<PathBuf> {
    let folders = ["crates/chain/src", "crates/nodes/src/kairos"].map(|folder| repository().join(folder));
    let mut rooms: Vec<PathBuf> = folders
        .into_iter()
        .flat_map(|folder| fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    rooms.sort();
    assert!(rooms.len() >= 6, "{rooms:?}");
    rooms
}

fn is_test(path: &Path) -> bool {
    let named = |part: &str| path.components().any(|component| component.as_os_str() == part);
    named("tests") || named("tests.rs")
}

#[test]
fn crates_depend_inwards() {
    let packages = packages();
    let known: BTreeSet<&str> = INWARDS.iter().map(|(name, _)| *name).collect();
    let ours: BTreeSet<&str> = packages.keys().map(String::as_str).collect();
    assert_eq!(ours, known, "a new crate has its place in INWARDS, and in ARCHITECTURE.md");
    let mut wrong = Vec::new();
    for (name, inwards) in INWARDS {
        for dependency in &packages[*name] {
            let Dependency { name: on, kind } = dependency;
            let in_test = kind.as_deref() == Some("dev") && FOR_TESTS.contains(&on.as_str());
            if ours.contains(on.as_str()) && !inwards.contains(&on.as_str()) && !in_test {
                wrong.push(format!("{name} depends on {on}"));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn crates_do_not_know_what_they_must_not() {
    let packages = packages();
    let mut wrong = Vec::new();
    for (name, never) in NEVER {
        let shipped = packages[*name].iter().filter(|dependency| dependency.kind.is_none());
        for Dependency { name: on, .. } in shipped {
            let knows = |stranger: &&str| on == *stranger || on.starts_with(&format!("{stranger}-"));
            if never.iter().any(knows) {
                wrong.push(format!("{name} depends on {on}"));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn every_room_has_the_same_files() {
    let missing: Vec<String> = rooms()
        .iter()
        .flat_map(|room| ROOM.iter().map(move |file| room.join(file)))
        .filter(|file| !file.exists())
        .map(|file| file.display().to_string())
        .collect();
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn only_apply_talks() {
    let mut wrong = Vec::new();
    for path in rust_files(&["crates/chain/src", "crates/nodes/src"]) {
        if is_test(&path) || path.file_name().is_some_and(|name| name == "apply.rs") {
            continue;
        }
        wrong.extend(talking(&path));
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// A dialect is a folder of rooms. Everything else in the crate is the engine that they share.
#[test]
fn the_engine_of_nodes_knows_no_dialect() {
    const OF_DIALECTS: [&str; 3] = ["api::", "runtime::", "kairos::"];
    let mut wrong = Vec::new();
    let mut engine = 0;
    for path in rust_files(&["crates/nodes/src"]) {
        if path.starts_with("crates/nodes/src/kairos") {
            continue;
        }
        engine += 1;
        let text = read(&path);
        let named =
            code(&text).into_iter().filter(|(_, line)| OF_DIALECTS.iter().any(|of| line.contains(of)));
        wrong.extend(named.map(|(number, line)| format!("{}:{number}: {}", path.display(), line.trim())));
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(engine > 10, "{engine} files");
}

#[test]
fn domain_and_api_neither_wait_nor_look_at_a_clock() {
    let mut wrong = Vec::new();
    for path in rust_files(&["crates/domain/src", "crates/api/src"]) {
        if !is_test(&path) {
            wrong.extend(talking(&path));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn files_can_be_read_in_one_sitting_and_are_called_what_they_are() {
    let mut wrong = Vec::new();
    for path in rust_files(&["crates", "test/e2e/src"]) {
        let lines = read(&path).lines().count();
        if lines > LONGEST_FILE && !is_test(&path) {
            wrong.push(format!("{} has {lines} lines", path.display()));
        }
        let vague = path.components().any(|component| {
            let name = component.as_os_str().to_string_lossy();
            NO_NAMES.contains(&name.trim_end_matches(".rs"))
        });
        if vague {
            wrong.push(format!("{} says nothing by its name", path.display()));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// The live tests that `make test` runs one after another, beside everything else.
fn on_cluster_api() -> BTreeSet<String> {
    let makefile = read(Path::new("Makefile"));
    let list = makefile.lines().find_map(|line| line.strip_prefix("ON_CLUSTER_API = ")).unwrap();
    list.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn no_test_is_left_out_of_make_test() {
    let targets = metadata().packages.into_iter().flat_map(|package| package.targets);
    let is_test = |target: &Target| target.kind.iter().any(|kind| kind == "test");
    let by_name_only: BTreeSet<String> =
        targets.filter(|target| is_test(target) && !target.test).map(|target| target.name).collect();
    assert_eq!(
        by_name_only,
        on_cluster_api(),
        "test = false in a manifest, and ON_CLUSTER_API in the Makefile"
    );
}

#[test]
fn what_needs_cluster_api_takes_its_turn_in_the_makefile() {
    let root = Path::new("test/e2e/tests");
    let mut found = BTreeSet::new();
    for path in rust_files(&["test/e2e/tests"]) {
        // Put together, so that this file is none of them.
        if read(&path).contains(concat!("start_with_", "cluster_api()")) {
            let program = path.strip_prefix(root).unwrap().components().next().unwrap();
            let program = program.as_os_str().to_string_lossy();
            found.insert(program.trim_end_matches(".rs").to_owned());
        }
    }
    assert_eq!(found, on_cluster_api());
}
