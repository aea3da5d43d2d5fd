//! The real Cluster API, on its in-memory backend: a Cluster becomes Available, its image shows, and its webhooks refuse.

use std::time::Duration;

use controlplane::{ClassCluster, ControlPlane, Error};

/// 45 s on an idle machine of two cores.
const AVAILABLE_WITHIN: Duration = Duration::from_secs(240);

#[tokio::test]
async fn a_class_cluster_becomes_available_with_its_image() {
    let management = ControlPlane::builder().cluster_api().start().await.unwrap();
    let cluster = ClassCluster::new("blue", "v1.34.2").with_image("registry/node: 1.34.2 \"quoted\"");
    management.create_class_cluster(&cluster).await.unwrap();
    management.await_cluster_available(&cluster, AVAILABLE_WITHIN).await.unwrap();

    let field = async |resource: &str, path: &str| {
        let path = format!("jsonpath={{range .items[*]}}{{{path}}}{{\"\\n\"}}{{end}}");
        let lines = management.run_kubectl(&["get", resource, "-o", &path]).await.unwrap();
        lines.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let command = ClassCluster::image_command("registry/node: 1.34.2 \"quoted\"");
    assert_eq!(field("kubeadmconfigs", ".spec.preKubeadmCommands[0]").await, vec![command; 3]);
    assert_eq!(field("machines", ".spec.version").await, ["v1.34.2"; 3]);

    let mut skipping = cluster.clone();
    skipping.version = "v1.36.0".to_owned();
    let refused = management.apply_yaml(&skipping.cluster_manifest().to_string()).await.unwrap_err();
    assert!(
        matches!(refused, Error::Command { ref output, .. } if output.contains("version cannot be increased from")),
        "{refused}"
    );
    // Served by conversion: the manager of the CRD's group answers on its local port.
    let old = management
        .run_kubectl(&["get", "clusters.v1beta1.cluster.x-k8s.io", "blue", "-o", "yaml"])
        .await
        .unwrap();
    assert!(old.contains("apiVersion: cluster.x-k8s.io/v1beta1"), "{old}");
}
