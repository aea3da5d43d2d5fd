//! What a NodeOp asks for, as the engine is told.

use std::time::Duration;

use api::kairos::node_op::{Drain, NodeOpRow};

use super::evictions;
use crate::admit::{Amount, ControlPlane, Rules};
use crate::drain::{AtDeadline, EmptyDir, Options, Unowned};
use crate::kairos::Settings;
use crate::machine::{Drains, Policy, Reboots};

/// Most nodes that are at work at a time, whatever `spec.concurrency` says: what is kept of each of them must fit into one
/// object beside the entries of thousands that are done.
pub(super) const MOST_IN_FLIGHT: u32 = 500;

/// What is done on a node.
pub(super) fn policy(op: &NodeOpRow, settings: &Settings) -> Policy {
    Policy {
        preflight: op.preflight.is_some(),
        cordon: op.cordon,
        drain: op.drain.map(|drain| drains(drain, op, settings)),
        work: true,
        reboot: op.reboot_on_success.then_some(Reboots { arm: true, deadline: settings.reboot_timeout }),
        ready: false,
        pause: Duration::ZERO,
        uncordon_on_failure: op.uncordon_on_failure,
        look_again: evictions::FRESH,
    }
}

/// Which nodes may start.
pub(super) fn rules(op: &NodeOpRow, settings: &Settings) -> Rules {
    let one = settings.one_control_plane_at_a_time;
    Rules {
        concurrency: Amount::Number(op.concurrency.unwrap_or(MOST_IN_FLIGHT).min(MOST_IN_FLIGHT)),
        control_plane: if one { ControlPlane::OneAtATime } else { ControlPlane::Together },
        stop_on_failure: op.stop_on_failure,
        ..Rules::default()
    }
}

fn drains(drain: Drain, op: &NodeOpRow, settings: &Settings) -> Drains {
    // A NodeOpUpgrade has no field for it, and the CRD fills in false: its drains would begin to stop at every emptyDir.
    let may_lose = drain.delete_empty_dir_data || op.upgrade_name.is_some();
    Drains {
        options: Options {
            daemons_too: !drain.ignore_daemon_sets,
            unowned: if drain.force { Unowned::Remove } else { Unowned::Skip },
            empty_dir: if may_lose { EmptyDir::Remove } else { EmptyDir::Refuse },
            grace_seconds: drain.grace_period_seconds,
            delete: false,
            give_up_leaving: None,
        },
        deadline: drain
            .timeout_seconds
            .map(|seconds| Duration::from_secs(seconds.into()))
            .or(settings.drain_timeout),
        at_deadline: AtDeadline::Fail,
    }
}
