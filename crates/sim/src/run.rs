//! Runs a scenario: the real manager, on the world, on tokio's clock, which stands still while anything can run.

use std::ffi::OsString;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use api::upgrader::{cluster_upgrader, plan};
use domain::object::ObjectKey;
use jiff::Timestamp;
use manager::options::Options;
use manager::rooms::Parts;
use manager::start::{self, Deps, Election, Manager};
use manager::surroundings::Surroundings;
use runtime::client::Stack;
use runtime::clock::{Clock, after};
use runtime::health::{Heartbeat, Readiness};
use runtime::metrics::Metrics;
use serde_json::Value;
use tokio::sync::Notify;

use crate::Error;
use crate::apiserver::server::Server;
use crate::scenario::Scenario;
use crate::timeline::{Outcome, Timeline, tell};
use crate::world::agenda::Due;
use crate::world::releases::Mirror;
use crate::world::{Shared, World, locked};

/// Of an upgrader in a namespace that is not watched, or that was made or changed in the last moment.
const NOT_SEEN: &str = "no controller has looked at it";

/// Runs a scenario to its end.
pub fn run(scenario: &Scenario) -> Result<Timeline, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .map_err(|error| Error::Start(error.to_string()))?;
    runtime.block_on(play(scenario))
}

async fn play(scenario: &Scenario) -> Result<Timeline, Error> {
    let clock = Clock::simulated(scenario.start, scenario.seed);
    let wake = Arc::new(Notify::new());
    let mut world = World::new(scenario, clock.clone(), wake.clone());
    world.prepare(scenario);
    let world: Shared = Arc::new(Mutex::new(world));
    let end = after(scenario.start, scenario.until);
    let mut manager = launch(scenario, &world, &clock)?;
    loop {
        let (next, restart) = {
            let mut world = locked(&world);
            world.advance();
            if let Some(what) = world.unsupported.take() {
                return Err(Error::Unsupported(what));
            }
            (world.agenda.next(), std::mem::take(&mut world.restart))
        };
        if restart {
            drop(manager);
            manager = launch(scenario, &world, &clock)?;
        }
        if clock.now() >= end {
            break;
        }
        let until = next.map_or(end, |next| next.min(end));
        tokio::select! {
            biased;
            ended = manager.ended() => return Err(Error::Ended(ended.to_string())),
            () = wake.notified() => {}
            () = clock.sleep_until(until) => {}
        }
    }
    drop(manager);
    let mut world = locked(&world);
    Ok(world.told(scenario.start, end))
}

fn launch(scenario: &Scenario, world: &Shared, clock: &Clock) -> Result<Manager, Error> {
    let mut arguments: Vec<OsString> = vec!["manager".into()];
    arguments.extend(scenario.family.subcommand().map(Into::into));
    arguments.push("--leader-elect=false".into());
    if let Some(namespace) = &scenario.namespace {
        arguments.push(format!("--namespace={namespace}").into());
    }
    if scenario.dry_run {
        arguments.push("--dry-run".into());
    }
    let started = |error: &dyn std::fmt::Display| Error::Start(error.to_string());
    let metrics = Metrics::new("simulated");
    let options = Options::parse(arguments).map_err(|error| started(&error))?;
    let settings = Surroundings::default().settings(options.disruption);
    start::start(Deps {
        client: Stack::new(metrics.clone()).client(Server(world.clone()), "default"),
        clock: clock.clone(),
        options,
        election: Election::None,
        metrics,
        readiness: Readiness::new(),
        heartbeat: Heartbeat::unwatched(clock.now()),
        instance: "simulated".into(),
        parts: Parts { repository: Arc::new(Mirror(world.clone())), settings },
    })
    .map_err(|error| started(&error))
}

impl World {
    /// Puts in what is there at the start and what is to come; from then on it is told.
    pub(crate) fn prepare(&mut self, scenario: &Scenario) {
        self.load(&scenario.objects);
        self.stand_in(&scenario.objects);
        let start = scenario.start;
        for (at, version) in &scenario.releases {
            if *at <= start {
                self.publish("", version);
            } else {
                self.at(*at, Due::Publish(version.clone()));
            }
        }
        for (at, actor, happening) in &scenario.events {
            self.at((*at).max(start), Due::Happen(actor.clone(), Box::new(happening.clone())));
        }
        self.after(Duration::from_secs(240), Due::Bookmarks);
        self.entries.clear();
        self.telling = true;
    }

    pub(crate) fn told(&mut self, start: Timestamp, end: Timestamp) -> Timeline {
        Timeline {
            start,
            end,
            outcomes: self.outcomes(),
            entries: std::mem::take(&mut self.entries),
            left_out: self.left_out,
            requests: std::mem::take(&mut self.requests),
            digest: self.digest(),
        }
    }

    fn outcomes(&self) -> Vec<Outcome> {
        let kind = cluster_upgrader::KIND;
        let Some(id) = self.catalogue.of_kind(kind.group, kind.kind) else { return Vec::new() };
        let value = |group: &str, kind: &str, key: &ObjectKey| -> Option<&Value> {
            let id = self.catalogue.of_kind(group, kind)?;
            self.objects.get(id, key).map(|entry| &entry.value)
        };
        let text = |object: Option<&Value>, path: &str| -> Box<str> {
            object.and_then(|object| object.pointer(path)).and_then(Value::as_str).unwrap_or_default().into()
        };
        let upgraders = self.objects.all(id);
        upgraders
            .map(|(key, upgrader)| {
                let name = text(Some(upgrader), "/spec/clusterName");
                let of_plan = text(Some(upgrader), "/spec/planRef/name");
                let cluster = value(api::capi::GROUP, "Cluster", &key.sibling(&name));
                let found = value(plan::KIND.group, plan::KIND.kind, &key.sibling(&of_plan));
                let reason = tell::reason(upgrader);
                let generation = upgrader.pointer("/metadata/generation");
                let is_seen = generation == upgrader.pointer("/status/observedGeneration");
                let message = match &reason {
                    Some((_, message)) => Some(message.as_str()).filter(|message| !message.is_empty()),
                    None => Some(NOT_SEEN).filter(|_| !is_seen),
                };
                Outcome {
                    upgrader: key.to_string().into(),
                    have: text(cluster, "/spec/topology/version"),
                    want: text(found, "/status/machineImageDetails/version"),
                    cluster: name,
                    message: message.map(Box::from),
                    reason: reason.map(|(reason, _)| reason.into()),
                }
            })
            .collect()
    }
}
