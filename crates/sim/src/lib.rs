//! A simulated cluster: API server, Cluster API, Jobs and a package repository, on a simulated clock.
//!
//! [`run`] starts the real manager (its engine, its rooms, its client stack) on a transport that is not a network but a
//! [`Scenario`]: objects as they are at the beginning, releases, and what people and machines do meanwhile. Thirty days take
//! seconds, and one seed gives one [`Timeline`].
//!
//! *Architecture invariant:* nothing here decides what a controller decides. A timeline tells what was written.
//!
//! *Architecture invariant:* what is not simulated is not answered: the run ends with [`Error::Unsupported`].

mod apiserver;
mod error;
mod faults;
mod invariants;
pub mod prove;
mod run;
pub mod scenario;
pub mod timeline;
mod world;

pub use apiserver::alone::ApiServer;
pub use error::Error;
pub use run::run;
pub use scenario::{Happening, ReadError, Refusing, Scenario, Source, Target};
pub use timeline::{Entry, Outcome, Timeline};
pub use world::clusters::Roll;
