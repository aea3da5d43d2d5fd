//! What people do to images by hand, in some worlds: those that are there from the start are built again and again, and one
//! that is being built is given an id.
//!
//! Drawn by dice of their own: the worlds in which nobody does this are what they were before there was any of it.

use std::time::Duration;

use domain::object::ObjectKey;
use serde_json::{Value, json};

use super::worlds::{GROUP, MINORS, Moment, NAMESPACE, object};
use crate::faults::dice::Dice;
use crate::scenario::Happening;

/// Chosen so that no seed that has shown a bug before is among those that this befalls.
const PURPOSE: u64 = 0x004A_11E3;

/// The image without an id.
const UNBUILT: &str = "by-hand";

/// What happens to images, beside everything else.
pub(super) struct Hands {
    /// An image without an id.
    pub(super) image: Value,
    pub(super) what: &'static str,
    pub(super) moments: Vec<Moment>,
}

/// What happens in the world of a seed, which lasts so many minutes, to the images of these names.
pub(super) fn of(seed: u64, minutes: u64, build: Duration, images: &[String]) -> Option<Hands> {
    let mut dice = Dice::new(seed, PURPOSE);
    if !dice.happens(150) {
        return None;
    }
    let mut moments = Vec::new();
    let mut given = |name: &str, at: u64| {
        let key = ObjectKey::new(NAMESPACE, name);
        let id = format!("{name}-given-{at}").into();
        moments.push((at, "user", Happening::RebuildImage { key, id }));
    };
    for name in images {
        let mut at = dice.within(0, 8);
        while at < minutes {
            given(name, at);
            at += dice.within(2, 8);
        }
    }
    // The build begins with the run; a moment before it ends the id is written by hand.
    given(UNBUILT, (build.as_secs() / 60).saturating_sub(dice.within(0, 3)));
    let version = format!("v1.{}.{}", dice.within(MINORS.0, MINORS.1 + 1), dice.within(4, 6));
    let pod = json!({"containers": [{"name": "build", "image": "builder"}]});
    let spec = json!({"version": version, "jobTemplate": {"spec": pod}, "build": {"retries": 20}});
    let image = object(GROUP, "MachineImage", UNBUILT, spec);
    Some(Hands { image, what: "images are built again every few minutes, and one is given an id", moments })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn befalls(seed: u64) -> bool {
        of(seed, 60, Duration::from_secs(60), &["a".to_owned()]).is_some()
    }

    #[test]
    fn it_befalls_some_worlds_and_none_that_has_shown_a_bug() {
        let some = (1..=1_000).filter(|seed| befalls(*seed)).count();
        assert!((100..200).contains(&some), "{some}");
        for seed in [12, 20, 113, 326, 356] {
            assert!(!befalls(seed), "seed {seed}");
        }
    }
}
