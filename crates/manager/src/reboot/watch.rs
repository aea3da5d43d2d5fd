//! Waits for a word in the annotations of one pod: for months, and through any trouble of the API server.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use api::kairos::REBOOT_FROM_ANNOTATION;
use futures::{TryStreamExt as _, pin_mut};
use http::Request;
use kube::Client;
use kube::core::WatchEvent;
use runtime::answer::Refusal;
use runtime::clock::Clock;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::told::{Told, told};

/// How long the server is asked to keep a watch.
const WATCH: Duration = Duration::from_mins(5);
/// How long an answer, and beyond its time a watch, may say nothing before the connection counts as dead.
const GRACE: Duration = Duration::from_secs(30);
/// What is said of such a connection.
const SILENT: &str = "the connection has gone silent";
/// The first pause after trouble; each is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause. Whoever waits for the node waits that much longer at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Pods of a fleet do not ask all at once: by how many percent a pause is longer at most.
const SPREAD: u32 = 25;

/// A pod by its name. Both are names of Kubernetes, which need no escaping in a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pod {
    pub(super) name: String,
    pub(super) namespace: String,
}

impl Pod {
    fn list(&self) -> String {
        let Self { name, namespace } = self;
        format!("/api/v1/namespaces/{namespace}/pods?fieldSelector=metadata.name%3D{name}")
    }

    fn watch(&self, version: &str) -> String {
        format!("{}&watch=true&resourceVersion={version}&timeoutSeconds={}", self.list(), WATCH.as_secs())
    }
}

impl fmt::Display for Pod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// What is read of a list.
#[derive(Deserialize)]
struct List {
    metadata: Metadata,
    items: Vec<Read>,
}

/// What is read of a pod.
#[derive(Clone, Deserialize)]
struct Read {
    metadata: Metadata,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    #[serde(default)]
    resource_version: String,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    deletion_timestamp: Option<String>,
}

impl Read {
    fn told(&self, boot_id: &str) -> Option<Told> {
        let from = self.metadata.annotations.get(REBOOT_FROM_ANNOTATION).map(String::as_str);
        told(from, self.metadata.deletion_timestamp.is_some(), boot_id)
    }
}

/// Waits until the pod is told to reboot its node, or that it has rebooted; never ends before.
pub(super) async fn until_told(client: &Client, clock: &Clock, pod: &Pod, boot_id: &str) -> Told {
    let mut attempt = 0;
    loop {
        match look(client, pod, boot_id).await {
            Ok(Some(told)) => return told,
            // A pause here too: there are servers that end every watch at once.
            Ok(None) => attempt = 1,
            Err(trouble) => {
                tracing::warn!(trouble, "Cannot watch the pod; trying again");
                attempt += 1;
            }
        }
        clock.sleep(clock.jittered(pause(attempt), SPREAD, &pod.name, attempt)).await;
    }
}

/// The pause before this attempt, counted from 1.
fn pause(attempt: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1))).min(LONGEST_PAUSE)
}

/// Reads the pod, and follows it for the time of one watch.
async fn look(client: &Client, pod: &Pod, boot_id: &str) -> Result<Option<Told>, String> {
    let list: List = get(client, &pod.list()).await?;
    if let Some(told) = list.items.iter().find_map(|read| read.told(boot_id)) {
        return Ok(Some(told));
    }
    let request = request(&pod.watch(&list.metadata.resource_version))?;
    let events = tokio::time::timeout(GRACE, client.request_events::<Read>(request)).await;
    let events = events.map_err(|_| SILENT.to_owned())?.map_err(|error| words(&error))?;
    pin_mut!(events);
    loop {
        let next = tokio::time::timeout(WATCH + GRACE, events.try_next()).await;
        let next = next.map_err(|_| SILENT.to_owned())?;
        match next.map_err(|error| words(&error))? {
            None => return Ok(None),
            Some(WatchEvent::Added(read) | WatchEvent::Modified(read)) => {
                if let Some(told) = read.told(boot_id) {
                    return Ok(Some(told));
                }
            }
            // Nobody tells a pod any more that is gone; whoever made it ends it.
            Some(WatchEvent::Deleted(_) | WatchEvent::Bookmark(_)) => {}
            Some(WatchEvent::Error(status)) => return Err(Refusal::of_status(&status).to_string()),
        }
    }
}

async fn get<T: DeserializeOwned>(client: &Client, path: &str) -> Result<T, String> {
    let answer = tokio::time::timeout(GRACE, client.request(request(path)?)).await;
    answer.map_err(|_| SILENT.to_owned())?.map_err(|error| words(&error))
}

fn request(path: &str) -> Result<Request<Vec<u8>>, String> {
    Request::get(path).body(Vec::new()).map_err(|error| format!("cannot build the request: {error}"))
}

fn words(error: &kube::Error) -> String {
    Refusal::of(error).to_string()
}

#[cfg(test)]
mod tests;
