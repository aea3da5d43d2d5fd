//! A process of controllers, at the end of a line on which things go wrong.

use std::fmt::Display;
use std::sync::Arc;

use manager::options::Options;
use manager::rooms::Parts;
use manager::start::{self, Deps, Election, LEASE};
use nodes::kairos::node_op::NodeOpRoom;
use runtime::client::Stack;
use runtime::engine::{self, Engine};
use runtime::health::{Heartbeat, Readiness};
use runtime::lease::{Candidacy, Leadership, Settings, Timing};
use runtime::metrics::Metrics;
use runtime::room::Room as _;
use runtime::rules::Declared;
use tokio::task::JoinHandle;

use super::node_worlds::OfNodes;
use super::worlds::Case;
use crate::faults::line::Line;
use crate::faults::repository::Distant;
use crate::world::releases::Mirror;

/// The lease of the controllers of nodes.
const LEASE_OF_NODES: &str = "ce9721c3.kairos.io";

/// The controllers of a family. Dropping it is a kill.
pub(super) enum Manager {
    Chain(start::Manager),
    Nodes(OnNodes),
}

/// The controllers of nodes on their engine.
pub(super) struct OnNodes {
    engine: JoinHandle<bool>,
    leadership: Leadership,
    _candidacy: Option<Candidacy>,
}

impl Drop for OnNodes {
    fn drop(&mut self) {
        self.engine.abort();
    }
}

impl Manager {
    /// Waits until it ends by itself, and says why.
    pub(super) async fn ended(&mut self) -> String {
        match self {
            Self::Chain(manager) => manager.ended().await.to_string(),
            Self::Nodes(OnNodes { engine, leadership, .. }) => {
                let mut leadership = leadership.clone();
                tokio::select! {
                    biased;
                    cause = leadership.lost() => cause.to_string(),
                    _ = engine => "the event loop ended by itself".to_owned(),
                }
            }
        }
    }
}

/// What the controllers of nodes declare to ask for.
pub(super) fn declared() -> Declared {
    Declared::new(NodeOpRoom::RULES.iter().copied())
}

/// Starts the controllers of a case.
pub(super) fn start(case: &Case, line: Line) -> Result<Manager, String> {
    let metrics = Metrics::new("simulated");
    let client = Stack::new(metrics.clone()).client(line.clone(), "default");
    let clock = line.clock.clone();
    let instance = format!("process-{}", line.process);
    let lease = |name: &str| Settings {
        namespace: "system".to_owned(),
        name: name.to_owned(),
        identity: instance.clone(),
        timing: Timing::default(),
    };
    if let Some(of_nodes) = &case.nodes {
        let (candidacy, leadership) = if case.elected {
            let (candidacy, leadership) =
                Candidacy::task(client.clone(), lease(LEASE_OF_NODES), clock.clone(), metrics.clone());
            (Some(candidacy), leadership)
        } else {
            (None, Leadership::always())
        };
        let deps = engine::Deps {
            client,
            metrics,
            readiness: Readiness::new(),
            heartbeat: Heartbeat::unwatched(clock.now()),
            clock,
            leadership: leadership.clone(),
            namespace: None,
            dry_run: false,
            instance: instance.as_str().into(),
        };
        let engine = Engine::new(deps).room(NodeOpRoom::new(OfNodes::settings(of_nodes)));
        let engine = tokio::spawn(engine.run(std::future::pending()));
        return Ok(Manager::Nodes(OnNodes { engine, leadership, _candidacy: candidacy }));
    }
    let words = |error: &dyn Display| error.to_string();
    let election =
        if case.elected { Election::Task(lease(LEASE), client.clone()) } else { Election::None };
    let mirror = Mirror(line.world.clone());
    start::start(Deps {
        client,
        clock: clock.clone(),
        options: Options::parse(["manager".into()]).map_err(|error| words(&error))?,
        election,
        metrics,
        readiness: Readiness::new(),
        heartbeat: Heartbeat::unwatched(clock.now()),
        instance: instance.as_str().into(),
        parts: Parts { repository: Arc::new(Distant { mirror, line }) },
    })
    .map(Manager::Chain)
    .map_err(|error| words(&error))
}
