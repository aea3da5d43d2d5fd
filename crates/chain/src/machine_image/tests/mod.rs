//! The states of a machine image, in the order of its life. `story.rs` leads one through it, `talks.rs` makes the requests;
//! `image_id.rs` and `job.rs` test their namesakes, `reasons.rs` that no reason is out of reach.

mod adoption;
mod image_id;
mod job;
mod reasons;
mod refusals;
mod retries;
mod story;
mod talks;

use api::batch::job::JobRow;
use api::upgrader::machine_image::{MachineImageRow, Reason};
use domain::object::ObjectKey;
use domain::verdict::{Note, Verdict};
use runtime::room::{Recall, Report, Room as _};
use runtime::store::Store;
use serde_json::{Value, json};
use testkit::{at, conditions, objects, shown, store};

use super::memory::TemplateRead;
use super::*;

/// The image `image` of version v1.27.6; `more` are lines under `metadata`, `spec` lines of the spec besides.
fn image(metadata: &str, spec: &str, status: &str) -> String {
    format!(
        "kind: MachineImage\nmetadata: {{name: image{metadata}}}\n\
         spec: {{version: v1.27.6{spec}, jobTemplate: {{spec: {{containers: [{{name: build}}]}}}}}}\n{status}\n"
    )
}

const HELD: &str = ", annotations: {clusterctl.cluster.x-k8s.io/block-move: x}";
const BUILDING: &str = "status: {phase: Building, jobRef: {apiVersion: batch/v1, kind: Job, namespace: ns, name: image-1, uid: uid-job-image-1}}";

/// A Job of the image, of the generation after v0.6.0.
fn owned(name: &str, metadata: &str, status: &str) -> String {
    format!(
        "---\nkind: Job\nmetadata: {{name: {name}{metadata}, ownerReferences: \
         [{{apiVersion: kubernetesupgraded.dimitrikoshkin.com/v1alpha1, kind: MachineImage, name: image, \
         uid: uid-machineimage-image, controller: true}}]}}\n\
         spec: {{template: {{spec: {{containers: [{{name: build}}]}}}}}}\nstatus: {status}\n"
    )
}

const ID: &str = ", annotations: {kubernetesupgraded.dimitrikoshkin.com/image-id: 'kindest/node:v1.27.6'}";
const COMPLETE: &str = "{succeeded: 1, conditions: [{type: Complete, status: 'True'}]}";
const FAILED: &str = "{failed: 7, conditions: [{type: Failed, status: 'True', reason: BackoffLimitExceeded, \
                      message: Job has reached the specified backoff limit}]}";

struct Looked {
    verdict: Verdict<Step, Reason>,
    report: Report,
}

impl Looked {
    fn shown(&self) -> String {
        shown(&self.verdict, at(0))
    }

    fn step(&self) -> &Step {
        &self.verdict.steps[0]
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

/// Documents of objects.
fn yaml<'a>(objects: impl IntoIterator<Item = &'a Value>) -> String {
    objects.into_iter().map(ToString::to_string).collect::<Vec<_>>().join("\n---\n")
}

fn look_in(store: &Store, memory: &mut Memory, seconds: i64) -> Looked {
    let snapshot = store.snapshot();
    let row = snapshot.get::<MachineImageRow>(&ObjectKey::new("ns", "image")).unwrap();
    let observed = MachineImageRoom.observe(snapshot, row, Recall { memory, shared: &mut () }, at(seconds));
    let verdict = MachineImageRoom.decide(&observed, at(seconds));
    let report = MachineImageRoom.report(&observed, &verdict, at(seconds));
    Looked { verdict, report }
}

/// Observes, decides and reports on the image `image` of the documents.
fn look(yaml: &str) -> Looked {
    look_in(&store(yaml), &mut Memory::default(), 0)
}

#[test]
fn an_image_with_an_id_is_there_and_gets_no_job() {
    let looked = look(&image("", ", id: 'kindest/node:v1.27.6'", ""));
    assert_eq!(looked.shown(), "done");
    let status = looked.status(&json!({}));
    assert_eq!((&status["ready"], &status["phase"]), (&json!(true), &json!("Created")));
    assert_eq!(conditions(&status), "Ready=True/ImageAvailable");
    assert_eq!(status["conditions"][0]["message"], "image kindest/node:v1.27.6");
    assert_eq!(looked.events(), ["ImageAvailable"]);
}

#[test]
fn with_an_id_nothing_else_counts() {
    let id = ", id: ami-1";
    let odd =
        image("", id, "").replace("v1.27.6", "gold").replace("containers: [{name: build}]", "volumes: []");
    assert_eq!(
        look(&odd).shown(),
        "done",
        "neither a version that does not parse nor a template without containers"
    );
    let job = owned("image-1", ID, COMPLETE);
    let looked = look(&(image("", id, BUILDING) + &job));
    assert_eq!(looked.shown(), "done", "an id set by hand stays, whatever the Job tells");
    let running = look(&(image(HELD, id, BUILDING) + &owned("image-1", "", "{active: 1}")));
    assert_eq!(running.shown(), "step: let clusterctl move go on\ndone");
}

#[test]
fn a_job_is_made_in_three_requests() {
    let (mut memory, free) = (Memory::default(), image("", "", ""));
    let first = look_in(&store(&free), &mut memory, 0);
    let name = "image-dk99q";
    assert_eq!(
        first.shown(),
        format!(
            "step: hold clusterctl move while Job {name} builds\nwait: CreatingJob - Job {name} is being made"
        )
    );
    let held = store(&image(HELD, "", ""));
    let second = look_in(&held, &mut memory, 0);
    assert!(second.shown().starts_with("step: read spec.jobTemplate\n"), "{}", second.shown());
    let Step::ReadTemplate { image: read } = second.step().clone() else { panic!("{:?}", second.step()) };
    // By how much a read differs from the row: in the generation, and in the resourceVersion.
    let template = |generation: i64, version: i64, spec| {
        let (uid, lineage) = (read.uid.clone(), std::collections::BTreeMap::new());
        let generation = read.generation + generation;
        let resource_version =
            domain::object::ResourceVersion(read.resource_version.0.saturating_add_signed(version));
        Answer::Template(TemplateRead { uid, generation, resource_version, spec, lineage })
    };
    let spec = json!({"containers": [{"name": "build"}]});
    assert!(MachineImageRoom.learn(
        Recall { memory: &mut memory, shared: &mut () },
        second.step(),
        Ok(template(0, 1, spec.clone())),
        at(0)
    ));
    // Of the same spec, though its status was written in between: by us, after a trouble that is over, say. No watch would
    // tell of that once more.
    let third = look_in(&held, &mut memory, 0);
    assert!(third.shown().starts_with(&format!("step: create Job {name}\n")), "{}", third.shown());
    let Step::CreateJob { body, .. } = third.step() else { panic!("{:?}", third.step()) };
    assert_eq!(body["metadata"]["name"], name);

    // A template of another spec may be that of another version of Kubernetes.
    assert!(MachineImageRoom.learn(
        Recall { memory: &mut memory, shared: &mut () },
        second.step(),
        Ok(template(1, 1, spec.clone())),
        at(0)
    ));
    let ahead = look_in(&held, &mut memory, 0);
    assert_eq!(
        ahead.shown(),
        "wait: CreatingJob - the machine image has changed, and the watch has not shown it yet"
    );
    assert!(MachineImageRoom.learn(
        Recall { memory: &mut memory, shared: &mut () },
        second.step(),
        Ok(template(-1, -1, spec)),
        at(0)
    ));
    assert!(look_in(&held, &mut memory, 0).shown().starts_with("step: read spec.jobTemplate\n"));
}

/// T10 of the original's acceptance list, its first half.
#[test]
fn a_job_that_runs_is_building() {
    let looked = look(&(image(HELD, "", "") + &owned("image-1", "", "{active: 1}")));
    assert_eq!(looked.shown(), "wait: Building - the image is being built (Job ns/image-1)");
    let status = looked.status(&json!({}));
    assert_eq!(status["phase"], "Building");
    assert_eq!(status.get("ready"), None);
    let reference = json!({
        "apiVersion": "batch/v1", "kind": "Job", "namespace": "ns", "name": "image-1", "uid": "uid-job-image-1",
    });
    assert_eq!(status["jobRef"], reference);
    assert_eq!(conditions(&status), "Ready=False/Building Reconciling=True/Building");
    assert_eq!(looked.events(), ["CreatingJob"]);
    let Note { occurrence, related, .. } = &looked.report.notes[0];
    assert_eq!((occurrence.as_str(), related.as_ref().unwrap().key.name.as_ref()), ("image-1", "image-1"));
}

#[test]
fn a_new_job_that_has_not_begun_and_one_between_retries_are_building() {
    for (status, words) in [
        ("{}", ""),
        ("{failed: 1}", ", 1 pod has failed so far"),
        ("{failed: 3, active: 0, ready: 0}", ", 3 pods have failed so far"),
        (
            "{failed: 3, conditions: [{type: Failed, status: 'False'}, {type: FailureTarget, status: 'True'}]}",
            ", 3 pods have failed so far",
        ),
        // Nothing but a counter says that it has succeeded, and there is no id: its condition will come.
        ("{succeeded: 1}", ""),
    ] {
        let looked = look(&(image(HELD, "", BUILDING) + &owned("image-1", "", status)));
        assert_eq!(
            looked.shown(),
            format!("wait: Building - the image is being built{words} (Job ns/image-1)"),
            "{status}"
        );
        assert_eq!(looked.status(&json!({"phase": "Building"}))["phase"], "Building", "bug B10: no flapping");
    }
}

/// T10, its second half: counters and an annotation, without a condition.
#[test]
fn a_job_that_has_succeeded_gives_its_id_once() {
    for status in [COMPLETE, "{succeeded: 1}", "{succeeded: 1, active: 0, failed: 2}"] {
        let looked = look(&(image(HELD, "", BUILDING) + &owned("image-1", ID, status)));
        assert!(
            looked.shown().starts_with("step: record image id kindest/node:v1.27.6\nwait: Building - "),
            "{status}"
        );
        let Step::RecordId { image, id, let_go } = looked.step() else { panic!("{:?}", looked.step()) };
        assert_eq!(
            super::apply::recording(image, id, *let_go),
            json!({
                "metadata": {
                    "uid": "uid-machineimage-image", "resourceVersion": "1",
                    "annotations": {"clusterctl.cluster.x-k8s.io/block-move": null},
                },
                "spec": {"id": "kindest/node:v1.27.6"},
            })
        );
    }
    let early = look(&(image(HELD, "", BUILDING) + &owned("image-1", ID, "{active: 1, succeeded: 1}")));
    assert!(early.shown().starts_with("wait: Building - "), "{}", early.shown());
    let failed = look(&(image("", "", BUILDING) + &owned("image-1", ID, FAILED)));
    assert!(failed.shown().starts_with("failed: JobFailed - "), "an id of a Job that failed is none");
    let recorded =
        look(&(image("", ", id: 'kindest/node:v1.27.6'", BUILDING) + &owned("image-1", ID, COMPLETE)));
    assert_eq!((recorded.shown().as_str(), recorded.events()), ("done", vec!["ImageAvailable"]));
}

#[test]
fn a_job_that_has_failed_waits_for_a_human() {
    let yaml = image(HELD, "", BUILDING) + &owned("image-1", "", FAILED);
    let looked = look(&yaml);
    assert_eq!(
        looked.shown(),
        "step: let clusterctl move go on\nfailed: JobFailed - the Job has failed: BackoffLimitExceeded: Job has \
         reached the specified backoff limit (Job ns/image-1); delete Job image-1 to build again"
    );
    let status = looked.status(&json!({"phase": "Building"}));
    assert_eq!(status["phase"], "Failed");
    assert_eq!(conditions(&status), "Ready=False/JobFailed Stalled=True/JobFailed");
    assert_eq!(looked.events(), ["JobFailed"]);
    let settled = look(&(image("", "", BUILDING) + &owned("image-1", "", FAILED)));
    assert!(settled.verdict.steps.is_empty() && settled.verdict.recheck.is_none(), "no hot loop");
}

#[test]
fn a_job_without_a_word_is_asked_through_its_pods() {
    let built = store(&(image(HELD, "", BUILDING) + &owned("image-1", "", COMPLETE)));
    let mut memory = Memory::default();
    let first = look_in(&built, &mut memory, 0);
    assert!(
        first.shown().starts_with("step: read the termination message of Job image-1\nwait: Building - ")
    );
    assert!(MachineImageRoom.learn(
        Recall { memory: &mut memory, shared: &mut () },
        first.step(),
        Ok(Answer::Pods(Vec::new())),
        at(0)
    ));
    let second = look_in(&built, &mut memory, 0);
    assert_eq!(
        second.shown(),
        "step: let clusterctl move go on\nfailed: ImageIdMissing - the Job has succeeded without an image id: no \
         annotation kubernetesupgraded.dimitrikoshkin.com/image-id, and no pod of it is left that has succeeded \
         (Job ns/image-1); delete Job image-1 to build again"
    );
    let status = second.status(&json!({"phase": "Building"}));
    assert_eq!(
        (&status["phase"], conditions(&status).as_str()),
        (&json!("Failed"), "Ready=False/ImageIdMissing Stalled=True/ImageIdMissing")
    );
    assert_eq!(second.events(), ["ImageIdMissing"]);
    // A human who knows the id may still say it.
    let annotated = store(&(image(HELD, "", BUILDING) + &owned("image-1", ID, COMPLETE)));
    assert!(look_in(&annotated, &mut memory, 0).shown().starts_with("step: record image id "));
    // What the pods of one Job told is not said of another.
    let other = store(&(image(HELD, "", BUILDING) + &owned("image-2", "", COMPLETE)));
    assert!(
        look_in(&other, &mut memory, 0)
            .shown()
            .starts_with("step: read the termination message of Job image-2")
    );
}

#[test]
fn what_cannot_be_an_id_is_not_recorded() {
    let annotation = ", annotations: {kubernetesupgraded.dimitrikoshkin.com/image-id: \"a\\nb\"}";
    let looked = look(&(image("", "", BUILDING) + &owned("image-1", annotation, COMPLETE)));
    assert_eq!(
        looked.shown(),
        "failed: ImageIdAmbiguous - the Job has succeeded, and what it tells cannot be an image id: its annotation \
         kubernetesupgraded.dimitrikoshkin.com/image-id has more than one line (Job ns/image-1); delete Job image-1 \
         to build again"
    );
    assert_eq!(looked.events(), ["ImageIdAmbiguous"]);
}

/// T11 of the original's acceptance list.
#[test]
fn a_job_that_is_gone_is_followed_by_one_of_another_name() {
    let gone = store(&image(HELD, "", BUILDING));
    let mut memory = Memory::default();
    let first = look_in(&gone, &mut memory, 0);
    let name = "image-bz7ht";
    assert_eq!(
        first.shown(),
        format!(
            "step: look for a Job that the watch has not shown\nwait: CreatingJob - Job {name} is being made"
        )
    );
    assert_eq!(first.status(&json!({"phase": "Building"}))["phase"], "Building");
    // The watch is late: the Job is there, and no second one is made.
    let late = Ok(Answer::Jobs(Some("image-1".into())));
    assert!(MachineImageRoom.learn(
        Recall { memory: &mut memory, shared: &mut () },
        first.step(),
        late,
        at(0)
    ));
    let waiting = look_in(&gone, &mut memory, 0);
    assert_eq!(
        waiting.shown(),
        "wait: CreatingJob - Job image-1 is there, and the watch has not shown it yet\nagain in 5 s"
    );
    let again = look_in(&gone, &mut memory, 5);
    assert!(again.shown().starts_with("step: look for a Job "));
    // It is gone.
    assert!(MachineImageRoom.learn(
        Recall { memory: &mut memory, shared: &mut () },
        again.step(),
        Ok(Answer::Jobs(None)),
        at(5)
    ));
    assert!(look_in(&gone, &mut memory, 5).shown().starts_with("step: read spec.jobTemplate\n"));
    // The next one is there, and named.
    let next = look(&(image(HELD, "", BUILDING) + &owned(name, "", "{active: 1}")));
    assert_eq!(next.status(&json!({}))["jobRef"]["name"], name);
    assert_eq!(next.events(), ["CreatingJob"]);
}

#[test]
fn a_job_that_is_being_deleted_is_waited_for() {
    let deleting = ", deletionTimestamp: '2026-11-21T10:00:00Z', finalizers: [foregroundDeletion]";
    for status in ["{active: 1}", FAILED, COMPLETE] {
        let looked = look(&(image(HELD, "", BUILDING) + &owned("image-1", deleting, status)));
        assert_eq!(
            looked.shown(),
            "wait: JobDeleting - the Job is being deleted (Job ns/image-1)",
            "{status}"
        );
        assert_eq!(conditions(&looked.status(&json!({}))), "Ready=False/JobDeleting");
    }
    let with_id = format!("{ID}{deleting}");
    let looked = look(&(image(HELD, "", BUILDING) + &owned("image-1", &with_id, COMPLETE)));
    assert!(looked.shown().starts_with("step: record image id "), "the image is there");
}

#[test]
fn an_image_that_is_being_deleted_is_left_alone() {
    let deleting = ", deletionTimestamp: '2026-11-21T10:00:00Z', finalizers: [x]";
    let looked = look(&image(deleting, "", ""));
    assert_eq!(looked.shown(), "wait: Deleting - the machine image is being deleted");
    let looked = look(&(image(deleting, "", BUILDING) + &owned("image-1", ID, COMPLETE)));
    assert_eq!(looked.shown(), "wait: Deleting - the machine image is being deleted");
    assert_eq!(looked.status(&json!({"phase": "Building"}))["phase"], "Building");
}

#[test]
fn an_unchanged_image_is_not_written_again() {
    let jobs = [
        String::new(),
        owned("image-1", "", "{active: 1}"),
        owned("image-1", "", FAILED),
        owned("image-1", ", deletionTimestamp: '2026-11-21T10:00:00Z'", "{}"),
    ];
    for (id, job) in [", id: ami-1", "", "", ""].into_iter().zip(&jobs) {
        let hold = if job.contains("active") { HELD } else { "" };
        let first = look(&(image(hold, id, "") + job));
        let mut written = objects(&(image(hold, id, "") + job));
        written[0]["status"] = first.status(&json!({}));
        let yaml = yaml(&written);
        assert_eq!(look_in(&store(&yaml), &mut Memory::default(), 60).report, Report::default(), "{yaml}");
    }
}

#[test]
fn a_job_concerns_its_owner_and_who_waits_for_its_name() {
    let yaml = image("", "", "") + "---\n" + &image("", ", id: x", "").replace("name: image", "name: built");
    let mine = store(&(yaml.clone() + &owned("image-1", "", "{}")));
    let foreign = "---\nkind: Job\nmetadata: {name: image-dk99q}\n---\nkind: Job\nmetadata: {name: backup}\n";
    let theirs = store(&(yaml + foreign));
    let concerned = |store: &Store, name: &str, gone: bool| {
        let key = ObjectKey::new("ns", name);
        let row = store.snapshot().get::<JobRow>(&key).cloned();
        let (before, after) = if gone { (row.as_ref(), None) } else { (None, row.as_ref()) };
        let images = super::images_of(store.snapshot(), &key, before, after);
        images.iter().map(|key| key.name.to_string()).collect::<Vec<_>>()
    };
    for gone in [false, true] {
        assert_eq!(concerned(&mine, "image-1", gone), ["image"]);
        assert_eq!(concerned(&theirs, "image-dk99q", gone), ["image"]);
        assert_eq!(concerned(&theirs, "backup", gone), [""; 0]);
    }
}

/// The id of a Job that was told another version is not this version's, whoever told it so; of several values the last
/// counts, as for the container.
#[test]
fn an_image_of_another_version_is_not_taken() {
    let told = |versions: &[&str]| {
        let env: Vec<String> = versions
            .iter()
            .map(|version| format!("{{name: KUBERNETES_VERSION, value: {version}}}"))
            .collect();
        let containers = format!("containers: [{{name: build, env: [{}]}}]", env.join(", "));
        let job = owned("image-1", ID, COMPLETE).replace("containers: [{name: build}]", &containers);
        look(&(image(HELD, "", BUILDING) + &job)).shown()
    };
    assert!(told(&["v1.27.6"]).contains("record image id"), "{}", told(&["v1.27.6"]));
    assert!(told(&["v1.27.5", "v1.27.6"]).contains("record image id"));
    let other = told(&["v1.27.5"]);
    assert!(other.contains("failed: JobOfOtherVersion - the Job has built v1.27.5"), "{other}");
}

/// Before it is done as well: whoever changed the version learns at once that it is not what is being built.
#[test]
fn a_job_that_builds_another_version_says_so() {
    let job = owned("image-1", "", "{active: 1}").replace(
        "containers: [{name: build}]",
        "containers: [{name: build, env: [{name: KUBERNETES_VERSION, value: v1.27.5}]}]",
    );
    let shown = look(&(image(HELD, "", BUILDING) + &job)).shown();
    let expected = "wait: Building - the Job builds v1.27.5, and spec.version is v1.27.6 now (Job ns/image-1); \
        delete Job image-1 to build that";
    assert!(shown.contains(expected), "{shown}");
}
