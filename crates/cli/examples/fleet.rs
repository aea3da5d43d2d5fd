//! How long `simulate` takes with a fleet, and the most memory that it has: `cargo run --profile release-fast -p cli --example
//! fleet -- [Clusters] [days] [runs]`. One file of manifests; a version each week.
//!
//! Each run is a process of its own that does what the plugin does, from reading the file to writing the timeline.

use std::error::Error;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use cli::Surroundings;

/// That of the plugin.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Tells the child of a run from its parent.
const RUN: &str = "--run";

fn manifests(clusters: u32, days: u32) -> String {
    let group = "kubernetesupgraded.dimitrikoshkin.com/v1alpha1";
    let mut text = format!(
        "apiVersion: sim.kubernetes-upgrader/v1alpha1
kind: Simulation
spec:
  start: 2026-12-01T00:00:00Z
  duration: {days}d
  roll: 1h
  releases:
"
    );
    for week in 0..days.div_ceil(7) {
        let _ = writeln!(text, "  - {{version: v1.35.{}, at: {}d}}", week + 1, week * 7 + 1);
    }
    let _ = write!(
        text,
        "---
apiVersion: cluster.x-k8s.io/v1beta2
kind: ClusterClass
metadata: {{name: class, namespace: fleet}}
spec: {{variables: [{{name: image, required: true, schema: {{openAPIV3Schema: {{type: string}}}}}}]}}
---
apiVersion: {group}
kind: DebianRepositorySource
metadata: {{name: debian, namespace: fleet}}
spec: {{url: 'https://pkgs.k8s.io/core:/stable:/v1.35/deb/Packages'}}
---
apiVersion: {group}
kind: MachineImageTemplate
metadata: {{name: template, namespace: fleet}}
spec: {{template: {{spec: {{jobTemplate: {{spec: {{containers: [{{name: build, image: builder}}]}}}}}}}}}}
---
apiVersion: {group}
kind: MachineImageSyncer
metadata: {{name: syncer, namespace: fleet}}
spec:
  versionRange: v1.35.x
  sourceRef: {{apiVersion: {group}, kind: DebianRepositorySource, name: debian}}
  machineImageTemplateRef: {{name: template}}
---
apiVersion: {group}
kind: Plan
metadata: {{name: plan, namespace: fleet}}
spec: {{versionRange: v1.35.x}}
"
    );
    for number in 0..clusters {
        let _ = write!(
            text,
            "---
apiVersion: cluster.x-k8s.io/v1beta2
kind: Cluster
metadata: {{name: c{number:04}, namespace: fleet}}
spec:
  topology:
    classRef: {{name: class}}
    version: v1.35.0
    variables: [{{name: image, value: image-v1.35.0}}]
    controlPlane: {{replicas: 3}}
    workers: {{machineDeployments: [{{class: w, name: md-0, replicas: 3}}]}}
---
apiVersion: {group}
kind: ClusterClassClusterUpgrader
metadata: {{name: c{number:04}, namespace: fleet}}
spec: {{clusterName: c{number:04}, topologyVariable: image, planRef: {{name: plan}}}}
"
        );
    }
    text
}

/// The most memory that this process had, as Linux tells it.
fn most_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.map_or_else(|| "unknown".to_owned(), |kib| format!("{} MiB", kib / 1_024))
}

/// One run; what it prints for people goes to standard output, which the parent throws away.
#[expect(clippy::disallowed_methods, reason = "what is measured is the machine's own time")]
fn run(file: &Path) -> ExitCode {
    let words = ["kubectl-upgrader", "simulate", "-f"].map(OsString::from);
    let words = words.into_iter().chain([file.as_os_str().to_owned()]);
    let begun = Instant::now();
    let (out, err) = (&mut std::io::stdout().lock(), &mut std::io::stderr().lock());
    let code = cli::run(words, &Surroundings::default(), out, err);
    let (took, memory) = (begun.elapsed(), most_memory());
    let _ = std::io::Write::write_fmt(err, format_args!("{:.2} s, {memory}\n", took.as_secs_f64()));
    code
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1).peekable();
    if arguments.next_if(|first| first == RUN).is_some() {
        return Ok(run(&PathBuf::from(arguments.next().unwrap_or_default())));
    }
    let mut number = |otherwise: u32| match arguments.next() {
        Some(text) => text.to_string_lossy().parse(),
        None => Ok(otherwise),
    };
    let (clusters, days, runs) = (number(2_000)?, number(30)?, number(3)?);
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("fleet.yaml");
    std::fs::write(&file, manifests(clusters, days))?;
    for number in 1..=runs {
        print!("simulate, {clusters} Clusters, {days} days, run {number} of {runs}: ");
        std::io::Write::flush(&mut std::io::stdout())?;
        let mut child = Command::new(std::env::current_exe()?);
        let output = child.arg(RUN).arg(&file).stdout(Stdio::null()).stderr(Stdio::piped()).output()?;
        print!("{}", String::from_utf8_lossy(&output.stderr));
        if !output.status.success() {
            return Err(format!("the simulation ended with {}", output.status).into());
        }
    }
    Ok(ExitCode::SUCCESS)
}
