//! Facts of every kind, also such as no history leads to.

use domain::object::ObjectKey;
use domain::verdict::Then;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::drain::{AtDeadline, EmptyDir, Options, Pod};

fn text() -> impl Strategy<Value = Box<str>> {
    select(vec!["", "why\n", "two\nlines"]).prop_map(Into::into)
}

fn any_node() -> impl Strategy<Value = Node> {
    let claim = select(vec![None, Some(OURS), Some("ns/other@x")]);
    let id = || select(vec!["", "one", "two"]);
    (any::<bool>(), claim, any::<bool>(), any::<bool>(), id(), id()).prop_map(
        |(unschedulable, claim, claim_is_dead, ready, boot_id, uid)| Node {
            uid: uid.into(),
            cordon: Cordon { unschedulable, claim: claim.map(Into::into), claim_is_dead },
            ready,
            boot_id: boot_id.into(),
        },
    )
}

fn any_record() -> impl Strategy<Value = Record> {
    let id = || proptest::option::of(select(vec!["", "one", "two"]));
    let time = || proptest::option::of((0_i64..1000).prop_map(at));
    let reach = select(vec![Reach::Untouched, Reach::Worked, Reach::Rebooted]);
    let end = prop_oneof![
        6 => Just(None),
        1 => select(vec![Outcome::Completed, Outcome::Removed, Outcome::Stopped, Outcome::Skipped("x".into())])
            .prop_map(|outcome| Some(End::Done(outcome))),
        1 => (reach, text()).prop_map(|(reach, detail)| {
            Some(End::Failed(Failure { reason: crate::reason::Reason::WorkFailed, detail, reach }))
        }),
    ];
    (id(), any::<bool>(), time(), any::<bool>(), id(), id(), time(), time(), end).prop_map(
        |(approved, checked, drain_since, started, ran, adopted, asked, verified, end)| Record {
            approved: approved.map(|uid| Approval { node_uid: uid.into() }),
            checked,
            drain_since,
            started,
            ran: ran.map(|boot_id| Ran { boot_id: boot_id.into() }),
            adopted: adopted.map(Into::into),
            asked: asked.map(|at| Asked { at }),
            verified,
            end,
        },
    )
}

fn any_facts() -> impl Strategy<Value = Facts> {
    use RebootPod::{Absent, Armed, Asked, Claimed, Leaving, Starting};
    let check = prop_oneof![
        select(vec![Check::Absent, Check::Running, Check::Passed, Check::Leaving]),
        text().prop_map(Check::Stuck),
        text().prop_map(Check::Skip),
        text().prop_map(Check::Failed),
    ];
    let work = prop_oneof![
        select(vec![
            Work::Absent,
            Work::Running,
            Work::Leaving,
            Work::Succeeded { boot_id: Some("".into()) }
        ]),
        text().prop_map(Work::Stuck),
        text().prop_map(Work::Needless),
        text().prop_map(Work::Failed),
    ];
    let reboot = prop_oneof![
        select(vec![Absent, Starting, Armed, Asked, Claimed, Leaving]),
        text().prop_map(RebootPod::Stuck),
        text().prop_map(RebootPod::Failed),
    ];
    let pods = (any::<bool>(), any::<bool>(), proptest::option::of(0_i64..1000)).prop_map(
        |(some, empty_dir, by)| Pods {
            pods: some
                .then(|| Pod {
                    key: ObjectKey::new("ns", "p"),
                    owned: true,
                    empty_dir,
                    leaving_by: by.map(at),
                    ..Pod::default()
                })
                .into_iter()
                .collect(),
            budgets: Vec::new(),
            unchanged_since: None,
        },
    );
    let flags = (any::<bool>(), proptest::bool::weighted(0.1));
    (
        proptest::option::weighted(0.8, any_node()),
        flags,
        any_record(),
        check,
        work,
        reboot,
        proptest::option::of(pods),
    )
        .prop_map(|(node, (wanted, deleted), record, preflight, work, reboot, pods)| Facts {
            node,
            wanted,
            deleted,
            record,
            preflight,
            work,
            reboot,
            pods,
            ..facts()
        })
}

fn any_policy() -> impl Strategy<Value = Policy> {
    let at_deadline = select(vec![AtDeadline::Fail, AtDeadline::Force, AtDeadline::Skip]);
    let drain = (at_deadline, any::<bool>(), proptest::option::of(1_u64..500)).prop_map(
        |(at_deadline, refuse, deadline)| {
            let empty_dir = if refuse { EmptyDir::Refuse } else { EmptyDir::Remove };
            let deadline = deadline.map(Duration::from_secs);
            Drains { options: Options { empty_dir, ..Options::default() }, deadline, at_deadline }
        },
    );
    let reboot = any::<bool>().prop_map(|arm| Reboots { arm, deadline: Duration::from_secs(300) });
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (flags, proptest::option::of(drain), proptest::option::of(reboot), 0_u64..100).prop_map(
        |((preflight, cordon, work, ready, uncordon_on_failure), drain, reboot, pause)| Policy {
            preflight,
            cordon,
            drain,
            work,
            reboot,
            ready,
            pause: Duration::from_secs(pause),
            uncordon_on_failure,
            look_again: Duration::from_secs(15),
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_facts_are_there_is_one_step_or_an_end_or_a_reason(
        facts in any_facts(), policy in any_policy(), now in 0_i64..2000,
    ) {
        let now = at(now);
        let (state, verdict) = (state(&facts, &policy, now), next(&facts, &policy, now));
        let step = verdict.steps.first();
        prop_assert!(verdict.steps.len() <= 1);
        prop_assert!(step.is_some() || verdict.recheck.is_none_or(|recheck| recheck > now), "{verdict:?}");
        let over = facts.deleted || matches!(state, State::Idle | State::Done(_));
        prop_assert!(over || step.is_some() || verdict.then != Then::Done, "{state:?} {verdict:?}");
        if let Some(because) = verdict.then.because() {
            prop_assert!(!because.to_string().contains('\n') && !because.message.is_empty());
        }
        let node = facts.node.as_ref();
        match step {
            Some(Action::Uncordon(_)) => {
                prop_assert!(node.is_some_and(|node| node.cordon.claim.as_deref() == Some(OURS)));
            }
            Some(Action::Run) => prop_assert!(!facts.record.started && facts.work == Work::Absent && node.is_some()),
            Some(Action::Reboot) => prop_assert!(facts.record.ran.is_some() && facts.record.asked.is_some()),
            Some(Action::End(_)) => prop_assert!(facts.record.end.is_none()),
            Some(Action::Release) => prop_assert!(facts.record.ran.is_none() && !facts.record.started || !policy.work),
            _ => {}
        }
        if facts.record.end.is_some() {
            prop_assert!(matches!(step, None | Some(Action::Uncordon(_) | Action::CleanUp(_))), "{verdict:?}");
        }
    }
}
