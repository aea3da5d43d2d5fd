//! What the process counts. Every label is from a set known beforehand, so that neither memory nor the scrape grows with
//! the number of objects; names of objects never appear.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

/// The content type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Most resources that requests are counted by; a source may be of any kind, so the set is not ours to close.
const RESOURCE_LIMIT: usize = 64;
/// Stands for every resource beyond the limit.
const OTHER: &str = "other";
/// Upper bounds of pass durations in seconds: most passes are pure and take far less than one request.
const PASS_SECONDS: [f64; 9] = [0.001, 0.005, 0.02, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0];

/// How a pass ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// Nothing is left to do.
    Done,
    /// It took at least one step and is looked at again.
    Stepped,
    /// An orderly wait.
    Waiting,
    /// Something failed or is invalid.
    Failed,
    /// What was observed had changed: looked at again.
    Conflict,
    /// The pass ran into its deadline.
    TimedOut,
    /// The pass panicked.
    Panicked,
}

impl Outcome {
    /// The label.
    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Stepped => "stepped",
            Self::Waiting => "waiting",
            Self::Failed => "failed",
            Self::Conflict => "conflict",
            Self::TimedOut => "timed_out",
            Self::Panicked => "panicked",
        }
    }
}

impl EncodeLabelValue for Outcome {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        self.name().encode(encoder)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Controller {
    controller: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Pass {
    controller: &'static str,
    outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reasoned {
    controller: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Resource {
    resource: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    verb: &'static str,
    resource: String,
    code: u16,
}

/// The counters of one process. Clones share them.
#[derive(Clone, Debug)]
pub struct Metrics {
    families: Arc<Families>,
}

#[derive(Debug)]
struct Families {
    registry: Registry,
    resources: Mutex<BTreeSet<Box<str>>>,
    passes: Family<Pass, Counter>,
    durations: Family<Controller, Histogram>,
    objects: Family<Reasoned, Gauge>,
    requests: Family<Request, Counter>,
    depths: Family<Controller, Gauge>,
    restarts: Family<Resource, Counter>,
    leader: Gauge,
    foreign_webhooks: Gauge,
}

impl Metrics {
    /// Counters at zero, with the version of the program as `build_info`.
    pub fn new(version: &'static str) -> Self {
        let mut registry = Registry::with_prefix("kubernetes_upgrader");
        let passes = Family::default();
        registry.register("passes", "Passes over an object, by how they ended", passes.clone());
        let durations = Family::new_with_constructor((|| Histogram::new(PASS_SECONDS)) as fn() -> Histogram);
        registry.register(
            "pass_duration_seconds",
            "Duration of passes, requests included",
            durations.clone(),
        );
        let objects = Family::default();
        registry.register("objects", "Objects that are not done, by reason", objects.clone());
        let requests = Family::default();
        registry.register("requests", "Requests to the API server; code 0 is no answer", requests.clone());
        let depths = Family::default();
        registry.register("queue_depth", "Objects that are due for a pass", depths.clone());
        let restarts = Family::default();
        registry.register(
            "watch_restarts",
            "Watches that ended in an error and began again",
            restarts.clone(),
        );
        let leader = Gauge::default();
        registry.register("leader", "1 while this process may act", leader.clone());
        let foreign_webhooks = Gauge::default();
        registry.register(
            "foreign_webhooks",
            "Left-over webhooks of another installation that refuse writes, seen at start",
            foreign_webhooks.clone(),
        );
        registry.register("build", "The program", Info::new(vec![("version", version)]));
        let families = Families {
            registry,
            resources: Mutex::default(),
            passes,
            durations,
            objects,
            requests,
            depths,
            restarts,
            leader,
            foreign_webhooks,
        };
        Self { families: Arc::new(families) }
    }

    /// A pass has ended.
    pub fn pass(&self, controller: &'static str, outcome: Outcome) {
        self.families.passes.get_or_create(&Pass { controller, outcome }).inc();
    }

    /// How long a pass took.
    pub fn pass_took(&self, controller: &'static str, took: Duration) {
        self.families.durations.get_or_create(&Controller { controller }).observe(took.as_secs_f64());
    }

    /// The reason of an object has changed; nothing stands for an object that is done, new or gone.
    pub fn reason_changed(
        &self,
        controller: &'static str,
        old: Option<&'static str>,
        new: Option<&'static str>,
    ) {
        if old == new {
            return;
        }
        if let Some(reason) = old {
            self.families.objects.get_or_create(&Reasoned { controller, reason }).dec();
        }
        if let Some(reason) = new {
            self.families.objects.get_or_create(&Reasoned { controller, reason }).inc();
        }
    }

    /// A request was answered with a status code, or by nothing at all (0).
    pub fn request(&self, verb: &'static str, resource: &str, code: u16) {
        let resource = self.bounded(resource);
        self.families.requests.get_or_create(&Request { verb, resource, code }).inc();
    }

    /// So many objects are due.
    pub fn queue_depth(&self, controller: &'static str, depth: usize) {
        let depth = i64::try_from(depth).unwrap_or(i64::MAX);
        self.families.depths.get_or_create(&Controller { controller }).set(depth);
    }

    /// A watch ended in an error and begins again.
    pub fn watch_restarted(&self, resource: &str) {
        let resource = self.bounded(resource);
        self.families.restarts.get_or_create(&Resource { resource }).inc();
    }

    /// Whether this process may act.
    pub fn leader(&self, leading: bool) {
        self.families.leader.set(i64::from(leading));
    }

    /// How many left-over webhooks of another installation were seen.
    pub fn foreign_webhooks(&self, count: usize) {
        self.families.foreign_webhooks.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// All of it, as [`CONTENT_TYPE`].
    pub fn render(&self) -> Result<String, fmt::Error> {
        let mut page = String::new();
        text::encode(&mut page, &self.families.registry)?;
        Ok(page)
    }

    fn bounded(&self, resource: &str) -> String {
        let Ok(mut known) = self.families.resources.lock() else { return OTHER.to_owned() };
        if known.contains(resource) {
            return resource.to_owned();
        }
        if known.len() >= RESOURCE_LIMIT {
            return OTHER.to_owned();
        }
        known.insert(resource.into());
        resource.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(metrics: &Metrics) -> Vec<String> {
        let page = metrics.render().unwrap();
        assert!(page.ends_with("# EOF\n"));
        let mut lines: Vec<String> =
            page.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
        lines.sort();
        lines
    }

    fn value(metrics: &Metrics, series: &str) -> Option<String> {
        let prefix = format!("kubernetes_upgrader_{series} ");
        lines(metrics).iter().find_map(|line| line.strip_prefix(&prefix).map(str::to_owned))
    }

    #[test]
    fn series_have_the_names_that_dashboards_use() {
        let metrics = Metrics::new("1.2.3");
        metrics.pass("plan", Outcome::Done);
        metrics.pass("plan", Outcome::Done);
        metrics.pass_took("plan", Duration::from_millis(3));
        metrics.request("patch", "plans/status", 200);
        metrics.queue_depth("plan", 4);
        metrics.watch_restarted("plans");
        metrics.leader(true);
        metrics.foreign_webhooks(3);
        let is = |series: &str| value(&metrics, series);
        assert_eq!(is(r#"passes_total{controller="plan",outcome="done"}"#).as_deref(), Some("2"));
        assert_eq!(is(r#"pass_duration_seconds_count{controller="plan"}"#).as_deref(), Some("1"));
        assert_eq!(
            is(r#"requests_total{verb="patch",resource="plans/status",code="200"}"#).as_deref(),
            Some("1")
        );
        assert_eq!(is(r#"queue_depth{controller="plan"}"#).as_deref(), Some("4"));
        assert_eq!(is(r#"watch_restarts_total{resource="plans"}"#).as_deref(), Some("1"));
        assert_eq!(is("leader").as_deref(), Some("1"));
        assert_eq!(is("foreign_webhooks").as_deref(), Some("3"));
        assert_eq!(is(r#"build_info{version="1.2.3"}"#).as_deref(), Some("1"));
    }

    #[test]
    fn objects_move_from_reason_to_reason_and_leave() {
        let metrics = Metrics::new("test");
        let count = |reason: &str| {
            value(&metrics, &format!(r#"objects{{controller="plan",reason="{reason}"}}"#))
                .map_or(0, |count| count.parse::<i64>().unwrap())
        };
        metrics.reason_changed("plan", None, Some("NoImage"));
        metrics.reason_changed("plan", None, Some("NoImage"));
        metrics.reason_changed("plan", Some("NoImage"), Some("NoImage"));
        assert_eq!(count("NoImage"), 2);
        metrics.reason_changed("plan", Some("NoImage"), Some("Paused"));
        assert_eq!((count("NoImage"), count("Paused")), (1, 1));
        metrics.reason_changed("plan", Some("NoImage"), None);
        assert_eq!((count("NoImage"), count("Paused")), (0, 1));
    }

    #[test]
    fn kinds_that_users_invent_cannot_grow_the_scrape_for_ever() {
        let metrics = Metrics::new("test");
        for number in 0..500 {
            metrics.request("get", &format!("things{number}"), 200);
        }
        let series = lines(&metrics).iter().filter(|line| line.contains("requests_total")).count();
        assert_eq!(series, RESOURCE_LIMIT + 1);
        let other = value(&metrics, r#"requests_total{verb="get",resource="other",code="200"}"#);
        assert_eq!(other, Some((500 - RESOURCE_LIMIT).to_string()));
    }
}
