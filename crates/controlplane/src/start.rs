//! The start of a control plane, component after component.

use std::path::PathBuf;

use crate::binaries::Binary;
use crate::builder::ControlPlaneBuilder;
use crate::certificates::{Authority, ServiceAccountKeys};
use crate::control_plane::{ControlPlane, Parts};
use crate::error::{Error, Result};
use crate::flags::{self, Files};
use crate::folder::Folder;
use crate::go_build::Binaries;
use crate::guard::Spawner;
use crate::kubeconfig::{self, Credential};
use crate::kubectl::Kubectl;
use crate::kwok;
use crate::ports::Port;
use crate::probe;
use crate::process::{Process, Spec};
use crate::rendered::Rendered;

/// How often a component is started anew because a stranger took its port.
const TRIES: usize = 5;

/// Starts what the builder asks for. On failure whatever runs is ended by the drop of [`ControlPlane`].
pub(crate) async fn start(
    builder: ControlPlaneBuilder,
    binaries: Binaries,
    folder: Folder,
) -> Result<ControlPlane> {
    let authority = Authority::new()?;
    let written = Written::write(&folder, &authority)?;
    let logs = folder.folder("logs")?;
    let admin = authority.client("kubernetes-admin", &["system:masters"])?;
    let kubectl = Kubectl {
        program: binaries.require(Binary::Kubectl)?.to_path_buf(),
        kubeconfig: folder.path().join("admin.kubeconfig"),
        folder: folder.folder("kubectl")?,
    };
    let mut plane = ControlPlane::from_parts(Parts {
        builder,
        binaries,
        folder,
        logs,
        authority,
        kubectl,
        spawner: Spawner::start()?,
        audit_log: written.audit_log.clone(),
    });

    let etcd = start_etcd(&mut plane).await?;
    let api_server = start_api_server(&mut plane, &written, etcd.number).await?;
    plane.server = flags::url("https", api_server.number);
    plane.ports.extend([etcd, api_server]);
    plane.admin = kubeconfig::render(&plane.server, &plane.authority.pem(), &Credential::Certificate(&admin));
    plane.folder.write("admin.kubeconfig", &plane.admin)?;
    await_api_server(&mut plane).await?;

    if plane.builder.runs(Binary::KubeControllerManager) {
        let config = plane.component_kubeconfig("system:kube-controller-manager", &[])?;
        let own = flags::kube_controller_manager(&written.files(), &config);
        plane.start_component(Binary::KubeControllerManager, own, Vec::new())?;
    }
    if plane.builder.runs(Binary::KubeScheduler) {
        let config = plane.component_kubeconfig("system:kube-scheduler", &[])?;
        plane.start_component(Binary::KubeScheduler, flags::kube_scheduler(&config), Vec::new())?;
    }
    if plane.builder.runs(Binary::Kwok) {
        start_kwok(&mut plane)?;
    }
    if plane.builder.runs(Binary::KubeControllerManager) {
        await_controller_manager(&mut plane).await?;
    }
    if plane.builder.cluster_api {
        plane.install_cluster_api().await?;
    }
    Ok(plane)
}

/// Files that components read.
struct Written {
    authority: PathBuf,
    serving_certificate: PathBuf,
    serving_key: PathBuf,
    service_account_key: PathBuf,
    service_account_public_key: PathBuf,
    audit_policy: PathBuf,
    audit_log: PathBuf,
}

impl Written {
    fn write(folder: &Folder, authority: &Authority) -> Result<Self> {
        let serving = authority.serving()?;
        let keys = ServiceAccountKeys::new()?;
        folder.folder("certificates")?;
        Ok(Self {
            authority: folder.write("certificates/ca.crt", &authority.pem())?,
            // Under these names Cluster API's managers find them too.
            serving_certificate: folder.write("certificates/tls.crt", &serving.certificate)?,
            serving_key: folder.write("certificates/tls.key", &serving.key)?,
            service_account_key: folder.write("certificates/service-account.key", &keys.private)?,
            service_account_public_key: folder.write("certificates/service-account.pub", &keys.public)?,
            audit_policy: folder.write("audit-policy.yaml", flags::AUDIT_POLICY)?,
            audit_log: folder.path().join("audit.log"),
        })
    }

    fn files(&self) -> Files<'_> {
        Files {
            authority: &self.authority,
            serving_certificate: &self.serving_certificate,
            serving_key: &self.serving_key,
            service_account_key: &self.service_account_key,
            service_account_public_key: &self.service_account_public_key,
            audit_policy: &self.audit_policy,
            audit_log: &self.audit_log,
        }
    }
}

/// Starts etcd and gives its client port.
async fn start_etcd(plane: &mut ControlPlane) -> Result<Port> {
    let data = plane.folder.folder("etcd")?;
    for attempt in 1.. {
        let (client, peer) = (Port::claim()?, Port::claim()?);
        let own = flags::etcd(&data, client.number, peer.number);
        let mut process = spawn(plane, Binary::Etcd, own)?;
        let ready = process
            .await_ready(plane.builder.ready_within, async || probe::http_ok(client.number, "/readyz").await);
        match ready.await {
            Err(error) if error.is_port_taken() && attempt < TRIES => {
                drop(std::fs::remove_file(&process.log))
            }
            outcome => {
                plane.processes.push(process);
                plane.ports.push(peer);
                return outcome.map(|()| client);
            }
        }
    }
    Err(Error::NoSpawner)
}

/// Starts kube-apiserver and gives its port, when somebody listens there.
async fn start_api_server(plane: &mut ControlPlane, written: &Written, etcd_port: u16) -> Result<Port> {
    for attempt in 1.. {
        let port = Port::claim()?;
        let own = flags::kube_apiserver(&written.files(), plane.folder.path(), etcd_port, port.number);
        let mut process = spawn(plane, Binary::KubeApiserver, own)?;
        let ready =
            process.await_ready(plane.builder.ready_within, async || probe::listens(port.number).await);
        match ready.await {
            Err(error) if error.is_port_taken() && attempt < TRIES => {
                drop(std::fs::remove_file(&process.log))
            }
            outcome => {
                plane.processes.push(process);
                return outcome.map(|()| port);
            }
        }
    }
    Err(Error::NoSpawner)
}

fn spawn(plane: &ControlPlane, binary: Binary, own: Vec<String>) -> Result<Process> {
    let spec = Spec {
        name: binary.name(),
        program: plane.binaries.require(binary)?,
        flags: plane.with_added_flags(binary, own),
        environment: Vec::new(),
    };
    Process::start(&plane.spawner, &plane.logs, spec)
}

/// Ready means ready for objects: the built-in roles and the namespace `default` are there.
async fn await_api_server(plane: &mut ControlPlane) -> Result<()> {
    let client = plane.client().await?;
    let within = plane.builder.ready_within;
    for path in ["/readyz", "/api/v1/namespaces/default"] {
        plane
            .process(Binary::KubeApiserver)?
            .await_ready(within, async || probe::answers(&client, path).await)
            .await?;
    }
    Ok(())
}

/// It serves no port here; that it has made the ServiceAccount without which no pod can be made shows that it works.
async fn await_controller_manager(plane: &mut ControlPlane) -> Result<()> {
    let client = plane.client().await?;
    let within = plane.builder.ready_within;
    plane
        .process(Binary::KubeControllerManager)?
        .await_ready(within, async || {
            probe::answers(&client, "/api/v1/namespaces/default/serviceaccounts/default").await
        })
        .await
}

fn start_kwok(plane: &mut ControlPlane) -> Result<()> {
    let read = |path: PathBuf| std::fs::read_to_string(&path).map_err(Error::file(&path));
    let stages = kwok::stages(
        &read(plane.binaries.rendered(Rendered::NodeStages)?)?,
        &read(plane.binaries.rendered(Rendered::PodStages)?)?,
        plane.builder.pod_stages.as_deref(),
    )?;
    let stages = plane.folder.write("kwok-stages.yaml", &stages)?;
    let config = plane.component_kubeconfig("kwok", &["system:masters"])?;
    let own = flags::kwok(&config, &stages, plane.builder.kwok_nodes.as_deref());
    plane.start_component(Binary::Kwok, own, Vec::new())
}
