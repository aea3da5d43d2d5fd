//! The table of rooms: every controller that this binary has, once.

use std::sync::Arc;

use chain::cluster_upgrader::UpgraderRoom;
use chain::debian_repository_source::SourceRoom;
use chain::machine_image::MachineImageRoom;
use chain::machine_image_syncer::SyncerRoom;
use chain::plan::PlanRoom;
use runtime::engine::Engine;
use runtime::room::Room;
use runtime::rules::Rule;
use sources::Repository;

use crate::left_over;
use crate::options::Selection;

/// What rooms are made of, beyond what the engine gives to each.
#[derive(Clone)]
pub struct Parts {
    /// Where package indexes are read.
    pub repository: Arc<dyn Repository>,
}

/// A room and what is known of it without making it.
struct Entry {
    name: &'static str,
    rules: &'static [Rule],
    opt_in_rules: &'static [Rule],
    add: fn(Engine, &Parts) -> Engine,
}

/// One line for each controller, in the order of the chain.
const ROOMS: &[Entry] = &[
    entry::<SourceRoom>(|engine, parts| engine.room(SourceRoom::new(parts.repository.clone()))),
    entry::<SyncerRoom>(|engine, _| engine.room(SyncerRoom)),
    entry::<MachineImageRoom>(|engine, _| engine.room(MachineImageRoom)),
    entry::<PlanRoom>(|engine, _| engine.room(PlanRoom)),
    entry::<UpgraderRoom>(|engine, _| engine.room(UpgraderRoom::default())),
];

const fn entry<R: Room>(add: fn(Engine, &Parts) -> Engine) -> Entry {
    Entry { name: R::NAME, rules: R::RULES, opt_in_rules: R::OPT_IN_RULES, add }
}

/// Adds the rooms that were asked for.
pub(crate) fn furnish(engine: Engine, selection: &Selection, parts: &Parts) -> Engine {
    ROOMS
        .iter()
        .filter(|room| selection.has(room.name))
        .fold(engine, |engine, room| (room.add)(engine, parts))
}

/// The requests that this binary makes, the lease's apart: those have a Role of their own in one namespace.
pub fn rules() -> Vec<Rule> {
    ROOMS.iter().flat_map(|room| room.rules).chain(left_over::RULES).copied().collect()
}

/// The requests that it makes only where users have granted them, by a role of their own.
pub fn opt_in_rules() -> Vec<Rule> {
    ROOMS.iter().flat_map(|room| room.opt_in_rules).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::CONTROLLERS;

    #[test]
    fn the_flag_knows_every_room_and_no_other() {
        assert_eq!(ROOMS.iter().map(|room| room.name).collect::<Vec<_>>(), CONTROLLERS);
    }
}
