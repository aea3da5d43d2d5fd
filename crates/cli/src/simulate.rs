//! `simulate`: what the controllers would do, in order. The controllers themselves run, on a simulated cluster and clock.

use std::collections::BTreeMap;
use std::time::Duration;

use api::batch::job;
use api::capi::{cluster, cluster_class};
use api::upgrader::{self, cluster_upgrader};
use domain::version::KubernetesVersion;
use jiff::{Span, SpanRelativeTo, Timestamp};
use runtime::clock::Clock;
use serde_json::{Value, json};
use sim::scenario::{self, Scenario};
use sim::{Roll, Timeline};

use crate::args::{self, Flags};
use crate::lint::{self, crds::Crds};
use crate::manifests::{self, Faults, Manifest};
use crate::object::{Id, Object};
use crate::screen::Screen;
use crate::source;
use crate::state::State;
use crate::{End, Failure, kinds, output};

pub(crate) fn run(flags: &Flags, verb: &args::Simulate, screen: &mut Screen<'_>) -> Result<End, Failure> {
    if verb.files.is_empty() && !verb.from_cluster {
        return Err("say what to begin with: manifests by -f, or --from-cluster".into());
    }
    let mut objects = BTreeMap::new();
    let mut scenario = given(flags, verb, &mut objects)?;
    if verb.from_cluster {
        let look = source::look(
            &Flags { output: flags.output, ..flags.clone() },
            &args::From::default(),
            &[upgrader::KINDS.as_slice(), &[cluster::KIND, cluster_class::KIND]].concat(),
            &[job::KIND],
        )?;
        for object in look.world.objects().filter(|object| takes_part(object)) {
            objects.entry(object.id.clone()).or_insert_with(|| object.body.clone());
        }
        for sentence in &look.world.missing {
            screen.complain(sentence);
        }
    }
    scenario.objects = objects.into_values().collect();
    screen.progress(&format!("simulating {} objects…", scenario.objects.len()));
    let timeline = sim::run(&scenario);
    screen.progress("");
    let timeline = timeline.map_err(|error| error.to_string())?;
    output::print(&timeline, flags.output, screen, |_| timeline.to_string())?;
    Ok(end(&timeline))
}

/// The scenario of the files and flags, without the objects, which go into `objects`.
fn given(
    flags: &Flags,
    verb: &args::Simulate,
    objects: &mut BTreeMap<Id, Value>,
) -> Result<Scenario, Failure> {
    let (read, wrong) = manifests::read_all(&verb.files);
    // With a cluster there is something to begin with, whatever the files hold.
    let mut faults = Faults(if verb.files.is_empty() { Vec::new() } else { wrong });
    let crds = Crds::load()?;
    let (simulations, others): (Vec<Manifest>, Vec<Manifest>) =
        read.into_iter().partition(lint::is_simulation);
    for manifest in &others {
        faults.0.extend(lint::check(&crds, manifest)?);
    }
    for manifest in simulations.iter().skip(1) {
        faults.0.push(manifest.fault("", format!("there is a {} already", scenario::KIND)));
    }
    let now = Clock::system(0).now().round(jiff::Unit::Second).unwrap_or_default();
    let start = verb.start.unwrap_or(now);
    let mut scenario = Scenario { start, ..Scenario::default() };
    if let Some(manifest) = simulations.first() {
        let mut spec = manifest.body.get("spec").cloned().unwrap_or_default();
        // What the spec says of times is counted from the start, so the flag takes its place and not that of the result.
        if let (Some(start), Some(fields)) = (verb.start, spec.as_object_mut()) {
            fields.insert("start".to_owned(), json!(start));
        }
        match Scenario::of_spec(spec, start) {
            Ok(read) => scenario = read,
            Err(reason) => faults.0.push(manifest.fault(&blamed(manifest, &reason), reason)),
        }
    }
    if !faults.0.is_empty() {
        return Err(faults.to_string().into());
    }
    for manifest in others {
        let namespace = flags.namespace.as_deref().unwrap_or("default");
        if let Some(object) = placed(manifest.body, namespace) {
            objects.insert(object.id.clone(), object.body);
        }
    }
    if let Some(until) = &verb.until {
        scenario.until = until_of(until, scenario.start)?;
    }
    if let Some(build) = &verb.build {
        scenario.build = duration("--build", build)?;
    }
    if let Some(roll) = &verb.roll {
        scenario.roll = Roll::PerCluster(duration("--roll", roll)?);
    }
    if let Some(seed) = verb.seed {
        scenario.seed = seed;
    }
    for release in &verb.release {
        scenario.releases.push(release_of(release, scenario.start)?);
    }
    Ok(scenario)
}

/// The field that an error of a Simulation speaks of, as a JSON pointer.
fn blamed(manifest: &Manifest, reason: &str) -> String {
    let unknown = reason.split_once("unknown field `").and_then(|(_, rest)| rest.split_once('`'));
    if let Some(pointer) = unknown.and_then(|(field, _)| manifest.field(field)) {
        return pointer.to_owned();
    }
    let path = reason.split(": ").next().unwrap_or_default();
    format!("/{}", path.replace(['.', '['], "/").replace(']', ""))
}

/// An object in the namespace that it is applied to.
fn placed(mut body: Value, namespace: &str) -> Option<Object> {
    let object = Object::read(body.clone())?;
    if object.id.key.namespace.is_empty() && kinds::of(&object.id.group, &object.id.kind).is_some() {
        body["metadata"]["namespace"] = json!(namespace);
    }
    Object::read(body)
}

/// Jobs that build no image are no part of it.
fn takes_part(object: &Object) -> bool {
    let builds =
        object.meta.owner_references.iter().any(|owner| *owner.kind == *upgrader::machine_image::KIND.kind);
    !object.id.is(job::KIND) || builds
}

fn duration(flag: &str, text: &str) -> Result<Duration, Failure> {
    let wrong = || format!("{flag}: {text:?} is no duration such as 20m or 30d");
    let span: Span = text.parse().map_err(|_| wrong())?;
    let signed = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    Ok(Duration::try_from(signed).map_err(|_| wrong())?)
}

/// A duration, or the instant at which it ends.
fn until_of(text: &str, start: Timestamp) -> Result<Duration, Failure> {
    match text.parse::<Timestamp>() {
        Ok(end) => Duration::try_from(end.duration_since(start))
            .map_err(|_| format!("--until: {end} is before the start, {start}").into()),
        Err(_) => duration("--until", text),
    }
}

/// `v1.37.0@2026-12-09T12:00Z`, or `v1.37.0@2d` since the start.
fn release_of(text: &str, start: Timestamp) -> Result<(Timestamp, Box<str>), Failure> {
    let (version, at) = text.split_once('@').ok_or_else(|| {
        format!("--release: {text:?} is not VERSION@TIME, such as v1.37.0@2026-12-09T12:00Z")
    })?;
    KubernetesVersion::parse_strict(version).map_err(|error| format!("--release: {error}"))?;
    let at = scenario::when(at, start).map_err(|error| format!("--release: {error}"))?;
    Ok((at, version.into()))
}

/// How it ends for the Cluster that is worst off.
fn end(timeline: &Timeline) -> End {
    let not_done = timeline.outcomes.iter().filter(|outcome| !outcome.is_done());
    let state = |reason: Option<&str>| {
        let known = cluster_upgrader::Reason::ALL
            .iter()
            .find(|known| Some(domain::verdict::Reason::name(**known)) == reason);
        known.map_or(State::Waiting, |known| State::of_actor(known.actor()))
    };
    not_done.map(|outcome| state(outcome.reason.as_deref()).end()).max().unwrap_or_default()
}
