//! When a write that admission refused is sent again.
//!
//! Whether it would be refused again is not known before: it is sent when what it rests on changes, and else ever more
//! rarely. A Cluster whose status changes all the time would otherwise be written to all the time, so a minute lies
//! between two attempts whatever changes.

use std::time::Duration;

use domain::object::ResourceVersion;
use jiff::Timestamp;
use runtime::clock::{after, spread};

/// The waits after the first, second, … refusal of the same write; the last one repeats.
const WAITS: [Duration; 4] = [minutes(1), minutes(2), minutes(5), minutes(15)];
/// Part by which a wait is lengthened at most, so that many Clusters that were refused together are not tried together.
const JITTER_PERCENT: u32 = 10;

const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

/// What a write rests on: with another one of these it may not be refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Of the Cluster.
    pub resource_version: ResourceVersion,
    /// Of the ClusterClass.
    pub class_generation: i64,
    /// The version to be set, normalised.
    pub version: Box<str>,
    /// The image to be set, where a variable takes one.
    pub image: Option<Box<str>>,
}

/// A refused write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What it rested on.
    pub attempt: Attempt,
    /// The server's words.
    pub words: Box<str>,
    /// When.
    pub at: Timestamp,
    /// How often in a row this same write was refused; 1 for the first time.
    pub times: u32,
}

impl Refused {
    /// Counts on where the same write was refused before, else from one.
    pub(super) fn again(before: Option<Self>, attempt: Attempt, words: &str, at: Timestamp) -> Self {
        let times = before.filter(|before| before.attempt == attempt).map_or(0, |before| before.times);
        Self { attempt, words: words.into(), at, times: times.saturating_add(1) }
    }

    /// When a write may be sent. `subject` tells Clusters apart for the jitter.
    pub(super) fn due(&self, attempt: &Attempt, subject: &str) -> Timestamp {
        let place = if self.attempt == *attempt { self.times.saturating_sub(1) } else { 0 };
        let wait = usize::try_from(place).ok().and_then(|place| WAITS.get(place)).unwrap_or(&WAITS[3]);
        after(self.at, spread(*wait, JITTER_PERCENT, &format!("{subject}/{}", self.times)))
    }
}
