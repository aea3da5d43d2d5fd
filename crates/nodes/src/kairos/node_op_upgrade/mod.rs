//! `NodeOpUpgrade`: brings nodes to an image of Kairos, by a NodeOp of the same name.
//!
//! *Reads* the NodeOp of its name. *Writes* its status, and that NodeOp, once. A NodeOp that is not its own is left alone,
//! whatever it is: its own has its uid as that of the controller, which those that the original has made have too.
//!
//! What the NodeOp says is what the upgrade says: phase, nodes, counts, why it is not done. Completed is said once the NodeOp
//! has ended, and not between two nodes.
//!
//! An upgrade runs once. Its spec is read when the NodeOp is made, and as with the original an edit later is not carried over;
//! the conditions name what differs. Where the NodeOp is deleted while it is at work, another is made after that, as with the
//! original, whose preflight finds which nodes are done. Where it is deleted after the end, Completed or Failed, none is made:
//! to upgrade what is left, the NodeOpUpgrade is deleted and created again.

mod apply;
mod decide;
mod manifest;
mod observe;
mod script;
mod status;
#[cfg(test)]
mod tests;

use api::kairos::node_op::{self, NodeOpRow};
use api::kairos::node_op_upgrade::{KIND, NodeOpUpgradeRow, Reason};
use domain::object::{Kind, ObjectKey};
use domain::verdict::Verdict;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use jiff::Timestamp;
use runtime::answer::Refusal;
use runtime::engine::Registrar;
use runtime::request::Shell;
use runtime::room::{Applied, Recall, Report, Room};
use runtime::rules::Rule;
use runtime::store::Snapshot;

pub use self::apply::Step;
pub use self::observe::{Found, Hidden, Observed};
pub(super) use self::script::nothing_to_do;

/// The controller of upgrades.
#[derive(Clone, Copy, Debug, Default)]
pub struct UpgradeRoom;

impl Room for UpgradeRoom {
    const NAME: &'static str = "nodeopupgrade";
    const MANAGER: &'static str = "kubernetes-upgrader-nodeopupgrade";
    const KIND: Kind = KIND;
    const RULES: &'static [Rule] = &[
        Rule::new(KIND.group, "nodeopupgrades", &["list", "watch"]),
        Rule::new(KIND.group, "nodeopupgrades/status", &["patch"]),
        // For no request of ours: a NodeOp that blocks the deletion of its owner may only be created by who has this, where
        // the admission plugin OwnerReferencesPermissionEnforcement is on.
        Rule::new(KIND.group, "nodeopupgrades/finalizers", &["update"]),
        Rule::new(KIND.group, "nodeops", &["list", "watch", "create"]),
        runtime::EVENTS_RULE,
    ];
    type Row = NodeOpUpgradeRow;
    type Observed = Observed;
    type Step = Step;
    type Answer = ();
    type Memory = ();
    type Shared = ();
    type Reason = Reason;

    fn watches(registrar: &mut Registrar<'_>) {
        registrar.watch::<NodeOpRow>(node_op::KIND, upgrade_of);
    }

    fn observe(
        &self,
        snapshot: Snapshot<'_>,
        row: &NodeOpUpgradeRow,
        _: Recall<'_, Self>,
        _: Timestamp,
    ) -> Observed {
        observe::observe(snapshot, row)
    }

    fn decide(&self, observed: &Observed, _: Timestamp) -> Verdict<Step, Reason> {
        decide::decide(observed)
    }

    fn report(&self, observed: &Observed, verdict: &Verdict<Step, Reason>, now: Timestamp) -> Report {
        status::report(observed, verdict, now)
    }

    fn apply(&self, shell: Shell, step: Step) -> BoxFuture<'static, Result<Applied<()>, Refusal>> {
        apply::apply(shell, step).boxed()
    }
}

/// The upgrade of the NodeOp's name: its own or not, it has that name.
fn upgrade_of(
    snapshot: Snapshot<'_>,
    key: &ObjectKey,
    _: Option<&NodeOpRow>,
    _: Option<&NodeOpRow>,
) -> Vec<ObjectKey> {
    snapshot.get::<NodeOpUpgradeRow>(key).map(|upgrade| upgrade.meta.key.clone()).into_iter().collect()
}
