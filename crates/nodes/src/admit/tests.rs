use proptest::prelude::*;

use super::*;

fn waiting(name: &str) -> Candidate {
    Candidate { name: name.into(), standing: Standing::Waiting, ..Candidate::default() }
}

fn standing(name: &str, standing: Standing) -> Candidate {
    Candidate { standing, ..waiting(name) }
}

fn control_plane(name: &str) -> Candidate {
    Candidate { control_plane: true, ..waiting(name) }
}

fn at_once(number: u32) -> Rules {
    Rules { concurrency: Amount::Number(number), ..Rules::default() }
}

/// What starts, and the reasons of the others, in one line.
fn shown(nodes: &[Candidate], rules: &Rules) -> String {
    let admission = admit(nodes, rules);
    let held: Vec<String> =
        admission.held.iter().map(|(name, because)| format!("{name}: {:?}", because.reason)).collect();
    format!("[{}] {}", admission.start.join(" "), held.join(", "))
}

#[test]
fn zero_is_all_and_they_go_by_name() {
    let nodes = [waiting("c"), waiting("a"), waiting("b")];
    assert_eq!(shown(&nodes, &at_once(0)), "[a b c] ");
    assert_eq!(shown(&nodes, &at_once(2)), "[a b] c: ConcurrencyReached");
    assert_eq!(shown(&[], &at_once(2)), "[] ");
}

#[test]
fn control_plane_nodes_come_first_whatever_their_names() {
    let nodes = [waiting("a"), control_plane("z"), control_plane("y")];
    assert_eq!(shown(&nodes, &at_once(2)), "[y z] a: ConcurrencyReached");
}

#[test]
fn who_has_a_place_keeps_it_and_who_ended_has_none() {
    let nodes = [
        standing("done", Standing::Done),
        standing("failed", Standing::Failed),
        standing("failing", Standing::Failing),
        standing("flying", Standing::InFlight),
        waiting("w"),
        standing("x", Standing::Unwanted),
    ];
    let others = "done: AlreadyEnded, failed: AlreadyEnded, failing: AlreadyStarted, flying: AlreadyStarted";
    assert_eq!(shown(&nodes, &at_once(2)), format!("[] {others}, w: ConcurrencyReached, x: NotWanted"));
    assert_eq!(shown(&nodes, &at_once(3)), format!("[w] {others}, x: NotWanted"));
}

#[test]
fn percentages_are_of_the_targets_and_never_none() {
    let nodes: Vec<Candidate> = (0..9).map(|n| waiting(&format!("n{n}"))).collect();
    let started = |percent| {
        let rules = Rules { concurrency: Amount::Percent(percent), ..Rules::default() };
        admit(&nodes, &rules).start.len()
    };
    assert_eq!([0, 1, 25, 50, 100, 200].map(started), [1, 1, 2, 4, 9, 9]);
}

#[test]
fn unavailable_nodes_take_places_where_asked_and_never_stand_in_their_own_way() {
    let unready = Candidate { unready: true, ..waiting("a") };
    let cordoned = Candidate { cordoned_by_others: true, ..standing("z", Standing::Unwanted) };
    let rules = |count_unavailable| Rules { count_unavailable, ..at_once(2) };
    let nodes = [unready, waiting("b"), waiting("c"), cordoned];
    assert_eq!(shown(&nodes, &rules(false)), "[a b] c: ConcurrencyReached, z: NotWanted");
    assert_eq!(shown(&nodes, &rules(true)), "[a] b: NodesUnavailable, c: NodesUnavailable, z: NotWanted");
    // One that has a place is counted once, not twice.
    let flying = Candidate { unready: true, ..standing("a", Standing::InFlight) };
    assert_eq!(shown(&[flying, waiting("b")], &rules(true)), "[b] a: AlreadyStarted");
}

#[test]
fn one_control_plane_node_at_a_time_and_only_with_a_whole_quorum() {
    let rules = Rules { control_plane: ControlPlane::OneAtATime, ..at_once(0) };
    let nodes = [control_plane("c1"), control_plane("c2"), waiting("w")];
    assert_eq!(shown(&nodes, &rules), "[c1] c2: ControlPlaneBusy, w: ControlPlaneFirst");
    let flying = Candidate { control_plane: true, ..standing("c1", Standing::InFlight) };
    assert_eq!(
        shown(&[flying, waiting("w")], &rules),
        "[w] c1: AlreadyStarted",
        "workers start when no control-plane node waits"
    );
    let lost = Candidate { control_plane: true, unready: true, ..standing("c0", Standing::Unwanted) };
    assert_eq!(
        shown(&[lost, control_plane("c1")], &rules),
        "[] c0: NotWanted, c1: ControlPlaneBusy",
        "also where the lost one is no target"
    );
    let alone = Candidate { unready: true, ..control_plane("c1") };
    assert_eq!(shown(&[alone], &rules), "[c1] ", "it is not in its own way");
}

#[test]
fn a_failure_stops_who_has_not_begun() {
    let nodes = [standing("a", Standing::Failed), standing("b", Standing::InFlight), waiting("c")];
    let rules = Rules { stop_on_failure: true, ..at_once(0) };
    assert_eq!(shown(&nodes, &rules), "[] a: AlreadyEnded, b: AlreadyStarted, c: StoppedOnFailure");
    let because = admit(&nodes, &rules).held.remove("c").map(|because| because.to_string());
    let expected = "a node has failed, and no other one starts after a failure (Node a); \
                    repair the node, and start a new operation";
    assert_eq!(because.as_deref(), Some(expected));
    assert_eq!(shown(&nodes, &at_once(0)), "[c] a: AlreadyEnded, b: AlreadyStarted");
}

#[test]
fn the_failure_budget_is_how_many_may_fail() {
    let nodes: Vec<Candidate> = [Standing::Failed, Standing::Failing]
        .into_iter()
        .chain(std::iter::repeat_n(Standing::Waiting, 8))
        .enumerate()
        .map(|(n, state)| standing(&format!("n{n}"), state))
        .collect();
    let started = |budget| admit(&nodes, &Rules { failure_budget: Some(budget), ..at_once(0) }).start.len();
    assert_eq!([0, 1, 2, 3].map(|number| started(Amount::Number(number))), [0, 0, 8, 8]);
    assert_eq!([0, 19, 20].map(|percent| started(Amount::Percent(percent))), [0, 0, 8]);
}

#[test]
fn fixed_targets_admit_no_newcomer() {
    let rules = Rules { targets: Some(["a".into()].into()), ..at_once(0) };
    assert_eq!(shown(&[waiting("a"), waiting("new")], &rules), "[a] new: NotATarget");
}

#[test]
fn gates_and_holds_are_told_as_they_are() {
    let night = Because::new(Reason::GateClosed, "the window opens at night");
    let other = Because::new(Reason::OtherOperation, "another operation is on the node");
    let busy = Candidate { hold: Some(other), ..waiting("a") };
    assert_eq!(shown(&[busy.clone(), waiting("b")], &at_once(1)), "[b] a: OtherOperation");
    let rules = Rules { gate: Some(night), ..at_once(1) };
    assert_eq!(shown(&[busy, waiting("b")], &rules), "[] a: GateClosed, b: GateClosed");
}

#[test]
fn a_node_that_was_not_asked_about_has_no_turn() {
    let admission = admit(&[waiting("a")], &at_once(0));
    assert_eq!(admission.held("a"), None);
    assert_eq!(admission.held("b").map(|because| because.reason), Some(Reason::NotWanted));
}

fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
    use Standing::*;
    let kind = prop_oneof![
        4 => Just(Waiting), 1 => Just(Unwanted), 1 => Just(InFlight), 1 => Just(Failing), 1 => Just(Done), 1 => Just(Failed)
    ];
    let one = (0_u8..12, any::<bool>(), kind, any::<bool>(), any::<bool>()).prop_map(
        |(n, control_plane, standing, unready, cordoned_by_others)| Candidate {
            name: format!("n{n}").into(),
            control_plane,
            standing,
            unready,
            cordoned_by_others,
            hold: None,
        },
    );
    proptest::collection::vec(one, 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn never_above_the_concurrency_and_everyone_has_an_answer(
        nodes in candidates(), number in 1_u32..5, count_unavailable: bool, one: bool, stop_on_failure: bool,
    ) {
        let control_plane = if one { ControlPlane::OneAtATime } else { ControlPlane::Together };
        let rules = Rules { count_unavailable, control_plane, stop_on_failure, ..at_once(number) };
        let admission = admit(&nodes, &rules);
        let mut seen = BTreeSet::new();
        let nodes: Vec<&Candidate> = nodes.iter().filter(|node| seen.insert(&node.name)).collect();
        let started = |node: &Candidate| admission.start.contains(&node.name);
        let flying = nodes.iter().filter(|node| node.standing.has_a_place() || started(node)).count();
        let lost = nodes.iter().filter(|node| {
            count_unavailable && !node.standing.has_a_place() && !started(node) && node.is_unavailable()
        });
        prop_assert!(admission.start.is_empty() || flying + lost.count() <= usize::try_from(number).unwrap_or(0));
        for node in &nodes {
            prop_assert!(started(node) != admission.held.contains_key(&node.name), "{}", node.name);
            prop_assert!(!started(node) || node.standing == Standing::Waiting);
        }
        if one && admission.start.iter().any(|name| nodes.iter().any(|node| node.name == *name && node.control_plane)) {
            let busy = nodes.iter().filter(|node| {
                node.control_plane && (node.standing.has_a_place() || node.unready || started(node))
            });
            prop_assert_eq!(busy.count(), 1);
        }
        if stop_on_failure && nodes.iter().any(|node| node.standing.has_failed()) {
            prop_assert!(admission.start.is_empty());
        }
    }
}
