//! What a controller is to the engine: a room of pure functions, and one function that talks.

use std::fmt;
use std::time::Duration;

use domain::object::{Kind, Row};
use domain::verdict::{Note, Reason, Verdict};
use futures::future::BoxFuture;
use jiff::Timestamp;
use serde_json::Value;

use crate::answer::Refusal;
use crate::engine::Registrar;
use crate::engine::core::Core;
use crate::request::Shell;
use crate::rules::Rule;
use crate::store::Snapshot;

/// One API request to be made. Its `Display` is the one line that the log, the condition and the golden file show; it
/// holds no time, attempt or resourceVersion.
pub trait Step: fmt::Display + fmt::Debug + Clone + Send + 'static {
    /// Whether it changes anything outside this process: such a step is not taken with `--dry-run`.
    fn writes(&self) -> bool;

    /// Whether it is a read whose answer every object of the room learns of: while one is under way, whoever is about to
    /// take a step of the same words waits for its answer instead.
    fn is_shared(&self) -> bool {
        false
    }

    /// Whether it may be made at the same time as the other independent steps of a verdict: neither rests on what the other
    /// changes.
    fn is_independent(&self) -> bool {
        false
    }
}

/// What the status and the Events of an object are to be after a pass.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// The changed fields of `status`, as a merge patch; nothing where nothing changed.
    pub status: Option<Value>,
    /// Events, written after the status.
    pub notes: Vec<Note>,
}

/// What a room remembers, lost with the process.
pub struct Recall<'a, R: Room + ?Sized> {
    /// Of the object that is looked at.
    pub memory: &'a mut R::Memory,
    /// Of all its objects together.
    pub shared: &'a mut R::Shared,
}

/// A controller. `observe`, `decide` and `report` are pure and total; only `apply` talks.
pub trait Room: Send + Sync + 'static {
    /// The name in flags, logs and metrics.
    const NAME: &'static str;
    /// The field manager under which it writes: one per controller.
    const MANAGER: &'static str;
    /// The kind that it drives.
    const KIND: Kind;
    /// The API requests that it makes, for RBAC.
    const RULES: &'static [Rule];
    /// The API requests that it makes only where a user asks for them and has granted them: they are in no role of the
    /// manager but in one that its users bind.
    const OPT_IN_RULES: &'static [Rule] = &[];
    /// Requests of one pass; more mean that a step does not change what is observed.
    const ROUNDS: u32 = 16;
    /// How long a change waits for others that come with it, before the object is looked at.
    const GATHER: Duration = Duration::ZERO;
    /// Row of the kind that it drives.
    type Row: Row;
    /// Everything that a decision rests on.
    type Observed: fmt::Debug + Send + 'static;
    /// The closed set of its requests.
    type Step: Step;
    /// What a request brought back for the next observation.
    type Answer: Send + 'static;
    /// What is kept of an object between passes and lost with the process: live reads, refusals, clocks.
    type Memory: Default + Send + 'static;
    /// What is kept of all objects together, and lost with the process: what one of them has reserved.
    type Shared: Default + Send + 'static;
    /// The closed set of its reasons.
    type Reason: Reason;

    /// Names what it watches.
    fn watches(registrar: &mut Registrar<'_>)
    where
        Self: Sized;

    /// Gathers what a decision rests on, from rows and memory; moves the clocks in memory.
    fn observe(
        &self,
        snapshot: Snapshot<'_>,
        row: &Self::Row,
        recall: Recall<'_, Self>,
        now: Timestamp,
    ) -> Self::Observed;

    /// Decides.
    fn decide(&self, observed: &Self::Observed, now: Timestamp) -> Verdict<Self::Step, Self::Reason>;

    /// The status and the Events that follow.
    fn report(
        &self,
        observed: &Self::Observed,
        verdict: &Verdict<Self::Step, Self::Reason>,
        now: Timestamp,
    ) -> Report;

    /// Reserves what a step that writes takes from the other objects of the room, before it is made: no other object is
    /// looked at in between.
    fn reserve(&self, shared: &mut Self::Shared, observed: &Self::Observed, step: &Self::Step) {
        let _ = (shared, observed, step);
    }

    /// Makes the request of a step.
    fn apply(
        &self,
        shell: Shell,
        step: Self::Step,
    ) -> BoxFuture<'static, Result<Applied<Self::Answer>, Refusal>>;

    /// Takes an answer, or a refusal that the room decides about, into memory. `false` leaves a refusal to the engine,
    /// which reports it with the word that every controller has for it, and tries again later.
    fn learn(
        &self,
        recall: Recall<'_, Self>,
        step: &Self::Step,
        outcome: Result<Self::Answer, &Refusal>,
        now: Timestamp,
    ) -> bool {
        let _ = (recall, step, now);
        outcome.is_ok()
    }
}

type Effect = Box<dyn FnOnce(&mut Core) + Send>;

/// What a step's request brought: rows for the store, and an answer for the room's memory.
pub struct Applied<A> {
    pub(crate) answer: Option<A>,
    pub(crate) effects: Vec<Effect>,
}

impl<A> Default for Applied<A> {
    fn default() -> Self {
        Self { answer: None, effects: Vec::new() }
    }
}

impl<A> Applied<A> {
    /// The object as the server answered with it.
    pub fn wrote<R: Row>(row: R) -> Self {
        Self { answer: None, effects: vec![Box::new(move |core| core.wrote(row))] }
    }

    /// Something for the room's memory.
    pub fn answer(answer: A) -> Self {
        Self { answer: Some(answer), effects: Vec::new() }
    }

    /// Something for the room's memory, besides.
    #[must_use]
    pub fn with(mut self, answer: A) -> Self {
        self.answer = Some(answer);
        self
    }
}

impl<A: fmt::Debug> fmt::Debug for Applied<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Applied").field("answer", &self.answer).field("rows", &self.effects.len()).finish()
    }
}
