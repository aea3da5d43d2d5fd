//! The engine on a scripted transport: what it promises, without a server.

mod scripted;

use std::fmt;
use std::time::Duration;

use domain::object::{Kind, Meta, ObjectKey, Row, WireMeta};
use domain::verdict::{Because, Note, Severity, Verdict};
use futures::future::BoxFuture;
use jiff::Timestamp;
use runtime::answer::Refusal;
use runtime::engine::Registrar;
use runtime::request::{Place, Shell};
use runtime::room::{Applied, Recall, Report, Room};
use runtime::rules::Rule;
use runtime::store::Snapshot;
use scripted::{Script, run};
use serde::Deserialize;
use serde_json::json;

const WIDGET: Kind = Kind { group: "example.org", versions: &["v1"], kind: "Widget", plural: "widgets" };
const PART: Kind = Kind { group: "example.org", versions: &["v1"], kind: "Part", plural: "parts" };

domain::reasons! {
    /// Why a widget has no part.
    enum Why {
        /// The part is being made
        MakingPart: works,
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Widget {
    meta: Meta,
    malformed: bool,
    made: bool,
    trouble: Option<String>,
}

#[derive(Deserialize, Default)]
struct WidgetWire {
    #[serde(default)]
    spec: Option<WidgetSpec>,
    #[serde(default)]
    status: WidgetStatus,
}

#[derive(Deserialize, Default)]
struct WidgetSpec {
    #[serde(rename = "size")]
    _size: u32,
}

#[derive(Deserialize, Default)]
struct WidgetStatus {
    #[serde(default)]
    made: bool,
    #[serde(default)]
    trouble: Option<String>,
}

impl Row for Widget {
    type Wire = WidgetWire;
    fn from_wire(meta: &WireMeta, wire: WidgetWire) -> Self {
        let _ = wire.spec;
        Self { meta: meta.meta(), malformed: false, made: wire.status.made, trouble: wire.status.trouble }
    }
    fn malformed(meta: &WireMeta, _: &str) -> Self {
        Self { meta: meta.meta(), malformed: true, made: false, trouble: None }
    }
    fn meta(&self) -> &Meta {
        &self.meta
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Part {
    meta: Meta,
}

#[derive(Deserialize)]
struct PartWire {}

impl Row for Part {
    type Wire = PartWire;
    fn from_wire(meta: &WireMeta, _: PartWire) -> Self {
        Self { meta: meta.meta() }
    }
    fn malformed(meta: &WireMeta, _: &str) -> Self {
        Self { meta: meta.meta() }
    }
    fn meta(&self) -> &Meta {
        &self.meta
    }
}

#[derive(Clone, Debug)]
struct Make(ObjectKey);

impl fmt::Display for Make {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "create Part {}", self.0.name)
    }
}

impl runtime::room::Step for Make {
    fn writes(&self) -> bool {
        true
    }
    fn is_independent(&self) -> bool {
        true
    }
}

#[derive(Debug)]
struct Seen {
    widget: Widget,
    missing: Vec<ObjectKey>,
}

/// Makes so many parts of each widget: its namesake, and others with a number behind its name.
struct WidgetRoom(usize);

impl Room for WidgetRoom {
    const NAME: &'static str = "widget";
    const MANAGER: &'static str = "test-widget";
    const KIND: Kind = WIDGET;
    const RULES: &'static [Rule] = &[
        Rule::new("example.org", "widgets", &["list", "watch"]),
        Rule::new("example.org", "widgets/status", &["patch"]),
        Rule::new("example.org", "parts", &["list", "watch", "create"]),
        runtime::EVENTS_RULE,
    ];
    type Row = Widget;
    type Observed = Seen;
    type Step = Make;
    type Answer = ();
    type Memory = ();
    type Shared = ();
    type Reason = Why;

    fn watches(registrar: &mut Registrar<'_>) {
        registrar.watch::<Part>(PART, |_, key, _, _| {
            let widget = key.name.split_once('-').map_or(&*key.name, |(widget, _)| widget);
            vec![key.sibling(widget)]
        });
    }

    fn observe(&self, snapshot: Snapshot<'_>, row: &Widget, _: Recall<'_, Self>, _: Timestamp) -> Seen {
        let key = &row.meta.key;
        let numbered = (1..self.0).map(|number| key.sibling(&format!("{}-{number}", key.name)));
        let parts = std::iter::once(key.clone()).chain(numbered);
        let missing = parts.filter(|part| snapshot.get::<Part>(part).is_none()).collect();
        Seen { widget: row.clone(), missing }
    }

    fn decide(&self, seen: &Seen, _: Timestamp) -> Verdict<Make, Why> {
        assert_ne!(&*seen.widget.meta.key.name, "panics", "a bug in decide");
        if seen.widget.malformed {
            let reason = <Why as domain::verdict::Reason>::of_trouble(domain::verdict::Trouble::Malformed);
            return Verdict::failed(Because::new(reason, "size is not a number"));
        }
        if seen.missing.is_empty() {
            return Verdict::done();
        }
        let steps = seen.missing.iter().cloned().map(Make).collect();
        Verdict { steps, ..Verdict::wait(Because::new(Why::MakingPart, "the part is being made")) }
    }

    fn report(&self, seen: &Seen, verdict: &Verdict<Make, Why>, _: Timestamp) -> Report {
        if let Some(because) = verdict.then.because() {
            let reason = domain::verdict::Reason::name(because.reason);
            let changed = seen.widget.trouble.as_deref() != Some(reason);
            return Report { status: changed.then(|| json!({"trouble": reason})), notes: Vec::new() };
        }
        let troubled = seen.widget.trouble.is_some();
        if seen.widget.made {
            return Report { status: troubled.then(|| json!({"trouble": null})), notes: Vec::new() };
        }
        let note = Note {
            severity: Severity::Normal,
            reason: "Made",
            message: "made".to_owned(),
            occurrence: "1".to_owned(),
            related: None,
        };
        let mut status = json!({"made": true});
        if troubled {
            status["trouble"] = json!(null);
        }
        Report { status: Some(status), notes: vec![note] }
    }

    fn apply(&self, shell: Shell, Make(key): Make) -> BoxFuture<'static, Result<Applied<()>, Refusal>> {
        Box::pin(async move {
            let body = json!({"metadata": {"name": key.name, "namespace": key.namespace}});
            Ok(Applied::wrote(shell.create::<Part>(&Place::of(PART), &key.namespace, &body).await?))
        })
    }
}

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn one_pass_makes_the_part_then_the_status_then_the_event() {
    let journal = run(Script::new().widget("a"), WidgetRoom(1), MINUTE);
    assert_eq!(
        journal.writes(),
        [
            "POST /apis/example.org/v1/namespaces/ns/parts?fieldManager=test-widget",
            "PATCH /apis/example.org/v1/namespaces/ns/widgets/a/status?fieldManager=test-widget",
            "POST /apis/events.k8s.io/v1/namespaces/ns/events?fieldManager=test-widget",
        ]
    );
}

#[test]
fn one_seed_gives_one_order_of_requests() {
    let script = || {
        let names = ["e", "a", "panics", "d", "b", "c"];
        names.iter().fold(Script::new(), |script, name| script.widget(name)).fail_creates(3)
    };
    let first = run(script(), WidgetRoom(1), MINUTE * 10);
    assert!(first.lines.len() > 15, "{:#?}", first.lines);
    for _ in 0..20 {
        assert_eq!(run(script(), WidgetRoom(1), MINUTE * 10).lines, first.lines);
    }
}

#[test]
fn first_lists_run_one_after_another_in_pages() {
    let journal = run(Script::new().widget("a").page_size(1).widget("b"), WidgetRoom(1), MINUTE);
    let lists = journal.matching("limit=100");
    assert!(lists[0].contains("/widgets?") && lists[1].contains("/widgets?"), "two pages: {lists:#?}");
    assert!(lists[1].contains("continue=") && lists[2].contains("/parts?"), "{lists:#?}");
}

#[test]
fn an_unchanged_world_is_not_asked_about() {
    let script = Script::new().widget("a");
    let short = run(script.clone(), WidgetRoom(1), MINUTE);
    let long = run(script, WidgetRoom(1), MINUTE * 4);
    assert_eq!(short.lines, long.lines);
}

#[test]
fn a_failure_is_tried_again_later_and_only_its_object_waits() {
    let journal = run(Script::new().widget("a").widget("b").fail_creates(1), WidgetRoom(1), MINUTE);
    assert_eq!(journal.matching("POST /apis/example.org/v1/namespaces/ns/parts").len(), 3);
    assert_eq!(journal.matching("/widgets/a/status").len(), 1);
    assert_eq!(journal.matching("/widgets/b/status").len(), 1);
    let (first, second) = (journal.at("/widgets/b/status"), journal.at("/widgets/a/status"));
    assert!(first < second, "b does not wait for a: {:#?}", journal.lines);
}

#[test]
fn a_panic_concerns_its_object_alone() {
    let journal = run(Script::new().widget("panics").widget("z"), WidgetRoom(1), MINUTE);
    assert_eq!(journal.matching("/widgets/z/status").len(), 1);
    assert_eq!(journal.body_of("/widgets/panics/status")["status"]["trouble"], "InternalError");
}

#[test]
fn an_object_that_does_not_parse_is_reported_on_itself_and_stops_no_watch() {
    let journal = run(Script::new().broken("bad").widget("good"), WidgetRoom(1), MINUTE);
    assert_eq!(journal.body_of("/widgets/bad/status")["status"]["trouble"], "Malformed");
    assert_eq!(journal.matching("/widgets/good/status").len(), 1);
}

#[test]
fn what_somebody_has_changed_right_before_a_status_is_looked_at() {
    let journal = run(Script::new().widget("a").breaks("a"), WidgetRoom(1), MINUTE);
    let statuses = journal.matching("widgets/a/status");
    assert_eq!(statuses.len(), 2, "the answer to the first brings the change: {:#?}", journal.lines);
}

/// The trouble is written, and nobody knows: the next status is made from a row without it.
#[test]
fn what_a_status_without_an_answer_has_left_is_taken_back() {
    let script = Script::new().widget("a").fail_creates(1).lose_answers(1).lose_statuses(1).late(MINUTE * 5);
    let journal = run(script, WidgetRoom(1), MINUTE * 4);
    let bodies = journal.bodies_of("widgets/a/status");
    let statuses: Vec<_> = bodies.iter().map(|body| body["status"].to_string()).collect();
    assert_eq!(statuses, [r#"{"trouble":"ApiUnavailable"}"#, r#"{"made":true}"#, r#"{"trouble":null}"#]);
}

/// The words that every set of reasons has, for what any request can meet.
#[test]
fn every_trouble_of_a_request_is_told_in_its_word() {
    let left = "failed calling webhook \"mmachineimage.kb.io\": no endpoints available";
    let refusals = [
        ((403, "Forbidden", "parts is forbidden: User \"u\" cannot create resource \"parts\""), "Forbidden"),
        ((422, "Invalid", "admission webhook \"parts.example.org\" denied the request: no"), "WriteRefused"),
        (
            (403, "Forbidden", "ValidatingAdmissionPolicy 'no' denied request: not on a Friday"),
            "WriteRefused",
        ),
        ((500, "InternalError", left), "ForeignWebhook"),
        ((500, "InternalError", "failed calling webhook \"x.example.org\": refused"), "ApiUnavailable"),
        ((503, "ServiceUnavailable", "the server is shutting down"), "ApiUnavailable"),
        ((422, "Invalid", "Part \"a\" is invalid: spec: Required value"), "InternalError"),
    ];
    for (refusal, word) in refusals {
        let journal = run(Script::new().widget("a").refuse_creates(refusal), WidgetRoom(1), MINUTE);
        assert_eq!(journal.body_of("/widgets/a/status")["status"]["trouble"], word, "{refusal:?}");
    }
}

#[test]
fn an_answer_that_was_lost_creates_nothing_twice() {
    let journal = run(Script::new().widget("a").lose_answers(1), WidgetRoom(1), MINUTE * 2);
    assert_eq!(journal.parts, ["a"], "{:#?}", journal.lines);
    assert_eq!(journal.matching("/widgets/a/status").len(), 1);
}

#[test]
fn a_request_that_no_rule_declares_is_refused_before_it_is_sent() {
    let script = Script::new().widget("a").without_rule("parts", "create");
    let journal = run(script, WidgetRoom(1), MINUTE);
    assert!(journal.parts.is_empty());
}

#[test]
fn a_follower_fills_its_caches_and_does_nothing_else() {
    let journal = run(Script::new().widget("a").leads_for(Duration::ZERO), WidgetRoom(1), MINUTE);
    assert!(journal.writes().is_empty());
    assert!(!journal.matching("/widgets?").is_empty());
}

/// The first create is refused with a wish to wait 40 s; the deadline passes meanwhile, and nobody has said so.
#[test]
fn a_process_whose_renewals_stopped_writes_nothing_more() {
    let script = Script::new().widget("a").busy(40).leads_for(Duration::from_secs(25));
    let journal = run(script, WidgetRoom(1), MINUTE * 5);
    assert_eq!(journal.writes().len(), 1, "{:#?}", journal.lines);
}

#[test]
fn a_dry_run_says_what_it_would_do_and_does_not_do_it() {
    let journal = run(Script::new().widget("a").dry_run(), WidgetRoom(1), MINUTE);
    assert!(journal.parts.is_empty(), "{:#?}", journal.lines);
    assert!(journal.writes().is_empty(), "a status without conditions: {:#?}", journal.lines);
}

#[test]
fn the_servers_wish_to_wait_is_kept() {
    let journal = run(Script::new().widget("a").busy(40), WidgetRoom(1), Duration::from_secs(39));
    assert_eq!(journal.matching("POST /apis/example.org/v1/namespaces/ns/parts").len(), 1);
    let later = run(Script::new().widget("a").busy(40), WidgetRoom(1), MINUTE);
    assert_eq!(later.matching("POST /apis/example.org/v1/namespaces/ns/parts").len(), 2);
}

/// Each takes a second to be made: forty are two batches, and one after another they would take forty.
#[test]
fn independent_steps_are_made_at_the_same_time() {
    let script = Script::new().widget("a").slow(Duration::from_secs(1));
    let journal = run(script, WidgetRoom(40), Duration::from_secs(3));
    assert_eq!(journal.parts.len(), 40, "{:#?}", journal.lines);
    assert_eq!(journal.matching("/widgets/a/status").len(), 1);
}

#[test]
fn of_independent_steps_one_that_fails_takes_nothing_from_the_others() {
    let script = Script::new().widget("a").slow(Duration::from_secs(1)).fail_creates(1);
    let soon = run(script.clone(), WidgetRoom(3), Duration::from_secs(2));
    assert_eq!(soon.parts, ["a-1", "a-2"], "{:#?}", soon.lines);
    let later = run(script, WidgetRoom(3), MINUTE);
    assert_eq!(later.parts, ["a", "a-1", "a-2"]);
    assert_eq!(
        later.matching("POST /apis/example.org/v1/namespaces/ns/parts").len(),
        4,
        "{:#?}",
        later.lines
    );
    assert_eq!(later.bodies_of("widgets/a/status").last().unwrap()["status"]["made"], true);
}
