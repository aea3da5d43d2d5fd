//! What becomes of all pods of a node, at one look.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use domain::object::{ObjectKey, ObjectRef};
use domain::verdict::Because;
use jiff::Timestamp;

use super::budget::{Budget, Leave, leave};
use super::fate::leaving;
use super::{AtDeadline, Fate, Options, Pod, Why, fate};
use crate::POD;
use crate::reason::Reason;

/// How long after its grace a pod is awaited once the deadline has passed, where the options say nothing: the kubelet ends
/// containers at the end of the grace, and tells of it within seconds.
const PATIENCE_PAST_DEADLINE: Duration = Duration::from_secs(30);

/// How a pod is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// The eviction subresource.
    Evict,
    /// DELETE.
    Delete,
}

/// One removal, to be sent with the uid as a precondition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    /// Namespace and name.
    pub pod: ObjectKey,
    /// Its uid.
    pub uid: Box<str>,
    /// How.
    pub how: How,
    /// Seconds of grace; the pod's own where absent.
    pub grace_seconds: Option<u32>,
}

impl fmt::Display for Removal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self.how {
            How::Evict => "evict",
            How::Delete => "delete",
        };
        write!(f, "{verb} {}", self.pod)
    }
}

/// A drain as it stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// What becomes of each pod, by name.
    pub fates: BTreeMap<ObjectKey, Fate>,
    /// What is to be removed now, by name. Empty while the drain is hindered.
    pub remove: Vec<Removal>,
    /// Why nothing may leave: a refused pod, or a budget that can never be met.
    pub hindrance: Option<Because<Reason>>,
    /// Why the drain is not over, where nothing hinders it: names a pod, and the budget over it.
    pub waits: Option<Because<Reason>>,
    /// When a pod that is held back may be tried again.
    pub again: Option<Timestamp>,
}

impl Plan {
    /// Nothing is to leave, and nothing is awaited.
    pub fn is_over(&self) -> bool {
        self.remove.is_empty() && self.hindrance.is_none() && self.waits.is_none()
    }

    /// Why it is not over.
    pub fn because(&self) -> Option<&Because<Reason>> {
        self.hindrance.as_ref().or(self.waits.as_ref())
    }
}

/// Plans a drain. `past` is set once the deadline has passed: what then becomes of pods that have not left.
pub fn plan(
    pods: &[Pod],
    budgets: &[Budget],
    options: &Options,
    past: Option<AtDeadline>,
    now: Timestamp,
) -> Plan {
    let pods: BTreeMap<&ObjectKey, &Pod> = pods.iter().map(|pod| (&pod.key, pod)).collect();
    let mut plan = Plan::default();
    let mut allowed: BTreeMap<&ObjectKey, u32> =
        budgets.iter().map(|budget| (&budget.key, budget.allowed)).collect();
    let mut terminating = None;
    let mut held_back = None;
    for (key, pod) in pods {
        let fate = at_deadline(pod, fate(pod, options, now), options, past, now);
        plan.fates.insert(key.clone(), fate);
        match fate {
            Fate::Skip(_) => {}
            Fate::Refuse(why) => hinder(&mut plan, refused(pod, why)),
            Fate::Awaited(_) => terminating = terminating.or(Some(pod)),
            Fate::Delete(_) => plan.remove.push(removal(pod, How::Delete, options)),
            Fate::Evict(_) => match leave(pod, budgets) {
                Leave::Twice(one, other) => hinder(&mut plan, twice(pod, one, other)),
                Leave::Never(budget) => hinder(&mut plan, never(pod, budget)),
                Leave::Blocked(budget) => hold(&mut plan, blocked(pod, budget)),
                _ if pod.not_before.is_some_and(|time| time > now) => {
                    plan.again = earlier(plan.again, pod.not_before);
                    held_back = held_back.or(Some(pod));
                }
                Leave::Free => plan.remove.push(removal(pod, How::Evict, options)),
                Leave::Counted(budget) => match allowed.get_mut(&budget.key) {
                    Some(0) | None => hold(&mut plan, blocked(pod, budget)),
                    Some(left) => {
                        *left -= 1;
                        plan.remove.push(removal(pod, How::Evict, options));
                    }
                },
            },
        }
    }
    if let Some(pod) = held_back {
        let message = "the API server refused to evict a pod for now".to_owned();
        hold(&mut plan, Because::new(Reason::BudgetBlocks, message).blocked_by(reference(pod)));
    }
    if let Some(pod) = terminating {
        let message = "a pod has not left yet".to_owned();
        hold(&mut plan, Because::new(Reason::PodsTerminating, message).blocked_by(reference(pod)));
    }
    if plan.hindrance.is_some() {
        plan.remove.clear();
    }
    plan
}

/// What the passed deadline makes of a fate.
fn at_deadline(pod: &Pod, fate: Fate, options: &Options, past: Option<AtDeadline>, now: Timestamp) -> Fate {
    let patience = options.give_up_leaving.unwrap_or(PATIENCE_PAST_DEADLINE);
    match (past, fate) {
        (None | Some(AtDeadline::Fail), _) | (_, Fate::Skip(_)) => fate,
        (Some(_), Fate::Awaited(_)) => pod.leaving_by.map_or(fate, |by| leaving(by, Some(patience), now)),
        (Some(AtDeadline::Force), Fate::Evict(_)) => Fate::Delete(Why::PastDeadline),
        (Some(AtDeadline::Force), _) => fate,
        (Some(AtDeadline::Skip), _) => Fate::Skip(Why::LeftAtDeadline),
    }
}

fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min()
}

fn removal(pod: &Pod, how: How, options: &Options) -> Removal {
    Removal { pod: pod.key.clone(), uid: pod.uid.clone(), how, grace_seconds: options.grace_seconds }
}

fn reference(pod: &Pod) -> ObjectRef {
    ObjectRef { uid: pod.uid.clone(), ..ObjectRef::named(POD, pod.key.clone()) }
}

/// The first hindrance is told.
fn hinder(plan: &mut Plan, because: Because<Reason>) {
    plan.hindrance.get_or_insert(because);
}

/// The first wait is told.
fn hold(plan: &mut Plan, because: Because<Reason>) {
    plan.waits.get_or_insert(because);
}

fn refused(pod: &Pod, why: Why) -> Because<Reason> {
    let hint = match why {
        Why::EmptyDir => "delete it, or let the drain delete the data of emptyDirs",
        _ => "delete it, or let the drain force it",
    };
    let message = format!("no pod is evicted, since one {why}");
    Because::new(Reason::DrainRefused, message).blocked_by(reference(pod)).unblock(hint)
}

fn never(pod: &Pod, budget: &Budget) -> Because<Reason> {
    let why = budget.why_never();
    let message = format!("no pod is evicted, since the budget of Pod {} can never be met: {why}", pod.key);
    let because = Because::new(Reason::BudgetNeverMet, message).blocked_by(budget.reference());
    because.unblock("change the budget, add replicas, or delete the pod")
}

fn twice(pod: &Pod, one: &Budget, other: &Budget) -> Because<Reason> {
    let message = format!(
        "no pod is evicted, since two budgets are over Pod {}, which the API server never evicts: {} and {}",
        pod.key, one.key.name, other.key.name
    );
    let because = Because::new(Reason::BudgetNeverMet, message).blocked_by(one.reference());
    because.unblock("leave one budget over the pod")
}

fn blocked(pod: &Pod, budget: &Budget) -> Because<Reason> {
    let message = format!("the budget of Pod {} allows no eviction now", pod.key);
    let because = Because::new(Reason::BudgetBlocks, message).blocked_by(budget.reference());
    because.unblock("it goes on when enough pods of the budget are healthy")
}
