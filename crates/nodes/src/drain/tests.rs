use domain::object::ObjectKey;
use domain::verdict::Reason as _;
use jiff::Timestamp;
use proptest::prelude::*;

use super::budget::{Bound, Budget, Leave, leave};
use super::*;
use crate::reason::Reason;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap_or_default()
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::new("ns", name)
}

fn pod(name: &str) -> Pod {
    Pod { key: key(name), uid: name.into(), owned: true, ready: true, ..Pod::default() }
}

/// Two pods of three may go, and `pods` are those of the node.
fn budget(name: &str, bound: Bound, pods: &[&str]) -> Budget {
    Budget {
        key: key(name),
        bound,
        expected: 3,
        healthy: 3,
        desired: 1,
        allowed: 2,
        lets_unready_go: false,
        pods: pods.iter().map(|pod| key(pod)).collect(),
    }
}

#[test]
fn every_pod_has_its_fate_and_its_reason() {
    use Why::*;
    let with = |change: fn(&mut Pod)| {
        let mut pod = pod("p");
        change(&mut pod);
        pod
    };
    let table: Vec<(Pod, Fate)> = vec![
        (with(|_| {}), Fate::Evict(Workload)),
        (with(|pod| pod.role = Role::Controller), Fate::Skip(OwnPod)),
        (with(|pod| pod.role = Role::Reboot), Fate::Skip(RebootPod)),
        (with(|pod| pod.role = Role::Operation), Fate::Skip(PartOfOperation)),
        (with(|pod| pod.daemon = true), Fate::Skip(DaemonSet)),
        (with(|pod| pod.mirror = true), Fate::Skip(Mirror)),
        (with(|pod| pod.phase = Phase::Succeeded), Fate::Skip(Finished)),
        (with(|pod| pod.phase = Phase::Failed), Fate::Skip(Finished)),
        (with(|pod| pod.phase = Phase::Pending), Fate::Evict(Workload)),
        (with(|pod| pod.phase = Phase::Unknown), Fate::Evict(Workload)),
        (with(|pod| pod.left_out = true), Fate::Skip(LeftOut)),
        (with(|pod| pod.owned = false), Fate::Skip(Unowned)),
        (with(|pod| pod.leaving_by = Some(at(5))), Fate::Awaited(Terminating)),
        (with(|pod| pod.empty_dir = true), Fate::Evict(Workload)),
        // What is not subject to the drain is not awaited either.
        (
            with(|pod| {
                pod.daemon = true;
                pod.leaving_by = Some(at(5));
            }),
            Fate::Skip(DaemonSet),
        ),
        (
            with(|pod| {
                pod.owned = false;
                pod.leaving_by = Some(at(5));
            }),
            Fate::Skip(Unowned),
        ),
    ];
    for (pod, expected) in table {
        assert_eq!(fate(&pod, &Options::default(), at(0)), expected, "{pod:?}");
    }
}

#[test]
fn options_change_the_fate() {
    use Why::{ByDeletion, StuckTerminating, Terminating, Workload};
    let lone = Pod { owned: false, ..pod("p") };
    let daemon = Pod { daemon: true, ..pod("p") };
    let cache = Pod { empty_dir: true, ..pod("p") };
    let leaving = Pod { leaving_by: Some(at(10)), ..pod("p") };
    let table = [
        (&lone, Options { unowned: Unowned::Refuse, ..Options::default() }, Fate::Refuse(Why::Unowned)),
        (&lone, Options { unowned: Unowned::Remove, ..Options::default() }, Fate::Evict(Workload)),
        (&daemon, Options { daemons_too: true, ..Options::default() }, Fate::Evict(Workload)),
        (&cache, Options { empty_dir: EmptyDir::Refuse, ..Options::default() }, Fate::Refuse(Why::EmptyDir)),
        (&cache, Options { delete: true, ..Options::default() }, Fate::Delete(ByDeletion)),
    ];
    for (pod, options, expected) in table {
        assert_eq!(fate(pod, &options, at(0)), expected, "{options:?}");
    }
    let patient = Options { give_up_leaving: Some(Duration::from_secs(5)), ..Options::default() };
    assert_eq!(fate(&leaving, &patient, at(14)), Fate::Awaited(Terminating));
    assert_eq!(fate(&leaving, &patient, at(15)), Fate::Skip(StuckTerminating));
    // A refused pod that leaves by itself is waited for.
    let refuses = Options { unowned: Unowned::Refuse, empty_dir: EmptyDir::Refuse, ..Options::default() };
    let lone = Pod { owned: false, empty_dir: true, ..leaving };
    assert_eq!(fate(&lone, &refuses, at(0)), Fate::Awaited(Terminating));
}

#[test]
fn a_budget_that_can_never_be_met_is_told() {
    use Bound::*;
    let table = [
        (MaxUnavailable(0), 3, true),
        (MaxUnavailable(0), 0, true),
        (MaxUnavailable(1), 1, false),
        (MaxUnavailablePercent(0), 3, true),
        // Rounded up, one percent is one pod.
        (MaxUnavailablePercent(1), 3, false),
        (MinAvailable(0), 3, false),
        (MinAvailable(2), 3, false),
        (MinAvailable(3), 3, true),
        (MinAvailable(9), 3, true),
        (MinAvailable(1), 1, true),
        // Without a pod there is nothing to be met.
        (MinAvailable(1), 0, false),
        (MinAvailablePercent(100), 3, true),
        // Rounded up, 67 percent of three are three, and 66 are two.
        (MinAvailablePercent(67), 3, true),
        (MinAvailablePercent(66), 3, false),
        (MinAvailablePercent(99), 3, true),
        (MinAvailablePercent(u32::MAX), u32::MAX, true),
    ];
    for (bound, expected, never) in table {
        let budget = Budget { expected, ..budget("b", bound, &["p"]) };
        assert_eq!(budget.never_allows(), never, "{bound} of {expected}");
    }
}

#[test]
fn budgets_are_asked_in_the_order_of_the_api_server() {
    let never = budget("never", Bound::MaxUnavailable(0), &["p"]);
    let some = budget("some", Bound::MinAvailable(1), &["p"]);
    let none_now = Budget { allowed: 0, ..some.clone() };
    let not_ready = Pod { ready: false, ..pod("p") };
    let lets_go = Budget { lets_unready_go: true, ..never.clone() };
    let too_few = Budget { healthy: 0, ..none_now.clone() };
    let both = [some.clone(), never.clone()];
    assert_eq!(leave(&pod("other"), &both), Leave::Free);
    assert_eq!(leave(&pod("p"), std::slice::from_ref(&some)), Leave::Counted(&some));
    assert_eq!(leave(&pod("p"), std::slice::from_ref(&none_now)), Leave::Blocked(&none_now));
    assert_eq!(leave(&pod("p"), std::slice::from_ref(&never)), Leave::Never(&never));
    assert_eq!(leave(&pod("p"), &both), Leave::Twice(&some, &never));
    assert_eq!(leave(&Pod { phase: Phase::Pending, ..pod("p") }, &both), Leave::Free);
    assert_eq!(leave(&Pod { leaving_by: Some(at(1)), ..pod("p") }, &both), Leave::Free);
    assert_eq!(leave(&not_ready, &both), Leave::Twice(&some, &never), "also for an unready one");
    assert_eq!(leave(&not_ready, std::slice::from_ref(&lets_go)), Leave::Free);
    assert_eq!(leave(&not_ready, std::slice::from_ref(&none_now)), Leave::Free, "enough others are healthy");
    assert_eq!(leave(&not_ready, std::slice::from_ref(&too_few)), Leave::Blocked(&too_few));
    let undesired = Budget { desired: 0, ..too_few.clone() };
    assert_eq!(leave(&not_ready, std::slice::from_ref(&undesired)), Leave::Blocked(&undesired));
}

fn names(plan: &Plan) -> Vec<String> {
    plan.remove.iter().map(ToString::to_string).collect()
}

fn planned(pods: &[Pod], budgets: &[Budget]) -> Plan {
    plan(pods, budgets, &Options::default(), None, at(0))
}

fn reason(plan: &Plan) -> Option<Reason> {
    plan.because().map(|because| because.reason)
}

#[test]
fn an_empty_node_is_drained() {
    assert!(planned(&[], &[]).is_over());
    assert!(planned(&[Pod { daemon: true, ..pod("logs") }], &[]).is_over());
}

#[test]
fn as_many_leave_as_the_budget_lets_and_the_next_is_named_with_it() {
    let pods = [pod("a"), pod("b"), pod("c"), pod("free")];
    let plan = planned(&pods, &[budget("web", Bound::MinAvailable(1), &["a", "b", "c"])]);
    assert_eq!(names(&plan), ["evict ns/a", "evict ns/b", "evict ns/free"]);
    let because = plan.waits.map(|because| because.to_string()).unwrap_or_default();
    let expected = "the budget of Pod ns/c allows no eviction now (PodDisruptionBudget ns/web); \
                    it goes on when enough pods of the budget are healthy";
    assert_eq!(because, expected);
}

#[test]
fn none_leaves_while_one_can_never() {
    let pods = [pod("a"), pod("b")];
    let plan = planned(&pods, &[budget("all", Bound::MinAvailablePercent(100), &["b"])]);
    assert_eq!((names(&plan), reason(&plan)), (vec![], Some(Reason::BudgetNeverMet)));
    let shown = plan.because().map(ToString::to_string).unwrap_or_default();
    assert!(shown.contains("Pod ns/b") && shown.contains("minAvailable is 100% of 3 expected"), "{shown}");
    assert!(shown.contains("(PodDisruptionBudget ns/all)"), "{shown}");

    let two = [budget("one", Bound::MinAvailable(1), &["b"]), budget("two", Bound::MinAvailable(1), &["b"])];
    let plan = planned(&pods, &two);
    assert_eq!((names(&plan), reason(&plan)), (vec![], Some(Reason::BudgetNeverMet)));
    let shown = plan.because().map(ToString::to_string).unwrap_or_default();
    assert!(shown.contains("two budgets are over Pod ns/b") && shown.contains("one and two"), "{shown}");
    assert!(Reason::BudgetNeverMet.needs_human() && !Reason::BudgetBlocks.needs_human());
}

#[test]
fn a_refused_pod_keeps_all_others() {
    let options = Options { empty_dir: EmptyDir::Refuse, ..Options::default() };
    let pods = [pod("a"), Pod { empty_dir: true, ..pod("cache") }];
    let plan = plan(&pods, &[], &options, None, at(0));
    assert_eq!((names(&plan), reason(&plan)), (vec![], Some(Reason::DrainRefused)));
    let blocked = plan.because().and_then(|because| because.blocked_by.clone());
    assert_eq!(blocked.map(|pod| (pod.to_string(), pod.uid)), Some(("Pod ns/cache".into(), "cache".into())));
}

#[test]
fn a_pod_that_was_refused_by_the_server_is_held_back_for_a_while() {
    let refused = Pod { not_before: Some(at(30)), ..pod("a") };
    let early = planned(&[refused.clone(), pod("b")], &[]);
    assert_eq!(
        (names(&early), reason(&early), early.again),
        (vec!["evict ns/b".into()], Some(Reason::BudgetBlocks), Some(at(30)))
    );
    let later = plan(&[refused], &[], &Options::default(), None, at(30));
    assert_eq!(names(&later), ["evict ns/a"]);
}

#[test]
fn the_grace_is_the_pods_own_unless_the_options_say_otherwise() {
    let grace = |grace_seconds| {
        let options = Options { grace_seconds, ..Options::default() };
        plan(&[pod("a")], &[], &options, None, at(0)).remove.first().and_then(|removal| removal.grace_seconds)
    };
    assert_eq!([grace(None), grace(Some(0)), grace(Some(60))], [None, Some(0), Some(60)]);
}

#[test]
fn past_the_deadline_each_policy_does_its_own() {
    let never = [budget("never", Bound::MaxUnavailable(0), &["a"])];
    let leaving = |by| Pod { leaving_by: Some(at(by)), ..pod("slow") };
    let past = |pods: &[Pod], policy| plan(pods, &never, &Options::default(), Some(policy), at(100));
    let pods = [pod("a"), pod("b"), leaving(90)];
    assert_eq!(reason(&past(&pods, AtDeadline::Fail)), Some(Reason::BudgetNeverMet));

    let forced = past(&pods, AtDeadline::Force);
    assert_eq!(names(&forced), ["delete ns/a", "delete ns/b"]);
    assert_eq!(reason(&forced), Some(Reason::PodsTerminating), "a deleted pod has its grace, and a moment");
    assert!(past(&[leaving(70)], AtDeadline::Force).is_over(), "and is then given up");

    let skipped = past(&pods, AtDeadline::Skip);
    assert_eq!((names(&skipped), reason(&skipped)), (vec![], Some(Reason::PodsTerminating)));
    assert!(past(&[pod("a"), leaving(70)], AtDeadline::Skip).is_over());

    let refuses = Options { unowned: Unowned::Refuse, ..Options::default() };
    let lone = [Pod { owned: false, ..pod("lone") }];
    let forced = plan(&lone, &[], &refuses, Some(AtDeadline::Force), at(100));
    assert_eq!(reason(&forced), Some(Reason::DrainRefused), "force does not lose what was refused");
    assert!(plan(&lone, &[], &refuses, Some(AtDeadline::Skip), at(100)).is_over());
}

fn any_pod() -> impl Strategy<Value = Pod> {
    use proptest::bool::weighted;
    let flags = (weighted(0.9), any::<bool>(), weighted(0.8), weighted(0.2), weighted(0.1));
    let leaving_by = proptest::option::weighted(0.15, 0_i64..200);
    let phase = prop_oneof![
        6 => Just(Phase::Running),
        1 => Just(Phase::Pending),
        1 => Just(Phase::Succeeded),
        1 => Just(Phase::Unknown),
    ];
    (0_u8..6, flags, leaving_by, phase).prop_map(
        |(n, (owned, daemon, ready, empty_dir, late), leaving_by, phase)| Pod {
            owned,
            daemon: daemon && !owned,
            ready,
            empty_dir,
            leaving_by: leaving_by.map(at),
            phase,
            not_before: late.then(|| at(150)),
            ..pod(&format!("p{n}"))
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_budget_is_overdrawn_and_every_drain_is_over_or_says_why(
        pods in proptest::collection::vec(any_pod(), 0..6),
        allowed in 0_u32..3,
        max in 0_u32..3,
        refuse: bool,
        past in proptest::sample::select(vec![None, Some(AtDeadline::Fail), Some(AtDeadline::Force), Some(AtDeadline::Skip)]),
    ) {
        let web = Budget { allowed, ..budget("web", Bound::MaxUnavailable(max), &["p0", "p1", "p2"]) };
        let options = Options { unowned: if refuse { Unowned::Refuse } else { Unowned::Skip }, ..Options::default() };
        let plan = plan(&pods, std::slice::from_ref(&web), &options, past, at(100));
        let counted = plan.remove.iter().filter(|removal| {
            let pod = pods.iter().rfind(|pod| pod.key == removal.pod);
            removal.how == How::Evict && pod.is_some_and(|pod| matches!(leave(pod, std::slice::from_ref(&web)), Leave::Counted(_)))
        });
        prop_assert!(counted.count() <= usize::try_from(allowed).unwrap_or(0));
        prop_assert!(plan.hindrance.is_none() || plan.remove.is_empty());
        for (key, fate) in &plan.fates {
            let removed = plan.remove.iter().any(|removal| removal.pod == *key);
            match fate {
                Fate::Skip(_) | Fate::Awaited(_) | Fate::Refuse(_) => prop_assert!(!removed),
                Fate::Evict(_) | Fate::Delete(_) => prop_assert!(removed || plan.because().is_some()),
            }
            prop_assert!(matches!(fate, Fate::Skip(_)) || !plan.is_over(), "{key}: {fate:?}");
        }
    }
}
