//! What users of the original have, on a real control plane with Cluster API: its two example files, objects that its releases
//! wrote, a move to another management cluster, and `kubectl wait`.
//!
//! One control plane and one manager serve all of it, in a namespace each, since an upgrade takes a minute and most of them can
//! run side by side.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod moving;
mod recreated;
mod samples;
mod stored;
mod witness;

use api::capi::cluster;
use controlplane::ClassCluster;
use e2e::{BuildActor, Expected, Installed, PackageRepository, Part, ROLLED_WITHIN, Stopwatch, USER};

use crate::samples::Example;
use crate::witness::Witness;

/// Our writes for 18 images, their Events among them, and three upgrades: 227 were seen.
const WRITES: usize = 280;

/// The ids of the examples.
fn builder() -> Part {
    Part::Annotates("kindest/node:{version}".to_owned())
}

/// A Cluster of a class of its own namespace.
fn cluster(namespace: &str, name: &str, version: &str) -> ClassCluster {
    let (namespace, new) = (namespace.to_owned(), ClassCluster::new(name, version));
    ClassCluster { namespace, worker_replicas: 1, ..new }
}

/// What our ServiceAccount asked for so far, as `verb resource` and namespace, that was not only about a status.
fn effects(world: &Installed, namespace: &str) -> Vec<String> {
    let events = world.plane().audit_events().unwrap();
    let ours = events.into_iter().filter(|event| {
        event.user == USER && event.is_write() && event.namespace == namespace && event.subresource.is_empty()
    });
    ours.filter(|event| event.resource != "events")
        .map(|event| format!("{} {}", event.verb, event.resource))
        .collect()
}

/// How often something is among them.
fn count(effects: &[String], effect: &str) -> usize {
    effects.iter().filter(|found| *found == effect).count()
}

#[tokio::test]
async fn users_of_the_original_change_nothing() {
    let world = Installed::start_with_cluster_api().await.unwrap();
    let builds = BuildActor::start(world.plane(), builder()).await.unwrap();
    let packages = PackageRepository::start().await.unwrap();
    let examples = Example::both(&packages);
    let watch = Stopwatch::start();
    let lap = |what: &str| println!("{:>6.1} s: {what}", watch.elapsed().as_secs_f64());

    let clusters = [
        cluster(examples[0].namespace, samples::CLUSTER, samples::FROM),
        cluster(examples[1].namespace, samples::CLUSTER, samples::FROM),
        cluster(stored::V0_5_0, stored::CLUSTER, stored::NEWEST),
        cluster(stored::V0_6_0, stored::CLUSTER, stored::OLDER),
    ];
    for cluster in &clusters {
        world.plane().create_class_cluster(cluster).await.unwrap();
    }
    stored::write(&world, &packages, &builds).await;
    for cluster in &clusters {
        world.plane().await_cluster_available(cluster, ROLLED_WITHIN).await.unwrap();
    }
    lap("four Clusters are available");

    let manager = world.start_manager().await.unwrap();
    stored::await_adopted(&world).await;
    builds.play(builder());
    lap("what v0.5.0 and v0.6.0 wrote is adopted");

    let witness = Witness::start(&world, examples[0].namespace).await;
    for example in &examples {
        example.apply(&world).await;
    }
    for example in &examples {
        example.await_images(&world).await;
    }
    lap("the examples' images are there");
    for example in &examples {
        example.await_upgraded(&world).await;
    }
    lap("the examples' Clusters are upgraded");
    witness.was_orderly();
    samples::kubectl_waits(&world, examples[0].namespace).await;
    stored::check(&world).await;
    assert_eq!(builds.trouble(), [""; 0]);

    let images = moving::hold(&world, &builds).await;
    let manager = moving::play(&world, manager, &examples[0]).await;
    lap("a move is over");
    assert!(manager.terminate().await.unwrap().success());

    let patches: Vec<_> = clusters
        .iter()
        .map(|cluster| {
            count(&effects(&world, &cluster.namespace), &format!("patch {}", cluster::KIND.plural))
        })
        .collect();
    // The examples may stop at v1.27.2 on their way.
    assert!(
        patches[..2].iter().all(|count| (1..=2).contains(count)) && patches[2..] == [0, 1],
        "{patches:?}"
    );
    let images = images + stored::IMAGES + examples.len() * samples::IMAGES;
    // A move leaves the Jobs behind.
    let jobs = images - stored::WITHOUT_JOB - samples::STATIC_IMAGES;
    let expected = Expected::nothing().machine_images(images).jobs(jobs).writes_at_most(WRITES);
    println!("{:?}", world.finish(expected).await.unwrap());
}
