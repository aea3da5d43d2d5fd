//! Makes a run that fails shorter: whatever can be left out while the same invariant is violated is left out.

use std::collections::BTreeSet;

use super::{Failure, Family, Only, run, trace};

/// Runs that are tried at most.
const TRIES: usize = 400;

/// Leaves out troubles and faults: halves first, then one by one.
pub(super) fn shortened(family: Family, seed: u64) -> Failure {
    let first = run(family, seed, &Only::default());
    let invariant = first.violation.as_ref().map(|violation| violation.invariant);
    let faults: Vec<u64> = first.numbers.iter().map(|(number, _)| *number).collect();
    let troubles: Vec<usize> = (0..64).collect();
    let mut tries = 0;
    let mut fails = |faults: &[u64], troubles: &[usize]| {
        tries += 1;
        let again = tries <= TRIES && {
            let run = run(family, seed, &only(faults, troubles));
            run.violation.map(|violation| violation.invariant) == invariant
        };
        again && invariant.is_some()
    };
    let mut kept = (faults, troubles);
    loop {
        let before = (kept.0.len(), kept.1.len());
        let troubles = kept.1.clone();
        kept.0 = less(kept.0, |fewer| fails(fewer, &troubles));
        let faults = kept.0.clone();
        kept.1 = less(kept.1, |fewer| fails(&faults, fewer));
        if (kept.0.len(), kept.1.len()) == before {
            break;
        }
    }
    let only = only(&kept.0, &kept.1);
    Failure { family, seed, run: trace(family, seed, &only), only }
}

fn only(faults: &[u64], troubles: &[usize]) -> Only {
    Only {
        faults: Some(faults.iter().copied().collect::<BTreeSet<_>>()),
        troubles: Some(troubles.iter().copied().collect::<BTreeSet<_>>()),
    }
}

/// The items without those that `fails` does not need, in chunks that become smaller.
fn less<T: Clone>(mut items: Vec<T>, mut fails: impl FnMut(&[T]) -> bool) -> Vec<T> {
    let mut size = items.len();
    while size > 0 {
        let mut from = 0;
        while from < items.len() {
            let to = (from + size).min(items.len());
            let fewer: Vec<T> = [&items[..from], &items[to..]].concat();
            if fails(&fewer) { items = fewer } else { from = to }
        }
        size /= 2;
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_needed_goes() {
        let needed = |items: &[u32]| items.contains(&3) && items.contains(&17);
        assert_eq!(less((0..40).collect(), needed), [3, 17]);
        assert_eq!(less((0..40).collect(), |_: &[u32]| true), Vec::<u32>::new());
        assert_eq!(less(vec![1, 2], |_: &[u32]| false), [1, 2]);
    }
}
