//! What is written before a node's first boot, and the command that starts it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::cgroups::Groups;
use super::{NodeOptions, files, needs};
use crate::binaries::Binary;
use crate::control_plane::ControlPlane;
use crate::error::{Error, Result};
use crate::folder::Folder;

/// The arguments of the shell that joins the control groups and enters the namespaces.
pub(super) fn entering(folder: &Folder, groups: &Groups) -> Vec<String> {
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
pub(super) fn write_files(
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
