//! How an object stands: what its controller wrote about it, in one shape for all kinds.

use std::fmt;

use api::batch::{job, pod};
use api::capi::cluster;
use api::kairos::{node_op, node_op_upgrade};
use api::upgrader::{
    cluster_upgrader, debian_repository_source, machine_image, machine_image_syncer, machine_image_template,
    plan,
};
use domain::condition::{Condition, READY, RECONCILING, STALLED, Status, UP_TO_DATE};
use domain::verdict::{Reason, Waiting};
use jiff::Timestamp;
use serde::Serialize;

use crate::End;
use crate::object::{Id, Object};

/// Who acts next, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) enum State {
    /// It has no state: nothing reconciles it.
    None,
    /// Nothing is left to do.
    Done,
    /// The controller, or what it started, works.
    Working,
    /// An orderly wait.
    Waiting,
    /// No controller has looked at its spec yet.
    Pending,
    /// Something failed, and is tried again.
    Failing,
    /// A human must act.
    Blocked,
}

impl State {
    /// What a verb about such an object ends with.
    pub(crate) fn end(self) -> End {
        match self {
            Self::None | Self::Done => End::Done,
            Self::Working | Self::Waiting | Self::Pending => End::Waiting,
            Self::Failing | Self::Blocked => End::Blocked,
        }
    }

    /// By who acts next on a reason.
    pub(crate) fn of_actor(actor: &str) -> Self {
        match actor {
            "works" => Self::Working,
            "fails" => Self::Failing,
            "human" => Self::Blocked,
            _ => Self::Waiting,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("-"),
            other => write!(f, "{other:?}"),
        }
    }
}

/// How an object stands.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) state: State,
    /// CamelCase; empty where there is none.
    pub(crate) reason: String,
    /// One line; empty where there is none.
    pub(crate) message: String,
    pub(crate) since: Option<Timestamp>,
    pub(crate) not_before: Option<Timestamp>,
    pub(crate) unblock: Option<String>,
    pub(crate) blocked_by: Option<Id>,
    /// The condition Ready, where it has one.
    pub(crate) ready: Option<Status>,
}

impl Standing {
    /// Of an object of which nothing is known.
    pub(crate) fn unknown() -> Self {
        Self::new(State::None, "", "")
    }

    /// As a condition tells it.
    fn told(state: State, condition: &Condition) -> Self {
        Self {
            since: Some(condition.last_transition_time),
            ..Self::new(state, &condition.reason, &condition.message)
        }
    }

    fn new(state: State, reason: &str, message: &str) -> Self {
        Self {
            state,
            reason: reason.to_owned(),
            message: one_line(message),
            since: None,
            not_before: None,
            unblock: None,
            blocked_by: None,
            ready: None,
        }
    }
}

/// Several lines as one.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Who acts next on a reason of a kind of ours; `None` where this program does not know the reason.
fn actor(id: &Id, reason: &str) -> Option<&'static str> {
    fn find<R: Reason>(all: &[R], actor: impl Fn(R) -> &'static str, reason: &str) -> Option<&'static str> {
        all.iter().find(|known| known.name() == reason).map(|known| actor(*known))
    }
    macro_rules! among {
        ($($module:ident),+) => {
            $(if id.is($module::KIND) {
                return find($module::Reason::ALL, $module::Reason::actor, reason);
            })+
        };
    }
    among!(debian_repository_source, machine_image_syncer, machine_image, plan, cluster_upgrader);
    among!(node_op, node_op_upgrade);
    None
}

/// How an object stands.
pub(crate) fn of(object: &Object) -> Standing {
    let conditions = conditions(object, "/status/conditions");
    let mut standing = if object.id.is(machine_image_template::KIND) {
        Standing::new(State::None, "", "")
    } else if object.is_ours() {
        ours(object, &conditions)
    } else if object.id.is(cluster::KIND) {
        of_cluster(object, &conditions)
    } else if object.id.is(job::KIND) {
        of_job(object, &conditions)
    } else if object.id.is(pod::KIND) {
        of_pod(object)
    } else {
        of_conditions(&object.id, &conditions)
    };
    standing.ready =
        find(&conditions, READY).or_else(|| find(&conditions, "Available")).map(|ready| ready.status);
    standing
}

fn conditions(object: &Object, pointer: &str) -> Vec<Condition> {
    let list = object.body.pointer(pointer).and_then(serde_json::Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(|entry| <Condition as serde::Deserialize>::deserialize(entry).ok())
        .collect()
}

fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

fn ours(object: &Object, conditions: &[Condition]) -> Standing {
    let observed = object.body.pointer("/status/observedGeneration").and_then(serde_json::Value::as_i64);
    let waiting = object.body.pointer("/status/waiting");
    let waiting = waiting.and_then(|waiting| <Waiting as serde::Deserialize>::deserialize(waiting).ok());
    let mut standing = of_conditions(&object.id, conditions);
    if let Some(waiting) = waiting {
        if let Some(actor) = actor(&object.id, &waiting.reason) {
            standing.state = State::of_actor(actor);
        }
        let told = conditions.iter().find(|condition| condition.reason == waiting.reason);
        standing.message = told.map(|condition| one_line(&condition.message)).unwrap_or_default();
        standing.reason = waiting.reason.into_owned();
        standing.since = Some(waiting.since);
        standing.not_before = waiting.not_before;
        standing.unblock = waiting.unblock.map(Into::into);
        standing.blocked_by = waiting.blocked_by.as_ref().map(Id::of_blocker);
    }
    // What was written about an older spec says nothing of this one.
    let stale = observed.is_some_and(|observed| observed < object.meta.generation);
    if conditions.is_empty() || stale {
        let message = if stale {
            "the spec has changed since the controller looked at it"
        } else {
            "no controller has looked at it"
        };
        return Standing { since: None, ..Standing::new(State::Pending, "NotObserved", message) };
    }
    standing
}

/// By the conventions of kstatus: of controllers that write conditions alone.
fn of_conditions(id: &Id, conditions: &[Condition]) -> Standing {
    let is =
        |type_: &str, status: Status| find(conditions, type_).filter(|condition| condition.status == status);
    let (state, condition) = if let Some(stalled) = is(STALLED, Status::True) {
        (State::Blocked, stalled)
    } else if let Some(reconciling) = is(RECONCILING, Status::True) {
        (State::Working, reconciling)
    } else if let Some(failed) = is(READY, Status::False) {
        (State::Failing, failed)
    } else if let Some(behind) = find(conditions, UP_TO_DATE).filter(|found| found.status != Status::True) {
        (State::Waiting, behind)
    } else if let Some(ready) = find(conditions, UP_TO_DATE).or_else(|| find(conditions, READY)) {
        (State::Done, ready)
    } else {
        return Standing::new(State::None, "", "");
    };
    let state = if state == State::Done {
        state
    } else {
        actor(id, &condition.reason).map_or(state, State::of_actor)
    };
    Standing::told(state, condition)
}

/// A Cluster by the conditions of Cluster API; those of v1beta2 are a level deeper in v1beta1.
fn of_cluster(object: &Object, conditions: &[Condition]) -> Standing {
    let row: cluster::ClusterRow = object.row();
    let deeper = self::conditions(object, "/status/v1beta2/conditions");
    let conditions = if deeper.is_empty() { conditions } else { &deeper };
    if object.meta.deletion_timestamp.is_some() {
        return Standing {
            since: object.meta.deletion_timestamp,
            ..Standing::new(State::Waiting, "Deleting", "")
        };
    }
    if row.paused {
        return Standing::new(
            State::Waiting,
            "Paused",
            "Cluster API leaves it alone: spec.paused or the annotation is set",
        );
    }
    let topology =
        find(conditions, "TopologyReconciled").filter(|condition| condition.status == Status::False);
    // Cluster API says False while an upgrade waits for its turn as well; only its own word tells a failure.
    if let Some(failed) = topology.filter(|condition| condition.reason.ends_with("Failed")) {
        return Standing::told(State::Failing, failed);
    }
    if let Some(rolling) = find(conditions, "RollingOut").filter(|condition| condition.status == Status::True)
    {
        return Standing::told(State::Working, rolling);
    }
    if let Some(pending) = topology {
        return Standing::told(State::Working, pending);
    }
    match find(conditions, "Available").or_else(|| find(conditions, READY)) {
        Some(available) if available.status == Status::True => Standing::told(State::Done, available),
        Some(available) => Standing::told(State::Failing, available),
        None => Standing::new(State::Pending, row.phase.as_deref().unwrap_or("Unknown"), ""),
    }
}

fn of_job(object: &Object, conditions: &[Condition]) -> Standing {
    let ended = |type_: &str| find(conditions, type_).filter(|condition| condition.status == Status::True);
    if let Some(failed) = ended("Failed") {
        return Standing::told(State::Failing, failed);
    }
    if let Some(complete) = ended("Complete") {
        let mut standing = Standing::told(State::Done, complete);
        if standing.reason.is_empty() {
            "Complete".clone_into(&mut standing.reason);
        }
        return standing;
    }
    let row: job::JobRow = object.row();
    let message = format!("{} pods active, {} failed", row.active, row.failed_pods);
    Standing { since: object.meta.creation_timestamp, ..Standing::new(State::Working, "Running", &message) }
}

/// A pod by its containers: the first that failed, or cannot start, speaks for it.
fn of_pod(object: &Object) -> Standing {
    let status =
        |name: &str| object.body.pointer(&format!("/status/{name}")).and_then(serde_json::Value::as_array);
    let containers = status("initContainerStatuses")
        .into_iter()
        .flatten()
        .chain(status("containerStatuses").into_iter().flatten());
    for container in containers {
        let text = |pointer: &str| {
            container.pointer(pointer).and_then(serde_json::Value::as_str).unwrap_or_default()
        };
        let name = text("/name");
        let exit = container.pointer("/state/terminated/exitCode").and_then(serde_json::Value::as_i64);
        if let Some(exit) = exit.filter(|exit| *exit != 0) {
            let words = one_line(text("/state/terminated/message"));
            let words = if words.is_empty() { String::new() } else { format!(": {words}") };
            let since = text("/state/terminated/finishedAt").parse().ok();
            let reason =
                Some(text("/state/terminated/reason")).filter(|reason| !reason.is_empty()).unwrap_or("Error");
            return Standing {
                since,
                ..Standing::new(
                    State::Failing,
                    reason,
                    &format!("container {name} ended with exit code {exit}{words}"),
                )
            };
        }
        let waits = text("/state/waiting/reason");
        if !waits.is_empty() && !["ContainerCreating", "PodInitializing"].contains(&waits) {
            let words = format!("container {name}: {}", text("/state/waiting/message"));
            return Standing {
                since: object.meta.creation_timestamp,
                ..Standing::new(State::Failing, waits, &words)
            };
        }
    }
    let phase = object.text("/status/phase").unwrap_or("Unknown");
    let state = match phase {
        "Succeeded" => State::Done,
        "Failed" => State::Failing,
        _ => State::Working,
    };
    let reason = object.text("/status/reason").unwrap_or(phase);
    let scheduled = conditions(object, "/status/conditions");
    let unscheduled = find(&scheduled, "PodScheduled").filter(|condition| condition.status == Status::False);
    let message = unscheduled
        .map_or_else(|| object.text("/status/message").unwrap_or_default(), |condition| &*condition.message);
    Standing { since: object.meta.creation_timestamp, ..Standing::new(state, reason, message) }
}
