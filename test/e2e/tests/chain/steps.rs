//! What was done, in its order, as those who watch the objects see it: in a form in which it can be compared with another run.
//! Names that hold a hash of a uid do not appear.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use api::batch::job;
use api::upgrader::machine_image;
use domain::object::Kind;
use e2e::{Installed, capi, name};
use futures::StreamExt as _;
use kube::api::{Api, ApiResource, DynamicObject, WatchEvent, WatchParams};
use serde_json::Value;
use tokio::task::JoinHandle;

/// By the revision of the store, which is one for all kinds.
type Steps = Arc<Mutex<BTreeMap<u64, String>>>;

/// Writes down the steps in a namespace until it is dropped.
pub(crate) struct Recorder {
    steps: Steps,
    tasks: Vec<JoinHandle<()>>,
}

impl Recorder {
    /// To be started before there is anything to see.
    pub(crate) async fn start(world: &Installed, namespace: &str) -> Self {
        let steps = Steps::default();
        let mut tasks = Vec::new();
        for kind in [machine_image::KIND, job::KIND, capi::CLUSTER] {
            let client = world.plane().client().await.unwrap();
            let objects = Api::namespaced_with(client, namespace, &resource(&kind));
            tasks.push(tokio::spawn(record(objects, Arc::clone(&steps))));
        }
        Self { steps, tasks }
    }

    /// The steps so far, the first one first.
    pub(crate) fn steps(&self) -> Vec<String> {
        locked(&self.steps).values().cloned().collect()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

fn locked(steps: &Steps) -> MutexGuard<'_, BTreeMap<u64, String>> {
    steps.lock().unwrap_or_else(PoisonError::into_inner)
}

fn resource(kind: &Kind) -> ApiResource {
    ApiResource {
        group: kind.group.to_owned(),
        version: kind.versions[0].to_owned(),
        api_version: kind.api_version(),
        kind: kind.kind.to_owned(),
        plural: kind.plural.to_owned(),
    }
}

/// Goes on where a watch ended, so that nothing is missed in between.
async fn record(objects: Api<DynamicObject>, steps: Steps) {
    let mut version = "0".to_owned();
    let mut known: BTreeMap<String, Value> = BTreeMap::new();
    loop {
        let Ok(stream) = objects.watch(&WatchParams::default(), &version).await else { continue };
        let mut stream = std::pin::pin!(stream);
        while let Some(Ok(event)) = stream.next().await {
            let (WatchEvent::Added(object) | WatchEvent::Modified(object)) = event else { continue };
            let object = serde_json::to_value(object).unwrap();
            object["metadata"]["resourceVersion"].as_str().unwrap().clone_into(&mut version);
            let uid = object["metadata"]["uid"].as_str().unwrap().to_owned();
            let before = known.insert(uid, object.clone()).unwrap_or_default();
            if let Some(step) = step(&before, &object) {
                locked(&steps).insert(version.parse().unwrap(), step);
            }
        }
    }
}

/// What has changed between two states, if a controller of ours did it, in the words of a simulation's timeline. A new object was
/// null.
fn step(before: &Value, object: &Value) -> Option<String> {
    let kind = object["kind"].as_str()?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let is_new = before.is_null();
    let what = match kind {
        "MachineImage" if is_new => format!("created for {}", text(&object["spec"]["version"])),
        "MachineImage" if before["spec"]["id"] != object["spec"]["id"] => {
            format!("has image {}", text(&object["spec"]["id"]))
        }
        "Job" if is_new => "created".to_owned(),
        "Cluster" if !is_new && before["spec"]["topology"] != object["spec"]["topology"] => {
            let (old, new) = (&before["spec"]["topology"], &object["spec"]["topology"]);
            let variables = new["variables"].as_array()?;
            let variables =
                variables.iter().map(|it| format!("{} {}", text(&it["name"]), text(&it["value"])));
            let variables = variables.collect::<Vec<_>>().join(", ");
            format!("set {} → {} with {variables}", text(&old["version"]), text(&new["version"]))
        }
        _ => return None,
    };
    Some(normalized(kind, name(object), &what))
}

/// One line, without what a run has of its own.
fn normalized(kind: &str, name: &str, what: &str) -> String {
    format!("{kind} {}: {}", without_hashes(name), without_hashes(what))
}

/// Without the five characters after the last hyphen, as long as there are such: names and ids end with a hash of a uid.
fn without_hashes(text: &str) -> &str {
    let is_hash =
        |end: &str| end.len() == 5 && end.chars().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit());
    match text.rsplit_once('-') {
        Some((rest, end)) if is_hash(end) => without_hashes(rest),
        _ => text,
    }
}

/// The same steps out of a simulation's timeline.
pub(crate) fn of_timeline(timeline: &sim::Timeline) -> Vec<String> {
    let words = ["created", "has image", "set "];
    let steps = timeline.entries.iter().filter_map(|entry| {
        let (kind, object) = entry.object.split_once(' ')?;
        let name = object.rsplit_once('/').map_or(object, |(_, name)| name);
        let ours = ["machineimagesyncer", "machineimage", "clusterclassclusterupgrader"];
        let counts = ours.contains(&&*entry.actor)
            && ["MachineImage", "Job", "Cluster"].contains(&kind)
            && words.iter().any(|word| entry.what.starts_with(word));
        counts.then(|| normalized(kind, name, &entry.what))
    });
    steps.collect()
}
