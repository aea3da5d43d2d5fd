use super::*;

/// A plan that waits for this reason, and what it says; nothing for those that come from the engine.
fn case(reason: Reason) -> Option<(String, &'static str)> {
    let valid = "{versionRange: v1.36.x}";
    let case = match reason {
        Reason::InvalidVersionRange => (
            plan("{versionRange: 1x}"),
            "failed: InvalidVersionRange - spec.versionRange: `1x` at column 1 is neither a number nor one of x, X and *; \
             correct the range",
        ),
        Reason::InvalidSelector => (
            plan("{versionRange: 1.x, machineImageSelector: {matchExpressions: [{key: a, operator: In}]}}"),
            "failed: InvalidSelector - spec.machineImageSelector: In on a needs values; correct the selector",
        ),
        Reason::NoSuitableMachineImage => (
            plan(valid),
            "wait: NoSuitableMachineImage - there is no machine image in the namespace; have one made by a \
             MachineImageSyncer, or create one",
        ),
        Reason::Malformed => (
            plan("{versionRange: [1.x]}"),
            "failed: Malformed - spec: invalid type: sequence, expected a string",
        ),
        Reason::Forbidden
        | Reason::WriteRefused
        | Reason::ForeignWebhook
        | Reason::ApiUnavailable
        | Reason::DryRun
        | Reason::InternalError => return None,
    };
    Some(case)
}

/// A plan makes no request, so what the engine meets is all that its own tests cover.
#[test]
fn every_reason_is_reachable() {
    for &reason in Reason::ALL {
        let Some((yaml, told)) = case(reason) else { continue };
        let (verdict, report) = run(&yaml);
        assert_eq!(verdict.then.because().map(|because| because.reason), Some(reason));
        assert_eq!(shown(&verdict, at(0)), told);
        let status = report.status.unwrap();
        assert_eq!(status["waiting"]["reason"], domain::verdict::Reason::name(reason));
        let human = domain::verdict::Reason::needs_human(reason);
        assert_eq!(conditions(&status).contains("Stalled=True/"), human);
    }
}

#[test]
fn an_image_that_is_being_built_is_named() {
    let images = [
        image("a", "v1.36.1", ""),
        image("b", "v1.36.2", ""),
        image("c", "v1.37.0", ""),
        image("d", "v1.35.0", "x"),
    ];
    let (verdict, report) = run(&(plan("{versionRange: v1.36.x}") + &images.concat()));
    assert_eq!(
        shown(&verdict, at(0)),
        "wait: NoSuitableMachineImage - the machine image of v1.36.2 has no id yet (MachineImage ns/b)"
    );
    assert_eq!(report.status.unwrap()["waiting"]["blockedBy"]["name"], "b");
}

#[test]
fn images_outside_the_range_are_told_apart_from_none() {
    let images = image("a", "v1.35.1", "x") + &image("b", "latest", "x");
    let (verdict, _) = run(&(plan("{versionRange: v1.36.x}") + &images));
    assert_eq!(
        shown(&verdict, at(0)),
        "wait: NoSuitableMachineImage - no selected machine image is in v1.36.x; widen spec.versionRange, or have an \
         image of it made"
    );
    // Whether they have an id makes no difference then.
    let (verdict, _) = run(&(plan("{versionRange: v1.36.x}") + &image("a", "v1.35.1", "")));
    assert!(shown(&verdict, at(0)).contains("no selected machine image is in v1.36.x"));
}

#[test]
fn a_selector_that_selects_nothing_is_told_apart_from_no_image() {
    let selecting = plan("{versionRange: v1.36.x, machineImageSelector: {matchLabels: {tier: b}}}");
    let (verdict, _) = run(&(selecting + &image("a", "v1.36.1", "x")));
    assert_eq!(
        shown(&verdict, at(0)),
        "wait: NoSuitableMachineImage - spec.machineImageSelector selects none of the machine images that there are; correct \
         it, or label an image so that it is selected"
    );
}
