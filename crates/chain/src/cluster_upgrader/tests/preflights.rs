//! What a person is told before anything is written.

use domain::version::KubernetesVersion;
use testkit::at;

use super::*;

fn ask(world: &mut World, to: Option<&str>) -> Preflight {
    let store = world.store();
    let snapshot = store.snapshot();
    let upgrader = snapshot.get::<UpgraderRow>(&ObjectKey::new("ns", "up")).unwrap();
    let to = to.map(|to| to.parse::<KubernetesVersion>().unwrap());
    preflight(snapshot, upgrader, to.as_ref(), at(0), Policy::default())
}

fn listed(preflight: &Preflight) -> String {
    let line = |condition: &Condition| {
        let outcome = match &condition.outcome {
            Outcome::Passed => "passed".to_owned(),
            Outcome::NotLookedAt => "not looked at".to_owned(),
            Outcome::NotPassed(because) => format!("{:?}: {because}", because.reason),
        };
        format!("{} - {}\n  {outcome}\n", condition.name, condition.sentence)
    };
    let write = preflight.write.as_ref().map(|write| {
        let patch: Vec<String> = write.patch.iter().map(Value::to_string).collect();
        format!("{} in {}\n{}", write.version, write.api_version, patch.join("\n"))
    });
    let conditions: String = preflight.conditions.iter().map(line).collect();
    format!("{conditions}\n{}", write.unwrap_or_else(|| "nothing is to be written".to_owned()))
}

#[test]
fn every_condition_is_told_of_a_cluster_that_may_move() {
    insta::assert_snapshot!("may_move", listed(&ask(&mut World::new(), None)));
}

/// Not only the first that has not passed; and the patch is told all the same, for the server to judge.
#[test]
fn every_condition_is_told_of_a_cluster_that_may_not() {
    let overrides = json!({"overrides": [{"name": "image", "value": "x"}]});
    let mut world = World::new()
        .with("ClusterClassClusterUpgrader", "spec.paused", json!(true))
        .with("Cluster", "spec.topology.controlPlane.variables", overrides)
        .with("ClusterClass", "metadata.generation", json!(4))
        .topology("False", "ClusterUpgrading", "moving")
        .without("MachineImage");
    insta::assert_snapshot!("may_not_move", listed(&ask(&mut world, None)));
    let mut world = World::new().without("Cluster").without("Plan");
    insta::assert_snapshot!("nothing_there", listed(&ask(&mut world, None)));
}

/// A version that is asked for is gone to by the images of the plan, hop by hop.
#[test]
fn another_version_may_be_asked_for() {
    let mut world = World::new().image("v1.37.1").image("v1.37.4").image("v1.38.0");
    world.set("Plan", "spec.versionRange", json!(">=1.36.0"));
    let to = |world: &mut World, to: &str| {
        let told = ask(world, Some(to));
        let wrong = told.conditions.iter().find_map(|condition| match &condition.outcome {
            Outcome::NotPassed(because) => Some(because.to_string()),
            _ => None,
        });
        (told.write.map(|write| write.machine_image.name.to_string()), wrong)
    };
    assert_eq!(to(&mut world, "v1.37.1"), (Some("img-v1.37.1".to_owned()), None));
    assert_eq!(to(&mut world, "v1.38.0"), (Some("img-v1.37.4".to_owned()), None));
    let missing = "the Plan has no machine image of v1.37.2 (Plan ns/plan); have a machine image of v1.37.2 made that the \
                   Plan selects";
    assert_eq!(to(&mut world, "v1.37.2"), (None, Some(missing.to_owned())));
    let down = "the Cluster is at v1.36.2, and what is asked for at v1.36.1: a downgrade is never asked for (Cluster \
                ns/c); ask for a newer version";
    assert_eq!(to(&mut world, "v1.36.1"), (None, Some(down.to_owned())));
    assert_eq!(to(&mut world, "v1.36.2"), (None, None));
}

/// There is one list: whatever is wrong, the decision is the first condition that has not passed.
#[test]
fn the_decision_is_the_first_condition_that_has_not_passed() {
    for (what, reason, mut world) in gates::cases() {
        let observed = world.observe();
        let list = conditions(&observed, at(world.now), world.room.policy);
        let verdict = world.room.decide(&observed, at(world.now));
        let first = list.iter().find_map(|condition| match &condition.outcome {
            Outcome::NotPassed(because) => Some(because.clone()),
            _ => None,
        });
        // Where a live read comes first, the list cannot tell yet.
        if verdict.steps.is_empty() {
            assert_eq!(first.as_ref(), verdict.then.because(), "{what}");
        } else {
            assert_eq!((first, what), (None, what));
        }
        let names: Vec<&str> = list.iter().map(|condition| condition.name).collect();
        let unique: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!((names.len(), unique.len()), (24, 24), "{reason:?}");
    }
}
