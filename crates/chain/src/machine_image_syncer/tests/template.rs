//! Templates of which no image can be made.

use super::*;
use runtime::room::Recall;

#[test]
fn a_missing_template_is_named_also_where_nothing_is_to_be_made() {
    let mut world = World::new(CHAIN);
    world.remove("MachineImageTemplate");
    let pass = world.pass(at(0));
    assert_eq!(
        pass.decided,
        "failed: TemplateMissing - the machine image template does not exist (MachineImageTemplate ns/template)"
    );
    assert_eq!(pass.conditions(), "Ready=False/TemplateMissing UpToDate=Unknown/TemplateMissing");
    assert!(pass.notes()[0].starts_with("Warning GetMachineImageTemplateFailed: "), "{:?}", pass.notes());
    let mut world = World::new(CHAIN);
    world.pass(at(0));
    world.remove("MachineImageTemplate");
    assert!(world.pass(at(1)).decided.starts_with("failed: TemplateMissing"));
}

#[test]
fn a_template_without_containers_is_named() {
    for (spec, problem) in [
        (json!({"containers": []}), "spec.template.spec.jobTemplate.spec has no containers"),
        (json!({"initContainers": [{"name": "a"}]}), "spec.template.spec.jobTemplate.spec has no containers"),
        (Value::Null, "spec.template.spec.jobTemplate.spec is missing"),
    ] {
        let mut world = World::new(CHAIN);
        world.get("MachineImageTemplate")["spec"]["template"]["spec"]["jobTemplate"]["spec"] = spec;
        let pass = world.pass(at(0));
        assert_eq!(pass.steps, [""; 0]);
        assert_eq!(
            pass.decided,
            format!(
                "failed: TemplateInvalid - no Job can be made of the template: {problem} \
                 (MachineImageTemplate ns/template); correct the template"
            )
        );
        assert!(pass.conditions().ends_with(" Stalled=True/TemplateInvalid"));
    }
}

#[test]
fn a_template_of_another_namespace_is_not_read() {
    let mut world = World::new(CHAIN);
    world.syncer()["spec"]["machineImageTemplateRef"]["namespace"] = json!("other");
    assert_eq!(
        world.pass(at(0)).decided,
        "failed: CrossNamespaceReference - spec.machineImageTemplateRef points to namespace other; \
         refer to an object of the syncer's own namespace"
    );
}

#[test]
fn what_is_read_counts_and_is_not_kept() {
    let mut world = World::new(CHAIN);
    let (_, verdict) = world.look(at(0));
    let mut broken = world.get("MachineImageTemplate").clone();
    broken["spec"]["template"]["spec"]["jobTemplate"]["spec"]["containers"] = json!([]);
    let answer = Answer::Template(LiveTemplate::of(broken));
    SyncerRoom.learn(
        Recall { memory: &mut world.memory, shared: &mut () },
        &verdict.steps[0],
        Ok(answer),
        at(0),
    );
    let (_, verdict) = world.look(at(0));
    assert!(shown(&verdict, at(0)).starts_with("failed: TemplateInvalid"), "newer than the watch");
    let (_, verdict) = world.look(at(1));
    assert!(matches!(verdict.steps[0], Step::ReadTemplate(_)), "read anew");
}

/// The server's schema knows more than we do, of labels for example.
#[test]
fn a_template_that_the_server_refuses_is_not_tried_until_it_changes() {
    let mut world = World::new(CHAIN);
    let refuse = |world: &mut World, now| {
        let (_, verdict) = world.look(now);
        let answer = world.answer(&verdict.steps[0]);
        SyncerRoom.learn(
            Recall { memory: &mut world.memory, shared: &mut () },
            &verdict.steps[0],
            Ok(answer),
            now,
        );
        let (_, verdict) = world.look(now);
        let refusal = Refusal::Invalid("metadata.labels: Invalid value: \"a b\"".to_owned());
        assert!(SyncerRoom.learn(
            Recall { memory: &mut world.memory, shared: &mut () },
            &verdict.steps[0],
            Err(&refusal),
            now
        ));
    };
    refuse(&mut world, at(0));
    let pass = world.pass(at(0));
    assert_eq!(pass.steps, [""; 0]);
    assert_eq!(
        pass.decided,
        "failed: TemplateInvalid - the server refuses what is made of the template: metadata.labels: \
         Invalid value: \"a b\" (MachineImageTemplate ns/template); correct the template\nagain in 600 s"
    );
    world.get("MachineImageTemplate")["metadata"]["resourceVersion"] = json!("2");
    assert_eq!(world.pass(at(1)).steps.len(), 2);
    // Or after a while: what refuses may have changed as well.
    let mut world = World::new(CHAIN);
    refuse(&mut world, at(0));
    assert_eq!(world.pass(at(600)).steps.len(), 2);
}

/// The engine tells of every other refusal, and its Event says what could not be done, as the original's did.
#[test]
fn any_other_refusal_is_the_engines_to_tell() {
    let mut world = World::new(CHAIN);
    let (_, verdict) = world.look(at(0));
    for refusal in [Refusal::AlreadyExists, Refusal::NotFound, Refusal::Invalid("of a GET".to_owned())] {
        assert!(!SyncerRoom.learn(
            Recall { memory: &mut world.memory, shared: &mut () },
            &verdict.steps[0],
            Err(&refusal),
            at(0)
        ));
    }
    let answer = world.answer(&verdict.steps[0]);
    let reading = verdict.steps[0].clone();
    SyncerRoom.learn(Recall { memory: &mut world.memory, shared: &mut () }, &reading, Ok(answer), at(0));
    let making = world.look(at(0)).1.steps[0].clone();
    for (step, event) in [(reading, "GetMachineImageTemplateFailed"), (making, "CreateMachineImageFailed")] {
        let refusal = Refusal::Forbidden("no".to_owned());
        assert!(!SyncerRoom.learn(
            Recall { memory: &mut world.memory, shared: &mut () },
            &step,
            Err(&refusal),
            at(1)
        ));
        let (observed, _) = world.look(at(1));
        let verdict =
            Verdict::failed(domain::verdict::Because::new(Reason::Forbidden, format!("cannot {step}: no")));
        let report = SyncerRoom.report(&observed, &verdict, at(1));
        assert_eq!(report.notes[0].reason, event);
        assert_eq!(
            conditions(&report.status.unwrap()),
            "Ready=False/Forbidden UpToDate=Unknown/Forbidden Stalled=True/Forbidden"
        );
    }
}
