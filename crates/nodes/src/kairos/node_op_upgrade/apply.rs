//! The requests of an upgrade.

use std::fmt;

use api::kairos::node_op::{self, NodeOpRow};
use domain::object::ObjectKey;
use runtime::answer::Refusal;
use runtime::request::{Place, Shell};
use runtime::room::Applied;
use serde_json::Value;

/// The closed set of an upgrade's requests.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Create the NodeOp.
    CreateNodeOp {
        /// Where, which is where the upgrade is.
        key: ObjectKey,
        /// The NodeOp.
        body: Value,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateNodeOp { key, .. } => write!(f, "create NodeOp {}", key.name),
        }
    }
}

impl runtime::room::Step for Step {
    fn writes(&self) -> bool {
        true
    }
}

/// Makes the request of a step.
pub(super) async fn apply(shell: Shell, step: Step) -> Result<Applied<()>, Refusal> {
    match step {
        Step::CreateNodeOp { key, body } => {
            let place = Place::of(node_op::KIND);
            shell.create::<NodeOpRow>(&place, &key.namespace, &body).await.map(Applied::wrote)
        }
    }
}
