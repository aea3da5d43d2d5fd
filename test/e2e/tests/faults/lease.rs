//! Two managers and one lease: one acts, the other one is ready and follows; who stops gives it back; who loses it ends.

use std::time::Duration;

use api::upgrader::plan;
use domain::object::Kind;
use e2e::{Expected, Installed, LogLine, NAMESPACE, Objects, WITHIN};
use serde_json::{Value, json};

use crate::given;

const LEASE: Kind = Kind { group: "coordination.k8s.io", versions: &["v1"], kind: "Lease", plural: "leases" };
const NAME: &str = "91e8760d.dimitrikoshkin.com";
/// The promise.
const STOPPED_WITHIN: Duration = Duration::from_secs(5);
/// A holder looks at its lease every 10 s, and gives up at 25 s.
const ENDED_WITHIN: Duration = Duration::from_secs(40);
/// The exit code of a manager that lost it.
const LEASE_LOST: i32 = 3;

async fn held_by(objects: &Objects, holder: &str) {
    let what = format!("{holder} holds the lease");
    let held = |lease: &Value| {
        lease["spec"]["holderIdentity"].as_str().is_some_and(|identity| identity.starts_with(holder))
    };
    objects.await_object(&what, (&LEASE, NAMESPACE, NAME), WITHIN, held).await.unwrap();
}

/// Somebody acts, and decides about a new Plan.
async fn acts(objects: &Objects, name: &str) {
    given::plan(objects, "default", name, "v1.35.x").await;
    let plan = (&plan::KIND, "default", name);
    let decided = ("UpToDate", "False", "NoSuitableMachineImage");
    objects.await_condition(plan, decided, WITHIN).await.unwrap();
}

fn took_steps(log: &[LogLine]) -> bool {
    log.iter().any(|line| line.text.contains("default/"))
}

#[tokio::test]
async fn one_acts_and_the_other_follows_until_it_is_its_turn() {
    let world = Installed::start().await.unwrap();
    let objects = world.objects();
    let first = world.start_manager().await.unwrap();
    held_by(objects, "manager-1").await;
    // Ready although it does not lead: else a rolling update would never end.
    let second = world.start_manager().await.unwrap();
    assert_eq!(second.readiness().await.unwrap().0, 200);
    acts(objects, "of-the-first").await;
    assert!(first.metrics().await.unwrap().contains("leader 1"));
    assert!(second.metrics().await.unwrap().contains("leader 0"));
    assert!(!took_steps(&second.log_lines()), "{}", second.log());

    let status = tokio::time::timeout(STOPPED_WITHIN, first.terminate()).await;
    assert!(status.expect("SIGTERM ends it in time").unwrap().success());
    // Released, so that nobody waits until it runs out.
    held_by(objects, "manager-2").await;
    acts(objects, "of-the-second").await;

    let thief = json!({"spec": {"holderIdentity": "thief"}});
    objects.merge(&LEASE, NAMESPACE, NAME, &thief).await.unwrap();
    let ended = tokio::time::timeout(ENDED_WITHIN, second.ended()).await;
    assert_eq!(ended.expect("who lost the lease ends").unwrap().code(), Some(LEASE_LOST));
    let lease = objects.get(&LEASE, NAMESPACE, NAME).await.unwrap().unwrap();
    assert_eq!(lease["spec"]["holderIdentity"], "thief", "it is not taken back");
    let expected = Expected::nothing().error("the lease was taken by thief").writes_at_most(8);
    eprintln!("{:?}", world.finish(expected).await.unwrap());
}
