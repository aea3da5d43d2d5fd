//! How a program that starts processes is asked to stop.

use futures::future::select_all;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{Error, Result};

/// What asks to stop: Ctrl-C, a terminal that is closed, and who is polite.
pub struct Signals(Vec<Signal>);

impl Signals {
    /// Listens from now on, instead of being ended by them.
    pub fn listen() -> Result<Self> {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let failed = |source| Error::System { what: "listen for signals".to_owned(), source };
        kinds.into_iter().map(signal).collect::<std::io::Result<_>>().map(Self).map_err(failed)
    }

    /// Waits for the next of them.
    pub async fn recv(&mut self) {
        select_all(self.0.iter_mut().map(|signal| Box::pin(signal.recv()))).await;
    }
}
