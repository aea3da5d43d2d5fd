//! The controllers of nodes in worlds and under faults of a fixed set of seeds. `make prove FAMILY=nodes` looks at many more.

use std::collections::BTreeSet;

use sim::prove::{Family, Kind, Only, faultless, killed_at, run, search};

const NODES: Family = Family::Nodes;

/// Seeds that are lived through each time.
const SEEDS: u64 = 40;

#[test]
fn every_invariant_holds_at_a_fixed_set_of_seeds() {
    let figures = search(NODES, 1, SEEDS, 2, true, &|_| {});
    assert!(figures.failed.is_empty(), "{:#?}", figures.failed);
    let happened: BTreeSet<Kind> = figures.faults.keys().copied().collect();
    let mut all = BTreeSet::from(Kind::ALL);
    // Nothing is fetched.
    all.remove(&Kind::Repository);
    assert_eq!(happened, all, "every kind of fault is among them");
}

#[test]
fn a_seed_is_one_run() {
    for seed in [SMALL, ELECTED] {
        let first = run(NODES, seed, &Only::default());
        assert!(first.requests > 50);
        for _ in 1..4 {
            assert_eq!(run(NODES, seed, &Only::default()), first);
        }
    }
}

/// A seed in whose world two processes compete for the lease.
const ELECTED: u64 = 5;

#[test]
fn it_may_be_killed_before_and_after_every_write() {
    let whole = faultless(NODES, SMALL);
    assert_eq!(whole.violation, None);
    assert!(whole.writes.len() > 20, "{:?}", whole.writes);
    for request in whole.writes {
        for done in [false, true] {
            let run = killed_at(NODES, SMALL, request, done);
            assert_eq!(run.violation, None, "killed at request {request}, done: {done}");
            assert_eq!(run.processes, 2);
        }
    }
}

/// A seed of a world that is lived through quickly, with a drain and a reboot in it.
const SMALL: u64 = 7;

/// Seeds that have shown a bug, each with what the bug was.
const FOUND: &[(u64, &str)] = &[
    (33, "two NodeOps had two control-plane nodes at once, each one alone"),
    (198, "a NodeOp that had failed kept its claim to a cordon that a person had undone"),
    (550, "a Job that a late watch did not show yet counted as deleted, and its node was given up"),
    (
        735,
        "a NodeOp that was deleted in the middle of its reboot was gone, and another one acted on its node",
    ),
    (1861, "a node that was told to reboot right before its deadline gave its place to another one"),
    (2313, "a NodeOp slept on when the control-plane node that it waited for was Ready again"),
    (2834, "a place was given by a write without an answer, and another one beside it"),
    (12190, "a Job was made again and again for a NodeOp that was gone, which a late watch did not show"),
];

#[test]
fn what_was_found_once_stays_found() {
    for (seed, what) in FOUND {
        assert_eq!(run(NODES, *seed, &Only::default()).violation, None, "seed {seed}: {what}");
    }
}
