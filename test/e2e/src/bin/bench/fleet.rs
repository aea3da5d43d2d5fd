//! The objects of the bench: a class, machine images, and Clusters as large as real ones, each with its upgrader.

use serde_json::{Value, json};

/// Where all of them are.
pub(crate) const NAMESPACE: &str = "fleet";
/// The version of all Clusters.
pub(crate) const FROM: &str = "v1.35.49";
/// The version that is published.
pub(crate) const TO: &str = "v1.35.50";
/// The class of all Clusters.
pub(crate) const CLASS: &str = "class";
/// The plan of all upgraders.
pub(crate) const PLAN: &str = "plan";
/// The range of the plan and of the syncer.
pub(crate) const RANGE: &str = "v1.35.x";
/// The variable that takes the image.
pub(crate) const VARIABLE: &str = "image";
/// Of the source, the syncer and the template.
pub(crate) const NAME: &str = "debian";
/// The minors of the machine images, the last one that of [`FROM`], with so many patches each.
const MINORS: std::ops::RangeInclusive<u32> = 26..=35;
const PATCHES: u32 = 50;

/// The name of a Cluster and of its upgrader.
pub(crate) fn name(number: u32) -> String {
    format!("cluster-{number:05}")
}

/// The id that the build of a version tells: the one of [`e2e::Part::usual`].
pub(crate) fn image_id(version: &str) -> String {
    format!("registry.example.org/node:{version}")
}

/// The versions that the repository lists from the beginning, in the notation of packages.
pub(crate) fn published() -> impl Iterator<Item = String> {
    (0..PATCHES).map(|patch| format!("1.35.{patch}-1.1"))
}

fn pod_spec() -> Value {
    json!({
        "restartPolicy": "Never",
        "containers": [{
            "name": "build", "image": "registry.example.org/image-builder:v0.1.50",
            "command": ["/home/imagebuilder/build.sh"], "args": ["--provider=vsphere", "--os=ubuntu-2404"],
            "env": [{"name": "PACKER_LOG", "value": "1"}, {"name": "HTTPS_PROXY", "value": "http://proxy.example.org:3128"}],
            "resources": {"requests": {"cpu": "2", "memory": "4Gi"}, "limits": {"memory": "8Gi"}},
            "volumeMounts": [{"name": "credentials", "mountPath": "/var/run/credentials", "readOnly": true}],
        }],
        "volumes": [{"name": "credentials", "secret": {"secretName": "vsphere-credentials"}}],
    })
}

/// All machine images but the one that the chain makes: they exist already.
pub(crate) fn images() -> impl Iterator<Item = Value> {
    let versions = MINORS.flat_map(|minor| (0..PATCHES).map(move |patch| format!("v1.{minor}.{patch}")));
    versions.filter(|version| version != FROM).map(|version| {
        json!({
            "metadata": {"name": format!("node-{version}"), "labels": {"os": "ubuntu-2404", "team": "platform"}},
            "spec": {"version": version, "id": image_id(&version), "jobTemplate": {"spec": pod_spec()}},
        })
    })
}

/// What machine images are made from.
pub(crate) fn template() -> Value {
    json!({"metadata": {"name": NAME}, "spec": {"template": {"spec": {"jobTemplate": {"spec": pod_spec()}}}}})
}

/// The repository's source. It is fetched when the bench asks for it.
pub(crate) fn source(url: &str) -> Value {
    json!({"metadata": {"name": NAME}, "spec": {"url": url, "interval": "1h"}})
}

/// The newest version becomes a machine image.
pub(crate) fn syncer(source_api_version: &str) -> Value {
    json!({"metadata": {"name": NAME}, "spec": {
        "versionRange": RANGE,
        "sourceRef": {"apiVersion": source_api_version, "kind": "DebianRepositorySource", "name": NAME},
        "machineImageTemplateRef": {"name": NAME},
    }})
}

/// Without a limit of how many roll.
pub(crate) fn plan() -> Value {
    json!({"metadata": {"name": PLAN}, "spec": {"versionRange": RANGE}})
}

/// An upgrader of a Cluster.
pub(crate) fn upgrader(name: &str, cluster: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {
        "clusterName": cluster, "planRef": {"name": PLAN}, "topologyVariable": VARIABLE,
    }})
}

/// The class of all Clusters.
pub(crate) fn class() -> Value {
    let template = |kind: &str| json!({"templateRef": {"apiVersion": "infrastructure.cluster.x-k8s.io/v1beta2", "kind": kind, "name": "x"}});
    json!({"metadata": {"name": CLASS}, "spec": {
        "infrastructure": template("VSphereClusterTemplate"), "controlPlane": template("KubeadmControlPlaneTemplate"),
    }})
}

/// What Cluster API says of the class.
pub(crate) fn class_status() -> Value {
    let string = json!({"openAPIV3Schema": {"type": "string"}});
    let definitions = json!([{"from": "inline", "required": false, "schema": string}]);
    json!({"status": {
        "observedGeneration": 1,
        "conditions": [{
            "type": "VariablesReady", "status": "True", "reason": "VariablesReady", "message": "",
            "observedGeneration": 1, "lastTransitionTime": "2026-11-20T10:00:00Z",
        }],
        "variables": [{"name": VARIABLE, "definitionsConflict": false, "definitions": definitions}],
    }})
}

/// A Cluster as a team applies it with kubectl, which leaves a copy of it in an annotation, and as Cluster API completes it.
pub(crate) fn cluster(number: u32) -> Value {
    let name = name(number);
    let workers: Vec<Value> = ["general", "memory", "ingress"]
        .iter()
        .map(|group| {
            json!({
                "class": "default-worker", "name": group, "replicas": 4, "failureDomain": "zone-a",
                "metadata": {"labels": {"node.example.org/group": group}, "annotations": {"example.org/owner": "team-a"}},
            })
        })
        .collect();
    let topology = json!({
        "classRef": {"name": CLASS}, "version": FROM, "variables": variables(number),
        "controlPlane": {"replicas": 3, "metadata": {"labels": {"node.example.org/group": "control-plane"}}},
        "workers": {"machineDeployments": workers},
    });
    let network = json!({
        "pods": {"cidrBlocks": ["192.168.0.0/16"]}, "services": {"cidrBlocks": ["10.128.0.0/12"]},
        "serviceDomain": "cluster.local",
    });
    let labels =
        json!({"environment": "production", "region": "eu-central", "team": format!("team-{}", number % 40)});
    let applied = json!({
        "apiVersion": "cluster.x-k8s.io/v1beta2", "kind": "Cluster",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
        "spec": {"clusterNetwork": network, "topology": topology},
    });
    let mut cluster = applied.clone();
    cluster["metadata"]["annotations"] =
        json!({"kubectl.kubernetes.io/last-applied-configuration": applied.to_string()});
    cluster["metadata"]["finalizers"] = json!(["cluster.cluster.x-k8s.io"]);
    cluster["spec"]["controlPlaneEndpoint"] = json!({"host": format!("{name}.example.org"), "port": 6443});
    cluster["spec"]["infrastructureRef"] = json!({"apiGroup": "infrastructure.cluster.x-k8s.io", "kind": "VSphereCluster", "name": format!("{name}-x7k2p")});
    cluster["spec"]["controlPlaneRef"] = json!({
        "apiGroup": "controlplane.cluster.x-k8s.io", "kind": "KubeadmControlPlane", "name": format!("{name}-9dq4m"),
    });
    cluster
}

fn variables(number: u32) -> Value {
    json!([
        {"name": VARIABLE, "value": image_id(FROM)},
        {"name": "controlPlaneCertificateRotation", "value": {"activate": true, "daysBefore": 90}},
        {"name": "network", "value": {"name": format!("vlan-{}", 100 + number % 900), "mtu": 9000, "nameservers": ["10.0.0.53", "10.0.1.53"]}},
        {"name": "proxy", "value": {"http": "http://proxy.example.org:3128", "https": "http://proxy.example.org:3128", "no": "10.0.0.0/8,192.168.0.0/16,.svc,.cluster.local"}},
        {"name": "ssh", "value": {"user": "platform", "authorizedKeys": [format!("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{number:043} platform@example.org")]}},
        {"name": "machine", "value": {"cpus": 8, "memoryMiB": 16384, "diskGiB": 120, "datastore": "nvme-01", "folder": "/dc1/vm/clusters"}},
        {"name": "ntp", "value": ["ntp1.example.org", "ntp2.example.org", "ntp3.example.org"]},
        {"name": "podSecurityStandard", "value": {"enforce": "baseline", "audit": "restricted", "warn": "restricted"}},
        {"name": "etcd", "value": {"quotaBackendBytes": 8_589_934_592_u64, "autoCompactionRetention": "2h", "electionTimeout": 5000}},
        {"name": "oidc", "value": {"issuer": "https://login.example.org/realms/platform", "clientID": "kubernetes", "usernameClaim": "email", "groupsClaim": "groups"}},
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_the_one_that_the_chain_makes_there_are_500_images() {
        assert_eq!(images().count() + 1, 500);
    }

    #[test]
    fn a_cluster_is_as_large_as_a_real_one_before_the_server_adds_its_own() {
        let mut cluster = cluster(7);
        let status = crate::status::of(1, FROM, crate::status::Phase::AtRest);
        assert_eq!(status["status"]["conditions"].as_array().unwrap().len(), 16);
        cluster["status"] = status["status"].clone();
        let length = cluster.to_string().len();
        assert!(length > 8_000, "{length}");
    }
}
