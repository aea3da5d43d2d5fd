//! No reason is out of reach, and each is told.

use domain::verdict::{Because, Reason as _, Trouble};

use super::*;

const FOREIGN: &str = "---\nkind: NodeOp\nmetadata: {name: up}\nspec: {command: [a]}\n";

/// What leads to a reason; nothing where it is the engine's to give, or the store's.
fn example(reason: Reason) -> Option<String> {
    Some(match reason {
        Reason::InvalidSelector => {
            upgrade(", nodeSelector: {matchExpressions: [{key: a, operator: Has}]}", "{}")
        }
        Reason::CreatingNodeOp => upgrade("", "{}"),
        Reason::NodeOpNameTaken => upgrade("", "{}") + FOREIGN,
        Reason::NodeOpDeleting => {
            upgrade("", "{}") + &own(", deletionTimestamp: '2026-11-21T10:00:00Z'", "{}")
        }
        Reason::NodeOpInProgress => upgrade("", "{}") + &own("", "{phase: Running}"),
        Reason::NodeOpFailed => upgrade("", "{}") + &own("", "{phase: Failed}"),
        Reason::ImageNotApplied => upgrade("", "{}").replace("os:v2", "os:v3") + &own("", COMPLETED),
        Reason::Deleting => {
            upgrade("", "{}").replace("name: up", "name: up, deletionTimestamp: '2026-11-21T10:00:00Z'")
        }
        Reason::Malformed => upgrade(", concurrency: -1", "{}"),
        Reason::Forbidden
        | Reason::WriteRefused
        | Reason::ForeignWebhook
        | Reason::ApiUnavailable
        | Reason::DryRun
        | Reason::InternalError => return None,
    })
}

fn told(report: &Report, reason: Reason) {
    let status = report.status.as_ref().unwrap_or_else(|| panic!("{reason:?} is not told"));
    assert_eq!(status["conditions"][0]["reason"], reason.name());
    assert_eq!(status["waiting"]["reason"], reason.name());
}

#[test]
fn every_reason_is_reached_and_told() {
    for reason in Reason::ALL.iter().copied() {
        let Some(yaml) = example(reason) else { continue };
        let looked = look(&yaml);
        let because = looked.verdict.then.because().unwrap_or_else(|| panic!("{reason:?}: done"));
        assert_eq!(because.reason, reason, "{}", looked.shown());
        told(&looked.report, reason);
    }
}

/// What any request can meet; the engine has the words.
#[test]
fn every_trouble_is_told() {
    use Trouble::{
        ApiUnavailable, DryRun, Forbidden, ForeignWebhook, InternalError, Malformed, WriteRefused,
    };
    let store = store(&upgrade("", "{}"));
    let row = store.snapshot().get::<NodeOpUpgradeRow>(&ObjectKey::new("ns", "up")).unwrap();
    for trouble in [Forbidden, WriteRefused, ForeignWebhook, ApiUnavailable, DryRun, InternalError, Malformed]
    {
        let recall = Recall { memory: &mut (), shared: &mut () };
        let observed = UpgradeRoom.observe(store.snapshot(), row, recall, at(0));
        let reason = Reason::of_trouble(trouble);
        let verdict = Verdict::failed(Because::new(reason, "words"));
        told(&UpgradeRoom.report(&observed, &verdict, at(0)), reason);
    }
}

#[test]
fn node_ops_that_cannot_be_seen_are_not_made() {
    for (availability, shown) in [
        (Availability::Forbidden("no".into()), "failed: Forbidden - cannot see NodeOps: no"),
        (
            Availability::NotInstalled,
            "failed: ApiUnavailable - the server has no NodeOps; install the CRD of NodeOp",
        ),
    ] {
        let mut hidden = store(&upgrade("", "{}"));
        hidden.set::<NodeOpRow>(&TableId::of::<NodeOpRow>(), availability);
        assert_eq!(look_in(&hidden, 0).shown(), shown);
    }
}
