//! What a control plane is to consist of, and its start.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::path::PathBuf;
use std::time::Duration;

use crate::binaries::Binary;
use crate::control_plane::ControlPlane;
use crate::error::{Error, Result};
use crate::folder::Folder;
use crate::go_build::Binaries;
use crate::start;

/// How long a component may take until it is ready, on a machine that has other things to do.
const READY_WITHIN: Duration = Duration::from_secs(120);

/// Says what a [`ControlPlane`] consists of. Without any call: etcd and kube-apiserver.
#[derive(Clone, Debug)]
#[must_use = "nothing runs before start()"]
pub struct ControlPlaneBuilder {
    optional: BTreeSet<Binary>,
    pub(crate) cluster_api: bool,
    pub(crate) kwok_nodes: Option<String>,
    pub(crate) pod_stages: Option<String>,
    pub(crate) flags: BTreeMap<Binary, Vec<String>>,
    pub(crate) ready_within: Duration,
    pub(crate) keep: bool,
    pub(crate) parent: PathBuf,
}

impl Default for ControlPlaneBuilder {
    fn default() -> Self {
        Self {
            optional: BTreeSet::new(),
            cluster_api: false,
            kwok_nodes: None,
            pod_stages: None,
            flags: BTreeMap::new(),
            ready_within: READY_WITHIN,
            keep: env::var_os("KEEP").is_some_and(|value| value == "1"),
            parent: env::temp_dir(),
        }
    }
}

impl ControlPlaneBuilder {
    /// Adds kube-controller-manager: Jobs, garbage collection, namespaces' ends, ServiceAccounts.
    pub fn controller_manager(mut self) -> Self {
        self.optional.insert(Binary::KubeControllerManager);
        self
    }

    /// Adds kube-scheduler.
    pub fn scheduler(mut self) -> Self {
        self.optional.insert(Binary::KubeScheduler);
        self
    }

    /// Adds kwok, which makes Nodes ready and lets pods run: see [`kwok`](crate::kwok).
    pub fn kwok(mut self) -> Self {
        self.optional.insert(Binary::Kwok);
        self
    }

    /// kube-controller-manager, kube-scheduler and kwok: what a Job needs to complete. A Node is needed too:
    /// [`ControlPlane::create_node`].
    pub fn workloads(self) -> Self {
        self.controller_manager().scheduler().kwok()
    }

    /// kwok takes care of the Nodes with these labels only (a label selector). For use beside real nodes.
    pub fn kwok_nodes(mut self, label_selector: impl Into<String>) -> Self {
        self.kwok_nodes = Some(label_selector.into());
        self
    }

    /// Stages (YAML documents) for pods in the place of the built-in ones. The node stages stay.
    pub fn pod_stages(mut self, yaml: impl Into<String>) -> Self {
        self.pod_stages = Some(yaml.into());
        self
    }

    /// Installs Cluster API at the start: see [`ControlPlane::install_cluster_api`].
    pub fn cluster_api(mut self) -> Self {
        self.cluster_api = true;
        self
    }

    /// Adds flags to a component's own. A flag that is there already is overridden.
    pub fn flags<T: Into<String>>(mut self, binary: Binary, flags: impl IntoIterator<Item = T>) -> Self {
        self.flags.entry(binary).or_default().extend(flags.into_iter().map(Into::into));
        self
    }

    /// How long each component may take until it is ready; two minutes if not said.
    pub fn ready_within(mut self, within: Duration) -> Self {
        self.ready_within = within;
        self
    }

    /// Whether the temporary folder, with all logs, stays at the end. If not said: whether `KEEP=1` is in the environment.
    pub fn keep(mut self, keep: bool) -> Self {
        self.keep = keep;
        self
    }

    /// Where the temporary folder is made; the system's place for such folders if not said.
    pub fn folder_in(mut self, parent: impl Into<PathBuf>) -> Self {
        self.parent = parent.into();
        self
    }

    /// Builds what is missing (minutes when cold, with progress lines on standard error), starts everything and returns when it is
    /// ready.
    ///
    /// # Errors
    /// A component that ends or is late is named together with the end of its log. Whatever had started is stopped.
    pub async fn start(self) -> Result<ControlPlane> {
        let wanted = self.binaries();
        let binaries = tokio::task::spawn_blocking(move || Binaries::ensure(&wanted))
            .await
            .map_err(|error| Error::File { path: "go build".into(), source: error.into() })??;
        let folder = Folder::create(&self.parent, self.keep)?;
        start::start(self, binaries, folder).await
    }

    /// Whether it was asked for one of the optional components.
    pub(crate) fn runs(&self, binary: Binary) -> bool {
        self.optional.contains(&binary)
    }

    fn binaries(&self) -> Vec<Binary> {
        let mut wanted = vec![Binary::Etcd, Binary::KubeApiserver, Binary::Kubectl];
        wanted.extend(&self.optional);
        if self.cluster_api {
            wanted.extend(Binary::CLUSTER_API);
        }
        wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_asked_for_is_built() {
        let least = ControlPlaneBuilder::default();
        assert_eq!(least.binaries(), [Binary::Etcd, Binary::KubeApiserver, Binary::Kubectl]);
        let most = ControlPlaneBuilder::default().workloads().cluster_api();
        assert_eq!(most.binaries().len(), Binary::KUBERNETES.len() + Binary::CLUSTER_API.len());
    }
}
