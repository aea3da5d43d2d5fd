//! Searches for histories in which an invariant does not hold: the real managers, in worlds and under faults of a seed.

mod hands;
mod node_hands;
mod node_worlds;
mod play;
mod process;
mod shorten;
mod worlds;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::Error;
pub use crate::faults::Kind;
use crate::faults::{Fault, Plan};
pub use crate::invariants::Violation;
use crate::timeline::Timeline;
pub use manager::family::Family;
use worlds::Case;

/// The world of a seed, and what happens in it.
fn world(family: Family, seed: u64, only: Option<&BTreeSet<usize>>) -> Case {
    match family {
        Family::Chain => worlds::of(seed, only),
        Family::Nodes => node_worlds::of(seed, only),
    }
}

/// Which of a seed's faults and troubles a run has; all of them where nothing is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Only {
    /// Numbers of the requests that go wrong.
    pub faults: Option<BTreeSet<u64>>,
    /// Places of what people and machines do.
    pub troubles: Option<BTreeSet<usize>>,
}

/// A run that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// What must not be, and was.
    pub violation: Option<Violation>,
    /// What went wrong, by kind.
    pub faults: BTreeMap<Kind, u64>,
    /// The same by the number of the request, in words.
    pub numbers: Vec<(u64, String)>,
    /// Numbers of the requests that change something.
    pub writes: Vec<u64>,
    /// How many requests there were.
    pub requests: u64,
    /// How many processes there were.
    pub processes: u32,
    /// How many requests were made after the last fault, until there was rest.
    pub asked: u64,
    /// How many things people and machines did.
    pub troubles: u64,
    /// What happened; without entries unless they were asked for.
    pub timeline: Timeline,
}

impl Run {
    fn failed(error: Error) -> Self {
        let timeline = Timeline {
            start: jiff::Timestamp::UNIX_EPOCH,
            end: jiff::Timestamp::UNIX_EPOCH,
            entries: Vec::new(),
            left_out: 0,
            outcomes: Vec::new(),
            requests: BTreeMap::new(),
            digest: 0,
        };
        let words = error.to_string();
        let violation = Violation { at: timeline.start, invariant: "the run comes to its end", words };
        Self {
            violation: Some(violation),
            faults: BTreeMap::new(),
            numbers: Vec::new(),
            writes: Vec::new(),
            requests: 0,
            processes: 0,
            asked: 0,
            troubles: 0,
            timeline,
        }
    }
}

/// Requests after the last fault that any run may need: they grow with the objects that there are, not with time.
fn bound(case: &Case) -> u64 {
    let objects = case.scenario.all_objects().count() + case.scenario.releases.len();
    match &case.nodes {
        None => 200 + 30 * (case.scenario.objects.len() + case.scenario.releases.len()) as u64,
        Some(_) => 300 + 50 * objects as u64,
    }
}

/// Lives through one seed.
pub fn run(family: Family, seed: u64, only: &Only) -> Run {
    lived(family, seed, only, false)
}

/// The same with everything that happens in the timeline, each request too.
pub fn trace(family: Family, seed: u64, only: &Only) -> Run {
    lived(family, seed, only, true)
}

fn lived(family: Family, seed: u64, only: &Only, telling: bool) -> Run {
    let case = world(family, seed, only.troubles.as_ref());
    let plan = Plan::of(seed, case.elected, only.faults.clone());
    play::play(seed, &case, plan, telling)
}

/// Lives through the world of a seed without any faults but one: the process is killed at a request, before or after the
/// server has done it, and the next one begins at once.
pub fn killed_at(family: Family, seed: u64, request: u64, done: bool) -> Run {
    let case = world(family, seed, None);
    let kind = if done { Kind::KilledAfter } else { Kind::KilledBefore };
    let these = BTreeMap::from([(request, Fault { kind, amount: 0, other: 0 })]);
    play::play(seed, &case, Plan::These(these), false)
}

/// Lives through the world of a seed without faults.
pub fn faultless(family: Family, seed: u64) -> Run {
    play::play(seed, &world(family, seed, None), Plan::These(BTreeMap::new()), false)
}

/// A seed that has shown that something does not hold.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Which controllers were at work.
    pub family: Family,
    /// The seed.
    pub seed: u64,
    /// What is enough of it.
    pub only: Only,
    /// What is left of the run then, told.
    pub run: Run,
}

/// What many runs have come to.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// How many.
    pub runs: u64,
    /// Requests of all of them.
    pub requests: u64,
    /// Processes of all of them.
    pub processes: u64,
    /// What people and machines did.
    pub troubles: u64,
    /// Faults by kind.
    pub faults: BTreeMap<Kind, u64>,
    /// The most requests that a run needed after its last fault.
    pub asked: u64,
    /// Simulated time of all of them.
    pub lived: Duration,
    /// The seeds that failed, each with what was violated.
    pub failed: BTreeMap<u64, Violation>,
}

impl Figures {
    fn take(&mut self, seed: u64, run: &Run) {
        self.runs += 1;
        self.requests += run.requests;
        self.processes += u64::from(run.processes);
        self.troubles += run.troubles;
        for (kind, count) in &run.faults {
            *self.faults.entry(*kind).or_default() += count;
        }
        self.asked = self.asked.max(run.asked);
        let lived = run.timeline.end.duration_since(run.timeline.start);
        self.lived += Duration::try_from(lived).unwrap_or_default();
        self.failed.extend(run.violation.clone().map(|violation| (seed, violation)));
    }
}

/// Lives through `count` seeds from the first, on so many threads; ends early where one fails, unless it is to go on.
/// `told` hears how many are done.
pub fn search(
    family: Family,
    from: u64,
    count: u64,
    threads: usize,
    goes_on: bool,
    told: &(dyn Fn(u64) + Sync),
) -> Figures {
    let (next, done, over) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let figures = Mutex::new(Figures::default());
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    if place >= count {
                        break;
                    }
                    let seed = from.wrapping_add(place);
                    let run = run(family, seed, &Only::default());
                    if run.violation.is_some() && !goes_on {
                        over.store(true, Ordering::Relaxed);
                    }
                    figures.lock().unwrap_or_else(PoisonError::into_inner).take(seed, &run);
                    told(done.fetch_add(1, Ordering::Relaxed) + 1);
                }
            });
        }
    });
    figures.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Leaves out of a seed that fails what is not needed for that.
pub fn shortened(family: Family, seed: u64) -> Failure {
    shorten::shortened(family, seed)
}

/// Lines of a timeline before what went wrong that are shown.
const SHOWN: usize = 60;

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Violation { at, invariant, words }) = &self.run.violation else {
            return writeln!(f, "seed {}: nothing is wrong any more", self.seed);
        };
        writeln!(f, "seed {}: violated: {invariant}", self.seed)?;
        writeln!(f, "  {words}\n  at {at:.0}")?;
        writeln!(f, "\nWhat it takes:")?;
        for (_, line) in &self.run.numbers {
            writeln!(f, "  {line}")?;
        }
        let case = world(self.family, self.seed, self.only.troubles.as_ref());
        for line in &case.troubles {
            writeln!(f, "  trouble {line}")?;
        }
        let mut timeline = self.run.timeline.clone();
        let before = timeline.entries.iter().filter(|entry| entry.at <= *at).count();
        timeline.entries.truncate(before);
        let left_out = before.saturating_sub(SHOWN);
        timeline.entries.drain(..left_out);
        writeln!(f, "\nThe last of it ({left_out} lines before):\n{timeline}")?;
        writeln!(f, "Repeat it:\n  {}", command(self.family, self.seed, &self.only))
    }
}

/// The one command that repeats a run.
pub fn command(family: Family, seed: u64, only: &Only) -> String {
    let mut command = "cargo run --profile release-fast -p sim --bin prove --".to_owned();
    if let Some(family) = family.subcommand() {
        command.push_str(" --family ");
        command.push_str(family);
    }
    command.push_str(" --seed ");
    command.push_str(&seed.to_string());
    let list = |numbers: Vec<String>| if numbers.is_empty() { "none".to_owned() } else { numbers.join(",") };
    if let Some(faults) = &only.faults {
        command.push_str(" --faults ");
        command.push_str(&list(faults.iter().map(u64::to_string).collect()));
    }
    if let Some(troubles) = &only.troubles {
        command.push_str(" --troubles ");
        command.push_str(&list(troubles.iter().map(usize::to_string).collect()));
    }
    command.push_str(" --trace");
    command
}
