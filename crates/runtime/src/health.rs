//! Whether the process is alive, and what it still waits for before it is ready.
//!
//! *Architecture invariant:* leadership is never a gate. A rolling update starts the new pod while the old one holds the
//! lease; a pod that were ready only with the lease would wait for the old one, and the old one for it, for ever.

mod address;
mod server;

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

pub use address::{AddressError, BindAddress};
pub use server::{Server, ServerError, metrics, probes};

/// What must have happened before the process is of use. Clones share the gates.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    gates: Arc<Mutex<Gates>>,
}

/// Why each gate is shut; nothing for an open one.
type Gates = BTreeMap<Box<str>, Option<String>>;

impl Readiness {
    /// No gates yet, so ready. The first gate is made before the server is.
    pub fn new() -> Self {
        Self::default()
    }

    /// A gate, shut until it is opened. A second gate of the same name is the same gate.
    pub fn gate(&self, name: &str) -> Gate {
        locked(&self.gates).entry(name.into()).or_insert_with(|| Some("not started".to_owned()));
        Gate { name: name.into(), gates: Arc::clone(&self.gates) }
    }

    /// Whether every gate is open.
    pub fn is_ready(&self) -> bool {
        locked(&self.gates).values().all(Option::is_none)
    }

    /// Each gate that is shut, with its cause.
    pub fn unready(&self) -> Vec<(String, String)> {
        let gates = locked(&self.gates);
        gates.iter().filter_map(|(name, cause)| Some((name.to_string(), cause.clone()?))).collect()
    }

    /// One line for each gate, in the notation of the API server's own `/readyz?verbose`.
    pub fn report(&self) -> String {
        let mut page = String::new();
        for (name, cause) in &*locked(&self.gates) {
            // Writing to a String cannot fail.
            let _ = match cause {
                None => writeln!(page, "[+]{name} ok"),
                Some(cause) => writeln!(page, "[-]{name} not ready: {cause}"),
            };
        }
        page.push_str(if self.is_ready() { "readyz check passed\n" } else { "readyz check failed\n" });
        page
    }
}

/// One thing that the process waits for.
#[derive(Clone, Debug)]
pub struct Gate {
    name: Box<str>,
    gates: Arc<Mutex<Gates>>,
}

impl Gate {
    /// It has happened.
    pub fn open(&self) {
        self.set(None);
    }

    /// It is awaited (again), and this is why.
    pub fn close(&self, cause: impl Into<String>) {
        self.set(Some(cause.into()));
    }

    fn set(&self, cause: Option<String>) {
        locked(&self.gates).insert(self.name.clone(), cause);
    }
}

/// A thread that panicked while it held the gates left them whole: one insert is all that it does.
fn locked(gates: &Mutex<Gates>) -> MutexGuard<'_, Gates> {
    gates.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The last sign of life of the event loop. Clones share it.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    last: Arc<AtomicI64>,
    limit: Duration,
    watched: bool,
}

/// The event loop has stood still for longer than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("event loop: no sign of life for {age:?}, the limit is {limit:?}")]
pub struct Stale {
    /// How long ago the last sign was.
    pub age: Duration,
    /// The limit.
    pub limit: Duration,
}

impl Heartbeat {
    /// The first sign of life. The loop must tick several times within `limit`, work or no work.
    pub fn new(now: Timestamp, limit: Duration) -> Self {
        Self { last: Arc::new(AtomicI64::new(now.as_millisecond())), limit, watched: true }
    }

    /// One that nobody checks, as in a simulation: the loop need not wake for it.
    pub fn unwatched(now: Timestamp) -> Self {
        Self { watched: false, ..Self::new(now, Duration::MAX) }
    }

    /// Whether anyone checks it.
    pub(crate) fn is_watched(&self) -> bool {
        self.watched
    }

    /// The loop is alive.
    pub fn tick(&self, now: Timestamp) {
        self.last.store(now.as_millisecond(), Ordering::Relaxed);
    }

    /// Whether it has been alive lately. A clock that was set back counts as no time at all.
    pub fn check(&self, now: Timestamp) -> Result<(), Stale> {
        let age = now.as_millisecond().saturating_sub(self.last.load(Ordering::Relaxed));
        let age = Duration::from_millis(u64::try_from(age).unwrap_or(0));
        if age > self.limit { Err(Stale { age, limit: self.limit }) } else { Ok(()) }
    }
}

impl fmt::Display for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.report())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::after;

    #[test]
    fn every_gate_must_be_open_and_the_shut_ones_say_why() {
        let readiness = Readiness::new();
        let (plans, clusters) = (readiness.gate("cache plans"), readiness.gate("cache clusters"));
        assert!(!readiness.is_ready());
        plans.open();
        clusters.close("the server refuses the first list: 403");
        assert_eq!(
            readiness.report(),
            "[-]cache clusters not ready: the server refuses the first list: 403\n\
             [+]cache plans ok\nreadyz check failed\n"
        );
        clusters.open();
        assert!(readiness.is_ready() && readiness.unready().is_empty());
        plans.close("the watch has been down for 5 min");
        assert_eq!(
            readiness.unready(),
            [("cache plans".to_owned(), "the watch has been down for 5 min".to_owned())]
        );
    }

    #[test]
    fn asking_for_a_gate_again_does_not_shut_it() {
        let readiness = Readiness::new();
        readiness.gate("start").open();
        let again = readiness.gate("start");
        assert!(readiness.is_ready());
        again.close("stopping");
        assert!(!readiness.is_ready());
    }

    #[test]
    fn a_loop_that_stands_still_is_told_from_one_that_rests() {
        let start: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        let at = |seconds| after(start, Duration::from_secs(seconds));
        let heartbeat = Heartbeat::new(start, Duration::from_mins(1));
        assert_eq!(heartbeat.check(at(60)), Ok(()));
        let stale = heartbeat.check(at(75)).unwrap_err();
        assert_eq!(stale.to_string(), "event loop: no sign of life for 75s, the limit is 60s");
        heartbeat.clone().tick(at(74));
        assert_eq!(heartbeat.check(at(75)), Ok(()));
        assert_eq!(heartbeat.check(start), Ok(()));
    }
}
