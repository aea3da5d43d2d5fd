//! What machines and kubelets really did: commands and reboots.

use super::OfNodes;
use crate::invariants::{Broken, holds};
use crate::world::World;
use crate::world::nodes::{Outcome, Reboot, Run};

const ONCE: &str = "no command is run twice on a node, but by its own Job";
const ASKED: &str = "no node is rebooted but where that is asked for, once, after its command has succeeded";

pub(super) fn check(seen: &mut OfNodes, world: &World) -> Result<(), Broken> {
    let nodes = &world.nodes;
    let (runs, reboots) = seen.looked;
    seen.looked = (nodes.runs.len(), nodes.reboots.len());
    for (place, run) in nodes.runs.iter().enumerate().skip(runs) {
        // Of a Job that somebody deleted before it was seen nobody can know.
        if !seen.unseen.contains(&(run.op.clone(), run.node.clone())) {
            of_run(run, &nodes.runs[..place])?;
        }
    }
    for (place, reboot) in nodes.reboots.iter().enumerate().skip(reboots) {
        of_reboot(seen, reboot, &nodes.reboots[..place], &nodes.runs)?;
    }
    Ok(())
}

fn of_run(run: &Run, before: &[Run]) -> Result<(), Broken> {
    let same = |it: &&Run| it.op == run.op && it.node_uid == run.node_uid;
    for other in before.iter().filter(same) {
        holds(other.job == run.job, ONCE, || {
            format!("two Jobs have run on {}: {} and {}", run.node, other.job, run.job)
        })?;
        holds(other.outcome != Outcome::Succeeded, ONCE, || {
            format!("the command runs on {} again, where it has succeeded", run.node)
        })?;
    }
    Ok(())
}

fn of_reboot(seen: &OfNodes, reboot: &Reboot, before: &[Reboot], runs: &[Run]) -> Result<(), Broken> {
    let Some(op) = &reboot.op else { return Ok(()) };
    let node = &reboot.node;
    let wanted = seen.ops.get(op).is_some_and(|op| op["spec"]["rebootOnSuccess"] == true);
    holds(wanted, ASKED, || format!("{node} is rebooted for a NodeOp that does not ask for it"))?;
    let mut done = runs.iter().filter(|run| run.op == *op && run.node_uid == reboot.node_uid);
    let succeeded = done.any(|run| run.outcome == Outcome::Succeeded);
    holds(succeeded, ASKED, || format!("{node} is rebooted, where no command has succeeded"))?;
    let again = before.iter().find(|it| it.op.as_ref() == Some(op) && it.node_uid == reboot.node_uid);
    let words = |at: &Reboot| format!("{node} is rebooted again, after {:.0}", at.at);
    again.map_or(Ok(()), |again| holds(false, ASKED, || words(again)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::invariants::nodes::Given;

    fn run(job: &str, node_uid: &str, outcome: Outcome) -> Run {
        let of = |text: &str| Box::<str>::from(text);
        Run {
            op: of("op"),
            job: of(job),
            pod: of("pod"),
            node: of("node"),
            node_uid: of(node_uid),
            boot_id: of("boot"),
            outcome,
        }
    }

    fn reboot(op: Option<&str>) -> Reboot {
        let at = Timestamp::UNIX_EPOCH;
        Reboot { at, node: "node".into(), node_uid: "a".into(), op: op.map(Box::from) }
    }

    #[test]
    fn a_command_runs_once() {
        let begins = run("job", "a", Outcome::Runs);
        assert_eq!(of_run(&begins, &[run("job", "a", Outcome::Failed)]), Ok(()), "its Job tries again");
        assert_eq!(of_run(&begins, &[run("other", "b", Outcome::Succeeded)]), Ok(()), "another machine");
        assert!(of_run(&begins, &[run("job", "a", Outcome::Succeeded)]).is_err());
        assert!(of_run(&begins, &[run("other", "a", Outcome::Killed)]).is_err());
    }

    #[test]
    fn a_node_is_rebooted_once_and_after_its_command() {
        let given = Given {
            one_control_plane_at_a_time: true,
            reboot_timeout: Duration::from_secs(600),
            labeler: false,
        };
        let mut seen = OfNodes::new(given);
        let done = [run("job", "a", Outcome::Succeeded)];
        assert_eq!(of_reboot(&seen, &reboot(None), &[], &[]), Ok(()), "nobody is blamed for a power cut");
        assert!(of_reboot(&seen, &reboot(Some("op")), &[], &done).is_err(), "nobody has asked for it");
        seen.ops.insert("op".into(), json!({"spec": {"rebootOnSuccess": true}}));
        assert_eq!(of_reboot(&seen, &reboot(Some("op")), &[reboot(None)], &done), Ok(()));
        assert!(of_reboot(&seen, &reboot(Some("op")), &[], &[run("job", "a", Outcome::Failed)]).is_err());
        assert!(of_reboot(&seen, &reboot(Some("op")), &[reboot(Some("op"))], &done).is_err());
    }
}
