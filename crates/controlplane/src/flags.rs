//! The command line of each component. Pure: paths and ports in, flags out.

use std::path::Path;

/// The files that the API server and the controller manager share.
pub(crate) struct Files<'a> {
    pub(crate) authority: &'a Path,
    pub(crate) serving_certificate: &'a Path,
    pub(crate) serving_key: &'a Path,
    pub(crate) service_account_key: &'a Path,
    pub(crate) service_account_public_key: &'a Path,
    pub(crate) audit_policy: &'a Path,
    pub(crate) audit_log: &'a Path,
}

/// One event per request, when it has been answered (a watch: when it has begun), with user, agent and code but no body.
pub(crate) const AUDIT_POLICY: &str =
    "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules:\n- level: Metadata\n";

pub(crate) fn etcd(data: &Path, client_port: u16, peer_port: u16) -> Vec<String> {
    let (client, peer) = (url("http", client_port), url("http", peer_port));
    vec![
        format!("--data-dir={}", data.display()),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=default={peer}"),
        "--name=default".to_owned(),
        // Everything here is temporary: a crash of the machine may lose it.
        "--unsafe-no-fsync".to_owned(),
        "--log-level=warn".to_owned(),
    ]
}

pub(crate) fn kube_apiserver(files: &Files<'_>, folder: &Path, etcd_port: u16, port: u16) -> Vec<String> {
    vec![
        format!("--etcd-servers={}", url("http", etcd_port)),
        "--bind-address=127.0.0.1".to_owned(),
        "--advertise-address=127.0.0.1".to_owned(),
        // A loopback address is no valid endpoint of the Service `kubernetes`; without this it is refused again and again.
        "--endpoint-reconciler-type=none".to_owned(),
        format!("--secure-port={port}"),
        format!("--cert-dir={}", folder.display()),
        format!("--tls-cert-file={}", files.serving_certificate.display()),
        format!("--tls-private-key-file={}", files.serving_key.display()),
        format!("--client-ca-file={}", files.authority.display()),
        "--authorization-mode=Node,RBAC".to_owned(),
        "--allow-privileged=true".to_owned(),
        "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local".to_owned(),
        format!("--service-account-key-file={}", files.service_account_public_key.display()),
        format!("--service-account-signing-key-file={}", files.service_account_key.display()),
        format!("--audit-policy-file={}", files.audit_policy.display()),
        format!("--audit-log-path={}", files.audit_log.display()),
        // In megabytes; at the default of 100 the log is cut in two and counts are lost.
        "--audit-log-maxsize=100000".to_owned(),
    ]
}

pub(crate) fn kube_controller_manager(files: &Files<'_>, kubeconfig: &Path) -> Vec<String> {
    vec![
        format!("--kubeconfig={}", kubeconfig.display()),
        "--leader-elect=false".to_owned(),
        "--secure-port=0".to_owned(),
        // With one identity for all controllers RBAC refuses nearly everything they do.
        "--use-service-account-credentials=true".to_owned(),
        // The default of 20 requests a second lets it start for seconds and is no subject of our tests.
        "--kube-api-qps=1000".to_owned(),
        "--kube-api-burst=2000".to_owned(),
        format!("--service-account-private-key-file={}", files.service_account_key.display()),
        format!("--root-ca-file={}", files.authority.display()),
    ]
}

pub(crate) fn kube_scheduler(kubeconfig: &Path) -> Vec<String> {
    vec![
        format!("--kubeconfig={}", kubeconfig.display()),
        "--leader-elect=false".to_owned(),
        "--secure-port=0".to_owned(),
        "--kube-api-qps=1000".to_owned(),
        "--kube-api-burst=2000".to_owned(),
    ]
}

/// `nodes`: a label selector, or all nodes.
pub(crate) fn kwok(kubeconfig: &Path, stages: &Path, nodes: Option<&str>) -> Vec<String> {
    vec![
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--config={}", stages.display()),
        match nodes {
            None => "--manage-all-nodes=true".to_owned(),
            Some(selector) => format!("--manage-nodes-with-label-selector={selector}"),
        },
    ]
}

/// The ports of one Cluster API manager.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ManagerPorts {
    pub(crate) webhook: u16,
    pub(crate) health: u16,
    pub(crate) diagnostics: u16,
}

pub(crate) fn cluster_api_manager(
    kubeconfig: &Path,
    certificates: &Path,
    ports: ManagerPorts,
) -> Vec<String> {
    vec![
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--webhook-port={}", ports.webhook),
        format!("--webhook-cert-dir={}", certificates.display()),
        format!("--health-addr=127.0.0.1:{}", ports.health),
        format!("--diagnostics-address=127.0.0.1:{}", ports.diagnostics),
        "--insecure-diagnostics".to_owned(),
        "--feature-gates=ClusterTopology=true".to_owned(),
    ]
}

/// An address on the loopback interface.
pub(crate) fn url(scheme: &str, port: u16) -> String {
    format!("{scheme}://127.0.0.1:{port}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kwok_manages_all_nodes_or_the_selected() {
        let (config, stages) = (Path::new("/k"), Path::new("/s"));
        assert_eq!(kwok(config, stages, None)[2], "--manage-all-nodes=true");
        assert_eq!(
            kwok(config, stages, Some("type=kwok"))[2],
            "--manage-nodes-with-label-selector=type=kwok"
        );
    }

    #[test]
    fn no_component_listens_beyond_the_loopback_address() {
        let path = Path::new("/x");
        let files = Files {
            authority: path,
            serving_certificate: path,
            serving_key: path,
            service_account_key: path,
            service_account_public_key: path,
            audit_policy: path,
            audit_log: path,
        };
        let ports = ManagerPorts { webhook: 3, health: 4, diagnostics: 5 };
        let all =
            [etcd(path, 1, 2), kube_apiserver(&files, path, 1, 2), cluster_api_manager(path, path, ports)];
        assert!(all[0].contains(&"--listen-client-urls=http://127.0.0.1:1".to_owned()));
        assert!(all[0].contains(&"--listen-peer-urls=http://127.0.0.1:2".to_owned()));
        assert!(all[1].contains(&"--bind-address=127.0.0.1".to_owned()));
        assert!(all[2].contains(&"--health-addr=127.0.0.1:4".to_owned()));
        assert!(!all.concat().iter().any(|flag| flag.contains("=0.0.0.0")));
        let manager = kube_controller_manager(&files, path);
        assert!(
            manager.contains(&"--secure-port=0".to_owned()) && kube_scheduler(path)[2] == "--secure-port=0"
        );
    }
}
