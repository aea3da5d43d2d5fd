//! A real node: Ready, runs pods, reboots for real and comes back, and leaves nothing on the machine.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use controlplane::image::{self, busybox};
use controlplane::node::{self, NodeOptions, SandboxNode};
use controlplane::{ControlPlane, Error};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

const NODE: &str = "worker";
const TOOLS: &str = "example.com/tools:test";
const MANAGER: &str = "example.com/manager:test";
const DONE_WITHIN: Duration = Duration::from_secs(90);
const GONE_WITHIN: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(50);

/// A pod of the tools that runs a line of shell on the node once.
fn pod(name: &str, script: &str, more: Value) -> String {
    let mut spec = json!({
        "nodeName": NODE,
        "restartPolicy": "Never",
        "containers": [{
            "name": "main", "image": TOOLS, "imagePullPolicy": "IfNotPresent", "command": ["/bin/sh", "-c", script],
            "terminationMessagePolicy": "FallbackToLogsOnError",
        }],
    });
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name, "namespace": "default" }, "spec": spec })
        .to_string()
}

/// A Job with the node's disk at /host, privileged, in the node's PID namespace.
fn host_job(name: &str, script: &str) -> String {
    json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": name, "namespace": "default" },
        "spec": { "backoffLimit": 3, "template": { "spec": {
            "nodeName": NODE, "restartPolicy": "Never", "hostPID": true,
            "containers": [{
                "name": "main", "image": TOOLS, "imagePullPolicy": "IfNotPresent",
                "command": ["/bin/sh", "-c", script], "securityContext": { "privileged": true },
                "volumeMounts": [{ "name": "host", "mountPath": "/host" }],
            }],
            "volumes": [{ "name": "host", "hostPath": { "path": "/" } }],
        } } },
    })
    .to_string()
}

/// What this machine has that a node could leave behind: processes with its folder in their command line, mounts, control groups, and
/// network interfaces.
fn traces(folder: &Path, groups: &[PathBuf]) -> Vec<String> {
    let folder = folder.to_str().unwrap();
    let of_process = |entry: fs::DirEntry| {
        let words = fs::read(entry.path().join("cmdline")).ok()?;
        let words = String::from_utf8_lossy(&words).replace('\0', " ");
        words.contains(folder).then(|| format!("process {}: {words}", entry.path().display()))
    };
    let mut found: Vec<String> = fs::read_dir("/proc").unwrap().flatten().filter_map(of_process).collect();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    found.extend(mounts.lines().filter(|line| line.contains(folder)).map(|line| format!("mount {line}")));
    found.extend(
        groups.iter().filter(|group| group.exists()).map(|group| format!("group {}", group.display())),
    );
    found.extend(
        ["cni0"]
            .into_iter()
            .filter(|link| Path::new("/sys/class/net").join(link).exists())
            .map(str::to_owned),
    );
    // Where it is not kept for somebody to look at.
    if std::env::var_os("KEEP").is_none() && Path::new(folder).exists() {
        found.push(format!("folder {folder}"));
    }
    found
}

async fn node_field(cluster: &ControlPlane, path: &str) -> String {
    cluster.run_kubectl(&["get", "node", NODE, "-o", &format!("jsonpath={path}")]).await.unwrap()
}

fn holds(outcome: controlplane::Result<()>, node: &SandboxNode) {
    let error = outcome.err().map(|error| error.to_string());
    assert!(error.is_none(), "{}\n{}", error.unwrap_or_default(), node.logs());
}

/// Awaits the end of a pod, and shows the node's logs if it does not come.
async fn await_phase(cluster: &ControlPlane, node: &SandboxNode, pod: &str, phase: &str) {
    let wanted = format!("jsonpath={{.status.phase}}={phase}");
    holds(cluster.wait_for(&wanted, &format!("pods/{pod}"), "default", DONE_WITHIN).await, node);
}

async fn termination_message(cluster: &ControlPlane, pod: &str) -> String {
    let path = "jsonpath={.status.containerStatuses[0].state.terminated.message}";
    cluster.run_kubectl(&["get", "pod", pod, "-o", path]).await.unwrap()
}

#[tokio::test]
async fn a_node_reboots_comes_back_and_leaves_nothing() {
    if node::skipped("a_node_reboots_comes_back_and_leaves_nothing") {
        return;
    }
    let cluster = ControlPlane::builder().controller_manager().scheduler().start().await.unwrap();
    let options = NodeOptions::default()
        .off_for(Duration::from_millis(500))
        .label("node-role.kubernetes.io/control-plane", "")
        .file("/etc/kairos-release", 0o644, busybox::release("v3.4.0"));
    let mut node = SandboxNode::start(&cluster, NODE, options).await.unwrap();
    let before = node.await_ready(1).await.unwrap();
    let folder = node.folder().to_path_buf();
    let groups = node.control_groups().to_vec();
    assert!(!traces(&folder, &groups).is_empty(), "the node's traces are looked for in the wrong places");
    assert_eq!(node_field(&cluster, "{.status.nodeInfo.bootID}").await, before);
    let machine = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    assert_ne!(before, machine.trim());
    assert!(
        node_field(&cluster, "{.metadata.labels}").await.contains("node-role.kubernetes.io/control-plane")
    );

    let archive = cluster.folder().join("tools.tar");
    busybox::tools(TOOLS, &busybox::find().unwrap()).unwrap().write(&archive).unwrap();
    node.import_image(&archive).await.unwrap();

    a_pod_reaches_the_api_server(&cluster, &node).await;
    the_managers_image_runs_as_nobody(&cluster, &mut node).await;
    a_job_that_reboots_runs_again_in_the_next_boot(&cluster, &mut node, &before).await;
    a_power_cut_is_survived(&cluster, &mut node).await;

    node.stop().await;
    assert_eq!(traces(&folder, &groups), Vec::<String>::new());
    cluster.stop().await;
}

/// By the Service's address, from a network of its own and from the node's.
async fn a_pod_reaches_the_api_server(cluster: &ControlPlane, node: &SandboxNode) {
    let script = "nc -w 5 $KUBERNETES_SERVICE_HOST $KUBERNETES_SERVICE_PORT </dev/null && \
                  ls /sys/class/net | tr '\\n' ' ' >/dev/termination-log";
    cluster.apply_yaml(&pod("bridged", script, json!({}))).await.unwrap();
    cluster.apply_yaml(&pod("on-host-network", script, json!({ "hostNetwork": true }))).await.unwrap();
    await_phase(cluster, node, "bridged", "Succeeded").await;
    await_phase(cluster, node, "on-host-network", "Succeeded").await;
    let links = |message: String| message.split_whitespace().map(str::to_owned).collect::<BTreeSet<String>>();
    let own = links(termination_message(cluster, "bridged").await);
    assert!(own.contains("eth0") && !own.contains("cni0"), "{own:?}");
    let hosts = links(termination_message(cluster, "on-host-network").await);
    assert!(hosts.contains("cni0") && !hosts.contains("eth0"), "{hosts:?}");

    let refuses = "id -u; exit 3";
    cluster
        .apply_yaml(&pod("fails", refuses, json!({ "securityContext": { "runAsUser": 65532 } })))
        .await
        .unwrap();
    await_phase(cluster, node, "fails", "Failed").await;
    assert_eq!(termination_message(cluster, "fails").await.trim(), "65532");
    assert!(
        node.pod_log("default", "fails").contains("stdout F 65532"),
        "{:?}",
        node.pod_log("default", "fails")
    );
}

/// With any executable as the manager; this one is linked dynamically.
async fn the_managers_image_runs_as_nobody(cluster: &ControlPlane, node: &mut SandboxNode) {
    let archive = cluster.folder().join("manager.tar");
    let manager = image::manager(MANAGER, Path::new(env!("CARGO_BIN_EXE_controlplane"))).unwrap();
    manager.write(&archive).unwrap();
    node.import_image(&archive).await.unwrap();
    let restricted = json!({
        "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "runAsNonRoot": true,
        "capabilities": { "drop": ["ALL"] }, "seccompProfile": { "type": "RuntimeDefault" },
    });
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "manager", "namespace": "default" },
        "spec": { "nodeName": NODE, "restartPolicy": "Never", "containers": [{
            "name": "manager", "image": MANAGER, "args": ["--version"], "securityContext": restricted,
        }] },
    });
    cluster.apply_yaml(&pod.to_string()).await.unwrap();
    await_phase(cluster, node, "manager", "Succeeded").await;
    let log = node.pod_log("default", "manager");
    assert!(log.contains(concat!("stdout F controlplane ", env!("CARGO_PKG_VERSION"))), "{log}");
}

/// First as the original's reboot pods do, by asking the node's init, then by reboot(2) from the container. Whatever calls it looks at its
/// PID namespace before, and refuses in the machine's.
async fn a_job_that_reboots_runs_again_in_the_next_boot(
    cluster: &ControlPlane,
    node: &mut SandboxNode,
    before: &str,
) {
    let script = "cat /host/proc/sys/kernel/random/boot_id >>/host/etc/node-marker
        [ $(wc -l </host/etc/node-marker) = 2 ] && exit 0
        echo 'KAIROS_VERSION=v3.5.0' >/host/etc/kairos-release.next
        nsenter -t 1 -m -i -- reboot
        sleep 600";
    cluster.apply_yaml(&host_job("reboots", script)).await.unwrap();
    let after = node.await_ready(2).await.unwrap();
    assert_ne!(after, before);
    assert_eq!(node_field(cluster, "{.status.nodeInfo.bootID}").await, after);
    holds(cluster.wait_for("condition=Complete", "jobs/reboots", "default", DONE_WITHIN).await, node);
    assert_eq!(node.boots(), 2, "the Job's second pod has nothing to reboot for");
    // On the node's disk it has survived, with the id of each boot in which the Job ran; on the machine it has never been.
    let marker = String::from_utf8(node.read("/etc/node-marker").unwrap()).unwrap();
    assert_eq!(marker.lines().collect::<Vec<_>>(), node.boot_ids());
    assert!(!Path::new("/etc/node-marker").exists() && !Path::new("/etc/kairos-release").exists());
    assert!(node.read(busybox::RELEASE_AFTER_BOOT).is_none());
    assert_eq!(node.read("/etc/kairos-release").unwrap(), b"KAIROS_VERSION=v3.5.0\n");

    let privileged = json!({ "hostPID": true, "containers": [{
        "name": "main", "image": TOOLS, "command": ["/bin/reboot"], "securityContext": { "privileged": true },
    }] });
    cluster.apply_yaml(&pod("reboots-at-once", "", privileged)).await.unwrap();
    node.await_ready(3).await.unwrap();
}

async fn a_power_cut_is_survived(cluster: &ControlPlane, node: &mut SandboxNode) {
    node.write("/etc/node-marker", "second").unwrap();
    node.reboot_by_itself().unwrap();
    let last = node.await_ready(4).await.unwrap();
    let boots: BTreeSet<String> = node.boot_ids().into_iter().collect();
    assert!(boots.len() == 4 && boots.contains(&last), "{boots:?}");
    // The tools are still there, and so is what was written.
    cluster.apply_yaml(&host_job("reads", "[ $(cat /host/etc/node-marker) = second ]")).await.unwrap();
    cluster.wait_for("condition=Complete", "jobs/reads", "default", DONE_WITHIN).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_a_node_is_refused_and_what_had_started_is_gone() {
    if node::skipped("what_cannot_be_a_node_is_refused_and_what_had_started_is_gone") {
        return;
    }
    let parent = tempfile::tempdir().unwrap();
    let within = Duration::from_secs(20);
    let builder = ControlPlane::builder()
        .folder_in(parent.path())
        .keep(false)
        .ready_within(within)
        .flags(controlplane::Binary::Kubelet, ["--no-such-flag"]);
    let cluster = builder.start().await.unwrap();
    let refused = SandboxNode::start(&cluster, "Not A Name", NodeOptions::default()).await.err().unwrap();
    assert!(matches!(refused, Error::Manifest { .. }), "{refused}");

    let late = SandboxNode::start(&cluster, NODE, NodeOptions::default()).await.err().unwrap().to_string();
    assert!(
        late.starts_with("Ready of sandbox node worker was not ready") && late.contains("unknown flag"),
        "{late}"
    );
    cluster.stop().await;
    assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(parent.path().to_str().unwrap()), "{mounts}");
}

#[tokio::test]
async fn nodes_of_one_cluster_do_not_disturb_each_other() {
    if node::skipped("nodes_of_one_cluster_do_not_disturb_each_other") {
        return;
    }
    let cluster = ControlPlane::builder().controller_manager().start().await.unwrap();
    let start = |name| SandboxNode::start(&cluster, name, NodeOptions::default());
    let (one, mut other) = tokio::join!(start("one"), start("other"));
    let (one, other) = (one.unwrap(), other.as_mut().unwrap());
    let path = "jsonpath={.items[*].status.addresses[?(@.type==\"InternalIP\")].address}";
    let addresses = cluster.run_kubectl(&["get", "nodes", "-o", path]).await.unwrap();
    assert_eq!(addresses.split(' ').collect::<BTreeSet<_>>().len(), 2, "{addresses}");
    one.stop().await;
    other.reboot_by_itself().unwrap();
    other.await_ready(2).await.unwrap();
}

/// `controlplane up --sandbox-node` in a folder of its own, once its node is Ready.
fn up(parent: &Path) -> Child {
    let mut process = Command::new(env!("CARGO_BIN_EXE_controlplane"))
        .args(["up", "--sandbox-node"])
        .env("TMPDIR", parent)
        .env_remove("KEEP")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.starts_with("export KUBECONFIG="), "{first:?}");
    process
}

fn end(process: &mut Child, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(process.id()).unwrap()).unwrap(), signal).unwrap();
    process.wait().unwrap();
}

/// The control groups below a folder that a process has made for its nodes.
fn groups_of(process: &Child, below: &Path) -> Vec<PathBuf> {
    let prefix = format!("kubernetes-upgrader-node-{}-", process.id());
    let mut found = Vec::new();
    for entry in fs::read_dir(below).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(&prefix) {
            found.push(entry.path());
        } else if entry.file_type().unwrap().is_dir() {
            found.extend(groups_of(process, &entry.path()));
        }
    }
    found
}

#[test]
fn a_killed_parent_leaves_no_node_and_the_next_start_removes_its_groups() {
    if node::skipped("a_killed_parent_leaves_no_node_and_the_next_start_removes_its_groups") {
        return;
    }
    let parent = tempfile::tempdir().unwrap();
    let all = Path::new("/sys/fs/cgroup");
    let mut killed = up(parent.path());
    assert!(!groups_of(&killed, all).is_empty());
    end(&mut killed, Signal::KILL);
    let mut left = GONE_WITHIN;
    while let Some(trace) = traces(parent.path(), &[]).into_iter().find(|trace| !trace.starts_with("folder "))
    {
        assert!(!left.is_zero(), "still there after {GONE_WITHIN:?}: {trace}");
        std::thread::sleep(POLL);
        left = left.saturating_sub(POLL);
    }

    let mut terminated = up(parent.path());
    assert_eq!(groups_of(&killed, all), Vec::<PathBuf>::new());
    end(&mut terminated, Signal::TERM);
    assert_eq!(groups_of(&terminated, all), Vec::<PathBuf>::new());
    assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
}
