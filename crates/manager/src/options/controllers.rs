//! Which controllers run.

use std::collections::BTreeSet;

use crate::family::Family;

/// The controllers that were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection(BTreeSet<&'static str>);

/// A list that says nothing that can be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    /// No such controller.
    #[error("there is no controller {name:?}; there are {known}", known = family.controllers().join(", "))]
    Unknown {
        /// What was asked for.
        name: String,
        /// Who does not have it.
        family: Family,
    },
    /// Nothing would run.
    #[error("--controllers leaves none; -name leaves one out of what * stands for")]
    Nothing,
}

impl Selection {
    /// `*` is all of them, `name` one, `-name` all but one of what is otherwise chosen, wherever in the list it stands.
    pub fn parse(family: Family, list: &str) -> Result<Self, SelectionError> {
        let mut wanted = BTreeSet::new();
        let mut unwanted = BTreeSet::new();
        for word in list.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            match (word, word.strip_prefix('-')) {
                ("*", _) => wanted.extend(family.controllers()),
                (_, Some(name)) => {
                    unwanted.insert(known(family, name)?);
                }
                (name, None) => {
                    wanted.insert(known(family, name)?);
                }
            }
        }
        let chosen: BTreeSet<_> = wanted.difference(&unwanted).copied().collect();
        if chosen.is_empty() { Err(SelectionError::Nothing) } else { Ok(Self(chosen)) }
    }

    /// Whether a controller runs.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }
}

fn known(family: Family, name: &str) -> Result<&'static str, SelectionError> {
    let known = family.controllers().iter().find(|known| known.eq_ignore_ascii_case(name));
    known.copied().ok_or_else(|| SelectionError::Unknown { name: name.to_owned(), family })
}
