//! The manager as a value: built from what it is given, ended by dropping it.

use std::fmt;
use std::time::Duration;

use kube::Client;
use runtime::clock::Clock;
use runtime::engine::{self, Engine};
use runtime::health::{Gate, Heartbeat, Readiness};
use runtime::lease::{Candidacy, Cause, Leadership, LeaseError, Settings};
use runtime::metrics::Metrics;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::family::Family;
use crate::left_over;
use crate::options::Options;
use crate::rooms::{self, Parts};

/// The event loop is taken for dead when it has shown no sign of life for this long. It ticks every 10 s.
pub const STANDSTILL: Duration = Duration::from_mins(1);

/// A client for the lease, made in the runtime that uses it.
pub type Connect = Box<dyn FnOnce() -> Result<Client, kube::Error> + Send>;

/// How the process comes to act.
pub enum Election {
    /// It acts at once: `--leader-elect=false`.
    None,
    /// It takes the lease, on a thread and a client of its own.
    Thread(Settings, Connect),
    /// It takes the lease in the runtime that is there, for simulations.
    Task(Settings, Client),
}

/// What a manager is made of.
pub struct Deps {
    /// The API server, through [`runtime::client::Stack`].
    pub client: Client,
    /// The only source of time and jitter.
    pub clock: Clock,
    /// The flags.
    pub options: Options,
    /// How it comes to act.
    pub election: Election,
    /// Counts.
    pub metrics: Metrics,
    /// What is awaited before it is ready.
    pub readiness: Readiness,
    /// Ticked by the event loop.
    pub heartbeat: Heartbeat,
    /// Who writes Events: the pod's name.
    pub instance: Box<str>,
    /// What rooms are made of.
    pub parts: Parts,
}

/// Why a manager ended by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It led and lost the lease.
    LeaseLost(Cause),
    /// The event loop is gone: a bug.
    LoopEnded,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LeaseLost(cause) => cause.fmt(f),
            Self::LoopEnded => f.write_str("the event loop ended by itself"),
        }
    }
}

/// A running manager. Dropping it is a kill: nothing is finished, and the lease stays taken until it runs out.
pub struct Manager {
    engine: JoinHandle<bool>,
    check: Option<JoinHandle<()>>,
    stop: Option<oneshot::Sender<()>>,
    candidacy: Option<Candidacy>,
    leadership: Leadership,
    started: Gate,
}

/// Starts a manager.
pub fn start(deps: Deps) -> Result<Manager, LeaseError> {
    let Deps { client, clock, options, election, metrics, readiness, heartbeat, instance, parts } = deps;
    // Ready is asked before the first table has its gate; without this one the answer would be yes.
    let started = readiness.gate("start");
    let (candidacy, leadership) = match election {
        Election::None => {
            metrics.leader(true);
            (None, Leadership::always())
        }
        Election::Thread(settings, connect) => {
            let (candidacy, leadership) =
                Candidacy::thread(connect, settings, clock.clone(), metrics.clone())?;
            (Some(candidacy), leadership)
        }
        Election::Task(settings, client) => {
            let (candidacy, leadership) = Candidacy::task(client, settings, clock.clone(), metrics.clone());
            (Some(candidacy), leadership)
        }
    };
    // Of the two originals, one had webhooks.
    let check = (options.family == Family::Chain)
        .then(|| tokio::spawn(left_over::report(client.clone(), clock.clone(), metrics.clone())));
    let engine = Engine::new(engine::Deps {
        client,
        clock,
        metrics,
        readiness,
        heartbeat,
        leadership: leadership.clone(),
        namespace: options.namespace.as_deref().map(Into::into),
        dry_run: options.dry_run,
        instance,
    });
    let engine = if options.streams { engine.streaming() } else { engine };
    let engine = rooms::furnish(engine, &options, &parts);
    let (stop, stopped) = oneshot::channel::<()>();
    let engine = tokio::spawn(engine.run(async {
        // A sender that is gone means a kill, and then this task is gone as well.
        let _ = stopped.await;
    }));
    started.open();
    Ok(Manager { engine, check, stop: Some(stop), candidacy, leadership, started })
}

impl Manager {
    /// A reader's view of the lease.
    pub fn leadership(&self) -> Leadership {
        self.leadership.clone()
    }

    /// Waits until it ends by itself, which it does only in trouble.
    pub async fn ended(&mut self) -> End {
        let mut leadership = self.leadership.clone();
        tokio::select! {
            biased;
            cause = leadership.lost() => End::LeaseLost(cause),
            _ = &mut self.engine => End::LoopEnded,
        }
    }

    /// Ends in good order: begins no pass, waits shortly for those that run, then gives the lease back.
    pub async fn stop(mut self) {
        self.started.close("stopping");
        if let Some(stop) = self.stop.take() {
            // It may have ended by itself.
            let _ = stop.send(());
        }
        // With a write under way, or unknown, the lease runs out by itself.
        let orderly = (&mut self.engine).await.unwrap_or(false);
        if let Some(candidacy) = self.candidacy.take().filter(|_| orderly) {
            candidacy.release().await;
        }
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        self.engine.abort();
        if let Some(check) = &self.check {
            check.abort();
        }
    }
}
