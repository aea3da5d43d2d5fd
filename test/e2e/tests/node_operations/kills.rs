//! `kill -9` at moments that nobody chose: at the end every node is done once and none is left cordoned.

use std::env;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

use api::kairos::node_op;
use e2e::{Expected, Installed};
use serde_json::json;

use crate::witness::{self, Cordons, NAMESPACE};

const NODES: usize = 120;
/// More with `KILLS`.
const KILLS: u64 = 30;

#[tokio::test]
async fn killed_at_any_moment_nothing_is_run_twice() {
    let number = |name: &str| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let mut seed = number("SEED").unwrap_or_else(|| RandomState::new().build_hasher().finish()) | 1;
    let wanted = number("KILLS").unwrap_or(KILLS);
    eprintln!("SEED={seed} KILLS={wanted}");
    let nodes = NODES.max(usize::try_from(wanted).unwrap() * 4);
    let world = Installed::start_nodes().await.unwrap();
    witness::nodes(&world, "kills", nodes, 2).await;
    let spec = json!({"command": ["true"], "cordon": true, "concurrency": 4});
    let cordons = Cordons::watch(&world);
    witness::operation(&world, "kills", "kills", &spec).await;
    let mut kills = 0;
    let flags = ["--controllers=nodeop"];
    while kills < wanted {
        let manager = world.start_manager_with(&flags).await.unwrap();
        // xorshift64
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        tokio::time::sleep(Duration::from_millis(seed % 900)).await;
        manager.kill9().await.unwrap();
        kills += 1;
        let op = world.objects().get(&node_op::KIND, NAMESPACE, "kills").await.unwrap().unwrap();
        if op["status"]["finishedAt"].is_string() {
            break;
        }
    }
    let manager = world.start_manager_with(&flags).await.unwrap();
    let op = witness::ended(world.objects(), "kills").await;
    assert_eq!(op["status"]["phase"], "Completed", "{op}");
    let events = world.plane().audit_events().unwrap();
    let user = world.product().user;
    let most = cordons.most();
    eprintln!("{kills} kills, at most {most} cordoned at a time");
    assert!(most <= 4, "{most} cordoned at a time");
    // A Job whose process died before it had the answer is in no line with a 201; and none is ever deleted to be made again.
    assert!(witness::jobs_made(&events, user) <= nodes, "{}", witness::jobs_made(&events, user));
    assert!(!events.iter().any(|event| event.resource == "jobs" && event.verb == "delete"));
    let pods = world.objects().list(&api::nodes::pod::KIND, NAMESPACE).await.unwrap();
    let mut on: Vec<&str> = pods.iter().filter_map(|pod| pod["spec"]["nodeName"].as_str()).collect();
    on.sort_unstable();
    assert!(on.windows(2).all(|pair| pair[0] != pair[1]), "a node has two pods: {on:?}");
    assert_eq!(on.len(), nodes, "a pod for each node");
    assert_eq!(witness::cordoned(world.objects()).await, Vec::<String>::new());
    manager.terminate().await.unwrap();
    let expected = Expected::nothing().jobs(nodes).writes_at_most(usize::MAX);
    world.finish(expected).await.unwrap();
}
