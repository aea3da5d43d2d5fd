//! How often the same is written to one object: its status, or what one step of its room writes. Where somebody else writes
//! something else over it each time, such as a manager that was cut off from its lease or another operator, both would
//! otherwise answer each other at the pace of the network, for ever.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::clock::after;

/// In the long run, one write in this time.
const EACH: Duration = Duration::from_secs(6);
/// So many at once, after a rest of as many times [`EACH`].
const BURST: u32 = 10;

/// The pace of one write (GCRA): when the writes that there were would be over, had they kept it.
#[derive(Default)]
pub(super) struct Pace(Option<Timestamp>);

/// The paces of the last steps of one object, by a hash of their words, the last first. Two that answer each other make the
/// same step each time, or one and its opposite.
#[derive(Default)]
pub(super) struct Paces(Vec<(u64, Pace)>);

impl Paces {
    /// The same as [`Pace::write`] for one of the steps that are made at the same time.
    pub(super) fn write(&mut self, step: &str, now: Timestamp, at_once: usize) -> Option<Timestamp> {
        let mut hasher = DefaultHasher::new();
        step.hash(&mut hasher);
        let hash = hasher.finish();
        let mut last = match self.0.iter().position(|(of, _)| *of == hash) {
            Some(at) => self.0.remove(at),
            None => (hash, Pace::default()),
        };
        let free = last.1.write(now);
        self.0.insert(0, last);
        self.0.truncate(2 * at_once);
        free
    }
}

impl Pace {
    /// Until when a write waits; nothing where it may be sent now, which then counts.
    pub(super) fn write(&mut self, now: Timestamp) -> Option<Timestamp> {
        let burst = SignedDuration::try_from(EACH * BURST).unwrap_or_default();
        let over = self.0.unwrap_or(now).max(now);
        // Further away than it can be, unless the clock was set back.
        let over = if over.duration_since(now) > burst { now } else { over };
        let next = after(over, EACH);
        let free = next.checked_sub(burst).unwrap_or(now);
        if free > now {
            return Some(free);
        }
        self.0 = Some(next);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap_or_default()
    }

    /// Writes at every chance from one second to another; when they were sent.
    fn written(pace: &mut Pace, seconds: std::ops::Range<i64>) -> Vec<i64> {
        let mut sent = Vec::new();
        for second in seconds {
            while pace.write(at(second)).is_none() {
                sent.push(second);
            }
        }
        sent
    }

    #[test]
    fn some_at_once_and_then_one_after_another() {
        let mut pace = Pace::default();
        let sent = written(&mut pace, 0..25);
        assert_eq!(sent, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6, 12, 18, 24]);
        assert_eq!(pace.write(at(25)), Some(at(30)));
        assert_eq!(written(&mut pace, 1_000..1_001).len(), 10, "after a rest");
    }

    #[test]
    fn each_step_has_a_pace_of_its_own() {
        let mut paces = Paces::default();
        let sent = |paces: &mut Paces, step: &str, second| {
            (0..100).take_while(|_| paces.write(step, at(second), 1).is_none()).count()
        };
        assert_eq!(sent(&mut paces, "hold", 0), 10);
        assert_eq!(sent(&mut paces, "let go", 0), 10);
        assert_eq!(paces.write("hold", at(0), 1), Some(at(6)));
        assert_eq!(sent(&mut paces, "hold", 6), 1);
        assert_eq!(sent(&mut paces, "let go", 6), 1);
        // A third one takes the place of the one that was made longer ago.
        assert_eq!(sent(&mut paces, "another", 6), 10);
        assert_eq!(sent(&mut paces, "let go", 7), 0);
    }

    #[test]
    fn a_clock_that_is_set_back_begins_anew() {
        let mut pace = Pace::default();
        assert_eq!(written(&mut pace, 1_000..1_001).len(), 10);
        assert_eq!(written(&mut pace, 400..401).len(), 10);
    }
}
