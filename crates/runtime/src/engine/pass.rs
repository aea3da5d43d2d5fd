//! One pass over one object: observe, decide, make the request of the first step, or of the first steps that are independent
//! of each other, observe again, and so on until no step is left; then the status, if it changed, and the Events.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use domain::object::{Meta, ObjectKey, ObjectRef, Row};
use domain::verdict::{Because, Note, Reason, Then, Trouble, Verdict};
use futures::FutureExt as _;
use futures::future::{BoxFuture, join_all};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::core::Core;
use super::pace::{Pace, Paces};
use crate::answer::Refusal;
use crate::events;
use crate::metrics::{Metrics, Outcome};
use crate::queue::{Ended, Item};
use crate::request::{Patch, Place, Shell};
use crate::room::{Applied, Recall, Report, Room, Step as _};

/// How long one request of a pass may take, with everything that belongs to it.
const DEADLINE: Duration = Duration::from_secs(120);
/// Independent steps that are made at a time.
const AT_ONCE: usize = 32;

/// A future whose result belongs to the pass that made it.
pub(crate) type Errand = BoxFuture<'static, Box<dyn Any + Send>>;

/// What follows for a pass.
pub(crate) enum Next {
    /// Wait for this.
    Errand(Errand),
    /// The pass is over.
    Over(Ended, Outcome),
}

/// A room with its memory, without its types.
pub(crate) trait AnyRoom: Send {
    fn name(&self) -> &'static str;
    fn keys(&self, core: &Core) -> Vec<ObjectKey>;
    fn begin(&mut self, core: &mut Core, item: &Item) -> Next;
    fn resume(&mut self, core: &mut Core, item: &Item, came: Box<dyn Any + Send>) -> Next;
}

/// A room with its memory.
pub(crate) struct Holder<R: Room> {
    room: R,
    shell: Shell,
    metrics: Metrics,
    instance: Box<str>,
    dry_run: bool,
    /// Boxed, since a tree keeps room for more than it holds.
    kept: BTreeMap<ObjectKey, Box<Kept<R>>>,
    shared: R::Shared,
    rounds: BTreeMap<ObjectKey, u32>,
    /// Shared reads that are under way, by their words, with the passes that wait for their answers.
    reads: BTreeMap<String, Vec<oneshot::Sender<()>>>,
}

/// What is kept of an object between its passes.
struct Kept<R: Room> {
    memory: R::Memory,
    /// The word of what it waits for.
    reason: Option<&'static str>,
    /// Of its status.
    pace: Pace,
    /// A write of its status had no answer. It may have been done all the same, and the next one, which is made from the row,
    /// leaves what it does not know of.
    unsure: bool,
    /// Of its steps that write.
    steps: Paces,
}

impl<R: Room> Default for Kept<R> {
    fn default() -> Self {
        Self {
            memory: R::Memory::default(),
            reason: None,
            pace: Pace::default(),
            unsure: false,
            steps: Paces::default(),
        }
    }
}

/// What became of a step; the words of a panic.
type Made<R> = Result<Result<Applied<<R as Room>::Answer>, Refusal>, String>;

/// What an errand brings back.
enum Came<R: Room> {
    Steps(Vec<(R::Step, Made<R>)>),
    /// The shared read of another pass has come to an end.
    Read,
    Status {
        /// The object as it was when its status was made.
        seen: Seen,
        answer: Result<R::Row, Refusal>,
        notes: Vec<Note>,
        over: (Ended, Outcome),
    },
    Noted {
        over: (Ended, Outcome),
    },
}

/// Of an object, what a write of its status leaves as it is.
#[derive(PartialEq)]
struct Seen {
    generation: i64,
    metadata: u64,
    deleting: bool,
}

impl Seen {
    fn of(meta: &Meta) -> Self {
        Self { generation: meta.generation, metadata: meta.digest, deleting: meta.deleting }
    }
}

impl<R: Room> Holder<R> {
    pub(crate) fn new(room: R, shell: Shell, metrics: Metrics, instance: Box<str>, dry_run: bool) -> Self {
        Self {
            room,
            shell,
            metrics,
            instance,
            dry_run,
            kept: BTreeMap::new(),
            shared: R::Shared::default(),
            rounds: BTreeMap::new(),
            reads: BTreeMap::new(),
        }
    }

    fn round(&mut self, core: &mut Core, item: &Item) -> Next {
        let now = core.clock.now();
        // Whatever has changed until now is seen by this look.
        core.queue.restore(item, false);
        let Some(row) = core.store.snapshot().get::<R::Row>(&item.key) else {
            return self.forget(core, item);
        };
        let memory = &mut self.kept.entry(item.key.clone()).or_default().memory;
        let (room, recall) = (&self.room, Recall { memory, shared: &mut self.shared });
        let observed =
            match catch_unwind(AssertUnwindSafe(|| room.observe(core.store.snapshot(), row, recall, now))) {
                Ok(observed) => observed,
                Err(panic) => return self.panicked(item, &words(panic.as_ref())),
            };
        let mut verdict = match catch_unwind(AssertUnwindSafe(|| room.decide(&observed, now))) {
            Ok(verdict) => verdict,
            Err(panic) => {
                let words = words(panic.as_ref());
                tracing::error!(controller = R::NAME, object = %item.key, panic = words, "Decision panicked");
                let because =
                    Because::new(R::Reason::of_trouble(Trouble::InternalError), format!("a bug: {words}"));
                return self.report(
                    core,
                    item,
                    &observed,
                    &Verdict::failed(because),
                    (BADLY, Outcome::Panicked),
                );
            }
        };
        let rounds = self.rounds.get(&item.key).copied().unwrap_or(0);
        let Some(step) = verdict.steps.first().cloned() else {
            let over = (Ended::Well(verdict.recheck), outcome(&verdict.then));
            return self.report(core, item, &observed, &verdict, over);
        };
        if self.dry_run && step.writes() {
            verdict.then = Then::Wait(Because::new(
                R::Reason::of_trouble(Trouble::DryRun),
                format!("dry run: would {step}"),
            ));
            let over = (Ended::Well(verdict.recheck), Outcome::Waiting);
            return self.report(core, item, &observed, &verdict, over);
        }
        if rounds >= R::ROUNDS {
            let message = format!("{step} was repeated without effect");
            verdict.then = Then::Failed(Because::new(R::Reason::of_trouble(Trouble::InternalError), message));
            return self.report(core, item, &observed, &verdict, (BADLY, Outcome::Failed));
        }
        if step.writes() && !core.may_act() {
            return self.over(item, BADLY, Outcome::Conflict);
        }
        let may_write = !self.dry_run && core.may_act();
        let mut steps = vec![step];
        if steps.iter().all(R::Step::is_independent) {
            let others = verdict.steps.iter().skip(1).take_while(|step| step.is_independent());
            steps.extend(others.filter(|step| may_write || !step.writes()).take(AT_ONCE - 1).cloned());
        }
        let kept = self.kept.entry(item.key.clone()).or_default();
        let most = steps.len();
        let mut free: Option<Timestamp> = None;
        steps.retain(|step| {
            let pace = step.writes().then(|| kept.steps.write(&step.to_string(), now, most)).flatten();
            let Some(at) = pace else { return true };
            tracing::warn!(controller = R::NAME, object = %item.key, step = %step, "Step is undone again and again, waiting");
            free = Some(free.map_or(at, |free| free.min(at)));
            false
        });
        if let (Some(free), true) = (free, steps.is_empty()) {
            let over = (Ended::Well(verdict.recheck).or_at(free), Outcome::Waiting);
            return self.report(core, item, &observed, &verdict, over);
        }
        self.rounds.insert(item.key.clone(), rounds + 1);
        if let [step] = &steps[..]
            && step.is_shared()
        {
            let words = step.to_string();
            if let Some(waiting) = self.reads.get_mut(&words) {
                let (ended, end) = oneshot::channel();
                waiting.push(ended);
                return Next::Errand(Box::pin(async move {
                    // Nothing is sent: the end is that the sender is gone.
                    let _ = end.await;
                    Box::new(Came::<R>::Read) as Box<dyn Any + Send>
                }));
            }
            self.reads.insert(words, Vec::new());
        }
        for step in &steps {
            if step.writes() {
                self.room.reserve(&mut self.shared, &observed, step);
                tracing::info!(controller = R::NAME, object = %item.key, step = %step, "Taking a step");
            } else {
                tracing::debug!(controller = R::NAME, object = %item.key, step = %step, "Reading");
            }
        }
        let errands: Vec<_> = steps.into_iter().map(|step| self.errand(step)).collect();
        Next::Errand(Box::pin(async move {
            Box::new(Came::<R>::Steps(join_all(errands).await)) as Box<dyn Any + Send>
        }))
    }

    /// Makes the request of a step.
    fn errand(&self, step: R::Step) -> BoxFuture<'static, (R::Step, Made<R>)> {
        let errand = AssertUnwindSafe(self.room.apply(self.shell.clone(), step.clone())).catch_unwind();
        Box::pin(async move {
            let made = match tokio::time::timeout(DEADLINE, errand).await {
                Ok(Ok(answer)) => Ok(answer),
                Ok(Err(panic)) => Err(words(panic.as_ref())),
                Err(_) => {
                    let message = format!("no result within {} s", DEADLINE.as_secs());
                    Ok(Err(Refusal::Unavailable { message, retry_after: None }))
                }
            };
            (step, made)
        })
    }

    /// Takes in what became of steps, all of them, and goes on if none of them was refused in a way that the room leaves to us.
    fn took(&mut self, core: &mut Core, item: &Item, steps: Vec<(R::Step, Made<R>)>) -> Next {
        let (mut refused, mut panicked) = (None, None);
        for (step, made) in steps {
            if step.is_shared() {
                // Whoever waits goes on after this, and so with what is learned here.
                self.reads.remove(&step.to_string());
            }
            let made = match made {
                Ok(made) => made,
                Err(words) => {
                    panicked = panicked.or(Some(words));
                    continue;
                }
            };
            let made = made.map(|applied| {
                for effect in applied.effects {
                    effect(core);
                }
                applied.answer
            });
            let memory = &mut self.kept.entry(item.key.clone()).or_default().memory;
            let recall = Recall { memory, shared: &mut self.shared };
            let now = core.clock.now();
            match made {
                Ok(None) => {}
                Ok(Some(answer)) => {
                    self.room.learn(recall, &step, Ok(answer), now);
                }
                Err(refusal) => {
                    if !self.room.learn(recall, &step, Err(&refusal), now) {
                        refused = refused.or(Some((step, refusal)));
                    }
                }
            }
        }
        match (panicked, refused) {
            (Some(words), _) => self.panicked(item, &words),
            (None, Some((step, refusal))) => self.refused(core, item, &step, &refusal),
            (None, None) => self.round(core, item),
        }
    }

    /// A refusal that the room leaves to us: nothing is said of lost races, and of passing troubles only when they last.
    fn refused(&mut self, core: &mut Core, item: &Item, step: &R::Step, refusal: &Refusal) -> Next {
        let attempts = core.queue.attempts(item);
        let retry_after = match refusal {
            Refusal::Unavailable { retry_after, .. } => *retry_after,
            _ => None,
        };
        let ended = Ended::Badly { retry_after };
        tracing::warn!(controller = R::NAME, object = %item.key, step = %step, error = %refusal, attempts, "Step refused");
        let trouble = match (refusal, refusal.trouble()) {
            (_, None) => return self.over(item, ended, Outcome::Conflict),
            (Refusal::TestFailed(_) | Refusal::Unavailable { .. }, Some(_)) if attempts < 1 => {
                return self.over(item, ended, Outcome::Conflict);
            }
            (_, Some(trouble)) => trouble,
        };
        let now = core.clock.now();
        let Some(row) = core.store.snapshot().get::<R::Row>(&item.key) else {
            return self.forget(core, item);
        };
        let memory = &mut self.kept.entry(item.key.clone()).or_default().memory;
        let recall = Recall { memory, shared: &mut self.shared };
        let observed = self.room.observe(core.store.snapshot(), row, recall, now);
        let because = Because::new(R::Reason::of_trouble(trouble), format!("cannot {step}: {refusal}"));
        self.report(core, item, &observed, &Verdict::failed(because), (ended, Outcome::Failed))
    }

    fn report(
        &mut self,
        core: &Core,
        item: &Item,
        observed: &R::Observed,
        verdict: &Verdict<R::Step, R::Reason>,
        over: (Ended, Outcome),
    ) -> Next {
        let new = verdict.then.because().map(|because| because.reason.name());
        let kept = self.kept.entry(item.key.clone()).or_default();
        let old = std::mem::replace(&mut kept.reason, new);
        if old != new {
            self.metrics.reason_changed(R::NAME, old, new);
        }
        let (room, now) = (&self.room, core.clock.now());
        let report = catch_unwind(AssertUnwindSafe(|| room.report(observed, verdict, now)));
        let Report { status, notes } = match report {
            Ok(report) => report,
            Err(panic) => return self.panicked(item, &words(panic.as_ref())),
        };
        let status = if self.dry_run { status.and_then(conditions_only) } else { status };
        let Some(status) = status else { return self.note(core, item, notes, over) };
        let Some(row) = core.store.snapshot().get::<R::Row>(&item.key) else {
            return self.over(item, over.0, over.1);
        };
        // The uid refuses the write where the object was replaced by a namesake.
        let body = json!({"metadata": {"uid": row.meta().uid}, "status": status});
        let kept = self.kept.entry(item.key.clone()).or_default();
        if let Some(free) = kept.pace.write(core.clock.now()) {
            let (ended, outcome) = over;
            return self.over(item, ended.or_at(free), outcome);
        }
        let seen = Seen::of(row.meta());
        let (shell, key) = (self.shell.clone(), item.key.clone());
        Next::Errand(Box::pin(async move {
            let answer =
                shell.patch::<R::Row>(&Place::of(R::KIND), &key, Some("status"), &Patch::Merge(body)).await;
            Box::new(Came::<R>::Status { seen, answer, notes, over }) as Box<dyn Any + Send>
        }))
    }

    fn note(&mut self, core: &Core, item: &Item, notes: Vec<Note>, over: (Ended, Outcome)) -> Next {
        let row = core.store.snapshot().get::<R::Row>(&item.key);
        let (Some(row), false) = (row, notes.is_empty()) else { return self.over(item, over.0, over.1) };
        let regarding = ObjectRef::of(R::KIND, row.meta());
        let (shell, now, instance) = (self.shell.clone(), core.clock.now(), self.instance.clone());
        let word = self.kept.get(&item.key).and_then(|kept| kept.reason);
        Next::Errand(Box::pin(async move {
            let teller = events::Teller { controller: R::NAME, instance: &instance, regarding, word };
            for note in notes {
                events::publish(&shell, &teller, &note, now).await;
            }
            Box::new(Came::<R>::Noted { over }) as Box<dyn Any + Send>
        }))
    }

    fn over(&mut self, item: &Item, ended: Ended, outcome: Outcome) -> Next {
        self.rounds.remove(&item.key);
        Next::Over(ended, outcome)
    }

    fn panicked(&mut self, item: &Item, words: &str) -> Next {
        tracing::error!(controller = R::NAME, object = %item.key, panic = words, "Pass panicked");
        self.over(item, BADLY, Outcome::Panicked)
    }

    fn forget(&mut self, core: &mut Core, item: &Item) -> Next {
        let kept = self.kept.remove(&item.key);
        if let Some(old) = kept.and_then(|kept| kept.reason) {
            self.metrics.reason_changed(R::NAME, Some(old), None);
        }
        core.queue.forget(item);
        self.over(item, Ended::Well(None), Outcome::Done)
    }
}

const BADLY: Ended = Ended::Badly { retry_after: None };

impl<R: Room> AnyRoom for Holder<R> {
    fn name(&self) -> &'static str {
        R::NAME
    }

    fn keys(&self, core: &Core) -> Vec<ObjectKey> {
        let table = core.store.snapshot().table::<R::Row>();
        table.into_iter().flat_map(|table| table.iter().map(|row| row.meta().key.clone())).collect()
    }

    fn begin(&mut self, core: &mut Core, item: &Item) -> Next {
        self.rounds.remove(&item.key);
        self.round(core, item)
    }

    fn resume(&mut self, core: &mut Core, item: &Item, came: Box<dyn Any + Send>) -> Next {
        let Ok(came) = came.downcast::<Came<R>>() else {
            return self.panicked(item, "an errand of another room");
        };
        match *came {
            Came::Read => self.round(core, item),
            Came::Steps(steps) => self.took(core, item, steps),
            Came::Status { seen, answer: Ok(row), notes, over } => {
                // Our own status is no news to ourselves, only to others. What somebody else has changed a moment before comes
                // with the same answer, and the watch does not tell of it again.
                let kept = self.kept.entry(item.key.clone()).or_default();
                let news = std::mem::take(&mut kept.unsure) || Seen::of(row.meta()) != seen;
                let asked = news || core.queue.asked_again(item);
                core.wrote(row);
                core.queue.restore(item, asked);
                self.note(core, item, notes, over)
            }
            // Deleted: the watch will say.
            Came::Status { answer: Err(Refusal::NotFound), over, .. } => self.over(item, over.0, over.1),
            // Replaced by a namesake, or the server has given up against other writers of the object: of those the watch
            // may have nothing to say that would have it looked at again.
            Came::Status { answer: Err(Refusal::Conflict), .. } => self.over(item, BADLY, Outcome::Conflict),
            Came::Status { answer: Err(refusal), .. } => {
                tracing::warn!(controller = R::NAME, object = %item.key, error = %refusal, "Status refused");
                if matches!(refusal, Refusal::Unavailable { .. }) {
                    self.kept.entry(item.key.clone()).or_default().unsure = true;
                }
                let retry_after = match refusal {
                    Refusal::Unavailable { retry_after, .. } => retry_after,
                    _ => None,
                };
                self.over(item, Ended::Badly { retry_after }, Outcome::Failed)
            }
            Came::Noted { over } => self.over(item, over.0, over.1),
        }
    }
}

fn outcome<R>(then: &Then<R>) -> Outcome {
    match then {
        Then::Done => Outcome::Done,
        Then::Wait(_) => Outcome::Waiting,
        Then::Failed(_) => Outcome::Failed,
    }
}

/// With `--dry-run` the status fields of the original are left to whoever acts.
fn conditions_only(status: Value) -> Option<Value> {
    let Value::Object(fields) = status else { return None };
    let kept: serde_json::Map<String, Value> = fields
        .into_iter()
        .filter(|(name, _)| matches!(name.as_str(), "conditions" | "observedGeneration" | "waiting"))
        .collect();
    (!kept.is_empty()).then_some(Value::Object(kept))
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no words".to_owned())
}
