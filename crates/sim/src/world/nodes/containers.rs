//! What a pod says of its containers, and what runs in one.

use serde_json::{Value, json};

/// What runs in a pod.
#[derive(Clone, Debug)]
pub(crate) struct Running {
    pub(super) node: Box<str>,
    /// The number of its start: what was due of another one does not count.
    pub(super) start: u64,
    /// The containers that come before the others are done.
    pub(super) initialised: bool,
    /// A reboot pod is about to reboot its node.
    pub(super) acting: bool,
}

/// What a pod is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It runs a command, before other containers or alone.
    Command,
    Preflight,
    /// It reboots its node.
    Reboot,
    /// It labels its node.
    Labels,
    Workload,
}

pub(super) fn role(pod: &Value) -> Role {
    let labels = &pod["metadata"]["labels"];
    let of_job = super::controller(pod).is_some_and(|(kind, ..)| kind == "Job");
    if labels.get(api::kairos::REBOOT_LABEL).is_some() {
        Role::Reboot
    } else if labels.get(api::kairos::PREFLIGHT_LABEL).is_some() {
        Role::Preflight
    } else if super::labeler::is_of_labeler(pod) {
        Role::Labels
    } else if of_job {
        Role::Command
    } else {
        Role::Workload
    }
}

fn names<'a>(pod: &'a Value, list: &str) -> impl Iterator<Item = &'a str> {
    pod["spec"][list].as_array().into_iter().flatten().filter_map(|container| container["name"].as_str())
}

/// Whether containers come before the others.
pub(super) fn has_init(pod: &Value) -> bool {
    names(pod, "initContainers").next().is_some()
}

/// Whether a container has a name.
pub(super) fn has(pod: &Value, name: &str) -> bool {
    names(pod, "containers").any(|it| it == name)
}

/// Whether an image of the pod cannot be pulled.
pub(super) fn lacks_image(pod: &Value) -> bool {
    let lists = ["initContainers", "containers"].into_iter().filter_map(|list| pod["spec"][list].as_array());
    lists.flatten().any(|of| of["image"].as_str().is_some_and(|image| image.contains(super::NO_IMAGE)))
}

/// Whether a container has run.
pub(super) fn has_begun(pod: &Value) -> bool {
    let lists = ["initContainerStatuses", "containerStatuses"];
    let statuses = lists.into_iter().filter_map(|list| pod["status"][list].as_array()).flatten();
    statuses.into_iter().any(|of| {
        !of["state"]["running"].is_null()
            || !of["state"]["terminated"].is_null()
            || !of["lastState"].is_null()
    })
}

fn statuses(pod: &Value, list: &str, state: &Value, ready: bool) -> Value {
    let each =
        names(pod, list).map(|name| json!({"name": name, "ready": ready, "restartCount": 0, "state": state}));
    each.collect()
}

fn waiting(reason: &str, message: &str) -> Value {
    json!({"waiting": {"reason": reason, "message": message}})
}

fn ready(now: &str, is: bool) -> Value {
    json!([{"type": "Ready", "status": if is { "True" } else { "False" }, "lastTransitionTime": now}])
}

/// It waits for an image.
pub(super) fn unpulled(pod: &Value, now: &str) -> Value {
    let wait = waiting("ImagePullBackOff", "Back-off pulling image");
    let mut status = json!({"phase": "Pending", "startTime": now, "conditions": ready(now, false)});
    if has_init(pod) {
        status["initContainerStatuses"] = statuses(pod, "initContainers", &wait, false);
        let after = waiting("PodInitializing", "");
        status["containerStatuses"] = statuses(pod, "containers", &after, false);
    } else {
        status["containerStatuses"] = statuses(pod, "containers", &wait, false);
    }
    status
}

/// Its first containers run.
pub(super) fn initialising(pod: &Value, now: &str) -> Value {
    json!({
        "phase": "Pending", "startTime": now, "conditions": ready(now, false),
        "initContainerStatuses": statuses(pod, "initContainers", &json!({"running": {"startedAt": now}}), false),
        "containerStatuses": statuses(pod, "containers", &waiting("PodInitializing", ""), false),
    })
}

/// Its containers run.
pub(super) fn running(pod: &Value, now: &str) -> Value {
    let mut status = json!({
        "phase": "Running", "startTime": now, "conditions": ready(now, true),
        "containerStatuses": statuses(pod, "containers", &json!({"running": {"startedAt": now}}), true),
    });
    if has_init(pod) {
        let done = json!({"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": now}});
        status["initContainerStatuses"] = statuses(pod, "initContainers", &done, true);
    }
    status
}

/// It fails, and is run again.
pub(super) fn crashing(pod: &Value, now: &str) -> Value {
    let mut status = running(pod, now);
    status["conditions"] = ready(now, false);
    let ended = json!({"terminated": {"exitCode": 1, "reason": "Error", "startedAt": now}});
    if let Some(list) = status["containerStatuses"].as_array_mut() {
        for one in list {
            one["state"] = waiting("CrashLoopBackOff", "back-off restarting failed container");
            one["lastState"] = ended.clone();
            one["ready"] = json!(false);
        }
    }
    status
}

/// How a pod ended: its exit code, the containers' reason, and what they left.
pub(super) struct End<'a> {
    pub(super) code: i32,
    pub(super) reason: &'a str,
    pub(super) message: &'a str,
}

/// It has ended.
pub(super) fn ended(pod: &Value, end: &End<'_>, initialised: bool, now: &str) -> Value {
    let phase = if end.code == 0 { "Succeeded" } else { "Failed" };
    let started = pod["status"]["startTime"].as_str().unwrap_or(now);
    let state = json!({"terminated": {
        "exitCode": end.code, "reason": end.reason, "message": end.message, "startedAt": started, "finishedAt": now,
    }});
    let mut status = json!({"phase": phase, "startTime": started, "conditions": ready(now, false)});
    if has_init(pod) && !initialised {
        status["initContainerStatuses"] = statuses(pod, "initContainers", &state, false);
        status["containerStatuses"] = statuses(pod, "containers", &waiting("PodInitializing", ""), false);
        return status;
    }
    status["containerStatuses"] = statuses(pod, "containers", &state, false);
    if has_init(pod) {
        status["initContainerStatuses"] = pod["status"]["initContainerStatuses"].clone();
    }
    status
}

/// Its node is silent.
pub(super) fn silent(pod: &Value, now: &str) -> Value {
    let mut status = pod["status"].clone();
    status["conditions"] = ready(now, false);
    status
}
