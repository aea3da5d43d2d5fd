//! What can go wrong between a process and the API server, by seed.
//!
//! Every request of a run has a number, in the order in which the server would see it, and a fault belongs to a number. So
//! a run is given by its seed, and the same run with some of its faults left out by the seed and the numbers that stay.

pub(crate) mod dice;
pub(crate) mod line;
pub(crate) mod repository;
pub(crate) mod watch;

use std::collections::{BTreeMap, BTreeSet};

use dice::Dice;

/// What kind of thing goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The server answers with an error, and has done nothing.
    Error,
    /// The connection ends before the server has the request.
    Reset,
    /// Nobody ever answers, and nothing is done.
    Silence,
    /// It is done, and the answer is lost or says otherwise.
    AnswerLost,
    /// The server says that somebody wrote in between.
    Conflict,
    /// The server asks to come back later.
    TooMany,
    /// The request, or its answer, takes long.
    Slow,
    /// The process is killed before the server has the request.
    KilledBefore,
    /// The process is killed when the server has done it.
    KilledAfter,
    /// A watch ends.
    WatchEnds,
    /// A watch cannot go on from where it was.
    WatchExpires,
    /// A watch tells everything twice.
    WatchRepeats,
    /// A watch tells everything late.
    WatchLate,
    /// A watch is silent where nothing changes.
    NoBookmarks,
    /// Somebody sets the clock of the process.
    ClockSet,
    /// For a time no request of the process gets through.
    CutOff,
    /// Another process begins while this one goes on for a time, both without a lease.
    Beside,
    /// The package repository does not answer well.
    Repository,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::Error,
        Self::Reset,
        Self::Silence,
        Self::AnswerLost,
        Self::Conflict,
        Self::TooMany,
        Self::Slow,
        Self::KilledBefore,
        Self::KilledAfter,
        Self::WatchEnds,
        Self::WatchExpires,
        Self::WatchRepeats,
        Self::WatchLate,
        Self::NoBookmarks,
        Self::ClockSet,
        Self::CutOff,
        Self::Beside,
        Self::Repository,
    ];

    /// As people read it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error before the effect",
            Self::Reset => "connection reset",
            Self::Silence => "no answer",
            Self::AnswerLost => "answer lost after the effect",
            Self::Conflict => "conflict",
            Self::TooMany => "429 with Retry-After",
            Self::Slow => "slow",
            Self::KilledBefore => "killed before the effect",
            Self::KilledAfter => "killed after the effect",
            Self::WatchEnds => "watch ends",
            Self::WatchExpires => "watch expires",
            Self::WatchRepeats => "watch repeats",
            Self::WatchLate => "watch late",
            Self::NoBookmarks => "no bookmarks",
            Self::ClockSet => "clock set",
            Self::CutOff => "cut off",
            Self::Beside => "two processes",
            Self::Repository => "repository fails",
        }
    }

    /// Whether it can befall such a request.
    fn fits(self, class: Class) -> bool {
        match self {
            Self::Error | Self::Reset | Self::TooMany | Self::Slow => class != Class::Fetch,
            Self::Silence => !matches!(class, Class::Fetch | Class::Watch),
            Self::AnswerLost => matches!(class, Class::Change | Class::Create | Class::Lease | Class::Read),
            Self::Conflict => class == Class::Change || class == Class::Lease,
            Self::KilledBefore | Self::KilledAfter | Self::ClockSet | Self::CutOff | Self::Beside => true,
            Self::WatchEnds
            | Self::WatchExpires
            | Self::WatchRepeats
            | Self::WatchLate
            | Self::NoBookmarks => class == Class::Watch,
            Self::Repository => class == Class::Fetch,
        }
    }

    /// How often it befalls a request that it can befall, in a thousand, where a run has it at all.
    fn rates(self) -> [u64; 3] {
        match self {
            Self::KilledBefore | Self::KilledAfter | Self::Beside => [3, 10, 25],
            Self::ClockSet | Self::CutOff => [2, 5, 15],
            Self::WatchEnds
            | Self::WatchExpires
            | Self::WatchRepeats
            | Self::WatchLate
            | Self::NoBookmarks => [60, 250, 700],
            Self::Repository => [50, 200, 500],
            _ => [5, 30, 120],
        }
    }
}

/// What kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Read,
    Watch,
    Create,
    /// A patch or a delete.
    Change,
    /// Any request for the lease.
    Lease,
    /// Of a package index.
    Fetch,
}

/// What goes wrong with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    /// Whatever the kind counts in: a code, seconds, milliseconds.
    pub(crate) amount: u64,
    pub(crate) other: u64,
}

/// Which requests go wrong.
#[derive(Clone, Debug)]
pub(crate) enum Plan {
    /// Drawn from a seed, each kind at its rate in a thousand; of those drawn, only the numbers given.
    Drawn { seed: u64, rates: BTreeMap<Kind, u64>, only: Option<BTreeSet<u64>> },
    /// These requests, and these faults.
    These(BTreeMap<u64, Fault>),
}

impl Plan {
    /// The plan of a seed: some kinds, each more or less often; one run in ten has none at all.
    pub(crate) fn of(seed: u64, elected: bool, only: Option<BTreeSet<u64>>) -> Self {
        let mut dice = Dice::new(seed, 0xFA_0175);
        let mut rates = BTreeMap::new();
        let share = dice.one_of(0, &[150, 150, 150, 300, 300, 300, 600, 600, 1_000]);
        for kind in Kind::ALL {
            let (chosen, rate) = (dice.happens(share), dice.count(0, 3));
            // With a lease two processes are there anyway, and only one may write.
            if chosen && !(elected && kind == Kind::Beside) {
                rates.insert(kind, kind.rates()[rate]);
            }
        }
        Self::Drawn { seed, rates, only }
    }

    /// Whether nothing ever goes wrong.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Drawn { rates, only, .. } => {
                rates.is_empty() || only.as_ref().is_some_and(BTreeSet::is_empty)
            }
            Self::These(these) => these.is_empty(),
        }
    }

    /// Whether two processes may act at once.
    pub(crate) fn has(&self, kind: Kind) -> bool {
        match self {
            Self::Drawn { rates, .. } => rates.contains_key(&kind),
            Self::These(these) => these.values().any(|fault| fault.kind == kind),
        }
    }

    /// What goes wrong with a request.
    pub(crate) fn at(&self, number: u64, class: Class) -> Option<Fault> {
        match self {
            Self::These(these) => these.get(&number).copied().filter(|fault| fault.kind.fits(class)),
            Self::Drawn { seed, rates, only } => {
                if only.as_ref().is_some_and(|only| !only.contains(&number)) {
                    return None;
                }
                let mut dice = Dice::new(*seed, number.wrapping_add(0x1000_0000));
                let fits = rates.iter().filter(|(kind, _)| kind.fits(class));
                let found = fits.fold(None, |found, (kind, rate)| {
                    let happens = dice.happens(*rate);
                    found.or(happens.then_some(*kind))
                });
                found.map(|kind| Fault::drawn(kind, &mut dice))
            }
        }
    }
}

impl Fault {
    fn drawn(kind: Kind, dice: &mut Dice) -> Self {
        let (amount, other) = match kind {
            Kind::Error => (dice.one_of(500, &[502, 503, 504]), 0),
            Kind::AnswerLost => (dice.one_of(0, &[500, 504]), 0),
            Kind::TooMany => (dice.within(1, 45), 0),
            // Milliseconds there and back. What is on its way for longer than a lease allows for is not simulated.
            Kind::Slow => (dice.within(1, 10_000), dice.within(0, 20_000)),
            // Seconds until the next one begins.
            Kind::KilledBefore | Kind::KilledAfter => (dice.one_of(0, &[1, 5, 60, 600]), 0),
            Kind::WatchEnds | Kind::WatchExpires => (dice.one_of(0, &[1, 20, 200, 900]), 0),
            Kind::WatchLate => (dice.one_of(2, &[10, 60, 180, 420]), 0),
            // Seconds, by which the clock is set forward, or back.
            Kind::ClockSet => (dice.one_of(1, &[20, 90, 600]), dice.within(0, 2)),
            Kind::CutOff => (dice.one_of(5, &[28, 45, 120, 400]), 0),
            Kind::Beside => (dice.one_of(1, &[10, 60, 300]), 0),
            Kind::Repository => (dice.within(0, 3), 0),
            Kind::Reset | Kind::Silence | Kind::Conflict | Kind::WatchRepeats | Kind::NoBookmarks => (0, 0),
        };
        Self { kind, amount, other }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_faults_of_a_seed_are_those_of_its_numbers() {
        let all = Plan::of(11, false, None);
        let drawn: BTreeSet<u64> = (0..5_000).filter(|n| all.at(*n, Class::Change).is_some()).collect();
        assert!(!drawn.is_empty());
        let some: BTreeSet<u64> = drawn.iter().copied().take(2).collect();
        let few = Plan::of(11, false, Some(some.clone()));
        for number in 0..5_000 {
            let expected = all.at(number, Class::Change).filter(|_| some.contains(&number));
            assert_eq!(few.at(number, Class::Change), expected);
        }
    }

    #[test]
    fn every_kind_is_drawn_by_some_seed_and_fits_some_request() {
        let classes = [Class::Read, Class::Watch, Class::Create, Class::Change, Class::Lease, Class::Fetch];
        let mut seen = BTreeSet::new();
        for seed in 0..200 {
            let plan = Plan::of(seed, false, None);
            for (number, class) in (0..600).flat_map(|number| classes.map(|class| (number, class))) {
                seen.extend(plan.at(number, class).map(|fault| fault.kind));
            }
        }
        assert_eq!(seen, BTreeSet::from(Kind::ALL));
    }

    #[test]
    fn with_a_lease_nobody_acts_beside() {
        assert!((0..500).all(|seed| !Plan::of(seed, true, None).has(Kind::Beside)));
        assert!((0..500).any(|seed| Plan::of(seed, false, None).has(Kind::Beside)));
        assert!((0..500).any(|seed| Plan::of(seed, false, None).is_empty()));
    }
}
