//! 200 nodes, ten at a time: never more than ten in flight, control-plane nodes first, and what it costs.

use e2e::{Expected, Installed, Stopwatch};
use serde_json::json;

use crate::witness::{self, Course};

const NODES: usize = 200;
const CONTROL_PLANES: usize = 5;
const CONCURRENCY: usize = 10;

#[tokio::test]
async fn two_hundred_nodes_ten_at_a_time() {
    let world = Installed::start_nodes().await.unwrap();
    witness::nodes(&world, "big", NODES, CONTROL_PLANES).await;
    let manager = world.start_manager_with(&["--controllers=nodeop,nodeopupgrade"]).await.unwrap();
    let before = world.requests().unwrap();
    let begun = Stopwatch::start();
    let spec = json!({"command": ["true"], "cordon": true, "concurrency": CONCURRENCY});
    witness::operation(&world, "big", "big", &spec).await;
    let op = witness::ended(world.objects(), "big").await;
    let took = begun.elapsed();
    let events = world.plane().audit_events().unwrap();
    let requests = world.requests().unwrap();

    assert_eq!(op["status"]["phase"], "Completed");
    assert_eq!(op["status"]["counts"]["completed"], NODES);
    let user = world.product().user;
    let course = Course::of(&events, user);
    assert_eq!(course.most, CONCURRENCY, "cordoned at a time");
    assert_eq!(course.order.len(), NODES);
    let (first, rest) = course.order.split_at(CONTROL_PLANES);
    assert!(first.iter().all(|node| node.contains("z-cp")), "control-plane nodes first: {first:?}");
    assert!(rest.iter().all(|node| node.contains("worker")));
    assert!(course.writes.values().all(|writes| writes.len() == 2), "{:?}", course.writes);
    assert_eq!(witness::jobs_made(&events, user), NODES);
    assert_eq!(witness::cordoned(world.objects()).await, Vec::<String>::new());

    // Events apart, and what a start costs.
    let own = |requests: &e2e::Requests| {
        let counts = requests.counts.iter().filter(|(what, _)| !what.contains("events"));
        counts.map(|(_, count)| *count).sum::<usize>()
    };
    let spent = own(&requests) - own(&before);
    let memory = manager.memory().unwrap();
    eprintln!(
        "{NODES} nodes, {CONCURRENCY} at a time: {:.1} s, {} requests, {:.2} s of processors, peak {} KiB\n{:?}",
        took.as_secs_f64(),
        spent,
        manager.cpu().unwrap().as_secs_f64(),
        memory.peak,
        requests.counts,
    );
    assert!(spent <= 5 * NODES, "{spent} requests: {:?}", requests.counts);
    let conflicts = events.iter().filter(|event| event.user == user && event.code == 409).count();
    eprintln!("{conflicts} conflicts");
    manager.terminate().await.unwrap();
    world.finish(Expected::nothing().jobs(NODES).writes_at_most(6 * NODES)).await.unwrap();
}
