//! The Job controller, for Jobs of one pod that is pinned to a node.

use api::batch::{job, pod};
use domain::object::ObjectKey;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{AGAIN, Outcome, Run, Soon, bound_to, controller, has_ended, is_leaving, uid};
use crate::apiserver::delete::Deletion;
use crate::world::{JOB, World};

/// Retries of a Job that does not say how many.
const BACKOFF_LIMIT: i64 = 6;

impl World {
    /// Looks at a Job: makes its pod, makes another one for one that failed, and says how it ended.
    pub(super) fn job_looks(&mut self, key: &ObjectKey, of: &str) {
        let Some(id) = self.kind_id(job::KIND.group, job::KIND.kind) else { return };
        let Some(entry) = self.objects.kept(id, key).filter(|entry| uid(&entry.value) == of) else { return };
        let job = &entry.value;
        if is_leaving(job) || !job["status"]["conditions"].is_null() {
            return;
        }
        let pods = self.pods_where(|pod| controller(pod).is_some_and(|(_, _, owner)| owner == of));
        let failed = self.nodes.failed.entry(of.into()).or_default();
        // One that leaves counts as failed, and so does one that is gone before it has ended.
        let lost = pods.iter().filter(|(_, pod)| is_leaving(pod) || pod["status"]["phase"] == "Failed");
        failed.extend(lost.map(|(_, pod)| Box::from(uid(pod))));
        let failures = i64::try_from(failed.len()).unwrap_or(i64::MAX);
        let succeeded = pods.iter().any(|(_, pod)| pod["status"]["phase"] == "Succeeded");
        let mut live = pods.iter().filter(|(_, pod)| !has_ended(pod) && !is_leaving(pod));
        let limit = job["spec"]["backoffLimit"].as_i64().unwrap_or(BACKOFF_LIMIT);
        let now = self.stamp();
        let mut status = json!({"startTime": job["status"]["startTime"]});
        if status["startTime"].is_null() {
            status["startTime"] = json!(now);
        }
        let deadline = job["spec"]["activeDeadlineSeconds"].as_i64();
        if let Some(seconds) = deadline.filter(|_| job["status"]["startTime"].is_null()) {
            self.soon(seconds + 1, Soon::Job(key.clone(), of.into()));
        }
        let begun = status["startTime"].as_str().and_then(|text| text.parse::<Timestamp>().ok());
        let is_late = deadline.zip(begun).is_some_and(|(seconds, begun)| {
            self.now().duration_since(begun) >= SignedDuration::from_secs(seconds)
        });
        let mut ended = |target: &str, type_: &str, reason: &str, message: &str| {
            let condition = |type_: &str| {
                json!({"type": type_, "status": "True", "reason": reason, "message": message,
                    "lastProbeTime": now, "lastTransitionTime": now})
            };
            status["conditions"] = json!([condition(target), condition(type_)]);
        };
        let mut makes = false;
        if succeeded {
            ended(
                "SuccessCriteriaMet",
                "Complete",
                "CompletionsReached",
                "Reached expected number of succeeded pods",
            );
            status["succeeded"] = json!(1);
            status["completionTime"] = json!(now);
        } else if failures > limit {
            let words = "Job has reached the specified backoff limit";
            ended("FailureTarget", "Failed", "BackoffLimitExceeded", words);
        } else if is_late {
            ended(
                "FailureTarget",
                "Failed",
                "DeadlineExceeded",
                "Job was active longer than specified deadline",
            );
            if let Some(id) = self.kind_id(pod::KIND.group, pod::KIND.kind) {
                for key in live.map(|(key, _)| key.clone()).collect::<Vec<_>>() {
                    // Refused by admission, it stays, as it would.
                    let _ = self.delete(JOB, id, &key, &Deletion::default());
                }
            }
        } else if live.next().is_some() {
            status["active"] = json!(1);
        } else {
            makes = true;
        }
        if failures > 0 {
            status["failed"] = json!(failures);
        }
        if !makes {
            return self.set_status(JOB, id, key, status);
        }
        let known = job["status"]["failed"].as_i64().unwrap_or(0);
        if failures > known {
            // It waits a little longer after each failure.
            self.set_status(JOB, id, key, status);
            let wait = 10_i64.saturating_mul(1 << (failures - 1).clamp(0, 5)).min(360);
            return self.soon(wait, Soon::Job(key.clone(), of.into()));
        }
        let body = pod_of(key, job);
        let Some(pods) = self.kind_id(pod::KIND.group, pod::KIND.kind) else { return };
        match self.create(JOB, pods, &key.namespace, body) {
            Ok(_) => status["active"] = json!(1),
            // Somebody refuses it for a while.
            Err(_) => self.soon(AGAIN, Soon::Job(key.clone(), of.into())),
        }
        self.set_status(JOB, id, key, status);
    }

    /// The Jobs that were there from the beginning: one that has succeeded has run once.
    pub(super) fn adopt_jobs(&mut self) {
        let Some(id) = self.kind_id(job::KIND.group, job::KIND.kind) else { return };
        let all: Vec<(ObjectKey, Value)> =
            self.objects.all(id).map(|(key, job)| (key.clone(), job.clone())).collect();
        for (key, job) in all {
            if job["status"]["succeeded"] == 1 {
                let node: Box<str> = bound_to(&job["spec"]["template"]).into();
                let Some(machine) = self.nodes.machines.get(&node) else { continue };
                let (node_uid, boot_id) = (machine.uid.clone(), machine.boot_id.clone());
                let op = self.op_of_job(&job);
                let (job, outcome) = (uid(&job).into(), Outcome::Succeeded);
                self.nodes.runs.push(Run { op, job, pod: Box::default(), node, node_uid, boot_id, outcome });
            } else {
                self.soon(1, Soon::Job(key, uid(&job).into()));
            }
        }
    }

    fn op_of_job(&self, job: &Value) -> Box<str> {
        self.op_of(job).unwrap_or_default()
    }
}

fn pod_of(key: &ObjectKey, job: &Value) -> Value {
    let template = &job["spec"]["template"];
    let mut labels = template["metadata"]["labels"].clone();
    labels["batch.kubernetes.io/controller-uid"] = json!(uid(job));
    labels["batch.kubernetes.io/job-name"] = json!(key.name);
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "generateName": format!("{}-", key.name), "namespace": key.namespace, "labels": labels,
            "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": key.name, "uid": uid(job),
                "controller": true, "blockOwnerDeletion": true}],
        },
        "spec": template["spec"],
    })
}
