//! What becomes of a Job that builds an image: after a time it has said an image id, or failed.

use std::time::Duration;

use api::batch::job::{self, IMAGE_ID};
use api::upgrader::machine_image::{self, KUBERNETES_VERSION_ENV};
use domain::name;
use domain::object::ObjectKey;
use serde_json::{Value, json};

use super::agenda::Due;
use super::{JOB, World};
use crate::apiserver::catalogue::Id;
use crate::apiserver::write::Patch;

/// How long it takes until the pod of a Job runs, in seconds.
pub(crate) const BEGINS_AFTER: i64 = 1;

/// How builds go.
#[derive(Clone, Debug)]
pub(crate) struct Builds {
    takes: Duration,
    /// How many of the next that end will fail.
    pub(crate) failing: u32,
    /// How many of the next that end lose their pod instead, and begin again.
    pub(crate) losing: u32,
}

impl Builds {
    pub(crate) fn new(takes: Duration) -> Self {
        Self { takes, failing: 0, losing: 0 }
    }
}

impl World {
    /// The pod of a Job runs. Only Jobs of machine images are played; any other is as it was given.
    pub(crate) fn build_begins(&mut self, key: &ObjectKey, uid: &str) {
        let Some((id, job)) = self.job(key, uid) else { return };
        let owners = job["metadata"]["ownerReferences"].as_array();
        let builds = owners.into_iter().flatten().any(|owner| owner["kind"] == machine_image::KIND.kind);
        if !builds || job["spec"]["suspend"] == true || !job["status"]["conditions"].is_null() {
            return;
        }
        let status = json!({"active": 1, "ready": 1, "startTime": self.stamp()});
        self.set_status(JOB, id, key, status);
        let takes = self.builds.takes;
        self.after(takes, Due::BuildEnds(key.clone(), uid.into()));
    }

    /// It ends.
    pub(crate) fn build_ends(&mut self, key: &ObjectKey, uid: &str) {
        let Some((id, job)) = self.job(key, uid) else { return };
        let now = self.stamp();
        let condition = |type_: &str, reason: &str, message: &str| {
            json!({"type": type_, "status": "True", "reason": reason, "message": message,
                "lastProbeTime": now, "lastTransitionTime": now})
        };
        if self.builds.losing > 0 {
            self.builds.losing -= 1;
            // A pod that fails is replaced by the Job itself.
            let mut status = job["status"].clone();
            status["failed"] = json!(status["failed"].as_i64().unwrap_or(0) + 1);
            self.set_status(JOB, id, key, status);
            let takes = self.builds.takes;
            self.after(takes, Due::BuildEnds(key.clone(), uid.into()));
            return;
        }
        if self.builds.failing > 0 {
            self.builds.failing -= 1;
            let words = "Job has reached the specified backoff limit";
            let status = json!({
                "failed": 1, "startTime": job["status"]["startTime"],
                "conditions": [condition("FailureTarget", "BackoffLimitExceeded", words),
                    condition("Failed", "BackoffLimitExceeded", words)],
            });
            self.set_status(JOB, id, key, status);
            return;
        }
        let version = version(&job).unwrap_or("unknown");
        // The image of another Job is another image.
        let image = format!("image-{version}-{}", name::suffix(&[uid], 5));
        let annotate = json!({"metadata": {"annotations": {IMAGE_ID: image}}});
        // A webhook of the scenario may refuse it: then the Job has told nothing.
        let _ = self.patch(JOB, id, key, false, Patch::Merge(annotate));
        let words = "Reached expected number of succeeded pods";
        let status = json!({
            "succeeded": 1, "startTime": job["status"]["startTime"], "completionTime": now,
            "conditions": [condition("SuccessCriteriaMet", "CompletionsReached", words),
                condition("Complete", "CompletionsReached", words)],
        });
        self.set_status(JOB, id, key, status);
    }

    fn job(&self, key: &ObjectKey, uid: &str) -> Option<(Id, Value)> {
        let id = self.catalogue.of_kind(job::KIND.group, job::KIND.kind)?;
        let job = &self.objects.get(id, key)?.value;
        (job["metadata"]["uid"] == *uid).then(|| (id, job.clone()))
    }
}

/// What the environment of the build names.
fn version(job: &Value) -> Option<&str> {
    let containers = job["spec"]["template"]["spec"]["containers"].as_array()?;
    let mut variables = containers.iter().filter_map(|container| container["env"].as_array()).flatten();
    variables.find(|variable| variable["name"] == KUBERNETES_VERSION_ENV)?["value"].as_str()
}
