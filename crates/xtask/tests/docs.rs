//! What the pages say is there: links, flags, reasons, metrics, and examples that parse.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a page that is wrong must stop its test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use api::{kairos, upgrader};
use domain::object::Kind;
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
            if link.starts_with("http") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let file = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(file.exists(), "{}: {link}", path.display());
            let leads = anchor.is_empty() || anchors(&fs::read_to_string(file).unwrap()).contains(anchor);
            assert!(leads, "{}: no heading of {link}", path.display());
        }
    }
}

/// The headings of a page, as links name them.
fn anchors(page: &str) -> BTreeSet<String> {
    let prose = page.split("```").step_by(2);
    let headings = prose.flat_map(str::lines).filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| -> String {
        let text = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = text.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

/// What pages call by a CamelCase word beside kinds, reasons and conditions.
const OTHER_WORDS: &[&str] = &[
    // Events.
    "DeletedMachineImage",
    "SettingClusterVersion",
    // A value of a field, and a file of a repository.
    "NewestOfEachMinor",
    "InRelease",
    // Of `kubectl upgrader preflight`, which looks on, and asks the server.
    "WholeWay",
    "NotLookedAt",
    "NotPassed",
    "ServerAccepts",
    // Cluster API's and Flux's.
    "IfNotPresent",
    "RollingOut",
    "TopologyReconciled",
];

/// Every kind of ours.
fn kinds() -> impl Iterator<Item = Kind> {
    upgrader::KINDS.into_iter().chain(kairos::KINDS)
}

/// The schema of the spec of a kind.
fn spec_of(kind: Kind) -> Value {
    let files = xtask::generate().unwrap();
    let mut crd: Value = serde_saphyr::from_str(&files[&xtask::crds::path(kind)]).unwrap();
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"].take()
}

/// Every reason, with the word for done.
fn reasons() -> BTreeSet<&'static str> {
    use upgrader::{cluster_upgrader, debian_repository_source, machine_image, machine_image_syncer, plan};
    let done = [
        cluster_upgrader::DONE,
        debian_repository_source::DONE,
        debian_repository_source::KEY_EXPIRES_SOON,
        machine_image::DONE,
        machine_image_syncer::DONE,
        plan::DONE,
    ];
    let mut known = BTreeSet::from(done);
    known.extend(debian_repository_source::Reason::ALL.iter().map(|reason| reason.name()));
    known.extend(machine_image_syncer::Reason::ALL.iter().map(|reason| reason.name()));
    known.extend(machine_image::Reason::ALL.iter().map(|reason| reason.name()));
    known.extend(plan::Reason::ALL.iter().map(|reason| reason.name()));
    known.extend(cluster_upgrader::Reason::ALL.iter().map(|reason| reason.name()));
    known.extend([kairos::node_op::DONE, kairos::node_op::NO_NODE_SELECTED, kairos::node_op_upgrade::DONE]);
    known.extend(kairos::node_op::Reason::ALL.iter().map(|reason| reason.name()));
    known.extend(kairos::node_op_upgrade::Reason::ALL.iter().map(|reason| reason.name()));
    known
}

/// What must hold before a Cluster is moved, in the controller's order.
fn conditions() -> Vec<&'static str> {
    let store = testkit::store("{kind: ClusterClassClusterUpgrader, metadata: {name: up}}");
    let snapshot = store.snapshot();
    let key = domain::object::ObjectKey::new("ns", "up");
    let upgrader = snapshot.get::<upgrader::cluster_upgrader::UpgraderRow>(&key).unwrap();
    let policy = chain::cluster_upgrader::Policy::default();
    let told = chain::cluster_upgrader::preflight(snapshot, upgrader, None, testkit::at(0), policy);
    told.conditions.iter().map(|condition| condition.name).collect()
}

/// The words in inline code.
fn inline(text: &str) -> impl Iterator<Item = &str> {
    let prose = text.split("```").step_by(2);
    prose.flat_map(|part| part.split('`').skip(1).step_by(2))
}

fn is_camel_case(word: &str) -> bool {
    word.chars().all(|c| c.is_ascii_alphabetic())
        && word.starts_with(|c: char| c.is_ascii_uppercase())
        && word.chars().skip(1).any(|c| c.is_ascii_uppercase())
        && word.chars().any(|c| c.is_ascii_lowercase())
}

#[test]
fn every_word_for_a_state_that_a_page_has_can_be_met() {
    let (reasons, conditions) = (reasons(), conditions());
    let kinds: Vec<&str> = kinds().map(|kind| kind.kind).collect();
    let mut named = BTreeSet::new();
    for (path, text) in pages() {
        for word in inline(&text).filter(|word| is_camel_case(word)) {
            let known = reasons.contains(word)
                || [conditions.as_slice(), kinds.as_slice(), OTHER_WORDS]
                    .iter()
                    .any(|all| all.contains(&word));
            // `NO_PROXY` and the like have no small letters; a name of Rust is no state.
            let code = path.ends_with("ARCHITECTURE.md") || path.ends_with("CONTRIBUTING.md");
            assert!(known || code, "{}: {word} is no reason, and nothing else that is known", path.display());
            named.insert(word.to_owned());
        }
    }
    assert!(named.len() > 100, "{named:?}");
    let stale: Vec<&&str> = OTHER_WORDS.iter().filter(|word| !named.contains(**word)).collect();
    assert!(stale.is_empty(), "on no page any more: {stale:?}");
}

/// The rows of the table on a page whose head begins so, each as its cells.
fn rows<'a>(page: &'a str, head: &str) -> Vec<Vec<&'a str>> {
    let table = page.lines().skip_while(|line| !line.starts_with(head)).skip(2);
    let rows = table.take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect()).collect()
}

#[test]
fn the_page_lists_the_conditions_in_the_controllers_order() {
    let page = fs::read_to_string(xtask::root().join("docs/cluster-upgrades.md")).unwrap();
    let rows = rows(&page, "| condition | what holds |");
    let listed: Vec<&str> = rows.iter().flat_map(|cells| inline(cells[0])).collect();
    assert_eq!(listed, conditions());
    let reasons = reasons();
    for cells in rows {
        assert!(inline(cells[2]).all(|word| reasons.contains(word)), "{cells:?}");
    }
}

/// Where the fields of a kind are explained.
const PAGE_OF: [(&str, &str); 8] = [
    ("ClusterClassClusterUpgrader", "cluster-upgrades.md"),
    ("DebianRepositorySource", "sources.md"),
    ("MachineImage", "images.md"),
    ("MachineImageSyncer", "images.md"),
    ("MachineImageTemplate", "images.md"),
    ("NodeOp", "node-operations.md"),
    ("NodeOpUpgrade", "node-operations.md"),
    ("Plan", "cluster-upgrades.md"),
];

/// The fields of a spec, without those of a `PodSpec` and of `ResourceRequirements`, and of references those that are read.
fn fields(schema: &Value, all: &mut BTreeSet<String>) {
    const NOT_READ: [&str; 3] = ["fieldPath", "resourceVersion", "uid"];
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        if !NOT_READ.contains(&&**name) {
            all.insert(name.clone());
        }
        if !["jobTemplate", "resources", "preflightResources", "rebootResources"].contains(&&**name) {
            fields(schema, all);
        }
    }
}

#[test]
fn every_field_of_a_spec_is_explained_where_its_users_look() {
    for kind in kinds() {
        let (_, page) = PAGE_OF.iter().find(|(of, _)| *of == kind.kind).unwrap();
        let text = fs::read_to_string(xtask::root().join("docs").join(page)).unwrap();
        let is_part = |c: char| !c.is_ascii_alphanumeric();
        let named: BTreeSet<&str> = inline(&text).flat_map(|code| code.split(is_part)).collect();
        let mut all = BTreeSet::new();
        fields(&spec_of(kind), &mut all);
        assert!(!all.is_empty(), "{}", kind.kind);
        let missing: Vec<&String> = all.iter().filter(|field| !named.contains(field.as_str())).collect();
        assert!(missing.is_empty(), "docs/{page} does not name {missing:?} of {}", kind.kind);
    }
}

#[test]
fn every_flag_that_a_page_names_is_one_of_the_manager() {
    let known = manager::family::Family::ALL.map(manager::options::help).concat();
    for (path, text) in pages() {
        for word in text.split(|c: char| c.is_whitespace() || "`\",()[]".contains(c)) {
            let Some(flag) = word.strip_prefix("--") else { continue };
            let flag = flag.split(['=', '.', ':', ';']).next().unwrap();
            let ours = [
                "leader",
                "dry",
                "controllers",
                "namespace",
                "zap",
                "metrics",
                "health",
                "one",
                "drain",
                "reboot",
                "webhook",
                "enable",
                "tool",
                "buildah",
            ];
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
    for (path, text) in pages() {
        for block in blocks(&text, "yaml") {
            let documents: Vec<Value> = serde_saphyr::from_multiple(block)
                .unwrap_or_else(|error| panic!("{}: {error}\n{block}", path.display()));
            for document in documents.iter().filter(|document| document["kind"].is_string()) {
                let kind = kinds().find(|kind| document["kind"] == kind.kind);
                let Some(kind) = kind.filter(|kind| document["apiVersion"] == kind.api_version()) else {
                    continue;
                };
                fits(&document["spec"], &spec_of(kind), kind.kind);
                checked += 1;
            }
        }
    }
    assert!(checked >= 12, "{checked}");
}

fn fits(value: &Value, schema: &Value, at: &str) {
    let (Value::Object(fields), Some(known)) = (value, schema["properties"].as_object()) else { return };
    for (name, value) in fields {
        let schema = known.get(name).unwrap_or_else(|| panic!("{at}.{name} is not in the schema"));
        fits(value, schema, &format!("{at}.{name}"));
    }
}
