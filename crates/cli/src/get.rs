//! `get`: all Clusters, what they have and want, and why they do not have it.

use api::capi::cluster::{self, ClusterRow};
use api::upgrader::cluster_upgrader::{self, UpgraderRow};
use api::upgrader::plan::{self, PlanRow};
use domain::version::KubernetesVersion;
use jiff::Timestamp;
use serde::Serialize;

use crate::ago::ago;
use crate::args::{self, Flags, Form};
use crate::object::{Named, Object};
use crate::screen::Screen;
use crate::source::{self, Look};
use crate::state::{self, State};
use crate::table::{self, Cell};
use crate::world::World;
use crate::{End, Failure, output};

/// One Cluster and the upgrader that drives it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Line {
    pub(crate) namespace: String,
    pub(crate) cluster: String,
    pub(crate) upgrader: Option<String>,
    pub(crate) plan: Option<String>,
    pub(crate) have: Option<String>,
    pub(crate) want: Option<String>,
    pub(crate) next_hop: Option<String>,
    pub(crate) state: State,
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) since: Option<Timestamp>,
    pub(crate) not_before: Option<Timestamp>,
    pub(crate) unblock: Option<String>,
    pub(crate) blocked_by: Option<Named>,
}

#[derive(Serialize)]
struct Lines {
    clusters: Vec<Line>,
}

pub(crate) fn run(flags: &Flags, verb: &args::Get, screen: &mut Screen<'_>) -> Result<End, Failure> {
    let needed = [cluster_upgrader::KIND, plan::KIND, cluster::KIND];
    let look = source::look(flags, &verb.from, &needed, &[])?;
    let lines = lines(&look, verb.all);
    let end = lines.iter().map(|line| line.state.end()).max().unwrap_or_default();
    if lines.is_empty() && matches!(flags.output, Form::Table | Form::Wide) {
        let place =
            look.namespace.as_deref().map_or_else(String::new, |name| format!(" in the namespace {name}"));
        screen.complain(&format!("No Clusters with an upgrader found{place}."));
        return Ok(End::Done);
    }
    let wide = flags.output == Form::Wide;
    let many = look.namespace.is_none();
    output::print(&Lines { clusters: lines.clone() }, flags.output, screen, |screen| {
        shown(&lines, many, wide, look.now, screen)
    })?;
    Ok(end)
}

/// One line for each upgrader, by namespace and Cluster; with `all`, also the Clusters that none drives.
fn lines(look: &Look, all: bool) -> Vec<Line> {
    let upgraders = look.world.all(cluster_upgrader::KIND).filter(|object| look.shows(object));
    let mut lines: Vec<Line> = upgraders.map(|upgrader| line(&look.world, upgrader)).collect();
    if all {
        for cluster in look.world.all(cluster::KIND).filter(|object| look.shows(object)) {
            let id = &cluster.id.key;
            let driven = lines.iter().any(|line| line.namespace == *id.namespace && line.cluster == *id.name);
            let topology = cluster.row::<ClusterRow>().topology;
            if let Some(topology) = topology.filter(|_| !driven) {
                lines.push(Line {
                    namespace: id.namespace.to_string(),
                    cluster: id.name.to_string(),
                    have: Some(topology.version.to_string()),
                    ..Line::empty()
                });
            }
        }
    }
    lines.sort_by(|a, b| {
        (&a.namespace, &a.cluster, &a.upgrader).cmp(&(&b.namespace, &b.cluster, &b.upgrader))
    });
    lines
}

impl Line {
    fn empty() -> Self {
        Self {
            namespace: String::new(),
            cluster: String::new(),
            upgrader: None,
            plan: None,
            have: None,
            want: None,
            next_hop: None,
            state: State::None,
            reason: "NoUpgrader".to_owned(),
            message: "no upgrader drives it".to_owned(),
            since: None,
            not_before: None,
            unblock: None,
            blocked_by: None,
        }
    }
}

/// One upgrader and its Cluster.
pub(crate) fn line(world: &World, upgrader: &Object) -> Line {
    let row: UpgraderRow = upgrader.row();
    let standing = state::of(upgrader);
    let of_cluster = world.get(&upgrader.sibling(cluster::KIND, &row.cluster_name));
    let topology = of_cluster.and_then(|cluster| cluster.row::<ClusterRow>().topology);
    let have = topology.map(|topology| topology.version.to_string());
    let plan_name = row.plan.name.as_deref().unwrap_or_default();
    let of_plan = world.get(&upgrader.sibling(plan::KIND, plan_name)).map(Object::row::<PlanRow>);
    let want = of_plan.as_ref().and_then(|plan| plan.status.machine_image_details.as_ref());
    let want = want.map(|details| details.version.to_string());
    let next_hop = of_plan.as_ref().and_then(|plan| next_hop(plan, have.as_deref()?, want.as_deref()?));
    Line {
        namespace: upgrader.id.key.namespace.to_string(),
        cluster: row.cluster_name.to_string(),
        upgrader: Some(upgrader.id.key.name.to_string()),
        plan: Some(plan_name.to_owned()),
        have,
        want,
        next_hop,
        state: standing.state,
        reason: standing.reason,
        message: standing.message,
        since: standing.since,
        not_before: standing.not_before,
        unblock: standing.unblock,
        blocked_by: standing.blocked_by.as_ref().map(Named::from),
    }
}

/// The next version on the plan's path from what the Cluster has; `v1.35: no image` where the path has a hole there.
fn next_hop(plan: &PlanRow, have: &str, want: &str) -> Option<String> {
    let (from, to) =
        (KubernetesVersion::parse_lenient(have).ok()?, KubernetesVersion::parse_lenient(want).ok()?);
    if !to.is_newer_than(&from) {
        return None;
    }
    if (to.major(), to.minor()) == (from.major(), from.minor()) || to.minor() == from.minor() + 1 {
        return Some(want.to_owned());
    }
    let minor = format!("v{}.{}", from.major(), from.minor() + 1);
    let entry = plan.status.path.iter().find(|entry| *entry.minor == *minor);
    let version = entry.and_then(|entry| entry.version.as_deref());
    Some(version.map_or_else(|| format!("{minor}: no image"), str::to_owned))
}

fn shown(lines: &[Line], namespaces: bool, wide: bool, now: Timestamp, screen: &Screen<'_>) -> String {
    let mut headings = vec!["NAMESPACE", "CLUSTER", "HAVE", "WANT", "NEXT HOP", "STATE", "REASON", "SINCE"];
    if wide {
        headings.extend(["NOT BEFORE", "PLAN", "UPGRADER", "MESSAGE"]);
    }
    let dash = |text: Option<&str>| Cell::from(text.filter(|text| !text.is_empty()).unwrap_or("-"));
    let time = |time: Option<Timestamp>| time.map(|time| time.to_string());
    let row = |line: &Line| {
        let since = line.since.map(|since| if wide { since.to_string() } else { ago(since, now) });
        let mut row = vec![
            Cell::from(&*line.namespace),
            Cell::from(&*line.cluster),
            dash(line.have.as_deref()),
            dash(line.want.as_deref()),
            dash(line.next_hop.as_deref()),
            Cell::painted(line.state.to_string(), line.state),
            dash(Some(&line.reason)),
            dash(since.as_deref()),
        ];
        if wide {
            row.extend([
                dash(time(line.not_before).as_deref()),
                dash(line.plan.as_deref()),
                dash(line.upgrader.as_deref()),
                dash(Some(&line.message)),
            ]);
        }
        row
    };
    let mut rows: Vec<Vec<Cell>> = lines.iter().map(row).collect();
    if !namespaces {
        headings.remove(0);
        for row in &mut rows {
            row.remove(0);
        }
    }
    table::render(&headings, &rows, screen)
}
