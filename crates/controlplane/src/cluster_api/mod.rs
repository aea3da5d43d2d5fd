//! Cluster API as four more processes: core, kubeadm bootstrap, kubeadm control plane and the in-memory infrastructure.

mod class_cluster;
mod manifests;

use std::fs;
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

pub use self::class_cluster::ClassCluster;
use self::manifests::{Manifests, list};
use crate::binaries::Binary;
use crate::control_plane::ControlPlane;
use crate::error::{Error, Result};
use crate::flags::{self, ManagerPorts};
use crate::go_build::Binaries;
use crate::ports::{Claim, Port};
use crate::probe;
use crate::process;
use crate::progress::say;
use crate::rendered::Rendered;

/// How often all managers are started anew because a stranger took a port.
const TRIES: usize = 5;
/// How long another control plane with Cluster API is waited for: longer than any test.
const TURN_WITHIN: Duration = Duration::from_secs(30 * 60);
const POLL: Duration = Duration::from_millis(200);
/// What those who run Cluster API on this machine claim, one at a time.
const TURN: &str = "cluster-api";
/// How long the API server may take to know of new webhooks.
const ADMISSION_WITHIN: Duration = Duration::from_secs(30);

/// Only a webhook refuses it: the schema allows every string.
const REFUSED_BY_WEBHOOK: &str = r#"{"apiVersion":"cluster.x-k8s.io/v1beta2","kind":"Cluster",
    "metadata":{"name":"webhook-probe","namespace":"default"},
    "spec":{"topology":{"classRef":{"name":"none"},"version":"no-version"}}}"#;

/// What an installed Cluster API holds besides its processes.
pub(crate) struct Installed {
    _turn: Claim,
    _ports: Vec<Port>,
}

struct Manager {
    binary: Binary,
    rendered: Rendered,
    namespace: &'static str,
}

const MANAGERS: [Manager; 4] = [
    Manager { binary: Binary::ClusterApiCore, rendered: Rendered::ClusterApiCore, namespace: "capi-system" },
    Manager {
        binary: Binary::KubeadmBootstrap,
        rendered: Rendered::KubeadmBootstrap,
        namespace: "capi-kubeadm-bootstrap-system",
    },
    Manager {
        binary: Binary::KubeadmControlPlane,
        rendered: Rendered::KubeadmControlPlane,
        namespace: "capi-kubeadm-control-plane-system",
    },
    Manager {
        binary: Binary::DevInfrastructure,
        rendered: Rendered::DevInfrastructure,
        namespace: "capd-system",
    },
];

struct ManagerPortClaims {
    numbers: ManagerPorts,
    claims: [Port; 3],
}

impl ManagerPortClaims {
    fn claim() -> Result<Self> {
        let claims = [Port::claim()?, Port::claim()?, Port::claim()?];
        let numbers = ManagerPorts {
            webhook: claims[0].number,
            health: claims[1].number,
            diagnostics: claims[2].number,
        };
        Ok(Self { numbers, claims })
    }
}

impl ControlPlane {
    /// Installs Cluster API with its CRDs, conversion and admission webhooks, and the feature gate `ClusterTopology`; returns
    /// when all four managers are ready and the webhooks answer. Does nothing if it is installed.
    ///
    /// One control plane of a machine has it at a time, as the in-memory backend holds fixed ports: this waits for its turn.
    ///
    /// # Errors
    /// A manager that ends or is late is named with the end of its log.
    pub async fn install_cluster_api(&mut self) -> Result<()> {
        if self.cluster_api.is_some() {
            return Ok(());
        }
        let built = tokio::task::spawn_blocking(|| Binaries::ensure(&Binary::CLUSTER_API))
            .await
            .map_err(|error| Error::File { path: "go build".into(), source: error.into() })??;
        self.binaries.add(built);
        let turn = await_turn(TURN, TURN_WITHIN).await?;
        let certificates = self.folder.folder("certificates")?;
        for attempt in 1..=TRIES {
            let ports =
                (0..MANAGERS.len()).map(|_| ManagerPortClaims::claim()).collect::<Result<Vec<_>>>()?;
            let manifests = self.manifests(&ports)?;
            self.apply_objects(&manifests.definitions).await?;
            self.run_kubectl(&["wait", "--for=condition=Established", "--timeout=60s", "crds", "--all"])
                .await?;
            let others = self.processes.len();
            match self.start_managers(&ports, &certificates).await {
                Err(error) if error.is_port_taken() && attempt < TRIES => {
                    process::end_together(&mut self.processes.split_off(others));
                }
                Err(error) => return Err(error),
                Ok(()) => {
                    self.apply_objects(&manifests.webhooks).await?;
                    self.await_admission().await?;
                    let ports = ports.into_iter().flat_map(|ports| ports.claims).collect();
                    self.cluster_api = Some(Installed { _turn: turn, _ports: ports });
                    return Ok(());
                }
            }
        }
        Err(Error::NoSpawner)
    }

    /// Installs the CRDs of Cluster API's core alone: no manager, no webhook, no conversion. Whatever the schema allows can be
    /// written then, status included; nothing reconciles it. Takes no turn.
    pub async fn install_cluster_api_crds(&mut self) -> Result<()> {
        let built = tokio::task::spawn_blocking(|| Binaries::ensure(&Binary::CLUSTER_API))
            .await
            .map_err(|error| Error::File { path: "go build".into(), source: error.into() })??;
        self.binaries.add(built);
        let mut definitions = self.rendered_objects(Rendered::ClusterApiCore)?;
        definitions.retain(|object| object["kind"] == "CustomResourceDefinition");
        let mut names = Vec::new();
        for definition in &mut definitions {
            definition["spec"]["conversion"] = json!({ "strategy": "None" });
            names.push(format!("crds/{}", definition["metadata"]["name"].as_str().unwrap_or_default()));
        }
        self.apply_objects(&definitions).await?;
        let mut wait = vec!["wait", "--for=condition=Established", "--timeout=60s"];
        wait.extend(names.iter().map(String::as_str));
        self.run_kubectl(&wait).await.map(drop)
    }

    fn manifests(&self, ports: &[ManagerPortClaims]) -> Result<Manifests> {
        let authority = STANDARD.encode(self.authority.pem());
        let mut all = Manifests::default();
        for (manager, ports) in MANAGERS.iter().zip(ports) {
            let objects = self.rendered_objects(manager.rendered)?;
            all.extend(Manifests::localize(objects, ports.numbers.webhook, &authority)?);
        }
        Ok(all)
    }

    fn rendered_objects(&self, rendered: Rendered) -> Result<Vec<Value>> {
        let path = self.binaries.rendered(rendered)?;
        let text = fs::read(&path).map_err(Error::file(&path))?;
        serde_json::from_slice(&text).map_err(|error| Error::Manifest {
            manifest: path.display().to_string(),
            reason: error.to_string(),
        })
    }

    /// Server-side, because these CRDs are larger than the annotation that a client-side apply leaves may be.
    async fn apply_objects(&self, objects: &[Value]) -> Result<()> {
        let apply = ["apply", "--server-side", "--force-conflicts", "--validate=false", "-f", "-"];
        self.kubectl.run(&apply, Some(&list(objects))).await.map(drop)
    }

    async fn start_managers(&mut self, ports: &[ManagerPortClaims], certificates: &Path) -> Result<()> {
        for (manager, ports) in MANAGERS.iter().zip(ports) {
            let config = self.component_kubeconfig(manager.binary.name(), &["system:masters"])?;
            let own = flags::cluster_api_manager(&config, certificates, ports.numbers);
            let environment = vec![
                ("POD_IP", "127.0.0.1".to_owned()),
                ("POD_NAMESPACE", manager.namespace.to_owned()),
                // The in-memory backend needs no Docker; one that is there is none of our business.
                ("DOCKER_HOST", "unix:///nonexistent/docker.sock".to_owned()),
            ];
            self.start_component(manager.binary, own, environment)?;
        }
        let within = self.builder.ready_within;
        for (manager, ports) in MANAGERS.iter().zip(ports) {
            let health = ports.numbers.health;
            self.process(manager.binary)?
                .await_ready(within, async || probe::http_ok(health, "/readyz").await)
                .await?;
        }
        Ok(())
    }

    /// The API server learns of new webhooks by a watch: what is created before that is not defaulted.
    async fn await_admission(&self) -> Result<()> {
        let mut last = String::new();
        let refused = async {
            loop {
                let create = ["create", "--dry-run=server", "--validate=false", "-f", "-"];
                match self.kubectl.run(&create, Some(REFUSED_BY_WEBHOOK)).await {
                    Err(Error::Command { output, .. }) if output.contains("semantic version") => return,
                    Err(error) => last = error.to_string(),
                    Ok(output) => last = output,
                }
                tokio::time::sleep(POLL).await;
            }
        };
        tokio::time::timeout(ADMISSION_WITHIN, refused).await.map_err(|_| Error::Deadline {
            condition: "a Cluster without a valid version is refused by a webhook".to_owned(),
            within: ADMISSION_WITHIN,
            found: last,
        })
    }
}

/// Waits until no other control plane of this machine runs Cluster API.
async fn await_turn(name: &str, within: Duration) -> Result<Claim> {
    let mut told = None;
    let turn = async {
        loop {
            if let Some(claim) = Claim::take(name) {
                return claim;
            }
            let holder = Claim::holder(name);
            if holder.is_some() && told != holder {
                told = holder;
                say(format_args!(
                    "Cluster API's in-memory backend has fixed ports and runs for process {}; waiting for it",
                    told.unwrap_or_default()
                ));
            }
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::time::timeout(within, turn).await.map_err(|_| Error::Deadline {
        condition: "no other control plane runs Cluster API".to_owned(),
        within,
        found: format!("process {} does", Claim::holder(name).unwrap_or_default()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_second_waits_for_its_turn_and_says_for_whom() {
        let own = std::process::id();
        // Not the turn itself, which live tests beside this one take.
        let name = format!("turn-of-test-{own}");
        let first = await_turn(&name, TURN_WITHIN).await.unwrap();
        let late = await_turn(&name, Duration::from_millis(1)).await.unwrap_err();
        assert!(
            matches!(late, Error::Deadline { ref found, .. } if *found == format!("process {own} does")),
            "{late}"
        );
        let second = {
            let name = name.clone();
            tokio::spawn(async move { await_turn(&name, TURN_WITHIN).await })
        };
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        drop(first);
        second.await.unwrap().unwrap();
    }
}
