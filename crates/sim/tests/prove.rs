//! The controllers in worlds and under faults of a fixed set of seeds. `make prove` looks at many more.

use std::collections::BTreeSet;

use sim::prove::{Family, Kind, Only, faultless, killed_at, run, search};

const CHAIN: Family = Family::Chain;

/// Seeds that are lived through each time.
const SEEDS: u64 = 48;

#[test]
fn every_invariant_holds_at_a_fixed_set_of_seeds() {
    let figures = search(CHAIN, 1, SEEDS, 2, true, &|_| {});
    assert!(figures.failed.is_empty(), "{:#?}", figures.failed);
    let happened: BTreeSet<Kind> = figures.faults.keys().copied().collect();
    assert_eq!(happened, BTreeSet::from(Kind::ALL), "every kind of fault is among them");
}

#[test]
fn a_seed_is_one_run() {
    // The second competes for a lease.
    for seed in [20, ELECTED] {
        let first = run(CHAIN, seed, &Only::default());
        assert!(first.requests > 100 && !first.numbers.is_empty());
        for _ in 1..20 {
            assert_eq!(run(CHAIN, seed, &Only::default()), first);
        }
    }
}

/// A seed in whose world two managers compete for the lease.
const ELECTED: u64 = 4;

#[test]
fn it_may_be_killed_before_and_after_every_write() {
    let seed = SMALL;
    let whole = faultless(CHAIN, seed);
    assert_eq!(whole.violation, None);
    assert!(whole.writes.len() > 20, "{:?}", whole.writes);
    for request in whole.writes {
        for done in [false, true] {
            let run = killed_at(CHAIN, seed, request, done);
            assert_eq!(run.violation, None, "killed at request {request}, done: {done}");
            assert_eq!(run.processes, 2);
        }
    }
}

/// A seed of a world that is lived through quickly, with a build and an upgrade in it.
const SMALL: u64 = 41;

/// Seeds that have shown a bug, each with what the bug was.
const FOUND: &[(u64, &str)] = &[
    (12, "a status that met a conflict was not written again: an upgrade was done, and Settling for ever"),
    (20, "a Cluster lost its place among those that roll when its upgrader's status told of a trouble"),
    (113, "the same, where it could not be noted what had been set"),
    (326, "the same, where the answer to the write was lost, and the next one was answered with a conflict"),
    (356, "the same, where the status of the hop before had counted it"),
    (467, "two managers without a lease wrote over each other's status at the pace of the network"),
    (924, "a leader whose clock was set slept on when its lease was good again"),
    (3603, "a minor of which nobody could tell whether it is there was looked for after an interval alone"),
    (1750, "what somebody changed right before a status was written was not looked at"),
    (12773, "the template that a Job is made of was waited for as that of a newer image, for ever"),
    (12336, "what the last holder of the lease had set was taken for put back by someone else"),
    (26109, "a Cluster that a killed process had set lost its place, as requests about it had no answer"),
    (16488, "a clock that was set forward ended the place that a write held"),
    (20205, "what a status without an answer had set was left there by the next one"),
];

#[test]
fn what_was_found_once_stays_found() {
    for (seed, what) in FOUND {
        assert_eq!(run(CHAIN, *seed, &Only::default()).violation, None, "seed {seed}: {what}");
    }
}
