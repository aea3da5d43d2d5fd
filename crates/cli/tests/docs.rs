//! Every console block of the docs that asks the plugin is run, and prints what it shows there.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a test ends where it cannot go on")]

use std::path::{Path, PathBuf};

/// The commands that no test of this crate can run: they need a cluster, or build something. Whoever adds one says so here.
const NOT_RUN: &[&str] = &[
    "make plugin",
    "kubectl get -n fleet -o yaml debianrepositorysources,machineimagetemplates,machineimagesyncers,machineimages,plans,clusterclassclusterupgraders,clusters.cluster.x-k8s.io,clusterclasses,jobs,pods > dump.yaml",
    "kubectl upgrader simulate --from-cluster -n fleet -f changed-plan.yaml --until 30d --release v1.37.0@2026-12-09T12:00Z",
];

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Pages with their console blocks: how each is marked, and its commands.
fn blocks(page: &Path) -> Vec<(String, Vec<String>)> {
    let text = std::fs::read_to_string(page).unwrap();
    let (mut blocks, mut open) = (Vec::<(String, Vec<String>)>::new(), false);
    for line in text.lines() {
        if let Some(mark) = line.strip_prefix("```") {
            open = !open && mark.starts_with("console");
            if open {
                blocks.push((mark.to_owned(), Vec::new()));
            }
        } else if let Some(command) = line.strip_prefix("$ ").filter(|_| open) {
            blocks.last_mut().unwrap().1.push(command.to_owned());
        }
    }
    blocks
}

fn pages() -> Vec<PathBuf> {
    let docs = std::fs::read_dir(top().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut pages: Vec<PathBuf> =
        docs.filter(|path| path.extension().is_some_and(|end| end == "md")).collect();
    pages.push(top().join("README.md"));
    pages.sort();
    pages
}

fn asks_plugin(command: &str) -> bool {
    command.contains("kubectl upgrader") || command.contains("kubectl-upgrader")
}

#[test]
fn what_the_docs_show_is_what_it_prints() {
    let cases = trycmd::TestCases::new();
    cases
        .register_bin("kubectl", trycmd::schema::Bin::Path(top().join("crates/cli/tests/kubectl")))
        .env("KUBECTL_UPGRADER", env!("CARGO_BIN_EXE_kubectl-upgrader"))
        .env("LC_ALL", "C.UTF-8")
        .env("KUBECONFIG", "/nonexistent");
    for page in pages() {
        // A page that shows other programs alone has no block for this test.
        if blocks(&page).iter().flat_map(|(_, commands)| commands).any(|command| asks_plugin(command)) {
            cases.case(page);
        }
    }
}

#[test]
fn nothing_is_passed_over_in_silence() {
    let mut passed_over = Vec::new();
    let mut run = 0;
    for page in pages() {
        for (mark, commands) in blocks(&page) {
            let ignored = mark.split(',').any(|word| word == "ignore");
            let of_plugin = commands.iter().any(|command| asks_plugin(command));
            if ignored {
                passed_over.extend(commands);
            } else if of_plugin {
                run += commands.len();
            }
        }
    }
    assert!(run >= 10, "{run} commands of the docs are run");
    let unknown: Vec<&String> =
        passed_over.iter().filter(|command| !NOT_RUN.contains(&command.as_str())).collect();
    assert!(
        unknown.is_empty(),
        "these are marked to be ignored, and the test does not know them: {unknown:?}"
    );
    let stale: Vec<&&str> =
        NOT_RUN.iter().filter(|known| !passed_over.iter().any(|command| command == *known)).collect();
    assert!(stale.is_empty(), "these are in no page any more: {stale:?}");
}

/// A Simulation on a page is one that can be read.
#[test]
fn simulations_of_the_docs_can_be_read() {
    let mut read = 0;
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for block in text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()) {
            if block.contains("kind: Simulation") {
                let name = page.display().to_string();
                sim::Scenario::read([(&*name, block)]).unwrap_or_else(|error| panic!("{error}"));
                read += 1;
            }
        }
    }
    assert!(read > 0, "no page shows one");
}
