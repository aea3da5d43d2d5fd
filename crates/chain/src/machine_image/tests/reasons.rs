//! No reason is out of reach.

use domain::verdict::{Because, Reason as _, Trouble};
use runtime::store::{Availability, TableId};

use super::*;

/// What leads to a reason; nothing where it is the engine's to give.
fn example(reason: Reason) -> Option<String> {
    let with = |status: &str| image("", "", BUILDING) + &owned("image-1", "", status);
    Some(match reason {
        Reason::InvalidVersion => image("", "", "").replace("v1.27.6", "gold"),
        Reason::InvalidTemplate => image("", "", "").replace("containers: [{name: build}]", "containers: []"),
        Reason::CreatingJob => image("", "", ""),
        Reason::Building => with("{active: 1}"),
        Reason::WaitingToRetry => {
            let failed = FAILED.replace(
                "reason: BackoffLimitExceeded",
                "reason: BackoffLimitExceeded, lastTransitionTime: '2026-11-21T10:00:00Z'",
            );
            image("", ", build: {retries: 1}", BUILDING) + &owned("image-1", "", &failed)
        }
        Reason::JobFailed => with(FAILED),
        // After the pods were read, or the server asked: see below.
        Reason::ImageIdMissing => with(COMPLETE),
        Reason::JobRejected => image("", "", ""),
        Reason::ImageIdAmbiguous => {
            let two_lines = ", annotations: {kubernetesupgraded.dimitrikoshkin.com/image-id: \"a\\nb\"}";
            image("", "", BUILDING) + &owned("image-1", two_lines, COMPLETE)
        }
        Reason::JobOfOtherVersion => {
            let env = "containers: [{name: build, env: [{name: KUBERNETES_VERSION, value: v1.0.0}]}]";
            let job = owned("image-1", ID, COMPLETE).replace("containers: [{name: build}]", env);
            image("", "", BUILDING) + &job
        }
        Reason::JobNameTaken => image("", "", "") + "---\nkind: Job\nmetadata: {name: image-dk99q}\n",
        Reason::JobDeleting => {
            image("", "", BUILDING) + &owned("image-1", ", deletionTimestamp: '2026-11-21T10:00:00Z'", "{}")
        }
        Reason::Deleting => image(", deletionTimestamp: '2026-11-21T10:00:00Z'", "", ""),
        Reason::Malformed => "kind: MachineImage\nmetadata: {name: image}\nspec: {id: [x]}\n".to_owned(),
        Reason::Forbidden
        | Reason::WriteRefused
        | Reason::ForeignWebhook
        | Reason::ApiUnavailable
        | Reason::DryRun
        | Reason::InternalError => return None,
    })
}

#[test]
fn every_reason_is_reached_and_told() {
    for reason in Reason::ALL.iter().copied() {
        let Some(yaml) = example(reason) else { continue };
        let (store, mut memory) = (store(&yaml), Memory::default());
        let mut looked = look_in(&store, &mut memory, 0);
        let refusal = Refusal::Invalid("no".into());
        let outcome = match reason {
            Reason::ImageIdMissing => Some(Ok(Answer::Pods(Vec::new()))),
            Reason::JobRejected => Some(Err(&refusal)),
            _ => None,
        };
        if let Some(outcome) = outcome {
            let create = Step::CreateJob {
                image: store
                    .snapshot()
                    .get::<MachineImageRow>(&ObjectKey::new("ns", "image"))
                    .unwrap()
                    .meta
                    .clone(),
                name: "image-dk99q".into(),
                body: Value::Null,
            };
            let step = if outcome.is_ok() { looked.step().clone() } else { create };
            let recall = Recall { memory: &mut memory, shared: &mut () };
            assert!(MachineImageRoom.learn(recall, &step, outcome, at(0)));
            looked = look_in(&store, &mut memory, 0);
        }
        let because = looked.verdict.then.because().unwrap_or_else(|| panic!("{reason:?}: done"));
        assert_eq!(because.reason, reason, "{}", looked.shown());
        told(&looked.report, reason);
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
    let store = store(&image("", "", ""));
    let row = store.snapshot().get::<MachineImageRow>(&ObjectKey::new("ns", "image")).unwrap();
    for trouble in [Forbidden, WriteRefused, ForeignWebhook, ApiUnavailable, DryRun, InternalError, Malformed]
    {
        let recall = Recall { memory: &mut Memory::default(), shared: &mut () };
        let observed = MachineImageRoom.observe(store.snapshot(), row, recall, at(0));
        let reason = Reason::of_trouble(trouble);
        let verdict = Verdict::failed(Because::new(reason, "words"));
        told(&MachineImageRoom.report(&observed, &verdict, at(0)), reason);
    }
    let mut hidden = super::store(&image("", "", ""));
    hidden.set::<JobRow>(&TableId::of::<JobRow>(), Availability::Forbidden("no".into()));
    assert!(look_in(&hidden, &mut Memory::default(), 0).shown().starts_with("failed: Forbidden"));
}
