//! What an upgrade sees: itself, and the NodeOp of its name.

use api::kairos::node_op::{self, NodeOpRow};
use api::kairos::node_op_upgrade::NodeOpUpgradeRow;
use domain::object::ObjectRef;
use runtime::store::{Availability, Snapshot, Table};

use super::manifest;

/// Everything that a decision about an upgrade rests on.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// The upgrade.
    pub upgrade: NodeOpUpgradeRow,
    /// Why NodeOps cannot be seen.
    pub hidden: Option<Hidden>,
    /// The NodeOp of its name.
    pub node_op: Found,
    /// Fields of that NodeOp which the spec, edited since, would have otherwise.
    pub edited: Vec<&'static str>,
}

/// Why NodeOps cannot be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hidden {
    /// The server refuses to show them: its words.
    Forbidden(Box<str>),
    /// Their CRD is not installed.
    NotInstalled,
}

/// Whose the NodeOp of the upgrade's name is.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// There is none.
    Nothing,
    /// The upgrade's: its uid is that of the controller.
    Own(Box<NodeOpRow>),
    /// Of an upgrade of the same name that is gone: garbage collection deletes it.
    Former(ObjectRef),
    /// Somebody else's, who may be deleting it.
    Foreign(ObjectRef, bool),
}

pub(super) fn observe(snapshot: Snapshot<'_>, upgrade: &NodeOpUpgradeRow) -> Observed {
    let hidden = match snapshot.table::<NodeOpRow>().map(Table::availability) {
        Some(Availability::Forbidden(words)) => Some(Hidden::Forbidden(words.clone())),
        Some(Availability::NotInstalled) => Some(Hidden::NotInstalled),
        _ => None,
    };
    let node_op = found(snapshot.get::<NodeOpRow>(&upgrade.meta.key), upgrade);
    let edited = match &node_op {
        Found::Own(node_op) => manifest::differences(upgrade, node_op),
        _ => Vec::new(),
    };
    Observed { upgrade: upgrade.clone(), hidden, node_op, edited }
}

/// By the owner and nothing else: a label anybody may set.
fn found(node_op: Option<&NodeOpRow>, upgrade: &NodeOpUpgradeRow) -> Found {
    let Some(node_op) = node_op else { return Found::Nothing };
    let named = || ObjectRef::of(node_op::KIND, &node_op.meta);
    match &node_op.owner_uid {
        Some(owner) if *owner == upgrade.meta.uid => Found::Own(Box::new(node_op.clone())),
        Some(_) if node_op.upgrade_name.is_some() => Found::Former(named()),
        _ => Found::Foreign(named(), node_op.meta.deleting),
    }
}
