//! The files of a node: what containerd, the network plugins and kubelet read. Pure: names in, text out.

use std::net::Ipv4Addr;
use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The image of the container that holds a pod's namespaces.
pub(super) const PAUSE_IMAGE: &str = "sandbox.local/pause:1";
pub(super) const CONTAINERD: &str = "etc/containerd/sandbox-node.toml";
pub(super) const NETWORK: &str = "etc/cni/sandbox-node.d/10-bridge.conflist";
pub(super) const KUBELET: &str = "etc/kubernetes/sandbox-node.json";
pub(super) const KUBECONFIG: &str = "etc/kubernetes/kubelet.conf";
pub(super) const AUTHORITY: &str = "etc/kubernetes/ca.crt";
pub(super) const MACHINE_ID: &str = "etc/machine-id";
pub(super) const REBOOT: &str = "usr/sbin/reboot";

/// The node's address and its pods' gateway: the first of a /24 of the node's own, which depends on its name, so that the nodes of a
/// cluster seldom have the same. Nothing routes between nodes.
pub(super) fn address(name: &str) -> Ipv4Addr {
    let hash = Sha256::digest(name);
    // 10.64.0.0/10 keeps clear of the Services' 10.0.0.0/24.
    Ipv4Addr::new(10, 64 | (hash[0] & 0x3f), hash[1], 1)
}

/// What tells one installation from another: of the name's hash, so that it is the same after a boot.
pub(super) fn machine_id(name: &str) -> String {
    let mut id = format!("{:x}", Sha256::digest(name));
    id.truncate(32);
    id.push('\n');
    id
}

/// containerd's configuration, of the version that 1.6 to 2.x read.
pub(super) fn containerd(plugin_folder: &Path) -> String {
    format!(
        r#"version = 2
root = "/var/lib/containerd"
state = "/run/containerd"

[grpc]
address = "/run/containerd/containerd.sock"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE_IMAGE}"
# Without CAP_SYS_RESOURCE, as on many build machines, runc cannot lower it and fails.
restrict_oom_score_adj = true
disable_apparmor = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{plugins}"
conf_dir = "/etc/cni/sandbox-node.d"

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
default_runtime_name = "runc"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
"#,
        plugins = plugin_folder.display()
    )
}

/// One bridge, to which the node itself is the gateway; no way out of it.
pub(super) fn network(address: Ipv4Addr) -> Value {
    let [a, b, c, _] = address.octets();
    json!({
        "cniVersion": "0.4.0",
        "name": "sandbox-node",
        "plugins": [{
            "type": "bridge",
            "bridge": "cni0",
            "isGateway": true,
            "isDefaultGateway": true,
            "ipMasq": false,
            "ipam": { "type": "host-local", "subnet": format!("{a}.{b}.{c}.0/24"), "dataDir": "/run/cni/networks" },
        }],
    })
}

/// kubelet's configuration (`kubelet.config.k8s.io/v1beta1`).
pub(super) fn kubelet() -> Value {
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": { "enabled": false },
            "webhook": { "enabled": true },
            "x509": { "clientCAFile": format!("/{AUTHORITY}") },
        },
        "authorization": { "mode": "Webhook" },
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "cgroupDriver": "cgroupfs",
        "cgroupsPerQOS": false,
        "enforceNodeAllocatable": [],
        "failCgroupV1": false,
        "failSwapOn": false,
        "makeIPTablesUtilChains": false,
        // Nobody is there: a name fails at once. Without an address each pod would get an Event that warns of it.
        "clusterDNS": ["10.0.0.10"],
        "clusterDomain": "cluster.local",
        "oomScoreAdj": 0,
        // The machine's disk and memory are no subject of the tests: kubelet neither evicts nor removes images for their sake.
        "evictionHard": {
            "memory.available": "10Mi",
            "nodefs.available": "1%",
            "nodefs.inodesFree": "1%",
            "imagefs.available": "1%",
        },
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
    })
}

/// The flags that have no field in the configuration.
pub(super) fn kubelet_flags(name: &str, address: Ipv4Addr) -> Vec<String> {
    vec![
        format!("--config=/{KUBELET}"),
        format!("--kubeconfig=/{KUBECONFIG}"),
        format!("--hostname-override={name}"),
        format!("--node-ip={address}"),
    ]
}

/// What `init.sh` is told, as assignments of a shell.
pub(super) fn settings(name: &str, kubelet: &Path, flags: &[String]) -> String {
    format!(
        "NODE_NAME={}\nKUBELET={}\nKUBELET_FLAGS={}\n",
        quoted(name),
        quoted(&kubelet.to_string_lossy()),
        quoted(&flags.join(" "))
    )
}

/// A word that a shell takes as it is.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nodes_address_is_the_gateway_of_its_pods() {
        let address = address("worker-1");
        let [a, b, c, d] = address.octets();
        assert!(a == 10 && (64..128).contains(&b) && d == 1, "{address}");
        assert_ne!(address, super::address("worker-2"));
        let network = network(address);
        assert_eq!(network["plugins"][0]["ipam"]["subnet"], format!("10.{b}.{c}.0/24"));
    }

    #[test]
    fn a_machine_id_is_32_hexadecimal_digits() {
        let id = machine_id("worker-1");
        assert!(id.trim().len() == 32 && id.trim().bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        assert_ne!(id, machine_id("worker-2"));
    }

    #[test]
    fn settings_survive_a_shell() {
        let text = settings("it's", Path::new("/a b/kubelet"), &["--v=2".into(), "--x=$y".into()]);
        let script = format!("{text}printf '%s|%s|%s' \"$NODE_NAME\" \"$KUBELET\" \"$KUBELET_FLAGS\"");
        let said = std::process::Command::new("/bin/sh").args(["-c", &script]).output().unwrap();
        assert_eq!(String::from_utf8(said.stdout).unwrap(), "it's|/a b/kubelet|--v=2 --x=$y");
    }

    #[test]
    fn containerd_finds_its_plugins_and_the_pause_image() {
        let text = containerd(Path::new("/opt/cni/bin"));
        assert!(
            text.contains("bin_dir = \"/opt/cni/bin\"\n") && text.contains(&format!("\"{PAUSE_IMAGE}\"\n")),
            "{text}"
        );
    }
}
