//! One run: the world of a seed, with the real managers in it and faults between them, step by step.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt as _;
use jiff::{SignedDuration, Timestamp};
use manager::start::Manager;
use runtime::clock::{Clock, after};
use tokio::sync::Notify;

use super::process;
use super::worlds::Case;
use super::{Run, bound};
use crate::Error;
use crate::faults::dice::Dice;
use crate::faults::line::{Line, Stage, staged};
use crate::faults::{Kind, Plan};
use crate::invariants::{Terms, Violation, Witness};
use crate::world::agenda::Due;
use crate::world::{Shared, World, locked};

/// How long a process that has ended by itself is not there.
const STARTS_AGAIN: Duration = Duration::from_secs(5);
/// So many processes run at a time at most: more of them answer each other with thousands of requests in one instant, which
/// then tells nothing.
const MOST: usize = 3;

/// A process.
struct Process {
    manager: Manager,
    /// Whose place it takes: a process that is killed is followed by one in the same place.
    place: u32,
    dead: Arc<AtomicBool>,
    /// It ends then, since another one is there in its place.
    ends: Option<Timestamp>,
}

/// What is on the stage.
struct Play<'a> {
    case: &'a Case,
    seed: u64,
    world: Shared,
    stage: Arc<Mutex<Stage>>,
    processes: BTreeMap<u32, Process>,
    /// When a process begins, and in which place.
    begins: BTreeSet<(Timestamp, u32)>,
    started: u32,
}

/// Lives through a case. With `telling` the timeline is kept, with every request in it.
pub(crate) fn play(seed: u64, case: &Case, plan: Plan, telling: bool) -> Run {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    match runtime {
        Ok(runtime) => runtime.block_on(lived(seed, case, plan, telling)),
        Err(error) => Run::failed(Error::Start(error.to_string())),
    }
}

async fn lived(seed: u64, case: &Case, plan: Plan, telling: bool) -> Run {
    let mut scenario = case.scenario.clone();
    scenario.entries = if telling { 20_000 } else { 0 };
    let clock = Clock::simulated(scenario.start, seed);
    let wake = Arc::new(Notify::new());
    let until = after(scenario.start, case.eventful);
    let terms =
        Terms { until, faultless: plan.is_empty(), alone: !plan.has(Kind::Beside), elected: case.elected };
    let mut stage = Stage::new(plan, until, wake.clone());
    stage.telling = telling;
    let mut world = World::new(&scenario, clock.clone(), wake.clone());
    world.prepare(&scenario);
    world.builds.losing = case.losing;
    let mut witness = match &case.nodes {
        None => Witness::new(terms),
        Some(nodes) => {
            world.begin_nodes(nodes.habits.clone());
            for (at, soon) in &nodes.moments {
                world.at(*at, Due::OnNodes(soon.clone()));
            }
            Witness::of_nodes(terms, nodes.given())
        }
    };
    witness.begin(&world);
    world.witness = Some(Box::new(witness));
    let mut play = Play {
        case,
        seed,
        world: Arc::new(Mutex::new(world)),
        stage: Arc::new(Mutex::new(stage)),
        processes: BTreeMap::new(),
        begins: (0..if case.elected { 2 } else { 1 }).map(|place| (scenario.start, place)).collect(),
        started: 0,
    };
    let ended = play.run(&clock, &wake, until).await;
    play.processes.clear();
    play.told(&clock, ended)
}

impl Play<'_> {
    async fn run(&mut self, clock: &Clock, wake: &Notify, until: Timestamp) -> Result<(), Error> {
        let most = bound(self.case);
        loop {
            let next = {
                let mut world = locked(&self.world);
                world.advance();
                if let Some(what) = world.unsupported.take() {
                    return Err(Error::Unsupported(what));
                }
                world.agenda.next()
            };
            self.change(clock.now())?;
            {
                let mut world = locked(&self.world);
                let now = clock.now();
                let over = world.witness.as_ref().and_then(|witness| {
                    if witness.violation.is_some() {
                        return Some(Ok(()));
                    }
                    if now < until { None } else { witness.is_over(&world, most) }
                });
                if let Some(found) = over {
                    if let Some(witness) = &mut world.witness {
                        witness.found(now, found);
                    }
                    return Ok(());
                }
            }
            let ends = self.processes.values().filter_map(|process| process.ends);
            let begins = self.begins.first().map(|(at, _)| *at);
            // The end is looked for at least this often.
            let look = after(clock.now(), Duration::from_secs(600));
            let until = ends.chain(begins).chain(next).fold(look, Timestamp::min);
            let ended = {
                let running = self.processes.iter_mut().map(|(number, process)| {
                    async move { (*number, process.manager.ended().await.to_string()) }.boxed()
                });
                let running: Vec<_> = running.collect();
                let any = async {
                    if running.is_empty() {
                        std::future::pending().await
                    } else {
                        futures::future::select_all(running).await.0
                    }
                };
                tokio::select! {
                    biased;
                    () = wake.notified() => None,
                    ended = any => Some(ended),
                    () = clock.sleep_until(until) => None,
                }
            };
            if let Some((number, why)) = ended {
                if !self.case.elected {
                    return Err(Error::Ended(why));
                }
                self.end(number, clock.now(), STARTS_AGAIN, &why);
            }
        }
    }

    /// Ends and begins processes.
    fn change(&mut self, now: Timestamp) -> Result<(), Error> {
        let (killed, beside) = {
            let mut stage = staged(&self.stage);
            (std::mem::take(&mut stage.killed), std::mem::take(&mut stage.beside))
        };
        for (number, down) in killed {
            self.end(number, now, Duration::from_secs(down), "it was killed");
        }
        for (number, seconds) in beside {
            // One that has another beside it already is left as it is.
            let few = self.processes.len() + self.begins.len() < MOST;
            let process = self.processes.get_mut(&number);
            if let Some(process) = process.filter(|process| few && process.ends.is_none()) {
                process.ends = Some(after(now, Duration::from_secs(seconds)));
                self.begins.insert((now, process.place));
            }
        }
        let over = self.processes.iter().filter(|(_, process)| process.ends.is_some_and(|ends| ends <= now));
        for number in over.map(|(number, _)| *number).collect::<Vec<_>>() {
            self.end(number, now, Duration::ZERO, "it was too long beside another");
        }
        while let Some((at, place)) = self.begins.first().copied().filter(|(at, _)| *at <= now) {
            self.begins.remove(&(at, place));
            self.begin(place)?;
        }
        Ok(())
    }

    fn end(&mut self, number: u32, now: Timestamp, down: Duration, why: &str) {
        let Some(process) = self.processes.remove(&number) else { return };
        process.dead.store(true, Ordering::Relaxed);
        if process.ends.is_none() {
            self.begins.insert((after(now, down), process.place));
        }
        locked(&self.world).tell(&format!("process {number}"), "", format!("ends: {why}"));
    }

    fn begin(&mut self, place: u32) -> Result<(), Error> {
        self.started += 1;
        let number = self.started;
        // No two machines have the same time.
        let mut dice = Dice::new(self.seed, u64::from(number) + 0xC10C);
        let apart = i64::try_from(dice.within(0, 4_000)).unwrap_or_default() - 2_000;
        let now = locked(&self.world).now();
        let epoch = now.checked_add(SignedDuration::from_millis(apart)).unwrap_or(now);
        let clock = Clock::simulated(epoch, self.seed.wrapping_add(u64::from(number)));
        let dead = Arc::new(AtomicBool::new(false));
        let line = Line {
            process: number,
            world: self.world.clone(),
            stage: self.stage.clone(),
            clock,
            dead: dead.clone(),
        };
        let manager = process::start(self.case, line).map_err(Error::Start)?;
        locked(&self.world).tell(&format!("process {number}"), "", "begins".to_owned());
        self.processes.insert(number, Process { manager, place, dead, ends: None });
        Ok(())
    }

    /// What came of it.
    fn told(&mut self, clock: &Clock, ended: Result<(), Error>) -> Run {
        let end = clock.now();
        let mut world = locked(&self.world);
        let witness = world.witness.take();
        let asked = witness.as_ref().map_or(0, |witness| witness.asked.count());
        let violation = witness.and_then(|witness| witness.violation);
        let stage = staged(&self.stage);
        let error = ended.err();
        let violation = violation.or_else(|| {
            let words = error.as_ref()?.to_string();
            Some(Violation { at: end, invariant: "the run comes to its end", words })
        });
        Run {
            violation,
            faults: stage.happened.clone(),
            numbers: stage.numbers.clone(),
            writes: stage.writes.clone(),
            requests: stage.requests,
            processes: self.started,
            asked,
            troubles: self.case.troubles.len() as u64,
            timeline: world.told(self.case.scenario.start, end),
        }
    }
}
