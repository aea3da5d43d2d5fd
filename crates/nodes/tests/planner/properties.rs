//! Random worlds, operations and events, and a manager that is killed before or after any of its requests.

use proptest::prelude::*;
use proptest::sample::select;

use domain::verdict::Reason as _;
use nodes::machine::State;
use nodes::reason::Reason;

use crate::manager::{Fate, Manager};
use crate::scenario::{
    App, AtDeadline, Boot, BudgetSpec, Command, Drain, Event, NodeSpec, Operation, Part, PodSpec, Preflight,
    Reboot, Scenario, What,
};

/// By then everything that goes on by itself has come to rest.
const REST: i64 = 9_000;
/// What no node may wait for when everything has come to rest: each goes on by itself.
const PASSES: [Reason; 9] = [
    Reason::Starting,
    Reason::PreflightRunning,
    Reason::RebootPodStarting,
    Reason::Draining,
    Reason::WorkRunning,
    Reason::Rebooting,
    Reason::CoolingDown,
    Reason::Undoing,
    Reason::NotWanted,
];

fn one_in(n: u32) -> impl Strategy<Value = bool> {
    (0..n).prop_map(|drawn| drawn == 0)
}

fn drain() -> impl Strategy<Value = Drain> {
    let at = select(vec![AtDeadline::Fail, AtDeadline::Fail, AtDeadline::Force, AtDeadline::Skip]);
    (select(vec![None, Some(30), Some(120)]), at, one_in(6), one_in(6), one_in(3)).prop_map(
        |(deadline, at_deadline, refuse_empty_dir, refuse_unowned, force_unowned)| Drain {
            deadline,
            at_deadline,
            refuse_empty_dir,
            refuse_unowned,
            force_unowned,
        },
    )
}

fn operation() -> impl Strategy<Value = Operation> {
    let admission = (0_u32..4, any::<bool>(), any::<bool>(), one_in(4), select(vec![None, None, Some(1)]));
    let reboot = proptest::option::weighted(0.7, (one_in(4), select(vec![60_u64, 300])));
    let steps = (any::<bool>(), one_in(8), proptest::option::of(drain()), one_in(8), reboot);
    let rest = (one_in(4), select(vec![0_u64, 0, 45]), any::<bool>(), any::<bool>());
    (admission, steps, rest).prop_map(|(admission, steps, rest)| {
        let (concurrency, count_unavailable, one_control_plane, stop_on_failure, failure_budget) = admission;
        let (preflight, no_cordon, drain, no_command, reboot) = steps;
        let (ready, pause, uncordon_on_failure, live_targets) = rest;
        Operation {
            concurrency,
            count_unavailable,
            one_control_plane,
            stop_on_failure,
            failure_budget,
            live_targets,
            preflight,
            cordon: !no_cordon,
            drain,
            no_command,
            reboot: reboot.map(|(agent, deadline)| Reboot { agent, deadline }),
            ready,
            pause,
            uncordon_on_failure,
            ..Operation::default()
        }
    })
}

fn pods() -> impl Strategy<Value = Vec<PodSpec>> {
    let kind = 0_u8..12;
    let app = select(vec!["web", "api", "free"]);
    let one = (kind, app, select(vec![5_i64, 20, 60, 60, -1])).prop_map(|(kind, app, leaves)| PodSpec {
        app: app.to_owned(),
        unowned: kind == 0,
        daemon: kind == 1,
        mirror: kind == 2,
        empty_dir: kind == 3,
        finished: kind == 4,
        own: kind == 5,
        leaves,
        ..PodSpec::default()
    });
    proptest::collection::vec(one, 0..4)
}

fn node() -> impl Strategy<Value = NodeSpec> {
    use Preflight::{Failed, Passed, Skip};
    let roles = (any::<bool>(), one_in(15), one_in(10), one_in(12), one_in(10), one_in(8));
    let preflight = select(vec![Passed, Passed, Passed, Passed, Skip, Failed, Preflight::Stuck]);
    let command = select(vec![
        Command::Well,
        Command::Well,
        Command::Well,
        Command::Well,
        Command::Badly,
        Command::Stuck,
    ]);
    let boot = select(vec![
        Boot::Ready,
        Boot::Ready,
        Boot::Ready,
        Boot::Ready,
        Boot::Unready,
        Boot::Ignored,
        Boot::PodFails,
    ]);
    let takes = || select(vec![1_i64, 20, 80]);
    let parts = (takes(), preflight, takes(), command, takes(), boot);
    (roles, parts, pods(), select(vec![None, None, None, Some("ns/other@uid-2"), Some("ns/gone@dead")]))
        .prop_map(|((control_plane, unready, cordoned, bystander, later, adopted), parts, pods, claim)| {
            NodeSpec {
                control_plane,
                unready,
                cordoned: cordoned && !adopted,
                claim: claim.filter(|_| cordoned && !adopted).map(str::to_owned),
                bystander: bystander && !adopted,
                later: later && !adopted,
                adopted,
                preflight: Part { takes: parts.0, ends: parts.1 },
                command: Part { takes: parts.2, ends: parts.3 },
                boot: Part { takes: parts.4, ends: parts.5 },
                pods,
                ..NodeSpec::default()
            }
        })
}

fn event() -> impl Strategy<Value = Event> {
    let what = prop_oneof![
        3 => Just(What::Removed),
        2 => Just(What::Joins),
        1 => Just(What::Replaced),
        2 => Just(What::CordonedByHand),
        2 => Just(What::UncordonedByHand),
        3 => Just(What::RebootsByItself),
        1 => Just(What::Unready),
        1 => Just(What::Ready),
        2 => Just(What::Withdrawn),
        1 => Just(What::Deleted),
        3 => (1_i64..200).prop_map(What::Killed),
        4 => Just(What::JobPruned),
        1 => Just(What::JobDeleted),
        1 => Just(What::RebootPodDeleted),
        1 => Just(What::GateCloses),
        1 => Just(What::GateOpens),
        1 => (0_u32..5).prop_map(|replicas| What::Scaled("web".to_owned(), replicas)),
    ];
    (0_i64..600, 0_usize..5, what).prop_map(|(at, node, what)| Event { at, node: format!("n{node}"), what })
}

fn budgets() -> impl Strategy<Value = Vec<BudgetSpec>> {
    let one = (select(vec!["web", "api"]), 0_u32..3, 0_u8..3).prop_map(|(app, number, kind)| BudgetSpec {
        app: app.to_owned(),
        min_available: (kind == 0).then_some(number),
        max_unavailable: (kind == 1).then_some(number),
        min_available_percent: (kind == 2).then_some(number * 50),
        ..BudgetSpec::default()
    });
    proptest::collection::vec(one, 0..3)
}

fn scenario() -> impl Strategy<Value = Scenario> {
    let nodes = proptest::collection::vec(node(), 1..5);
    let events = proptest::collection::vec(event(), 0..8);
    (operation(), nodes, budgets(), 1_u32..5, events).prop_map(
        |(operation, mut nodes, mut budgets, replicas, mut events)| {
            let many = nodes.len();
            let mut adopted = 0;
            for (n, node) in nodes.iter_mut().enumerate() {
                node.name = format!("n{n}");
                for (p, pod) in node.pods.iter_mut().enumerate() {
                    pod.name = format!("{}-{n}-{p}", pod.app);
                }
                // The controller before us kept to its concurrency of one, had a command, and rebooted by a pod.
                let fits =
                    !operation.no_command && operation.reboot.as_ref().is_some_and(|reboot| !reboot.agent);
                node.adopted &= fits && operation.cordon && adopted == 0;
                adopted += usize::from(node.adopted);
            }
            for (n, budget) in budgets.iter_mut().enumerate() {
                budget.name = format!("budget-{n}");
            }
            events.retain(|event| event.node.trim_start_matches('n').parse::<usize>().unwrap() < many);
            let app = App { replicas, replaced: 15 };
            let apps = [("web".to_owned(), app), ("api".to_owned(), app)].into();
            Scenario { operation, nodes, budgets, apps, events, until: None }
        },
    )
}

/// What becomes of the manager at each of its first actions.
fn fates() -> impl Strategy<Value = Vec<Fate>> {
    let down = || select(vec![1_i64, 10, 90]);
    let one = prop_oneof![
        6 => Just(Fate::Lives),
        1 => down().prop_map(Fate::DiesBefore),
        1 => down().prop_map(Fate::DiesAfter),
    ];
    proptest::collection::vec(one, 0..120)
}

/// What a node waits for that can only be waited for while something else goes on.
fn waits_for_nothing(manager: &Manager, name: &str) -> Option<String> {
    let (state, verdict) = manager.look(name);
    if matches!(state, State::Idle | State::Done(_) | State::Failed(_)) {
        return verdict.steps.first().map(|step| format!("{name} is {state:?}, and yet: {step}"));
    }
    let Some(because) = verdict.then.because() else {
        return Some(format!("{name} is {state:?}, and waits for nothing"));
    };
    let others_fly = manager.world.nodes.keys().any(|other| {
        let ended = matches!(
            manager.look(other).0,
            State::Idle | State::Requested | State::Done(_) | State::Failed(_)
        );
        other != name && !ended
    });
    let for_nobody = because.reason == Reason::ConcurrencyReached && !others_fly;
    (PASSES.contains(&because.reason) || for_nobody)
        .then(|| format!("{name} is {state:?}, and waits for ever: {} - {because}", because.reason.name()))
}

fn config() -> ProptestConfig {
    let otherwise = ProptestConfig::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { otherwise.cases } else { 1500 };
    ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 4000, ..otherwise }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn nothing_happens_that_must_never_be(scenario in scenario(), fates in fates(), chance: u64) {
        let mut manager = Manager::new(scenario, chance);
        manager.run(REST, &mut fates.into_iter());
        let log = manager.world.log.join("\n");
        manager.witness.at_the_end(&manager.world);
        prop_assert_eq!(&manager.witness.seen, &Vec::<String>::new(), "{}", log);
        for name in manager.world.nodes.keys() {
            prop_assert_eq!(waits_for_nothing(&manager, name), None, "{}", log);
        }
        // Whatever it was waiting for: when the operation is deleted, nothing of it is left.
        manager.world.deleted = true;
        manager.run(REST + 100, &mut std::iter::empty());
        manager.witness.at_the_end(&manager.world);
        prop_assert_eq!(&manager.witness.seen, &Vec::<String>::new(), "{}", manager.world.log.join("\n"));
    }
}
