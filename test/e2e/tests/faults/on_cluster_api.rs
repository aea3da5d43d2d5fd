//! One control plane with Cluster API for both scenarios that need it: a machine has room for one at a time. Each scenario has a
//! namespace and a manager of its own, which watches that namespace only.

use e2e::{BuildActor, Expected, Installed, Part};

use super::{kills, refusals};

#[tokio::test]
async fn killed_or_refused_each_cluster_is_written_to_once_for_each_hop() {
    let world = Installed::start_with_cluster_api().await.unwrap();
    let builds = BuildActor::start(world.plane(), Part::Hangs).await.unwrap();
    let (killed, ()) = tokio::join!(kills::play(&world, &builds), refusals::play(&world));
    assert_eq!(builds.trouble(), Vec::<String>::new());
    // Each start writes what the one before it did not get to, and may find a status of Cluster API that is a little newer.
    let writes = 60 + 10 * killed;
    let expected = Expected::nothing().machine_images(6).jobs(2).writes_at_most(writes);
    eprintln!("{:?}", world.finish(expected).await.unwrap());
}
