//! The API server by itself: without controllers, without the models of anybody's, and open to every request. What holds it
//! to a real one talks to this.

use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use kube::Client;
use manager::family::Family;
use manager::options::Disruption;
use manager::rooms::Parts;
use manager::surroundings::Surroundings;
use runtime::clock::Clock;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::server::Server;
use crate::scenario::Scenario;
use crate::world::agenda::{Agenda, Due};
use crate::world::releases::Mirror;
use crate::world::{Shared, World, locked};

/// An API server with some objects and nobody but its garbage collector at work.
///
/// It lives on tokio's clock, which should be paused. Dropping it ends it.
pub struct ApiServer {
    world: Shared,
    collector: JoinHandle<()>,
}

impl ApiServer {
    /// Starts one, inside a runtime.
    pub fn start(objects: &[Value]) -> Self {
        Self::of(Family::Chain, objects)
    }

    /// The same with what a cluster has for its nodes and pods. Nobody runs a pod: what a kubelet would do is asked for.
    pub fn of_nodes(objects: &[Value]) -> Self {
        Self::of(Family::Nodes, objects)
    }

    fn of(family: Family, objects: &[Value]) -> Self {
        let scenario = Scenario { objects: objects.to_vec(), family, ..Scenario::default() };
        let clock = Clock::simulated(scenario.start, scenario.seed);
        let wake = Arc::new(Notify::new());
        let mut world = World::new(&scenario, clock.clone(), wake.clone());
        world.declared = None;
        world.webhooks = false;
        world.watches_end = true;
        world.load(objects);
        world.agenda = Agenda::default();
        let world: Shared = Arc::new(Mutex::new(world));
        let collector = tokio::spawn(collect(world.clone(), clock, wake));
        Self { world, collector }
    }

    /// A client of it, without any layer of ours.
    pub fn client(&self) -> Client {
        Client::new(Server(self.world.clone()), "default")
    }

    /// What a manager that talks to it is made of: a package repository with the versions that its objects have, and an
    /// environment that says nothing.
    pub fn parts(&self) -> Parts {
        Parts {
            repository: Arc::new(Mirror(self.world.clone())),
            settings: Surroundings::default().settings(Disruption::default()),
        }
    }

    /// The first request that it does not do, if there was one; forgets it.
    pub fn unsupported(&self) -> Option<String> {
        locked(&self.world).unsupported.take()
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.collector.abort();
    }
}

/// Collects garbage; what anybody else would do is left undone.
async fn collect(world: Shared, clock: Clock, wake: Arc<Notify>) {
    loop {
        let next = {
            let mut world = locked(&world);
            while let Some(due) = world.agenda.take(clock.now()) {
                match due {
                    Due::Collect(uid) => world.collect(&uid),
                    Due::Bookmark(id, watch) => world.bookmark(id, watch),
                    Due::WatchEnds(id, watch) => world.objects.end_watch(id, watch),
                    _ => {}
                }
            }
            world.agenda.next()
        };
        tokio::select! {
            () = wake.notified() => {}
            () = clock.sleep_until(next.unwrap_or(Timestamp::MAX)), if next.is_some() => {}
        }
    }
}
