mod path;
mod reasons;

use api::upgrader::plan::PlanRow;
use domain::object::ObjectKey;
use runtime::room::{Recall, Room as _};
use serde_json::{Value, json};
use testkit::{at, conditions, shown, store};

use super::*;

/// Observes, decides and reports on the plan `plan` of the documents.
fn run(yaml: &str) -> (Verdict<Step, Reason>, Report) {
    let store = store(yaml);
    let snapshot = store.snapshot();
    let row = snapshot.get::<PlanRow>(&ObjectKey::new("ns", "plan")).unwrap();
    let observed = PlanRoom.observe(snapshot, row, Recall { memory: &mut (), shared: &mut () }, at(0));
    let verdict = PlanRoom.decide(&observed, at(0));
    let report = PlanRoom.report(&observed, &verdict, at(0));
    (verdict, report)
}

fn image(name: &str, version: &str, id: &str) -> String {
    format!(
        "---\nkind: MachineImage\nmetadata: {{name: {name}, labels: {{tier: a}}}}\nspec: {{version: \"{version}\", id: \"{id}\"}}\n"
    )
}

fn plan(spec: &str) -> String {
    format!("kind: Plan\nmetadata: {{name: plan}}\nspec: {spec}\n")
}

fn chosen(yaml: &str) -> Value {
    run(yaml).1.status.unwrap()["machineImageDetails"].clone()
}

#[test]
fn without_images_it_waits_and_stays_ready() {
    let (verdict, report) = run(&plan("{versionRange: v1.27.x}"));
    assert!(
        shown(&verdict, at(0))
            .starts_with("wait: NoSuitableMachineImage - there is no machine image in the namespace")
    );
    let status = report.status.unwrap();
    assert_eq!(
        conditions(&status),
        "Ready=True/NoSuitableMachineImage UpToDate=False/NoSuitableMachineImage"
    );
    assert_eq!(status["phase"], "NoSuitableMachineImage");
    assert_eq!(report.notes[0].reason, "LatestVersionNotFound");
}

/// T8 and T9 of the original's acceptance list.
#[test]
fn the_newest_image_with_an_id_counts() {
    let images = [
        image("a", "1.27.1", "x1"),
        image("b", "1.27.3", "x3"),
        image("c", "1.27.2", "x2"),
        image("d", "1.27.9", ""),
    ];
    let yaml = plan("{versionRange: v1.27.x, machineImageSelector: {}}") + &images.concat();
    assert_eq!(chosen(&yaml), json!({"version": "1.27.3", "id": "x3"}));
    let without_ids = plan("{versionRange: v1.27.x, machineImageSelector: {}}") + &image("a", "1.27.1", "");
    assert_eq!(chosen(&without_ids), Value::Null);
}

/// T7, and bug B1: no selector selects all.
#[test]
fn a_selector_selects_and_none_selects_all_of_the_namespace() {
    let elsewhere = image("z", "1.27.9", "x9").replace("name: z", "name: z, namespace: other");
    let labelled = image("a", "1.27.1", "x1");
    let other = image("b", "1.27.3", "x3").replace("tier: a", "tier: b");
    let images = elsewhere + &labelled + &other;
    assert_eq!(chosen(&(plan("{versionRange: 1.27.x}") + &images))["id"], "x3");
    let selecting = plan("{versionRange: 1.27.x, machineImageSelector: {matchLabels: {tier: a}}}");
    assert_eq!(chosen(&(selecting + &images))["id"], "x1");
}

#[test]
fn of_two_images_of_one_version_the_younger_counts_in_any_order() {
    let younger = |name: &str| {
        image(name, "1.27.3", name).replace(
            &format!("name: {name}"),
            &format!("name: {name}, creationTimestamp: \"2026-11-22T00:00:00Z\""),
        )
    };
    for (older, newer) in [("a", "b"), ("b", "a")] {
        let yaml = plan("{versionRange: 1.27.x}") + &image(older, "1.27.3", older) + &younger(newer);
        assert_eq!(chosen(&yaml)["id"], newer);
    }
    let twins = plan("{versionRange: 1.27.x}") + &image("b", "1.27.3", "b") + &image("a", "1.27.3", "a");
    assert_eq!(chosen(&twins)["id"], "a");
}

#[test]
fn a_deleted_image_does_not_count() {
    let deleting = image("a", "1.27.3", "x")
        .replace("name: a", "name: a, deletionTimestamp: \"2026-11-22T00:00:00Z\", finalizers: [x]");
    assert_eq!(chosen(&(plan("{versionRange: 1.27.x}") + &deleting)), Value::Null);
}

/// Bug B11: a stale result is cleared, also where the range no longer parses.
#[test]
fn a_stale_result_is_cleared() {
    let stale = "status: {phase: FoundMachineImage, machineImageDetails: {version: v1.27.3, id: x}, \
                 machineImageRef: {name: gone, resourceVersion: \"7\"}}\n";
    let (_, report) = run(&(plan("{versionRange: 1.27.x}") + stale));
    let status = report.status.unwrap();
    assert_eq!((&status["machineImageDetails"], &status["machineImageRef"]), (&Value::Null, &Value::Null));
    assert!(status.as_object().unwrap().contains_key("machineImageDetails"), "null removes it");
    let (verdict, report) = run(&(plan("{versionRange: 1x}") + stale));
    assert!(shown(&verdict, at(0)).starts_with("failed: InvalidVersionRange - spec.versionRange: "));
    let status = report.status.unwrap();
    assert_eq!(status["phase"], "NoSuitableMachineImage");
    assert_eq!(
        conditions(&status),
        "Ready=False/InvalidVersionRange UpToDate=Unknown/InvalidVersionRange Stalled=True/InvalidVersionRange"
    );
}

#[test]
fn a_bad_selector_is_named() {
    let selector = "{versionRange: 1.x, machineImageSelector: {matchExpressions: [{key: a, operator: Near, values: [b]}]}}";
    let (verdict, _) = run(&plan(selector));
    assert!(shown(&verdict, at(0)).starts_with("failed: InvalidSelector - spec.machineImageSelector: "));
}

/// Bug B6: an unchanged result is not written again.
#[test]
fn an_unchanged_result_is_not_written_again() {
    let yaml = plan("{versionRange: 1.27.x}") + &image("a", "v1.27.3", "x");
    let (_, first) = run(&yaml);
    assert_eq!(first.notes.len(), 1);
    let mut status = first.status.unwrap();
    assert_eq!(status["machineImageRef"].get("resourceVersion"), None);
    let mut written = testkit::objects(&yaml);
    written[0]["status"] = status.take();
    let again = serde_json::to_string(&written[0]).unwrap()
        + "\n---\n"
        + &serde_json::to_string(&written[1]).unwrap();
    let (_, second) = run(&again);
    assert_eq!(second, Report::default());
}
