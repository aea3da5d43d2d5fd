//! What others left: the two generations of the original, a namesake, a move.

use super::*;

fn old_label(name: &str, status: &str) -> String {
    owned(name, ", labels: {image-builder.kubernetesupgraded.dimitrikoshkin.com/owned: ''}", status)
}

fn new_label(name: &str, status: &str) -> String {
    owned(name, ", labels: {kubernetesupgraded.dimitrikoshkin.com/machine-image-name: image}", status)
}

/// Bug B16: a Job of v0.5.0 was not found by v0.6.0, which made another.
#[test]
fn jobs_of_both_generations_are_found_by_their_owner() {
    for job in [old_label("image-x7k2p", "{active: 1}"), new_label("image-x7k2p", "{active: 1}")] {
        let looked = look(&(image(HELD, "", "") + &job));
        assert_eq!(looked.shown(), "wait: Building - the image is being built (Job ns/image-x7k2p)");
    }
    // One that runs already is held as well.
    let looked = look(&(image("", "", "") + &old_label("image-x7k2p", "{active: 1}")));
    assert!(looked.shown().starts_with("step: hold clusterctl move while Job image-x7k2p builds\n"));
}

#[test]
fn of_two_jobs_the_younger_counts_then_the_last_by_name() {
    let older = new_label("image-b", FAILED);
    let younger = owned("image-a", ", creationTimestamp: '2026-11-21T11:00:00Z'", "{active: 1}");
    let looked = look(&(image(HELD, "", "") + &older + &younger));
    assert_eq!(looked.shown(), "wait: Building - the image is being built (Job ns/image-a)");
    let twins = image(HELD, "", "") + &new_label("image-a", FAILED) + &new_label("image-b", "{active: 1}");
    assert_eq!(look(&twins).shown(), "wait: Building - the image is being built (Job ns/image-b)");
}

#[test]
fn a_job_of_a_deleted_namesake_is_not_adopted() {
    let theirs = new_label("image-old", COMPLETE)
        .replace(
            "name: image-old, labels: {",
            "name: image-old, annotations: {kubernetesupgraded.dimitrikoshkin.com/image-id: old}, labels: {",
        )
        .replace("uid: uid-machineimage-image", "uid: another");
    let looked = look(&(image("", "", "") + &theirs));
    assert!(
        looked.shown().contains("wait: CreatingJob - Job image-dk99q is being made"),
        "{}",
        looked.shown()
    );
    // An owner that does not manage it is none.
    let loose = new_label("image-1", COMPLETE).replace("controller: true", "controller: false");
    assert!(look(&(image("", "", "") + &loose)).shown().contains("CreatingJob"));
}

/// A status as v0.6.0 wrote it stays as it is, but for what is new.
#[test]
fn a_status_of_the_original_is_adopted() {
    let reference = json!({
        "apiVersion": "batch/v1", "kind": "Job", "namespace": "ns", "name": "image-1", "uid": "uid-job-image-1",
        "resourceVersion": "4711",
    });
    let created = json!({"ready": true, "phase": "Created", "jobRef": reference});
    let yaml = image("", ", id: ami-1", &format!("status: {created}"));
    for jobs in [String::new(), new_label("image-1", COMPLETE)] {
        let looked = look(&(yaml.clone() + &jobs));
        assert_eq!((looked.shown().as_str(), looked.events()), ("done", Vec::<&str>::new()));
        let patch = looked.report.status.unwrap();
        assert_eq!(
            patch.as_object().unwrap().keys().collect::<Vec<_>>(),
            ["conditions", "observedGeneration"]
        );
    }
    // v0.5.0 left kind and apiVersion empty.
    let status = "status: {phase: Building, jobRef: {namespace: ns, name: image-1, uid: uid-job-image-1, resourceVersion: '9'}}";
    let looked = look(&(image(HELD, "", status) + &old_label("image-1", "{active: 1}")));
    let patch = looked.report.status.as_ref().unwrap();
    assert_eq!(patch["jobRef"], json!({"apiVersion": "batch/v1", "kind": "Job", "resourceVersion": null}));
    assert_eq!(looked.events(), Vec::<&str>::new(), "it was told of by whoever made it");
}

/// `clusterctl move`: the objects are created anew, without status, with new uids.
#[test]
fn after_a_move_an_image_with_an_id_gets_no_job() {
    let moved = image("", ", id: ami-1", "").replace("name: image", "name: image, uid: new-uid");
    assert_eq!(look(&moved).shown(), "done");
}

#[test]
fn an_id_taken_away_by_hand_is_found_again_or_built_again() {
    let created =
        "status: {ready: true, phase: Created, jobRef: {kind: Job, name: image-1, uid: uid-job-image-1}}";
    let looked = look(&(image("", "", created) + &owned("image-1", ID, COMPLETE)));
    assert!(looked.shown().starts_with("step: record image id kindest/node:v1.27.6\n"));
    let looked = look(&image("", "", created));
    let status = looked.status(&json!({"ready": true, "phase": "Created"}));
    assert_eq!((status.get("ready"), &status["phase"]), (None, &json!("Building")), "never ready while not");
}
