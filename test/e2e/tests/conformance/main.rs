//! The simulated API server is held to the real one: the same scripts of requests run against both, and the answers agree.
//!
//! What is compared, and what two servers can never have in common, is in `normal.rs`. `docs/proof.md` lists what is covered.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where it cannot go on")]

mod difference;
mod fixtures;
mod kinds;
mod normal;
mod play;
mod script;
mod stream;
mod unsupported;

use std::time::Duration;

use controlplane::{Binary, ControlPlane};
use futures::future::join_all;
use sim::ApiServer;

use crate::difference::difference;
use crate::script::Script;

/// The start of the control plane, and then all scripts at once.
const WITHIN: Duration = Duration::from_secs(120);

/// The answers of the simulated server to a script, on a clock of its own; and what it was asked and does not do.
fn simulated(name: &str, script: &Script) -> (String, Option<String>) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let server = if script.nodes { ApiServer::of_nodes(&[]) } else { ApiServer::start(&[]) };
        let answers = play::play(&server.client(), name, script).await;
        (answers, server.unsupported())
    })
}

#[test]
fn every_script_is_simulated() {
    let mut not = Vec::new();
    for (name, script) in script::all() {
        let (answers, unsupported) = simulated(&name, &script);
        println!("== {name}\n{answers}");
        not.extend(unsupported.map(|what| format!("{name}: {what}")));
    }
    assert_eq!(not, Vec::<String>::new());
}

#[tokio::test]
async fn both_servers_answer_alike() {
    let plane = tokio::time::timeout(WITHIN, start()).await.unwrap();
    let client = plane.client().await.unwrap();
    play::await_lists(&client).await;
    let scripts = script::all();
    let played = scripts.iter().map(async |(name, script)| {
        play::create_namespace(&client, name).await;
        play::play(&client, name, script).await
    });
    let real = tokio::time::timeout(WITHIN, join_all(played)).await.unwrap();
    // On a thread of its own, because it makes runtimes.
    let wrong = tokio::task::spawn_blocking(move || {
        let pairs = scripts.iter().zip(real);
        pairs
            .filter_map(|((name, script), real)| difference(name, &real, &simulated(name, script).0))
            .collect::<Vec<String>>()
    });
    let wrong = wrong.await.unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A control plane with every kind that is asked for, and of all controllers the garbage collector. Compaction makes it forget
/// within seconds what a real one forgets within minutes.
async fn start() -> ControlPlane {
    let mut plane = ControlPlane::builder()
        .controller_manager()
        .flags(Binary::KubeApiserver, ["--etcd-compaction-interval=8s"])
        // Its readiness is that it has made a ServiceAccount.
        .flags(
            Binary::KubeControllerManager,
            ["--controllers=garbage-collector-controller,serviceaccount-controller"],
        )
        .start()
        .await
        .unwrap();
    e2e::install_crds(&plane).await.unwrap();
    plane.install_cluster_api_crds().await.unwrap();
    plane
}
