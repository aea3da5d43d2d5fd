//! `simulate` and the running controllers agree: the same manifests, and the same releases in the same order, played by the same
//! controllers on a simulated cluster, give the same steps in the same order.

use controlplane::ClassCluster;

use crate::{paths, steps};

/// The releases of [`paths`]; how far they are apart is longer than builds and rolls take.
const SIMULATION: &str = "
apiVersion: sim.kubernetes-upgrader/v1alpha1
kind: Simulation
spec:
  duration: 3d
  releases:
  - {version: v1.36.1, at: 1s}
  - {version: v1.35.1, at: 1d}
";

/// The steps of the simulation of what was applied.
pub(crate) async fn simulated(cluster: &ClassCluster, manifest: &str) -> Vec<String> {
    let files = [
        ("class.yaml", cluster.class_manifest()),
        ("cluster.yaml", cluster.cluster_manifest().to_string()),
        ("paths.yaml", manifest.to_owned()),
        ("simulation.yaml", SIMULATION.to_owned()),
    ];
    let files = files.iter().map(|(name, text)| (*name, text.as_str()));
    let scenario = sim::Scenario::read(files).unwrap();
    // It has a clock of its own, and so a runtime.
    let timeline = tokio::task::spawn_blocking(move || sim::run(&scenario)).await.unwrap().unwrap();
    assert_eq!(timeline.outcomes[0].reason, None, "{timeline}");
    let steps = steps::of_timeline(&timeline);
    assert!(steps.iter().any(|step| step.starts_with("Cluster ")), "{timeline}");
    steps
}

#[tokio::test]
async fn the_simulation_walks_both_hops() {
    let steps = simulated(&paths::cluster(), &paths::manifest("http://127.0.0.1:1/all/deb/Packages")).await;
    assert_eq!(steps, paths::STEPS);
}
