//! No reason is out of reach.

use domain::verdict::{Because, Reason as _, Trouble};

use super::*;

/// What leads to a reason, and when; nothing where it is the engine's to give.
fn example(reason: Reason) -> Option<World> {
    let mut world = World::new(CHAIN);
    let mut spec = |field: &str, value: Value| world.syncer()["spec"][field] = value;
    match reason {
        Reason::Paused => spec("paused", json!(true)),
        Reason::InvalidVersionRange => spec("versionRange", json!("x1")),
        Reason::CrossNamespaceReference => {
            spec("machineImageTemplateRef", json!({"name": "t", "namespace": "other"}));
        }
        Reason::SourceMissing => world.remove("DebianRepositorySource"),
        Reason::SourceKindNotInstalled | Reason::SourceKindForbidden => {
            spec("sourceRef", json!({"apiVersion": "example.org/v1", "kind": "Feed", "name": "source"}));
            world.foreign = Some(Availability::Forbidden("no".into()));
            world.feed = match reason {
                Reason::SourceKindForbidden => Found::Forbidden("no".into()),
                _ => Found::NotInstalled,
            };
        }
        Reason::SourceInvalid => spec("sourceRef", json!({"apiVersion": "example.org/v1", "name": "source"})),
        Reason::NoVersionsInSource => world.get("DebianRepositorySource")["status"] = json!({}),
        Reason::NoVersionInRange => spec("versionRange", json!("v1.99.x")),
        Reason::VersionDenied => spec("deniedVersions", json!(["1.27.5", "1.27.6"])),
        Reason::VersionTooYoung => {
            spec("minimumAge", json!("1h"));
            let young = json!([{"version": "v1.27.6", "firstSeen": "2026-11-21T10:00:00Z"}]);
            world.get("DebianRepositorySource")["status"]["packages"] = young;
        }
        Reason::TemplateMissing => world.remove("MachineImageTemplate"),
        Reason::TemplateInvalid => world.get("MachineImageTemplate")["spec"] = json!({}),
        Reason::ImageNameTaken => {
            world.pass(at(0));
            let meta = &mut world.get("MachineImage")["metadata"];
            meta["labels"] = json!({});
            meta.as_object_mut().unwrap().remove("ownerReferences");
        }
        Reason::ImageDeleting => {
            world.pass(at(0));
            world.get("MachineImage")["metadata"]["deletionTimestamp"] = json!("2026-11-21T10:00:00Z");
        }
        Reason::CreatingImage => {}
        Reason::DeletingImage => {
            world.pass(at(0));
            world.get("DebianRepositorySource")["status"]["versions"] = json!(["v1.27.7"]);
            world.pass(at(0));
            for image in world.objects.iter_mut().filter(|object| object["kind"] == "MachineImage") {
                image["metadata"]["creationTimestamp"] = json!("2026-11-01T10:00:00Z");
                image["spec"]["id"] = json!("ami");
            }
            world.syncer()["spec"]["retention"] = json!({"mode": "Delete"});
        }
        Reason::Malformed => world.syncer()["spec"] = json!({"versionRange": 7}),
        Reason::Forbidden
        | Reason::WriteRefused
        | Reason::ForeignWebhook
        | Reason::ApiUnavailable
        | Reason::DryRun
        | Reason::InternalError => return None,
    }
    Some(world)
}

#[test]
fn every_reason_is_reached_and_told() {
    for reason in Reason::ALL.iter().copied() {
        let Some(mut world) = example(reason) else { continue };
        // The steps before a verdict of the reason, and that verdict.
        let mut looked = world.look(at(5));
        for _ in 0..8 {
            let (observed, verdict) = &looked;
            let step = match (verdict.then.because().map(|because| because.reason), verdict.steps.first()) {
                (Some(found), _) if found == reason => break,
                (_, Some(step)) => step.clone(),
                (found, None) => panic!("{reason:?}: {found:?} {observed:?}"),
            };
            let answer = world.answer(&step);
            let recall = Recall { memory: &mut world.memory, shared: &mut () };
            assert!(SyncerRoom.learn(recall, &step, Ok(answer), at(5)));
            looked = world.look(at(5));
        }
        let (observed, verdict) = looked;
        assert_eq!(verdict.then.because().unwrap().reason, reason);
        told(&SyncerRoom.report(&observed, &verdict, at(5)), reason);
    }
}

fn told(report: &Report, reason: Reason) {
    let status = report.status.as_ref().unwrap_or_else(|| panic!("{reason:?} is not told"));
    assert_eq!(status["conditions"][0]["reason"], reason.name());
    assert_eq!(status["waiting"]["reason"], reason.name());
}

/// What any request can meet; the engine has the words.
#[test]
fn every_trouble_is_told() {
    use Trouble::{
        ApiUnavailable, DryRun, Forbidden, ForeignWebhook, InternalError, Malformed, WriteRefused,
    };
    let mut world = World::new(CHAIN);
    let (observed, _) = world.look(at(0));
    for trouble in [Forbidden, WriteRefused, ForeignWebhook, ApiUnavailable, DryRun, InternalError, Malformed]
    {
        let reason = Reason::of_trouble(trouble);
        let verdict = Verdict::failed(Because::new(reason, "words"));
        told(&SyncerRoom.report(&observed, &verdict, at(0)), reason);
    }
}
