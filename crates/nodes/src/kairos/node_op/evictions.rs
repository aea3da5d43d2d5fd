//! What was read of the pods on a node, live, and which of them were asked to leave since.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use api::kairos::PREFLIGHT_LABEL;
use api::nodes::disruption_budget::{Amount, DisruptionBudgetRow};
use api::nodes::pod::NodePodRow;
use domain::object::ObjectKey;
use jiff::Timestamp;
use runtime::clock::{after, within};

use crate::drain::budget::{Bound, Budget};
use crate::drain::{Phase, Pod, Role};
use crate::machine::Pods;

/// How long what was read holds. Pods that leave are looked at again after that.
pub(super) const FRESH: Duration = Duration::from_secs(5);
/// How long a pod is left alone that the API server refused to evict, at least: the same request is not made more often than
/// the engine lets a step be repeated.
const REFUSED: Duration = Duration::from_secs(10);

/// What was read of a node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Look {
    /// When.
    pub at: Timestamp,
    /// Its pods.
    pub pods: Vec<NodePodRow>,
    /// The budgets of their namespaces.
    pub budgets: Vec<DisruptionBudgetRow>,
    /// Uids of pods that were asked to leave since.
    pub asked: BTreeSet<Box<str>>,
    /// Since when every look has shown the same.
    pub same_since: Timestamp,
}

impl Look {
    /// What was read now, after an earlier look.
    pub(super) fn after(
        earlier: Option<&Self>,
        pods: Vec<NodePodRow>,
        budgets: Vec<DisruptionBudgetRow>,
        at: Timestamp,
    ) -> Self {
        let now = Self { at, pods, budgets, asked: BTreeSet::new(), same_since: at };
        let same = earlier.filter(|earlier| earlier.asked.is_empty() && earlier.shows() == now.shows());
        Self { same_since: same.map_or(at, |earlier| earlier.same_since), ..now }
    }

    /// What a drain rests on; other budgets of the cluster change all the time.
    fn shows(&self) -> (Vec<impl PartialEq>, Vec<Budget>) {
        let pod = |pod: &NodePodRow| (pod.meta.uid.clone(), pod.phase.clone(), pod.ready, pod.leaving_by);
        (self.pods.iter().map(pod).collect(), self.budgets())
    }

    /// The budgets over pods of the node.
    fn budgets(&self) -> Vec<Budget> {
        self.budgets.iter().filter_map(|row| budget(row, &self.pods)).collect()
    }
}

/// What is kept of a node's drain in memory.
#[derive(Clone, Debug, Default)]
pub struct Evictions {
    /// The last look.
    pub look: Option<Look>,
    /// When the first pod was asked to leave the cordoned node, and the uids of those that were there.
    pub began: Option<(Timestamp, BTreeSet<Box<str>>)>,
    /// Pods by uid that the API server refused to evict, and until when they are left alone.
    pub refused: BTreeMap<Box<str>, Timestamp>,
}

impl Evictions {
    /// The pods as the engine is told of them, while what was read still holds. A pod that was made since the first one was asked
    /// to leave has come in spite of the cordon, as those of DaemonSets do: it stays, or the two would go on without end.
    pub(super) fn pods(&self, own: Option<&ObjectKey>, of: &str, now: Timestamp) -> Option<Pods> {
        let look = self.look.as_ref().filter(|look| within(look.at, FRESH, now))?;
        let came = |row: &NodePodRow| {
            self.began.as_ref().zip(row.meta.created).is_some_and(|((began, there), made)| {
                // Objects tell whole seconds.
                made.as_second() >= began.as_second() && !there.contains(&row.meta.uid)
            })
        };
        let pod = |row: &NodePodRow| Pod { left_out: came(row), ..self.pod(row, own, of) };
        Some(Pods {
            pods: look.pods.iter().map(pod).collect(),
            budgets: look.budgets(),
            unchanged_since: Some(look.same_since),
        })
    }

    /// A pod was asked to leave.
    pub(super) fn asked(&mut self, uid: &str, now: Timestamp) {
        let there = || self.look.iter().flat_map(|look| &look.pods).map(|pod| pod.meta.uid.clone()).collect();
        self.began.get_or_insert_with(|| (now, there()));
        self.not_now(uid);
    }

    /// The node was cordoned: a pod may have come to it right before.
    pub(super) fn anew(&mut self) {
        (self.look, self.began) = (None, None);
    }

    /// A pod is not asked again before the next look.
    fn not_now(&mut self, uid: &str) {
        if let Some(look) = &mut self.look {
            look.asked.insert(uid.into());
        }
    }

    /// A pod must stay for now.
    pub(super) fn refused(&mut self, uid: &str, retry_after: Option<u32>, now: Timestamp) {
        self.not_now(uid);
        let pause = retry_after.map_or(REFUSED, |seconds| Duration::from_secs(seconds.into()).max(REFUSED));
        self.refused.retain(|_, until| *until > now);
        self.refused.insert(uid.into(), after(now, pause));
    }

    fn pod(&self, row: &NodePodRow, own: Option<&ObjectKey>, of: &str) -> Pod {
        let operation = row.node_op_label.as_deref() == Some(of)
            || row.labels.contains_key(PREFLIGHT_LABEL) && row.node_op_label.is_some();
        Pod {
            key: row.meta.key.clone(),
            uid: row.meta.uid.clone(),
            role: if own == Some(&row.meta.key) {
                Role::Controller
            } else if row.reboots {
                Role::Reboot
            } else if operation {
                Role::Operation
            } else {
                Role::Workload
            },
            owned: row.owned,
            daemon: row.daemon,
            mirror: row.mirror,
            phase: match &*row.phase {
                "Pending" => Phase::Pending,
                "Running" => Phase::Running,
                "Succeeded" => Phase::Succeeded,
                "Failed" => Phase::Failed,
                _ => Phase::Unknown,
            },
            ready: row.ready,
            leaving_by: row.leaving_by,
            empty_dir: row.empty_dir,
            left_out: false,
            not_before: self.refused.get(&row.meta.uid).copied(),
        }
    }
}

/// A budget over pods of the node; nothing where it is over none of them.
fn budget(row: &DisruptionBudgetRow, pods: &[NodePodRow]) -> Option<Budget> {
    let over =
        |pod: &&NodePodRow| pod.meta.key.namespace == row.meta.key.namespace && row.selects(&pod.labels);
    let pods: Vec<ObjectKey> = pods.iter().filter(over).map(|pod| pod.meta.key.clone()).collect();
    if pods.is_empty() {
        return None;
    }
    let number = |of: i32| u32::try_from(of).unwrap_or_default();
    let count = |of: i64| u32::try_from(of.max(0)).unwrap_or(u32::MAX);
    let bound = match (&row.max_unavailable, &row.min_available) {
        (Some(Amount::Count(of)), _) => Bound::MaxUnavailable(count(*of)),
        (Some(Amount::Percent(of)), _) => Bound::MaxUnavailablePercent(*of),
        (_, Some(Amount::Count(of))) => Bound::MinAvailable(count(*of)),
        (_, Some(Amount::Percent(of))) => Bound::MinAvailablePercent(*of),
        // The API server's default, and what no server admits.
        _ => Bound::MinAvailable(1),
    };
    Some(Budget {
        key: row.meta.key.clone(),
        bound,
        expected: number(row.expected_pods),
        healthy: number(row.current_healthy),
        desired: number(row.desired_healthy),
        // The API server refuses while it has not looked at the budget as it is.
        allowed: if row.is_observed { number(row.disruptions_allowed) } else { 0 },
        lets_unready_go: row.always_allows_unhealthy,
        pods,
    })
}
