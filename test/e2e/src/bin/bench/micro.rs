//! What is done inside one process, measured in ours.

use api::capi::cluster::{self, ClusterRow};
use api::capi::cluster_class::ClusterClassRow;
use api::upgrader::cluster_upgrader::UpgraderRow;
use api::upgrader::machine_image::MachineImageRow;
use api::upgrader::plan::PlanRow;
use chain::cluster_upgrader::{Fleet, Memory, UpgraderRoom};
use domain::object::{Row, WireMeta};
use e2e::{Error, Result, Stopwatch};
use jiff::Timestamp;
use runtime::room::{Recall, Room as _};
use runtime::store::{Availability, Store, TableId};
use serde_json::{Value, json};
use sources::debian::{End, IndexReader};

use crate::figures::Figures;
use crate::status::Phase;
use crate::{fleet, index, status};

const STANZAS: usize = 10_000;
const PIECE: usize = 16 * 1024;
const READS: usize = 30;
const CLUSTERS: u32 = 2_000;
const ROUNDS: usize = 9;

/// All of it.
pub(crate) fn measure(figures: &mut Figures) -> Result<()> {
    figures.put("index", index()?);
    figures.put("decision_rest", decision(fleet::FROM)?);
    figures.put("decision_hop", decision(fleet::TO)?);
    Ok(())
}

/// Milliseconds to read an index.
fn index() -> Result<f64> {
    let text = index::of(STANZAS);
    let unusable = |error| Error::Unexpected(format!("the index of the bench: {error}"));
    let mut times = Vec::with_capacity(READS);
    for _ in 0..READS {
        let watch = Stopwatch::start();
        let mut reader = IndexReader::new("amd64", u64::MAX);
        for piece in text.as_bytes().chunks(PIECE) {
            reader.push(piece).map_err(unusable)?;
        }
        let index = reader.finish(End::Framed).map_err(unusable)?;
        times.push(watch.elapsed().as_secs_f64() * 1e3);
        if index.stanzas != STANZAS {
            return Err(Error::Unexpected(format!("{} stanzas were read of {STANZAS}", index.stanzas)));
        }
    }
    Ok(median(times))
}

/// Microseconds for one decision, where the plan's result is `version`.
fn decision(version: &str) -> Result<f64> {
    let store = store(version)?;
    let room = UpgraderRoom::default();
    let mut now = Timestamp::UNIX_EPOCH;
    let mut times = Vec::with_capacity(ROUNDS);
    let mut fleet = Fleet::default();
    let mut memories: Vec<Memory> = (0..CLUSTERS).map(|_| Memory::default()).collect();
    let (mut waits, mut steps) = (0, 0);
    for _ in 0..ROUNDS {
        // Later than what is awaited for a moment.
        now += std::time::Duration::from_secs(60);
        let rows = store.table::<UpgraderRow>(&TableId::of::<UpgraderRow>());
        let watch = Stopwatch::start();
        for (row, memory) in rows.into_iter().flat_map(runtime::store::Table::iter).zip(&mut memories) {
            let recall = Recall { memory, shared: &mut fleet };
            let observed = room.observe(store.snapshot(), row, recall, now);
            let verdict = room.decide(&observed, now);
            let report = room.report(&observed, &verdict, now);
            waits += usize::from(verdict.then.because().is_some());
            steps += verdict.steps.len();
            drop(report);
        }
        times.push(watch.elapsed().as_secs_f64() * 1e6 / f64::from(CLUSTERS));
    }
    // What has no step to take and nothing to wait for has been decided otherwise than it is called.
    let moves = version != fleet::FROM;
    if moves != (steps > 0) {
        return Err(Error::Unexpected(format!("decisions at {version}: {steps} steps, {waits} waits")));
    }
    Ok(median(times))
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// The fleet as the caches hold it.
fn store(version: &str) -> Result<Store> {
    let mut store = Store::default();
    let mut class = fleet::class();
    merge(&mut class, fleet::class_status());
    put::<ClusterClassRow>(&mut store, class, 0)?;
    for (number, image) in fleet::images().enumerate() {
        put::<MachineImageRow>(&mut store, image, number)?;
    }
    for version in [fleet::FROM, fleet::TO] {
        let image = json!({
            "metadata": {"name": format!("made-{version}")},
            "spec": {"version": version, "id": fleet::image_id(version), "jobTemplate": {"spec": {}}},
        });
        put::<MachineImageRow>(&mut store, image, 0)?;
    }
    let mut plan = fleet::plan();
    merge(
        &mut plan,
        json!({"status": {
            "machineImageDetails": {"version": version, "id": fleet::image_id(version)},
            "machineImageRef": {"name": format!("made-{version}"), "uid": uid(&format!("made-{version}"))},
            "observedGeneration": 1,
        }}),
    );
    put::<PlanRow>(&mut store, plan, 0)?;
    let kept = Availability::Synced { api_version: cluster::KIND.api_version().into() };
    for number in 0..CLUSTERS {
        let mut cluster = fleet::cluster(number);
        merge(&mut cluster, status::of(1, fleet::FROM, Phase::AtRest));
        put::<ClusterRow>(&mut store, cluster, 0)?;
        let name = fleet::name(number);
        put::<UpgraderRow>(&mut store, fleet::upgrader(&name, &name), 0)?;
    }
    store.set::<ClusterRow>(&TableId::of::<ClusterRow>(), kept.clone());
    store.set::<ClusterClassRow>(&TableId::of::<ClusterClassRow>(), kept);
    Ok(store)
}

/// What a server would add is added.
fn put<R: Row>(store: &mut Store, mut object: Value, number: usize) -> Result<()> {
    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let meta = json!({"metadata": {
        "namespace": fleet::NAMESPACE, "uid": uid(&name), "resourceVersion": (number + 1).to_string(),
        "generation": 1, "creationTimestamp": "2026-11-20T10:00:00Z",
    }});
    merge(&mut object, meta);
    let unusable = |error| Error::Unexpected(format!("{name}: {error}"));
    let meta: WireMeta = serde_json::from_value(object["metadata"].clone()).map_err(unusable)?;
    let wire: R::Wire = serde_json::from_value(object).map_err(unusable)?;
    store.put(&TableId::of::<R>(), R::from_wire(&meta, wire));
    Ok(())
}

fn uid(name: &str) -> String {
    format!("00000000-0000-4000-8000-{name}")
}

fn merge(into: &mut Value, other: Value) {
    match (into, other) {
        (Value::Object(into), Value::Object(other)) => {
            for (key, value) in other {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, other) => *into = other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fleet_is_what_decisions_take_for_it() {
        assert!(decision(fleet::FROM).unwrap() > 0.0);
        assert!(decision(fleet::TO).unwrap() > 0.0);
    }

    #[test]
    fn the_index_is_read_whole() {
        assert!(index().unwrap() > 0.0);
    }
}
