//! What live tests share: our product installed on a real control plane, our binary, a package repository, a build.
//!
//! ```no_run
//! use e2e::{BuildActor, Expected, Installed, PackageRepository, Part, WITHIN};
//!
//! # async fn example() -> e2e::Result<()> {
//! let world = Installed::start_with_cluster_api().await?; // `Installed::start()` without Cluster API: seconds
//! let builds = BuildActor::start(world.plane(), Part::usual()).await?;
//! let repository = PackageRepository::start().await?;
//! repository.publish("v1.36/deb", "1.36.1-1.1");
//! let manager = world.start_manager().await?; // our binary, under its own ServiceAccount
//!
//! world.plane().apply_yaml("…").await?; // with repository.url("v1.36/deb")
//! let plan = (&api::upgrader::plan::KIND, "default", "plan-sample");
//! world.objects().await_condition(plan, ("UpToDate", "True", ""), WITHIN).await?;
//! assert_eq!(builds.builds().len(), 1);
//!
//! manager.terminate().await?;
//! world.finish(Expected::nothing().machine_images(1).jobs(1).writes_at_most(40)).await?;
//! # Ok(())
//! # }
//! ```
//!
//! The first test of a machine builds the control plane, which takes minutes and says so. Nothing outlives a test: not after a
//! panic, not after Ctrl-C and not after `kill -9`. With `KEEP=1` the folder with all logs stays.

mod build_actor;
mod ending;
mod error;
mod installed;
mod manager;
mod objects;
mod package_repository;
mod process;
mod rollout;
mod samples;
mod signals;
mod stopwatch;
mod web;

use std::time::Duration;

pub use build_actor::{Build, BuildActor, Part};
pub use ending::{Expected, Requests};
pub use error::{Error, Result};
pub use installed::{ACCOUNT, CHAIN, Installed, NAMESPACE, NODES, Product, USER, install_crds, repository};
pub use manager::{LogLine, Manager, Memory, program};
pub use objects::{Apply, LOOK_EVERY, Objects, capi, find_condition, name};
pub use package_repository::{Misbehaviour, PackageRepository, Request, paragraphs};
pub use rollout::Rollout;
pub use samples::Sample;
pub use signals::Signals;
pub use stopwatch::Stopwatch;

/// For what takes seconds on an idle machine.
pub const WITHIN: Duration = Duration::from_secs(60);
/// For what Cluster API does: an upgrade takes a minute on an idle machine of two cores.
pub const ROLLED_WITHIN: Duration = Duration::from_secs(300);
