//! Which nodes may start now, for every dialect.
//!
//! [`admit`] is handed all nodes that count, targets and others, as they stand in one snapshot, and its answer holds for that
//! snapshot: whoever starts a node writes its approval, and asks again. A node that has begun is never held here.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use domain::verdict::Because;

use crate::reason::Reason;

/// A number of nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// As many.
    Number(u32),
    /// Percent of the targets, rounded down.
    Percent(u32),
}

impl Amount {
    fn of(self, targets: usize) -> usize {
        match self {
            Self::Number(number) => usize::try_from(number).unwrap_or(usize::MAX),
            Self::Percent(percent) => {
                targets.saturating_mul(usize::try_from(percent).unwrap_or(usize::MAX)) / 100
            }
        }
    }
}

/// Where a node stands, as far as others are concerned. [`crate::machine::standing`] says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// Nothing is wanted of it: it is no target, but counts where it is not available.
    #[default]
    Unwanted,
    /// It is wanted, and has not begun.
    Waiting,
    /// It has a place: from its approval until nothing of the operation is left on it.
    InFlight,
    /// As before, and it has failed.
    Failing,
    /// It is done.
    Done,
    /// It has failed, and its place is free.
    Failed,
}

impl Standing {
    fn has_a_place(self) -> bool {
        matches!(self, Self::InFlight | Self::Failing)
    }

    fn has_failed(self) -> bool {
        matches!(self, Self::Failing | Self::Failed)
    }
}

/// A node as admission sees it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Candidate {
    /// Name of the Node.
    pub name: Box<str>,
    /// It belongs to the control plane.
    pub control_plane: bool,
    /// Where it stands.
    pub standing: Standing,
    /// Its Ready condition is not True: False and Unknown alike.
    pub unready: bool,
    /// It is cordoned, and not by this operation.
    pub cordoned_by_others: bool,
    /// What the dialect holds against this node: another operation on it, a pause, a window.
    pub hold: Option<Because<Reason>>,
}

impl Candidate {
    fn is_unavailable(&self) -> bool {
        self.unready || self.cordoned_by_others
    }
}

/// How control-plane nodes are dealt with. They come first in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ControlPlane {
    /// As many at once as the concurrency lets.
    #[default]
    Together,
    /// One at a time, and none while another is not Ready, so that a quorum is kept; workers start when none of them waits.
    OneAtATime,
}

/// The rules of an operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// How many nodes may have a place; the number 0 is all, and a percentage at least one.
    pub concurrency: Amount,
    /// Nodes that are not Ready or cordoned by others take places as well. A candidate never stands in its own way.
    pub count_unavailable: bool,
    /// How control-plane nodes are dealt with.
    pub control_plane: ControlPlane,
    /// No node starts once one has failed.
    pub stop_on_failure: bool,
    /// How many nodes may fail; once there are more, none starts. Without it, failures stop nothing.
    pub failure_budget: Option<Amount>,
    /// The targets, where they are fixed: a node that begins to match later does not start.
    pub targets: Option<BTreeSet<Box<str>>>,
    /// What the dialect holds against all nodes: a switch, a window.
    pub gate: Option<Because<Reason>>,
}

impl Default for Rules {
    /// All at once, and nothing stops it.
    fn default() -> Self {
        Self {
            concurrency: Amount::Number(0),
            count_unavailable: false,
            control_plane: ControlPlane::Together,
            stop_on_failure: false,
            failure_budget: None,
            targets: None,
            gate: None,
        }
    }
}

/// Who may start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Admission {
    /// The nodes to start now, in this order.
    pub start: Vec<Box<str>>,
    /// For each other one, why not.
    pub held: BTreeMap<Box<str>, Because<Reason>>,
}

impl Admission {
    /// Why a node may not start; nothing when it may. A node that was not asked about is not wanted.
    pub fn held(&self, name: &str) -> Option<Because<Reason>> {
        if self.start.iter().any(|start| **start == *name) {
            return None;
        }
        Some(self.held.get(name).cloned().unwrap_or_else(not_wanted))
    }
}

fn not_wanted() -> Because<Reason> {
    Because::new(Reason::NotWanted, "nothing is wanted of the node")
}

/// The places that there are, and who has them.
struct Places<'a> {
    limit: usize,
    taken: usize,
    unavailable: usize,
    /// Control-plane nodes that have a place or are not Ready.
    busy: Vec<&'a str>,
    /// A control-plane node that must wait for another, so that workers must as well.
    waits: Option<&'a str>,
}

/// Says which nodes start now. Control-plane nodes come first, then all go by name; of several nodes of one name only the
/// first counts.
pub fn admit(nodes: &[Candidate], rules: &Rules) -> Admission {
    let mut by_name: BTreeMap<(bool, &str), &Candidate> = BTreeMap::new();
    let mut names: BTreeSet<&str> = BTreeSet::new();
    for node in nodes {
        if names.insert(&node.name) {
            by_name.insert((!node.control_plane, &node.name), node);
        }
    }
    let nodes: Vec<&Candidate> = by_name.into_values().collect();
    let is_target = |node: &Candidate| rules.targets.as_ref().is_none_or(|all| all.contains(&node.name));
    let targets = nodes.iter().filter(|node| node.standing != Standing::Unwanted && is_target(node)).count();
    let stopped = stopped(&nodes, rules, targets);
    let mut places = Places {
        limit: limit(rules.concurrency, targets),
        taken: nodes.iter().filter(|node| node.standing.has_a_place()).count(),
        unavailable: if rules.count_unavailable {
            nodes.iter().filter(|node| !node.standing.has_a_place() && node.is_unavailable()).count()
        } else {
            0
        },
        busy: nodes
            .iter()
            .filter(|node| node.control_plane && (node.standing.has_a_place() || node.unready))
            .map(|node| &*node.name)
            .collect(),
        waits: None,
    };
    let mut admission = Admission::default();
    for node in nodes {
        let held = match node.standing {
            Standing::Unwanted => Some(not_wanted()),
            Standing::InFlight | Standing::Failing => {
                Some(Because::new(Reason::AlreadyStarted, "the operation is on the node"))
            }
            Standing::Done | Standing::Failed => {
                Some(Because::new(Reason::AlreadyEnded, "the operation has ended on the node"))
            }
            Standing::Waiting if !is_target(node) => {
                let message = "the node came after the operation had fixed its targets";
                Some(Because::new(Reason::NotATarget, message).unblock("start another operation for it"))
            }
            Standing::Waiting => {
                let why = stopped.clone().or_else(|| rules.gate.clone()).or_else(|| node.hold.clone());
                why.or_else(|| places.hold(node, rules))
            }
        };
        if let Some(because) = held {
            admission.held.insert(node.name.clone(), because);
        } else {
            places.take(node, rules);
            admission.start.push(node.name.clone());
        }
    }
    admission
}

fn limit(concurrency: Amount, targets: usize) -> usize {
    match concurrency {
        Amount::Number(0) => usize::MAX,
        Amount::Number(_) => concurrency.of(targets),
        Amount::Percent(_) => concurrency.of(targets).max(1),
    }
}

/// Why no node starts any more.
fn stopped(nodes: &[&Candidate], rules: &Rules, targets: usize) -> Option<Because<Reason>> {
    let mut failed = nodes.iter().filter(|node| node.standing.has_failed());
    let first = failed.next()?;
    let count = failed.count() + 1;
    if rules.stop_on_failure {
        let message = "a node has failed, and no other one starts after a failure";
        let because = Because::new(Reason::StoppedOnFailure, message).blocked_by(crate::node(&first.name));
        return Some(because.unblock("repair the node, and start a new operation"));
    }
    let budget = rules.failure_budget?;
    if count <= budget.of(targets) {
        return None;
    }
    let message = "more nodes have failed than the failure budget lets";
    let because = Because::new(Reason::FailureBudgetSpent, message).blocked_by(crate::node(&first.name));
    Some(because.unblock("repair the nodes, and start a new operation"))
}

impl<'a> Places<'a> {
    fn hold(&mut self, node: &'a Candidate, rules: &Rules) -> Option<Because<Reason>> {
        if rules.control_plane == ControlPlane::OneAtATime
            && let Some(because) = self.quorum(node)
        {
            return Some(because);
        }
        if self.taken >= self.limit {
            let message = "as many nodes as may be are in operation";
            return Some(Because::new(Reason::ConcurrencyReached, message));
        }
        let others = self.unavailable - usize::from(rules.count_unavailable && node.is_unavailable());
        if self.taken.saturating_add(others) >= self.limit {
            let message = "nodes that are not Ready, or cordoned by others, take the places that are left";
            let because = Because::new(Reason::NodesUnavailable, message);
            return Some(because.unblock("repair or uncordon them"));
        }
        None
    }

    fn quorum(&mut self, node: &'a Candidate) -> Option<Because<Reason>> {
        if !node.control_plane {
            let message = "control-plane nodes come first, and one of them waits for another";
            let first = self.waits?;
            return Some(Because::new(Reason::ControlPlaneFirst, message).blocked_by(crate::node(first)));
        }
        let busy = self.busy.iter().find(|busy| **busy != &*node.name)?;
        self.waits.get_or_insert(&node.name);
        let message = "one control-plane node at a time, and only while all others are Ready";
        Some(Because::new(Reason::ControlPlaneBusy, message).blocked_by(crate::node(busy)))
    }

    fn take(&mut self, node: &'a Candidate, rules: &Rules) {
        self.taken += 1;
        if rules.count_unavailable && node.is_unavailable() {
            self.unavailable -= 1;
        }
        if node.control_plane {
            self.busy.push(&node.name);
        }
    }
}
