//! Runs a candidate: its requests, its waiting, and what readers see of it.

use std::io;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::{Answer, Candidate, Leadership, Moment, Next, Standing, State, Timing};
use crate::answer::Refusal;
use crate::clock::Clock;
use crate::metrics::Metrics;

/// A release that takes longer than this is left to the record's duration.
const RELEASE_LIMIT: Duration = Duration::from_secs(2);
/// A release is tried again when someone wrote in between, this often at most.
const RELEASE_ATTEMPTS: usize = 3;

/// Which lease, and as whom.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Namespace of the lease.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The identity of this process; see [`super::identity`].
    pub identity: String,
    /// Waiting times.
    pub timing: Timing,
}

/// The lease's own thread cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot start the lease's thread")]
pub struct LeaseError(#[from] io::Error);

/// A candidate that runs. Dropping it ends it as a kill would: the lease stays taken until it runs out.
#[derive(Debug)]
pub struct Candidacy {
    stop: Option<oneshot::Sender<()>>,
    ended: oneshot::Receiver<()>,
    task: Option<JoinHandle<()>>,
}

impl Candidacy {
    /// Runs on a thread and a runtime of its own, so that a long pass cannot delay a renewal. `connect` is called there,
    /// because a client belongs to the runtime that it was made in.
    pub fn thread<F>(
        connect: F,
        settings: Settings,
        clock: Clock,
        metrics: Metrics,
    ) -> Result<(Self, Leadership), LeaseError>
    where
        F: FnOnce() -> Result<Client, kube::Error> + Send + 'static,
    {
        let (standing, leadership) = Standing::new();
        let (stop, stopped) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("lease".to_owned()).spawn(move || {
            runtime.block_on(async move {
                match connect() {
                    Ok(client) => Shell::new(client, settings, clock, metrics, standing).run(stopped).await,
                    Err(error) => tracing::error!(%error, "Lease has no client"),
                }
            });
            drop(end);
        })?;
        Ok((Self { stop: Some(stop), ended, task: None }, leadership))
    }

    /// Runs as a task of the runtime that is there: for simulations, in which one thread is all there is.
    pub fn task(client: Client, settings: Settings, clock: Clock, metrics: Metrics) -> (Self, Leadership) {
        let (standing, leadership) = Standing::new();
        let (stop, stopped) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let task = tokio::spawn(async move {
            Shell::new(client, settings, clock, metrics, standing).run(stopped).await;
            drop(end);
        });
        (Self { stop: Some(stop), ended, task: Some(task) }, leadership)
    }

    /// Gives the lease back, so that the next process need not wait for it to run out. To be called when the last write
    /// has been answered, and not at all when one has not.
    pub async fn release(mut self) {
        if let Some(stop) = self.stop.take() {
            // It may have ended by itself.
            let _ = stop.send(());
        }
        // The sender is only ever dropped; that is the sign.
        let _ = (&mut self.ended).await;
    }
}

impl Drop for Candidacy {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

struct Shell {
    api: Api<Lease>,
    settings: Settings,
    clock: Clock,
    metrics: Metrics,
    standing: Standing,
    candidate: Candidate,
    origin: Instant,
    /// The last request had no answer: its repeats are not worth a warning each.
    silent: bool,
}

impl Shell {
    #[allow(
        clippy::disallowed_methods,
        reason = "the wall clock can be set, and a lease must not run out or last because of that"
    )]
    fn new(client: Client, settings: Settings, clock: Clock, metrics: Metrics, standing: Standing) -> Self {
        Self {
            api: Api::namespaced(client, &settings.namespace),
            candidate: Candidate::new(&settings.identity, settings.timing),
            origin: Instant::now(),
            settings,
            clock,
            metrics,
            standing,
            silent: false,
        }
    }

    fn now(&self) -> Moment {
        self.origin.elapsed()
    }

    async fn run(mut self, mut stop: oneshot::Receiver<()>) {
        loop {
            self.show();
            let stopped = tokio::select! {
                biased;
                order = &mut stop => Some(order.is_ok()),
                goes_on = self.step() => if goes_on { None } else { Some(false) },
            };
            match stopped {
                None => {}
                Some(true) => return self.release().await,
                Some(false) => return,
            }
        }
    }

    /// Shows readers where this process stands.
    fn show(&self) {
        let state = self.candidate.state(self.now());
        self.metrics.leader(state == State::Leading);
        if !self.standing.show(state.clone()) {
            return;
        }
        let lease = self.settings.name.as_str();
        match state {
            State::Leading => tracing::info!(lease, "Leading"),
            State::Following { holder: Some(holder) } => {
                tracing::info!(lease, holder = &*holder, "Waiting for the lease that another process holds");
            }
            State::Following { holder: None } => tracing::debug!(lease, "Nobody holds the lease"),
            State::Lost(cause) => tracing::error!(lease, %cause, "No longer leading"),
        }
    }

    /// One request or one wait; false at the end. It may be dropped half-way: a write that then lands shows itself at
    /// the next read.
    async fn step(&mut self) -> bool {
        match self.candidate.next(self.now()) {
            Next::End(_) => return false,
            Next::Wait(until) => {
                // A timer may fire within its millisecond; looking again too early would find nothing due.
                let left = until.saturating_sub(self.now()) + Duration::from_millis(1);
                tokio::time::sleep(left).await;
            }
            Next::Read => {
                let answer = self.get().await;
                let now = self.now();
                self.candidate.read(now, answer);
            }
            Next::Write => {
                let (sent, wall) = (self.now(), self.clock.now());
                let lease = self.candidate.lease(wall, &self.settings.namespace, &self.settings.name);
                let answer = self.put(&lease).await;
                if matches!(answer, Answer::Is(_)) {
                    self.standing.extend(wall, self.settings.timing.act_for);
                }
                let now = self.now();
                self.candidate.written(sent, now, answer);
            }
        }
        true
    }

    async fn get(&mut self) -> Answer {
        let (api, name) = (self.api.clone(), self.settings.name.clone());
        self.ask("read", async move { api.get(&name).await }).await
    }

    async fn put(&mut self, lease: &Lease) -> Answer {
        let (api, name) = (self.api.clone(), self.settings.name.clone());
        let params = PostParams::default();
        if self.candidate.creates() {
            self.ask("create", async move { api.create(&params, lease).await }).await
        } else {
            self.ask("write", async move { api.replace(&name, &params, lease).await }).await
        }
    }

    /// Waits for an answer, but not beyond the time at which a leader must stop acting.
    async fn ask(
        &mut self,
        what: &'static str,
        request: impl Future<Output = Result<Lease, kube::Error>>,
    ) -> Answer {
        let until_end = self.candidate.end().map(|end| end.saturating_sub(self.now()));
        let limit = self.settings.timing.answer_within.min(until_end.unwrap_or(Duration::MAX));
        let trouble = match tokio::time::timeout(limit, request).await {
            Ok(Ok(lease)) => {
                self.silent = false;
                return Answer::Is(Box::new(lease));
            }
            Ok(Err(error)) => match Refusal::of(&error) {
                Refusal::NotFound if what != "create" => return Answer::Absent,
                Refusal::Conflict | Refusal::AlreadyExists => return Answer::Conflict,
                other => other.to_string(),
            },
            Err(_) => format!("no answer within {limit:?}"),
        };
        let lease = self.settings.name.as_str();
        if self.silent {
            tracing::debug!(lease, trouble, "Cannot {what} the lease");
        } else {
            tracing::warn!(lease, trouble, "Cannot {what} the lease, trying again");
        }
        self.silent = true;
        Answer::Unknown
    }

    async fn release(mut self) {
        self.standing.show(State::Following { holder: None });
        self.metrics.leader(false);
        let lease = self.settings.name.clone();
        match tokio::time::timeout(RELEASE_LIMIT, self.give_back()).await {
            Ok(true) => tracing::info!(lease, "Released the lease"),
            Ok(false) => tracing::debug!(lease, "Held no lease to release"),
            Err(_) => tracing::warn!(lease, "Cannot release the lease in time, it runs out by itself"),
        }
    }

    async fn give_back(&mut self) -> bool {
        for _ in 0..RELEASE_ATTEMPTS {
            let wall = self.clock.now();
            let (namespace, name) = (&self.settings.namespace, &self.settings.name);
            let Some(lease) = self.candidate.release(wall, namespace, name) else { return false };
            if let Answer::Is(_) = self.put(&lease).await {
                return true;
            }
            let (answer, now) = (self.get().await, self.now());
            self.candidate.read(now, answer);
        }
        false
    }
}
