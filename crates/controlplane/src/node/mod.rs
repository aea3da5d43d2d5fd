//! A real node that really reboots: kubelet and containerd in a sandbox that survives `reboot(2)`.
//!
//! ```no_run
//! # async fn example(manager: &std::path::Path) -> controlplane::Result<()> {
//! use controlplane::node::{self, NodeOptions, SandboxNode};
//! use controlplane::{ControlPlane, image};
//!
//! if node::skipped("the name of the test") {
//!     return Ok(()); // it has been said what is missing
//! }
//! let cluster = ControlPlane::builder().controller_manager().scheduler().start().await?;
//! let mut node = SandboxNode::start(&cluster, "worker", NodeOptions::default()).await?;
//! let archive = cluster.folder().join("manager.tar");
//! image::manager("example.com/manager:test", manager)?.write(&archive)?;
//! node.import_image(&archive).await?; // for pods with imagePullPolicy IfNotPresent
//! node.reboot_by_itself()?;
//! let boot_id = node.await_ready(2).await?; // the id of its second boot
//! # drop(boot_id); Ok(())
//! # } // dropped: no process, mount, network or control group is left
//! ```
//!
//! The node is process 1 of a PID namespace, with mount and UTS namespaces of its own: `reboot(2)` ends it, and its supervisor boots it
//! again, with another boot id. The supervisor is process 1 of a namespace in between, and has what outlives a boot: the network
//! namespace, the control groups, and the node's disk, an overlay in memory above this machine's root. So `hostPath: /` is the node,
//! and what is written there is on the node only. When the process that started it ends, however that happens, the kernel ends
//! all of them, and their mounts and networks with them. The kernel, `/dev` and, read only to the overlay, the files are this machine's: a
//! sandbox for our own tests, not for code that nobody has read.
//!
//! In the node's network the API server answers at `127.0.0.1`, at its own port, for kubeconfigs of the
//! [`ControlPlane`], and at `10.0.0.1:443`, for what runs in pods. There is no DNS, and no way out. Pods have a bridge, or
//! `hostNetwork`. `kubectl logs` does not get in: see [`SandboxNode::pod_log`].

mod cgroups;
mod files;
mod inside;
mod needs;
mod options;
mod ready;
mod relay;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::Client;

use crate::binaries::Binary;
use crate::control_plane::ControlPlane;
use crate::error::{Error, Result};
use crate::folder::Folder;
use crate::go_build::Binaries;
use crate::guard::Spawner;
use crate::image;
use crate::process::{self, Process, Spec};

use cgroups::Groups;
use inside::Inside;
use relay::Relay;

pub(crate) use needs::find_program;
pub use needs::{missing, skipped};
pub use options::NodeOptions;

/// The address of the Service `kubernetes`: the first of those that the API server gives to Services.
const SERVICE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 443);

/// A node that runs. Dropping it ends every process of it and leaves neither mount nor control group nor folder; its Node object stays, as
/// that of a machine that is gone.
pub struct SandboxNode {
    name: String,
    client: Client,
    ready_within: Duration,
    // Dropped in this order, after `Drop` has ended the processes.
    relay: Option<Relay>,
    keeper: Process,
    _spawner: Spawner,
    groups: Groups,
    folder: Folder,
}

impl SandboxNode {
    /// Starts a node of a control plane, and returns when it is Ready. Builds kubelet first if it is not built.
    ///
    /// # Errors
    /// What [`missing`] says; a name that no node can have; a control plane whose kwok takes care of all nodes; a node that ends or
    /// is late, with the ends of its logs. Whatever had started is stopped.
    pub async fn start(plane: &ControlPlane, name: &str, options: NodeOptions) -> Result<Self> {
        options::check_name(name)?;
        if let Some(missing) = missing() {
            return Err(Error::NoSandbox(missing));
        }
        if plane.builder.runs(Binary::Kwok) && plane.builder.kwok_nodes.is_none() {
            return Err(Error::NoSandbox(
                "kwok takes care of all nodes, real ones too: say which are its own with kwok_nodes()"
                    .to_owned(),
            ));
        }
        let kubelet = tokio::task::spawn_blocking(|| Binaries::ensure(&[Binary::Kubelet]))
            .await
            .map_err(|error| Error::File { path: "go build".into(), source: error.into() })??;
        let folder = Folder::create(&plane.builder.parent, plane.builder.keep)?;
        let logs = folder.folder("logs")?;
        write_files(&folder, plane, name, &options, kubelet.require(Binary::Kubelet)?)?;
        let groups = Groups::create(&folder.suffix())?;
        let spawner = Spawner::start()?;
        let spec = Spec {
            name: "supervisor",
            program: Path::new("/bin/sh"),
            flags: entering(&folder, &groups),
            environment: Vec::new(),
        };
        let mut node = Self {
            name: name.to_owned(),
            client: plane.client().await?,
            ready_within: plane.builder.ready_within,
            relay: None,
            keeper: Process::start(&spawner, &logs, spec)?,
            _spawner: spawner,
            groups,
            folder,
        };
        node.connect(plane).await?;
        node.import_pause_image().await?;
        node.await_ready(1).await?;
        node.set_labels(&options).await?;
        Ok(node)
    }

    /// The Node object's name, which is also the node's host name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How often it has booted: 1 before its first reboot.
    pub fn boots(&self) -> usize {
        self.boot_ids().len()
    }

    /// The id of each boot, the present one last: what `status.nodeInfo.bootID` shows as soon as kubelet is up.
    pub fn boot_ids(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder.path().join("boots")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Cuts its power: everything on it ends at once, and it boots again.
    ///
    /// # Errors
    /// It is not booted at this moment.
    pub fn reboot_by_itself(&self) -> Result<()> {
        let init = self.inside().init().ok_or_else(|| self.not_booted())?;
        inside::end_namespace(init)
    }

    /// A file of the node's own disk, such as `/etc/node-marker`; none if it is not there. Also while it boots.
    pub fn read(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        fs::read(self.on_disk(path.as_ref())?).ok()
    }

    /// Writes a file of the node's own disk, as its administrator would. Its folder is made; a link in its path may lead astray.
    ///
    /// # Errors
    /// The node has ended, or the system's answer.
    pub fn write(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> Result<()> {
        let path = self.on_disk(path.as_ref()).ok_or_else(|| self.not_booted())?;
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(Error::file(parent))?;
        }
        fs::write(&path, content).map_err(Error::file(&path))
    }

    /// What the containers of a pod have printed, each run after the other, as containerd keeps it: a time, the stream, `F` or `P`,
    /// and the line. Empty if there is nothing.
    pub fn pod_log(&self, namespace: &str, pod: &str) -> String {
        let Some(logs) = self.on_disk(Path::new("/var/log/pods")) else { return String::new() };
        let prefix = format!("{namespace}_{pod}_");
        let ours = entries(&logs)
            .into_iter()
            .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix)));
        let runs = ours.flat_map(|pod| entries(&pod)).flat_map(|container| entries(&container));
        runs.filter_map(|run| fs::read_to_string(run).ok()).collect()
    }

    /// The ends of the logs of the supervisor, containerd and kubelet, for the message of a failure.
    pub fn logs(&self) -> String {
        let logs = self.folder.path().join("logs");
        let shown = ["supervisor", "containerd", "kubelet"].map(|name| {
            let path = logs.join(format!("{name}.log"));
            format!("{}:\n{}\n", path.display(), process::tail(&path))
        });
        shown.concat()
    }

    /// Its folder on this machine: `logs/`, and what containerd and kubelet keep.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its control groups on this machine, one in each hierarchy.
    pub fn control_groups(&self) -> &[PathBuf] {
        self.groups.folders()
    }

    /// Ends it, like a drop, without blocking the runtime's thread.
    pub async fn stop(self) {
        // Fails only if the end panics, which has printed why.
        let _ = tokio::task::spawn_blocking(move || drop(self)).await;
    }

    fn inside(&self) -> Inside {
        Inside::of(self.keeper.id())
    }

    /// The supervisor's view: there it is while the node boots, and without what is mounted on the node only.
    fn on_disk(&self, path: &Path) -> Option<PathBuf> {
        let system = self.folder.path().join("root/system");
        self.inside().supervisors(&system.join(path.strip_prefix("/").unwrap_or(path)))
    }

    fn not_booted(&self) -> Error {
        Error::NotReady {
            component: format!("sandbox node {}", self.name),
            within: Duration::ZERO,
            log: self.folder.path().join("logs"),
            tail: self.logs(),
        }
    }

    /// Awaits the node's network, and opens the way to the API server in it.
    async fn connect(&mut self, plane: &ControlPlane) -> Result<()> {
        let marker = self.folder.path().join("network");
        self.keeper.await_ready(self.ready_within, async || marker.exists()).await?;
        let server = server_address(plane.server())?;
        let supervisor = self.inside().supervisor().ok_or_else(|| self.not_booted())?;
        let network = PathBuf::from(format!("/proc/{supervisor}/ns/net"));
        self.relay = Some(Relay::start(&network, vec![server, SERVICE], server)?);
        Ok(())
    }

    async fn import_pause_image(&mut self) -> Result<()> {
        let archive = self.folder.path().join("pause.tar");
        let busybox = image::busybox::find().ok_or_else(|| self.not_booted())?;
        image::busybox::pause(files::PAUSE_IMAGE, &busybox)?.write(&archive)?;
        self.import_image(&archive).await
    }
}

impl Drop for SandboxNode {
    fn drop(&mut self) {
        // The supervisor's end is the end of all; its parent, which is our child, has then nothing left to wait for.
        if let Some(supervisor) = self.inside().supervisor() {
            // It may have ended by itself, which is what we want.
            let _ = inside::end_namespace(supervisor);
        }
        process::end_together(std::slice::from_mut(&mut self.keeper));
        drop(self.relay.take());
    }
}

/// The arguments of the shell that joins the control groups and enters the namespaces.
fn entering(folder: &Folder, groups: &Groups) -> Vec<String> {
    let shown = |path: &Path| path.display().to_string();
    let mut arguments = vec![
        shown(&folder.path().join("enter.sh")),
        shown(folder.path()),
        groups.leaf().map(shown).unwrap_or_default(),
    ];
    arguments.extend(groups.folders().iter().map(|group| shown(group)));
    arguments
}

/// Everything that the supervisor and the node read.
fn write_files(
    folder: &Folder,
    plane: &ControlPlane,
    name: &str,
    options: &NodeOptions,
    kubelet: &Path,
) -> Result<()> {
    for place in ["root", "containerd", "kubelet"] {
        folder.folder(place)?;
    }
    let plugins = needs::plugin_folder().ok_or_else(|| Error::NoSandbox("no CNI plugins".to_owned()))?;
    let address = files::address(name);
    let user = format!("system:node:{name}");
    let flags = plane.with_added_flags(Binary::Kubelet, files::kubelet_flags(name, address));
    folder.write("enter.sh", include_str!("enter.sh"))?;
    folder.write("supervisor.sh", include_str!("supervisor.sh"))?;
    folder.write("init.sh", include_str!("init.sh"))?;
    folder.write("address", &format!("{address}/24"))?;
    folder.write("settings", &files::settings(name, kubelet, &flags))?;
    folder.write("off-for", &options.off_for.as_secs_f64().to_string())?;
    folder.write("boots", "")?;

    let root = folder.folder("files")?;
    let put = |path: &str, mode: u32, content: &str| put(&root, Path::new(path), mode, content);
    put(files::CONTAINERD, 0o644, &files::containerd(plugins))?;
    put(files::NETWORK, 0o644, &files::network(address).to_string())?;
    put(files::KUBELET, 0o644, &files::kubelet().to_string())?;
    put(files::KUBECONFIG, 0o600, &plane.kubeconfig_for_user(&user, &["system:nodes"])?)?;
    put(files::AUTHORITY, 0o644, &plane.authority.pem())?;
    put(files::MACHINE_ID, 0o444, &files::machine_id(name))?;
    // An installed system's own would ask an init that is not there.
    put(files::REBOOT, 0o755, include_str!("reboot.sh"))?;
    for file in &options.files {
        put(&file.path.to_string_lossy(), file.mode, &file.content)?;
    }
    Ok(())
}

/// Writes a file of the node's root into the folder that the supervisor copies there.
fn put(root: &Path, path: &Path, mode: u32, content: &str) -> Result<()> {
    let path = root.join(path.strip_prefix("/").unwrap_or(path));
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(Error::file(parent))?;
    }
    fs::write(&path, content).map_err(Error::file(&path))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).map_err(Error::file(&path))
}

/// The API server's address, from its URL.
fn server_address(url: &str) -> Result<SocketAddr> {
    url.trim_start_matches("https://").parse().map_err(|_| Error::Manifest {
        manifest: url.to_owned(),
        reason: "not https and an address".to_owned(),
    })
}

/// What is in a folder, in order; nothing if it cannot be read.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}
