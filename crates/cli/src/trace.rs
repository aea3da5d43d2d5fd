//! `trace`: what an object came from and what it led to, as a tree from the package repository to the Clusters.

mod graph;

use std::collections::{BTreeMap, BTreeSet};

use api::upgrader::machine_image_template;
use domain::condition::Status;
use jiff::Timestamp;
use serde::Serialize;

use crate::ago::ago;
use crate::args::{self, Flags, Form};
use crate::object::{Id, Named};
use crate::screen::Screen;
use crate::state::{self, Standing, State};
use crate::table::{self, Cell};
use crate::world::World;
use crate::{End, Failure, output, tree, why};

use graph::Graph;

/// An object on the way, with what it led to.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    object: Named,
    #[serde(skip)]
    id: Id,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    package: Option<String>,
    state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    ready: Option<Status>,
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    /// The object that was asked about.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    asked: bool,
    /// It is in the tree already, with what it led to.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    repeated: bool,
    /// How many more objects this one stands for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    grouped: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    led_to: Vec<Node>,
}

#[derive(Serialize)]
struct Lineage {
    lineage: Vec<Node>,
}

pub(crate) fn run(flags: &Flags, verb: &args::Trace, screen: &mut Screen<'_>) -> Result<End, Failure> {
    let (look, id) = why::find(flags, &verb.of)?;
    let graph = Graph::of(&look.world);
    let mut on_the_way = graph.lineage(&id);
    // A template is how, not whence; it is shown to who asks about it.
    on_the_way.retain(|other| *other == id || !other.is(machine_image_template::KIND));
    let mut told = BTreeSet::new();
    let mut builder =
        Builder { world: &look.world, graph: &graph, on_the_way: &on_the_way, asked: &id, told: &mut told };
    let mut roots: Vec<Node> = graph.roots(&on_the_way).iter().map(|root| builder.node(root)).collect();
    if verb.grouping {
        roots = grouped(roots);
    }
    let end = look.world.get(&id).map(|object| state::of(object).state.end()).unwrap_or_default();
    let lineage = Lineage { lineage: roots };
    let wide = flags.output == Form::Wide;
    output::print(&lineage, flags.output, screen, |screen| shown(&lineage.lineage, wide, look.now, screen))?;
    for sentence in &look.world.missing {
        screen.complain(sentence);
    }
    Ok(end)
}

struct Builder<'a> {
    world: &'a World,
    graph: &'a Graph,
    on_the_way: &'a BTreeSet<Id>,
    asked: &'a Id,
    told: &'a mut BTreeSet<Id>,
}

impl Builder<'_> {
    fn node(&mut self, id: &Id) -> Node {
        let object = self.world.get(id);
        let standing = object.map_or_else(Standing::unknown, state::of);
        let repeated = !self.told.insert(id.clone());
        let below =
            self.graph.led_to(id).filter(|next| self.on_the_way.contains(next)).cloned().collect::<Vec<_>>();
        let led_to = if repeated { Vec::new() } else { below.iter().map(|next| self.node(next)).collect() };
        let gone = object.is_none() && !graph::is_repository(id);
        Node {
            object: Named::from(id),
            id: id.clone(),
            version: object.and_then(graph::version),
            package: object.and_then(graph::package),
            state: standing.state,
            ready: standing.ready,
            reason: if gone { "Gone".to_owned() } else { standing.reason },
            message: if gone { "it is named, and is not there".to_owned() } else { standing.message },
            since: standing.since,
            asked: id == self.asked,
            repeated: repeated && !below.is_empty(),
            grouped: Vec::new(),
            led_to,
        }
    }
}

/// Puts siblings of one kind into one line, where they led to nothing that is shown and are in the same state.
fn grouped(nodes: Vec<Node>) -> Vec<Node> {
    type Alike = (Box<str>, Option<String>, String);
    let mut places: BTreeMap<Alike, usize> = BTreeMap::new();
    let mut kept: Vec<Node> = Vec::new();
    for mut node in nodes {
        node.led_to = grouped(node.led_to);
        let ready = node.ready.map(|ready| format!("{ready:?}"));
        let alike = (node.id.kind.clone(), ready, node.reason.clone());
        let leaf = node.led_to.is_empty() && !node.asked && !node.repeated;
        if let Some(first) = places.get(&alike).and_then(|place| kept.get_mut(*place)).filter(|_| leaf) {
            first.grouped.push(node.id.key.name.to_string());
            continue;
        }
        if leaf {
            places.insert(alike, kept.len());
        }
        kept.push(node);
    }
    kept
}

fn shown(roots: &[Node], wide: bool, now: Timestamp, screen: &Screen<'_>) -> String {
    let mut headings = vec!["NAME", "VERSION", "READY", "REASON", "SINCE"];
    if wide {
        headings.extend(["PACKAGE", "MESSAGE"]);
    }
    let mut rows = Vec::new();
    tree::walk(roots, &|node| &node.led_to, &mut |own, _, node| {
        let name = match node.grouped.len() {
            0 if graph::is_repository(&node.id) => format!("Repository {}", node.id.key.name),
            0 => node.id.to_string(),
            more => format!("{} {}s...", more + 1, node.id.kind),
        };
        let mark = if node.asked { " *" } else { "" };
        let again = if node.repeated { " (see above)" } else { "" };
        let ready = node.ready.map(|ready| format!("{ready:?}")).unwrap_or_default();
        let since = node.since.map(|since| if wide { since.to_string() } else { ago(since, now) });
        let version = node.version.clone().filter(|_| node.grouped.is_empty());
        let package = node.package.clone().filter(|_| node.grouped.is_empty());
        let mut message = node.message.clone();
        if !node.grouped.is_empty() {
            message = format!("see {}, {}", node.id.key.name, node.grouped.join(", "));
        }
        let mut row = vec![
            Cell::from(format!("{own}{name}{mark}{again}")),
            Cell::from(version.unwrap_or_default()),
            Cell::painted(ready, node.state),
            Cell::painted(node.reason.clone(), node.state),
            Cell::from(since.unwrap_or_default()),
        ];
        if wide {
            row.extend([Cell::from(package.unwrap_or_default()), Cell::from(message)]);
        }
        rows.push(row);
    });
    table::render(&headings, &rows, screen)
}
