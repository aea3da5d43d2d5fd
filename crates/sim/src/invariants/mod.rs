//! What must hold of every write of every run, read from the objects before and after it and from what Cluster API
//! really has, never from what a controller says of itself. Of a write to a Cluster it must hold also where a webhook
//! refuses it.

mod cluster;
pub(crate) mod end;
mod fields;
mod images;
mod lease;
mod needless;
pub(crate) mod nodes;
mod paths;
mod places;

use domain::object::ObjectKey;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::world::World;

/// A write that the server has accepted, or is about to ask the webhooks about.
pub(crate) struct Write<'a> {
    pub(crate) at: Timestamp,
    /// The controller, or who else.
    pub(crate) actor: &'a str,
    /// Number of the process; 0 for everybody outside of the manager.
    pub(crate) process: u32,
    pub(crate) kind: &'a str,
    pub(crate) key: &'a ObjectKey,
    pub(crate) before: Option<&'a Value>,
    pub(crate) after: Option<&'a Value>,
}

impl Write<'_> {
    /// Whether a process of ours made it.
    pub(crate) fn is_ours(&self) -> bool {
        self.process != 0
    }
}

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// When it was seen.
    pub at: Timestamp,
    /// Which invariant.
    pub invariant: &'static str,
    /// What was seen.
    pub words: String,
}

/// Which invariants a run is held to, beyond those that hold in every run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    /// From then on nothing goes wrong.
    pub(crate) until: Timestamp,
    /// Nothing goes wrong at all.
    pub(crate) faultless: bool,
    /// Never do two processes act at once by intent.
    pub(crate) alone: bool,
    /// A lease says who acts.
    pub(crate) elected: bool,
}

/// Sees every write and every request of a run.
pub(crate) struct Witness {
    pub(crate) terms: Terms,
    pub(crate) violation: Option<Violation>,
    images: images::Images,
    places: places::Places,
    lease: lease::Lease,
    /// Where the controllers of nodes are at work instead.
    nodes: Option<nodes::OfNodes>,
    pub(crate) asked: end::Asked,
}

impl Witness {
    pub(crate) fn new(terms: Terms) -> Self {
        Self {
            terms,
            violation: None,
            images: images::Images::default(),
            places: places::Places::default(),
            lease: lease::Lease::default(),
            nodes: None,
            asked: end::Asked::new(terms.until),
        }
    }

    /// The witness of the controllers of nodes.
    pub(crate) fn of_nodes(terms: Terms, given: nodes::Given) -> Self {
        Self { nodes: Some(nodes::OfNodes::new(given)), ..Self::new(terms) }
    }

    /// Takes note of the objects that are there at the start.
    pub(crate) fn begin(&mut self, world: &World) {
        match &mut self.nodes {
            Some(nodes) => nodes.begin(world),
            None => self.images.begin(world),
        }
    }

    /// Somebody has set a clock.
    pub(crate) fn clock_was_set(&mut self, by: SignedDuration) {
        self.asked.clock_was_set(by);
        if let Some(nodes) = &mut self.nodes {
            nodes.apart += by.unsigned_abs();
        }
    }

    /// Whether a run is over, and how it stands then.
    pub(crate) fn is_over(&self, world: &World, bound: u64) -> Option<Result<(), Broken>> {
        self.asked.is_over(world, bound, self.nodes.as_ref())
    }

    /// A write was accepted; `world` is as it is after it.
    pub(crate) fn saw(&mut self, world: &World, write: &Write<'_>) {
        if let Some(mut nodes) = self.nodes.take() {
            let found = self
                .lease_check(write)
                .and_then(|()| nodes.saw(world, write, self.terms.alone))
                .and_then(|()| needless::no_bug(write));
            self.nodes = Some(nodes);
            return self.found(write.at, found);
        }
        let found = self
            .lease_check(write)
            .and_then(|()| fields::check(world, write))
            .and_then(|()| self.images.check(world, write))
            .and_then(|()| self.places.check(world, write, self.terms.alone))
            .and_then(|()| needless::no_bug(write));
        self.found(write.at, found);
    }

    /// A write was asked for, of which nothing but a webhook can be in the way any more: what must not be set must not be
    /// asked for either, or the one who refuses it would hide it.
    pub(crate) fn heard(&mut self, world: &World, write: &Write<'_>) {
        if self.nodes.is_some() {
            return;
        }
        let found = cluster::check(world, write, &self.images);
        self.found(write.at, found);
    }

    /// A write was accepted that changed nothing.
    pub(crate) fn saw_nothing(&mut self, at: Timestamp, process: u32, what: &str) {
        if process != 0 {
            self.found(at, needless::check(&self.terms, at, what));
        }
    }

    /// Something was asked for. Tells whether the run is over, as something was violated.
    pub(crate) fn asked_for(&mut self, now: Timestamp, verb: &str, resource: &str) -> bool {
        self.asked.note(now, verb, resource);
        let found = self.asked.go_on();
        self.found(now, found);
        self.violation.is_some()
    }

    fn lease_check(&mut self, write: &Write<'_>) -> Result<(), Broken> {
        if self.terms.elected { self.lease.check(write) } else { Ok(()) }
    }

    /// Keeps the first.
    pub(crate) fn found(&mut self, at: Timestamp, found: Result<(), Broken>) {
        if let Err(Broken { invariant, words }) = found {
            self.violation.get_or_insert(Violation { at, invariant, words });
        }
    }
}

/// An invariant that does not hold, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) invariant: &'static str,
    pub(crate) words: String,
}

/// Holds, or says why not.
pub(crate) fn holds(
    condition: bool,
    invariant: &'static str,
    words: impl FnOnce() -> String,
) -> Result<(), Broken> {
    if condition { Ok(()) } else { Err(Broken { invariant, words: words() }) }
}

/// A text in an object; empty where there is none.
pub(crate) fn text<'a>(object: &'a Value, path: &str) -> &'a str {
    object.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests;
