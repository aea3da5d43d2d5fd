//! What the pages say is there: links, flags, reasons, metrics, and examples that parse.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a page that is wrong must stop its test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use api::upgrader;
use domain::verdict::Reason as _;
use serde_json::Value;

/// Every page, with its text.
fn pages() -> Vec<(PathBuf, String)> {
    let root = xtask::root();
    let docs = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let top = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].map(|page| root.join(page));
    let mut pages: Vec<PathBuf> =
        docs.chain(top).filter(|path| path.extension().is_some_and(|e| e == "md")).collect();
    pages.sort();
    pages.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

/// What stands between `open` and the next `close`, every time.
fn between<'a>(text: &'a str, open: &'a str, close: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(open).skip(1).filter_map(move |rest| rest.split(close).next())
}

/// The fenced blocks of a language.
fn blocks<'a>(text: &'a str, language: &'a str) -> impl Iterator<Item = &'a str> {
    let fenced = text.split("```").skip(1).step_by(2);
    fenced.filter_map(move |block| block.strip_prefix(language)?.strip_prefix('\n'))
}

#[test]
fn every_link_leads_somewhere() {
    for (path, text) in pages() {
        for link in between(&text, "](", ")") {
            let file = link.split('#').next().unwrap();
            if link.starts_with("http") || file.is_empty() {
                continue;
            }
            assert!(path.parent().unwrap().join(file).exists(), "{}: {link}", path.display());
        }
    }
}

#[test]
fn every_reason_that_a_page_names_can_be_met() {
    let mut known = BTreeSet::new();
    for name in upgrader::debian_repository_source::Reason::ALL.iter().map(|reason| reason.name()) {
        known.insert(name);
    }
    known.extend(upgrader::machine_image_syncer::Reason::ALL.iter().map(|reason| reason.name()));
    known.extend(upgrader::machine_image::Reason::ALL.iter().map(|reason| reason.name()));
    known.extend(upgrader::plan::Reason::ALL.iter().map(|reason| reason.name()));
    known.extend(upgrader::cluster_upgrader::Reason::ALL.iter().map(|reason| reason.name()));
    let page = fs::read_to_string(xtask::root().join("docs/cluster-upgrades.md")).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| ") && line.ends_with(" |"));
    let named: Vec<&str> = rows
        .filter_map(|row| row.trim_end_matches(" |").rsplit(" | ").next())
        .flat_map(|cell| between(cell, "`", "`").step_by(2))
        .collect();
    assert!(named.len() > 20, "{named:?}");
    for name in named {
        assert!(known.contains(name), "{name}");
    }
}

#[test]
fn every_flag_that_a_page_names_is_one_of_the_manager() {
    let known = manager::options::help();
    for (path, text) in pages() {
        for word in text.split(|c: char| c.is_whitespace() || "`\",()[]".contains(c)) {
            let Some(flag) = word.strip_prefix("--") else { continue };
            let flag = flag.split(['=', '.', ':', ';']).next().unwrap();
            let ours = ["leader", "dry", "controllers", "namespace", "zap", "metrics", "health"];
            if ours.iter().any(|start| flag.starts_with(start)) {
                assert!(known.contains(&format!("--{flag}")), "{}: --{flag}", path.display());
            }
        }
    }
}

#[test]
fn every_metric_that_a_page_names_is_served() {
    let metrics = runtime::metrics::Metrics::new("test");
    metrics.pass("plan", runtime::metrics::Outcome::Done);
    metrics.pass_took("plan", std::time::Duration::ZERO);
    metrics.queue_depth("plan", 0);
    metrics.reason_changed("plan", None, Some("Malformed"));
    metrics.request("get", "plans", 200);
    metrics.watch_restarted("plans");
    metrics.leader(true);
    metrics.foreign_webhooks(1);
    let served = metrics.render().unwrap();
    for (path, text) in pages() {
        for rest in text.split("kubernetes_upgrader_").skip(1) {
            let name: String = rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
            assert!(served.contains(&format!("kubernetes_upgrader_{name}")), "{}: {name}", path.display());
        }
    }
}

/// Examples of our kinds hold no field that their schema would drop.
#[test]
fn every_example_fits_its_schema() {
    let mut checked = 0;
    let files = xtask::generate().unwrap();
    for (path, text) in pages() {
        for block in blocks(&text, "yaml") {
            let documents: Vec<Value> = serde_saphyr::from_multiple(block)
                .unwrap_or_else(|error| panic!("{}: {error}\n{block}", path.display()));
            for document in documents.iter().filter(|document| document["kind"].is_string()) {
                let kind = upgrader::KINDS.iter().find(|kind| document["kind"] == kind.kind);
                let Some(kind) = kind.filter(|kind| document["apiVersion"] == kind.api_version()) else {
                    continue;
                };
                let file = format!("config/crd/bases/{}_{}.yaml", kind.group, kind.plural);
                let crd: Value = serde_saphyr::from_str(&files[Path::new(&file)]).unwrap();
                let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
                fits(&document["spec"], schema, kind.kind);
                checked += 1;
            }
        }
    }
    assert!(checked >= 3, "{checked}");
}

fn fits(value: &Value, schema: &Value, at: &str) {
    let (Value::Object(fields), Some(known)) = (value, schema["properties"].as_object()) else { return };
    for (name, value) in fields {
        let schema = known.get(name).unwrap_or_else(|| panic!("{at}.{name} is not in the schema"));
        fits(value, schema, &format!("{at}.{name}"));
    }
}
