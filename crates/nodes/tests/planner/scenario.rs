//! What a scenario says: the operation, the nodes and how they behave, and what happens to them. Times are seconds.

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct Scenario {
    pub(crate) operation: Operation,
    pub(crate) nodes: Vec<NodeSpec>,
    pub(crate) budgets: Vec<BudgetSpec>,
    /// By app: how many pods there are in the cluster, and how long one takes to be replaced.
    pub(crate) apps: BTreeMap<String, App>,
    pub(crate) events: Vec<Event>,
    /// When the course ends, if it has not come to rest.
    pub(crate) until: Option<i64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub(crate) struct Operation {
    pub(crate) concurrency: u32,
    pub(crate) concurrency_percent: Option<u32>,
    pub(crate) count_unavailable: bool,
    pub(crate) one_control_plane: bool,
    pub(crate) stop_on_failure: bool,
    pub(crate) failure_budget: Option<u32>,
    pub(crate) live_targets: bool,
    pub(crate) preflight: bool,
    pub(crate) cordon: bool,
    pub(crate) drain: Option<Drain>,
    pub(crate) no_command: bool,
    pub(crate) reboot: Option<Reboot>,
    pub(crate) ready: bool,
    pub(crate) pause: u64,
    pub(crate) uncordon_on_failure: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct Drain {
    pub(crate) deadline: Option<u64>,
    pub(crate) at_deadline: AtDeadline,
    pub(crate) refuse_empty_dir: bool,
    pub(crate) refuse_unowned: bool,
    pub(crate) force_unowned: bool,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum AtDeadline {
    #[default]
    Fail,
    Force,
    Skip,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Reboot {
    /// An agent is asked, no pod.
    #[serde(default)]
    pub(crate) agent: bool,
    pub(crate) deadline: u64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub(crate) struct NodeSpec {
    pub(crate) name: String,
    pub(crate) control_plane: bool,
    pub(crate) unready: bool,
    pub(crate) cordoned: bool,
    /// The annotation beside the cordon.
    pub(crate) claim: Option<String>,
    /// No target: it only counts.
    pub(crate) bystander: bool,
    /// It joins later, by an event.
    pub(crate) later: bool,
    /// Another controller has begun on it: its Job runs, and its reboot pod will reboot the node when that is done.
    pub(crate) adopted: bool,
    pub(crate) preflight: Part<Preflight>,
    pub(crate) command: Part<Command>,
    pub(crate) boot: Part<Boot>,
    pub(crate) pods: Vec<PodSpec>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct Part<E: Default> {
    /// 0 is a time that is usual for it.
    pub(crate) takes: i64,
    pub(crate) ends: E,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Preflight {
    #[default]
    Passed,
    Skip,
    Failed,
    Stuck,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Command {
    #[default]
    Well,
    Badly,
    Stuck,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Boot {
    #[default]
    Ready,
    /// It comes back, and is not Ready.
    Unready,
    /// It does not reboot.
    Ignored,
    /// The pod that would reboot it fails at once.
    PodFails,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub(crate) struct PodSpec {
    pub(crate) name: String,
    pub(crate) app: String,
    pub(crate) unowned: bool,
    pub(crate) daemon: bool,
    pub(crate) mirror: bool,
    pub(crate) empty_dir: bool,
    pub(crate) finished: bool,
    pub(crate) own: bool,
    /// How long it takes to leave; for ever, if less than 0.
    pub(crate) leaves: i64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct BudgetSpec {
    pub(crate) name: String,
    pub(crate) app: String,
    pub(crate) min_available: Option<u32>,
    pub(crate) min_available_percent: Option<u32>,
    pub(crate) max_unavailable: Option<u32>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct App {
    pub(crate) replicas: u32,
    pub(crate) replaced: i64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Event {
    pub(crate) at: i64,
    #[serde(default)]
    pub(crate) node: String,
    pub(crate) what: What,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum What {
    Removed,
    Joins,
    /// Another node of the same name.
    Replaced,
    CordonedByHand,
    UncordonedByHand,
    RebootsByItself,
    Unready,
    Ready,
    Withdrawn,
    Deleted,
    /// The manager, for so many seconds.
    Killed(i64),
    JobPruned,
    JobDeleted,
    RebootPodDeleted,
    GateCloses,
    GateOpens,
    /// Replicas of an app.
    Scaled(String, u32),
    PodDeleted(String),
}
