//! A process of controllers, at the end of a line on which things go wrong.

use std::ffi::OsString;
use std::fmt::Display;
use std::sync::Arc;

use manager::options::Options;
use manager::rooms::Parts;
use manager::start::{self, Deps, Election, Manager};
use manager::surroundings::Surroundings;
use runtime::client::Stack;
use runtime::health::{Heartbeat, Readiness};
use runtime::lease::{Settings, Timing};
use runtime::metrics::Metrics;

use super::node_worlds::OfNodes;
use super::worlds::Case;
use crate::faults::line::Line;
use crate::faults::repository::Distant;
use crate::world::releases::Mirror;

/// Of the controllers of nodes the labeler is at work in some worlds only.
const UNLABELLED: &str = "--controllers=nodeop,nodeopupgrade";

/// Starts the controllers of a case.
pub(super) fn start(case: &Case, line: Line) -> Result<Manager, String> {
    let words = |error: &dyn Display| error.to_string();
    let family = case.scenario.family;
    let metrics = Metrics::new("simulated");
    let client = Stack::new(metrics.clone()).client(line.clone(), "default");
    let clock = line.clock.clone();
    let instance = format!("process-{}", line.process);
    let mut arguments: Vec<OsString> = vec!["manager".into()];
    if let Some(subcommand) = family.subcommand() {
        arguments.push(subcommand.into());
        if case.nodes.as_ref().is_none_or(|nodes| !nodes.labeler) {
            arguments.push(UNLABELLED.into());
        }
    }
    let options = Options::parse(arguments).map_err(|error| words(&error))?;
    let settings = case.nodes.as_ref().map(OfNodes::settings);
    let settings = settings.unwrap_or_else(|| Surroundings::default().settings(options.disruption));
    let election = if case.elected {
        let lease = Settings {
            namespace: "system".to_owned(),
            name: family.lease().to_owned(),
            identity: instance.clone(),
            timing: Timing::default(),
        };
        Election::Task(lease, client.clone())
    } else {
        Election::None
    };
    let mirror = Mirror(line.world.clone());
    start::start(Deps {
        client,
        clock: clock.clone(),
        options,
        election,
        metrics,
        readiness: Readiness::new(),
        heartbeat: Heartbeat::unwatched(clock.now()),
        instance: instance.as_str().into(),
        parts: Parts { repository: Arc::new(Distant { mirror, line }), settings },
    })
    .map_err(|error| words(&error))
}
