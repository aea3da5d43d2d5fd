//! `controlplane`: builds and runs a real Kubernetes control plane on this machine, without containers.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use controlplane::node::{self, NodeOptions, SandboxNode};
use controlplane::{Binaries, Binary, ClassCluster, ControlPlane, Error, image};
use tokio::signal::unix::{SignalKind, signal};

#[derive(Parser)]
#[command(about, version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build every binary that is missing in the cache
    Build {
        /// Build kubelet too, which only tests on a real node need: not where this machine cannot run one
        #[arg(long)]
        kubelet: bool,
    },
    /// Write the manager's container image as an OCI layout in a tar file, without a container engine
    Image(ManagerImage),
    /// List the binaries: name, version, whether it is built, path
    List,
    /// Run a control plane until Ctrl-C
    Up(Up),
}

#[derive(clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
struct Up {
    /// Install Cluster API with its in-memory backend
    #[arg(long)]
    cluster_api: bool,
    /// Create a Cluster of this Kubernetes version, such as v1.35.0; implies --cluster-api
    #[arg(long, value_name = "VERSION")]
    cluster: Option<String>,
    /// The node is real: kubelet and containerd in a sandbox that survives its reboots. Needs root
    #[arg(long, conflicts_with = "api_only")]
    sandbox_node: bool,
    /// Only etcd and kube-apiserver: no controllers, no nodes, no pods
    #[arg(long)]
    api_only: bool,
    /// At the end, print how often each user asked for what
    #[arg(long)]
    audit: bool,
}

#[derive(clap::Args)]
struct ManagerImage {
    /// The manager's executable; if it is not static, this machine's libraries that it needs go with it
    #[arg(long, value_name = "FILE")]
    binary: PathBuf,
    /// The image's complete name, such as example.com/kubernetes-upgrader:v1
    #[arg(long)]
    name: String,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("controlplane: {error}");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(async {
        match Arguments::parse().command {
            Command::Build { kubelet } => build(kubelet),
            Command::Image(image) => write_image(&image),
            Command::List => list(),
            Command::Up(up) => run(up).await,
        }
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("controlplane: {error}");
            ExitCode::FAILURE
        }
    }
}

fn everything() -> Vec<Binary> {
    Binary::KUBERNETES.into_iter().chain(Binary::CLUSTER_API).collect()
}

fn build(kubelet: bool) -> Result<(), Error> {
    let mut wanted = everything();
    if kubelet {
        match node::missing() {
            None => wanted.push(Binary::Kubelet),
            Some(missing) => {
                eprintln!("controlplane: kubelet is not built, tests on a real node are skipped: {missing}")
            }
        }
    }
    Binaries::ensure(&wanted)?;
    list()
}

fn write_image(wanted: &ManagerImage) -> Result<(), Error> {
    let image = image::manager(&wanted.name, &wanted.binary)?.compressed();
    println!("{} {} {}", wanted.out.display(), image.name(), image.write(&wanted.out)?);
    Ok(())
}

fn list() -> Result<(), Error> {
    let mut all = everything();
    all.push(Binary::Kubelet);
    let located = Binaries::locate(&all)?;
    for binary in all {
        if let Some(path) = located.path(binary) {
            let state = if path.is_file() { "built" } else { "missing" };
            println!("{:<45} {:<8} {state:<8} {}", binary.name(), binary.version(), path.display());
        }
    }
    Ok(())
}

async fn run(up: Up) -> Result<(), Error> {
    let at = |path: &str| {
        let path = path.to_owned();
        move |source| Error::File { path: path.into(), source }
    };
    let mut interrupt = signal(SignalKind::interrupt()).map_err(at("SIGINT"))?;
    let mut terminate = signal(SignalKind::terminate()).map_err(at("SIGTERM"))?;
    let mut hangup = signal(SignalKind::hangup()).map_err(at("SIGHUP"))?;
    let work = serve(&up);
    // A signal drops the work wherever it is, and with it the control plane.
    tokio::select! {
        biased;
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
        _ = hangup.recv() => Ok(()),
        outcome = work => outcome,
    }
}

async fn serve(up: &Up) -> Result<(), Error> {
    let mut builder = ControlPlane::builder();
    if up.sandbox_node {
        builder = builder.controller_manager().scheduler();
    } else if !up.api_only {
        builder = builder.workloads();
    }
    if up.cluster_api || up.cluster.is_some() {
        builder = builder.cluster_api();
    }
    let mut control_plane = AuditedControlPlane { inner: builder.start().await?, audit: up.audit };
    let plane = &mut control_plane.inner;
    // Ends before the control plane.
    let node = match (up.sandbox_node, up.api_only) {
        (true, _) => Some(SandboxNode::start(plane, "worker", NodeOptions::default()).await?),
        (false, true) => None,
        (false, false) => {
            plane.create_node("worker", &[]).await?;
            None
        }
    };
    tell(&format!("export KUBECONFIG={}", plane.kubeconfig_path().display()));
    tell(&format!("# kubectl: {}", plane.kubectl().display()));
    tell(&format!(
        "# logs: {}/logs, audit log: {}",
        plane.folder().display(),
        plane.audit_log_path().display()
    ));
    if let Some(node) = &node {
        tell(&format!("# node's logs: {}/logs", node.folder().display()));
    }
    if let Some(version) = &up.cluster {
        let cluster = ClassCluster::new("demo", version);
        plane.create_class_cluster(&cluster).await?;
        tell(&format!("# cluster {}/{} at {version}", cluster.namespace, cluster.name));
    }
    eprintln!("controlplane: ready; Ctrl-C ends it");
    loop {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        plane.check_alive()?;
    }
}

/// Prints a line for whoever still reads: a pipe that is closed after the first line must not end the control plane.
fn tell(line: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Prints the audit log's sums before it goes with the rest.
struct AuditedControlPlane {
    inner: ControlPlane,
    audit: bool,
}

impl Drop for AuditedControlPlane {
    fn drop(&mut self) {
        if !self.audit {
            return;
        }
        let mut counts: BTreeMap<(String, String, String), usize> = BTreeMap::new();
        for event in self.inner.audit_events().unwrap_or_default() {
            *counts.entry((event.user, event.verb, event.resource)).or_default() += 1;
        }
        for ((user, verb, resource), count) in counts {
            println!("{count:>7} {user} {verb} {resource}");
        }
    }
}
