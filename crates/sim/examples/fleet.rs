//! How long a fleet takes to simulate: `cargo run -p sim --example fleet -- [Clusters] [days]`. A version each week.

use std::error::Error;
use std::time::Duration;

use jiff::SignedDuration;
use serde_json::{Value, json};
use sim::{Roll, Scenario, run};

const GROUP: &str = "kubernetesupgraded.dimitrikoshkin.com/v1alpha1";

fn object(kind: &str, name: &str, spec: Value) -> Value {
    let api_version =
        if kind.starts_with("Cluster") && kind.len() < 13 { "cluster.x-k8s.io/v1beta2" } else { GROUP };
    json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": "fleet"}, "spec": spec})
}

fn fleet(clusters: u32, days: u32) -> Result<Scenario, Box<dyn Error>> {
    let mut scenario = Scenario {
        until: Duration::from_secs(u64::from(days) * 86_400),
        roll: Roll::PerCluster(Duration::from_secs(3_600)),
        entries: 10_000,
        ..Scenario::default()
    };
    for week in 0..days.div_ceil(7) {
        let at = scenario.start.checked_add(SignedDuration::from_hours(i64::from(week) * 168 + 24))?;
        scenario.releases.push((at, format!("v1.35.{}", week + 1).into()));
    }
    let image = json!({"name": "image", "schema": {"openAPIV3Schema": {"type": "string"}}});
    scenario.add(object("ClusterClass", "class", json!({"variables": [image]})));
    let url = "https://pkgs.k8s.io/core:/stable:/v1.35/deb/Packages";
    scenario.add(object("DebianRepositorySource", "debian", json!({"url": url})));
    let pod = json!({"containers": [{"name": "build", "image": "builder"}]});
    let template = json!({"template": {"spec": {"jobTemplate": {"spec": pod}}}});
    scenario.add(object("MachineImageTemplate", "template", template));
    let source = json!({"apiVersion": GROUP, "kind": "DebianRepositorySource", "name": "debian"});
    let syncer = json!({"versionRange": "v1.35.x", "sourceRef": source, "machineImageTemplateRef": {"name": "template"}});
    scenario.add(object("MachineImageSyncer", "syncer", syncer));
    scenario.add(object("Plan", "plan", json!({"versionRange": "v1.35.x"})));
    for number in 0..clusters {
        let name = format!("c{number:04}");
        let topology = json!({
            "classRef": {"name": "class"}, "version": "v1.35.0",
            "variables": [{"name": "image", "value": "image-v1.35.0"}],
            "controlPlane": {"replicas": 3},
            "workers": {"machineDeployments": [{"class": "w", "name": "md-0", "replicas": 3}]},
        });
        scenario.add(object("Cluster", &name, json!({"topology": topology})));
        let spec = json!({"clusterName": name, "topologyVariable": "image", "planRef": {"name": "plan"}});
        scenario.add(object("ClusterClassClusterUpgrader", &name, spec));
    }
    Ok(scenario)
}

#[expect(clippy::disallowed_methods, reason = "what is measured is the machine's own time")]
fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |otherwise: u32| arguments.next().map_or(Ok(otherwise), |text| text.parse());
    let (clusters, days) = (number(2_000)?, number(30)?);
    let scenario = fleet(clusters, days)?;
    let begun = std::time::Instant::now();
    let timeline = run(&scenario)?;
    let took = begun.elapsed();
    let done = timeline.outcomes.iter().filter(|outcome| outcome.reason.is_none()).count();
    let lines = timeline.entries.len() as u64 + timeline.left_out;
    println!("{clusters} Clusters, {days} days: {took:.1?}, {done} done, {lines} lines");
    for (request, count) in &timeline.requests {
        println!("{count:>8} {request}");
    }
    Ok(())
}
