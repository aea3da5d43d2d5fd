//! A server of a few answers, for the requests that a room makes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::{Request, Response};
use kube::client::Body;
use runtime::answer::Refusal;
use runtime::client::Stack;
use runtime::clock::Clock;
use runtime::metrics::Metrics;
use runtime::request::Shell;
use runtime::room::{Applied, Room};
use runtime::rules::{Declared, Rule};
use serde_json::{Value, json};
use tower::BoxError;

/// An answer to `VERB path?query`, or to `*`, which is everything else: status code and body.
pub type Line<'a> = (&'a str, u16, Value);

/// What no line answers is not found. Keeps what it was sent.
#[derive(Clone, Default)]
struct Server {
    answers: Arc<BTreeMap<String, (u16, Value)>>,
    sent: Arc<Mutex<Vec<String>>>,
}

impl tower::Service<Request<Body>> for Server {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<Body>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let line = format!("{} {}", request.method(), request.uri());
        let missing =
            (404, json!({"kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound"}));
        let (code, body) =
            self.answers.get(&line).or_else(|| self.answers.get("*")).cloned().unwrap_or(missing);
        let sent = self.sent.clone();
        Box::pin(async move {
            let body_sent = request.into_body().collect_bytes().await?;
            sent.lock().unwrap().push(format!("{line} {}", String::from_utf8_lossy(&body_sent)));
            Ok(Response::builder().status(code).body(Body::from(body.to_string().into_bytes()))?)
        })
    }
}

/// Makes the requests of a step behind the room's own rules, and `more` that its users grant: what they brought, and what
/// was sent as `VERB path?query body`, in order.
pub async fn talk<R: Room>(
    room: &R,
    more: &[Rule],
    answers: &[Line<'_>],
    step: R::Step,
) -> (Result<Applied<R::Answer>, Refusal>, Vec<String>) {
    let answers =
        answers.iter().map(|(line, code, body)| ((*line).to_owned(), (*code, body.clone()))).collect();
    let server = Server { answers: Arc::new(answers), sent: Arc::default() };
    let mut stack = Stack::new(Metrics::new("test"));
    stack.declared = Some(Declared::new(R::RULES.iter().chain(more).copied()));
    let client = stack.client(server.clone(), "default");
    let shell = Shell::new(client, R::MANAGER, Clock::simulated(crate::at(0), 1));
    let answer = room.apply(shell, step).await;
    let sent = server.sent.lock().unwrap().clone();
    (answer, sent)
}
