//! Objects as v0.5.0 and v0.6.0 wrote them, ours, and malformed ones.

use domain::condition::{Condition, Status::True};
use domain::object::Row;
use serde_json::{Value, json};

use super::cluster_upgrader::UpgraderRow;
use super::debian_repository_source::SourceRow;
use super::machine_image::{MachineImageRow, Status as ImageStatus};
use super::machine_image_syncer::SyncerRow;
use super::machine_image_template::TemplateRow;
use super::plan::{MachineImageDetails, PlanRow, Status as PlanStatus};
use crate::pod_template::Containers;
use crate::reference::ObjectReference;
use crate::tests::{fixtures, object, references, row};

#[expect(clippy::unnecessary_wraps, reason = "what it is compared with is optional")]
fn text(value: &str) -> Option<Box<str>> {
    Some(value.into())
}

#[test]
fn a_source_of_v0_5_0() {
    let row: SourceRow = row("
metadata: {namespace: ns, name: src, uid: u1, resourceVersion: '7', generation: 2}
spec: {url: 'https://example.org/Packages', architecture: amd64}
status: {versions: [v1.27.1, v1.27.0, v1.27.1]}");
    assert_eq!(
        (row.malformed, row.url.as_ref(), row.architecture),
        (None, "https://example.org/Packages", text("amd64"))
    );
    assert_eq!((row.interval, row.requested_at), (None, None));
    assert_eq!(row.status.versions.len(), 3);
    assert_eq!((row.meta.uid.as_ref(), row.meta.resource_version.0, row.meta.generation), ("u1", 7, 2));
}

#[test]
fn a_source_with_what_is_new() {
    let row: SourceRow = row("
metadata: {name: src, annotations: {kubernetesupgraded.dimitrikoshkin.com/requested-at: now}}
spec: {url: 'https://example.org/Packages', architecture: '', interval: 10m}
status: {lastHandledRequest: before, observedGeneration: 3, conditions: null, versions: null}");
    assert_eq!((row.malformed, row.architecture, row.requested_at), (None, None, text("now")));
    assert_eq!(row.interval.map(|interval| interval.as_secs()), Some(600));
    assert_eq!(
        (row.status.last_handled_request.clone(), row.status.observed_generation),
        (text("before"), Some(3))
    );
}

#[test]
fn a_syncer_of_v0_6_0_is_found_by_template_and_source() {
    let row: SyncerRow = row("
metadata: {namespace: ns, name: sync}
spec:
  versionRange: v1.27.x
  sourceRef: {apiVersion: example.org/v1, kind: Versions, name: src, namespace: ns}
  machineImageTemplateRef: {name: tmpl, namespace: other}
  paused: true
  interval: 3600000000000
status: {latestVersion: v1.27.6}");
    assert_eq!((row.malformed.clone(), row.version_range.as_ref(), row.paused), (None, "v1.27.x", true));
    assert_eq!(row.interval.map(|interval| interval.as_hours()), Some(1));
    assert!(!row.source.leaves("ns") && row.template.leaves("ns"));
    assert_eq!(row.template.key("ns").to_string(), "other/tmpl");
    assert_eq!(references(&row), [("template", "tmpl".to_owned()), ("source", "src".to_owned())]);
    assert_eq!(row.status.latest_version, text("v1.27.6"));
}

#[test]
fn an_image_keeps_no_pod_but_its_containers() {
    let row: MachineImageRow = row("
metadata:
  namespace: ns
  name: image
  labels: {imageBuilderVersion: v1}
  annotations: {clusterctl.cluster.x-k8s.io/block-move: ''}
  ownerReferences:
  - {apiVersion: kubernetesupgraded.dimitrikoshkin.com/v1alpha1, kind: MachineImageSyncer, name: sync, uid: s1}
  - {apiVersion: example.org/v1, kind: MachineImageSyncer, name: foreign, uid: f1}
spec:
  version: v1.27.6
  id: ''
  jobTemplate: {spec: {initContainers: [{name: i}], containers: [{name: a}, {name: b}], notYetKnown: {a: 1}}}
status: {ready: true, phase: Created, jobRef: {apiVersion: batch/v1, kind: Job, name: image-abcde, resourceVersion: '9'}}");
    assert_eq!((row.malformed.clone(), row.version.as_ref(), row.id.clone()), (None, "v1.27.6", None));
    assert_eq!(row.containers, Ok(Containers { main: 2, init: 1 }));
    assert!(row.blocks_move);
    assert_eq!(references(&row), [("owner", "s1".to_owned()), ("version", "v1.27.6".to_owned())]);
    assert_eq!((row.status.ready, row.status.phase.as_deref()), (Some(true), Some("Created")));
    assert_eq!(row.status.job_ref.clone().and_then(|job| job.name), text("image-abcde"));
}

#[test]
fn a_template_or_image_that_no_job_can_be_made_of_says_why() {
    let image = |job_template: &str| {
        row::<MachineImageRow>(&format!(
            "metadata: {{name: i}}\nspec: {{version: v1.2.3, jobTemplate: {job_template}}}"
        ))
    };
    let problem = |job_template| image(job_template).containers.unwrap_err();
    assert_eq!(problem("{}").as_ref(), "spec.jobTemplate.spec is missing");
    assert_eq!(problem("{spec: {}}").as_ref(), "spec.jobTemplate.spec has no containers");
    assert_eq!(problem("{spec: {containers: null}}").as_ref(), "spec.jobTemplate.spec has no containers");
    assert!(problem("{spec: build}").starts_with("spec.jobTemplate.spec: "));
    assert!(problem("{spec: {containers: [build]}}").starts_with("spec.jobTemplate.spec: "));
    assert!(problem("build").starts_with("spec.jobTemplate: "));
    assert_eq!(image("build").version.as_ref(), "v1.2.3", "the rest is read");

    let template = |spec: &str| row::<TemplateRow>(&format!("metadata: {{name: t}}\n{spec}")).containers;
    assert_eq!(template("").unwrap_err().as_ref(), "spec is missing");
    let path = "spec.template.spec.jobTemplate.spec has no containers";
    assert_eq!(
        template("spec: {template: {spec: {jobTemplate: {spec: {containers: []}}}}}").unwrap_err().as_ref(),
        path
    );
    assert_eq!(
        template("spec: {template: {spec: {jobTemplate: {spec: {containers: [{}]}}}}}"),
        Ok(Containers { main: 1, init: 0 })
    );
    assert!(template("spec: {template: {metadata: {labels: 7}}}").is_err());
}

#[test]
fn plans_of_both_releases() {
    let stale: PlanRow = row("
metadata: {name: plan}
spec: {versionRange: v1.27.x, clusterName: long-gone}
status:
  machineImageDetails: {version: v1.27.6, id: 'kindest/node:v1.27.6'}
  machineImageRef: {kind: MachineImage, name: image, uid: u, resourceVersion: '5'}");
    assert_eq!(stale.malformed, None);
    assert!(stale.selector.matches(&std::collections::BTreeMap::new()), "no selector means all");
    let details = MachineImageDetails { version: "v1.27.6".into(), id: "kindest/node:v1.27.6".into() };
    assert_eq!(stale.status.machine_image_details, Some(details));

    let selecting: PlanRow = row("
metadata: {name: plan}
spec: {versionRange: v1.27.x, machineImageSelector: {matchLabels: {a: b}}}
status: {phase: NoSuitableMachineImage, machineImageDetails: {id: ''}, machineImageRef: {}}");
    assert!(!selecting.selector.matches(&std::collections::BTreeMap::new()));
    assert_eq!(selecting.status.phase.as_deref(), Some("NoSuitableMachineImage"));
    assert_eq!(selecting.status.machine_image_ref, Some(ObjectReference::default()));
}

#[test]
fn an_upgrader_is_found_by_cluster_and_plan() {
    let row: UpgraderRow = row("
metadata:
  name: up
  annotations:
    kubernetesupgraded.dimitrikoshkin.com/last-set: '{\"version\":\"v1.27.6\",\"image\":\"id\",\"target\":\"v1.28.1\",\"targetImage\":\"x\"}'
spec: {clusterName: c, topologyVariable: '', planRef: {name: p, namespace: null}}
status: {latestSetVersion: 1.27.6}");
    assert_eq!((row.topology_variable.clone(), row.paused), (None, false));
    let last_set = row.last_set.clone().map(|set| (set.version, set.image, set.target, set.target_image));
    assert_eq!(last_set, Some(("v1.27.6".into(), "id".into(), "v1.28.1".into(), "x".into())));
    assert_eq!(references(&row), [("cluster", "c".to_owned()), ("plan", "p".to_owned())]);
    assert_eq!(row.status.latest_set_version, text("1.27.6"));
}

#[test]
fn a_malformed_spec_says_so_and_hides_no_status() {
    let row: SyncerRow = row("
metadata: {namespace: ns, name: sync}
spec: {versionRange: 7}
status:
  latestVersion: v1.27.6
  conditions:
  - {type: Ready, status: 'True', reason: ImagesExist, message: '', lastTransitionTime: '2026-11-21T10:00:00Z'}");
    assert!(
        row.malformed.as_deref().unwrap().starts_with("spec: invalid type: integer"),
        "{:?}",
        row.malformed
    );
    assert_eq!(row.status.conditions.len(), 1);
    assert!(references(&row).is_empty());
    for (spec, expected) in [
        ("", "spec is missing"),
        ("spec: null", "spec is missing"),
        ("spec: {clusterName: c}", "spec: missing field `planRef`"),
    ] {
        let row: UpgraderRow = crate::tests::row(&format!("metadata: {{name: x}}\n{spec}"));
        assert_eq!(row.malformed.as_deref(), Some(expected));
    }
}

#[test]
fn a_malformed_status_counts_as_none() {
    let row: PlanRow = row("metadata: {name: p}\nspec: {versionRange: v1.27.x}\nstatus: {conditions: 7}");
    assert_eq!((row.malformed, &*row.status), (None, &PlanStatus::default()));
}

#[test]
fn a_status_is_written_with_the_names_of_the_wire() {
    let condition = Condition {
        type_: "Ready".into(),
        status: True,
        observed_generation: Some(2),
        last_transition_time: "2026-11-21T10:00:00Z".parse().unwrap(),
        reason: "ImageAvailable".into(),
        message: "".into(),
    };
    let job = ObjectReference { name: text("image-abcde"), kind: text("Job"), ..ObjectReference::default() };
    let status = ImageStatus {
        waiting: None,
        ready: Some(true),
        phase: Some("Created".into()),
        job_ref: Some(job),
        conditions: vec![condition],
        observed_generation: Some(2),
    };
    let written = json!({
        "ready": true,
        "phase": "Created",
        "jobRef": {"kind": "Job", "name": "image-abcde"},
        "conditions": [{
            "type": "Ready", "status": "True", "observedGeneration": 2, "reason": "ImageAvailable", "message": "",
            "lastTransitionTime": "2026-11-21T10:00:00Z",
        }],
        "observedGeneration": 2,
    });
    assert_eq!(serde_json::to_value(&status).unwrap(), written);
    assert_eq!(serde_json::from_value::<ImageStatus>(written).unwrap(), status);
    assert_eq!(serde_json::to_value(PlanStatus::default()).unwrap(), json!({}));
}

/// What is wrong with an object of any of our kinds, by its row.
fn malformed(yaml: &str) -> Option<Box<str>> {
    let kind = object(yaml)["kind"].as_str().unwrap().to_owned();
    match kind.as_str() {
        "DebianRepositorySource" => row::<SourceRow>(yaml).malformed,
        "MachineImageTemplate" => {
            row::<TemplateRow>(yaml).containers.err().filter(|error| !error.ends_with("no containers"))
        }
        "MachineImageSyncer" => row::<SyncerRow>(yaml).malformed,
        "MachineImage" => row::<MachineImageRow>(yaml).malformed,
        "Plan" => row::<PlanRow>(yaml).malformed,
        "ClusterClassClusterUpgrader" => row::<UpgraderRow>(yaml).malformed,
        other => panic!("{other}"),
    }
}

/// The server's side of the fixtures is tested at a real one, in `test/e2e`.
#[test]
fn what_the_server_accepts_is_read() {
    for (path, yaml) in fixtures("accepted") {
        let expected = path.ends_with("without-spec").then(|| "spec is missing".into());
        assert_eq!(malformed(&yaml), expected, "{path}");
    }
}

#[test]
fn every_refused_fixture_says_what_the_server_is_expected_to_say() {
    for (path, yaml) in fixtures("refused").into_iter().chain(fixtures("refused_by_policy")) {
        let first = yaml.lines().next().and_then(|line| line.strip_prefix("# expect: "));
        assert!(first.is_some_and(|expected| !expected.is_empty()), "{path}");
    }
}

#[test]
fn a_row_that_did_not_parse_at_all_says_so() {
    let row = PlanRow::malformed(&serde_json::from_value(json!({"name": "p"})).unwrap(), "it is torn");
    assert_eq!(row.malformed.as_deref(), Some("it is torn"));
    assert_eq!(serde_json::from_value::<Value>(json!(null)).unwrap(), Value::Null);
}

#[test]
fn a_status_that_cannot_be_read_is_empty_and_serializes_to_what_the_server_has() {
    let status = |status: &str| {
        row::<PlanRow>(&format!("metadata: {{name: p}}\nspec: {{versionRange: v1.x}}\nstatus: {status}"))
            .status
    };
    // The schema admits it as a date-time, and it is later than any time that there is.
    let since = json!({"phase": "X", "waiting": {"reason": "Paused", "since": "9999-12-31T23:59:59Z"}});
    let unreadable = status(&since.to_string());
    assert_eq!((unreadable.phase.as_deref(), unreadable.waiting.as_ref()), (None, None));
    assert_eq!(serde_json::to_value(&unreadable).unwrap(), since);
    let readable = status("{phase: X, path: null}");
    assert_eq!(readable.phase.as_deref(), Some("X"));
    assert_eq!(serde_json::to_value(&readable).unwrap(), json!({"phase": "X"}));
    assert_eq!(status("null"), status("{}"));
}
