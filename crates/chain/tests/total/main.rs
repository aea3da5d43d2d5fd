//! The rooms are total: whatever the server may hold and answer, at whatever time, `observe`, `decide` and `report` come to
//! steps, to being done, or to one reason, in one line. What they write the server takes, and nothing is written twice.
//!
//! The objects are made from the schemas of the CRDs, read from `config/crd/bases`: a field that is added there is
//! tested here. `PROPTEST_CASES` makes it look longer, `PROPTEST_RNG_SEED` elsewhere.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at what it cannot go on with, outside of its #[test] functions as well"
)]

mod answers;
mod choices;
mod schema;
mod world;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::pin::Pin;
use std::sync::Arc;

use chain::cluster_upgrader::UpgraderRoom;
use chain::debian_repository_source::SourceRoom;
use chain::machine_image::MachineImageRoom;
use chain::machine_image_syncer::SyncerRoom;
use chain::plan::PlanRoom;
use domain::object::{ObjectKey, Row as _};
use domain::verdict::{Because, Reason, Trouble, Verdict};
use jiff::Timestamp;
use proptest::test_runner::{RngSeed, TestRunner};
use runtime::room::{Recall, Report, Room, Step as _};
use runtime::store::{Snapshot, Store};
use serde_json::Value;
use sources::{FetchError, Fetched, Repository, Request};

use self::answers::Outcome;
use self::choices::Choices;
use self::world::{World, worlds};

/// How often each object is looked at.
const ROUNDS: usize = 3;

type Looked<R> = (<R as Room>::Observed, Verdict<<R as Room>::Step, <R as Room>::Reason>);
type Answers<R> = fn(&<R as Room>::Step, Snapshot<'_>, &mut Choices) -> Outcome<<R as Room>::Answer>;

/// A room, with what it remembers.
struct Run<'a, R: Room> {
    room: &'a R,
    answers: Answers<R>,
    world: &'a mut World,
    store: Store,
    memories: BTreeMap<ObjectKey, R::Memory>,
    shared: R::Shared,
}

impl<R: Room> Run<'_, R> {
    fn all(mut self) {
        for _ in 0..ROUNDS {
            let now = self.world.script.time();
            let table = self.store.snapshot().table::<R::Row>();
            let keys: Vec<ObjectKey> =
                table.into_iter().flat_map(|table| table.iter().map(|row| row.meta().key.clone())).collect();
            for key in keys {
                self.pass(&key, now);
            }
        }
    }

    fn row(&self, key: &ObjectKey) -> R::Row {
        self.store.snapshot().get::<R::Row>(key).unwrap().clone()
    }

    fn look(&mut self, key: &ObjectKey, now: Timestamp) -> Looked<R> {
        let row = self.row(key);
        let memory = self.memories.entry(key.clone()).or_default();
        let recall = Recall { memory, shared: &mut self.shared };
        let observed = self.room.observe(self.store.snapshot(), &row, recall, now);
        let verdict = self.room.decide(&observed, now);
        tells(&verdict);
        (observed, verdict)
    }

    /// As the engine makes it.
    fn pass(&mut self, key: &ObjectKey, now: Timestamp) {
        let ((observed, verdict), forced) = self.steps(key, now);
        let report = self.room.report(&observed, &verdict, now);
        self.is_in_order(key, &verdict, &report);
        // Our own status is no news: the same is not written again.
        let (observed, mut verdict) = self.look(key, now);
        match forced {
            Some(because) => verdict = Verdict::failed(because),
            None if !verdict.steps.is_empty() => return,
            None => {}
        }
        // What is to be looked at at once, and not for another step, is looked at for ever.
        let is_later = verdict.recheck.is_none_or(|time| time > now);
        assert!(is_later || is_end(now), "at {now} {key} is looked at again at once: {:?}", verdict.then);
        let again = self.room.report(&observed, &verdict, now).status;
        let row = self.row(key);
        assert_eq!(again, None, "the status of {row:?} was written a moment ago, {:?}", report.status);
    }

    /// Takes steps until none is left, or one comes to nothing: then the engine says why, and not the room.
    fn steps(&mut self, key: &ObjectKey, now: Timestamp) -> (Looked<R>, Option<Because<R::Reason>>) {
        for _ in 0..=R::ROUNDS {
            let (observed, verdict) = self.look(key, now);
            let Some(step) = verdict.steps.first() else { return ((observed, verdict), None) };
            let outcome = (self.answers)(step, self.store.snapshot(), &mut self.world.script);
            if step.writes() {
                self.room.reserve(&mut self.shared, &observed, step);
            }
            let memory = self.memories.get_mut(key).unwrap();
            let recall = Recall { memory, shared: &mut self.shared };
            let refused = match outcome {
                None => true,
                Some(Ok(answer)) => {
                    // What a write brings is a row, which is not made up here: the pass ends with it.
                    !self.room.learn(recall, step, Ok(answer), now) || step.writes()
                }
                Some(Err(refusal)) => !self.room.learn(recall, step, Err(&refusal), now),
            };
            if refused {
                let reason = R::Reason::of_trouble(Trouble::ApiUnavailable);
                let because = Because::new(reason, format!("cannot {step}"));
                let (observed, _) = self.look(key, now);
                return ((observed, Verdict::failed(because.clone())), Some(because));
            }
        }
        assert!(is_end(now), "{key}: a step was repeated without effect");
        let because = Because::new(R::Reason::of_trouble(Trouble::InternalError), "repeated");
        let (observed, _) = self.look(key, now);
        ((observed, Verdict::failed(because.clone())), Some(because))
    }

    fn is_in_order(&mut self, key: &ObjectKey, verdict: &Verdict<R::Step, R::Reason>, report: &Report) {
        for note in &report.notes {
            assert!(!note.message.trim().is_empty(), "a note says nothing: {note:?}");
        }
        let Some(patch) = &report.status else { return };
        let status = self.world.write_status(&mut self.store, R::KIND.kind, &key.name, patch);
        let conditions = status["conditions"].as_array().unwrap();
        let ready: Vec<&Value> = conditions.iter().filter(|condition| condition["type"] == "Ready").collect();
        assert_eq!(ready.len(), 1, "{status}");
        is_one_line("a condition", ready[0]["message"].as_str().unwrap());
        let waiting = &status["waiting"];
        match verdict.then.because() {
            Some(because) => {
                assert_eq!(ready[0]["reason"], because.reason.name());
                assert_eq!(waiting["reason"], because.reason.name());
            }
            None => assert!(waiting.is_null() && ready[0]["status"] == "True", "{status}"),
        }
    }
}

/// A verdict has steps, or is done, or has one reason; what it says is a line.
fn tells<S: Display, R: Reason>(verdict: &Verdict<S, R>) {
    for step in &verdict.steps {
        is_one_line("a step", &step.to_string());
    }
    if let Some(because) = verdict.then.because() {
        is_one_line("a reason", &because.to_string());
        assert!(!because.message.trim().is_empty(), "{} says nothing", because.reason.name());
    }
}

/// At the end of time nothing is later.
fn is_end(now: Timestamp) -> bool {
    now == Timestamp::MAX
}

fn is_one_line(what: &str, text: &str) {
    assert!(!text.trim().is_empty(), "{what} says nothing");
    let breaks = |character: char| character.is_control() || matches!(character, '\u{2028}' | '\u{2029}');
    assert!(!text.contains(breaks), "{what} is not a line: {text:?}");
}

/// The same worlds in every run, so that what fails once fails again, unless others are asked for.
fn hold<R: Room>(room: R, answers: Answers<R>) {
    let mut config = proptest::test_runner::Config { failure_persistence: None, ..Default::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = CASES;
    }
    if config.rng_seed == RngSeed::Random {
        config.rng_seed = RngSeed::Fixed(20_261_121);
    }
    let held = TestRunner::new(config).run(&worlds(), |mut world| {
        let store = world.store();
        let (memories, shared) = (BTreeMap::new(), R::Shared::default());
        Run { room: &room, answers, world: &mut world, store, memories, shared }.all();
        Ok(())
    });
    if let Err(error) = held {
        panic!("{error}");
    }
}

/// Worlds for each room, unless `PROPTEST_CASES` says otherwise.
const CASES: u32 = 200;

/// Nothing is fetched here: the answers are made up.
struct Unasked;

impl Repository for Unasked {
    fn fetch<'a, 'b, 'c>(
        &'a self,
        _: &'b Request,
    ) -> Pin<Box<dyn Future<Output = Result<Fetched, FetchError>> + Send + 'c>>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        Box::pin(async { Err(FetchError::Timeout) })
    }
}

#[test]
fn sources_are_total() {
    hold(SourceRoom::new(Arc::new(Unasked)), answers::of_source);
}

#[test]
fn syncers_are_total() {
    hold(SyncerRoom, answers::of_syncer);
}

#[test]
fn images_are_total() {
    hold(MachineImageRoom, answers::of_image);
}

#[test]
fn plans_are_total() {
    hold(PlanRoom, answers::of_plan);
}

#[test]
fn upgraders_are_total() {
    hold(UpgraderRoom::default(), answers::of_upgrader);
}
