//! Any number of candidates, each with a clock of its own speed, and a server whose answers come late, lost or never.

use std::collections::BTreeMap;

use jiff::Timestamp;
use proptest::prelude::*;

use super::super::*;
use crate::lease::record::Record;
use k8s_openapi::api::coordination::v1::Lease;

const MILLISECOND: Duration = Duration::from_millis(1);
const WALL: &str = "2026-11-21T10:00:00Z";

/// How one request fares.
#[derive(Clone, Copy, Debug)]
struct Fate {
    /// Milliseconds until the server has it.
    there: u64,
    /// Milliseconds until its answer is back.
    back: u64,
    /// It never gets there.
    lost: bool,
    /// It is done, and nobody hears of it.
    unheard: bool,
}

#[derive(Clone, Debug)]
struct Plan {
    /// Each candidate: the speed of its clock in percent, the millisecond at which it starts, the one at which it dies.
    candidates: Vec<(u32, u64, u64)>,
    fates: Vec<Fate>,
    /// No request gets there from the first millisecond to the second.
    outage: (u64, u64),
}

#[derive(Clone, Debug)]
enum Event {
    Wake(usize),
    Arrive(usize, Request),
    Return(usize, Request, Answer),
    GiveUp(usize, u64),
}

#[derive(Clone, Debug)]
struct Request {
    id: u64,
    /// Local time at which it was sent.
    sent: Moment,
    write: Option<(Lease, bool)>,
    fate: Fate,
}

struct Contestant {
    candidate: Candidate,
    speed: u32,
    start: u64,
    death: u64,
    pending: Option<u64>,
    led: bool,
    over: bool,
}

struct Contest {
    now: u64,
    order: u64,
    agenda: BTreeMap<(u64, u64), Event>,
    stored: Option<Lease>,
    version: u64,
    people: Vec<Contestant>,
    plan: Plan,
    requests: u64,
    led: usize,
}

impl Contest {
    fn new(plan: Plan) -> Self {
        let people = plan.candidates.iter().enumerate().map(|(number, &(speed, start, death))| Contestant {
            candidate: Candidate::new(format!("candidate-{number}"), Timing::default()),
            speed,
            start,
            death,
            pending: None,
            led: false,
            over: false,
        });
        let people: Vec<_> = people.collect();
        let mut contest = Self {
            now: 0,
            order: 0,
            agenda: BTreeMap::new(),
            stored: None,
            version: 0,
            people,
            plan,
            requests: 0,
            led: 0,
        };
        for who in 0..contest.people.len() {
            contest.at(contest.people[who].start, Event::Wake(who));
        }
        contest
    }

    fn at(&mut self, time: u64, event: Event) {
        self.order += 1;
        self.agenda.insert((time.max(self.now), self.order), event);
    }

    /// A candidate's own clock: its speed, and an origin that nobody else shares.
    fn local(&self, who: usize) -> Moment {
        let person = &self.people[who];
        MILLISECOND * u32::try_from(self.now - person.start).unwrap() * person.speed / 100
    }

    fn real(&self, who: usize, local: Moment) -> u64 {
        let person = &self.people[who];
        let milliseconds = (local * 100 / person.speed).as_millis();
        person.start + u64::try_from(milliseconds).unwrap() + 1
    }

    fn wall() -> Timestamp {
        WALL.parse().unwrap()
    }

    fn run(&mut self, until: u64) -> Result<(), String> {
        while let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= until) {
            self.now = entry.key().0;
            match entry.remove() {
                Event::Wake(who) => self.wake(who),
                Event::Arrive(who, request) => self.arrive(who, request),
                Event::Return(who, request, answer) => self.answered(who, &request, answer),
                Event::GiveUp(who, id) if self.people[who].pending == Some(id) => {
                    self.people[who].pending = None;
                    let now = self.local(who);
                    self.people[who].candidate.written(now, now, Answer::Unknown);
                    self.wake(who);
                }
                Event::GiveUp(..) => {}
            }
            self.check()?;
        }
        self.now = until;
        Ok(())
    }

    /// Who acts is asked at every event, and acting ends only with an event or with time: both ends are looked at.
    fn check(&mut self) -> Result<(), String> {
        let now = self.now;
        let acting: Vec<usize> = (0..self.people.len())
            .filter(|&who| self.people[who].death > now && self.people[who].start <= now)
            .filter(|&who| self.people[who].candidate.state(self.local(who)) == State::Leading)
            .collect();
        for &who in &acting {
            if !self.people[who].led {
                self.people[who].led = true;
                self.led += 1;
            }
        }
        if acting.len() > 1 { Err(format!("{acting:?} act at {now} ms")) } else { Ok(()) }
    }

    fn wake(&mut self, who: usize) {
        let now = self.local(who);
        let person = &self.people[who];
        if person.death <= self.now || person.pending.is_some() || person.over {
            return;
        }
        match person.candidate.next(now) {
            Next::End(_) => self.people[who].over = true,
            Next::Wait(until) => {
                let time = self.real(who, until);
                self.at(time, Event::Wake(who));
            }
            Next::Read => self.send(who, None),
            Next::Write => {
                let lease = person.candidate.lease(Self::wall(), "ns", "id");
                let creates = person.candidate.creates();
                self.send(who, Some((lease, creates)));
            }
        }
    }

    fn send(&mut self, who: usize, write: Option<(Lease, bool)>) {
        self.requests += 1;
        let id = self.requests;
        let fate = self.plan.fates[usize::try_from(id).unwrap() % self.plan.fates.len()];
        let sent = self.local(who);
        let request = Request { id, sent, write, fate };
        self.people[who].pending = Some(id);
        let cut = (self.plan.outage.0..self.plan.outage.1).contains(&self.now);
        if !fate.lost && !cut {
            self.at(self.now + fate.there, Event::Arrive(who, request));
        }
        let patience = sent + Timing::default().answer_within;
        let patience = self.people[who].candidate.end().map_or(patience, |end| end.min(patience));
        self.at(self.real(who, patience), Event::GiveUp(who, id));
    }

    /// A write that was given up on, or whose sender has died, arrives all the same.
    fn arrive(&mut self, who: usize, request: Request) {
        let answer = match &request.write {
            None => self.stored.clone().map_or(Answer::Absent, |lease| Answer::Is(Box::new(lease))),
            Some((lease, creates)) => match (&self.stored, creates) {
                (Some(_), true) => Answer::Conflict,
                (None, false) => Answer::Absent,
                (Some(stored), false)
                    if stored.metadata.resource_version != lease.metadata.resource_version =>
                {
                    Answer::Conflict
                }
                _ => {
                    self.version += 1;
                    let mut lease = lease.clone();
                    lease.metadata.resource_version = Some(self.version.to_string());
                    // Every renewal changes the record, as the wall clock of its writer does.
                    if let Some(time) = lease.spec.as_mut().and_then(|spec| spec.renew_time.as_mut()) {
                        time.0 = after(Self::wall(), MILLISECOND * u32::try_from(self.version).unwrap());
                    }
                    self.stored = Some(lease.clone());
                    Answer::Is(Box::new(lease))
                }
            },
        };
        if !request.fate.unheard {
            let back = self.now + request.fate.back;
            self.at(back, Event::Return(who, request, answer));
        }
    }

    fn answered(&mut self, who: usize, request: &Request, answer: Answer) {
        let now = self.local(who);
        let person = &mut self.people[who];
        if person.pending != Some(request.id) || person.death <= self.now {
            return;
        }
        person.pending = None;
        match request.write {
            None => person.candidate.read(now, answer),
            Some(_) => person.candidate.written(request.sent, now, answer),
        }
        self.wake(who);
    }
}

const NEVER: u64 = u64::MAX;
const PROMPT: Fate = Fate { there: 3, back: 3, lost: false, unheard: false };

fn plan(candidates: &[(u32, u64, u64)]) -> Plan {
    Plan { candidates: candidates.to_vec(), fates: vec![PROMPT], outage: (0, 0) }
}

fn seconds(count: u64) -> u64 {
    count * 1000
}

fn leads(contest: &Contest, who: usize) -> bool {
    contest.people[who].candidate.state(contest.local(who)) == State::Leading
}

#[test]
fn the_first_leads_and_renews_every_ten_seconds_with_one_request() {
    let mut contest = Contest::new(plan(&[(100, 0, NEVER)]));
    contest.run(seconds(600)).unwrap();
    assert!(leads(&contest, 0));
    let renewals = contest.requests - 1;
    assert!((59..=61).contains(&renewals), "{renewals}");
}

#[test]
fn after_a_kill_the_next_waits_for_the_records_own_duration() {
    let mut contest = Contest::new(plan(&[(100, 0, seconds(95)), (100, seconds(1), NEVER)]));
    contest.run(seconds(129)).unwrap();
    assert!(!leads(&contest, 1), "taken 38 s after the last renewal");
    contest.run(seconds(137)).unwrap();
    assert!(leads(&contest, 1));
    let record = Record::of(contest.stored.as_ref().unwrap());
    assert_eq!((record.holder.as_str(), record.transitions), ("candidate-1", 1));
}

#[test]
fn an_original_that_says_fifteen_seconds_is_given_fifteen_seconds() {
    let mut contest = Contest::new(plan(&[(100, 0, NEVER)]));
    let original = Record {
        holder: "kubernetes-upgrader-controller-manager-abc_0c1f".to_owned(),
        duration: Some(Duration::from_secs(15)),
        acquired: Some(Contest::wall()),
        renewed: Some(Contest::wall()),
        transitions: 2,
    };
    let mut lease = original.on(None, "ns", "id");
    lease.metadata.resource_version = Some("original".to_owned());
    contest.stored = Some(lease);
    contest.run(seconds(14)).unwrap();
    assert!(!leads(&contest, 0));
    contest.run(seconds(16)).unwrap();
    assert!(leads(&contest, 0));
}

#[test]
fn an_outage_ends_leading_before_anybody_else_may_begin() {
    let mut contest = Contest::new(Plan {
        outage: (seconds(50), seconds(200)),
        ..plan(&[(100, 0, NEVER), (100, 500, NEVER)])
    });
    contest.run(seconds(64)).unwrap();
    assert!(leads(&contest, 0), "an outage shorter than the time to act costs nothing");
    contest.run(seconds(80)).unwrap();
    assert!(contest.people[0].over, "the first has ended");
    contest.run(seconds(199)).unwrap();
    assert!(!leads(&contest, 1));
    contest.run(seconds(210)).unwrap();
    assert!(leads(&contest, 1));
}

#[test]
fn an_outage_of_less_than_the_time_to_act_is_survived() {
    let mut contest = Contest::new(Plan {
        outage: (seconds(50), seconds(63)),
        ..plan(&[(100, 0, NEVER), (100, 500, NEVER)])
    });
    contest.run(seconds(300)).unwrap();
    assert!(leads(&contest, 0) && contest.led == 1);
}

#[test]
fn three_who_see_an_empty_lease_at_once_have_one_winner() {
    let mut contest = Contest::new(plan(&[(100, 0, NEVER), (100, 0, NEVER), (100, 0, NEVER)]));
    contest.run(seconds(60)).unwrap();
    assert_eq!((0..3).filter(|&who| leads(&contest, who)).count(), 1);
    assert_eq!(contest.led, 1);
}

#[test]
fn an_acquisition_whose_answer_was_lost_is_found_at_the_next_look() {
    let unheard = Fate { unheard: true, ..PROMPT };
    let fates = vec![PROMPT, PROMPT, unheard, PROMPT, PROMPT, PROMPT];
    let mut contest = Contest::new(Plan { fates, ..plan(&[(100, 0, NEVER)]) });
    contest.run(seconds(9)).unwrap();
    assert!(leads(&contest, 0));
    assert_eq!(Record::of(contest.stored.as_ref().unwrap()).transitions, 0);
}

prop_compose! {
    fn fates()(list in prop::collection::vec(
        (0u64..6_000, 0u64..6_000, prop::bool::weighted(0.1), prop::bool::weighted(0.1), prop::bool::weighted(0.4)), 1..60,
    )) -> Vec<Fate> {
        list.into_iter().map(|(there, back, lost, unheard, slow)| {
            let pace = if slow { 1 } else { 100 };
            Fate { there: there / pace, back: back / pace, lost, unheard }
        }).collect()
    }
}

prop_compose! {
    fn plans()(
        candidates in prop::collection::vec((85u32..115, 0u64..90_000, 20_000u64..600_000), 2..4),
        fates in fates(),
        outage in (0u64..300_000, 0u64..60_000),
    ) -> Plan {
        let candidates = candidates.into_iter().map(|(speed, start, life)| {
            (speed, start, if life > 400_000 { NEVER } else { start + life })
        }).collect();
        Plan { candidates, fates, outage: (outage.0, outage.0 + outage.1) }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever is late, lost or dead, and with clocks that run 15 percent apart from the true one either way.
    #[test]
    fn never_do_two_act_at_once(plan in plans()) {
        let mut contest = Contest::new(plan);
        let verdict = contest.run(seconds(600));
        prop_assert!(verdict.is_ok(), "{verdict:?}");
    }

    /// Once everything works, someone leads.
    #[test]
    fn someone_leads_in_the_end(start in 0u64..50_000, death in 0u64..90_000, speed in 85u32..115) {
        let mut contest = Contest::new(plan(&[(100, 0, death), (speed, start, NEVER)]));
        contest.run(seconds(220)).unwrap();
        prop_assert!(leads(&contest, 1));
    }
}
