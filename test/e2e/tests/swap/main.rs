//! The swap: the original's install is there, with its objects, its webhooks and its lease held; then ours is applied over it.
//! Nothing is refused, nothing acts twice, and the webhooks that it leaves behind are emptied, or reported until they are.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod chain;
mod held_lease;
mod left_over;
mod original_install;

use std::time::Duration;

use e2e::{BuildActor, Expected, Installed, NAMESPACE, PackageRepository, Part, USER, WITHIN, repository};
use serde_json::Value;

use crate::held_lease::HeldLease;
use crate::original_install::Way;

/// What the original's record says, in seconds: nobody may act before it has run out since its last change.
const RECORD: Duration = Duration::from_secs(15);
/// Our writes for one version on its way from the repository to the plan, Events among them: 20, and 24 where the first ones are
/// refused.
const WRITES: usize = 30;

/// Fills the control plane with the original, and gives what plays beside it.
async fn original(way: Way) -> (controlplane::ControlPlane, PackageRepository, BuildActor) {
    let plane = Installed::control_plane().start().await.unwrap();
    plane.create_node("worker", &[]).await.unwrap();
    let packages = PackageRepository::start().await.unwrap();
    let builds = BuildActor::start(&plane, Part::usual()).await.unwrap();
    original_install::definitions(&plane, way).await;
    chain::write(&plane, &packages).await;
    original_install::install(&plane, way).await;
    let refused = plane.apply_yaml(chain::ANOTHER_IMAGE).await.unwrap_err().to_string();
    assert!(refused.contains("failed calling webhook \"mmachineimage.kb.io\""), "{refused}");
    (plane, packages, builds)
}

/// What of the original's install must look like ours now.
async fn check_install(world: &Installed, webhooks: usize) {
    let plane = world.plane();
    let timeout = format!("--timeout={}s", WITHIN.as_secs());
    let deployment = "deployment/kubernetes-upgrader-controller-manager";
    plane.run_kubectl(&["rollout", "status", deployment, "-n", NAMESPACE, &timeout]).await.unwrap();
    let shown = plane.run_kubectl(&["get", deployment, "-n", NAMESPACE, "-o", "json"]).await.unwrap();
    let spec = &serde_json::from_str::<Value>(&shown).unwrap()["spec"];
    assert_eq!(spec["selector"]["matchLabels"], serde_json::json!({"control-plane": "controller-manager"}));
    let manager = original_install::container(spec, "manager");
    assert_eq!(manager["args"][0], "--leader-elect");
    assert_eq!(original_install::webhooks(plane).await.len(), webhooks);
    let path = "jsonpath={.spec.conversion}";
    let conversion = plane.run_kubectl(&["get", original_install::DEFINITION, "-o", path]).await.unwrap();
    assert_eq!(conversion, r#"{"strategy":"None"}"#);
    if webhooks == 0 {
        let containers = spec["template"]["spec"]["containers"].as_array().unwrap();
        assert_eq!(containers.len(), 1, "the retired sidecar is gone");
        assert!(spec["template"]["spec"]["volumes"].is_null(), "so is the volume of its certificate");
    }
}

#[tokio::test]
async fn it_acts_only_once_the_lease_of_the_original_ran_out() {
    let (plane, packages, builds) = original(Way::Apply).await;
    let lease = HeldLease::take(&plane, RECORD).await;

    // As on the first installation: node, `kubectl apply -k config/default`, Deployment available.
    let world = Installed::on(plane).await.unwrap();
    check_install(&world, 0).await;
    packages.publish(chain::FOLDER, "1.27.6-1.1");

    // Ready, since a rolling update over a held lease would never end otherwise.
    let manager = world.start_manager().await.unwrap();
    lease.await_renewals(3).await;
    assert_eq!(world.requests().unwrap().writes, 0, "the original acts");
    assert!(manager.log().contains("Waiting for the lease that another process holds"));
    lease.abandon();

    chain::await_newest(&world, "v1.27.6").await;
    assert_eq!(builds.builds().len(), 1, "{:?}", builds.trouble());
    assert!(manager.terminate().await.unwrap().success());

    let events = world.plane().audit_events().unwrap();
    let of_lease = |by_us: bool| {
        let writes = events.iter().filter(|event| event.resource == "leases" && event.is_write());
        writes.filter(move |event| {
            event.code < 300 && (event.user == USER) == by_us && event.name == held_lease::NAME
        })
    };
    let (last, taken) = (of_lease(false).next_back().unwrap(), of_lease(true).next().unwrap());
    let waited = held_lease::seconds_between(&last.received, &taken.received);
    assert!(waited >= RECORD.as_secs_f64(), "taken {waited} s after {} at {}", last.received, taken.received);
    let ours = events.iter().filter(|event| event.user == USER && event.is_write());
    let early: Vec<_> =
        ours.filter(|event| event.received < taken.received && event.resource != "leases").collect();
    assert!(early.is_empty(), "{early:#?}");

    // One image of each version, and no Job for the one that the original had built.
    world.finish(Expected::nothing().machine_images(2).jobs(1).writes_at_most(WRITES)).await.unwrap();
}

#[tokio::test]
async fn a_server_side_install_is_replaced_by_a_server_side_one() {
    let (plane, packages, builds) = original(Way::ServerSide).await;
    let folder = repository().join("config/default");
    let apply = ["apply", "--server-side", "-k", folder.to_str().unwrap()];
    // What cert-manager wrote into a CRD is not ours to take away; our page says so, with this command.
    let refused = plane.run_kubectl(&apply).await.unwrap_err().to_string();
    assert!(refused.contains("spec.conversion.webhookClientConfig: Forbidden"), "{refused}");
    let patch = r#"{"spec":{"conversion":{"strategy":"None","webhook":null}}}"#;
    let patch = format!("--patch={patch}");
    plane.run_kubectl(&["patch", original_install::DEFINITION, "--type=merge", &patch]).await.unwrap();
    plane.run_kubectl(&apply).await.unwrap();
    let world = Installed::applied(plane).await.unwrap();
    check_install(&world, 0).await;

    packages.publish(chain::FOLDER, "1.27.6-1.1");
    let manager = world.start_manager_with(&[]).await.unwrap();
    chain::await_newest(&world, "v1.27.6").await;
    assert_eq!(builds.builds().len(), 1, "{:?}", builds.trouble());
    assert!(manager.terminate().await.unwrap().success());
    world.finish(Expected::nothing().machine_images(2).jobs(1).writes_at_most(WRITES)).await.unwrap();
}

#[tokio::test]
async fn webhooks_that_a_server_side_install_leaves_are_reported() {
    left_over::is_reported(Way::ServerSide).await;
}

#[tokio::test]
async fn webhooks_that_a_created_install_leaves_are_reported() {
    left_over::is_reported(Way::Create).await;
}
