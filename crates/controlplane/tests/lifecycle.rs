//! A control plane starts, serves, and leaves nothing: no process, no port, no folder, however it ends.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use controlplane::{ControlPlane, Error};
use rustix::process::{Pid, Signal, kill_process};

const GONE_WITHIN: Duration = Duration::from_secs(20);

/// The loopback ports in a process' command line.
fn ports(pid: u32) -> BTreeSet<u16> {
    let command_line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    command_line
        .split('\0')
        .filter_map(|flag| {
            flag.rsplit_once(['=', ':']).filter(|_| flag.contains("port=") || flag.contains("127.0.0.1:"))
        })
        .filter_map(|(_, port)| port.parse().ok())
        .collect()
}

/// A zombie of a dead parent is as good as gone: it runs no more and somebody else reaps it.
fn runs(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('Z')))
}

fn children(parent: u32) -> BTreeSet<u32> {
    let of = |pid: &str| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let ppid = stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse::<u32>().ok()?;
        (ppid == parent).then(|| pid.parse().ok())?
    };
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| of(&entry.file_name().to_string_lossy()))
        .collect()
}

fn await_gone(pids: &BTreeSet<u32>, ports: &BTreeSet<u16>) {
    let mut left = GONE_WITHIN;
    let poll = Duration::from_millis(50);
    loop {
        let alive: Vec<&u32> = pids.iter().filter(|pid| runs(**pid)).collect();
        let open: Vec<&u16> =
            ports.iter().filter(|port| TcpStream::connect((Ipv4Addr::LOCALHOST, **port)).is_ok()).collect();
        if alive.is_empty() && open.is_empty() {
            return;
        }
        assert!(!left.is_zero(), "still there after {GONE_WITHIN:?}: processes {alive:?}, ports {open:?}");
        std::thread::sleep(poll);
        left = left.saturating_sub(poll);
    }
}

/// The processes of a control plane, the ports they were told, and its folder.
fn traces(cluster: &ControlPlane) -> (BTreeSet<u32>, BTreeSet<u16>, PathBuf) {
    let pids: BTreeSet<u32> = cluster.process_ids().into_iter().map(|(_, pid)| pid).collect();
    let ports: BTreeSet<u16> = pids.iter().flat_map(|pid| ports(*pid)).collect();
    assert_eq!(
        (pids.len(), ports.len()),
        (2, 3),
        "etcd has two ports, kube-apiserver one: {pids:?} {ports:?}"
    );
    (pids, ports, cluster.folder().to_path_buf())
}

#[tokio::test]
async fn two_serve_at_once_and_a_drop_leaves_nothing() {
    let (one, other) = tokio::join!(ControlPlane::builder().start(), ControlPlane::builder().start());
    let (one, other) = (one.unwrap(), other.unwrap());

    one.apply_yaml("{apiVersion: v1, kind: ConfigMap, metadata: {name: here}, data: {a: b}}").await.unwrap();
    assert_eq!(
        one.run_kubectl(&["get", "configmap", "here", "-o", "jsonpath={.data.a}"]).await.unwrap(),
        "b"
    );
    let missing = other.run_kubectl(&["get", "configmap", "here"]).await.unwrap_err();
    assert!(
        matches!(missing, Error::Command { ref output, .. } if output.contains("not found")),
        "{missing}"
    );

    let (pids, ports, folder) = traces(&one);
    let (other_pids, other_ports, other_folder) = traces(&other);
    assert!(ports.is_disjoint(&other_ports));

    drop(one);
    await_gone(&pids, &ports);
    assert!(!folder.exists() && other_folder.exists());
    other.run_kubectl(&["get", "namespaces"]).await.unwrap();

    // What a failed assertion does.
    let failed = tokio::spawn(async move {
        let _held = other;
        panic!("on purpose");
    });
    assert!(failed.await.unwrap_err().is_panic());
    await_gone(&other_pids, &other_ports);
    assert!(!other_folder.exists());
}

#[tokio::test]
async fn users_are_who_they_are_and_the_audit_log_has_them() {
    let cluster = ControlPlane::builder().start().await.unwrap();
    cluster
        .apply_yaml("{apiVersion: v1, kind: ServiceAccount, metadata: {name: robot, namespace: default}}")
        .await
        .unwrap();
    let robot = cluster.kubeconfig_for_service_account("default", "robot").await.unwrap();
    let jane = cluster.kubeconfig_for_user("jane", &["system:masters", "writers"]).unwrap();
    let (robot, jane) = (
        cluster.write_file("robot.kubeconfig", &robot).unwrap(),
        cluster.write_file("jane.kubeconfig", &jane).unwrap(),
    );
    let kubeconfig = |path: &Path| format!("--kubeconfig={}", path.display());

    let who = cluster
        .run_kubectl(&[&kubeconfig(&jane), "auth", "whoami", "-o", "jsonpath={.status.userInfo}"])
        .await;
    let who = who.unwrap();
    assert!(who.contains(r#""username":"jane""#) && who.contains(r#""writers""#), "{who}");
    cluster.run_kubectl(&[&kubeconfig(&robot), "get", "secrets"]).await.unwrap_err();

    let events = cluster.audit_events().unwrap();
    let refused: Vec<_> = events.iter().filter(|event| event.forbidden).collect();
    let secrets = refused.iter().find(|event| event.resource == "secrets").unwrap();
    assert_eq!((secrets.user.as_str(), secrets.code), ("system:serviceaccount:default:robot", 403));
    assert_eq!((secrets.verb.as_str(), secrets.namespace.as_str()), ("list", "default"));
    assert!(secrets.user_agent.starts_with("kubectl/v1.36"), "{}", secrets.user_agent);
    assert!(
        events.iter().any(|event| event.user == "kubernetes-admin" && event.is_write() && event.code == 201)
    );
    assert!(matches!(
        cluster.kubeconfig_for_service_account("default", "nobody").await,
        Err(Error::Kubernetes(_))
    ));
}

#[tokio::test]
async fn a_component_that_ends_is_shown_with_its_log() {
    let parent = tempfile::tempdir().unwrap();
    let failed = ControlPlane::builder()
        .folder_in(parent.path())
        .keep(false)
        .flags(controlplane::Binary::KubeApiserver, ["--no-such-flag"])
        .start()
        .await;
    let error = failed.err().unwrap().to_string();
    assert!(error.starts_with("kube-apiserver ended with") && error.contains("unknown flag"), "{error}");
    assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
}

/// `controlplane up` in a folder of its own, once it is ready.
fn up(parent: &Path) -> (Child, BTreeSet<u32>, BTreeSet<u16>) {
    let mut process = Command::new(env!("CARGO_BIN_EXE_controlplane"))
        .args(["up", "--api-only"])
        .env("TMPDIR", parent)
        .env_remove("KEEP")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.starts_with("export KUBECONFIG="), "{first:?}");
    let pids = children(process.id());
    assert_eq!(pids.len(), 2, "{pids:?}");
    let ports = pids.iter().flat_map(|pid| ports(*pid)).collect();
    (process, pids, ports)
}

fn kill(process: &Child, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(process.id()).unwrap()).unwrap(), signal).unwrap();
}

#[tokio::test]
async fn a_killed_parent_leaves_nothing_that_runs_and_the_next_start_removes_its_folder() {
    let parent = tempfile::tempdir().unwrap();
    let (mut process, pids, ports) = up(parent.path());
    kill(&process, Signal::KILL);
    process.wait().unwrap();
    await_gone(&pids, &ports);
    let left: Vec<PathBuf> =
        fs::read_dir(parent.path()).unwrap().flatten().map(|entry| entry.path()).collect();
    assert_eq!(left.len(), 1);

    let next = ControlPlane::builder().folder_in(parent.path()).keep(false).start().await.unwrap();
    assert!(!left[0].exists() && next.folder().exists());
    next.stop().await;
    assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
}

#[test]
fn a_terminated_parent_leaves_nothing() {
    let parent = tempfile::tempdir().unwrap();
    let (mut process, pids, ports) = up(parent.path());
    kill(&process, Signal::TERM);
    assert!(process.wait().unwrap().success());
    await_gone(&pids, &ports);
    assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
}
