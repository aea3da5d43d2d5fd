//! Which controllers run.

use std::collections::BTreeSet;

/// The controllers of the chain, by the names that `--controllers` knows.
pub const CONTROLLERS: [&str; 5] =
    ["debianrepositorysource", "machineimagesyncer", "machineimage", "plan", "clusterclassclusterupgrader"];

/// The controllers that were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection(BTreeSet<&'static str>);

/// A list that says nothing that can be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    /// No such controller.
    #[error("there is no controller {0:?}; there are {known}", known = CONTROLLERS.join(", "))]
    Unknown(String),
    /// Nothing would run.
    #[error("--controllers leaves none; -name leaves one out of what * stands for")]
    Nothing,
}

impl Selection {
    /// `*` is all of them, `name` one, `-name` all but one of what is otherwise chosen, wherever in the list it stands.
    pub fn parse(list: &str) -> Result<Self, SelectionError> {
        let mut wanted = BTreeSet::new();
        let mut unwanted = BTreeSet::new();
        for word in list.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            match (word, word.strip_prefix('-')) {
                ("*", _) => wanted.extend(CONTROLLERS),
                (_, Some(name)) => {
                    unwanted.insert(known(name)?);
                }
                (name, None) => {
                    wanted.insert(known(name)?);
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

fn known(name: &str) -> Result<&'static str, SelectionError> {
    CONTROLLERS
        .into_iter()
        .find(|known| known.eq_ignore_ascii_case(name))
        .ok_or_else(|| SelectionError::Unknown(name.to_owned()))
}
