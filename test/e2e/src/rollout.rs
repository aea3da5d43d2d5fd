//! How far Cluster API is with an upgrade, read from the objects that show it to people.

use std::fmt;

use controlplane::ClassCluster;
use serde_json::Value;

use crate::error::Result;
use crate::objects::{Objects, capi};

/// The machines of a Cluster, against the version and image that they are to have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rollout {
    /// The control plane reports the version, and all its machines are up to date.
    pub control_plane: bool,
    /// Every MachineDeployment has the version, and all its machines are up to date.
    pub workers: bool,
    /// Machines of the version that are there and ready.
    pub machines_done: usize,
    /// All machines.
    pub machines: usize,
    /// KubeadmConfigs that hold the image.
    pub images: usize,
}

impl Rollout {
    /// Reads it. `image` is the id that must show in the KubeadmConfig of every machine.
    pub async fn of(
        objects: &Objects,
        (namespace, cluster): (&str, &str),
        version: &str,
        image: &str,
    ) -> Result<Self> {
        let list = async |kind| -> Result<Vec<Value>> {
            let mut all = objects.list(kind, namespace).await?;
            all.retain(|object| object["metadata"]["labels"]["cluster.x-k8s.io/cluster-name"] == cluster);
            Ok(all)
        };
        let control_planes = list(&capi::CONTROL_PLANE).await?;
        let deployments = list(&capi::MACHINE_DEPLOYMENT).await?;
        let machines = list(&capi::MACHINE).await?;
        let configs = list(&capi::KUBEADM_CONFIG).await?;
        let command = ClassCluster::image_command(image);
        let has_image = |config: &&Value| {
            let commands = config["spec"]["preKubeadmCommands"].as_array();
            commands.is_some_and(|commands| commands.iter().any(|found| *found == command))
        };
        Ok(Self {
            control_plane: !control_planes.is_empty()
                && control_planes
                    .iter()
                    .all(|plane| plane["status"]["version"] == version && is_rolled(plane)),
            workers: deployments.iter().all(|deployment| {
                deployment["spec"]["template"]["spec"]["version"] == version && is_rolled(deployment)
            }),
            machines_done: machines.iter().filter(|machine| is_done(machine, version)).count(),
            machines: machines.len(),
            images: configs.iter().filter(has_image).count(),
        })
    }

    /// Nothing is left to be done, and the image shows everywhere.
    pub fn is_complete(&self) -> bool {
        self.control_plane
            && self.workers
            && self.machines > 0
            && self.machines_done == self.machines
            && self.images == self.machines
    }
}

impl fmt::Display for Rollout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} machines", self.machines_done, self.machines)
    }
}

/// All replicas wanted are there and up to date, and the object has seen its own spec.
fn is_rolled(object: &Value) -> bool {
    let (spec, status) = (&object["spec"], &object["status"]);
    status["observedGeneration"] == object["metadata"]["generation"]
        && spec["replicas"] == status["replicas"]
        && spec["replicas"] == status["upToDateReplicas"]
        && spec["replicas"] == status["readyReplicas"]
}

fn is_done(machine: &Value, version: &str) -> bool {
    machine["spec"]["version"] == version
        && machine["metadata"]["deletionTimestamp"].is_null()
        && machine["status"]["phase"] == "Running"
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rolled_is_what_has_seen_its_spec_and_has_no_old_replica() {
        let mut object = json!({
            "metadata": {"generation": 2}, "spec": {"replicas": 2},
            "status": {"observedGeneration": 2, "replicas": 2, "upToDateReplicas": 2, "readyReplicas": 2},
        });
        assert!(is_rolled(&object));
        object["status"]["replicas"] = 3.into();
        assert!(!is_rolled(&object));
        object["status"]["replicas"] = 2.into();
        object["status"]["observedGeneration"] = 1.into();
        assert!(!is_rolled(&object));
    }
}
