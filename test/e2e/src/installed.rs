//! A control plane on which we are installed as users do it, and what is left of it at the end.

use std::path::{Path, PathBuf};
use std::time::Duration;

use controlplane::{ControlPlane, ControlPlaneBuilder};
use domain::object::Kind;

use crate::error::Result;
use crate::manager::Manager;
use crate::objects::Objects;

/// The namespace of `config/default`.
pub const NAMESPACE: &str = "kubernetes-upgrader-system";
/// The ServiceAccount of `config/default`.
pub const ACCOUNT: &str = "kubernetes-upgrader-controller-manager";
/// The ServiceAccount as the API server knows it.
pub const USER: &str =
    "system:serviceaccount:kubernetes-upgrader-system:kubernetes-upgrader-controller-manager";

/// What is installed: one family of controllers, in its own namespace, under its own account.
#[derive(Clone, Copy, Debug)]
pub struct Product {
    /// The folder that `kubectl apply -k` is done with.
    pub folder: &'static str,
    /// Its namespace.
    pub namespace: &'static str,
    /// Name of its Deployment.
    pub deployment: &'static str,
    /// Its ServiceAccount.
    pub account: &'static str,
    /// The ServiceAccount as the API server knows it.
    pub user: &'static str,
    /// What its program is called with before any flag.
    pub arguments: &'static [&'static str],
    kinds: &'static [Kind],
}

/// The chain.
pub const CHAIN: Product = Product {
    folder: "config/default",
    namespace: NAMESPACE,
    deployment: ACCOUNT,
    account: ACCOUNT,
    user: USER,
    arguments: &[],
    kinds: &api::upgrader::KINDS,
};

/// Operations on nodes.
pub const NODES: Product = Product {
    folder: "config/nodes/default",
    namespace: "operator-system",
    deployment: "operator-kairos-operator",
    account: "operator-kairos-operator",
    user: "system:serviceaccount:operator-system:operator-kairos-operator",
    arguments: &["nodes"],
    kinds: &api::kairos::KINDS,
};

/// Pods of builds wait for a [`BuildActor`](crate::BuildActor).
const POD_STAGES: &str = include_str!("../fixtures/pod-stages.yaml");
const DEPLOYMENT: Kind = Kind { group: "apps", versions: &["v1"], kind: "Deployment", plural: "deployments" };
const ESTABLISHED_WITHIN: &str = "--timeout=60s";
const DEPLOYED_WITHIN: Duration = Duration::from_secs(60);

/// A control plane with one Node and with `kubectl apply -k config/default` done.
///
/// The Deployment is applied like everything else, so that what is tested is what is shipped, pod security included. kwok says
/// that its pod runs, but nothing does: who acts is a [`Manager`], our binary under the Deployment's ServiceAccount.
pub struct Installed {
    plane: ControlPlane,
    objects: Objects,
    product: Product,
}

impl Installed {
    /// What a control plane needs for all of our tests but Cluster API: `.cluster_api()` adds that.
    pub fn control_plane() -> ControlPlaneBuilder {
        ControlPlane::builder().workloads().pod_stages(POD_STAGES)
    }

    /// A new control plane with Cluster API, and us on it.
    pub async fn start_with_cluster_api() -> Result<Self> {
        Self::on(Box::pin(Self::control_plane().cluster_api().start()).await?).await
    }

    /// A new control plane without Cluster API, and us on it: seconds.
    pub async fn start() -> Result<Self> {
        Self::on(Self::control_plane().start().await?).await
    }

    /// A new control plane with operations on nodes on it. Its pods complete as kwok has it.
    pub async fn start_nodes() -> Result<Self> {
        Self::product_on(ControlPlane::builder().workloads().start().await?, NODES).await
    }

    /// Installs us on a control plane, such as one where an older version is.
    pub async fn on(plane: ControlPlane) -> Result<Self> {
        Box::pin(Self::product_on(plane, CHAIN)).await
    }

    /// The same for any product of ours.
    pub async fn product_on(plane: ControlPlane, product: Product) -> Result<Self> {
        plane.create_node("worker", &[]).await?;
        plane.apply_kustomize(&repository().join(product.folder)).await?;
        Self::awaited(plane, product).await
    }

    /// Awaits us on a control plane with a Node where `config/default` was applied in another way.
    pub async fn applied(plane: ControlPlane) -> Result<Self> {
        Box::pin(Self::awaited(plane, CHAIN)).await
    }

    /// The same on a control plane that has nodes.
    pub async fn on_own_nodes(plane: ControlPlane, product: Product) -> Result<Self> {
        plane.apply_kustomize(&repository().join(product.folder)).await?;
        Self::awaited(plane, product).await
    }

    /// The same on a control plane where nothing runs pods: the Deployment is not awaited.
    pub async fn without_pods(plane: ControlPlane, product: Product) -> Result<Self> {
        plane.apply_kustomize(&repository().join(product.folder)).await?;
        await_established(&plane, product.kinds).await?;
        let objects = Objects::new(plane.client().await?);
        Ok(Self { plane, objects, product })
    }

    async fn awaited(plane: ControlPlane, product: Product) -> Result<Self> {
        await_established(&plane, product.kinds).await?;
        let objects = Objects::new(plane.client().await?);
        objects
            .await_object(
                "the Deployment is available",
                (&DEPLOYMENT, product.namespace, product.deployment),
                DEPLOYED_WITHIN,
                |deployment| deployment["status"]["availableReplicas"] == 1,
            )
            .await?;
        Ok(Self { plane, objects, product })
    }

    /// What is installed.
    pub fn product(&self) -> &Product {
        &self.product
    }

    /// The control plane: kubectl, kubeconfigs, its audit log.
    pub fn plane(&self) -> &ControlPlane {
        &self.plane
    }

    /// The control plane, to be changed or to be taken apart.
    pub fn plane_mut(&mut self) -> &mut ControlPlane {
        &mut self.plane
    }

    /// Objects, as an administrator.
    pub fn objects(&self) -> &Objects {
        &self.objects
    }

    /// Starts our binary as the Deployment would, and awaits that it is ready.
    pub async fn start_manager(&self) -> Result<Manager> {
        self.start_manager_with(&["--leader-elect"]).await
    }

    /// Starts our binary with these flags, and awaits that it is ready. Where it is to be killed and started again, leave out
    /// `--leader-elect`: the next one would wait for 40 s until the lease of the dead one has run out.
    pub async fn start_manager_with(&self, flags: &[&str]) -> Result<Manager> {
        let manager = Manager::start_of(&self.product, &self.plane, flags).await?;
        manager.await_ready().await?;
        Ok(manager)
    }

    /// Ends the control plane, without checks: see [`Installed::finish`] for those.
    pub async fn stop(self) {
        self.plane.stop().await;
    }
}

/// `config/crd` on a control plane that may be an API server alone, established.
pub async fn install_crds(plane: &ControlPlane) -> Result<()> {
    plane.apply_kustomize(&repository().join("config/crd")).await?;
    await_established(plane, CHAIN.kinds).await
}

async fn await_established(plane: &ControlPlane, kinds: &[Kind]) -> Result<()> {
    let names: Vec<String> =
        kinds.iter().map(|kind| format!("crds/{}.{}", kind.plural, kind.group)).collect();
    // kubectl fails on an object that has no conditions yet, instead of waiting for them.
    for awaited in ["--for=jsonpath={.status.conditions}", "--for=condition=Established"] {
        let mut arguments = vec!["wait", awaited, ESTABLISHED_WITHIN];
        arguments.extend(names.iter().map(String::as_str));
        plane.run_kubectl(&arguments).await?;
    }
    Ok(())
}

/// The checkout that this was built from.
pub fn repository() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().nth(2).unwrap_or(own).to_path_buf()
}
