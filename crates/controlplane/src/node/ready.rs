//! What a node is asked for while it runs: images, and whether it is ready.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tokio::process::Command;

use super::{NodeOptions, SandboxNode};
use crate::error::{Error, Result};
use crate::guard::{guarded, spawn_error};

const POLL: Duration = Duration::from_millis(100);

impl SandboxNode {
    /// Imports the images of an OCI layout in a tar file, as [`Image::write`](crate::image::Image::write) makes it. They are there after a
    /// reboot too. Awaits that containerd answers.
    ///
    /// # Errors
    /// containerd's refusal, or its silence with the ends of the logs.
    pub async fn import_image(&mut self, archive: &Path) -> Result<()> {
        self.await_containerd().await?;
        let init = self.inside().init().ok_or_else(|| self.not_booted())?;
        let mut command = Command::from(guarded("nsenter"));
        command
            .args(["--target", &init.to_string(), "--mount", "--"])
            .args(["ctr", "--namespace", "k8s.io", "images", "import", "-"])
            // The node does not see every file of the machine.
            .stdin(File::open(archive).map_err(Error::file(archive))?)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let output = command.output().await.map_err(spawn_error)?;
        if output.status.success() {
            return Ok(());
        }
        Err(Error::Command {
            command: format!("ctr images import {}", archive.display()),
            status: output.status.to_string(),
            output: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Awaits that the node has booted at least so often, and is Ready in its present boot. Gives that boot's id.
    ///
    /// # Errors
    /// The node's supervisor has ended, or it is late: with the ends of its logs.
    pub async fn await_ready(&mut self, boots: usize) -> Result<String> {
        let nodes: Api<Node> = Api::all(self.client.clone());
        let ready = tokio::time::timeout(self.ready_within, async {
            loop {
                self.keeper.check_alive()?;
                let booted = self.boot_ids();
                if booted.len() >= boots
                    && let Some(present) = booted.last()
                    // Not registered yet, or an API server that is busy: asked again.
                    && let Ok(Some(node)) = nodes.get_opt(&self.name).await
                    && is_ready(&node, present)
                {
                    return Ok(present.clone());
                }
                tokio::time::sleep(POLL).await;
            }
        });
        match ready.await {
            Ok(outcome) => outcome,
            Err(_) => Err(self.late("Ready")),
        }
    }

    pub(super) async fn set_labels(&self, options: &NodeOptions) -> Result<()> {
        if options.labels.is_empty() {
            return Ok(());
        }
        let labels: &BTreeMap<String, String> = &options.labels;
        let patch = Patch::Merge(json!({ "metadata": { "labels": labels } }));
        let nodes: Api<Node> = Api::all(self.client.clone());
        nodes.patch_metadata(&self.name, &PatchParams::default(), &patch).await?;
        Ok(())
    }

    async fn await_containerd(&mut self) -> Result<()> {
        let inside = self.inside();
        let answers = || {
            inside
                .nodes(Path::new("/run/containerd/containerd.sock"))
                .is_some_and(|socket| UnixStream::connect(socket).is_ok())
        };
        match self.keeper.await_ready(self.ready_within, async || answers()).await {
            Err(Error::NotReady { .. }) => Err(self.late("containerd")),
            outcome => outcome,
        }
    }

    fn late(&self, what: &str) -> Error {
        Error::NotReady {
            component: format!("{what} of sandbox node {}", self.name),
            within: self.ready_within,
            log: self.folder.path().join("logs"),
            tail: self.logs(),
        }
    }
}

/// Ready, as kubelet of this boot says: what the last boot's kubelet said stays until the next one speaks.
fn is_ready(node: &Node, boot_id: &str) -> bool {
    let Some(status) = &node.status else { return false };
    let conditions = status.conditions.as_deref().unwrap_or_default();
    status.node_info.as_ref().is_some_and(|info| info.boot_id == boot_id)
        && conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(boot_id: &str, ready: &str) -> Node {
        serde_json::from_value(json!({
            "status": {
                "nodeInfo": {
                    "bootID": boot_id, "architecture": "", "containerRuntimeVersion": "", "kernelVersion": "",
                    "kubeProxyVersion": "", "kubeletVersion": "", "machineID": "", "operatingSystem": "",
                    "osImage": "", "systemUUID": "",
                },
                "conditions": [{ "type": "Ready", "status": ready }],
            },
        }))
        .unwrap()
    }

    #[test]
    fn a_node_is_ready_in_its_present_boot_only() {
        assert!(is_ready(&node("b", "True"), "b"));
        assert!(!is_ready(&node("a", "True"), "b"));
        assert!(!is_ready(&node("b", "False"), "b"));
        assert!(!is_ready(&Node::default(), ""));
    }
}
