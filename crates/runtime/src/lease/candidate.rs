//! A candidate without its I/O: what it knows, what it would do next, and what an answer changes. Time is handed in.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;

use super::{Record, State, Timing};

/// A time since the candidacy began, by a clock that nobody can set.
pub type Moment = Duration;

/// What a candidate last saw.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The object; nothing where there is none.
    pub lease: Option<Lease>,
    /// Its record.
    pub record: Option<Record>,
    /// When this record was first seen. A change of anything but the record does not count.
    pub since: Moment,
}

/// Why a process that led must end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// No renewal succeeded in time.
    NotRenewed,
    /// Another process holds it.
    TakenBy(Box<str>),
    /// The lease's own thread has ended.
    Ended,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRenewed => f.write_str("the lease could not be renewed in time"),
            Self::TakenBy(holder) => write!(f, "the lease was taken by {holder}"),
            Self::Ended => f.write_str("the thread that renews the lease has ended"),
        }
    }
}

/// What is right, given what was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nobody holds it (any more): take it.
    Acquire,
    /// It is ours and due.
    Renew,
    /// It is ours, and not due before then.
    Rest(Moment),
    /// Another holds it; it can be taken then, unless it is renewed before.
    Follow {
        /// Its identity.
        holder: Box<str>,
        /// When its record runs out.
        expires: Moment,
    },
    /// It was ours.
    Lost(Cause),
}

/// Decides. `held` is the time at which the last successful renewal was sent, if this process leads.
pub fn decide(seen: &Seen, held: Option<Moment>, now: Moment, me: &str, timing: &Timing) -> Decision {
    if held.is_some_and(|renewed| now >= renewed + timing.act_for) {
        return Decision::Lost(Cause::NotRenewed);
    }
    let Some(record) = &seen.record else { return Decision::Acquire };
    match held {
        Some(renewed) if record.holder == me => {
            let due = renewed + timing.renew_every;
            if now < due { Decision::Rest(due) } else { Decision::Renew }
        }
        // Someone emptied it by hand: nobody else holds it, and the write that takes it back is conditional.
        Some(_) if record.holder.is_empty() => Decision::Renew,
        Some(_) => Decision::Lost(Cause::TakenBy(record.holder.as_str().into())),
        // Its own name, and it does not lead: the answer to its write was lost.
        None if record.holder.is_empty() || record.holder == me => Decision::Acquire,
        None => {
            let expires = seen.since + record.duration.unwrap_or(timing.duration);
            if now < expires {
                Decision::Follow { holder: record.holder.as_str().into(), expires }
            } else {
                Decision::Acquire
            }
        }
    }
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing before then.
    Wait(Moment),
    /// Read the lease.
    Read,
    /// Write [`Candidate::lease`].
    Write,
    /// End.
    End(Cause),
}

/// What came back.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A read, or a write that succeeded, shows this.
    Is(Box<Lease>),
    /// There is none.
    Absent,
    /// Someone wrote in between.
    Conflict,
    /// No answer, or none that says anything.
    Unknown,
}

/// One candidate for one lease.
#[derive(Clone, Debug)]
pub struct Candidate {
    me: String,
    timing: Timing,
    seen: Option<Seen>,
    held: Option<Moment>,
    /// The last look is out of date: read before deciding.
    stale: bool,
    /// When to look again at what another holds.
    look_at: Moment,
    /// No request before this.
    rest_until: Moment,
}

impl Candidate {
    /// Knows nothing yet.
    pub fn new(me: impl Into<String>, timing: Timing) -> Self {
        Self {
            me: me.into(),
            timing,
            seen: None,
            held: None,
            stale: true,
            look_at: Moment::ZERO,
            rest_until: Moment::ZERO,
        }
    }

    /// What to do next.
    pub fn next(&self, now: Moment) -> Next {
        let end = self.held.map(|renewed| renewed + self.timing.act_for);
        if end.is_some_and(|end| now >= end) {
            return Next::End(Cause::NotRenewed);
        }
        if now < self.rest_until {
            return Next::Wait(end.map_or(self.rest_until, |end| end.min(self.rest_until)));
        }
        let Some(seen) = self.seen.as_ref().filter(|_| !self.stale) else { return Next::Read };
        match decide(seen, self.held, now, &self.me, &self.timing) {
            Decision::Acquire | Decision::Renew => Next::Write,
            Decision::Rest(until) => Next::Wait(until),
            Decision::Lost(cause) => Next::End(cause),
            Decision::Follow { .. } if now >= self.look_at => Next::Read,
            Decision::Follow { expires, .. } => Next::Wait(expires.min(self.look_at)),
        }
    }

    /// The lease to write: with a resourceVersion where one is there, so that it only replaces what was seen.
    pub fn lease(&self, wall: Timestamp, namespace: &str, name: &str) -> Lease {
        let seen = self.seen.as_ref();
        let before = seen.and_then(|seen| seen.record.as_ref());
        let record = Record::held(before, &self.me, wall, &self.timing);
        record.on(seen.and_then(|seen| seen.lease.as_ref()), namespace, name)
    }

    /// The lease to write when this process stops acting of its own will; nothing where it does not hold it.
    pub fn release(&self, wall: Timestamp, namespace: &str, name: &str) -> Option<Lease> {
        let seen = self.seen.as_ref()?;
        let record = seen.record.as_ref().filter(|record| record.holder == self.me)?;
        Some(record.released(wall).on(seen.lease.as_ref(), namespace, name))
    }

    /// Whether a write would create the lease.
    pub fn creates(&self) -> bool {
        self.seen.as_ref().is_none_or(|seen| seen.lease.is_none())
    }

    /// Takes in the answer to a read.
    pub fn read(&mut self, now: Moment, answer: Answer) {
        match answer {
            Answer::Is(lease) => self.look(now, Some(*lease)),
            Answer::Absent => self.look(now, None),
            Answer::Conflict | Answer::Unknown => self.rest_until = now + self.timing.retry_after,
        }
    }

    /// Takes in the answer to a write that was sent at `sent`: the time to act counts from then, since the server may
    /// have taken it at any moment after.
    pub fn written(&mut self, sent: Moment, now: Moment, answer: Answer) {
        match answer {
            Answer::Is(lease) => {
                self.look(now, Some(*lease));
                self.held = Some(sent);
            }
            // Read before the next write: the resourceVersion is out of date, or may be.
            Answer::Absent | Answer::Conflict => self.stale = true,
            Answer::Unknown => {
                self.stale = true;
                self.rest_until = now + self.timing.retry_after;
            }
        }
    }

    /// Where this leaves the process.
    pub fn state(&self, now: Moment) -> State {
        match (self.held, self.next(now)) {
            (Some(_), Next::End(cause)) => State::Lost(cause),
            (Some(_), _) => State::Leading,
            (None, _) => {
                let record = self.seen.as_ref().and_then(|seen| seen.record.as_ref());
                let holder = record.map(|record| record.holder.as_str()).filter(|holder| !holder.is_empty());
                State::Following { holder: holder.map(Into::into) }
            }
        }
    }

    /// When acting ends without another renewal.
    pub fn end(&self) -> Option<Moment> {
        self.held.map(|renewed| renewed + self.timing.act_for)
    }

    fn look(&mut self, now: Moment, lease: Option<Lease>) {
        let record = lease.as_ref().map(Record::of);
        let since = match &self.seen {
            Some(seen) if seen.record == record => seen.since,
            _ => now,
        };
        self.seen = Some(Seen { lease, record, since });
        self.stale = false;
        self.look_at = now + self.timing.follow_every;
    }
}
