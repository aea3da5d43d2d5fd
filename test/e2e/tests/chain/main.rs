//! The whole chain on the real Cluster API: new packages, and Clusters that run their versions. One Cluster takes a patch, another
//! one is two minors behind and walks them; what became of the second is compared with what `simulate` says.
//!
//! One control plane and one manager serve both, in a namespace each: an upgrade mostly waits.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod agree;
mod newest;
mod paths;
mod steps;

use std::time::Duration;

use e2e::{BuildActor, Expected, Installed, Part, USER};

/// Twice what it took when this was written: the finding of a mistake, not a figure.
const WRITES: usize = 200;

/// `kubectl wait`, as users and GitOps tools do it.
async fn wait(world: &Installed, namespace: &str, condition: &str, object: &str, within: Duration) {
    let condition = format!("condition={condition}");
    world.plane().wait_for(&condition, object, namespace, within).await.unwrap();
}

/// The requests of ours to change a Cluster of a namespace, with the answers' codes.
fn patches(world: &Installed, namespace: &str) -> Vec<(String, u16)> {
    let events = world.plane().audit_events().unwrap();
    let ours = events.into_iter().filter(|event| {
        event.user == USER && event.resource == "clusters" && event.namespace == namespace && event.is_write()
    });
    ours.map(|event| (event.verb, event.code)).collect()
}

/// The versions that were built in a namespace, the first one first.
fn built(builds: &BuildActor, namespace: &str) -> Vec<String> {
    let builds = builds.builds().into_iter();
    builds.filter(|build| build.namespace == namespace).map(|build| build.version).collect()
}

#[tokio::test]
async fn new_packages_upgrade_clusters() {
    let world = Installed::start_with_cluster_api().await.unwrap();
    let builds = BuildActor::start(world.plane(), Part::usual()).await.unwrap();
    let manager = world.start_manager().await.unwrap();
    tokio::join!(newest::play(&world, &builds), paths::play(&world, &builds));
    // Told by a ServiceAccount that may do nothing but annotate.
    assert_eq!(builds.trouble(), Vec::<String>::new());
    assert!(manager.terminate().await.unwrap().success());
    let expected = Expected::nothing().machine_images(4).jobs(4).writes_at_most(WRITES);
    println!("{:?}", world.finish(expected).await.unwrap());
}
