//! The lease: of all processes that may run the same controllers, at most one acts.
//!
//! The record is client-go's, so that this program and the one it replaces wait for each other. The rules are stricter
//! than client-go's defaults: whoever holds the lease stops acting 25 s after it *sent* its last successful renewal,
//! and nobody takes it before the record's own duration has passed since its last change was *seen*. No clock is ever
//! compared with another machine's, and a write carries the resourceVersion it was decided on.
//!
//! *Architecture invariant:* whether one may act is asked at every write ([`Leadership::may_act`]), not remembered.

mod candidate;
mod record;
mod shell;

#[cfg(test)]
mod simulated;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

pub use candidate::{Answer, Candidate, Cause, Decision, Moment, Next, Seen, decide};
pub use record::{Record, identity};
pub use shell::{Candidacy, LeaseError, Settings};

use crate::clock::after;

/// What a candidate waits for, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// What the record says: others wait this long since its last change was seen.
    pub duration: Duration,
    /// Time between renewals.
    pub renew_every: Duration,
    /// A holder stops acting this long after it sent its last successful renewal. What it sent before must have ended
    /// by `duration`: the difference is there for requests on their way and for clocks that run apart.
    pub act_for: Duration,
    /// Time between two looks at a lease that another holds.
    pub follow_every: Duration,
    /// Time after a request without an answer before the next.
    pub retry_after: Duration,
    /// A request without an answer is given up after this.
    pub answer_within: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(40),
            renew_every: Duration::from_secs(10),
            act_for: Duration::from_secs(25),
            follow_every: Duration::from_secs(5),
            retry_after: Duration::from_secs(2),
            answer_within: Duration::from_secs(5),
        }
    }
}

/// Where a process stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Another process holds the lease; nobody that is known, before the first answer and after a release.
    Following {
        /// Its identity.
        holder: Option<Box<str>>,
    },
    /// This process may act.
    Leading,
    /// This process has led and may never act again: it must end.
    Lost(Cause),
}

/// A reader's view of the lease. Clones share it.
#[derive(Clone, Debug)]
pub struct Leadership {
    state: watch::Receiver<State>,
    leading: watch::Receiver<bool>,
    deadline: Arc<AtomicI64>,
    others: Arc<AtomicBool>,
    /// The writer's side, where nobody writes: without it, readers would take the lease for lost.
    _writer: Option<Arc<Standing>>,
}

impl Leadership {
    /// Leads without a lease, for ever: `--leader-elect=false`, and simulations of one process.
    pub fn always() -> Self {
        Self::until(Timestamp::MAX)
    }

    /// Leads without a lease until a time, as a process does whose renewals stop: for simulations.
    pub fn until(deadline: Timestamp) -> Self {
        let (standing, leadership) = Standing::new();
        standing.deadline.store(deadline.as_millisecond(), Ordering::Release);
        standing.show(State::Leading);
        Self { _writer: Some(Arc::new(standing)), ..leadership }
    }

    /// Where this process stands.
    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// Whether a write may be sent now. It also says no after a machine has slept, before the lease's own thread wakes:
    /// the deadline is a time of day.
    pub fn may_act(&self, now: Timestamp) -> bool {
        now.as_millisecond() < self.deadline.load(Ordering::Acquire) && *self.state.borrow() == State::Leading
    }

    /// Whether this process leads, as a flag that can be waited on for as long as this handle, or one of its clones, is
    /// there.
    pub fn flag(&self) -> watch::Receiver<bool> {
        self.leading.clone()
    }

    /// Whether another process was seen to hold the lease: it may have written until this one took it over.
    pub fn had_others(&self) -> bool {
        self.others.load(Ordering::Acquire)
    }

    /// Waits until this process leads. Never returns when it has led before and lost.
    pub async fn leading(&mut self) {
        if self.state.wait_for(|state| *state == State::Leading).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until this process has led and lost. Never returns without a lease ([`Leadership::always`]).
    pub async fn lost(&mut self) -> Cause {
        match self.state.wait_for(|state| matches!(state, State::Lost(_))).await.as_deref() {
            Ok(State::Lost(cause)) => cause.clone(),
            _ => Cause::Ended,
        }
    }
}

/// The writer's side of a [`Leadership`].
#[derive(Debug)]
struct Standing {
    state: watch::Sender<State>,
    leading: watch::Sender<bool>,
    deadline: Arc<AtomicI64>,
    others: Arc<AtomicBool>,
}

impl Standing {
    fn new() -> (Self, Leadership) {
        let (state, states) = watch::channel(State::Following { holder: None });
        let (leading, flags) = watch::channel(false);
        let deadline = Arc::new(AtomicI64::new(i64::MIN));
        let others = Arc::new(AtomicBool::new(false));
        let leadership = Leadership {
            state: states,
            leading: flags,
            deadline: Arc::clone(&deadline),
            others: Arc::clone(&others),
            _writer: None,
        };
        (Self { state, leading, deadline, others }, leadership)
    }

    /// Extends the time to act, counted from the wall clock at the moment the renewal was sent.
    fn extend(&self, sent: Timestamp, act_for: Duration) {
        self.deadline.store(after(sent, act_for).as_millisecond(), Ordering::Release);
    }

    /// Shows a state; the time to act ends first with one in which nobody acts.
    fn show(&self, state: State) -> bool {
        if state != State::Leading {
            self.deadline.store(i64::MIN, Ordering::Release);
        }
        if matches!(state, State::Following { holder: Some(_) }) {
            self.others.store(true, Ordering::Release);
        }
        let leads = state == State::Leading;
        self.leading.send_if_modified(|shown| std::mem::replace(shown, leads) != leads);
        self.state.send_if_modified(|shown| {
            let changed = *shown != state;
            *shown = state;
            changed
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_a_lease_one_always_leads() {
        let mut leadership = Leadership::always();
        assert!(leadership.may_act(Timestamp::MAX.checked_sub(Duration::from_hours(9)).unwrap()));
        leadership.leading().await;
        assert_eq!(leadership.state(), State::Leading);
        assert!(*leadership.flag().borrow());
    }

    #[tokio::test]
    async fn a_deadline_that_passed_ends_acting_even_while_the_state_still_says_leading() {
        let (standing, mut leadership) = Standing::new();
        let now: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        assert!(!leadership.may_act(now));
        standing.extend(now, Duration::from_secs(25));
        standing.show(State::Leading);
        assert!(leadership.may_act(after(now, Duration::from_secs(24))));
        assert!(!leadership.may_act(after(now, Duration::from_secs(25))));
        standing.show(State::Lost(Cause::NotRenewed));
        assert!(!leadership.may_act(now));
        assert!(!leadership.had_others());
        assert_eq!(leadership.lost().await, Cause::NotRenewed);
    }

    #[tokio::test]
    async fn a_candidacy_that_died_is_a_lost_lease() {
        let (standing, mut leadership) = Standing::new();
        drop(standing);
        assert_eq!(leadership.lost().await, Cause::Ended);
    }
}
