mod access;
mod ages;
mod failures;
mod minors;
mod reasons;
mod schedule;
mod trust;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Mutex;

use domain::version::KubernetesVersion;
use runtime::room::{Recall, Room as _};
use serde_json::{Value, json};
use sources::{Access, Fetched, Index, PackagedVersion, Release, Request, Validators};
use testkit::{at, conditions, shown};

use super::*;

/// A source through its passes, as the engine leads it: the status is written back, the memory is kept.
struct Story {
    room: SourceRoom,
    object: Value,
    memory: Memory,
    /// The repository: by address, or by what address ends in. What is not named is not there.
    repository: BTreeMap<String, Result<Fetched, FetchError>>,
    /// Objects of the namespace, by kind and name.
    objects: BTreeMap<String, Result<super::Value, Denied>>,
    /// The steps that were taken.
    asked: Vec<String>,
}

impl Story {
    fn new(spec: Value) -> Self {
        let yaml = format!("kind: DebianRepositorySource\nmetadata: {{name: source}}\nspec: {spec}\n");
        let object = testkit::objects(&yaml).remove(0);
        let room = SourceRoom::new(Arc::new(Scripted(Mutex::default())));
        Self {
            room,
            object,
            memory: Memory::default(),
            repository: BTreeMap::new(),
            objects: BTreeMap::new(),
            asked: Vec::new(),
        }
    }

    /// Serves an index in the place of `{minor}`, and what it answers.
    fn serve(&mut self, minor: &str, outcome: Result<Fetched, FetchError>) -> &mut Self {
        self.repository.insert(format!("v{minor}/"), outcome);
        self
    }

    fn answer(&self, step: &Step) -> Answer {
        match step {
            Step::Read(read) => {
                let name = format!("{} {}", read.reference.kind().kind, read.reference.name);
                Answer::Held(self.objects.get(&name).cloned().unwrap_or(Err(Denied::Missing)))
            }
            Step::Fetch(fetch) => {
                let url = fetch.target.url(fetch.part);
                let found = self.repository.iter().find(|(part, _)| url.contains(*part));
                let missing = || Err(FetchError::NotFound { status: 404 });
                Answer::Fetched(found.map_or_else(missing, |(_, outcome)| outcome.clone()))
            }
        }
    }

    /// A pass to its end, answered by the repository and the namespace.
    fn run(&mut self, now: Timestamp) -> (Report, String) {
        self.asked.clear();
        loop {
            let (observed, verdict) = self.verdict(now);
            let Some(step) = verdict.steps.first() else {
                return (self.written(&observed, &verdict, now), shown(&verdict, now));
            };
            assert!(self.asked.len() < usize::try_from(SourceRoom::ROUNDS).unwrap(), "{:?}", self.asked);
            self.asked.push(step.to_string());
            let answer = self.answer(step);
            let recall = Recall { memory: &mut self.memory, shared: &mut () };
            assert!(self.room.learn(recall, step, Ok(answer), now));
        }
    }

    fn written(&mut self, observed: &Observed, verdict: &Verdict<Step, Reason>, now: Timestamp) -> Report {
        let report = self.room.report(observed, verdict, now);
        if let Some(patch) = &report.status {
            merge(&mut self.object["status"], patch);
        }
        report
    }

    fn versions(&self) -> String {
        let list = self.object["status"]["versions"].as_array().cloned().unwrap_or_default();
        list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
    }

    fn verdict(&mut self, now: Timestamp) -> (Observed, Verdict<Step, Reason>) {
        let row = testkit::row::<SourceRow>(&self.object);
        let store = runtime::store::Store::default();
        let observed = self.room.observe(
            store.snapshot(),
            &row,
            Recall { memory: &mut self.memory, shared: &mut () },
            now,
        );
        let verdict = self.room.decide(&observed, now);
        (observed, verdict)
    }

    /// Answers the fetch that is due, if one is; writes what is reported; returns that report and what was decided.
    fn pass(&mut self, now: Timestamp, outcome: Result<Fetched, FetchError>) -> (Report, String) {
        let (_, verdict) = self.verdict(now);
        if let Some(step) = verdict.steps.first() {
            assert!(self.room.learn(
                Recall { memory: &mut self.memory, shared: &mut () },
                step,
                Ok(Answer::Fetched(outcome)),
                now
            ));
        }
        let (observed, verdict) = self.verdict(now);
        (self.written(&observed, &verdict, now), shown(&verdict, now))
    }

    fn restart(&mut self) {
        self.memory = Memory::default();
    }
}

/// As the server does it, by RFC 7386.
fn merge(into: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *into = patch.clone();
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    for (name, value) in fields {
        match value {
            Value::Null => drop(into.as_object_mut().and_then(|object| object.remove(name))),
            value => merge(&mut into[name], value),
        }
    }
}

#[allow(clippy::unnecessary_wraps, reason = "it stands where an outcome is asked for")]
fn good(versions: &[&str]) -> Result<Fetched, FetchError> {
    let packaged = |text: &&str| PackagedVersion {
        version: KubernetesVersion::parse_strict(text).unwrap(),
        package: "1-1".into(),
    };
    let versions: Vec<_> = versions.iter().map(packaged).collect();
    let index = Index { stanzas: 9, kubeadm: versions.len(), versions, skipped: 0 };
    let validators = Validators { etag: Some("\"1\"".to_owned()), last_modified: None };
    Ok(Fetched::Fresh { index, validators, release: None })
}

/// The same, verified.
fn signed(versions: &[&str], signed: Release) -> Result<Fetched, FetchError> {
    good(versions).map(|fetched| match fetched {
        Fetched::Fresh { index, validators, .. } => {
            Fetched::Fresh { index, validators, release: Some(signed) }
        }
        Fetched::NotModified => Fetched::NotModified,
    })
}

#[allow(clippy::unnecessary_wraps, reason = "it stands where an outcome is asked for")]
fn nothing(index: Index) -> Result<Fetched, FetchError> {
    Ok(Fetched::Fresh { index, validators: Validators::default(), release: None })
}

const URL: &str = "https://packages.example/v1.27/deb/Packages";

#[test]
fn the_first_fetch_is_at_once_and_its_versions_are_written() {
    let mut story = Story::new(json!({"url": URL, "architecture": "amd64"}));
    let (_, verdict) = story.verdict(at(0));
    assert_eq!(
        shown(&verdict, at(0)),
        "step: fetch https://packages.example/v1.27/deb/Packages\nwait: Fetching - the repository is being read"
    );
    assert!(!runtime::room::Step::writes(&verdict.steps[0]), "a dry run fetches as well");
    let (report, decided) = story.pass(at(0), good(&["v1.27.0", "v1.27.1"]));
    assert!(decided.starts_with("done\nagain in 6"), "{decided}");
    let status = report.status.unwrap();
    assert_eq!(status["versions"], json!(["v1.27.0", "v1.27.1"]));
    assert_eq!(conditions(&status), "Ready=True/VersionsFound");
    assert_eq!(status["conditions"][0]["message"], "2 versions, the newest v1.27.1");
    let note = &report.notes[0];
    assert_eq!((note.severity.name(), note.reason), ("Normal", "VersionsFound"));
    assert_eq!(note.message, "found v1.27.0, v1.27.1");
}

#[test]
fn an_unchanged_result_is_not_written_again() {
    let mut story = Story::new(json!({"url": URL}));
    story.pass(at(0), good(&["v1.27.0"]));
    for (seconds, again) in [(100, Ok(Fetched::NotModified)), (200, good(&["v1.27.0"]))] {
        let (_, verdict) = story.verdict(at(seconds));
        assert_eq!(shown(&verdict, at(0)).lines().next(), Some(&*format!("step: fetch {URL} if it changed")));
        assert_eq!(story.pass(at(seconds), again).0, Report::default());
    }
    // Neither does a pass between two fetches, nor a restart.
    assert_eq!(story.pass(at(210), good(&["v9.9.9"])).0, Report::default());
    story.restart();
    assert_eq!(story.pass(at(220), good(&["v1.27.0"])).0, Report::default());
}

#[test]
fn an_event_names_what_came_and_what_went() {
    let mut story = Story::new(json!({"url": URL}));
    story.pass(at(0), good(&["v1.27.0", "v1.27.1"]));
    let (report, _) = story.pass(at(100), good(&["v1.27.1", "v1.27.2"]));
    assert_eq!(report.notes[0].message, "found v1.27.2; no longer there: v1.27.0");
    let many: Vec<String> = (0..15).map(|patch| format!("v1.27.{patch}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let (report, _) = Story::new(json!({"url": URL})).pass(at(0), good(&many));
    assert!(report.notes[0].message.ends_with("v1.27.14 and 5 older"), "{}", report.notes[0].message);
}

#[test]
fn a_malformed_or_deleted_source_is_not_fetched() {
    let mut story = Story::new(json!({"url": 7}));
    let (report, decided) = story.pass(at(0), good(&["v1.27.0"]));
    assert!(decided.starts_with("failed: Malformed - spec: "), "{decided}");
    assert_eq!(conditions(&report.status.unwrap()), "Ready=False/Malformed Stalled=True/Malformed");
    let mut story = Story::new(json!({"url": URL}));
    story.object["metadata"]["deletionTimestamp"] = json!("2026-11-21T10:00:00Z");
    assert_eq!(story.pass(at(0), good(&["v1.27.0"])), (Report::default(), "done".to_owned()));
}

/// What may be secret in a URL is not shown.
#[test]
fn a_step_shows_neither_credentials_nor_a_query() {
    for (url, shown) in [
        ("https://me:secret@host:8443/a/Packages?token=secret#x", "fetch https://host:8443/a/Packages"),
        ("https://host", "fetch https://host/"),
        ("nonsense", "fetch ://nonsense/"),
    ] {
        let mut story = Story::new(json!({"url": url}));
        assert_eq!(story.verdict(at(0)).1.steps[0].to_string(), shown);
    }
}

/// Answers with what it is given, in order, and keeps what it was asked.
struct Scripted(Mutex<Vec<(Request, Result<Fetched, FetchError>)>>);

impl Repository for Scripted {
    fn fetch<'a, 'b, 'c>(
        &'a self,
        request: &'b Request,
    ) -> Pin<Box<dyn Future<Output = Result<Fetched, FetchError>> + Send + 'c>>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        let (asked, answer) = self.0.lock().unwrap().remove(0);
        assert_eq!(*request, asked);
        Box::pin(async { answer })
    }
}

#[tokio::test]
async fn a_step_asks_the_repository_and_a_failure_is_an_answer() {
    let mut story = Story::new(json!({"url": URL, "architecture": "arm64"}));
    story.pass(at(0), good(&["v1.27.0"]));
    let (_, verdict) = story.verdict(at(100));
    let validators = Validators { etag: Some("\"1\"".to_owned()), last_modified: None };
    let asked =
        Request { url: URL.to_owned(), architecture: "arm64".to_owned(), validators, ..Request::default() };
    let repository = Scripted(Mutex::new(vec![(asked, Err(FetchError::Timeout))]));
    let mut room = story.room;
    room.repository = Arc::new(repository);
    let (applied, sent) = testkit::talk(&room, &[], &[], verdict.steps[0].clone()).await;
    assert!(format!("{applied:?}").contains("Err(Timeout)"), "{applied:?}");
    assert_eq!(sent, Vec::<String>::new(), "the API server is not asked");
}
