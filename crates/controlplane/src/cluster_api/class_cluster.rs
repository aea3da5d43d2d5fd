//! A Cluster made from a ClusterClass on the in-memory backend, ready to be upgraded.

use std::time::Duration;

use serde_json::{Value, json};

use crate::control_plane::ControlPlane;
use crate::error::Result;

const CLASS: &str = include_str!("../../fixtures/class.yaml");
/// The class needs a few requests of the core manager to be ready.
const CLASS_READY_WITHIN: Duration = Duration::from_secs(60);

/// A Cluster and the class it is made from. The class has one string variable for the machine image; its value shows as
/// [`image_command`](Self::image_command) in `spec.preKubeadmCommands` of each KubeadmConfig, and a change of it rolls machines.
#[derive(Clone, Debug)]
pub struct ClassCluster {
    /// The Cluster's name.
    pub name: String,
    /// The namespace of both, made if it is not there; `default` if not said.
    pub namespace: String,
    /// The class's name, `in-memory` if not said. Several Clusters of a namespace may share one.
    pub class: String,
    /// The Kubernetes version, with its leading `v`.
    pub version: String,
    /// The name of the class's variable, `image` if not said: letters and digits only, as it stands in a Go template.
    pub image_variable: String,
    /// The variable's value; none leaves it unset.
    pub image: Option<String>,
    /// One if not said.
    pub control_plane_replicas: u32,
    /// Two if not said, in the MachineDeployment topology `md-0`.
    pub worker_replicas: u32,
}

impl ClassCluster {
    /// A Cluster `default/<name>` with one control plane machine and two workers.
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            namespace: "default".to_owned(),
            class: "in-memory".to_owned(),
            version: version.into(),
            image_variable: "image".to_owned(),
            image: None,
            control_plane_replicas: 1,
            worker_replicas: 2,
        }
    }

    /// With this value of the image variable.
    #[must_use]
    pub fn with_image(mut self, image: impl Into<String>) -> Self {
        self.image = Some(image.into());
        self
    }

    /// The entry of `spec.preKubeadmCommands` that an image leads to.
    pub fn image_command(image: &str) -> String {
        format!("echo image={image}")
    }

    /// The class with its templates, as YAML documents.
    pub fn class_manifest(&self) -> String {
        CLASS
            .replace("$CLASS", &self.class)
            .replace("$NAMESPACE", &self.namespace)
            .replace("$VARIABLE", &self.image_variable)
    }

    /// The Cluster, `cluster.x-k8s.io/v1beta2`.
    pub fn cluster_manifest(&self) -> Value {
        let mut topology = json!({
            "classRef": { "name": self.class },
            "version": self.version,
            "controlPlane": { "replicas": self.control_plane_replicas },
            "workers": { "machineDeployments": [
                { "class": "default-worker", "name": "md-0", "replicas": self.worker_replicas },
            ]},
        });
        if let Some(image) = &self.image {
            topology["variables"] = json!([{ "name": self.image_variable, "value": image }]);
        }
        json!({
            "apiVersion": "cluster.x-k8s.io/v1beta2",
            "kind": "Cluster",
            "metadata": { "name": self.name, "namespace": self.namespace },
            "spec": {
                "clusterNetwork": {
                    "services": { "cidrBlocks": ["10.128.0.0/12"] },
                    "pods": { "cidrBlocks": ["192.168.0.0/16"] },
                    "serviceDomain": "cluster.local",
                },
                "topology": topology,
            },
        })
    }
}

impl ControlPlane {
    /// Creates the class, awaits that it is reconciled, and creates the Cluster. It is not awaited: see
    /// [`await_cluster_available`](Self::await_cluster_available).
    pub async fn create_class_cluster(&self, cluster: &ClassCluster) -> Result<()> {
        let namespace = json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": cluster.namespace },
        });
        self.apply_yaml(&namespace.to_string()).await?;
        self.apply_yaml(&cluster.class_manifest()).await?;
        let class = format!("clusterclasses/{}", cluster.class);
        self.wait_for("condition=VariablesReady", &class, &cluster.namespace, CLASS_READY_WITHIN).await?;
        self.apply_yaml(&cluster.cluster_manifest().to_string()).await?;
        Ok(())
    }

    /// Awaits that the Cluster's condition `Available` is true: about 45 s for a new one.
    ///
    /// # Errors
    /// [`Error::Deadline`](crate::Error::Deadline) with the Cluster as YAML.
    pub async fn await_cluster_available(&self, cluster: &ClassCluster, within: Duration) -> Result<()> {
        let object = format!("clusters.cluster.x-k8s.io/{}", cluster.name);
        self.wait_for("condition=Available", &object, &cluster.namespace, within).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rendered::parse;

    #[test]
    fn every_placeholder_is_replaced() {
        let mut cluster = ClassCluster::new("a", "v1.35.0");
        cluster.image_variable = "machineImage".to_owned();
        let manifest = cluster.class_manifest();
        let body = manifest.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n");
        assert!(!body.contains('$'), "{body}");
        let class = parse("class", &body).unwrap().pop().unwrap();
        assert_eq!(class["spec"]["variables"][0]["name"], "machineImage");
        assert_eq!(class["spec"]["patches"][0]["enabledIf"], "{{ if .machineImage }}true{{ end }}");
    }

    #[test]
    fn an_unset_image_is_no_variable() {
        let cluster = ClassCluster::new("a", "v1.35.0");
        assert!(cluster.cluster_manifest()["spec"]["topology"]["variables"].is_null());
        let variables = &cluster.with_image("x").cluster_manifest()["spec"]["topology"]["variables"];
        assert_eq!(variables, &json!([{ "name": "image", "value": "x" }]));
    }
}
