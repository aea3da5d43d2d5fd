//! The two small servers: probes, and metrics.

use std::future::Future;
use std::io;
use std::net::SocketAddr;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{BindAddress, Heartbeat, Readiness};
use crate::clock::Clock;
use crate::metrics::{CONTENT_TYPE, Metrics};

/// A server cannot listen.
#[derive(Debug, thiserror::Error)]
#[error("cannot serve {what} on {address:?}")]
pub struct ServerError {
    what: &'static str,
    address: BindAddress,
    source: io::Error,
}

/// A server that listens. Dropping it closes the port at once.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Server {
    /// Listens on an address and serves until stopped; nothing where the address is disabled. `what` names it in errors.
    pub async fn start(
        what: &'static str,
        address: &BindAddress,
        router: Router,
    ) -> Result<Option<Self>, ServerError> {
        let failed = |source| ServerError { what, address: address.clone(), source };
        let Some(listener) = address.listen().await.map_err(failed)? else { return Ok(None) };
        let bound = listener.local_addr().map_err(failed)?;
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = axum::serve(listener, router).with_graceful_shutdown(async {
            // A sender that was dropped means the same as one that has spoken.
            let _ = stopped.await;
        });
        let task = tokio::spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!(what, %error, "Server ended");
            }
        });
        Ok(Some(Self { address: bound, stop: Some(stop), task }))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more connections, and waits for the requests that it has.
    pub async fn stop(mut self) {
        drop(self.stop.take());
        if let Err(error) = (&mut self.task).await {
            tracing::debug!(%error, "Server did not end by itself");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// `/healthz` and `/readyz`.
pub fn probes(readiness: Readiness, heartbeat: Heartbeat, clock: Clock) -> Router {
    let alive = move || answer(healthz(&heartbeat, &clock));
    let ready = move || answer(readyz(&readiness));
    Router::new().route("/healthz", get(alive)).route("/readyz", get(ready))
}

/// `/metrics`, plain: whoever may reach the port may read it.
pub fn metrics(metrics: Metrics) -> Router {
    let scrape = move || answer(page(&metrics));
    Router::new().route("/metrics", get(scrape))
}

type Page = (StatusCode, &'static str, String);

const PLAIN: &str = "text/plain; charset=utf-8";

fn healthz(heartbeat: &Heartbeat, clock: &Clock) -> Page {
    match heartbeat.check(clock.now()) {
        Ok(()) => (StatusCode::OK, PLAIN, "ok\n".to_owned()),
        Err(stale) => (StatusCode::SERVICE_UNAVAILABLE, PLAIN, format!("{stale}\n")),
    }
}

fn readyz(readiness: &Readiness) -> Page {
    let status = if readiness.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, PLAIN, readiness.report())
}

fn page(metrics: &Metrics) -> Page {
    match metrics.render() {
        Ok(page) => (StatusCode::OK, CONTENT_TYPE, page),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, PLAIN, format!("{error}\n")),
    }
}

fn answer((status, content_type, body): Page) -> impl Future<Output = impl IntoResponse> {
    std::future::ready((status, [(header::CONTENT_TYPE, content_type)], body))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;

    async fn fetch(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    fn loopback() -> BindAddress {
        "127.0.0.1:0".parse().unwrap()
    }

    #[tokio::test]
    async fn probes_tell_alive_from_ready() {
        let clock = Clock::system(1);
        let (readiness, heartbeat) = (Readiness::new(), Heartbeat::new(clock.now(), Duration::from_mins(1)));
        let gate = readiness.gate("cache plans");
        let router = probes(readiness, heartbeat.clone(), clock.clone());
        let server = Server::start("probes", &loopback(), router).await.unwrap().unwrap();

        assert!(fetch(server.address(), "/healthz").await.starts_with("HTTP/1.1 200"));
        let unready = fetch(server.address(), "/readyz").await;
        assert!(unready.starts_with("HTTP/1.1 503"), "{unready}");
        assert!(unready.contains("[-]cache plans not ready: not started"), "{unready}");
        gate.open();
        assert!(fetch(server.address(), "/readyz").await.starts_with("HTTP/1.1 200"));
        heartbeat.tick(Timestamp::UNIX_EPOCH);
        let dead = fetch(server.address(), "/healthz").await;
        assert!(dead.starts_with("HTTP/1.1 503") && dead.contains("event loop"), "{dead}");
        server.stop().await;
    }

    #[tokio::test]
    async fn metrics_are_served_on_their_own_port_and_the_port_is_free_again() {
        let server =
            Server::start("metrics", &loopback(), metrics(Metrics::new("t"))).await.unwrap().unwrap();
        let address = server.address();
        let scrape = fetch(address, "/metrics").await;
        assert!(scrape.contains("application/openmetrics-text") && scrape.contains("build_info"), "{scrape}");
        assert!(fetch(address, "/healthz").await.starts_with("HTTP/1.1 404"));
        server.stop().await;
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn disabled_serves_nothing_and_a_taken_port_is_named() {
        let off = Server::start("metrics", &BindAddress::Disabled, Router::new()).await.unwrap();
        assert!(off.is_none());
        let first = Server::start("metrics", &loopback(), Router::new()).await.unwrap().unwrap();
        let taken = BindAddress::Host(first.address().to_string());
        let error = Server::start("metrics", &taken, Router::new()).await.unwrap_err();
        assert!(error.to_string().contains(&first.address().port().to_string()), "{error}");
    }
}
