//! PodDisruptionBudgets: whether one lets a pod go, and whether it ever can.
//!
//! The API server alone decides about an eviction. What is told here beforehand is what it would refuse: so a drain that
//! cannot succeed is not begun, and one that waits names the budget.

use std::fmt;

use domain::object::{ObjectKey, ObjectRef};

use super::{Phase, Pod};
use crate::BUDGET;

/// `minAvailable` or `maxUnavailable`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// `spec.minAvailable`, a number.
    MinAvailable(u32),
    /// `spec.minAvailable`, percent of the expected pods, rounded up.
    MinAvailablePercent(u32),
    /// `spec.maxUnavailable`, a number.
    MaxUnavailable(u32),
    /// `spec.maxUnavailable`, percent of the expected pods, rounded up.
    MaxUnavailablePercent(u32),
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MinAvailable(number) => write!(f, "minAvailable is {number}"),
            Self::MinAvailablePercent(percent) => write!(f, "minAvailable is {percent}%"),
            Self::MaxUnavailable(number) => write!(f, "maxUnavailable is {number}"),
            Self::MaxUnavailablePercent(percent) => write!(f, "maxUnavailable is {percent}%"),
        }
    }
}

/// A PodDisruptionBudget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Namespace and name.
    pub key: ObjectKey,
    /// Its bound; the API server's default is `minAvailable` 1.
    pub bound: Bound,
    /// `status.expectedPods`.
    pub expected: u32,
    /// `status.currentHealthy`.
    pub healthy: u32,
    /// `status.desiredHealthy`.
    pub desired: u32,
    /// `status.disruptionsAllowed`, and 0 while the status is not of the present spec: the API server then refuses too.
    pub allowed: u32,
    /// `spec.unhealthyPodEvictionPolicy` is `AlwaysAllow`.
    pub lets_unready_go: bool,
    /// The pods of the node that its selector takes.
    pub pods: Vec<ObjectKey>,
}

impl Budget {
    /// The budget, named in a reason.
    pub fn reference(&self) -> ObjectRef {
        ObjectRef::named(BUDGET, self.key.clone())
    }

    /// Whether it can never allow a disruption, as long as it and the number of pods are what they are: all pods must be
    /// available, always.
    pub fn never_allows(&self) -> bool {
        match self.bound {
            Bound::MaxUnavailable(number) => number == 0,
            Bound::MaxUnavailablePercent(percent) => percent == 0,
            Bound::MinAvailable(number) => self.expected > 0 && number >= self.expected,
            Bound::MinAvailablePercent(percent) => {
                self.expected > 0 && share_up(percent, self.expected) >= u64::from(self.expected)
            }
        }
    }

    /// Why it never allows one, for people.
    pub fn why_never(&self) -> String {
        match self.bound {
            Bound::MaxUnavailable(_) | Bound::MaxUnavailablePercent(_) => self.bound.to_string(),
            Bound::MinAvailable(_) | Bound::MinAvailablePercent(_) => {
                format!("{} of {} expected", self.bound, self.expected)
            }
        }
    }

    fn covers(&self, pod: &Pod) -> bool {
        self.pods.contains(&pod.key)
    }
}

/// `percent` of `whole`, rounded up, as the disruption controller does.
fn share_up(percent: u32, whole: u32) -> u64 {
    (u64::from(percent) * u64::from(whole)).div_ceil(100)
}

/// What the budgets over a pod say of its eviction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave<'a> {
    /// No budget is asked: there is none, or the pod does not count as available.
    Free,
    /// This budget is asked, and counts it.
    Counted(&'a Budget),
    /// This budget allows none now.
    Blocked(&'a Budget),
    /// This budget can never allow it.
    Never(&'a Budget),
    /// Two budgets take the pod, and the API server evicts none such.
    Twice(&'a Budget, &'a Budget),
}

/// What the budgets say of a pod's eviction. The order is the API server's: pods that have not started or that leave are
/// free; two budgets are an error; then an unready pod may go, if its budget says so or has enough others.
pub fn leave<'a>(pod: &Pod, budgets: &'a [Budget]) -> Leave<'a> {
    if matches!(pod.phase, Phase::Pending | Phase::Succeeded | Phase::Failed) || pod.leaving_by.is_some() {
        return Leave::Free;
    }
    let mut over = budgets.iter().filter(|budget| budget.covers(pod));
    let Some(budget) = over.next() else { return Leave::Free };
    if let Some(second) = over.next() {
        return Leave::Twice(budget, second);
    }
    let enough = budget.desired > 0 && budget.healthy >= budget.desired;
    if !pod.ready && (budget.lets_unready_go || enough) {
        return Leave::Free;
    }
    if budget.never_allows() {
        Leave::Never(budget)
    } else if budget.allowed == 0 {
        Leave::Blocked(budget)
    } else {
        Leave::Counted(budget)
    }
}
