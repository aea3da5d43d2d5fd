//! The client stack: one function wraps the real and the simulated transport alike.
//!
//! kube's own retry stays off (it hides 429 and 503 for minutes and has no read timeout): the queue is the only retry.

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use http::{Request, Response};
use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kube::client::{Body, ClientBuilder, ConfigExt as _};
use kube::{Client, Config};
use tower::{BoxError, Service, ServiceBuilder};

use crate::metrics::Metrics;
use crate::rules::{Declared, Wish};

/// How long the server may take to begin its answer, a watch apart.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// How long the server may take to be reached.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// A connection that nobody uses is closed after this: with its buffers it holds some 50 KiB, and a burst opens one for each
/// pass that waits.
const UNUSED: Duration = Duration::from_secs(10);

/// What is put between our code and a transport.
#[derive(Clone)]
pub struct Stack {
    /// Counts requests.
    pub metrics: Metrics,
    /// Refuses requests that no rule declares; tests set it, in production RBAC does the same.
    pub declared: Option<Declared>,
    /// Told of every request as `VERB path?query`, in order; for tests and simulations.
    pub journal: Option<Arc<Mutex<Vec<String>>>>,
}

impl Stack {
    /// A stack that only counts.
    pub fn new(metrics: Metrics) -> Self {
        Self { metrics, declared: None, journal: None }
    }

    /// A client on a transport.
    pub fn client<S, B>(&self, transport: S, default_namespace: &str) -> Client
    where
        S: Service<Request<Body>, Response = Response<B>, Error = BoxError> + Clone + Send + 'static,
        S::Future: Send + 'static,
        B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Client::new(Guarded { inner: transport, stack: self.clone() }, default_namespace)
    }

    /// A client on the network.
    pub fn connect(&self, mut config: Config) -> Result<Client, kube::Error> {
        config.default_retry = false;
        if config.proxy_url.is_some() {
            // kube's words for what is not supported.
            return Ok(ClientBuilder::try_from(config)?.build());
        }
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        let mut connector = TimeoutConnector::new(config.rustls_https_connector_with_connector(connector)?);
        connector.set_connect_timeout(Some(CONNECT_LIMIT));
        connector.set_write_timeout(Some(ANSWER_LIMIT));
        let pool = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(UNUSED)
            .build(connector);
        let transport = ServiceBuilder::new()
            .layer(config.base_uri_layer())
            .option_layer(config.auth_layer()?)
            .layer(config.extra_headers_layer()?)
            .map_err(BoxError::from)
            .service(pool);
        Ok(self.client(transport, &config.default_namespace))
    }
}

/// A transport with the stack's checks before it.
#[derive(Clone)]
struct Guarded<S> {
    inner: S,
    stack: Stack,
}

/// A request that no room declares in its `RULES`.
#[derive(Debug, thiserror::Error)]
#[error("no RULES declare {verb} on {resource}.{group}")]
pub struct Undeclared {
    verb: &'static str,
    resource: String,
    group: String,
}

impl<S, B> Service<Request<Body>> for Guarded<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    B: 'static,
{
    type Response = Response<B>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<B>, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let uri = request.uri();
        let wish = Wish::of(request.method(), uri.path(), uri.query().unwrap_or_default());
        if let Some(journal) = &self.stack.journal
            && let Ok(mut journal) = journal.lock()
        {
            let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
            journal.push(format!("{} {}{query}", request.method(), uri.path()));
        }
        if let (Some(declared), Some(wish)) = (&self.stack.declared, &wish)
            && !declared.allows(wish)
        {
            let Wish { verb, group, resource } = wish.clone();
            tracing::error!(verb, group, resource, "Refusing a request that no room declares");
            return Box::pin(async move { Err(Undeclared { verb, resource, group }.into()) });
        }
        let watching = wish.as_ref().is_some_and(|wish| wish.verb == "watch");
        let metrics = self.stack.metrics.clone();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = if watching {
                answer.await.map_err(Into::into)
            } else {
                match tokio::time::timeout(ANSWER_LIMIT, answer).await {
                    Ok(answer) => answer.map_err(Into::into),
                    Err(_) => Err(format!("no answer within {} s", ANSWER_LIMIT.as_secs()).into()),
                }
            };
            if let Some(wish) = wish {
                let code = answer.as_ref().map_or(0, |answer| answer.status().as_u16());
                metrics.request(wish.verb, &wish.resource, code);
            }
            answer
        })
    }
}
