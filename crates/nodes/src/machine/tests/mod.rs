mod total;

use std::time::Duration;

use domain::verdict::{Because, Then, Verdict};
use jiff::Timestamp;

use super::*;
use crate::admit::Standing;
use crate::cordon::{Cordon, Owner};
use crate::drain::AtDeadline::{Fail, Force, Skip};

const OURS: &str = "ns/op@uid";

type Change = Box<dyn Fn(&mut Facts)>;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap_or_default()
}

fn everything() -> Policy {
    Policy {
        preflight: true,
        cordon: true,
        drain: Some(Drains { deadline: Some(Duration::from_secs(600)), ..Drains::default() }),
        work: true,
        reboot: Some(Reboots { arm: true, deadline: Duration::from_secs(900) }),
        look_again: Duration::from_secs(15),
        ..Policy::default()
    }
}

fn facts() -> Facts {
    Facts {
        name: "a".into(),
        owner: Owner { namespace: "ns".into(), name: "op".into(), uid: "uid".into() },
        node: Some(Node { uid: "node".into(), ready: true, boot_id: "one".into(), ..Node::default() }),
        wanted: true,
        deleted: false,
        held: None,
        record: Record::default(),
        preflight: Check::Absent,
        work: Work::Absent,
        reboot: RebootPod::Absent,
        pods: Some(Pods::default()),
    }
}

fn with(change: impl FnOnce(&mut Facts)) -> Facts {
    let mut facts = facts();
    facts.record.approved = Some(Approval { node_uid: "node".into() });
    change(&mut facts);
    facts
}

fn cordoned(facts: &mut Facts) {
    if let Some(node) = &mut facts.node {
        node.cordon = Cordon { unschedulable: true, claim: Some(OURS.into()), claim_is_dead: false };
    }
}

fn node(facts: &mut Facts) -> &mut Node {
    facts.node.get_or_insert_default()
}

/// The state and the step, or the reason, in one line.
fn shown(facts: &Facts, policy: &Policy, now: i64) -> String {
    let (state, verdict) = (state(facts, policy, at(now)), next(facts, policy, at(now)));
    let Verdict { steps, then, .. } = &verdict;
    assert!(steps.len() <= 1, "{verdict:?}");
    match (steps.first(), then) {
        (Some(step), _) => format!("{}: {step}", state.name()),
        (None, Then::Done) => format!("{}.", state.name()),
        (None, Then::Wait(because) | Then::Failed(because)) => {
            format!("{} {:?}", state.name(), because.reason)
        }
    }
}

fn ran(facts: &mut Facts) {
    cordoned(facts);
    facts.record.checked = true;
    facts.record.started = true;
    facts.record.ran = Some(Ran { boot_id: "one".into() });
    facts.work = Work::Succeeded { boot_id: None };
    facts.reboot = RebootPod::Armed;
}

#[test]
fn the_way_of_a_node_from_its_facts_alone() {
    let steps: Vec<(&str, Change)> = vec![
        ("Approved: start the preflight", Box::new(|_| {})),
        ("Preflight PreflightRunning", Box::new(|facts| facts.preflight = Check::Running)),
        ("Preflight: note that the preflight has passed", Box::new(|facts| facts.preflight = Check::Passed)),
        ("Approved: delete the preflight pod", Box::new(|facts| facts.record.checked = true)),
        ("Approved: create the reboot pod", Box::new(|facts| facts.preflight = Check::Absent)),
        ("Approved RebootPodStarting", Box::new(|facts| facts.reboot = RebootPod::Starting)),
        ("Approved: note that the drain begins", Box::new(|facts| facts.reboot = RebootPod::Armed)),
        ("Approved: cordon", Box::new(|facts| facts.record.drain_since = Some(at(0)))),
        (
            "Draining: read its pods",
            Box::new(|facts| {
                cordoned(facts);
                facts.pods = None;
            }),
        ),
        ("Draining: run the command", Box::new(|facts| facts.pods = Some(Pods::default()))),
        ("Running: note that the command was started", Box::new(|facts| facts.work = Work::Running)),
        ("Running WorkRunning", Box::new(|facts| facts.record.started = true)),
        (
            "Running: note that everything was run",
            Box::new(|facts| facts.work = Work::Succeeded { boot_id: None }),
        ),
        (
            "Rebooting: note that the reboot is asked for",
            Box::new(|facts| {
                facts.record.ran = Some(Ran { boot_id: "one".into() });
            }),
        ),
        ("Rebooting: ask for the reboot", Box::new(|facts| facts.record.asked = Some(Asked { at: at(0) }))),
        ("Rebooting Rebooting", Box::new(|facts| facts.reboot = RebootPod::Asked)),
        ("Rebooting Rebooting", Box::new(|facts| node(facts).ready = false)),
        ("Verifying NodeNotReady", Box::new(|facts| node(facts).boot_id = "two".into())),
        ("Done: uncordon", Box::new(|facts| node(facts).ready = true)),
        ("Done: note that it is completed", Box::new(|facts| node(facts).cordon = Cordon::default())),
        (
            "Done: delete the reboot pod",
            Box::new(|facts| {
                facts.record.end = Some(End::Done(Outcome::Completed));
            }),
        ),
        ("Done.", Box::new(|facts| facts.reboot = RebootPod::Absent)),
    ];
    let mut facts = with(|_| {});
    for (expected, step) in steps {
        step(&mut facts);
        assert_eq!(shown(&facts, &everything(), 10), expected);
    }
}

#[test]
fn what_a_kubelet_does_is_not_awaited_of_a_node_that_is_not_ready() {
    let away = |change: fn(&mut Facts)| {
        let facts = with(|facts| {
            change(facts);
            node(facts).ready = false;
        });
        shown(&facts, &everything(), 0)
    };
    assert_eq!(away(|facts| facts.preflight = Check::Running), "Preflight NodeNotReady");
    assert_eq!(
        away(|facts| {
            facts.record.checked = true;
            facts.reboot = RebootPod::Starting;
        }),
        "Approved NodeNotReady"
    );
    assert_eq!(
        away(|facts| {
            facts.record.checked = true;
            facts.record.started = true;
            facts.work = Work::Running;
        }),
        "Running NodeNotReady"
    );
}

#[test]
fn a_node_waits_for_its_turn_and_says_why() {
    let held = Because::new(crate::reason::Reason::ConcurrencyReached, "full");
    let mut facts = facts();
    assert_eq!(shown(&facts, &everything(), 0), "Requested: give it a place");
    facts.held = Some(held);
    assert_eq!(shown(&facts, &everything(), 0), "Requested ConcurrencyReached");
    facts.wanted = false;
    assert_eq!(shown(&facts, &everything(), 0), "Idle.");
}

#[test]
fn what_is_seen_on_a_node_proves_that_it_had_a_place() {
    let lost = |change: fn(&mut Facts)| {
        let mut facts = facts();
        facts.held = Some(Because::new(crate::reason::Reason::ConcurrencyReached, "full"));
        change(&mut facts);
        assert_eq!(standing(&facts, &everything(), at(0)), Standing::InFlight);
        shown(&facts, &everything(), 0)
    };
    assert_eq!(lost(cordoned), "Approved: give it a place");
    assert_eq!(lost(|facts| facts.work = Work::Running), "Running: give it a place");
    assert_eq!(lost(|facts| facts.preflight = Check::Running), "Preflight: give it a place");
    assert_eq!(lost(|facts| facts.reboot = RebootPod::Armed), "Approved: give it a place");
}

#[test]
fn the_command_is_never_run_again() {
    let lost = with(|facts| {
        facts.record.checked = true;
        facts.record.started = true;
    });
    assert!(
        shown(&lost, &everything(), 0)
            .starts_with("Failed: note that it failed: the Job of the command was deleted")
    );
    let pruned = with(|facts| {
        ran(facts);
        facts.work = Work::Absent;
    });
    assert_eq!(shown(&pruned, &everything(), 0), "Rebooting: note that the reboot is asked for");
    let failed_later = with(|facts| {
        ran(facts);
        facts.work = Work::Failed("x".into());
    });
    assert_eq!(shown(&failed_later, &everything(), 0), "Rebooting: note that the reboot is asked for");
}

#[test]
fn an_end_stays_whatever_the_facts_become() {
    for end in [End::Done(Outcome::Completed), End::Done(Outcome::Removed)] {
        let facts = with(|facts| {
            facts.record.end = Some(end.clone());
            facts.work = Work::Failed("x".into());
        });
        assert_eq!(shown(&facts, &everything(), 0), "Done.");
    }
    let failed = with(|facts| {
        facts.record.end = Some(End::Failed(Failure {
            reason: crate::reason::Reason::FailedBefore,
            detail: "".into(),
            reach: Reach::Worked,
        }));
        facts.work = Work::Succeeded { boot_id: None };
    });
    assert_eq!(shown(&failed, &everything(), 0), "Failed FailedBefore");
    assert_eq!(standing(&failed, &everything(), at(0)), Standing::Failed);
}

#[test]
fn a_removed_node_is_done_at_every_point() {
    let points: [fn(&mut Facts); 4] = [
        |_| {},
        cordoned,
        |facts| {
            facts.work = Work::Running;
            facts.record.started = true;
        },
        ran,
    ];
    for point in points {
        let mut facts = with(point);
        facts.node = None;
        assert_eq!(shown(&facts, &everything(), 0), "Done: note that the node is gone");
        let mut replaced = with(point);
        node(&mut replaced).uid = "another".into();
        assert_eq!(shown(&replaced, &everything(), 0), "Done: note that the node is gone");
    }
    let mut waiting = facts();
    waiting.node = None;
    assert_eq!(shown(&waiting, &everything(), 0), "Done: note that the node is gone");
    let ended = with(|facts| {
        facts.node = None;
        facts.work = Work::Running;
        facts.record.end = Some(End::Done(Outcome::Removed));
    });
    assert_eq!(shown(&ended, &everything(), 0), "Done: delete the Job");
}

#[test]
fn a_cordon_is_undone_on_a_failure_as_far_as_it_had_come() {
    let left = |reach, uncordon_on_failure| {
        let facts = with(|facts| {
            cordoned(facts);
            let (reason, detail) = (crate::reason::Reason::WorkFailed, "".into());
            facts.record.end = Some(End::Failed(Failure { reason, detail, reach }));
        });
        shown(&facts, &Policy { uncordon_on_failure, ..everything() }, 0)
    };
    let (undone, kept) = ("Failed: uncordon", "Failed WorkFailed");
    assert_eq!([left(Reach::Untouched, false), left(Reach::Untouched, true)], [undone, undone]);
    assert_eq!([left(Reach::Worked, false), left(Reach::Worked, true)], [kept, undone]);
    assert_eq!([left(Reach::Rebooted, false), left(Reach::Rebooted, true)], [kept, kept]);
}

#[test]
fn what_might_reboot_a_failed_node_goes_first() {
    let facts = with(|facts| {
        ran(facts);
        let failure =
            Failure { reason: crate::reason::Reason::WorkFailed, detail: "".into(), reach: Reach::Worked };
        facts.record.end = Some(End::Failed(failure));
    });
    let policy = Policy { uncordon_on_failure: true, ..everything() };
    assert_eq!(shown(&facts, &policy, 0), "Failed: delete the reboot pod");
    assert_eq!(standing(&facts, &policy, at(0)), Standing::Failing);
}

#[test]
fn a_deleted_operation_undoes_everything_at_every_point() {
    let mut facts = with(|facts| {
        ran(facts);
        facts.record.asked = Some(Asked { at: at(0) });
        facts.reboot = RebootPod::Asked;
        facts.work = Work::Running;
        facts.deleted = true;
    });
    assert_eq!(shown(&facts, &everything(), 0), "Done: delete the reboot pod");
    facts.reboot = RebootPod::Leaving;
    assert_eq!(shown(&facts, &everything(), 0), "Done: delete the Job");
    facts.work = Work::Leaving;
    assert_eq!(shown(&facts, &everything(), 0), "Done: uncordon");
    node(&mut facts).cordon.unschedulable = false;
    assert_eq!(shown(&facts, &everything(), 0), "Done: give up the claim to the cordon");
    node(&mut facts).cordon = Cordon { unschedulable: true, claim: None, claim_is_dead: false };
    assert_eq!(shown(&facts, &everything(), 0), "Done.");
}

#[test]
fn a_reboot_is_proven_by_another_boot_and_ready_before_the_deadline() {
    let asked = |boot_id: &str, ready: bool, now: i64| {
        let facts = with(|facts| {
            ran(facts);
            facts.record.asked = Some(Asked { at: at(0) });
            facts.reboot = RebootPod::Claimed;
            (node(facts).boot_id, node(facts).ready) = (boot_id.into(), ready);
        });
        shown(&facts, &everything(), now)
    };
    assert_eq!(asked("one", true, 899), "Rebooting Rebooting", "what a pod claims is no proof");
    assert_eq!(asked("", true, 899), "Rebooting Rebooting", "nor is a bootID that is missing");
    assert_eq!(asked("one", true, 900), "Failed: note that it failed: the node did not reboot in time");
    assert_eq!(asked("two", false, 899), "Verifying NodeNotReady");
    let late = "Failed: note that it failed: the node rebooted, and did not become Ready in time";
    assert_eq!(asked("two", false, 900), late);
    assert_eq!(
        asked("two", true, 9000),
        "Done: uncordon",
        "a manager that was away does not count against the node"
    );
}

#[test]
fn a_node_that_was_never_told_is_not_late() {
    let mut facts = with(|facts| {
        ran(facts);
        facts.record.asked = Some(Asked { at: at(0) });
    });
    assert_eq!(shown(&facts, &everything(), 60), "Rebooting: ask for the reboot");
    // All of its time begins when it is told: a manager that was away in between does not take it from the node.
    assert_eq!(shown(&facts, &everything(), 100), "Rebooting: note that the reboot is asked for");
    assert_eq!(shown(&facts, &everything(), 9000), "Rebooting: note that the reboot is asked for");
    facts.reboot = RebootPod::Absent;
    let late = "Failed: note that it failed: the node did not reboot in time";
    assert_eq!(shown(&facts, &everything(), 9000), late, "a pod that is gone may have been told");
}

#[test]
fn a_node_that_rebooted_by_itself_after_its_command_is_not_rebooted_again() {
    let facts = with(|facts| {
        ran(facts);
        node(facts).boot_id = "two".into();
    });
    assert_eq!(shown(&facts, &everything(), 0), "Done: uncordon");
    // The Job tells under which boot it ended, even if that is over when it is looked at.
    let mut late = with(|facts| {
        ran(facts);
        facts.record.ran = None;
        facts.work = Work::Succeeded { boot_id: Some("one".into()) };
        node(facts).boot_id = "two".into();
    });
    let verdict = next(&late, &everything(), at(0));
    assert_eq!(verdict.steps, [Action::Mark(Mark::Ran(Ran { boot_id: "one".into() }))]);
    late.work = Work::Succeeded { boot_id: None };
    node(&mut late).boot_id = "".into();
    assert_eq!(shown(&late, &everything(), 0), "Running BootIdUnknown");
}

#[test]
fn the_word_of_a_foreign_reboot_pod_is_believed_of_adopted_nodes_and_not_at_once() {
    let adopted = |asked: Option<i64>, now| {
        let facts = with(|facts| {
            ran(facts);
            facts.record.adopted = Some("one".into());
            facts.record.asked = asked.map(|asked| Asked { at: at(asked) });
            facts.reboot = RebootPod::Claimed;
        });
        shown(&facts, &everything(), now)
    };
    assert_eq!(adopted(None, 0), "Rebooting: note that the reboot is asked for");
    assert_eq!(adopted(Some(0), 119), "Rebooting Rebooting");
    assert_eq!(adopted(Some(0), 120), "Done: uncordon");
    // What counts is the boot at the adoption: its command may have ended long before it was looked at.
    let changed = with(|facts| {
        ran(facts);
        facts.record.adopted = Some("zero".into());
        facts.reboot = RebootPod::Failed("shutdown".into());
    });
    assert_eq!(shown(&changed, &everything(), 0), "Done: uncordon");
    let in_its_command = with(|facts| {
        cordoned(facts);
        facts.record.started = true;
        facts.record.adopted = Some("zero".into());
        facts.work = Work::Running;
        facts.reboot = RebootPod::Armed;
    });
    assert_eq!(shown(&in_its_command, &everything(), 0), "Running: note the bootID of the adopted node anew");
}

#[test]
fn an_agent_that_may_be_going_down_is_not_told_twice() {
    let policy =
        Policy { reboot: Some(Reboots { arm: false, deadline: Duration::from_secs(900) }), ..everything() };
    let told = |reboot, ready, now| {
        let facts = with(|facts| {
            ran(facts);
            facts.record.asked = Some(Asked { at: at(0) });
            facts.reboot = reboot;
            node(facts).ready = ready;
        });
        shown(&facts, &policy, now)
    };
    assert_eq!(told(RebootPod::Absent, true, 0), "Rebooting: ask for the reboot");
    assert_eq!(told(RebootPod::Asked, true, 0), "Rebooting Rebooting");
    assert_eq!(told(RebootPod::Absent, false, 0), "Rebooting Rebooting");
    assert_eq!(
        told(RebootPod::Absent, false, 900),
        "Failed: note that it failed: the node did not reboot in time"
    );
}

#[test]
fn a_node_that_is_no_longer_wanted_goes_back_until_its_command_was_seen() {
    let mut facts = with(|facts| {
        cordoned(facts);
        facts.record.checked = true;
        facts.reboot = RebootPod::Armed;
        facts.wanted = false;
    });
    assert_eq!(shown(&facts, &everything(), 0), "Cordoned: delete the reboot pod");
    facts.reboot = RebootPod::Absent;
    assert_eq!(shown(&facts, &everything(), 0), "Cordoned: uncordon");
    node(&mut facts).cordon = Cordon::default();
    assert_eq!(shown(&facts, &everything(), 0), "Approved: take its place back");
    facts.work = Work::Running;
    assert_eq!(shown(&facts, &everything(), 0), "Running: note that the command was started");
}

#[test]
fn a_foreign_cordon_is_passed_and_a_contested_one_waited_for() {
    let policy = Policy { drain: None, preflight: false, reboot: None, ..everything() };
    let foreign = with(|facts| node(facts).cordon.unschedulable = true);
    assert_eq!(shown(&foreign, &policy, 0), "Cordoned: run the command");
    assert_eq!(state(&foreign, &policy, at(0)), State::Cordoned { ours: false });
    let contested = with(|facts| node(facts).cordon.claim = Some("ns/other@x".into()));
    assert_eq!(shown(&contested, &policy, 0), "Approved CordonContested");
}

#[test]
fn the_pause_begins_when_the_node_is_given_back() {
    let policy = Policy { pause: Duration::from_secs(60), ..everything() };
    let mut facts = with(|facts| {
        ran(facts);
        node(facts).boot_id = "two".into();
    });
    assert_eq!(shown(&facts, &policy, 0), "Verifying: note that the node is back");
    facts.record.verified = Some(at(0));
    assert_eq!(shown(&facts, &policy, 1), "Cooling: uncordon");
    node(&mut facts).cordon = Cordon::default();
    assert_eq!(shown(&facts, &policy, 59), "Cooling CoolingDown");
    assert_eq!(next(&facts, &policy, at(59)).recheck, Some(at(60)));
    // That it is not Ready for a moment changes nothing any more.
    node(&mut facts).ready = false;
    assert_eq!(shown(&facts, &policy, 60), "Done: note that it is completed");
}

#[test]
fn a_drain_that_nothing_holds_back_is_late_too() {
    let draining = |at_deadline, now| {
        let facts = with(|facts| {
            cordoned(facts);
            facts.record.drain_since = Some(at(0));
            let key = domain::object::ObjectKey::new("ns", "p");
            let pod = crate::drain::Pod { key, owned: true, ..crate::drain::Pod::default() };
            facts.pods = Some(Pods { pods: vec![pod], ..Pods::default() });
        });
        let drain =
            Some(Drains { deadline: Some(Duration::from_secs(600)), at_deadline, ..Drains::default() });
        shown(&facts, &Policy { preflight: false, reboot: None, drain, ..everything() }, now)
    };
    assert_eq!(draining(Fail, 599), "Draining: evict ns/p");
    let late = "Failed: note that it failed: the node could not be drained in time: Pod ns/p is on the node";
    assert_eq!(draining(Fail, 600), late);
    assert_eq!(draining(Force, 600), "Draining: delete ns/p");
    assert_eq!(draining(Skip, 600), "Draining: run the command");
}

#[test]
fn a_drain_that_waits_for_hours_is_looked_at_less_often() {
    let next_look = |unchanged: Option<i64>, now| {
        let facts = with(|facts| {
            cordoned(facts);
            facts.record.drain_since = Some(at(0));
            let key = domain::object::ObjectKey::new("ns", "p");
            let leaving_by = Some(at(30));
            let pod = crate::drain::Pod { key, owned: true, leaving_by, ..crate::drain::Pod::default() };
            let unchanged_since = unchanged.map(at);
            facts.pods = Some(Pods { pods: vec![pod], unchanged_since, ..Pods::default() });
        });
        let drain = Some(Drains { deadline: Some(Duration::from_secs(9000)), ..Drains::default() });
        let policy = Policy { preflight: false, reboot: None, drain, ..everything() };
        next(&facts, &policy, at(now)).recheck
    };
    assert_eq!(next_look(None, 1000), Some(at(1015)));
    assert_eq!(next_look(Some(990), 1000), Some(at(1015)));
    assert_eq!(next_look(Some(0), 1000), Some(at(1100)));
    assert_eq!(next_look(Some(0), 7000), Some(at(7120)));
    assert_eq!(next_look(Some(0), 8950), Some(at(9000)), "at the deadline in any case");
    assert_eq!(next_look(Some(2000), 1000), Some(at(1100)), "a clock that was set back");
}

#[test]
fn what_ends_a_preflight_ends_the_way_undisturbed() {
    let ended = |preflight| shown(&with(|facts| facts.preflight = preflight), &everything(), 0);
    assert_eq!(ended(Check::Skip("at v2\n".into())), "Done: note that it is skipped: at v2");
    assert_eq!(ended(Check::Failed("no".into())), "Failed: note that it failed: the preflight failed: no");
    assert_eq!(ended(Check::Stuck("ImagePullBackOff".into())), "Preflight PodNotStarting");
}

/// It is found out by the command alone, as it is about to run on a node that is cordoned, drained and armed.
#[test]
fn a_command_with_nothing_to_do_gives_the_node_back_without_a_reboot() {
    let policy = everything();
    let mut facts = with(|facts| {
        ran(facts);
        (facts.record.started, facts.record.ran) = (false, None);
        facts.work = Work::Needless("it is there already\n".into());
    });
    assert_eq!(shown(&facts, &policy, 0), "Running: note that the command was started");
    facts.record.started = true;
    assert_eq!(shown(&facts, &policy, 0), "Done: note that it is skipped: it is there already");
    assert_eq!(super::standing(&facts, &policy, at(0)), Standing::InFlight);
    facts.record.end = Some(End::Done(Outcome::Skipped("it is there already\n".into())));
    // Its Job, which has told so, may be gone by now.
    for work in [facts.work.clone(), Work::Absent] {
        let mut facts = Facts { work, ..facts.clone() };
        assert_eq!(shown(&facts, &policy, 0), "Done: delete the reboot pod");
        facts.reboot = RebootPod::Leaving;
        assert_eq!(shown(&facts, &policy, 0), "Done: uncordon");
        assert_eq!(
            super::standing(&facts, &policy, at(0)),
            Standing::InFlight,
            "its place is taken until then"
        );
        node(&mut facts).cordon = Cordon::default();
        assert_eq!(shown(&facts, &policy, 0), "Done.");
        assert_eq!(super::standing(&facts, &policy, at(0)), Standing::Done);
    }
}

/// What was written down first is carried through.
#[test]
fn a_reboot_that_was_decided_on_is_not_called_off() {
    let facts = with(|facts| {
        ran(facts);
        facts.work = Work::Needless("it is there already".into());
    });
    assert_eq!(shown(&facts, &everything(), 0), "Rebooting: note that the reboot is asked for");
}
