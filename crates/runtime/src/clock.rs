//! The only source of time and of jitter.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

/// Tells the time. Waiting is tokio's, so that a paused runtime moves both together.
#[derive(Clone, Debug)]
pub struct Clock {
    source: Source,
    seed: u64,
}

#[derive(Clone, Debug)]
enum Source {
    System,
    /// `set` is by how many milliseconds somebody has set it since.
    Simulated {
        epoch: Timestamp,
        origin: Instant,
        set: Arc<AtomicI64>,
    },
}

impl Clock {
    /// The machine's clock. `seed` varies the jitter between processes.
    pub fn system(seed: u64) -> Self {
        Self { source: Source::System, seed }
    }

    /// A clock that stands at `epoch` now and then follows tokio's time, which a test pauses.
    #[allow(clippy::disallowed_methods, reason = "this is the source that everything else asks")]
    pub fn simulated(epoch: Timestamp, seed: u64) -> Self {
        let set = Arc::default();
        Self { source: Source::Simulated { epoch, origin: Instant::now(), set }, seed }
    }

    /// Now.
    #[allow(clippy::disallowed_methods, reason = "this is the source that everything else asks")]
    pub fn now(&self) -> Timestamp {
        match &self.source {
            Source::System => Timestamp::now(),
            Source::Simulated { epoch, origin, set } => {
                let gone = SignedDuration::try_from(origin.elapsed()).unwrap_or(SignedDuration::MAX);
                let set = SignedDuration::from_millis(set.load(Ordering::Relaxed));
                epoch.checked_add(gone.saturating_add(set)).unwrap_or(Timestamp::MAX)
            }
        }
    }

    /// Sets a simulated clock, and every clone of it, forward or back, as somebody sets a machine's; what waits goes on
    /// waiting for as long as it did. A clock of the system is left alone.
    pub fn set(&self, by: SignedDuration) {
        if let Source::Simulated { set, .. } = &self.source {
            let by = i64::try_from(by.as_millis()).unwrap_or_default();
            set.fetch_add(by, Ordering::Relaxed);
        }
    }

    /// Waits.
    pub async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    /// Waits until a time; returns at once where it has passed.
    pub async fn sleep_until(&self, time: Timestamp) {
        let left = time.duration_since(self.now());
        if let Ok(left) = Duration::try_from(left) {
            // A timer may fire within its millisecond; looking again too early would find nothing due.
            tokio::time::sleep(left.saturating_add(Duration::from_millis(1))).await;
        }
    }

    /// `duration` lengthened by up to `percent` of it: always by the same for the same subject and attempt.
    pub fn jittered(&self, duration: Duration, percent: u32, subject: &str, attempt: u32) -> Duration {
        lengthened(duration, percent, self.seed, subject, attempt)
    }
}

/// The same for pure decisions, which have no clock: always by the same for the same subject, in every process.
pub fn spread(duration: Duration, percent: u32, subject: &str) -> Duration {
    lengthened(duration, percent, 0, subject, 0)
}

fn lengthened(duration: Duration, percent: u32, seed: u64, subject: &str, attempt: u32) -> Duration {
    let mut hash = Sha256::new();
    hash.update(seed.to_be_bytes());
    hash.update(attempt.to_be_bytes());
    hash.update(subject.as_bytes());
    let digest = hash.finalize();
    let share = u32::from(digest[0]) << 8 | u32::from(digest[1]);
    duration.saturating_add((duration.saturating_mul(percent) / 100).saturating_mul(share) / 0xFFFF)
}

/// `time` plus `duration`, at most the end of time.
pub fn after(time: Timestamp, duration: Duration) -> Timestamp {
    SignedDuration::try_from(duration)
        .ok()
        .and_then(|duration| time.checked_add(duration).ok())
        .unwrap_or(Timestamp::MAX)
}

/// Whether `now` is less than `duration` after `time`, and not before it: how old something of the future is nobody knows, since
/// the clock was set back.
pub fn within(time: Timestamp, duration: Duration, now: Timestamp) -> bool {
    time <= now && now < after(time, duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn simulated_time_follows_tokio() {
        let epoch: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        let clock = Clock::simulated(epoch, 1);
        clock.sleep(Duration::from_secs(90)).await;
        assert_eq!(clock.now(), after(epoch, Duration::from_secs(90)));
        clock.sleep_until(after(epoch, Duration::from_secs(100))).await;
        assert!(clock.now() >= after(epoch, Duration::from_secs(100)));
        clock.sleep_until(epoch).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_set_goes_on_from_there() {
        let epoch: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        let clock = Clock::simulated(epoch, 1);
        clock.clone().set(SignedDuration::from_secs(-60));
        clock.sleep(Duration::from_secs(90)).await;
        assert_eq!(clock.now(), after(epoch, Duration::from_secs(30)));
    }

    #[test]
    fn jitter_is_bounded_and_repeats() {
        let clock = Clock::system(7);
        let base = Duration::from_secs(100);
        for attempt in 0..50 {
            let once = clock.jittered(base, 10, "plan/ns/a", attempt);
            assert_eq!(once, clock.jittered(base, 10, "plan/ns/a", attempt));
            assert!(once >= base && once <= Duration::from_secs(110), "{once:?}");
        }
        assert_ne!(clock.jittered(base, 10, "a", 0), clock.jittered(base, 10, "b", 0));
    }
}
