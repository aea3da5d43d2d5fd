//! What keeps a Job from being made.

use domain::object::Meta;
use domain::verdict::{Because, Trouble};
use runtime::room::Recall;
use runtime::store::{Availability, TableId};

use super::*;

fn create() -> Step {
    let image = Meta { uid: "uid-machineimage-image".into(), generation: 1, ..Meta::default() };
    Step::CreateJob { image, name: "image-dk99q".into(), body: Value::Null }
}

fn invalid() -> Refusal {
    Refusal::Invalid(
        "Job.batch \"image-dk99q\" is invalid: spec.template.spec.restartPolicy: Unsupported value".into(),
    )
}

#[test]
fn to_build_a_version_must_read_as_one() {
    for (version, message) in [
        ("''", "spec.version: it is missing"),
        ("gold", "spec.version: `gold` is not a version: not all of its parts are numbers"),
    ] {
        let looked = look(&image("", "", "").replace("v1.27.6", version));
        assert_eq!(looked.shown(), format!("failed: InvalidVersion - {message}; correct the version"));
        let status = looked.status(&json!({}));
        assert_eq!(conditions(&status), "Ready=False/InvalidVersion Stalled=True/InvalidVersion");
        assert_eq!(status.get("phase"), None, "empty before the first Job");
        assert_eq!(looked.events(), ["InvalidVersion"]);
    }
    for version in ["'1.27'", "1.27.6", "v1.27.3+vmware.1", "v1.28.0-rc.1"] {
        assert!(
            look(&image("", "", "").replace("v1.27.6", version)).shown().contains("CreatingJob"),
            "{version}"
        );
    }
    let running = image(HELD, "", BUILDING).replace("v1.27.6", "gold") + &owned("image-1", "", "{active: 1}");
    assert!(look(&running).shown().starts_with("wait: Building"), "a Job that runs is not lost");
    let after = look(&image(HELD, "", BUILDING).replace("v1.27.6", "gold"));
    assert!(after.shown().starts_with("step: let clusterctl move go on\nfailed: InvalidVersion"));
    assert_eq!(after.status(&json!({"phase": "Building"}))["phase"], "Failed");
}

#[test]
fn a_template_without_containers_is_named() {
    let looked = look(&image("", "", "").replace("containers: [{name: build}]", "containers: []"));
    assert_eq!(
        looked.shown(),
        "failed: InvalidTemplate - spec.jobTemplate.spec has no containers; correct spec.jobTemplate.spec"
    );
    assert_eq!(looked.events(), ["InvalidTemplate"]);
}

#[test]
fn a_malformed_image_is_named_and_keeps_its_status() {
    let status = "status: {ready: true, phase: Created}";
    let looked = look(&format!("kind: MachineImage\nmetadata: {{name: image}}\nspec: {{id: [x]}}\n{status}"));
    assert!(looked.shown().starts_with("failed: Malformed - spec: "), "{}", looked.shown());
    let status = looked.status(&json!({"ready": true, "phase": "Created"}));
    assert_eq!((&status["ready"], &status["phase"]), (&json!(true), &json!("Created")));
}

#[test]
fn a_name_that_is_taken_is_waited_for() {
    let foreign = "---\nkind: Job\nmetadata: {name: image-dk99q}\n";
    let looked = look(&(image(HELD, "", "") + foreign));
    assert_eq!(
        looked.shown(),
        "step: let clusterctl move go on\nwait: JobNameTaken - the name of the Job to be made is taken (Job ns/image-dk99q)"
    );
    assert_eq!(looked.events(), ["JobNameTaken"]);
    let deleting = foreign.replace("name: image", "deletionTimestamp: '2026-11-21T10:00:00Z', name: image");
    let looked = look(&(image("", "", "") + &deleting));
    assert_eq!(looked.shown(), "wait: JobDeleting - the Job is being deleted (Job ns/image-dk99q)");
    // The engine observes again: by then the watch shows whose it is.
    let mut memory = Memory::default();
    assert!(!MachineImageRoom.learn(
        Recall { memory: &mut memory, shared: &mut () },
        &create(),
        Err(&Refusal::AlreadyExists),
        at(0)
    ));
}

#[test]
fn a_job_that_the_server_refuses_is_sent_again_for_another_spec_or_after_a_while() {
    let (held, mut memory) = (store(&image(HELD, "", "")), Memory::default());
    assert!(MachineImageRoom.learn(
        Recall { memory: &mut memory, shared: &mut () },
        &create(),
        Err(&invalid()),
        at(0)
    ));
    let looked = look_in(&held, &mut memory, 0);
    assert_eq!(
        looked.shown(),
        "step: let clusterctl move go on\nfailed: JobRejected - cannot create Job image-dk99q: Job.batch \
         \"image-dk99q\" is invalid: spec.template.spec.restartPolicy: Unsupported value\nagain in 900 s"
    );
    assert_eq!(looked.events(), ["CreatingJobError"]);
    assert_eq!(conditions(&looked.status(&json!({}))), "Ready=False/JobRejected Stalled=True/JobRejected");
    let later = look_in(&held, &mut memory, 900);
    assert!(later.shown().starts_with("step: read spec.jobTemplate"), "{}", later.shown());

    assert!(MachineImageRoom.learn(
        Recall { memory: &mut memory, shared: &mut () },
        &create(),
        Err(&invalid()),
        at(0)
    ));
    let edited = store(&image(&format!("{HELD}, generation: 2"), "", ""));
    assert!(look_in(&edited, &mut memory, 0).shown().starts_with("step: read spec.jobTemplate"));

    assert!(MachineImageRoom.learn(
        Recall { memory: &mut memory, shared: &mut () },
        &create(),
        Err(&invalid()),
        at(0)
    ));
    let namesake = store(&image(&format!("{HELD}, uid: new-uid"), "", ""));
    assert!(look_in(&namesake, &mut memory, 0).shown().starts_with("step: read spec.jobTemplate"));
}

#[test]
fn a_policy_or_a_role_that_refuses_the_job_holds_no_move() {
    let policy = Refusal::Admission { by: "no-friday".into(), message: "not on a Friday".into() };
    let role = Refusal::Forbidden("jobs.batch is forbidden".into());
    for (refusal, shown) in [
        (policy, "failed: WriteRefused - cannot create Job image-dk99q: not on a Friday"),
        (role, "failed: Forbidden - cannot create Job image-dk99q: jobs.batch is forbidden"),
    ] {
        let (held, mut memory) = (store(&image(HELD, "", "")), Memory::default());
        assert!(MachineImageRoom.learn(
            Recall { memory: &mut memory, shared: &mut () },
            &create(),
            Err(&refusal),
            at(0)
        ));
        let looked = look_in(&held, &mut memory, 0);
        assert_eq!(looked.shown(), format!("step: let clusterctl move go on\n{shown}\nagain in 300 s"));
        assert_eq!(looked.events(), ["CreatingJobError"]);
    }
}

/// Passing troubles are the engine's: it asks for a report with its own verdict.
#[test]
fn a_trouble_before_the_job_is_a_trouble_of_making_it() {
    let mut memory = Memory::default();
    let refusal = Refusal::Unavailable { message: "busy".into(), retry_after: None };
    assert!(!MachineImageRoom.learn(
        Recall { memory: &mut memory, shared: &mut () },
        &create(),
        Err(&refusal),
        at(0)
    ));
    let reported = |yaml: &str| {
        let held = store(yaml);
        let row = held.snapshot().get::<MachineImageRow>(&ObjectKey::new("ns", "image")).unwrap();
        let observed = MachineImageRoom.observe(
            held.snapshot(),
            row,
            Recall { memory: &mut Memory::default(), shared: &mut () },
            at(0),
        );
        let because =
            Because::new(domain::verdict::Reason::of_trouble(Trouble::ApiUnavailable), "cannot do it: busy");
        MachineImageRoom.report(&observed, &Verdict::failed(because), at(0))
    };
    assert_eq!(reported(&image("", "", "")).notes[0].reason, "CreatingJobError");
    let built = reported(&(image("", "", BUILDING) + &owned("image-1", ID, COMPLETE)));
    assert_eq!(built.notes[0].reason, "ApiUnavailable");
    assert_eq!(built.status.unwrap().get("phase"), None, "the build is where it was");
}

#[test]
fn where_jobs_cannot_be_seen_none_is_made() {
    let mut hidden = store(&image("", "", ""));
    hidden.set::<JobRow>(&TableId::of::<JobRow>(), Availability::Forbidden("jobs.batch is forbidden".into()));
    let looked = look_in(&hidden, &mut Memory::default(), 0);
    assert_eq!(
        looked.shown(),
        "failed: Forbidden - cannot see the Jobs that may build it: jobs.batch is forbidden"
    );
}

#[test]
fn a_hold_is_put_on_one_incarnation_and_taken_off() {
    let image = Meta { uid: "u".into(), ..Meta::default() };
    let annotation = |value| json!({"metadata": {"uid": "u", "annotations": {"clusterctl.cluster.x-k8s.io/block-move": value}}});
    assert_eq!(
        super::super::apply::holding(&image, Some("kubernetes-upgrader")),
        annotation(json!("kubernetes-upgrader"))
    );
    assert_eq!(super::super::apply::holding(&image, None), annotation(Value::Null));
}
