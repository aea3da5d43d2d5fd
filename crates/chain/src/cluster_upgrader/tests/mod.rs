//! Decisions in a small world; the requests themselves on a scripted transport.

mod convergence;
mod gates;
mod hops;
mod never_wedged;
mod patches;
mod refusals;
mod reports;
mod talks;
mod watches;
mod world;

use runtime::store::Availability;
use serde_json::{Value, json};
use testkit::{at, shown};

use self::world::{World, operate};
use super::*;
