//! A plan makes no request but the write of its status, which the engine makes.

use std::fmt;

/// The closed set of a plan's requests: none.
#[derive(Clone, Debug)]
pub enum Step {}

impl fmt::Display for Step {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

impl runtime::room::Step for Step {
    fn writes(&self) -> bool {
        match *self {}
    }
}
