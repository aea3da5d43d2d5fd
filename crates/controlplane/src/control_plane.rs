//! A running control plane: its kubeconfigs, its processes and its end.

use std::path::{Path, PathBuf};

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};

use crate::audit::{self, AuditEvent, AuditTail};
use crate::binaries::Binary;
use crate::builder::ControlPlaneBuilder;
use crate::certificates::Authority;
use crate::cluster_api::Installed;
use crate::error::{Error, Result};
use crate::folder::Folder;
use crate::go_build::Binaries;
use crate::guard::Spawner;
use crate::kubeconfig::{self, Credential};
use crate::kubectl::Kubectl;
use crate::ports::Port;
use crate::process::{self, Process, Spec};

/// Longer than any test, shorter than a day.
const TOKEN_SECONDS: i64 = 12 * 3600;

/// A running control plane. Dropping it ends every process, frees every port and removes its folder; so does the
/// death of this process, except that the folder is then removed by the next start.
pub struct ControlPlane {
    // Dropped in this order, after `Drop` has ended the processes.
    pub(crate) processes: Vec<Process>,
    pub(crate) spawner: Spawner,
    pub(crate) ports: Vec<Port>,
    pub(crate) cluster_api: Option<Installed>,
    pub(crate) builder: ControlPlaneBuilder,
    pub(crate) binaries: Binaries,
    pub(crate) authority: Authority,
    pub(crate) kubectl: Kubectl,
    pub(crate) server: String,
    pub(crate) admin: String,
    pub(crate) logs: PathBuf,
    audit_log: PathBuf,
    pub(crate) folder: Folder,
}

/// What is there before the first process.
pub(crate) struct Parts {
    pub(crate) builder: ControlPlaneBuilder,
    pub(crate) binaries: Binaries,
    pub(crate) folder: Folder,
    pub(crate) logs: PathBuf,
    pub(crate) authority: Authority,
    pub(crate) kubectl: Kubectl,
    pub(crate) spawner: Spawner,
    pub(crate) audit_log: PathBuf,
}

impl ControlPlane {
    /// A control plane of etcd and kube-apiserver, to which more can be added.
    pub fn builder() -> ControlPlaneBuilder {
        ControlPlaneBuilder::default()
    }

    /// Its temporary folder, with `logs/`.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The API server's address, such as `https://127.0.0.1:12345`.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The kubeconfig of a cluster administrator (group `system:masters`), as text.
    pub fn kubeconfig(&self) -> &str {
        &self.admin
    }

    /// The same as a file.
    pub fn kubeconfig_path(&self) -> &Path {
        &self.kubectl.kubeconfig
    }

    /// A kubeconfig with a client certificate for a user and its groups, of which there can be two.
    ///
    /// # Errors
    /// More than two groups.
    pub fn kubeconfig_for_user(&self, user: &str, groups: &[&str]) -> Result<String> {
        let identity = self.authority.client(user, groups)?;
        Ok(kubeconfig::render(&self.server, &self.authority.pem(), &Credential::Certificate(&identity)))
    }

    /// A kubeconfig with a token for a ServiceAccount that exists, made by a TokenRequest: what a pod of it would have.
    ///
    /// # Errors
    /// The ServiceAccount is not there.
    pub async fn kubeconfig_for_service_account(&self, namespace: &str, name: &str) -> Result<String> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client().await?, namespace);
        let request = TokenRequest {
            spec: TokenRequestSpec { expiration_seconds: Some(TOKEN_SECONDS), ..Default::default() },
            ..Default::default()
        };
        let answer: TokenRequest =
            accounts.create_subresource("token", name, &PostParams::default(), &request).await?;
        let token = answer.status.map(|status| status.token).unwrap_or_default();
        Ok(kubeconfig::render(&self.server, &self.authority.pem(), &Credential::Token(&token)))
    }

    /// Writes a text, such as a kubeconfig, into the control plane's folder, readable by its owner alone.
    pub fn write_file(&self, name: &str, content: &str) -> Result<PathBuf> {
        self.folder.write(name, content)
    }

    /// A client of the administrator.
    pub async fn client(&self) -> Result<Client> {
        self.client_for(&self.admin).await
    }

    /// A client of the user of a kubeconfig (its text). It does not retry by itself.
    pub async fn client_for(&self, kubeconfig: &str) -> Result<Client> {
        let read = Kubeconfig::from_yaml(kubeconfig)?;
        let mut config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await?;
        config.default_retry = false;
        Ok(Client::try_from(config)?)
    }

    /// The built kubectl, for commands that are run outside: give it [`kubeconfig_path`](Self::kubeconfig_path).
    pub fn kubectl(&self) -> &Path {
        &self.kubectl.program
    }

    /// Where a built binary is, if this control plane uses it.
    pub fn binary(&self, binary: Binary) -> Option<&Path> {
        self.binaries.path(binary)
    }

    /// The audit log so far: every request to the API server, the components' own among them.
    pub fn audit_events(&self) -> Result<Vec<AuditEvent>> {
        let log = std::fs::read(&self.audit_log).map_err(Error::file(&self.audit_log))?;
        Ok(audit::parse(&String::from_utf8_lossy(&log)))
    }

    /// The audit log from its first line on, read as it grows.
    pub fn audit_tail(&self) -> AuditTail {
        AuditTail::new(self.audit_log.clone())
    }

    /// The audit log's file: one JSON object a line.
    pub fn audit_log_path(&self) -> &Path {
        &self.audit_log
    }

    /// The last lines of a component's log; empty if it does not run here.
    pub fn log_tail(&self, binary: Binary) -> String {
        process::tail(&self.logs.join(format!("{}.log", binary.name())))
    }

    /// The process ids of the running components, with their names.
    pub fn process_ids(&self) -> Vec<(String, u32)> {
        self.processes.iter().map(|process| (process.name.clone(), process.id())).collect()
    }

    /// An error that names the first component that has ended by itself, with the end of its log.
    pub fn check_alive(&mut self) -> Result<()> {
        self.processes.iter_mut().try_for_each(Process::check_alive)
    }

    /// Ends everything, like a drop, without blocking the runtime's thread.
    pub async fn stop(self) {
        // Fails only if the end panics, which has printed why.
        let _ = tokio::task::spawn_blocking(move || drop(self)).await;
    }

    pub(crate) fn from_parts(parts: Parts) -> Self {
        Self {
            processes: Vec::new(),
            spawner: parts.spawner,
            ports: Vec::new(),
            cluster_api: None,
            builder: parts.builder,
            binaries: parts.binaries,
            authority: parts.authority,
            kubectl: parts.kubectl,
            server: String::new(),
            admin: String::new(),
            logs: parts.logs,
            audit_log: parts.audit_log,
            folder: parts.folder,
        }
    }

    /// A kubeconfig file for a component.
    pub(crate) fn component_kubeconfig(&self, user: &str, groups: &[&str]) -> Result<PathBuf> {
        let file = format!("{}.kubeconfig", user.trim_start_matches("system:"));
        self.folder.write(&file, &self.kubeconfig_for_user(user, groups)?)
    }

    pub(crate) fn start_component(
        &mut self,
        binary: Binary,
        own: Vec<String>,
        environment: Vec<(&'static str, String)>,
    ) -> Result<()> {
        let spec = Spec {
            name: binary.name(),
            program: self.binaries.require(binary)?,
            flags: self.with_added_flags(binary, own),
            environment,
        };
        self.processes.push(Process::start(&self.spawner, &self.logs, spec)?);
        Ok(())
    }

    /// In these components the last of two equal flags holds.
    pub(crate) fn with_added_flags(&self, binary: Binary, mut own: Vec<String>) -> Vec<String> {
        own.extend(self.builder.flags.get(&binary).into_iter().flatten().cloned());
        own
    }

    pub(crate) fn process(&mut self, binary: Binary) -> Result<&mut Process> {
        self.processes.iter_mut().find(|process| process.name == binary.name()).ok_or(Error::MissingProgram {
            program: binary.name().to_owned(),
            purpose: "this control plane should run",
            remedy: "start() adds it",
        })
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        process::end_all(&mut self.processes);
    }
}
