//! What is never stored because it follows from what is: the objects that Cluster API makes of a topology, and the pods of
//! Jobs. They can be read and listed, not watched.

use api::batch::{job, pod};
use api::capi::machine_pool::POOL_NAME_LABEL;
use api::capi::{CLUSTER_NAME_LABEL, GROUP, TOPOLOGY_OWNED_LABEL, cluster};
use domain::object::{ObjectKey, api_version};
use serde_json::{Value, json};

use super::World;
use super::clusters::{Group, Part};
use crate::apiserver::catalogue::Id;

impl World {
    /// The objects of a resource that is not stored, in one namespace or in all; nothing where it is stored.
    pub(crate) fn made(&self, id: Id, namespace: &str) -> Option<Vec<Value>> {
        let resource = self.catalogue.get(id);
        if !resource.made {
            return None;
        }
        if *resource.kind == *pod::KIND.kind && *resource.group == *pod::KIND.group {
            return Some(self.pods(namespace));
        }
        let part = match &*resource.kind {
            "KubeadmControlPlane" => Some(Part::ControlPlane),
            "MachineDeployment" => Some(Part::Deployment),
            "MachinePool" => Some(Part::Pool),
            "Machine" if *resource.group == *GROUP => None,
            _ => return None,
        };
        let clusters = self.catalogue.of_kind(GROUP, cluster::KIND.kind)?;
        let mut made = Vec::new();
        for (key, state) in &self.clusters.states {
            if !(namespace.is_empty() || *key.namespace == *namespace) {
                continue;
            }
            let Some(cluster) = self.objects.get(clusters, key) else { continue };
            let uid = cluster.value["metadata"]["uid"].as_str().unwrap_or_default();
            for group in &state.groups {
                match part {
                    Some(part) if group.part == part => made.push(of_group(key, uid, group)),
                    Some(_) => {}
                    None => made.extend(machines(key, uid, group)),
                }
            }
        }
        Some(made)
    }

    /// The pods of the Jobs that have ended well: the one thing that is asked of a pod is what it left.
    fn pods(&self, namespace: &str) -> Vec<Value> {
        let Some(id) = self.catalogue.of_kind(job::KIND.group, job::KIND.kind) else { return Vec::new() };
        let jobs = self.objects.all(id).filter(|(key, job)| {
            (namespace.is_empty() || *key.namespace == *namespace) && job["status"]["succeeded"] == 1
        });
        jobs.map(|(key, job)| {
            let uid = &job["metadata"]["uid"];
            json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {
                    "name": format!("{}-0", key.name), "namespace": key.namespace,
                    "uid": format!("{}-0", uid.as_str().unwrap_or_default()), "resourceVersion": "1",
                    "labels": {pod::CONTROLLER_UID_LABEL: uid},
                    "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": key.name, "uid": uid,
                        "controller": true}],
                },
                "spec": job["spec"]["template"]["spec"],
                "status": {"phase": "Succeeded", "containerStatuses": []},
            })
        })
        .collect()
    }
}

fn name_of(cluster: &str, group: &Group) -> String {
    match group.part {
        Part::ControlPlane => cluster.to_owned(),
        Part::Deployment | Part::Pool => format!("{cluster}-{}", group.name),
    }
}

fn metadata(key: &ObjectKey, uid: &str, name: &str) -> Value {
    let owner =
        json!({"apiVersion": api_version(GROUP, "v1beta2"), "kind": "Cluster", "name": key.name, "uid": uid});
    json!({
        "name": name, "namespace": key.namespace, "uid": format!("{uid}-{name}"), "resourceVersion": "1",
        "generation": 1, "ownerReferences": [owner],
        "labels": {CLUSTER_NAME_LABEL: key.name, TOPOLOGY_OWNED_LABEL: ""},
    })
}

fn of_group(key: &ObjectKey, uid: &str, group: &Group) -> Value {
    let name = name_of(&key.name, group);
    let (version, replicas, up_to_date) = (&*group.wanted.version, group.machines.len(), group.up_to_date());
    let mut versions: Vec<&str> = group.machines.iter().map(|machine| &*machine.version).collect();
    versions.sort_unstable();
    versions.dedup();
    let status = json!({
        "observedGeneration": 1, "replicas": replicas, "upToDateReplicas": up_to_date, "readyReplicas": replicas,
        "versions": versions.iter().map(|version| json!({"version": version})).collect::<Vec<_>>(),
    });
    let mut metadata = metadata(key, uid, &name);
    let template = json!({"spec": {"clusterName": key.name, "version": version}});
    let of_workers = json!({"clusterName": key.name, "replicas": replicas, "template": template});
    match group.part {
        Part::ControlPlane => {
            let mut status = status;
            status["version"] = json!(versions.first());
            json!({"apiVersion": "controlplane.cluster.x-k8s.io/v1beta2", "kind": "KubeadmControlPlane",
                "metadata": metadata, "spec": {"version": version, "replicas": replicas}, "status": status})
        }
        Part::Deployment => json!({"apiVersion": api_version(GROUP, "v1beta2"), "kind": "MachineDeployment",
            "metadata": metadata, "spec": of_workers, "status": status}),
        Part::Pool => {
            metadata["labels"][POOL_NAME_LABEL] = json!(group.name);
            json!({"apiVersion": api_version(GROUP, "v1beta2"), "kind": "MachinePool",
                "metadata": metadata, "spec": of_workers, "status": status})
        }
    }
}

fn machines(key: &ObjectKey, uid: &str, group: &Group) -> Vec<Value> {
    let base = name_of(&key.name, group);
    let each = group.machines.iter().enumerate();
    each.map(|(number, machine)| {
        let name = format!("{base}-{number}");
        json!({"apiVersion": api_version(GROUP, "v1beta2"), "kind": "Machine",
            "metadata": metadata(key, uid, &name),
            "spec": {"clusterName": key.name, "version": &*machine.version},
            "status": {"phase": "Running", "nodeInfo": {"kubeletVersion": &*machine.version}}})
    })
    .collect()
}
