//! Objects as users write them, whole and in part, and what is wrong with those that are wrong.

use std::collections::BTreeSet;

use domain::object::Row;
use domain::verdict::Reason as _;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::node_op::{self, Drain, NodeOpRow};
use super::node_op_upgrade::{self, NodeOpUpgradeRow};
use super::node_status::{Counts, NodeRecord, NodeStatus};
use super::{NodeOutcome, NodePhase, NodeReach, OperationPhase, RebootStatus, UpgradePhase};
use crate::selector::LabelSelector;
use crate::tests::{fixtures, object, row, row_of};

mod upstream;

fn op(spec: &str) -> NodeOpRow {
    row(&format!("metadata: {{namespace: ns, name: op}}\nspec: {spec}"))
}

fn upgrade(spec: &str) -> NodeOpUpgradeRow {
    row(&format!("metadata: {{namespace: ns, name: up}}\nspec: {spec}"))
}

/// What is wrong with the spec of an object, and what with its selector.
fn wrong(object: Value) -> (Option<Box<str>>, Option<Box<str>>) {
    if object["kind"] == node_op::KIND.kind {
        let row: NodeOpRow = row_of(object);
        (row.malformed, row.selector.err())
    } else {
        assert_eq!(object["kind"], node_op_upgrade::KIND.kind);
        let row: NodeOpUpgradeRow = row_of(object);
        (row.malformed, row.selector.err())
    }
}

/// Each says in its first line what of it the schema admits and nothing can be done with.
#[test]
fn what_the_server_accepts_is_read_or_says_what_is_wrong() {
    let mut told = 0;
    for (name, yaml) in fixtures("kairos/accepted") {
        let first = yaml.lines().next().unwrap();
        let expected = |what: &str| first.strip_prefix(what).map(Box::from);
        let without_spec = name.ends_with("without-spec").then(|| "spec is missing".into());
        let expected = (expected("# malformed: ").or(without_spec), expected("# selector: "));
        told += usize::from(expected != (None, None));
        assert_eq!(wrong(object(&yaml)), expected, "{name}");
    }
    assert!(told >= 10, "{told}");
}

#[test]
fn the_samples_are_well_formed() {
    let samples = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/samples/operator_v1alpha1_");
    for kind in ["nodeop", "nodeopupgrade"] {
        let yaml = std::fs::read_to_string(format!("{samples}{kind}.yaml")).unwrap();
        assert_eq!(wrong(object(&yaml)), (None, None), "{kind}");
    }
}

#[test]
fn every_refused_fixture_says_what_the_server_is_expected_to_say() {
    for (name, yaml) in fixtures("kairos/refused") {
        let first = yaml.lines().next().and_then(|line| line.strip_prefix("# expect: "));
        assert!(first.is_some_and(|expected| !expected.is_empty()), "{name}");
    }
}

/// Where the server lets a wrong type pass nevertheless, as with an older CRD.
#[test]
fn a_wrong_type_is_told_and_hides_no_status() {
    for spec in [
        "{command: uname}",
        "{command: [uname], cordon: 'yes'}",
        "{command: [uname], nodeSelector: 7}",
        "{command: [uname], drainOptions: [force]}",
        "{command: [uname], concurrency: many}",
        "{command: [uname], backoffLimit: 99999999999}",
        "{command: [{a: b}]}",
        "uname",
    ] {
        let row: NodeOpRow = row(&format!(
            "metadata: {{name: op}}\nspec: {spec}\nstatus: {{phase: Running, nodeStatuses: {{node-1: {{phase: Running}}}}}}"
        ));
        assert!(
            row.malformed.as_deref().is_some_and(|told| told.starts_with("spec: ")),
            "{:?}",
            row.malformed
        );
        assert_eq!(row.status.node_statuses["node-1"].phase, NodePhase::Running, "{spec}");
        assert!(row.command.is_empty() && row.concurrency.is_none());
    }
    assert_eq!(op("{}").malformed.as_deref(), Some("spec: missing field `command`"));
    assert_eq!(upgrade("{}").malformed.as_deref(), Some("spec: missing field `image`"));
    let torn = NodeOpRow::malformed(&serde_json::from_value(json!({"name": "op"})).unwrap(), "it is torn");
    assert_eq!((torn.malformed.as_deref(), &*torn.meta.key.name), (Some("it is torn"), "op"));
    let torn =
        NodeOpUpgradeRow::malformed(&serde_json::from_value(json!({"name": "u"})).unwrap(), "so is it");
    assert_eq!(torn.malformed.as_deref(), Some("so is it"));
}

#[test]
fn a_negative_concurrency_is_told() {
    let told = Some("spec.concurrency is negative: 0 means all nodes at a time");
    assert_eq!(op("{command: [a], concurrency: -1}").malformed.as_deref(), told);
    assert_eq!(upgrade("{image: a, concurrency: -1}").malformed.as_deref(), told);
}

/// The server fills in some of these; objects that were stored before it did have none.
#[test]
fn what_is_absent_is_as_the_original_has_it() {
    for spec in ["{command: [uname]}", &object(&fixture("nodeop-nulls"))["spec"].to_string()] {
        let row = op(spec);
        let held = row.has_finalizer();
        assert_eq!((row.malformed, row.selector.as_ref().map(LabelSelector::problem)), (None, Ok(None)));
        assert!(row.selector.as_ref().unwrap().matches(&std::collections::BTreeMap::new()), "all nodes");
        assert_eq!((&*row.host_mount_path, &row.image, row.backoff_limit), ("/host", &None, 6));
        assert!(!row.cordon && !row.uncordon_on_failure && !row.reboot_on_success && !row.stop_on_failure);
        assert_eq!((row.drain, row.concurrency, &row.preflight), (None, None, &None));
        assert!(row.resources.is_none() && row.image_pull_secrets.is_empty() && !held);
    }
    for spec in ["{image: a}", &object(&fixture("nodeopupgrade-nulls"))["spec"].to_string()] {
        let row = upgrade(spec);
        assert_eq!((row.malformed, row.selector), (None, Ok(None)));
        assert!(row.upgrade_active && !row.upgrade_recovery && !row.force && !row.debug);
        assert_eq!((row.concurrency, row.stop_on_failure, row.uncordon_on_failure), (None, None, None));
        assert_eq!((row.exclude_paths.len(), row.resources), (0, None));
    }
}

fn fixture(name: &str) -> String {
    fixtures("kairos/accepted").into_iter().find(|(file, _)| file == name).unwrap().1
}

#[test]
fn absent_and_false_differ_where_the_default_is_true() {
    assert!(
        upgrade("{image: a}").upgrade_active && upgrade("{image: a, upgradeActive: null}").upgrade_active
    );
    assert!(!upgrade("{image: a, upgradeActive: false}").upgrade_active);
    assert_eq!(upgrade("{image: a, stopOnFailure: false}").stop_on_failure, Some(false));
    let drain = |options: &str| op(&format!("{{command: [a], cordon: true, drainOptions: {options}}}")).drain;
    assert!(drain("{enabled: true}").unwrap().ignore_daemon_sets);
    assert!(!drain("{enabled: true, ignoreDaemonSets: false}").unwrap().ignore_daemon_sets);
    assert_eq!((drain("{}"), drain("{enabled: false}"), drain("null")), (None, None, None));
    let uncordoned = op("{command: [a], cordon: false, drainOptions: {enabled: true}}");
    assert_eq!(uncordoned.drain, None, "a node is drained only where it is cordoned");
    let resources = |spec: &str| op(spec).resources.map(|of| of.0);
    assert_eq!(resources("{command: [a], resources: {}}"), Some(json!({})));
    assert_eq!(resources("{command: [a], resources: null}"), None);
}

#[test]
fn a_node_op_with_everything() {
    let mut object = object(&fixture("nodeop-every-field"));
    object["metadata"]["finalizers"] = json!(["foreign", super::FINALIZER]);
    let row: NodeOpRow = row_of(object);
    assert_eq!((row.command.len(), &*row.host_mount_path), (3, "/node"));
    assert!(row.cordon && row.uncordon_on_failure && row.reboot_on_success && row.stop_on_failure);
    assert!(row.has_finalizer());
    let drain = Drain {
        force: true,
        grace_period_seconds: Some(30),
        ignore_daemon_sets: false,
        delete_empty_dir_data: true,
        timeout_seconds: Some(600),
    };
    assert_eq!((row.drain, row.concurrency, row.backoff_limit), (Some(drain), Some(3), 2));
    let preflight = row.preflight.unwrap();
    assert_eq!((&*preflight.command[0], preflight.active_deadline_seconds), ("/bin/true", 60));
    assert_eq!(row.reboot_resources.unwrap().0, json!({}));
    let labels = |of: Value| serde_json::from_value(of).unwrap();
    let selector = row.selector.unwrap();
    assert!(selector.matches(&labels(json!({"kairos.io/managed": "true", "zone": "a"}))));
    assert!(!selector.matches(&labels(json!({"kairos.io/managed": "true", "zone": "c"}))));
    let counts = Counts { nodes: 3, not_started: 1, in_flight: 1, completed: 1, skipped: 0, failed: 0 };
    assert_eq!(row.status.counts, Some(counts));
    assert_eq!(&*row.status.waiting_nodes[0].waiting.reason, "DrainBlocked");
}

#[test]
fn drain_options_that_mean_nothing_mean_the_default() {
    let drain = op(
        "{command: [a], cordon: true, drainOptions: {enabled: true, gracePeriodSeconds: -1, timeoutSeconds: 0}}",
    );
    let drain = drain.drain.unwrap();
    assert_eq!((drain.grace_period_seconds, drain.timeout_seconds), (None, None));
    let at_once = op("{command: [a], cordon: true, drainOptions: {enabled: true, gracePeriodSeconds: 0}}");
    assert_eq!(at_once.drain.unwrap().grace_period_seconds, Some(0));
}

/// Every field of the type is in the fixture, and nothing of the fixture is lost.
fn round_trip<T: JsonSchema + Serialize + DeserializeOwned>(of: &Value) {
    let settings = SchemaSettings::openapi3().with(|settings| settings.inline_subschemas = true);
    let schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    let keys = |of: &Value| of.as_object().unwrap().keys().cloned().collect::<BTreeSet<String>>();
    assert_eq!(keys(of), keys(&schema["properties"]));
    let read: T = serde_json::from_value(of.clone()).unwrap();
    assert_eq!(&serde_json::to_value(&read).unwrap(), of);
}

#[test]
fn nothing_is_lost_of_any_field() {
    let of = object(&fixture("nodeop-every-field"));
    round_trip::<node_op::Spec>(&of["spec"]);
    round_trip::<node_op::DrainOptions>(&of["spec"]["drainOptions"]);
    round_trip::<node_op::PreflightSpec>(&of["spec"]["preflight"]);
    round_trip::<node_op::Status>(&of["status"]);
    let nodes = &of["status"]["nodeStatuses"];
    let mut both = nodes["node-1"].clone();
    for (name, value) in nodes["node-2"].as_object().unwrap() {
        both[name] = value.clone();
    }
    round_trip::<NodeStatus>(&both);
    round_trip::<NodeRecord>(&of["status"]["nodeRecords"]["node-2"]);
    let of = object(&fixture("nodeopupgrade-every-field"));
    round_trip::<node_op_upgrade::Spec>(&of["spec"]);
    round_trip::<node_op_upgrade::Status>(&of["status"]);
    assert_eq!(serde_json::to_value(node_op::Status::default()).unwrap(), json!({}));
    assert_eq!(serde_json::to_value(node_op_upgrade::Status::default()).unwrap(), json!({}));
}

/// A status is all that is known of what has run: were it taken for empty, everything would run again.
#[test]
fn a_part_of_a_status_that_cannot_be_read_hides_nothing_else() {
    let row: NodeOpRow = row("
metadata: {name: op}
spec: {command: [a]}
status:
  phase: Resting
  lastUpdated: '9999-12-31T23:59:59Z'
  conditions: [{type: Ready}]
  counts: {nodes: -1}
  waiting: {reason: Paused, since: never}
  observedGeneration: 3
  nodeStatuses:
    a: {phase: Completed, lastUpdated: '9999-12-31T23:59:59Z', jobName: j, message: 7}
    b: {phase: Dreaming, rebootStatus: perhaps, preRebootBootID: null, fromTomorrow: 1}");
    assert!(!row.status.is_unreadable());
    assert_eq!(row.status.phase, Some(OperationPhase::Other("Resting".into())));
    assert_eq!((row.status.last_updated, row.status.conditions.len(), row.status.counts), (None, 0, None));
    assert_eq!(row.status.observed_generation, Some(3));
    let (a, b) = (&row.status.node_statuses["a"], &row.status.node_statuses["b"]);
    assert_eq!((&a.phase, a.job(), a.last_updated), (&NodePhase::Completed, Some("j"), None));
    assert_eq!(b.phase, NodePhase::Other("Dreaming".into()));
    assert_eq!(b.reboot_status, Some(RebootStatus::Other("perhaps".into())));
    assert_eq!(serde_json::to_value(&b.phase).unwrap(), "Dreaming", "kept as it is");
}

#[test]
fn a_status_whose_nodes_cannot_be_read_is_not_taken_for_none() {
    for status in [
        "{nodeStatuses: 7}",
        "{nodeStatuses: {a: {}}}",
        "{nodeStatuses: {a: 7}}",
        "{nodeRecords: {a: 7}}",
        "gone",
    ] {
        let row: NodeOpRow =
            row(&format!("metadata: {{name: op}}\nspec: {{command: [a]}}\nstatus: {status}"));
        assert!(row.status.is_unreadable() && row.status.node_statuses.is_empty(), "{status}");
        assert_eq!(row.malformed, None);
    }
    assert!(!op("{command: [a]}").status.is_unreadable());
}

#[test]
fn the_words_of_the_contract_are_known() {
    let spelled = |words: &[&str], known: Vec<String>| assert_eq!(known, words);
    let all = |known: &[NodePhase]| known.iter().map(ToString::to_string).collect();
    spelled(&["Preflight", "Pending", "Running", "Completed", "Failed"], all(NodePhase::KNOWN));
    let all = |known: &[OperationPhase]| known.iter().map(ToString::to_string).collect();
    spelled(&["Pending", "Running", "Completed", "Failed"], all(OperationPhase::KNOWN));
    let all = |known: &[UpgradePhase]| known.iter().map(ToString::to_string).collect();
    spelled(&["Initializing", "Pending", "Running", "Completed", "Failed"], all(UpgradePhase::KNOWN));
    let all = |known: &[NodeOutcome]| known.iter().map(ToString::to_string).collect();
    spelled(&["Completed", "Skipped", "Removed", "Stopped", "Failed"], all(NodeOutcome::KNOWN));
    let all = |known: &[NodeReach]| known.iter().map(ToString::to_string).collect();
    spelled(&["Untouched", "Worked", "Rebooted"], all(NodeReach::KNOWN));
    let all = |known: &[RebootStatus]| known.iter().map(ToString::to_string).collect();
    spelled(&["not-requested", "pending", "completed", "cancelled"], all(RebootStatus::KNOWN));
    assert_eq!(RebootStatus::from("Pending"), RebootStatus::Other("Pending".into()));
}

/// 5,000 nodes, all with a Job and a reboot behind them, under the names that a cloud gives: an object ends at 1.5 MiB.
#[test]
fn five_thousand_nodes_fit_into_a_status() {
    let mut status = node_op::Status::default();
    for index in 0..5_000 {
        let node = format!("ip-10-128-{:03}-{:03}.eu-central-1.compute.internal", index / 250, index % 250);
        let mut entry = NodeStatus::new(NodePhase::Completed);
        entry.job_name = Some(format!("{:.57}-x7k2p", format!("fleet-upgrade-v3-7-0-{node}")).into());
        entry.message = Some("Job and reboot completed successfully".into());
        entry.reboot_status = Some(RebootStatus::Completed);
        entry.last_updated = "2026-08-10T09:12:44Z".parse().ok();
        status.node_statuses.insert(node.into(), entry);
    }
    let size = serde_json::to_string(&status).unwrap().len();
    assert!(size < 1_400_000, "{size} bytes");
}

#[test]
fn a_reason_stands_for_one_thing_in_both_kinds() {
    let names: Vec<&str> = node_op::Reason::ALL.iter().map(|reason| reason.name()).collect();
    assert!(!names.contains(&node_op::DONE) && !names.contains(&node_op::NO_NODE_SELECTED));
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    let of_upgrade: Vec<&str> = node_op_upgrade::Reason::ALL.iter().map(|reason| reason.name()).collect();
    assert!(!of_upgrade.contains(&node_op_upgrade::DONE));
    assert_eq!(of_upgrade.iter().collect::<BTreeSet<_>>().len(), of_upgrade.len());
}
