//! Whose a cordon is.
//!
//! A cordon is `spec.unschedulable` of a Node; its owner is written beside it, in an annotation that the dialect names, in
//! the same write. So a cordon without that annotation is a person's or another program's, and is never undone here; and one
//! that a person makes after ours was undone carries no annotation, and is left alone.
//!
//! Known limit: a person who cordons a node that is cordoned by us changes nothing on the object, so ours is undone.

use std::fmt;

/// The operation that owns a cordon. Its `Display` is the value of the annotation: `<namespace>/<name>@<uid>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// Namespace of the operation's object; empty for a cluster-scoped one.
    pub namespace: Box<str>,
    /// Its name.
    pub name: Box<str>,
    /// Its uid: an object that is created anew under the same name is another owner.
    pub uid: Box<str>,
}

impl Owner {
    /// Reads the value of the annotation; nothing if it is not of that form.
    pub fn parse(value: &str) -> Option<Self> {
        let (object, uid) = value.split_once('@')?;
        let (namespace, name) = object.split_once('/')?;
        if name.is_empty() || uid.is_empty() || name.contains('/') || uid.contains('@') {
            return None;
        }
        Some(Self { namespace: namespace.into(), name: name.into(), uid: uid.into() })
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}@{}", self.namespace, self.name, self.uid)
    }
}

/// What a Node shows of its cordon.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cordon {
    /// `spec.unschedulable`.
    pub unschedulable: bool,
    /// The annotation, as it stands.
    pub claim: Option<Box<str>>,
    /// The object that the annotation names is known to be gone: nobody else will take the claim back.
    pub claim_is_dead: bool,
}

impl Cordon {
    /// Whether the annotation names this owner.
    pub fn is_claimed_by(&self, owner: &Owner) -> bool {
        self.claim.as_deref().is_some_and(|claim| claim == owner.to_string())
    }

    /// Whether the node is unschedulable, and not by this owner.
    pub fn is_foreign(&self, owner: &Owner) -> bool {
        self.unschedulable && !self.is_claimed_by(owner)
    }
}

/// What to do for a node to be cordoned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is cordoned, by us.
    Ours,
    /// It is cordoned by others: nothing to do, now and when it is to be undone.
    Foreign,
    /// Set `spec.unschedulable` and the annotation in one conditional write.
    Take,
    /// It is schedulable, and the annotation is that of another owner who is alive: that one must be let finish, since the
    /// annotation can hold one owner.
    Contested,
}

/// What cordoning a node takes. A node with our annotation that somebody made schedulable is cordoned again: it is about to
/// be disturbed.
pub fn claim(seen: &Cordon, owner: &Owner) -> Claim {
    match (seen.unschedulable, &seen.claim) {
        (true, _) if seen.is_claimed_by(owner) => Claim::Ours,
        (true, _) => Claim::Foreign,
        (false, Some(_)) if !seen.is_claimed_by(owner) && !seen.claim_is_dead => Claim::Contested,
        (false, _) => Claim::Take,
    }
}

/// What to do for nothing of ours to be left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undo {
    /// Nothing of it is ours.
    Nothing,
    /// Clear `spec.unschedulable` and the annotation in one write that expects both as they were seen.
    Uncordon,
    /// Somebody made the node schedulable already: clear the annotation alone, so that a later cordon is not taken for ours.
    Forget,
}

/// What undoing our cordon takes.
pub fn undo(seen: &Cordon, owner: &Owner) -> Undo {
    match (seen.is_claimed_by(owner), seen.unschedulable) {
        (false, _) => Undo::Nothing,
        (true, true) => Undo::Uncordon,
        (true, false) => Undo::Forget,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(uid: &str) -> Owner {
        Owner { namespace: "ns".into(), name: "op".into(), uid: uid.into() }
    }

    #[test]
    fn the_annotation_is_read_as_it_is_written() {
        let ours = owner("1-2");
        assert_eq!(ours.to_string(), "ns/op@1-2");
        assert_eq!(Owner::parse("ns/op@1-2"), Some(ours));
        for bad in ["", "op", "ns/op", "ns/op@", "ns/@uid", "op@uid", "a/b/c@uid", "ns/op@u@v"] {
            assert_eq!(Owner::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn every_cordon_is_claimed_and_undone_as_its_owner_says() {
        let table: [(bool, Option<&str>, bool, Claim, Undo); 8] = [
            (false, None, false, Claim::Take, Undo::Nothing),
            (true, None, false, Claim::Foreign, Undo::Nothing),
            (true, Some("ns/op@mine"), false, Claim::Ours, Undo::Uncordon),
            (false, Some("ns/op@mine"), false, Claim::Take, Undo::Forget),
            (true, Some("ns/op@earlier"), false, Claim::Foreign, Undo::Nothing),
            (true, Some("ns/op@earlier"), true, Claim::Foreign, Undo::Nothing),
            (false, Some("ns/other@x"), false, Claim::Contested, Undo::Nothing),
            (false, Some("ns/op@earlier"), true, Claim::Take, Undo::Nothing),
        ];
        for (unschedulable, by, claim_is_dead, claimed, undone) in table {
            let seen = Cordon { unschedulable, claim: by.map(Into::into), claim_is_dead };
            assert_eq!(
                (claim(&seen, &owner("mine")), undo(&seen, &owner("mine"))),
                (claimed, undone),
                "{seen:?}"
            );
        }
    }

    #[test]
    fn a_foreign_cordon_is_one_that_is_not_ours() {
        let seen = |claim: Option<&str>| Cordon {
            unschedulable: true,
            claim: claim.map(Into::into),
            claim_is_dead: false,
        };
        assert!(seen(None).is_foreign(&owner("mine")) && seen(Some("ns/op@old")).is_foreign(&owner("mine")));
        assert!(
            !seen(Some("ns/op@mine")).is_foreign(&owner("mine"))
                && !Cordon::default().is_foreign(&owner("mine"))
        );
    }
}
