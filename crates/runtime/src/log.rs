//! What the log looks like, and what never gets into it.
//!
//! *Architecture invariant:* no body of an object is logged. kube's client writes a whole answer that does not parse, at
//! `warn` (a Secret among them), and one that the server refused, at `debug`; its module is silent at every level.

use std::fmt;
use std::io;
use std::str::FromStr;

use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

/// Modules of libraries whose lines hold bodies, and the level that they may reach: none.
const SILENT: [&str; 1] = ["kube_client::client"];
/// Libraries that tell more of themselves than anybody asked for, whatever the level of the program.
const QUIET: [&str; 8] =
    ["h2", "hyper", "hyper_util", "kube_client", "kube_runtime", "reqwest", "rustls", "tower"];

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// For people.
    Console,
    /// One JSON object a line.
    Json,
}

impl FromStr for Encoding {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        match text {
            "console" => Ok(Self::Console),
            "json" => Ok(Self::Json),
            other => Err(UnknownWord(other.to_owned())),
        }
    }
}

/// The least level that is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verbosity(Level);

impl Verbosity {
    /// State changes, warnings and errors.
    pub const INFO: Self = Self(Level::INFO);
    /// Every pass as well.
    pub const DEBUG: Self = Self(Level::DEBUG);
}

/// zap's words, and its numbers: 1 is debug, and every higher one tells more.
impl FromStr for Verbosity {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        let level = match text.to_ascii_lowercase().as_str() {
            "debug" => Level::DEBUG,
            "info" => Level::INFO,
            "warn" => Level::WARN,
            // zap has more words above error; nothing here is graver.
            "error" | "dpanic" | "panic" | "fatal" => Level::ERROR,
            number => match number.parse::<u8>() {
                Ok(0) | Err(_) => return Err(UnknownWord(text.to_owned())),
                Ok(1) => Level::DEBUG,
                Ok(_) => Level::TRACE,
            },
        };
        Ok(Self(level))
    }
}

/// A word that a log flag does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is none of the words that are allowed here")]
pub struct UnknownWord(String);

/// The log cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up the log")]
pub struct LogError(#[from] TryInitError);

/// How to log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Logging {
    /// How lines are written.
    pub encoding: Encoding,
    /// The least level.
    pub verbosity: Verbosity,
    /// Colours, in the console's encoding.
    pub colours: bool,
}

impl Logging {
    /// Makes this the log of the process, on standard error. To be called once, by `main`.
    pub fn start(self) -> Result<(), LogError> {
        let subscriber = tracing_subscriber::registry().with(self.layer(io::stderr));
        Ok(subscriber.try_init()?)
    }

    fn layer<S, W>(self, writer: W) -> Box<dyn tracing_subscriber::Layer<S> + Send + Sync>
    where
        S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
        W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
    {
        let layer = tracing_subscriber::fmt::layer().with_writer(writer);
        match self.encoding {
            Encoding::Console => layer.with_ansi(self.colours).with_filter(self.filter()).boxed(),
            Encoding::Json => layer
                .json()
                .flatten_event(true)
                .with_current_span(true)
                .with_span_list(false)
                .with_filter(self.filter())
                .boxed(),
        }
    }

    fn filter(self) -> Targets {
        let quiet = LevelFilter::from_level(self.verbosity.0.min(Level::WARN));
        Targets::new()
            .with_default(self.verbosity.0)
            .with_targets(QUIET.map(|target| (target, quiet)))
            .with_targets(SILENT.map(|target| (target, LevelFilter::OFF)))
    }
}

impl fmt::Display for Verbosity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.as_str().to_ascii_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use http::{Request, Response};
    use k8s_openapi::api::core::v1::Secret;
    use kube::client::Body;
    use kube::{Api, Client};

    use super::*;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Page {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logging(encoding: Encoding, verbosity: Verbosity) -> Logging {
        Logging { encoding, verbosity, colours: false }
    }

    fn to_page(logging: Logging, page: &Page) -> tracing::subscriber::DefaultGuard {
        let page = page.clone();
        let layer = logging.layer(move || page.clone());
        tracing::subscriber::set_default(tracing_subscriber::registry().with(layer))
    }

    #[test]
    fn zap_words_and_numbers() {
        let level = |text: &str| text.parse::<Verbosity>().ok().map(|verbosity| verbosity.to_string());
        assert_eq!(level("debug").as_deref(), Some("debug"));
        assert_eq!(level("INFO").as_deref(), Some("info"));
        assert_eq!(level("panic").as_deref(), Some("error"));
        assert_eq!((level("1").as_deref(), level("5").as_deref()), (Some("debug"), Some("trace")));
        assert_eq!((level("0"), level("-1"), level("loud")), (None, None, None));
        assert_eq!("json".parse(), Ok(Encoding::Json));
        assert!("xml".parse::<Encoding>().is_err());
    }

    #[test]
    fn fields_stay_fields_in_json() {
        let page = Page::default();
        let guard = to_page(logging(Encoding::Json, Verbosity::INFO), &page);
        tracing::info!(controller = "plan", object = "ns/a", "Setting the result");
        tracing::debug!("nothing");
        drop(guard);
        let line: serde_json::Value = serde_json::from_str(page.text().trim()).unwrap();
        assert_eq!((&line["controller"], &line["message"]), (&"plan".into(), &"Setting the result".into()));
    }

    /// At the loudest level there is: bodies that do not parse, and refusals whose bodies are no Status.
    #[tokio::test]
    async fn no_body_of_an_answer_is_ever_logged() {
        let page = Page::default();
        let guard = to_page(logging(Encoding::Console, "9".parse().unwrap()), &page);
        tracing::trace!("a line of ours");
        for status in [200, 403, 500] {
            let answer = move |_: Request<Body>| async move {
                let body = Body::from(br#"{"kind": "Secret", "data": ["hunter2"]}"#.to_vec());
                Ok::<_, std::io::Error>(Response::builder().status(status).body(body).unwrap())
            };
            let client = Client::new(tower::service_fn(answer), "ns");
            let error = Api::<Secret>::default_namespaced(client).get("name").await.unwrap_err();
            tracing::debug!(%status, kind = ?std::mem::discriminant(&error), "refused");
        }
        drop(guard);
        let text = page.text();
        assert!(text.contains("a line of ours"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}
