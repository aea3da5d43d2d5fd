//! Another build after one that has failed: whether one follows, and when.

use std::time::Duration;

use api::batch::job::JobRow;
use api::upgrader::machine_image::MachineImageRow;
use jiff::Timestamp;
use runtime::clock::after;

/// The pause after the first build that failed; each further one is twice as long.
const SHORTEST: Duration = Duration::from_secs(60);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(30 * 60);

/// The how manyth build a Job is. One of the original, or of an older release, has no number and counts as the first.
pub(super) fn attempt(job: &JobRow) -> u32 {
    job.attempt.unwrap_or(1)
}

/// How many builds there are at most.
pub(super) fn most(image: &MachineImageRow) -> u32 {
    image.build.retries.unwrap_or(0).saturating_add(1)
}

/// The number of the build that follows a Job that has failed, where one does.
pub(super) fn following(image: &MachineImageRow, job: &JobRow) -> Option<u32> {
    let attempt = attempt(job);
    (attempt < most(image)).then(|| attempt.saturating_add(1))
}

/// When the build after a failed one is due; nothing where it is now.
pub(super) fn due(job: &JobRow, now: Timestamp) -> Option<Timestamp> {
    let failed = job.failed.as_ref()?.at?;
    let pause = pause(attempt(job));
    // A server whose clock is far ahead of ours delays nothing by as much.
    let due = after(failed, pause);
    (due > now && due <= after(now, pause.saturating_mul(2))).then_some(due)
}

/// 1, 2, 4 … minutes, up to 30.
fn pause(attempt: u32) -> Duration {
    let doubled = 1_u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
    SHORTEST.saturating_mul(doubled.max(1)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_half_an_hour() {
        let minutes = |attempt| pause(attempt).as_secs() / 60;
        assert_eq!([1, 2, 3, 4, 5, 6, 7].map(minutes), [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!([0, 31, 32, 33, 34, u32::MAX].map(minutes), [1, 30, 30, 30, 30, 30]);
    }
}
