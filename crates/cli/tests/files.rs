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

/// Runs the plugin on files by their bytes, in a folder of their own: what it said, and its exit code.
fn on_files(files: &[(&str, &[u8])], arguments: &str) -> (String, String) {
    let folder = TempDir::new().unwrap();
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let place = folder.path().to_str().unwrap();
    let words = arguments.split_whitespace().map(|word| word.replace("DIR", place));
    let words = std::iter::once("kubectl-upgrader".to_owned()).chain(words).map(OsString::from);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let utf8 = Surroundings { locale: Some("C.UTF-8".into()), ..Surroundings::default() };
    let code = cli::run(words, &utf8, &mut out, &mut err);
    let said = String::from_utf8(out).unwrap() + &String::from_utf8(err).unwrap();
    (said.replace(place, "DIR"), format!("{code:?}"))
}

fn a_plan() -> String {
    format!(
        "apiVersion: {OURS}/v1alpha1\nkind: Plan\nmetadata: {{name: p}}\nspec: {{versionRange: v1.36.x}}\n"
    )
}

#[test]
fn files_may_come_as_people_have_them() {
    let plan = a_plan();
    let with_mark = [b"\xef\xbb\xbf", plan.as_bytes()].concat();
    let list = format!(
        "apiVersion: {OURS}/v1alpha1\nkind: PlanList\nitems:\n- metadata: {{name: p}}\n  spec: {{versionRange: v1.36.x}}\n"
    );
    let json = format!(
        "{{\"apiVersion\":\"{OURS}/v1alpha1\",\"kind\":\"Plan\",\"metadata\":{{\"name\":\"p\"}},\n\t\"spec\":{{\"versionRange\":\"v1.36.x\"}}}}"
    );
    for (name, bytes) in [
        ("f.yaml", plan.replace('\n', "\r\n").into_bytes()),
        ("f.yaml", with_mark),
        ("f.yaml", list.into_bytes()),
        ("f.json", json.into_bytes()),
        ("f.yml", format!("# first\n---\n---\n{plan}---\n# last\n").into_bytes()),
    ] {
        for place in ["DIR", "DIR/f.*"] {
            let (said, code) = on_files(&[(name, &bytes), ("readme.md", b"[")], &format!("lint -f {place}"));
            assert_eq!((&*said, ends_with(&code, 0)), ("1 object: 0 errors, 0 warnings\n", true), "{name}");
        }
    }
}

#[test]
fn a_file_of_no_use_is_an_error_with_its_line() {
    let plan = a_plan();
    let kind = plan.replace("kind: Plan", "kind: Plann");
    let version = plan.replace("v1alpha1", "v1");
    let cluster = "apiVersion: cluster.x-k8s.io/v1alpha3\nkind: Cluster\nmetadata: {name: c}\n";
    for (bytes, words) in [
        (b"".as_slice(), "DIR/f.yaml: there is no object in it"),
        (b"# nothing\n---\n", "DIR/f.yaml: there is no object in it"),
        (b"a: 1\nb: \"\xff\"\n", "DIR/f.yaml:2: cannot be parsed: there are bytes that are no UTF-8"),
        (b"\xff\xfea\x00", "DIR/f.yaml:1: cannot be parsed: it is in UTF-16"),
        (b"a:\n\tb: 1\n", "DIR/f.yaml:2: cannot be parsed: tabs disallowed"),
        (b"a: 1\na: 2\n", "DIR/f.yaml:2: cannot be parsed: duplicate mapping key: a\n"),
        (b"a: &a [*a]\n", "DIR/f.yaml:1: cannot be parsed: an alias stands for what it is a part of"),
        (b"hello\n", "DIR/f.yaml:1: it is no object of Kubernetes"),
        (
            kind.as_bytes(),
            "DIR/f.yaml:2: the group kubernetesupgraded.dimitrikoshkin.com has no kind Plann: it has",
        ),
        (version.as_bytes(), "has no version v1: it is v1alpha1"),
        (
            cluster.as_bytes(),
            "DIR/f.yaml:1: the group cluster.x-k8s.io has no version v1alpha3: it is v1beta2 or v1beta1",
        ),
    ] {
        for verb in ["get", "why plan/p", "trace plan/p", "preflight c", "simulate --until 1h", "lint"] {
            let (said, code) = on_files(&[("f.yaml", bytes)], &format!("{verb} -f DIR/f.yaml"));
            let said = said.replace(": error: ", ": ");
            assert!(said.contains(words) && ends_with(&code, 1), "{verb}: {said}{code}");
        }
    }
    for missing in ["DIR/none.yaml", "DIR/*.yaml", "DIR"] {
        let (said, code) = on_files(&[], &format!("get -f {missing}"));
        assert!(said.starts_with(missing) && ends_with(&code, 1), "{said}{code}");
    }
}

#[test]
fn a_flag_without_meaning_is_refused() {
    for (arguments, words) in [
        ("get -f DIR --context x", "--context has no meaning here: with -f no server is asked"),
        ("why plan/p -f DIR --kubeconfig x", "--kubeconfig has no meaning here"),
        ("simulate -f DIR --context x", "--context has no meaning here: without --from-cluster"),
        ("lint -f DIR -A", "--all-namespaces has no meaning here"),
        ("version --client --context x", "--context has no meaning here: with --client"),
        ("completion bash -o json", "--output has no meaning here"),
        ("get -n a -A", "cannot be used with"),
        ("get -o xml", "possible values: table, wide, json, yaml"),
        ("why cluster/a plan/b -f DIR", "one object at a time: cluster/a or plan/b"),
    ] {
        let (said, code) = on_files(&[("f.yaml", a_plan().as_bytes())], arguments);
        assert!(said.contains(words) && ends_with(&code, 1), "{arguments}: {said}{code}");
    }
}

/// As kubectl, -f takes one word where an object is named as well, so that their order does not matter.
#[test]
fn the_object_may_come_last() {
    for arguments in ["why -f DIR/f.yaml plan/p", "trace -f DIR/f.yaml plan p", "why plan/p -f DIR/f.yaml"] {
        let (said, code) = on_files(&[("f.yaml", a_plan().as_bytes())], arguments);
        assert!(said.contains("Plan/p") && ends_with(&code, 3), "{arguments}: {said}{code}");
    }
}

/// Times of a Simulation count from its start, which is now where nothing else is said.
#[test]
fn times_of_a_simulation_count_from_its_start() {
    let simulation = "---\napiVersion: sim.kubernetes-upgrader/v1alpha1\nkind: Simulation\nspec:\n  duration: 3h\n  releases:\n  - {version: v1.36.9, at: 2h}\n";
    let all = a_plan() + simulation;
    for arguments in ["simulate -f DIR/f.yaml", "simulate -f DIR/f.yaml --start 2026-12-01T00:00:00Z"] {
        let (said, _) = on_files(&[("f.yaml", all.as_bytes())], arguments);
        assert!(said.contains("+0d 02:00:00  repository") && said.contains("published v1.36.9"), "{said}");
    }
    let given = all.replace("spec:\n  duration", "spec:\n  start: 2026-01-01T00:00:00Z\n  duration");
    let (said, _) =
        on_files(&[("f.yaml", given.as_bytes())], "simulate -f DIR/f.yaml --start 2026-12-01T00:00:00Z");
    assert!(said.contains("2026-12-01 02:00:00Z  +0d 02:00:00  repository"), "{said}");
    for (old, new, words) in [
        ("duration: 3h", "length: 3h", "DIR/f.yaml:9: spec: unknown field `length`"),
        ("at: 2h", "at: soon", "DIR/f.yaml:11: spec.releases[0]: \"soon\" is neither"),
    ] {
        let (said, code) =
            on_files(&[("f.yaml", all.replace(old, new).as_bytes())], "simulate -f DIR/f.yaml");
        assert!(said.contains(words) && ends_with(&code, 1), "{said}{code}");
    }
}

/// A path that cannot exist: from, to, and the first missing hop, also where the next one is there.
#[test]
fn a_way_that_ends_behind_the_next_hop_is_told() {
    let fleet = include_str!("../../../docs/examples/fleet.yaml");
    let ask =
        |arguments: &str| on_files(&[("f.yaml", fleet.as_bytes())], &format!("{arguments} -f DIR/f.yaml"));
    let (said, code) = ask("preflight lab --to v1.39.0");
    assert!(said.contains("next hop v1.36.2"), "{said}");
    assert!(
        said.contains("✖   WholeWay") && said.contains("on the way from v1.35.5 to v1.39.0 comes v1.37"),
        "{said}"
    );
    assert!(ends_with(&code, 3), "{code}");
    let (said, code) = ask("preflight lab --to v1.36.2");
    assert!(said.contains("✔   WholeWay") && ends_with(&code, 0), "{said}");
    let (said, _) = ask("preflight production --to v1.39.0");
    assert!(
        said.contains("◌   WholeWay") && said.contains("on the way from v1.34.9 to v1.39.0 comes v1.35"),
        "{said}"
    );
}

/// A disk that is full is an error; a reader that has gone is none.
#[test]
fn an_answer_that_is_not_written_is_an_error() {
    struct Broken(std::io::ErrorKind);
    impl std::io::Write for Broken {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    for (kind, code, said) in [
        (std::io::ErrorKind::StorageFull, 1, "cannot write the answer: "),
        (std::io::ErrorKind::BrokenPipe, 0, ""),
    ] {
        let words = ["kubectl-upgrader", "version", "--client"].map(OsString::from);
        let mut err = Vec::new();
        let ended = cli::run(words, &Surroundings::default(), &mut Broken(kind), &mut err);
        let err = String::from_utf8(err).unwrap();
        assert!(err.starts_with(said) && err.is_empty() == said.is_empty(), "{err}");
        assert!(ends_with(&format!("{ended:?}"), code), "{kind}");
    }
}
