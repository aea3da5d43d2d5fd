//! From flags to an exit code: log, client, servers, signals.

use std::future::Future;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use runtime::client::Stack;
use runtime::clock::Clock;
use runtime::health::{self, Heartbeat, Readiness, Server, ServerError};
use runtime::lease::{LeaseError, Settings, Timing};
use runtime::metrics::Metrics;
use sources::{Fetcher, Limits, SetupError};
use tokio::signal::unix::{SignalKind, signal};

use crate::connection::{self, ConnectionError};
use crate::family::Family;
use crate::left_over;
use crate::options::{Options, VERSION};
use crate::rooms::Parts;
use crate::start::{self, Deps, Election, End, Manager, STANDSTILL};
use crate::surroundings::{IMAGE, Surroundings};

/// A graceful stop that takes longer ends like a kill; the promise is 5 s.
const STOP_LIMIT: Duration = Duration::from_millis(4_500);
/// How long each of the two servers may take over the answers under way.
const ANSWERS_LIMIT: Duration = Duration::from_millis(200);

/// A trouble before, or instead of, running.
const FAILED: u8 = 1;
/// The lease was lost: another process may act. Told apart, since it is no bug.
const LEASE_LOST: u8 = 3;

/// What keeps a manager from starting.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// No API server is known.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// The client cannot be made.
    #[error("cannot make a client")]
    Client(#[from] kube::Error),
    /// A port cannot be listened on.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// Repositories cannot be read at all.
    #[error(transparent)]
    Fetcher(#[from] SetupError),
    /// The lease's thread cannot be made.
    #[error(transparent)]
    Lease(#[from] LeaseError),
    /// Signals cannot be listened for, or there is no runtime.
    #[error("cannot set up the process")]
    Process(#[from] io::Error),
}

/// Runs a manager until it is told to stop. The exit code is 0 then, 3 when it lost the lease, 1 in other trouble.
pub fn run(options: Options, surroundings: &Surroundings) -> ExitCode {
    if let Err(error) = options.logging.start() {
        eprintln!("{error}");
        return ExitCode::from(FAILED);
    }
    // Fails only where one is installed already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let outcome = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(ProcessError::from)
        .and_then(|runtime| runtime.block_on(serve(options, surroundings)));
    match outcome {
        Ok(code) => code,
        Err(error) => {
            tracing::error!(error = chain(&error), "Cannot run");
            ExitCode::from(FAILED)
        }
    }
}

async fn serve(options: Options, surroundings: &Surroundings) -> Result<ExitCode, ProcessError> {
    let stop = stop_signal()?;
    let family = options.family;
    tracing::info!(version = VERSION, %family, dry_run = options.dry_run, "Starting kubernetes-upgrader");
    if family == Family::Nodes && surroundings.operator_image.is_none() {
        tracing::warn!(image = IMAGE, "OPERATOR_IMAGE is not set: pods on nodes run the published image");
    }
    let metrics = Metrics::new(VERSION);
    let clock = Clock::system(u64::from(surroundings.process));
    let readiness = Readiness::new();
    // Shut until the manager is built: the servers listen before.
    readiness.gate("start");
    let heartbeat = Heartbeat::new(clock.now(), STANDSTILL);

    let router = health::probes(readiness.clone(), heartbeat.clone(), clock.clone());
    let probes = Server::start("probes", &options.probe_address, router).await?;
    let router = health::metrics(metrics.clone());
    let scrapes = Server::start("metrics", &options.metrics_address, router).await?;

    let config = connection::configure(options.kubeconfig.as_deref()).await?;
    let stack = Stack::new(metrics.clone());
    let client = stack.connect(config.clone())?;
    let election = if options.takes_lease() {
        let settings = Settings {
            namespace: options
                .leader_elect_namespace
                .clone()
                .unwrap_or_else(|| surroundings.namespace(family).to_owned()),
            name: family.lease().to_owned(),
            identity: surroundings.identity(clock.now()),
            timing: Timing::default(),
        };
        Election::Thread(settings, Box::new(move || stack.connect(config)))
    } else {
        Election::None
    };
    let namespace = surroundings.namespace(family).to_owned();
    tokio::spawn(left_over::report_deployment(client.clone(), family, namespace));
    let instance = surroundings.instance().into();
    let parts = Parts {
        repository: Arc::new(Fetcher::new(Limits::default())?),
        settings: surroundings.settings(options.disruption),
    };
    let manager = start::start(Deps {
        client,
        clock,
        options,
        election,
        metrics,
        readiness,
        heartbeat,
        instance,
        parts,
    })?;
    let code = until_end(manager, stop).await;
    for server in [probes, scrapes].into_iter().flatten() {
        // Whoever does not take its answer by then is cut off: dropping a server closes it.
        let _ = tokio::time::timeout(ANSWERS_LIMIT, server.stop()).await;
    }
    Ok(code)
}

/// Waits for the signal or for trouble.
async fn until_end(mut manager: Manager, stop: impl Future<Output = &'static str>) -> ExitCode {
    let end = tokio::select! {
        biased;
        signal = stop => Err(signal),
        end = manager.ended() => Ok(end),
    };
    match end {
        Err(signal) => {
            tracing::info!(signal, "Stopping");
            if tokio::time::timeout(STOP_LIMIT, manager.stop()).await.is_err() {
                tracing::warn!("Stopped with work under way; the lease runs out by itself");
            }
            ExitCode::SUCCESS
        }
        Ok(end @ End::LeaseLost(_)) => {
            tracing::error!(%end, "Ending, so that only one process acts");
            ExitCode::from(LEASE_LOST)
        }
        Ok(end @ End::LoopEnded) => {
            tracing::error!(%end, "Ending");
            ExitCode::from(FAILED)
        }
    }
}

/// The name of the first signal that asks to stop. Listens from the call on, before it is awaited.
pub(crate) fn stop_signal() -> io::Result<impl Future<Output = &'static str>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            biased;
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    })
}

/// An error with everything that caused it.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
