//! What tests do with objects, through the real kubectl.

use std::path::Path;
use std::time::Duration;

use crate::binaries::Binary;
use crate::control_plane::ControlPlane;
use crate::error::{Error, Result};
use crate::kubectl::argument;
use crate::kwok;

impl ControlPlane {
    /// Runs kubectl as administrator and gives its standard output.
    ///
    /// # Errors
    /// It failed; the error holds what it printed.
    pub async fn run_kubectl(&self, arguments: &[&str]) -> Result<String> {
        self.kubectl.run(arguments, None).await
    }

    /// `kubectl apply -f -` of this text.
    pub async fn apply_yaml(&self, yaml: &str) -> Result<String> {
        self.kubectl.run(&["apply", "-f", "-"], Some(yaml)).await
    }

    /// `kubectl apply -f` of a file or folder.
    pub async fn apply_file(&self, path: &Path) -> Result<String> {
        self.run_kubectl(&["apply", "-f", argument(path)?]).await
    }

    /// `kubectl apply -k` of a folder.
    pub async fn apply_kustomize(&self, folder: &Path) -> Result<String> {
        self.run_kubectl(&["apply", "-k", argument(folder)?]).await
    }

    /// `kubectl wait --for=<condition> <object>`: such as `condition=Ready` or `jsonpath={.status.id}`, and `plans/upgrade`.
    /// An object that does not exist yet is awaited as well.
    ///
    /// # Errors
    /// [`Error::Deadline`] with the object as YAML.
    pub async fn wait_for(
        &self,
        condition: &str,
        object: &str,
        namespace: &str,
        within: Duration,
    ) -> Result<()> {
        let (wanted, timeout) = (format!("--for={condition}"), format!("--timeout={}s", within.as_secs()));
        let exists = self.run_kubectl(&["wait", "--for=create", object, "-n", namespace, &timeout]).await;
        let holds = match exists {
            Ok(_) => self.run_kubectl(&["wait", &wanted, object, "-n", namespace, &timeout]).await,
            missing => missing,
        };
        match holds {
            Ok(_) => Ok(()),
            Err(Error::Command { output, .. }) => {
                let found = self.run_kubectl(&["get", object, "-n", namespace, "-o", "yaml"]).await;
                Err(Error::Deadline {
                    condition: format!("{condition} of {object} in {namespace}"),
                    within,
                    found: found.unwrap_or(output),
                })
            }
            Err(other) => Err(other),
        }
    }

    /// Creates a Node, which kwok makes ready if it runs, and awaits that.
    pub async fn create_node(&self, name: &str, labels: &[(&str, &str)]) -> Result<()> {
        self.apply_yaml(&kwok::node(name, labels).to_string()).await?;
        if self.builder.runs(Binary::Kwok) {
            self.wait_for("condition=Ready", &format!("nodes/{name}"), "default", self.builder.ready_within)
                .await?;
        }
        Ok(())
    }

    /// Lets the pods of a Job complete that are [held](kwok::HOLD). Awaits that there is one.
    pub async fn release_job(&self, namespace: &str, job: &str) -> Result<()> {
        let selector = format!("batch.kubernetes.io/job-name={job}");
        let release = format!("{}=true", kwok::RELEASE);
        self.await_pod(namespace, &selector).await?;
        self.run_kubectl(&["annotate", "pods", "-n", namespace, "-l", &selector, "--overwrite", &release])
            .await?;
        Ok(())
    }

    async fn await_pod(&self, namespace: &str, selector: &str) -> Result<()> {
        let within = self.builder.ready_within;
        let pods = async {
            loop {
                let names =
                    self.run_kubectl(&["get", "pods", "-n", namespace, "-l", selector, "-o", "name"]).await?;
                if !names.trim().is_empty() {
                    return Ok(());
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        match tokio::time::timeout(within, pods).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Error::Deadline {
                condition: format!("a pod with {selector} in {namespace}"),
                within,
                found: self
                    .run_kubectl(&["get", "jobs,pods", "-n", namespace, "-o", "yaml"])
                    .await
                    .unwrap_or_default(),
            }),
        }
    }
}
