//! What must hold before a Cluster is moved, in the order in which it is looked at.
//!
//! This is the only list of it: a Cluster is written to when every condition has passed, and else waits for the first that
//! has not. Nothing here asks the server; what needs a live read is not looked at until it was made.

use api::upgrader::cluster_upgrader::{LastSet, Reason};
use domain::verdict::{Because, Verdict};
use jiff::Timestamp;

use super::Policy;
use super::admit;
use super::apply::Step;
use super::decide::{self, stop};
use super::facts::{self, Hindrance, Target, Wanted};
use super::gates;
use super::hop::{self, Hop, Next};
use super::observe::Observed;
use super::owner;
use super::variable::{self, Takes};

/// Whether a condition holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It holds.
    Passed,
    /// It does not, and why.
    NotPassed(Because<Reason>),
    /// It cannot be told: it depends on another one, needs a live read, or nothing is to be set.
    NotLookedAt,
}

/// One thing that must hold before a Cluster is moved.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// CamelCase name; it stays what it is.
    pub name: &'static str,
    /// What holds where it has passed, in a sentence without a full stop.
    pub sentence: &'static str,
    /// Whether it does.
    pub outcome: Outcome,
    /// What follows where it has not passed: a live read first, or a wait.
    pub(super) stop: Option<Box<Verdict<Step, Reason>>>,
}

/// Everything that must hold before a Cluster is moved, with whether it does.
pub fn conditions(observed: &Observed, now: Timestamp, policy: Policy) -> Vec<Condition> {
    look(observed, now, policy).conditions
}

/// What was looked at, and what follows where all of it holds.
pub(super) struct Looked<'a> {
    pub(super) conditions: Vec<Condition>,
    pub(super) target: Option<Target<'a>>,
    pub(super) hop: Option<Hop>,
    /// How the variable takes the image, where one is named.
    pub(super) takes: Option<Takes>,
    /// What the annotation is to hold, where it does not.
    pub(super) record: Option<LastSet>,
}

type Stop = Box<Verdict<Step, Reason>>;

#[derive(Default)]
struct List(Vec<Condition>);

impl List {
    /// Puts a condition that may wait or fail.
    fn gate<T>(&mut self, name: &'static str, sentence: &'static str, found: Option<Result<T, Hindrance>>) {
        self.put(name, sentence, found.map(|found| found.map(drop).map_err(stop)));
    }

    /// Puts a condition; `None` where it is not looked at.
    fn put(&mut self, name: &'static str, sentence: &'static str, found: Option<Result<(), Stop>>) {
        let (outcome, stop) = match found {
            None => (Outcome::NotLookedAt, None),
            Some(Ok(())) => (Outcome::Passed, None),
            // A read will tell.
            Some(Err(verdict)) if !verdict.steps.is_empty() => (Outcome::NotLookedAt, Some(verdict)),
            Some(Err(verdict)) => match verdict.then.because().cloned() {
                Some(because) => (Outcome::NotPassed(because), Some(verdict)),
                None => (Outcome::NotLookedAt, Some(verdict)),
            },
        };
        self.0.push(Condition { name, sentence, outcome, stop });
    }
}

pub(super) fn look(observed: &Observed, now: Timestamp, policy: Policy) -> Looked<'_> {
    let mut list = List::default();
    let (found_target, found_wanted) = (facts::target(observed), facts::wanted(observed));
    of_objects(&mut list, observed, &found_target);
    // Whoever may not drive the Cluster does not say what was set either.
    let drives = list.0.iter().all(|condition| condition.stop.is_none());
    // Before anything about the Plan: whatever becomes of that, a Cluster that rolls counts as one of its.
    let converged = found_target.as_ref().ok().map(|target| decide::converged(observed, target, now, policy));
    let has_converged = matches!(converged, Some(Ok(())));
    list.put("Converged", "the Cluster runs its present version everywhere", converged);
    list.gate("PlanHasResult", "the Plan has a result", Some(found_wanted.as_ref().map_err(Clone::clone)));

    let (target, wanted) = (found_target.ok(), found_wanted.ok());
    let both = target.as_ref().zip(wanted.as_ref());
    let next = both.map(|(target, wanted)| hop::next(observed, target, wanted));
    let ahead = both.map(|(target, wanted)| gates::not_ahead(target, wanted, observed.asked.is_some()));
    let sole = both.map(|(target, wanted)| owner::sole(observed, target, wanted));
    let is_sole = matches!(sole, Some(Ok(())));
    list.gate("NotADowngrade", "the Cluster is not at a newer version", ahead);
    list.gate("OneWriter", "nobody else sets the version or the image of the Cluster", sole);

    let moves = !matches!(next, None | Some(Next::Reached));
    let (hop, takes) = of_hop(&mut list, observed, both, next.filter(|_| moves), now);
    let limited = wanted.as_ref().is_some_and(|wanted| wanted.plan.max_concurrent.is_some());
    let takes_place = limited && hop.is_some();
    let settled = target.as_ref().filter(|_| has_converged);
    let settled = settled.map(|target| decide::settled(observed, target, takes_place, now));
    list.put("Settled", "every machine has been seen to run that version for 15 s", settled);
    let refused = target.as_ref().zip(hop.as_ref());
    let refused = refused.map(|(target, hop)| decide::not_refused(observed, target, hop, now));
    list.put("NotRefused", "the server has not refused this very write a moment ago", refused);
    let image = hop.as_ref().map(|hop| decide::image_there(observed, hop, now));
    list.put("ImageThere", "the MachineImage of that version still is what the Plan found", image);

    let record = both
        .filter(|_| drives && is_sole)
        .and_then(|(target, wanted)| owner::to_record(observed, target, wanted));
    Looked { conditions: list.0, target, hop, takes, record }
}

/// The upgrader and its Cluster.
fn of_objects(list: &mut List, observed: &Observed, target: &Result<Target<'_>, Hindrance>) {
    let (upgrader, cluster) = (&observed.upgrader, facts::cluster(observed));
    let seen = cluster.as_ref().ok().copied();
    list.gate("UpgraderValid", "the upgrader can be read", Some(gates::valid(upgrader)));
    list.gate("UpgraderNotPaused", "the upgrader is not paused", Some(gates::not_paused(upgrader)));
    let in_namespace = gates::plan_in_namespace(upgrader);
    list.gate("PlanInNamespace", "the Plan is in the namespace of the upgrader", Some(in_namespace));
    list.gate("ClusterThere", "the Cluster is there and can be read", Some(cluster));
    let managed = seen.map(|_| target.as_ref().map_err(Clone::clone));
    list.gate("ClusterHasTopology", "the Cluster is managed by a topology that has a version", managed);
    list.gate("ClusterNotDeleting", "the Cluster is not being deleted", seen.map(gates::not_deleting));
    let paused = seen.map(|cluster| decide::not_paused(observed, cluster));
    list.gate("ClusterNotPaused", "the Cluster is not paused", paused);
    let told = "Cluster API is new enough to tell how far an upgrade is";
    list.gate("ProgressTold", told, seen.map(gates::tells_progress));
    list.gate("OneUpgrader", "no older upgrader drives the Cluster", Some(gates::drives(observed)));
}

/// The next hop, its class, its image and the variable; nothing is looked at where there is none.
fn of_hop(
    list: &mut List,
    observed: &Observed,
    both: Option<(&Target<'_>, &Wanted<'_>)>,
    next: Option<Next>,
    now: Timestamp,
) -> (Option<Hop>, Option<Takes>) {
    let both = both.filter(|_| next.is_some());
    let class = both.map(|(target, _)| gates::class(observed, target));
    let reconciled = class.as_ref().map(|class| class.as_ref().map_err(Clone::clone));
    list.gate("ClassReconciled", "Cluster API has reconciled the ClusterClass", reconciled);
    let (hop, missing) = match next {
        Some(Next::Hop(hop)) => (Some(hop), None),
        Some(Next::Missing(missing)) => (None, Some(missing)),
        Some(Next::Reached) | None => (None, None),
    };
    let why = both.zip(missing.as_ref());
    let no_image = why.and_then(|((target, wanted), missing)| hop::image_missing(target, wanted, missing));
    let unlisted = why.and_then(|((target, _), missing)| hop::not_listed(observed, target, missing));
    // A version that is not listed has an image.
    let has_image = hop.is_some() || unlisted.is_some();
    let found = |no: Option<Hindrance>, yes: bool| no.map(Err).or(yes.then_some(Ok(())));
    let sentence = "the next version, a patch or one minor up, has an image of the Plan";
    list.gate("HopHasImage", sentence, found(no_image, has_image));
    list.gate("VersionInClass", "the ClusterClass allows that version", found(unlisted, hop.is_some()));
    let way = both.zip(hop.as_ref());
    let skew = way.map(|((target, _), hop)| hop::within_skew(target, hop));
    list.gate("WorkersInSkew", "no worker is too old for that version", skew);

    let name = observed.upgrader.topology_variable.as_deref();
    // Also of a class that is not reconciled: what would be written is of interest then.
    let class = observed.class.as_ref().filter(|class| class.malformed.is_none());
    let takes = both.zip(class).zip(name);
    let takes = takes.map(|(((target, _), class), name)| variable::takes(target, class, name));
    let fits =
        if name.is_none() { hop.as_ref().map(|_| Ok(())) } else { takes.clone().map(|it| it.map(drop)) };
    list.gate("VariableTakesImage", "the variable, if one is named, is known and can take an image", fits);
    let overridden = both.zip(name);
    let overridden =
        overridden.map(|((target, _), name)| variable::not_overridden(&observed.upgrader, target, name));
    let overridden = overridden.or_else(|| hop.as_ref().map(|_| Ok(())));
    list.gate("ImageNotOverridden", "no group of machines has an image of its own", overridden);

    let suspect = hop.as_ref().map(|hop| admit::not_suspect(&observed.admission, hop));
    let suspect = suspect.map(|found| found.map_err(|because| decide::held(observed, because, None, now)));
    list.put("ImageNotSuspect", "no Cluster that has started on that image is stalled", suspect);
    let place = way.map(|((_, wanted), _)| admit::place(&observed.admission, wanted.plan));
    let until = observed.admission.full.as_ref().and_then(|full| full.until);
    let place = place.map(|found| found.map_err(|because| decide::held(observed, because, until, now)));
    list.put("PlaceFree", "no more Clusters roll than spec.maxConcurrent of the Plan lets", place);
    (hop, takes.and_then(Result::ok))
}
