//! `preflight`: everything that must hold before a Cluster is moved, asked before anything is written.
//!
//! The conditions are those of the controller itself, over objects that were read once; the last is the server's dry run
//! of the very write.

use api::capi::cluster::{self, ClusterRow};
use api::capi::cluster_class::{self, ClusterClassRow};
use api::upgrader::cluster_upgrader::{self, UpgraderRow};
use api::upgrader::machine_image::{self, MachineImageRow};
use api::upgrader::plan::{self, PlanRow};
use chain::cluster_upgrader::{Outcome, Policy, Preflight, Write, preflight};
use domain::object::{Kind, Row};
use domain::version::KubernetesVersion;
use runtime::answer::Refusal;
use runtime::store::{Availability, Store, TableId};
use serde::Serialize;
use serde_json::{Value, json};

use crate::args::{self, Flags};
use crate::client::Live;
use crate::object::{Id, Object};
use crate::screen::Screen;
use crate::source::{self, Look, on_this_thread};
use crate::state::{State, one_line};
use crate::table::{self, Cell};
use crate::{End, Failure, output};

/// Name of the condition that the server answers.
const DRY_RUN: &str = "ServerAccepts";
/// Name of the condition on what comes after the next hop.
const WAY: &str = "WholeWay";
const DRY_RUN_SENTENCE: &str = "the server accepts the write (a dry run)";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    namespace: String,
    cluster: String,
    /// The upgrader whose fields count; none where the Cluster has none.
    upgrader: Option<String>,
    from: Option<String>,
    to: Option<String>,
    next_hop: Option<Hop>,
    ready: bool,
    conditions: Vec<Line>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Hop {
    version: String,
    image: String,
    machine_image: String,
    patch: Vec<Value>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
enum Mark {
    Passed,
    NotPassed,
    NotLookedAt,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    condition: &'static str,
    outcome: Mark,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    message: String,
    #[serde(skip)]
    state: State,
}

pub(crate) fn run(flags: &Flags, verb: &args::Preflight, screen: &mut Screen<'_>) -> Result<End, Failure> {
    let parsed =
        |text: &String| KubernetesVersion::parse_lenient(text).map_err(|error| format!("--to: {error}"));
    let to = verb.to.as_ref().map(parsed).transpose()?;
    let needed =
        [cluster_upgrader::KIND, plan::KIND, machine_image::KIND, cluster::KIND, cluster_class::KIND];
    let look = source::look(flags, &verb.from, &needed, &[])?;
    let name = verb.cluster.strip_prefix("cluster/").unwrap_or(&verb.cluster);
    let cluster = crate::why::only(&look, cluster::KIND, name)?;
    let upgrader = driving(&look, &cluster);
    let has_upgrader = upgrader.is_some();
    let made_up = upgrader.is_none().then(|| made_up(&cluster)).flatten();
    let Some(row) =
        upgrader.map(Object::row::<UpgraderRow>).or_else(|| made_up.as_ref().map(|(row, _)| row.clone()))
    else {
        return Err("no upgrader can be made up for the Cluster".into());
    };
    if !has_upgrader && to.is_none() {
        return Err(
            format!("no upgrader drives the Cluster {name}: say which version is meant by --to").into()
        );
    }
    let mut store = filled(&look);
    if let Some((_, plan)) = made_up {
        put_all(&mut store, look.world.all(plan::KIND).map(Object::row::<PlanRow>).chain([plan]), "");
    }
    let found = preflight(store.snapshot(), &row, to.as_ref(), look.now, Policy::default());
    let topology = look.world.get(&cluster).and_then(|object| object.row::<ClusterRow>().topology);
    let plan = row.plan.name.as_deref().map(|name| Id::of(plan::KIND, cluster.key.sibling(name)));
    let result = plan
        .and_then(|plan| look.world.get(&plan))
        .and_then(|plan| plan.text("/status/machineImageDetails/version"));
    let dry_run = dry_run(flags, verb, &found)?;
    let mut conditions: Vec<Line> = found.conditions.iter().map(line).collect();
    conditions.push(whole_way(&found));
    conditions.push(dry_run);
    let asked = Asked {
        namespace: cluster.key.namespace.to_string(),
        cluster: cluster.key.name.to_string(),
        upgrader: has_upgrader.then(|| row.meta.key.name.to_string()),
        from: topology.map(|topology| topology.version.to_string()),
        to: to.map(|to| to.to_string()).or_else(|| result.map(str::to_owned)),
        ready: found.write.is_some() && conditions.iter().all(|line| line.outcome != Mark::NotPassed),
        next_hop: found.write.map(Hop::from),
        conditions,
    };
    let end = asked
        .conditions
        .iter()
        .filter(|line| line.outcome == Mark::NotPassed)
        .map(|line| line.state.end())
        .max();
    output::print(&asked, flags.output, screen, |screen| shown(&asked, screen))?;
    Ok(end.unwrap_or_default())
}

impl From<Write> for Hop {
    fn from(write: Write) -> Self {
        Self {
            version: write.version.to_string(),
            image: write.image.into(),
            machine_image: write.machine_image.name.to_string(),
            patch: write.patch,
        }
    }
}

/// The upgrader that drives a Cluster: the oldest, then by name.
fn driving<'a>(look: &'a Look, cluster: &'a Id) -> Option<&'a Object> {
    let all = look.world.within(cluster_upgrader::KIND, &cluster.key.namespace);
    all.filter(|object| *object.row::<UpgraderRow>().cluster_name == *cluster.key.name)
        .min_by_key(|object| (object.meta.creation_timestamp, object.id.key.name.clone()))
}

/// An upgrader for a Cluster that has none, and its Plan, which lets every image count.
fn made_up(cluster: &Id) -> Option<(UpgraderRow, PlanRow)> {
    let name = format!("preflight-{}", cluster.key.name);
    let object = |kind: Kind, spec: Value| {
        let metadata = json!({"name": name, "namespace": cluster.key.namespace});
        Object::read(
            json!({"apiVersion": kind.api_version(), "kind": kind.kind, "metadata": metadata, "spec": spec}),
        )
    };
    let spec = json!({"clusterName": cluster.key.name, "planRef": {"name": name}});
    let upgrader = object(cluster_upgrader::KIND, spec)?.row();
    Some((upgrader, object(plan::KIND, json!({"versionRange": "*"}))?.row()))
}

/// The store of a manager that has seen all of it.
fn filled(look: &Look) -> Store {
    fn of<R: Row>(store: &mut Store, look: &Look, kind: Kind) {
        let version = look.world.all(kind).find_map(|object| object.text("/apiVersion"));
        put_all(store, look.world.all(kind).map(Object::row::<R>), version.unwrap_or(&kind.api_version()));
    }
    let mut store = Store::default();
    of::<UpgraderRow>(&mut store, look, cluster_upgrader::KIND);
    of::<PlanRow>(&mut store, look, plan::KIND);
    of::<MachineImageRow>(&mut store, look, machine_image::KIND);
    of::<ClusterRow>(&mut store, look, cluster::KIND);
    of::<ClusterClassRow>(&mut store, look, cluster_class::KIND);
    store
}

fn put_all<R: Row>(store: &mut Store, rows: impl Iterator<Item = R>, api_version: &str) {
    let table = TableId::of::<R>();
    rows.for_each(|row| store.put(&table, row));
    store.set::<R>(&table, Availability::Synced { api_version: api_version.into() });
}

fn line(condition: &chain::cluster_upgrader::Condition) -> Line {
    let (outcome, reason, message, state) = match &condition.outcome {
        Outcome::Passed => (Mark::Passed, None, condition.sentence.to_owned(), State::Done),
        Outcome::NotLookedAt => (Mark::NotLookedAt, None, condition.sentence.to_owned(), State::None),
        Outcome::NotPassed(because) => {
            let reason = domain::verdict::Reason::name(because.reason).to_owned();
            let state = State::of_actor(because.reason.actor());
            (Mark::NotPassed, Some(reason), one_line(&because.to_string()), state)
        }
    };
    Line { condition: condition.name, outcome, reason, message, state }
}

/// Whether the Cluster would get further than the next hop, as far as that is known today. The controller asks at each hop.
fn whole_way(found: &Preflight) -> Line {
    let sentence = "behind the next hop nothing is missing on the way".to_owned();
    let (outcome, reason, message, state) = match &found.ends {
        _ if found.write.is_none() => (Mark::NotLookedAt, None, sentence, State::None),
        None => (Mark::Passed, None, sentence, State::Done),
        Some(because) => {
            let reason = domain::verdict::Reason::name(because.reason).to_owned();
            let state = State::of_actor(because.reason.actor());
            (Mark::NotPassed, Some(reason), one_line(&because.to_string()), state)
        }
    };
    Line { condition: WAY, outcome, reason, message, state }
}

/// What the server says of the write, where there is one and a server.
fn dry_run(flags: &Flags, verb: &args::Preflight, found: &Preflight) -> Result<Line, Failure> {
    let not_looked_at = |why: &str| Line {
        condition: DRY_RUN,
        outcome: Mark::NotLookedAt,
        reason: None,
        message: format!("{DRY_RUN_SENTENCE}{why}"),
        state: State::None,
    };
    let Some(write) = found.write.as_ref() else { return Ok(not_looked_at("")) };
    if !verb.from.files.is_empty() {
        return Ok(not_looked_at(": files have no server"));
    }
    let answer = on_this_thread(async {
        let live = Live::connect(flags.kubeconfig.as_deref(), flags.context.as_deref()).await?;
        Ok(live.try_patch(&write.api_version, cluster::KIND.plural, &write.cluster, &write.patch).await)
    })?;
    let refused = |reason: &str, message: &str, state| Line {
        condition: DRY_RUN,
        outcome: Mark::NotPassed,
        reason: Some(reason.to_owned()),
        message: one_line(message),
        state,
    };
    Ok(match answer {
        Ok(()) => Line {
            condition: DRY_RUN,
            outcome: Mark::Passed,
            reason: None,
            message: DRY_RUN_SENTENCE.to_owned(),
            state: State::Done,
        },
        // The asking person's own rights say nothing of the manager's.
        Err(Refusal::Forbidden { .. }) => {
            let resource = format!("clusters.{}", cluster::KIND.group);
            let place = &write.cluster.namespace;
            not_looked_at(&format!(
                ": you may not patch {resource} in the namespace {place}, not even as a dry run"
            ))
        }
        Err(Refusal::Conflict | Refusal::TestFailed(_)) => {
            refused("Conflict", "somebody wrote the Cluster meanwhile: ask again", State::Waiting)
        }
        Err(Refusal::Unavailable { message, .. }) => refused("ApiUnavailable", &message, State::Failing),
        Err(other) => refused("Blocked", &other.to_string(), State::Waiting),
    })
}

fn shown(asked: &Asked, screen: &Screen<'_>) -> String {
    let version = |version: Option<&str>| version.unwrap_or("none").to_owned();
    let hop =
        asked.next_hop.as_ref().map(|hop| format!(", next hop {} with {}", hop.version, hop.machine_image));
    let mut text = format!(
        "Cluster {}/{}: {} → {}{}\n",
        asked.namespace,
        asked.cluster,
        version(asked.from.as_deref()),
        version(asked.to.as_deref()),
        hop.unwrap_or_default()
    );
    if asked.upgrader.is_none() {
        text.push_str(
            "No upgrader drives it: asked as if one did, without an image variable, and with every image.\n",
        );
    }
    let row = |line: &Line| {
        let mark = match line.outcome {
            Mark::Passed => "✔",
            Mark::NotPassed => "✖",
            Mark::NotLookedAt => "◌",
        };
        let message = match &line.reason {
            Some(reason) => format!("{reason}: {}", line.message),
            None => line.message.clone(),
        };
        vec![Cell::painted(mark, line.state), Cell::from(line.condition), Cell::from(message)]
    };
    let rows: Vec<Vec<Cell>> = asked.conditions.iter().map(row).collect();
    text.push_str(&table::render(&["", "CONDITION", "MESSAGE"], &rows, screen));
    text
}
