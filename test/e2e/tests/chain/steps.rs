//! What was done, in its order, as those who watch the objects see it: in a form in which it can be compared with another run.
//! Names that hold a hash of a uid do not appear.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use api::batch::job;
use api::upgrader::machine_image::{self, KUBERNETES_VERSION_ENV};
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

/// What has changed between two states, if a controller of ours did it. A new object was null.
fn step(before: &Value, object: &Value) -> Option<String> {
    let kind = object["kind"].as_str()?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let is_new = before.is_null();
    match kind {
        "MachineImage" => {
            let (version, id) = (text(&object["spec"]["version"]), text(&object["spec"]["id"]));
            if is_new {
                Some(format!("create MachineImage of {version}"))
            } else {
                (before["spec"]["id"] != object["spec"]["id"])
                    .then(|| format!("set the id of the MachineImage of {version} to {id}"))
            }
        }
        "Job" if is_new => {
            let variables = object["spec"]["template"]["spec"]["containers"][0]["env"].as_array()?;
            let version = variables.iter().find(|variable| variable["name"] == KUBERNETES_VERSION_ENV)?;
            Some(format!("create Job of {}", text(&version["value"])))
        }
        "Cluster" if !is_new => {
            let (old, new) = (&before["spec"]["topology"], &object["spec"]["topology"]);
            (old["version"] != new["version"] || old["variables"] != new["variables"]).then(|| {
                format!("set Cluster {} to {} with {}", name(object), text(&new["version"]), new["variables"])
            })
        }
        _ => None,
    }
}
