//! The life of an upgrade. `manifest.rs` has golden NodeOps, `scripts.rs` runs their scripts, `talks.rs` makes the request,
//! `reasons.rs` tests that no reason is out of reach, `total.rs` that nothing panics or is written twice.

mod manifest;
mod reasons;
mod scripts;
mod talks;
mod total;

use api::kairos::node_op::NodeOpRow;
use api::kairos::node_op_upgrade::{NodeOpUpgradeRow, Reason};
use domain::object::ObjectKey;
use domain::verdict::Verdict;
use runtime::room::{Recall, Report, Room as _};
use runtime::store::{Availability, Store, TableId};
use serde_json::{Value, json};
use testkit::{at, conditions, objects, row, shown};

use super::*;

/// The upgrade `up` to image `os:v2`; `spec` are fields of its spec besides.
const COMPLETED: &str = "{phase: Completed, finishedAt: '2026-11-21T10:00:00Z'}";

fn upgrade(spec: &str, status: &str) -> String {
    format!("kind: NodeOpUpgrade\nmetadata: {{name: up}}\nspec: {{image: 'os:v2'{spec}}}\nstatus: {status}\n")
}

/// Its NodeOp, as the server has it: made of the spec, with what the schema fills in.
fn own(metadata: &str, status: &str) -> String {
    made_of(&upgrade("", "{}"), metadata, status)
}

fn made_of(upgrade: &str, metadata: &str, status: &str) -> String {
    let row: NodeOpUpgradeRow = row(&objects(upgrade)[0]);
    let mut spec = super::manifest::manifest(&row).unwrap()["spec"].clone();
    spec["drainOptions"] =
        json!({"enabled": true, "force": false, "ignoreDaemonSets": true, "deleteEmptyDirData": false});
    spec["concurrency"] = spec.get("concurrency").cloned().unwrap_or(json!(0));
    format!(
        "---\nkind: NodeOp\nmetadata: {{name: up{metadata}, labels: {{nodeopupgrade.kairos.io/name: up}}, ownerReferences: \
         [{{apiVersion: operator.kairos.io/v1alpha1, kind: NodeOpUpgrade, name: up, uid: uid-nodeopupgrade-up, \
         controller: true}}]}}\nspec: {spec}\nstatus: {status}\n"
    )
}

fn store(yaml: &str) -> Store {
    let mut store = Store::default();
    let synced = || Availability::Synced { api_version: Box::default() };
    store.set::<NodeOpRow>(&TableId::of::<NodeOpRow>(), synced());
    store.set::<NodeOpUpgradeRow>(&TableId::of::<NodeOpUpgradeRow>(), synced());
    for object in objects(yaml) {
        match object["kind"].as_str().unwrap() {
            "NodeOp" => store.put::<NodeOpRow>(&TableId::of::<NodeOpRow>(), row(&object)),
            _ => store.put::<NodeOpUpgradeRow>(&TableId::of::<NodeOpUpgradeRow>(), row(&object)),
        }
    }
    store
}

struct Looked {
    verdict: Verdict<Step, Reason>,
    report: Report,
}

impl Looked {
    fn shown(&self) -> String {
        shown(&self.verdict, at(0))
    }

    /// The status as the server holds it afterwards.
    fn status(&self, before: &Value) -> Value {
        let mut status = before.clone();
        merge(&mut status, self.report.status.as_ref().unwrap_or(&json!({})));
        status
    }

    fn events(&self) -> Vec<&str> {
        self.report.notes.iter().map(|note| note.reason).collect()
    }
}

/// RFC 7386.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (name, value) in fields {
        if value.is_null() {
            target.as_object_mut().unwrap().remove(name);
        } else {
            merge(&mut target[name], value);
        }
    }
}

fn look_in(store: &Store, seconds: i64) -> Looked {
    let snapshot = store.snapshot();
    let row = snapshot.get::<NodeOpUpgradeRow>(&ObjectKey::new("ns", "up")).unwrap();
    let recall = Recall { memory: &mut (), shared: &mut () };
    let observed = UpgradeRoom.observe(snapshot, row, recall, at(seconds));
    let verdict = UpgradeRoom.decide(&observed, at(seconds));
    let report = UpgradeRoom.report(&observed, &verdict, at(seconds));
    Looked { verdict, report }
}

fn look(yaml: &str) -> Looked {
    look_in(&store(yaml), 0)
}

#[test]
fn a_node_op_of_the_same_name_is_made_once() {
    let first = look(&upgrade("", "null"));
    assert_eq!(first.shown(), "step: create NodeOp up\nwait: CreatingNodeOp - its NodeOp is being made");
    let made = look(&(upgrade("", "null") + &own("", "null")));
    assert_eq!(made.shown(), "wait: NodeOpInProgress - its NodeOp is not done (NodeOp ns/up)");
    let status = made.status(&json!({}));
    assert_eq!((&status["phase"], &status["message"]), (&json!("Initializing"), &json!("NodeOp created")));
    assert_eq!((&status["nodeOpName"], &status["lastUpdated"]), (&json!("up"), &json!(testkit::EPOCH)));
    assert_eq!(
        conditions(&status),
        "Ready=True/NodeOpInProgress UpToDate=False/NodeOpInProgress Reconciling=True/NodeOpInProgress"
    );
    assert_eq!(made.events(), ["CreatedNodeOp"]);
    // Ours as it is written, an hour later.
    let again = look_in(&store(&(upgrade("", &status.to_string()) + &own("", "null"))), 3600);
    assert_eq!((again.report.status.clone(), again.events()), (None, vec![]), "nothing but time has changed");
}

#[test]
fn phase_and_message_are_the_originals() {
    let ended = "finishedAt: '2026-11-21T10:00:00Z'";
    for (status, phase, message) in [
        ("{}".to_owned(), "Initializing", "NodeOp created"),
        ("{phase: ''}".to_owned(), "Initializing", "NodeOp created"),
        ("{phase: Pending}".to_owned(), "Pending", "Upgrade operation is pending"),
        ("{phase: Running}".to_owned(), "Running", "Upgrade operation is running"),
        // The original says so between two nodes.
        ("{phase: Completed}".to_owned(), "Running", "Upgrade operation is running"),
        (format!("{{phase: Completed, {ended}}}"), "Completed", "Upgrade operation completed successfully"),
        ("{phase: Failed}".to_owned(), "Failed", "Upgrade operation failed"),
        (format!("{{phase: Failed, {ended}}}"), "Failed", "Upgrade operation failed"),
        ("{phase: Resting}".to_owned(), "Resting", "Upgrade operation is running"),
    ] {
        let said = look(&(upgrade("", "{}") + &own("", &status))).status(&json!({}));
        assert_eq!((&said["phase"], &said["message"]), (&json!(phase), &json!(message)), "{status}");
    }
}

#[test]
fn nodes_and_counts_are_those_of_the_node_op() {
    let before = json!({
        "phase": "Running", "nodeOpName": "up", "message": "Upgrade operation is running",
        "lastUpdated": "2026-11-21T09:00:00Z",
        "nodeStatuses": {
            "a": {"phase": "Running", "message": "Job is running", "jobName": "up-a-x"},
            "gone": {"phase": "Completed"},
        },
    });
    let op = own(
        "",
        "{phase: Running, counts: {nodes: 2, inFlight: 1, completed: 1}, nodeStatuses: {a: {phase: Completed, \
         jobName: up-a-x, message: Job and reboot completed successfully, rebootStatus: completed}, b: {phase: Preflight, \
         message: Preflight in progress}}, conditions: [{type: UpToDate, status: 'False', reason: PreflightRunning, \
         message: node b is checked, lastTransitionTime: '2026-11-21T09:00:00Z'}]}",
    );
    let looked = look(&(upgrade("", &before.to_string()) + &op));
    assert_eq!(
        looked.shown(),
        "wait: NodeOpInProgress - its NodeOp is not done: PreflightRunning: node b is checked (NodeOp ns/up)"
    );
    let status = looked.status(&before);
    assert_eq!(status["nodeStatuses"]["a"]["rebootStatus"], "completed");
    assert_eq!(
        status["nodeStatuses"]["b"],
        json!({"phase": "Preflight", "message": "Preflight in progress"})
    );
    assert_eq!(status["nodeStatuses"]["gone"]["phase"], "Completed", "an entry is never taken away");
    assert_eq!((&status["counts"]["nodes"], &status["counts"]["inFlight"]), (&json!(2), &json!(1)));
    assert_eq!(status["lastUpdated"], testkit::EPOCH);
    assert_eq!((&status["waiting"]["blockedBy"]["kind"], looked.events()), (&json!("NodeOp"), vec![]));
}

#[test]
fn an_upgrade_ends_as_its_node_op() {
    let done = "{phase: Completed, finishedAt: '2026-11-21T10:00:00Z', conditions: [{type: UpToDate, status: 'True', \
                reason: NoNodeSelected, message: no node is selected, lastTransitionTime: '2026-11-21T10:00:00Z'}]}";
    let looked = look(&(upgrade("", "{nodeOpName: up}") + &own("", done)));
    assert_eq!((looked.shown().as_str(), looked.events()), ("done", vec!["AllNodesUpgraded"]));
    let status = looked.status(&json!({}));
    assert_eq!(conditions(&status), "Ready=True/AllNodesUpgraded UpToDate=True/AllNodesUpgraded");
    assert_eq!(status["conditions"][0]["message"], "no node is selected");

    let failed = look(&(upgrade("", "{nodeOpName: up}") + &own("", "{phase: Failed}")));
    assert_eq!(failed.shown(), "failed: NodeOpFailed - its NodeOp has failed on a node (NodeOp ns/up)");
    let stalled = "{phase: Running, conditions: [{type: Stalled, status: 'True', reason: PodsRefused, \
                   message: the namespace admits no privileged pods, lastTransitionTime: '2026-11-21T10:00:00Z'}]}";
    let stalled = look(&(upgrade("", "{nodeOpName: up}") + &own("", stalled)));
    assert_eq!(
        stalled.shown(),
        "failed: NodeOpFailed - its NodeOp cannot go on: PodsRefused: the namespace admits no privileged pods (NodeOp ns/up)"
    );
    assert_eq!(stalled.status(&json!({}))["phase"], "Running", "the phase is the NodeOp's nevertheless");
    assert_eq!(stalled.events(), ["NodeOpFailed"]);
}

#[test]
fn after_the_end_nothing_is_run_again() {
    for (phase, shown) in [
        ("Completed", "done"),
        (
            "Failed",
            "failed: NodeOpFailed - the upgrade has failed, and its NodeOp was deleted; delete the NodeOpUpgrade and \
             create it again to upgrade what is left",
        ),
    ] {
        let before = json!({"phase": phase, "nodeOpName": "up", "message": "as it was", "nodeStatuses": {"a": {"phase": phase}}});
        let deleting = own(", deletionTimestamp: '2026-11-21T10:00:00Z'", "{phase: Running}");
        for op in ["", &deleting] {
            let looked = look(&(upgrade("", &before.to_string()) + op));
            assert_eq!(looked.shown(), shown);
            let status = looked.status(&before);
            assert_eq!((&status["phase"], &status["message"]), (&json!(phase), &json!("as it was")));
            assert_eq!(status["nodeStatuses"]["a"]["phase"], phase);
        }
    }
    let foreign = "---\nkind: NodeOp\nmetadata: {name: up}\nspec: {command: [a]}\n";
    assert_eq!(look(&(upgrade("", "{phase: Completed, nodeOpName: up}") + foreign)).shown(), "done");
}

/// As with the original; what has run is found by the preflight.
#[test]
fn a_node_op_that_is_deleted_at_work_is_made_again() {
    let before = "{phase: Running, nodeOpName: up, message: Upgrade operation is running}";
    let deleting = look(
        &(upgrade("", before)
            + &own(
                ", deletionTimestamp: '2026-11-21T10:00:00Z'",
                "{phase: Failed, finishedAt: '2026-11-21T10:00:00Z'}",
            )),
    );
    assert_eq!(
        deleting.shown(),
        "wait: NodeOpDeleting - its NodeOp is being deleted, and another is made after that (NodeOp ns/up)"
    );
    let status = deleting.status(&json!({"phase": "Running"}));
    assert_eq!(status["phase"], "Running", "how it is deleted is not how the upgrade goes");
    assert!(look(&upgrade("", before)).shown().starts_with("step: create NodeOp up\n"));
}

#[test]
fn a_node_op_of_somebody_else_is_left_alone() {
    let foreign = |metadata: &str| {
        format!(
            "---\nkind: NodeOp\nmetadata: {{name: up{metadata}}}\nspec: {{command: [a]}}\nstatus: {{phase: Running, nodeStatuses: {{a: {{phase: Running}}}}}}\n"
        )
    };
    let owner = |uid: &str, controller: bool| {
        format!(
            ", ownerReferences: [{{apiVersion: operator.kairos.io/v1alpha1, kind: NodeOpUpgrade, name: up, uid: {uid}, controller: {controller}}}]"
        )
    };
    let label = ", labels: {nodeopupgrade.kairos.io/name: up}";
    for metadata in [
        String::new(),
        label.to_owned(),
        owner("uid-nodeopupgrade-up", false) + label,
        owner("uid-other", true),
    ] {
        let looked = look(&(upgrade("", "{phase: Running, nodeOpName: up}") + &foreign(&metadata)));
        assert_eq!(
            looked.shown(),
            "failed: NodeOpNameTaken - the NodeOp of this name is not of this NodeOpUpgrade, and is left alone (NodeOp \
             ns/up); delete the NodeOp, or give the NodeOpUpgrade another name",
            "{metadata}"
        );
        let status = looked.status(&json!({"nodeOpName": "up"}));
        assert_eq!(status["phase"], "Failed");
        assert_eq!((status.get("nodeOpName"), status.get("nodeStatuses")), (None, None));
        // When the name is free, it begins.
        let freed = look(&upgrade("", &status.to_string()));
        assert!(freed.shown().starts_with("step: create NodeOp up\n"), "{}", freed.shown());
    }
    let deleting = look(&(upgrade("", "{}") + &foreign(", deletionTimestamp: '2026-11-21T10:00:00Z'")));
    assert!(
        deleting.shown().starts_with("wait: NodeOpDeleting - a NodeOp of this name"),
        "{}",
        deleting.shown()
    );
    let former = look(&(upgrade("", "{}") + &foreign(&(owner("uid-former", true) + label))));
    assert_eq!(
        former.shown(),
        "wait: NodeOpDeleting - the NodeOp of an earlier NodeOpUpgrade of this name is not deleted yet (NodeOp ns/up)"
    );
}

/// Whatever name the controller's label says: the uid is what counts.
#[test]
fn a_node_op_of_the_original_is_taken_over() {
    let op = "---\nkind: NodeOp\nmetadata: {name: up, labels: {app.kubernetes.io/managed-by: nodeopupgrade-controller, \
              nodeopupgrade.kairos.io/name: up}, ownerReferences: [{apiVersion: operator.kairos.io/v1alpha1, kind: NodeOpUpgrade, \
              name: up, uid: uid-nodeopupgrade-up, controller: true, blockOwnerDeletion: true}]}\n\
              spec: {image: 'os:v2', cordon: true, drainOptions: {enabled: true}, rebootOnSuccess: true, concurrency: 0, \
              preflight: {image: 'os:v2', command: [/bin/sh, -c, 'theirs']}, command: [/bin/sh, -c, \"set -x -e\\nkairos-agent upgrade --source dir:/\"]}\n\
              status: {phase: Running, nodeStatuses: {a: {phase: Running, jobName: up-a-abcde}}}\n";
    let before = "{phase: Running, nodeOpName: up, message: Upgrade operation is running, nodeStatuses: {a: {phase: Running, jobName: up-a-abcde}}}";
    let looked = look(&(upgrade("", before) + op));
    assert_eq!(looked.shown(), "wait: NodeOpInProgress - its NodeOp is not done (NodeOp ns/up)");
    assert_eq!(looked.events(), Vec::<&str>::new(), "its NodeOp was made before");
}

#[test]
fn an_edit_after_the_node_op_was_made_is_named_and_not_carried_over() {
    let edited = ", concurrency: 2, excludePaths: [/var/x], nodeSelector: {matchLabels: {a: b}}, force: true";
    let looked = look(&(upgrade(edited, "{nodeOpName: up}") + &own("", "{phase: Running}")));
    assert_eq!(
        looked.shown(),
        "wait: NodeOpInProgress - its NodeOp is not done; it keeps what it was made of, and differs from this \
         NodeOpUpgrade in spec: nodeSelector, command, concurrency, preflight (NodeOp ns/up)"
    );
    for spec in [", debug: true", ", upgradeRecovery: true", ", excludePaths: ['']"] {
        let looked = look(&(upgrade(spec, "{nodeOpName: up}") + &own("", "{phase: Running}")));
        let differs = looked.shown().contains("in spec: command");
        assert_eq!(differs, !spec.contains("''"), "{spec}");
    }
}

#[test]
fn another_image_after_the_end_is_not_called_applied() {
    let before = json!({"phase": "Completed", "nodeOpName": "up"});
    let ended = |spec: &str| upgrade(spec, &before.to_string());
    let looked = look(&(ended("").replace("os:v2", "os:v3") + &own("", COMPLETED)));
    assert_eq!(
        looked.shown(),
        "failed: ImageNotApplied - the upgrade has ended with the image of its NodeOp, and spec.image is another one (NodeOp \
         ns/up); make another NodeOpUpgrade for that image, or set this one back"
    );
    assert_eq!(looked.status(&before)["phase"], "Completed", "as it has ended");
    assert_eq!(look(&(ended(", concurrency: 2") + &own("", COMPLETED))).shown(), "done");
}

#[test]
fn a_spec_that_cannot_be_read_hides_no_course() {
    let torn = "kind: NodeOpUpgrade\nmetadata: {name: up}\nspec: {image: 7}\n";
    let looked = look(&(torn.to_owned() + &own("", "{phase: Running, nodeStatuses: {a: {phase: Running}}}")));
    assert!(looked.shown().starts_with("failed: Malformed - "), "{}", looked.shown());
    let status = looked.status(&json!({}));
    assert_eq!(
        (&status["phase"], &status["nodeStatuses"]["a"]["phase"]),
        (&json!("Running"), &json!("Running"))
    );
    assert!(look(torn).verdict.steps.is_empty(), "nothing is made of it");
    let unreadable = own("", "{phase: Running, nodeStatuses: {a: 7}}");
    let before = json!({"phase": "Running", "nodeOpName": "up", "nodeStatuses": {"a": {"phase": "Running"}}});
    let kept = look(&(upgrade("", &before.to_string()) + &unreadable)).status(&before);
    assert_eq!((&kept["phase"], &kept["nodeStatuses"]["a"]["phase"]), (&json!("Running"), &json!("Running")));
}

#[test]
fn a_change_of_a_node_op_concerns_the_upgrade_of_its_name() {
    let store = store(
        &(upgrade("", "{}")
            + &own("", "{}")
            + "---\nkind: NodeOp\nmetadata: {name: other}\nspec: {command: [a]}\n"),
    );
    let key = |name: &str| ObjectKey::new("ns", name);
    assert_eq!(upgrade_of(store.snapshot(), &key("up"), None, None), [key("up")]);
    assert_eq!(upgrade_of(store.snapshot(), &key("other"), None, None), []);
}
