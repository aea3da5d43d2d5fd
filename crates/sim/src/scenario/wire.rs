//! The `spec` of a `Simulation`, as it is written.

use std::time::Duration;

use domain::object::ObjectKey;
use domain::version::KubernetesVersion;
use jiff::{Span, SpanRelativeTo, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use super::{Happening, Refusing, Scenario, Source, Target, kind_of};
use crate::world::clusters::Roll;
use crate::world::{REPOSITORY, USER, releases};

const DEFAULT_NAMESPACE: &str = "default";
const DEFAULT_WEBHOOK: &str = "policy.example.org";

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
struct Wire {
    start: Option<Timestamp>,
    duration: Option<String>,
    seed: Option<u64>,
    build: Option<String>,
    roll: Option<RollWire>,
    #[serde(rename = "clusterAPI")]
    cluster_api: Option<bool>,
    namespace: Option<Box<str>>,
    dry_run: bool,
    releases: Vec<ReleaseWire>,
    events: Vec<EventWire>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum RollWire {
    Time(String),
    Per(PerWire),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PerWire {
    per_cluster: Option<String>,
    per_machine: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReleaseWire {
    version: String,
    at: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EventWire {
    at: String,
    by: Option<Box<str>>,
    publish: Option<String>,
    merge: Option<MergeWire>,
    create: Option<Value>,
    delete: Option<TargetWire>,
    refuse: Option<RefuseWire>,
    stall: Option<NameWire>,
    resume: Option<NameWire>,
    fail_builds: Option<u32>,
    outage: Option<SourceWire>,
    back: Option<SourceWire>,
    pause: Option<TargetWire>,
    unpause: Option<TargetWire>,
    rebuild_image: Option<ImageWire>,
    restart: Option<Nothing>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TargetWire {
    kind: Box<str>,
    namespace: Option<Box<str>>,
    name: Box<str>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MergeWire {
    kind: Box<str>,
    namespace: Option<Box<str>>,
    name: Box<str>,
    patch: Value,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NameWire {
    namespace: Option<Box<str>>,
    name: Box<str>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ImageWire {
    namespace: Option<Box<str>>,
    name: Box<str>,
    id: Box<str>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RefuseWire {
    kind: Box<str>,
    namespace: Option<Box<str>>,
    name: Option<Box<str>>,
    message: Box<str>,
    webhook: Option<Box<str>>,
    until: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceWire {
    namespace: Option<Box<str>>,
    source: Option<Box<str>>,
    url: Option<Box<str>>,
    error: Option<Box<str>>,
}

/// A scenario as its `spec` says; names the field that cannot be read.
pub(super) fn read(spec: Value, start: Timestamp) -> Result<Scenario, String> {
    let mut scenario = Scenario { start, ..Scenario::default() };
    if !spec.is_null() {
        let wire: Wire = serde_json::from_value(spec).map_err(|error| format!("spec: {error}"))?;
        wire.fill(&mut scenario)?;
    }
    Ok(scenario)
}

impl Wire {
    fn fill(self, scenario: &mut Scenario) -> Result<(), String> {
        if let Some(start) = self.start {
            scenario.start = start;
        }
        let start = scenario.start;
        if let Some(text) = &self.duration {
            scenario.until = duration(text).map_err(|error| format!("spec.duration: {error}"))?;
        }
        scenario.seed = self.seed.unwrap_or(scenario.seed);
        if let Some(text) = &self.build {
            scenario.build = duration(text).map_err(|error| format!("spec.build: {error}"))?;
        }
        if let Some(roll) = self.roll {
            scenario.roll = roll.read().map_err(|error| format!("spec.roll: {error}"))?;
        }
        scenario.cluster_api = self.cluster_api.unwrap_or(scenario.cluster_api);
        scenario.namespace = self.namespace;
        scenario.dry_run = self.dry_run;
        for (place, ReleaseWire { version, at }) in self.releases.into_iter().enumerate() {
            let read = || Ok((when(&at, start)?, published(&version)?));
            scenario
                .releases
                .push(read().map_err(|error: String| format!("spec.releases[{place}]: {error}"))?);
        }
        for (place, event) in self.events.into_iter().enumerate() {
            let event = event.read(start).map_err(|error| format!("spec.events[{place}]: {error}"))?;
            scenario.events.push(event);
        }
        Ok(())
    }
}

impl RollWire {
    fn read(self) -> Result<Roll, String> {
        match self {
            Self::Time(text) => duration(&text).map(Roll::PerCluster),
            Self::Per(PerWire { per_cluster: Some(text), per_machine: None }) => {
                duration(&text).map(Roll::PerCluster)
            }
            Self::Per(PerWire { per_cluster: None, per_machine: Some(text) }) => {
                duration(&text).map(Roll::PerMachine)
            }
            Self::Per(_) => Err("one of perCluster and perMachine is needed".to_owned()),
        }
    }
}

impl EventWire {
    fn read(self, start: Timestamp) -> Result<(Timestamp, Box<str>, Happening), String> {
        let at = when(&self.at, start)?;
        let mut found: Vec<Happening> = Vec::new();
        let mut by: &str = USER;
        if let Some(version) = self.publish {
            by = REPOSITORY;
            found.push(Happening::Publish(published(&version)?));
        }
        if let Some(MergeWire { kind, namespace, name, patch }) = self.merge {
            let target = TargetWire { kind, namespace, name }.read();
            found.push(Happening::Merge { target, patch });
        }
        if let Some(object) = self.create {
            let (_, version, kind) = kind_of(&object);
            if version.is_empty() || kind.is_empty() || object["metadata"]["name"].as_str().is_none() {
                return Err("create needs apiVersion, kind and metadata.name".to_owned());
            }
            found.push(Happening::Create(object));
        }
        found.extend(self.delete.map(|target| Happening::Delete(target.read())));
        found.extend(self.pause.map(|target| Happening::Pause(target.read())));
        found.extend(self.unpause.map(|target| Happening::Unpause(target.read())));
        if let Some(RefuseWire { kind, namespace, name, message, webhook, until }) = self.refuse {
            let webhook = webhook.unwrap_or_else(|| DEFAULT_WEBHOOK.into());
            // A name alone is one in the usual namespace.
            let namespace = namespace.or_else(|| name.as_ref().map(|_| DEFAULT_NAMESPACE.into()));
            let until = when(&until, start)?;
            found.push(Happening::Refuse(Refusing { webhook, kind, namespace, name, message, until }));
        }
        found.extend(self.stall.map(|name| Happening::Stall(name.read())));
        found.extend(self.resume.map(|name| Happening::Resume(name.read())));
        found.extend(self.fail_builds.map(Happening::FailBuilds));
        if let Some(wire) = self.outage {
            let error = wire.error.clone().unwrap_or_else(|| "Timeout".into());
            if releases::error_named(&error).is_none() {
                return Err(format!("outage: no error is named {error}; there are {}", releases::ERRORS));
            }
            found.push(Happening::Outage { source: wire.read()?, error });
        }
        if let Some(wire) = self.back {
            found.push(Happening::Back(wire.read()?));
        }
        if let Some(ImageWire { namespace, name, id }) = self.rebuild_image {
            found.push(Happening::RebuildImage { key: NameWire { namespace, name }.read(), id });
        }
        found.extend(self.restart.map(|_| Happening::Restart));
        if let Some(Happening::Outage { .. } | Happening::Back(_)) = found.last() {
            by = REPOSITORY;
        }
        let mut found = found.into_iter();
        match (found.next(), found.next()) {
            (Some(happening), None) => Ok((at, self.by.unwrap_or_else(|| by.into()), happening)),
            (None, _) => Err("says when, and not what happens".to_owned()),
            (Some(_), Some(_)) => Err("one thing at a time: several are named".to_owned()),
        }
    }
}

impl TargetWire {
    fn read(self) -> Target {
        let namespace = self.namespace.unwrap_or_else(|| DEFAULT_NAMESPACE.into());
        Target { kind: self.kind, namespace, name: self.name }
    }
}

impl NameWire {
    fn read(self) -> ObjectKey {
        ObjectKey::new(self.namespace.unwrap_or_else(|| DEFAULT_NAMESPACE.into()), self.name)
    }
}

impl SourceWire {
    fn read(self) -> Result<Source, String> {
        match (self.source, self.url) {
            (Some(name), None) => Ok(Source::Object(NameWire { namespace: self.namespace, name }.read())),
            (None, Some(url)) => Ok(Source::Url(url)),
            _ => Err("one of source and url is needed".to_owned()),
        }
    }
}

fn published(version: &str) -> Result<Box<str>, String> {
    let read = KubernetesVersion::parse_lenient(version);
    read.map(|version| version.to_string().into()).map_err(|error| error.to_string())
}

/// A duration such as `90m`, `2d` or `1d 12h`; a day has 24 hours.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let unreadable = || format!("{text:?} is no duration such as 90m, 2d or 1d 12h");
    let span: Span = text.parse().map_err(|_| unreadable())?;
    let signed = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| unreadable())?;
    Duration::try_from(signed).map_err(|_| unreadable())
}

/// An instant, or a duration since the start.
pub fn when(text: &str, start: Timestamp) -> Result<Timestamp, String> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let since = duration(text.trim_start_matches('+'));
    let since =
        since.map_err(|_| format!("{text:?} is neither an instant nor a duration since the start"))?;
    Ok(runtime::clock::after(start, since))
}
