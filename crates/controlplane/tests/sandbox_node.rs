//! A real node: Ready, runs pods, reboots for real and comes back, and leaves nothing on the machine.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use controlplane::image::busybox;
use controlplane::node::{self, NodeOptions, SandboxNode};
use controlplane::{ControlPlane, Error};
use serde_json::{Value, json};

const NODE: &str = "worker";
const TOOLS: &str = "example.com/tools:test";
const DONE_WITHIN: Duration = Duration::from_secs(90);

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
    if Path::new(folder).exists() {
        found.push(format!("folder {folder}"));
    }
    found
}

async fn node_field(cluster: &ControlPlane, path: &str) -> String {
    cluster.run_kubectl(&["get", "node", NODE, "-o", &format!("jsonpath={path}")]).await.unwrap()
}

/// Awaits the end of a pod, and shows the node's logs if it does not come.
async fn await_phase(cluster: &ControlPlane, node: &SandboxNode, pod: &str, phase: &str) {
    let wanted = format!("jsonpath={{.status.phase}}={phase}");
    if let Err(error) = cluster.wait_for(&wanted, &format!("pods/{pod}"), "default", DONE_WITHIN).await {
        panic!("{error}\n{}", node.logs());
    }
}

async fn termination_message(cluster: &ControlPlane, pod: &str) -> String {
    let path = "jsonpath={.status.containerStatuses[0].state.terminated.message}";
    cluster.run_kubectl(&["get", "pod", pod, "-o", path]).await.unwrap()
}

#[tokio::test]
async fn a_node_reboots_comes_back_and_leaves_nothing() {
    if let Some(missing) = node::missing() {
        eprintln!("skipped: {missing}");
        return;
    }
    let cluster = ControlPlane::builder().controller_manager().scheduler().start().await.unwrap();
    let options = NodeOptions::default().label("node-role.kubernetes.io/control-plane", "").file(
        "/etc/kairos-release",
        0o644,
        busybox::release("v3.4.0"),
    );
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

/// The image's `reboot` looks at its PID namespace before it calls reboot(2), and refuses in the machine's.
async fn a_job_that_reboots_runs_again_in_the_next_boot(
    cluster: &ControlPlane,
    node: &mut SandboxNode,
    before: &str,
) {
    let script = "[ -e /host/etc/node-marker ] && exit 0
        cat /host/proc/sys/kernel/random/boot_id >/host/etc/node-marker
        cp /host/etc/kairos-release /host/etc/kairos-release.next
        /bin/reboot
        sleep 60";
    cluster.apply_yaml(&host_job("reboots", script)).await.unwrap();
    let after = node.await_ready(2).await.unwrap();
    assert_ne!(after, before);
    assert_eq!(node_field(cluster, "{.status.nodeInfo.bootID}").await, after);
    let done = cluster.wait_for("condition=Complete", "jobs/reboots", "default", DONE_WITHIN).await;
    if let Err(error) = done {
        panic!("{error}\n{}", node.logs());
    }
    assert_eq!(node.boots(), 2, "the Job's second pod has nothing to reboot for");
    // On the node's disk it has survived; on the machine it has never been.
    let marker = String::from_utf8(node.read("/etc/node-marker").unwrap()).unwrap();
    assert_eq!(marker.trim(), before);
    assert!(!Path::new("/etc/node-marker").exists() && !Path::new("/etc/kairos-release").exists());
    assert!(node.read(busybox::RELEASE_AFTER_BOOT).is_none());
    assert!(node.read("/etc/kairos-release").unwrap().starts_with(b"KAIROS_ID"));
}

async fn a_power_cut_is_survived(cluster: &ControlPlane, node: &mut SandboxNode) {
    node.write("/etc/node-marker", "second").unwrap();
    node.reboot_by_itself().unwrap();
    let third = node.await_ready(3).await.unwrap();
    let boots: BTreeSet<String> = node.boot_ids().into_iter().collect();
    assert!(boots.len() == 3 && boots.contains(&third), "{boots:?}");
    // The tools are still there, and so is what was written.
    cluster.apply_yaml(&host_job("reads", "[ $(cat /host/etc/node-marker) = second ]")).await.unwrap();
    cluster.wait_for("condition=Complete", "jobs/reads", "default", DONE_WITHIN).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_a_node_is_refused_and_what_had_started_is_gone() {
    if let Some(missing) = node::missing() {
        eprintln!("skipped: {missing}");
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
