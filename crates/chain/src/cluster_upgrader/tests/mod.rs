//! Decisions in a small world; the requests themselves on a scripted transport.

mod any_object;
mod concurrency;
mod convergence;
mod gates;
mod histories;
mod hops;
mod never_wedged;
mod owners;
mod patches;
mod path;
mod preflights;
mod refusals;
mod reports;
mod talks;
mod watches;
mod world;

use runtime::store::Availability;
use serde_json::{Value, json};
use testkit::{at, shown};

use api::capi::cluster::ClusterRow;
use api::capi::cluster_class::ClusterClassRow;
use domain::object::ObjectKey;

use self::world::{World, operate};
use super::*;
