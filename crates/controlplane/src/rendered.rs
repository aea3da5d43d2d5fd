//! Manifests that come out of the Go modules' own kustomizations, rendered once by `kubectl kustomize` and kept beside the binaries.

use std::path::Path;

use serde_json::Value;

use crate::binaries::Module;
use crate::error::{Error, Result};
use crate::guard::{guarded, spawn_error};

/// A rendered file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rendered {
    NodeStages,
    PodStages,
    ClusterApiCore,
    KubeadmBootstrap,
    KubeadmControlPlane,
    DevInfrastructure,
}

impl Rendered {
    pub(crate) const ALL: [Self; 6] = [
        Self::NodeStages,
        Self::PodStages,
        Self::ClusterApiCore,
        Self::KubeadmBootstrap,
        Self::KubeadmControlPlane,
        Self::DevInfrastructure,
    ];

    /// The module whose binaries it belongs to.
    pub(crate) fn module(self) -> Module {
        match self {
            Self::NodeStages | Self::PodStages => Module::Kwok,
            _ => Module::ClusterApi,
        }
    }

    /// JSON for Cluster API: parsing 80,000 lines of YAML at each start would cost more than starting.
    pub(crate) fn file_name(self) -> &'static str {
        match self {
            Self::NodeStages => "node-stages.yaml",
            Self::PodStages => "pod-stages.yaml",
            Self::ClusterApiCore => "core.json",
            Self::KubeadmBootstrap => "kubeadm-bootstrap.json",
            Self::KubeadmControlPlane => "kubeadm-control-plane.json",
            Self::DevInfrastructure => "dev-infrastructure.json",
        }
    }

    /// The Go module that holds the kustomizations.
    pub(crate) fn go_module(self) -> &'static str {
        match self {
            Self::NodeStages | Self::PodStages => "sigs.k8s.io/kwok",
            Self::DevInfrastructure => "sigs.k8s.io/cluster-api/test",
            _ => "sigs.k8s.io/cluster-api",
        }
    }

    fn kustomizations(self) -> &'static [&'static str] {
        match self {
            Self::NodeStages => &["kustomize/stage/node/fast", "kustomize/stage/node/heartbeat-with-lease"],
            Self::PodStages => &["kustomize/stage/pod/fast"],
            Self::ClusterApiCore => &["core/config/default"],
            Self::KubeadmBootstrap => &["bootstrap/kubeadm/config/default"],
            Self::KubeadmControlPlane => &["controlplane/kubeadm/config/default"],
            Self::DevInfrastructure => &["infrastructure/docker/config/default"],
        }
    }

    /// Renders the file from the module's sources.
    pub(crate) fn render(self, kubectl: &Path, source: &Path) -> Result<String> {
        let documents = self
            .kustomizations()
            .iter()
            .map(|folder| kustomize(kubectl, &source.join(folder)))
            .collect::<Result<Vec<_>>>()?;
        let yaml = documents.join("---\n");
        if self.module() == Module::Kwok {
            return Ok(yaml);
        }
        let objects: Vec<Value> = parse(self.file_name(), &yaml)?;
        let kept: Vec<Value> = objects.into_iter().filter(is_kept).collect();
        serde_json::to_string(&kept).map_err(|error| Error::Manifest {
            manifest: self.file_name().to_owned(),
            reason: error.to_string(),
        })
    }
}

/// A local process needs neither Deployment, Service, RBAC nor certificates; the API server needs the rest.
fn is_kept(object: &Value) -> bool {
    matches!(
        object["kind"].as_str(),
        Some(
            "CustomResourceDefinition"
                | "MutatingWebhookConfiguration"
                | "ValidatingWebhookConfiguration"
                | "Namespace"
        )
    )
}

/// All documents of a YAML text. The default limits are for strangers' input; CRDs are larger.
pub(crate) fn parse(name: &str, yaml: &str) -> Result<Vec<Value>> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_events: 20_000_000, max_nodes: 10_000_000 },
    };
    serde_saphyr::from_multiple_with_options(yaml, options)
        .map_err(|error| Error::Manifest { manifest: name.to_owned(), reason: error.to_string() })
}

fn kustomize(kubectl: &Path, folder: &Path) -> Result<String> {
    let output = guarded(kubectl).arg("kustomize").arg(folder).output().map_err(spawn_error)?;
    if !output.status.success() {
        return Err(Error::Command {
            command: format!("kubectl kustomize {}", folder.display()),
            status: output.status.to_string(),
            output: String::from_utf8_lossy(&output.stderr).into_owned(),
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_an_api_server_needs_is_kept() {
        let objects = parse(
            "test",
            "kind: Namespace\n---\nkind: Deployment\n---\nkind: Service\n---\nkind: CustomResourceDefinition\n---\nkind: ClusterRole\n",
        )
        .unwrap();
        let kinds: Vec<_> =
            objects.iter().filter(|o| is_kept(o)).map(|o| o["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["Namespace", "CustomResourceDefinition"]);
    }
}
