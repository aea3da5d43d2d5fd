//! Whatever stands in both objects, a look comes to a step, to being done or to one reason in one line, and nothing is written
//! twice.

use proptest::prelude::*;

use super::*;

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("''"),
        Just("Completed"),
        Just("Failed"),
        Just("Running"),
        Just("Pending"),
        Just("Initializing"),
        Just("\"two\\nlines\""),
        Just("7"),
        Just("null"),
        Just("{}"),
    ]
    .prop_map(str::to_owned)
}

fn status() -> impl Strategy<Value = String> {
    let condition = |type_: &str, status: &str| {
        format!(
            "{{type: {type_}, status: '{status}', reason: R, message: \"a\\nb\", lastTransitionTime: '2026-11-21T09:00:00Z'}}"
        )
    };
    let condition = prop_oneof![
        Just(String::new()),
        Just(condition("Stalled", "True")),
        Just(condition("UpToDate", "False")),
        Just(condition("UpToDate", "True")),
        Just("{type: Ready}".to_owned()),
    ];
    let nodes = prop_oneof![Just("{}"), Just("{a: {phase: Failed, message: 7}}"), Just("{a: 7}"), Just("7")];
    (word(), word(), nodes, condition, any::<bool>(), prop_oneof![Just("up"), Just("other"), Just("7"), Just("null")]).prop_map(
        |(phase, message, nodes, condition, finished, name)| {
            let finished = if finished { ", finishedAt: '2026-11-21T09:00:00Z'" } else { "" };
            format!(
                "{{phase: {phase}, message: {message}, nodeStatuses: {nodes}, conditions: [{condition}], nodeOpName: {name}{finished}, \
                 counts: {{nodes: 1}}}}"
            )
        },
    )
}

fn op() -> impl Strategy<Value = String> {
    let metadata = prop_oneof![Just(""), Just(", deletionTimestamp: '2026-11-21T10:00:00Z'"),];
    let change = prop_oneof![
        Just(("", "")),
        Just(("uid: uid-nodeopupgrade-up", "uid: uid-former")),
        Just(("controller: true", "controller: false")),
        Just(("nodeopupgrade.kairos.io/name: up", "a: b")),
        Just(("\"image\":\"os:v2\"", "\"image\":7")),
    ];
    let made = (metadata, status(), change)
        .prop_map(|(metadata, status, (from, to))| own(metadata, &status).replace(from, to));
    prop_oneof![1 => Just(String::new()), 4 => made]
}

fn spec() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        Just(""),
        Just(", force: true"),
        Just(", upgradeActive: false"),
        Just(", concurrency: -1"),
        Just(", nodeSelector: {matchExpressions: [{key: a, operator: Has}]}"),
        Just(", excludePaths: [7]"),
        Just(", debug: true"),
    ]
}

proptest! {
    #[test]
    fn a_look_is_total_and_settles(spec in spec(), deleting in any::<bool>(), before in status(), op in op()) {
        let mut yaml = upgrade(spec, &before);
        if deleting {
            yaml = yaml.replacen("name: up", "name: up, deletionTimestamp: '2026-11-21T10:00:00Z'", 1);
        }
        let first = look(&(yaml.clone() + &op));
        if let Some(because) = first.verdict.then.because() {
            let said = because.to_string();
            prop_assert!(!said.is_empty() && !said.contains('\n'), "{said}");
        }
        prop_assert!(first.verdict.steps.len() <= 1);
        prop_assert!(first.verdict.steps.is_empty() || op.is_empty(), "nothing is made beside a NodeOp");
        // As the server holds it afterwards.
        let mut object = objects(&yaml)[0].clone();
        let before = object["status"].clone();
        object["status"] = first.status(&before);
        let again = look_in(&store(&(object.to_string() + "\n" + &op)), 3600);
        prop_assert_eq!(&again.report.status, &None, "{:?} was written a moment ago", first.report.status);
        prop_assert!(again.report.notes.is_empty(), "{:?}", again.report.notes);
    }
}
