//! A generator of its own for worlds and faults: the same seed draws the same on every machine and in every release.

/// Draws from a seed (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// The dice of a seed for one purpose: another purpose draws otherwise.
    pub(crate) fn new(seed: u64, purpose: u64) -> Self {
        let mut dice = Self(seed ^ purpose.wrapping_mul(0xD6E8_FEB8_6659_FD93));
        // Seeds that lie side by side are far apart after a draw.
        Self(dice.draw())
    }

    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From `low` up to and without `high`; `low` where there is nothing between them.
    pub(crate) fn within(&mut self, low: u64, high: u64) -> u64 {
        low + self.draw() % high.saturating_sub(low).max(1)
    }

    /// The same for places and counts.
    pub(crate) fn count(&mut self, low: usize, high: usize) -> usize {
        let drawn = self.within(low as u64, high as u64);
        usize::try_from(drawn).unwrap_or(low)
    }

    /// Whether it happens, so many times in a thousand.
    pub(crate) fn happens(&mut self, per_thousand: u64) -> bool {
        self.within(0, 1_000) < per_thousand
    }

    /// One of them; the first where there is but one.
    pub(crate) fn one_of<T: Copy>(&mut self, first: T, others: &[T]) -> T {
        let place = self.count(0, others.len() + 1);
        place.checked_sub(1).and_then(|place| others.get(place).copied()).unwrap_or(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_draws_the_same_for_ever() {
        let mut dice = Dice::new(1, 2);
        let drawn: Vec<u64> = (0..5).map(|_| dice.within(10, 1_000)).collect();
        let mut again = Dice::new(1, 2);
        assert_eq!(drawn, (0..5).map(|_| again.within(10, 1_000)).collect::<Vec<_>>());
        let mut other = Dice::new(2, 2);
        assert_ne!(drawn, (0..5).map(|_| other.within(10, 1_000)).collect::<Vec<_>>());
    }

    #[test]
    fn everything_is_drawn_at_some_time() {
        let mut dice = Dice::new(7, 0);
        let mut seen = [0_u32; 3];
        for _ in 0..300 {
            seen[dice.one_of(0, &[1, 2])] += 1;
        }
        assert!(seen.iter().all(|count| *count > 60), "{seen:?}");
        assert_eq!(dice.within(5, 5), 5);
        assert!((0..100).all(|_| !dice.happens(0)));
        assert!((0..100).all(|_| dice.happens(1_000)));
    }
}
