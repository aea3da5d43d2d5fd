//! The one named actor of our tests: it plays the container that builds a machine image.
//!
//! Nothing on these machines runs a container. What a build shows to the chain, and all that it shows, is its Job: the actor
//! waits until kwok says that the pod of a build runs, does to the Job what the container would have done, and only then lets kwok
//! complete the pod. Real are the Job, its controller, the pod, its scheduling, its environment and the rights of its ServiceAccount.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use api::batch::{job, pod};
use api::upgrader::machine_image::KUBERNETES_VERSION_ENV;
use controlplane::{ControlPlane, kwok};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::error::{Error, Result};
use crate::objects::{Objects, name};

const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What the container does. In texts, `{version}` is what its environment names `KUBERNETES_VERSION`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Annotates its Job with this image id, then succeeds.
    Annotates(String),
    /// Labels its Job with it, then succeeds.
    Labels(String),
    /// Leaves this termination message, and succeeds.
    LeavesMessage(String),
    /// Succeeds, and tells no image id.
    TellsNothing,
    /// Fails with this exit code.
    Fails(u8),
    /// Goes on for ever, until it is given another part.
    Hangs,
}

impl Part {
    /// The one of our examples: annotates `registry.example.org/node:<version>`.
    pub fn usual() -> Self {
        Self::Annotates("registry.example.org/node:{version}".to_owned())
    }
}

/// A build that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Build {
    /// Where.
    pub namespace: String,
    /// The Job.
    pub job: String,
    /// Its pod: one of several where a Job tries again.
    pub pod: String,
    /// What the environment named.
    pub version: String,
    /// What was told, if anything was.
    pub image_id: Option<String>,
}

struct Stage {
    part: Part,
    /// By namespace, where it is not the usual one.
    parts: BTreeMap<String, Part>,
    builds: Vec<Build>,
    trouble: Vec<String>,
}

impl Stage {
    fn part_in(&self, namespace: &str) -> Part {
        self.parts.get(namespace).unwrap_or(&self.part).clone()
    }
}

/// Plays every build of a control plane until it is dropped.
pub struct BuildActor {
    stage: Arc<Mutex<Stage>>,
    task: JoinHandle<()>,
}

impl BuildActor {
    /// Plays this part, in every namespace. The control plane must have our pod stages:
    /// [`Installed::control_plane`](crate::Installed::control_plane).
    pub async fn start(plane: &ControlPlane, part: Part) -> Result<Self> {
        let stage = Arc::new(Mutex::new(Stage {
            part,
            parts: BTreeMap::new(),
            builds: Vec::new(),
            trouble: Vec::new(),
        }));
        let troupe =
            Troupe { admin: Objects::new(plane.client().await?), kubeconfig: plane.kubeconfig().to_owned() };
        let task = tokio::spawn(play(troupe, Arc::clone(&stage)));
        Ok(Self { stage, task })
    }

    /// From now on plays another part, for builds that hang as well.
    pub fn play(&self, part: Part) {
        locked(&self.stage).part = part;
    }

    /// From now on plays another part in one namespace.
    pub fn play_in(&self, namespace: &str, part: Part) {
        locked(&self.stage).parts.insert(namespace.to_owned(), part);
    }

    /// The builds that have ended so far, the first one first.
    pub fn builds(&self) -> Vec<Build> {
        locked(&self.stage).builds.clone()
    }

    /// What the API server refused the actor, such as an annotation that the ServiceAccount of a build may not write.
    pub fn trouble(&self) -> Vec<String> {
        locked(&self.stage).trouble.clone()
    }
}

impl Drop for BuildActor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn locked(stage: &Mutex<Stage>) -> MutexGuard<'_, Stage> {
    stage.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn play(troupe: Troupe, stage: Arc<Mutex<Stage>>) {
    let mut done = BTreeSet::new();
    loop {
        for running in troupe.running().await.unwrap_or_default() {
            let part = locked(&stage).part_in(running["metadata"]["namespace"].as_str().unwrap_or_default());
            let uid = running["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
            if part == Part::Hangs || done.contains(&uid) {
                continue;
            }
            match troupe.act(&running, &part).await {
                Ok(build) => {
                    locked(&stage).builds.push(build);
                    done.insert(uid);
                }
                // Tried again: the Job may be on its way out, or a right on its way in.
                Err(error) => {
                    let mut stage = locked(&stage);
                    let text = error.to_string();
                    if !stage.trouble.contains(&text) {
                        stage.trouble.push(text);
                    }
                }
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Whoever acts in a pod.
struct Troupe {
    admin: Objects,
    kubeconfig: String,
}

impl Troupe {
    /// The pods of builds that run and have not been released.
    async fn running(&self) -> Result<Vec<Value>> {
        let mut pods = self.admin.list(&pod::KIND, "").await?;
        pods.retain(|pod| {
            version(pod).is_some()
                && pod["status"]["phase"] == "Running"
                && pod["metadata"]["deletionTimestamp"].is_null()
                && pod["metadata"]["annotations"][kwok::RELEASE].is_null()
        });
        Ok(pods)
    }

    async fn act(&self, pod: &Value, part: &Part) -> Result<Build> {
        let namespace = pod["metadata"]["namespace"].as_str().unwrap_or_default();
        let version = version(pod).unwrap_or_default();
        let job = owner(pod)?;
        let filled = |text: &String| text.replace("{version}", version);
        let mut release = json!({ kwok::RELEASE: "true" });
        let told = match part {
            Part::Annotates(id) | Part::Labels(id) => {
                let field = if matches!(part, Part::Labels(_)) { "labels" } else { "annotations" };
                let patch = json!({"metadata": {field: {job::IMAGE_ID: filled(id)}}});
                self.as_account(pod, namespace).await?.merge(&job::KIND, namespace, &job, &patch).await?;
                Some(filled(id))
            }
            Part::LeavesMessage(message) => {
                release[kwok::TERMINATION_MESSAGE] = filled(message).into();
                Some(filled(message))
            }
            Part::Fails(code) => {
                release[kwok::EXIT_CODE] = code.to_string().into();
                None
            }
            Part::TellsNothing | Part::Hangs => None,
        };
        let patch = json!({"metadata": {"annotations": release}});
        self.admin.merge(&pod::KIND, namespace, name(pod), &patch).await?;
        Ok(Build {
            namespace: namespace.to_owned(),
            job,
            pod: name(pod).to_owned(),
            version: version.to_owned(),
            image_id: told,
        })
    }

    /// Objects with the rights of the pod's ServiceAccount; of an administrator where the pod names none of its own, since the
    /// account `default` may do nothing and such a test is about something else.
    async fn as_account(&self, pod: &Value, namespace: &str) -> Result<Objects> {
        let account = pod["spec"]["serviceAccountName"].as_str().unwrap_or("default");
        if account == "default" {
            return Ok(self.admin.clone());
        }
        let unusable = |error: &dyn std::fmt::Display| Error::Unexpected(format!("kubeconfig: {error}"));
        let kubeconfig = Kubeconfig::from_yaml(&self.kubeconfig).map_err(|error| unusable(&error))?;
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
            .await
            .map_err(|error| unusable(&error))?;
        config.auth_info.impersonate = Some(format!("system:serviceaccount:{namespace}:{account}"));
        Ok(Objects::new(Client::try_from(config)?))
    }
}

/// What the environment of a build's containers names; none for a pod that builds nothing.
fn version(pod: &Value) -> Option<&str> {
    let containers = pod["spec"]["containers"].as_array()?;
    let mut variables = containers.iter().filter_map(|container| container["env"].as_array()).flatten();
    variables.find(|variable| variable["name"] == KUBERNETES_VERSION_ENV)?["value"].as_str()
}

fn owner(pod: &Value) -> Result<String> {
    let owners = pod["metadata"]["ownerReferences"].as_array();
    let job = owners.into_iter().flatten().find(|owner| owner["kind"] == job::KIND.kind);
    job.and_then(|job| job["name"].as_str())
        .map(str::to_owned)
        .ok_or_else(|| Error::Unexpected(format!("pod {} belongs to no Job", name(pod))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_what_the_first_container_that_has_it_is_told() {
        let pod = json!({"spec": {"containers": [
            {"name": "a"},
            {"name": "b", "env": [{"name": "X", "value": "1"}, {"name": "KUBERNETES_VERSION", "value": "v1.36.1"}]},
        ]}});
        assert_eq!(version(&pod), Some("v1.36.1"));
        assert_eq!(version(&json!({"spec": {"containers": [{"name": "a"}]}})), None);
    }

    #[test]
    fn what_holds_a_pod_is_what_the_stages_look_for() {
        let stages = include_str!("../fixtures/pod-stages.yaml");
        for text in
            [KUBERNETES_VERSION_ENV, kwok::HOLD, kwok::RELEASE, kwok::EXIT_CODE, kwok::TERMINATION_MESSAGE]
        {
            assert!(stages.contains(text), "{text}");
        }
    }
}
