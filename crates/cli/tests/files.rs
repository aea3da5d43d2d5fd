//! What the verbs say of objects in files: states, causes, lineage, exit codes.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a test ends where it cannot go on")]

use std::ffi::OsString;

use cli::Surroundings;
use tempfile::TempDir;

const OURS: &str = "kubernetesupgraded.dimitrikoshkin.com";

/// Runs the plugin on manifests: what it printed, and its exit code as `ExitCode` shows it.
fn run(manifests: &str, arguments: &str, surroundings: &Surroundings) -> (String, String, String) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("objects.yaml");
    std::fs::write(&file, manifests).unwrap();
    let words = std::iter::once("kubectl-upgrader").chain(arguments.split_whitespace()).map(OsString::from);
    let words = words.chain(["--at", "2026-11-21T12:00:00Z", "-f"].map(OsString::from)).chain([file.into()]);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = cli::run(words, surroundings, &mut out, &mut err);
    (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap(), format!("{code:?}"))
}

fn plain(manifests: &str, arguments: &str) -> (String, String) {
    let utf8 = Surroundings { locale: Some("C.UTF-8".into()), ..Surroundings::default() };
    let (out, err, code) = run(manifests, arguments, &utf8);
    (out + &err, code)
}

fn ends_with(code: &str, number: u8) -> bool {
    code == format!("{:?}", std::process::ExitCode::from(number))
}

/// An upgrader that waits for a reason.
fn upgrader(name: &str, status: &str) -> String {
    format!(
        "---\napiVersion: {OURS}/v1alpha1\nkind: ClusterClassClusterUpgrader\nmetadata: {{name: {name}, namespace: ns, generation: 2}}\n\
         spec: {{clusterName: {name}, planRef: {{name: p}}}}\nstatus: {status}\n"
    )
}

fn waiting(reason: &str) -> String {
    format!(
        "{{observedGeneration: 2, waiting: {{reason: {reason}, since: '2026-11-21T11:00:00Z'}}, conditions: \
         [{{type: Ready, status: 'False', reason: {reason}, message: words, lastTransitionTime: '2026-11-21T11:00:00Z'}}]}}"
    )
}

#[test]
fn the_exit_code_is_that_of_who_is_worst_off() {
    let done = "{observedGeneration: 2, conditions: [{type: Ready, status: 'True', reason: UpToDate, lastTransitionTime: '2026-11-21T11:00:00Z'}, \
                {type: UpToDate, status: 'True', reason: UpToDate, lastTransitionTime: '2026-11-21T11:00:00Z'}]}";
    let one = upgrader("a", done);
    let (out, code) = plain(&one, "get");
    assert!(out.contains("Done") && ends_with(&code, 0), "{out}{code}");
    let two = one + &upgrader("b", &waiting("ClusterPaused"));
    let (out, code) = plain(&two, "get");
    assert!(out.contains("Waiting") && ends_with(&code, 3), "{out}{code}");
    let three = two + &upgrader("c", &waiting("VariableUndefined"));
    let (out, code) = plain(&three, "get");
    assert!(out.contains("Blocked") && ends_with(&code, 2), "{out}{code}");
    let (out, code) = plain(&three, "get --nothing");
    assert!(ends_with(&code, 1), "{out}{code}");
}

#[test]
fn a_status_of_an_older_spec_says_nothing() {
    let stale = waiting("VariableUndefined").replace("observedGeneration: 2", "observedGeneration: 1");
    let (out, code) = plain(&upgrader("a", &stale), "get -o wide");
    assert!(out.contains("Pending   NotObserved"), "{out}");
    assert!(ends_with(&code, 3), "{code}");
    let (out, _) = plain(&upgrader("a", "{}"), "get -o wide");
    assert!(out.contains("no controller has looked at it"), "{out}");
}

/// A reason of a newer controller is shown by its conditions.
#[test]
fn an_unknown_reason_is_judged_by_conditions() {
    let (out, code) = plain(&upgrader("a", &waiting("SomethingNew")), "get");
    assert!(out.contains("Failing   SomethingNew   60m"), "{out}");
    assert!(ends_with(&code, 2), "{code}");
}

#[test]
fn causes_that_go_in_a_circle_come_to_an_end() {
    let blocked = |kind: &str, reason: &str| {
        waiting(reason).replace(
            "'2026-11-21T11:00:00Z'}, conditions",
            &format!("'2026-11-21T11:00:00Z', blockedBy: {{apiVersion: {OURS}/v1alpha1, kind: {kind}, namespace: ns, name: p}}}}, conditions"),
        )
    };
    let plan = format!(
        "---\napiVersion: {OURS}/v1alpha1\nkind: Plan\nmetadata: {{name: p, namespace: ns, generation: 2}}\nspec: {{versionRange: v1.x}}\nstatus: {}\n",
        blocked("ClusterClassClusterUpgrader", "NoSuitableMachineImage")
    );
    let (out, code) =
        plain(&(plan + &upgrader("p", &blocked("Plan", "PlanWithoutResult"))), "why upgrader/p");
    assert_eq!(out.matches("Plan/p ").count(), 1, "{out}");
    assert_eq!(out.matches("ClusterClassClusterUpgrader/p ").count(), 1, "{out}");
    assert!(ends_with(&code, 3), "{code}");
    let (out, _) = plain(&upgrader("a", &blocked("Plan", "PlanMissing")), "why upgrader/a");
    assert!(out.contains("└─Plan/p\n      it was not found"), "{out}");
}

/// Three images of a syncer that is gone, of a source that is gone; one of them leads on.
fn orphans() -> String {
    let image = |version: &str| {
        format!(
            "---\napiVersion: {OURS}/v1alpha1\nkind: MachineImage\nmetadata:\n  name: i-{version}\n  namespace: ns\n  generation: 1\n  \
             labels: {{kubernetes-upgrader.dimitrikoshkin.com/machine-image-syncer-name: s}}\n  annotations:\n    \
             {OURS}/source: DebianRepositorySource/d\n    {OURS}/repository: https://example.org/Packages\n    \
             {OURS}/package: kubeadm {version}-1.1\n\
             spec: {{version: {version}, id: x, jobTemplate: {{spec: {{containers: []}}}}}}\n\
             status: {{observedGeneration: 1, conditions: [{{type: Ready, status: 'True', reason: ImageAvailable, lastTransitionTime: '2026-11-21T10:00:00Z'}}]}}\n"
        )
    };
    ["v1.34.1", "v1.35.1", "v1.36.1"].map(image).concat()
}

#[test]
fn lineage_outlives_what_it_came_from() {
    let (out, _) = plain(&orphans(), "trace image/i-v1.35.1 -o wide");
    insta::assert_snapshot!("gone", out);
}

#[test]
fn alike_leaves_are_one_line() {
    let syncer = format!(
        "---\napiVersion: {OURS}/v1alpha1\nkind: MachineImageSyncer\nmetadata: {{name: s, namespace: ns}}\nspec: {{}}\n"
    );
    let all = orphans() + &syncer;
    let (out, _) = plain(&all, "trace syncer/s -o wide");
    insta::assert_snapshot!("grouped", out);
    let (out, _) = plain(&all, "trace syncer/s --grouping=false");
    assert_eq!(out.matches("MachineImage/i-").count(), 3, "{out}");
}

#[test]
fn trees_are_ascii_where_the_locale_is() {
    let (out, _, _) = run(&orphans(), "trace image/i-v1.35.1", &Surroundings::default());
    assert!(out.is_ascii() && out.contains("`-MachineImage/i-v1.35.1 *"), "{out}");
}

#[test]
fn what_does_not_parse_is_named_by_file_and_line() {
    let (out, code) = plain(&upgrader("n", "{}").replace("ns,", "n,"), "get");
    assert!(
        out.contains("objects.yaml:4: ClusterClassClusterUpgrader: metadata: invalid type: boolean"),
        "{out}"
    );
    assert!(ends_with(&code, 1), "{code}");
    let (out, code) = plain("a: 1\n---\nb: [1\n", "get");
    assert!(out.contains("objects.yaml:") && out.contains("cannot be parsed"), "{out}");
    assert!(ends_with(&code, 1), "{code}");
}

/// A minor without an image: the one that is being built is the cause; where there is none, the syncers are.
#[test]
fn a_hole_in_a_path_leads_to_who_could_fill_it() {
    let dump =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples/fleet.yaml"))
            .unwrap();
    let (out, _) = plain(&dump, "why plan/stable");
    assert!(out.contains("MachineImage/ubuntu-v1.35.6-9kfxm  Blocked: JobFailed"), "{out}");
    let without = dump.replace("version: v1.35.6, jobTemplate", "version: v1.37.0-rc.1, jobTemplate");
    let newest = without.replace("versionPolicy: NewestOfEachMinor", "versionPolicy: Newest");
    let (out, _) = plain(&without, "why plan/stable");
    assert!(
        out.contains("MachineImageSyncer/ubuntu  Done: ImagesExist") && !out.contains("versionPolicy"),
        "{out}"
    );
    let (out, _) = plain(&newest, "why plan/stable");
    assert!(out.contains("→ it makes an image of the newest version alone: set spec.versionPolicy"), "{out}");
}

#[test]
fn a_simulation_says_what_it_cannot_begin_with() {
    for (arguments, words) in [
        ("simulate --release v1.37.0", "is not VERSION@TIME"),
        ("simulate --release 1.x@2d", "--release: "),
        ("simulate --until never", "--until: \"never\" is no duration"),
        ("simulate --start 2026-11-21T12:00:00Z --until 2026-11-20T12:00:00Z", "is before the start"),
    ] {
        let words_of = arguments.split_whitespace().map(OsString::from);
        let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples/chain.yaml");
        let all =
            std::iter::once("kubectl-upgrader".into()).chain(words_of).chain(["-f".into(), example.into()]);
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = cli::run(all, &Surroundings::default(), &mut out, &mut err);
        let said = String::from_utf8(err).unwrap();
        assert!(said.contains(words), "{arguments}: {said}");
        assert!(ends_with(&format!("{code:?}"), 1), "{arguments}");
    }
}
