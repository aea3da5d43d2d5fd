//! What happens to the manager with one number of Clusters, and what is measured of it.

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use e2e::{Error, Result, Stopwatch};
use jiff::Timestamp;

use crate::figures::Figures;
use crate::fleet;
use crate::requests::{Requests, received, seconds, span};
use crate::stage::{Mark, Stage};
use crate::status::Phase;

/// How long nothing must be asked for, to be taken for done.
const QUIET: Duration = Duration::from_secs(3);
/// How long a manager without any object is looked at.
const EMPTY: Duration = Duration::from_secs(60);
/// How long one with few Clusters is looked at while nothing happens.
const SHORT: Duration = Duration::from_secs(20);

const CLUSTERS: &str = "clusters";
const UPGRADERS: &str = "clusterclassclusterupgraders";
const UPGRADERS_STATUS: &str = "clusterclassclusterupgraders/status";

/// The size of the binary.
pub(crate) fn binary(program: &Path, figures: &mut Figures) -> Result<()> {
    let found = std::fs::metadata(program)
        .map_err(|source| Error::System { what: format!("look at {}", program.display()), source })?;
    figures.put("binary", bytes(found.len()) / 1e6);
    Ok(())
}

/// Everything, with so many Clusters; `long` is how long it is looked at while nothing happens, where it is more than a
/// moment.
pub(crate) async fn run(clusters: u32, long: Option<Duration>) -> Result<Figures> {
    let mut figures = Figures::default();
    let mut stage = progress("control plane", Box::pin(Stage::set())).await?;
    let mark = stage.start_manager().await?;
    stage.await_requests("the caches are full", mark, |ours| ours.of("watch", UPGRADERS).count() > 0).await?;
    stage.await_quiet(QUIET).await?;
    if long.is_some() {
        progress("empty", empty(&mut stage, &mut figures)).await?;
    }
    stage.create_chain().await?;
    stage.stop_manager().await?;
    let size = progress("objects", stage.create_fleet(clusters)).await?;
    figures.put("cluster_kb", bytes(size as u64) / 1e3);
    progress("first start", first_start(&mut stage, clusters, &mut figures)).await?;
    progress("idle", idle(&mut stage, long.unwrap_or(SHORT), &mut figures)).await?;
    progress("roll", roll(&mut stage, clusters, &mut figures)).await?;
    progress("machines move", moving(&mut stage, clusters, &mut figures)).await?;
    progress("converge", converge(&mut stage, clusters, &mut figures)).await?;
    progress("restart", restart(&mut stage, &mut figures)).await?;
    stage.clear().await?;
    Ok(figures)
}

async fn progress<T>(what: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    let watch = Stopwatch::start();
    let outcome = work.await;
    eprintln!("  {what}: {:.1} s", watch.elapsed().as_secs_f64());
    outcome
}

async fn empty(stage: &mut Stage, figures: &mut Figures) -> Result<()> {
    tokio::time::sleep(EMPTY).await;
    let memory = stage.memory()?;
    figures.put("empty_rss", mib(memory.resident));
    figures.put("empty_peak", mib(memory.peak));
    Ok(())
}

/// From nothing but objects to a status for each, and to the end of all that follows from it.
async fn first_start(stage: &mut Stage, clusters: u32, figures: &mut Figures) -> Result<()> {
    let mark = stage.start_manager().await?;
    let started = stage.manager()?.started();
    stage
        .await_requests("each upgrader has a status", mark, |ours| {
            ours.objects("patch", UPGRADERS_STATUS) >= count(clusters)
        })
        .await?;
    let (cpu, memory) = (stage.cpu()?, stage.memory()?);
    let ours = stage.since(mark)?;
    put_start(ours, started, "start", figures);
    if let Some((_, last)) = span(first_of_each(ours)) {
        figures.put("start_all", seconds(started, last));
    }
    figures.put("start_cpu", cpu);
    figures.put("start_peak", mib(memory.peak));
    stage.await_up_to_date(clusters, fleet::FROM).await?;
    stage.await_quiet(QUIET).await?;
    figures.put("settled_cpu", stage.cpu()?);
    let ours = stage.since(mark)?;
    figures.count("first start, until up to date", ours);
    Ok(())
}

/// The first status of each upgrader.
fn first_of_each(ours: Requests<'_>) -> impl Iterator<Item = &controlplane::AuditEvent> {
    let mut seen = std::collections::BTreeSet::new();
    ours.of("patch", UPGRADERS_STATUS).filter(move |event| seen.insert(event.name.as_str()))
}

/// When the caches were full, and when the first decision was seen: the first write that is none of the lease.
fn put_start(ours: Requests<'_>, started: Timestamp, phase: &str, figures: &mut Figures) {
    let writes = span(ours.0.iter().filter(|event| event.is_write() && event.resource != "leases"));
    let Some((first, _)) = writes else { return };
    let fills = ours.of_verb("list").chain(ours.of_verb("watch"));
    let before = fills.filter(|event| received(event).is_some_and(|time| time <= first));
    if let Some((_, full)) = span(before) {
        figures.put(&format!("{phase}_caches"), seconds(started, full));
        figures.put(&format!("{phase}_first"), seconds(started, first));
        figures.put(&format!("{phase}_decision"), seconds(full, first));
    }
}

async fn idle(stage: &mut Stage, time: Duration, figures: &mut Figures) -> Result<()> {
    let (mark, cpu) = (stage.mark()?, stage.cpu()?);
    tokio::time::sleep(time).await;
    let (used, memory) = (stage.cpu()? - cpu, stage.memory()?);
    let ours = stage.since(mark)?;
    let minutes = time.as_secs_f64() / 60.0;
    let leases = ours.0.iter().filter(|event| event.resource == "leases").count();
    let watches = ours.of_verb("watch").count();
    figures.put("idle_requests", number(ours.others().count()) / minutes);
    figures.put("idle_leases", number(leases) / minutes);
    figures.put("idle_watches", number(watches) / minutes);
    figures.put("idle_cpu", used / minutes);
    figures.put("idle_rss", mib(memory.resident));
    figures.put("idle_peak", mib(memory.peak));
    figures.count("idle", ours);
    Ok(())
}

/// A new package, until every Cluster is set and all of it is told. Cluster API is silent meanwhile.
async fn roll(stage: &mut Stage, clusters: u32, figures: &mut Figures) -> Result<()> {
    let (mark, cpu) = (stage.mark()?, stage.cpu()?);
    let published = now();
    stage.publish().await?;
    let all = count(clusters);
    stage
        .await_requests("every Cluster is set and its upgrader says so", mark, |ours| {
            ours.objects("patch", CLUSTERS) >= all && ours.objects("patch", UPGRADERS_STATUS) >= all
        })
        .await?;
    stage.await_quiet(QUIET).await?;
    let (used, memory) = (stage.cpu()? - cpu, stage.memory()?);
    let ours = stage.since(mark)?;
    let plan = span(ours.of("patch", "plans/status"));
    if let (Some((first, last)), Some((planned, _))) = (span(ours.of("patch", CLUSTERS)), plan) {
        figures.put("published_first", seconds(published, first));
        figures.put("published_last", seconds(published, last));
        figures.put("roll_first", seconds(planned, first));
        figures.put("roll_last", seconds(planned, last));
    }
    put_per_cluster(ours, clusters, "roll", figures);
    figures.put("roll_reads", number(ours.of("get", "machineimages").count()));
    figures.put("roll_cpu", used);
    figures.put("roll_peak", mib(memory.peak));
    figures.count("one new version, until all Clusters are set", ours);
    Ok(())
}

/// What concerns a Cluster: writes of it, of its upgrader and its Events.
fn put_per_cluster(ours: Requests<'_>, clusters: u32, phase: &str, figures: &mut Figures) {
    let of_clusters = ours
        .others()
        .filter(|event| matches!(event.resource.as_str(), CLUSTERS | UPGRADERS | "events" | "machineimages"));
    figures.put(&format!("{phase}_per_cluster"), number(of_clusters.count()) / f64::from(clusters));
}

/// Cluster API begins to replace machines, and says so of each Cluster.
async fn moving(stage: &mut Stage, clusters: u32, figures: &mut Figures) -> Result<()> {
    let (mark, cpu) = (stage.mark()?, stage.cpu()?);
    stage.say_all(clusters, fleet::FROM, Phase::Rolling).await?;
    stage.await_quiet(QUIET).await?;
    figures.put("moving_cpu", stage.cpu()? - cpu);
    let ours = stage.since(mark)?;
    figures.put("moving_requests", number(ours.others().count()));
    figures.count("machines move", ours);
    Ok(())
}

/// All machines of all Clusters are there.
async fn converge(stage: &mut Stage, clusters: u32, figures: &mut Figures) -> Result<()> {
    let (mark, cpu) = (stage.mark()?, stage.cpu()?);
    stage.say_all(clusters, fleet::TO, Phase::AtRest).await?;
    stage.await_up_to_date(clusters, fleet::TO).await?;
    stage.await_quiet(QUIET).await?;
    let memory = stage.memory()?;
    figures.put("converge_cpu", stage.cpu()? - cpu);
    figures.put("after_rss", mib(memory.resident));
    figures.put("after_peak", mib(memory.peak));
    let ours = stage.since(mark)?;
    put_per_cluster(ours, clusters, "converge", figures);
    figures.count("all Clusters have converged", ours);
    Ok(())
}

/// The next process finds everything done but for one upgrader.
async fn restart(stage: &mut Stage, figures: &mut Figures) -> Result<()> {
    stage.stop_manager().await?;
    stage.create_late_upgrader().await?;
    let mark: Mark = stage.start_manager().await?;
    let started = stage.manager()?.started();
    stage
        .await_requests("the late upgrader has a status", mark, |ours| {
            ours.objects("patch", UPGRADERS_STATUS) > 0
        })
        .await?;
    stage.await_quiet(QUIET).await?;
    figures.put("restart_cpu", stage.cpu()?);
    figures.put("restart_peak", mib(stage.memory()?.peak));
    let ours = stage.since(mark)?;
    put_start(ours, started, "restart", figures);
    figures.put("restart_requests", number(ours.0.len()));
    figures.count("restart", ours);
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "compared with the times of the audit log; nothing is decided by it"
)]
fn now() -> Timestamp {
    Timestamp::now()
}

fn count(clusters: u32) -> usize {
    usize::try_from(clusters).unwrap_or(usize::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "no count here has more than 52 bits")]
fn number(count: usize) -> f64 {
    count as f64
}

#[expect(clippy::cast_precision_loss, reason = "no file here has more than 52 bits of length")]
fn bytes(count: u64) -> f64 {
    count as f64
}

fn mib(kib: u64) -> f64 {
    bytes(kib) / 1024.0
}
