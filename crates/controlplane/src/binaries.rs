//! What there is to build, and from which published Go module.
//!
//! The modules are `hack/control-plane/<module>/{go.mod,go.sum}`: versions are raised there and nowhere else. They are part of
//! this crate's text, so that a build never writes into the checkout and finds them from wherever it runs.

use sha2::{Digest, Sha256};

/// An executable that this crate can build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Binary {
    /// The store behind the API server.
    Etcd,
    /// The API server.
    KubeApiserver,
    /// Jobs, garbage collection, ServiceAccounts and the other built-in controllers.
    KubeControllerManager,
    /// Puts pods on nodes.
    KubeScheduler,
    /// The command line, which also renders kustomizations.
    Kubectl,
    /// For tests on a real node. Not part of the control plane: built only when asked for.
    Kubelet,
    /// Stands in for kubelets: makes nodes ready and lets pods run.
    Kwok,
    /// Cluster API's core manager.
    ClusterApiCore,
    /// Cluster API's kubeadm bootstrap manager.
    KubeadmBootstrap,
    /// Cluster API's kubeadm control plane manager.
    KubeadmControlPlane,
    /// Cluster API's "dev" infrastructure manager, of which the in-memory backend is used.
    DevInfrastructure,
}

impl Binary {
    /// All of Kubernetes that [`ControlPlane`](crate::ControlPlane) runs, in the order in which it is built.
    pub const KUBERNETES: [Self; 6] = [
        Self::Etcd,
        Self::KubeApiserver,
        Self::Kubectl,
        Self::KubeControllerManager,
        Self::KubeScheduler,
        Self::Kwok,
    ];
    /// The four managers of Cluster API.
    pub const CLUSTER_API: [Self; 4] =
        [Self::ClusterApiCore, Self::KubeadmBootstrap, Self::KubeadmControlPlane, Self::DevInfrastructure];

    /// The file name, which is also the name in logs and error messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::KubeApiserver => "kube-apiserver",
            Self::KubeControllerManager => "kube-controller-manager",
            Self::KubeScheduler => "kube-scheduler",
            Self::Kubectl => "kubectl",
            Self::Kubelet => "kubelet",
            Self::Kwok => "kwok",
            Self::ClusterApiCore => "capi-controller-manager",
            Self::KubeadmBootstrap => "capi-kubeadm-bootstrap-controller-manager",
            Self::KubeadmControlPlane => "capi-kubeadm-control-plane-controller-manager",
            Self::DevInfrastructure => "capd-controller-manager",
        }
    }

    /// The version of the module it is built from, with its leading `v`.
    pub fn version(self) -> &'static str {
        self.module().version()
    }

    pub(crate) fn module(self) -> Module {
        match self {
            Self::Etcd => Module::Etcd,
            Self::Kwok => Module::Kwok,
            Self::ClusterApiCore
            | Self::KubeadmBootstrap
            | Self::KubeadmControlPlane
            | Self::DevInfrastructure => Module::ClusterApi,
            _ => Module::Kubernetes,
        }
    }

    pub(crate) fn import_path(self) -> &'static str {
        match self {
            Self::Etcd => "go.etcd.io/etcd/server/v3",
            Self::KubeApiserver => "k8s.io/kubernetes/cmd/kube-apiserver",
            Self::KubeControllerManager => "k8s.io/kubernetes/cmd/kube-controller-manager",
            Self::KubeScheduler => "k8s.io/kubernetes/cmd/kube-scheduler",
            Self::Kubectl => "k8s.io/kubernetes/cmd/kubectl",
            Self::Kubelet => "k8s.io/kubernetes/cmd/kubelet",
            Self::Kwok => "sigs.k8s.io/kwok/cmd/kwok",
            Self::ClusterApiCore => "sigs.k8s.io/cluster-api/core",
            Self::KubeadmBootstrap => "sigs.k8s.io/cluster-api/bootstrap/kubeadm",
            Self::KubeadmControlPlane => "sigs.k8s.io/cluster-api/controlplane/kubeadm",
            Self::DevInfrastructure => "sigs.k8s.io/cluster-api/test/infrastructure/docker",
        }
    }
}

/// One of the modules under `hack/control-plane`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Module {
    Kubernetes,
    Etcd,
    Kwok,
    ClusterApi,
}

impl Module {
    /// The folder under `hack/control-plane`.
    pub(crate) fn folder(self) -> &'static str {
        match self {
            Self::Kubernetes => "kubernetes",
            Self::Etcd => "etcd",
            Self::Kwok => "kwok",
            Self::ClusterApi => "cluster-api",
        }
    }

    pub(crate) fn go_mod(self) -> &'static str {
        match self {
            Self::Kubernetes => include_str!("../../../hack/control-plane/kubernetes/go.mod"),
            Self::Etcd => include_str!("../../../hack/control-plane/etcd/go.mod"),
            Self::Kwok => include_str!("../../../hack/control-plane/kwok/go.mod"),
            Self::ClusterApi => include_str!("../../../hack/control-plane/cluster-api/go.mod"),
        }
    }

    pub(crate) fn go_sum(self) -> &'static str {
        match self {
            Self::Kubernetes => include_str!("../../../hack/control-plane/kubernetes/go.sum"),
            Self::Etcd => include_str!("../../../hack/control-plane/etcd/go.sum"),
            Self::Kwok => include_str!("../../../hack/control-plane/kwok/go.sum"),
            Self::ClusterApi => include_str!("../../../hack/control-plane/cluster-api/go.sum"),
        }
    }

    /// The path of the module that gives the binaries, as `go.mod` requires it.
    fn path(self) -> &'static str {
        match self {
            Self::Kubernetes => "k8s.io/kubernetes",
            Self::Etcd => "go.etcd.io/etcd/server/v3",
            Self::Kwok => "sigs.k8s.io/kwok",
            Self::ClusterApi => "sigs.k8s.io/cluster-api",
        }
    }

    /// The version that `go.mod` requires, with its leading `v`; empty if it does not require it.
    pub(crate) fn version(self) -> &'static str {
        required_version(self.go_mod(), self.path()).unwrap_or_default()
    }

    /// What the linker is told. Whoever negotiates needs a version in Kubernetes' binaries; the audit log has it as user agent.
    pub(crate) fn ldflags(self) -> String {
        let packages: &[&str] = match self {
            Self::Kubernetes => &["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"],
            Self::ClusterApi => &["sigs.k8s.io/cluster-api/version"],
            Self::Etcd | Self::Kwok => &[],
        };
        let version = self.version();
        let mut numbers = version.trim_start_matches('v').split('.');
        let (major, minor) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
        let mut flags = "-s -w".to_owned();
        for package in packages {
            for (variable, value) in [("gitVersion", version), ("gitMajor", major), ("gitMinor", minor)] {
                flags.extend([" -X ", package, ".", variable, "=", value]);
            }
        }
        flags
    }

    /// The name of the module's folder in the cache. Whatever changes the bytes of a binary changes the name.
    pub(crate) fn cache_folder(self, toolchain: &str) -> String {
        let mut hash = Sha256::new();
        for part in [self.go_mod(), self.go_sum(), toolchain, &self.ldflags()] {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
        let start = hash.finalize().iter().take(8).fold(0_u64, |start, byte| (start << 8) | u64::from(*byte));
        format!("{}-{}-{start:016x}", self.folder(), self.version())
    }
}

/// The version on the line of `path` in a `require`, whether in a block or not. `replace` lines hold `=>` and are passed over.
fn required_version<'a>(go_mod: &'a str, path: &str) -> Option<&'a str> {
    go_mod.lines().map(|line| line.trim().trim_start_matches("require ").trim()).find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next()? == path).then(|| words.next()).flatten().filter(|version| version.starts_with('v'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_come_from_go_mod() {
        assert_eq!(Binary::KubeApiserver.version(), "v1.36.3");
        assert_eq!(Binary::Etcd.version(), "v3.6.8");
        assert_eq!(Binary::Kwok.version(), "v0.7.0");
        assert_eq!(Binary::ClusterApiCore.version(), "v1.14.0");
    }

    #[test]
    fn a_replace_line_is_no_requirement() {
        let go_mod =
            "replace (\n\ta/b => a/b v9.0.0\n)\nrequire (\n\ta/b v1.2.3 // indirect\n)\nrequire c/d v2.0.0\n";
        assert_eq!(required_version(go_mod, "a/b"), Some("v1.2.3"));
        assert_eq!(required_version(go_mod, "c/d"), Some("v2.0.0"));
        assert_eq!(required_version(go_mod, "a/c"), None);
    }

    #[test]
    fn the_toolchain_is_part_of_the_key() {
        let (one, other) = (Module::Kwok.cache_folder("go1.26.8"), Module::Kwok.cache_folder("go1.26.9"));
        assert_ne!(one, other);
        assert!(one.starts_with("kwok-v0.7.0-"), "{one}");
        assert_eq!(one, Module::Kwok.cache_folder("go1.26.8"));
    }

    #[test]
    fn every_binary_is_a_tool_of_its_module() {
        for binary in Binary::KUBERNETES.into_iter().chain(Binary::CLUSTER_API).chain([Binary::Kubelet]) {
            let line = format!("{}\n", binary.import_path());
            assert!(binary.module().go_mod().contains(&line), "{} has no tool line", binary.name());
        }
    }

    #[test]
    fn kubernetes_knows_its_version() {
        let flags = Module::Kubernetes.ldflags();
        assert!(
            flags.starts_with("-s -w -X k8s.io/component-base/version.gitVersion=v1.36.3 -X "),
            "{flags}"
        );
        assert!(flags.ends_with(" -X k8s.io/client-go/pkg/version.gitMinor=36"), "{flags}");
        assert_eq!(Module::Etcd.ldflags(), "-s -w");
    }
}
