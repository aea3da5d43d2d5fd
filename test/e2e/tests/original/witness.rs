//! Watches conditions while an upgrade runs: what is true only for a moment is missed by who looks now and then.

use std::sync::{Arc, Mutex, PoisonError};

use api::upgrader::{cluster_upgrader, debian_repository_source, machine_image_syncer, plan};
use domain::object::Kind;
use e2e::{Installed, find_condition};
use futures::StreamExt as _;
use kube::api::{Api, ApiResource, DynamicObject, WatchEvent, WatchParams};
use serde_json::Value;
use tokio::task::JoinHandle;

/// One state of an object: `Ready=<status> <reason>, UpToDate=<status> <reason>`.
type Sight = (String, String);

/// Watches a namespace until it is dropped.
pub(crate) struct Witness {
    seen: Arc<Mutex<Vec<Sight>>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Witness {
    /// Watches every kind that can wait in good order. A machine image is not ready until it is there.
    pub(crate) async fn start(world: &Installed, namespace: &str) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kinds =
            [debian_repository_source::KIND, machine_image_syncer::KIND, plan::KIND, cluster_upgrader::KIND];
        let mut tasks = Vec::new();
        for kind in kinds {
            let objects: Api<DynamicObject> =
                Api::namespaced_with(world.plane().client().await.unwrap(), namespace, &resource(&kind));
            tasks.push(tokio::spawn(watch(objects, kind.kind, Arc::clone(&seen))));
        }
        Self { seen, tasks }
    }

    /// Nothing was ever unready, and there was something to wait for.
    pub(crate) fn was_orderly(self) {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let unready: Vec<&Sight> = seen.iter().filter(|(_, sight)| sight.contains("Ready=False")).collect();
        assert!(unready.is_empty(), "{unready:#?}");
        for reason in ["UpToDate=False UpgradeInProgress", "UpToDate=False PlanWithoutResult"] {
            assert!(seen.iter().any(|(_, sight)| sight.contains(reason)), "no {reason} in {seen:#?}");
        }
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
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

/// From the beginning, and anew where a watch ends: seeing a state twice does no harm.
async fn watch(objects: Api<DynamicObject>, kind: &'static str, seen: Arc<Mutex<Vec<Sight>>>) {
    loop {
        let Ok(stream) = objects.watch(&WatchParams::default(), "0").await else { continue };
        let mut stream = std::pin::pin!(stream);
        while let Some(Ok(event)) = stream.next().await {
            let (WatchEvent::Added(object) | WatchEvent::Modified(object)) = event else { continue };
            let name = format!("{kind} {}", object.metadata.name.as_deref().unwrap_or_default());
            let conditions = ["Ready", "UpToDate"].map(|name| told(&object.data, name));
            seen.lock().unwrap_or_else(PoisonError::into_inner).push((name, conditions.join(", ")));
        }
    }
}

fn told(object: &Value, condition: &str) -> String {
    let found = find_condition(object, condition);
    let field = |name: &str| found[name].as_str().unwrap_or_default().to_owned();
    format!("{condition}={} {}: {}", field("status"), field("reason"), field("message"))
}
