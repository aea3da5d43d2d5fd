//! The table of rooms: every controller that this binary has, once.

use chain::plan::PlanRoom;
use runtime::engine::Engine;
use runtime::room::Room;
use runtime::rules::Rule;

use crate::left_over;
use crate::options::Selection;

/// A room and what is known of it without making it.
struct Entry {
    name: &'static str,
    rules: &'static [Rule],
    add: fn(Engine) -> Engine,
}

/// One line for each controller.
const ROOMS: &[Entry] = &[entry(|engine| engine.room(PlanRoom), PlanRoom::NAME, PlanRoom::RULES)];

const fn entry(add: fn(Engine) -> Engine, name: &'static str, rules: &'static [Rule]) -> Entry {
    Entry { name, rules, add }
}

/// Adds the rooms that were asked for.
pub(crate) fn furnish(engine: Engine, selection: &Selection) -> Engine {
    ROOMS.iter().filter(|room| selection.has(room.name)).fold(engine, |engine, room| (room.add)(engine))
}

/// The requests that this binary makes, the lease's apart: those have a Role of their own in one namespace.
pub fn rules() -> Vec<Rule> {
    ROOMS.iter().flat_map(|room| room.rules).chain(left_over::RULES).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::CONTROLLERS;

    #[test]
    fn every_room_has_a_name_that_the_flag_knows() {
        for room in ROOMS {
            assert!(CONTROLLERS.contains(&room.name), "{}", room.name);
        }
    }
}
