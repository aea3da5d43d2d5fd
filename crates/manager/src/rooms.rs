//! The tables of rooms: every controller that this binary has, once.

use std::sync::Arc;

use chain::cluster_upgrader::UpgraderRoom;
use chain::debian_repository_source::SourceRoom;
use chain::machine_image::MachineImageRoom;
use chain::machine_image_syncer::SyncerRoom;
use chain::plan::PlanRoom;
use nodes::kairos::Settings;
use nodes::kairos::node_labeler::LabelerRoom;
use nodes::kairos::node_op::NodeOpRoom;
use nodes::kairos::node_op_upgrade::UpgradeRoom;
use runtime::engine::Engine;
use runtime::room::Room;
use runtime::rules::Rule;
use sources::Repository;

use crate::family::Family;
use crate::left_over;
use crate::options::Options;

/// What rooms are made of, beyond what the engine gives to each.
#[derive(Clone)]
pub struct Parts {
    /// Where package indexes are read.
    pub repository: Arc<dyn Repository>,
    /// What flags and environment say of operations on nodes.
    pub settings: Settings,
}

/// A room and what is known of it without making it.
struct Entry {
    name: &'static str,
    rules: &'static [Rule],
    opt_in_rules: &'static [Rule],
    add: fn(Engine, &Parts) -> Engine,
}

/// One line for each controller, in the order of the chain.
const CHAIN: &[Entry] = &[
    entry::<SourceRoom>(|engine, parts| engine.room(SourceRoom::new(parts.repository.clone()))),
    entry::<SyncerRoom>(|engine, _| engine.room(SyncerRoom)),
    entry::<MachineImageRoom>(|engine, _| engine.room(MachineImageRoom)),
    entry::<PlanRoom>(|engine, _| engine.room(PlanRoom)),
    entry::<UpgraderRoom>(|engine, _| engine.room(UpgraderRoom::default())),
];

/// One line for each controller of operations on nodes.
const NODES: &[Entry] = &[
    entry::<NodeOpRoom>(|engine, parts| engine.room(NodeOpRoom::new(parts.settings.clone()))),
    entry::<UpgradeRoom>(|engine, _| engine.room(UpgradeRoom)),
    entry::<LabelerRoom>(|engine, parts| engine.room(LabelerRoom::new(parts.settings.clone()))),
];

/// The controllers of a family.
const fn table(family: Family) -> &'static [Entry] {
    match family {
        Family::Chain => CHAIN,
        Family::Nodes => NODES,
    }
}

const fn entry<R: Room>(add: fn(Engine, &Parts) -> Engine) -> Entry {
    Entry { name: R::NAME, rules: R::RULES, opt_in_rules: R::OPT_IN_RULES, add }
}

/// Adds the rooms that were asked for.
pub(crate) fn furnish(engine: Engine, options: &Options, parts: &Parts) -> Engine {
    table(options.family)
        .iter()
        .filter(|room| options.controllers.has(room.name))
        .fold(engine, |engine, room| (room.add)(engine, parts))
}

/// The requests that a family makes, the lease's apart: those have a Role of their own in one namespace.
pub fn rules(family: Family) -> Vec<Rule> {
    let beside: &[Rule] = match family {
        Family::Chain => left_over::RULES,
        Family::Nodes => &[],
    };
    table(family).iter().flat_map(|room| room.rules).chain(beside).copied().collect()
}

/// The requests that it makes only where users have granted them, by a role of their own.
pub fn opt_in_rules(family: Family) -> Vec<Rule> {
    table(family).iter().flat_map(|room| room.opt_in_rules).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_knows_every_room_and_no_other() {
        for family in Family::ALL {
            let names: Vec<&str> = table(family).iter().map(|room| room.name).collect();
            assert_eq!(names, family.controllers(), "{family}");
        }
    }
}
