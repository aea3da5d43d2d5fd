//! What becomes of nodes. `manifest.rs` has golden Jobs and the DaemonSet, `talks.rs` makes the requests, `total.rs` plays random
//! clusters to their end.

mod manifest;
mod talks;
mod total;

use api::kairos::labeler::NAME;
use domain::object::Row;
use domain::verdict::{Reason as _, Then};
use runtime::store::{Availability, Store, TableId};
use serde_json::Value;
use testkit::{at, objects, row, shown};

use super::*;

const NODE: &str = "kind: Node\nmetadata: {name: n0, namespace: ''}\nstatus: {conditions: [{type: Ready, status: 'True'}]}\n";

fn room() -> LabelerRoom {
    LabelerRoom(Labeler { namespace: "ns".into(), image: "labeler:v1".into() })
}

/// The Job of the node `n`.
fn job(metadata: &str, status: &str) -> String {
    format!(
        "---\nkind: Job\nmetadata: {{name: kairos-node-labeler-n0, labels: {{app: kairos-node-labeler, node: n0}}{metadata}}}\n\
         status: {status}\n"
    )
}

const OF_N: &str =
    ", ownerReferences: [{apiVersion: v1, kind: Node, name: n0, uid: uid-node-n0, controller: true}]";
const COMPLETE: &str = "{conditions: [{type: Complete, status: 'True'}]}";
const FAILED: &str = "{conditions: [{type: Failed, status: 'True', message: it took too long, lastTransitionTime: '2026-11-21T10:00:00Z'}]}";

/// The DaemonSet as it should be.
fn daemon_set() -> String {
    let mut set = room().0.daemon_set();
    // What a server fills in.
    set["spec"]["template"]["spec"]["dnsPolicy"] = "ClusterFirst".into();
    set["spec"]["template"]["spec"]["volumes"][0]["hostPath"]["type"] = "".into();
    format!("---\n{set}\n")
}

fn put<R: Row>(store: &mut Store, object: &Value) {
    store.put::<R>(&TableId::of::<R>(), row(object));
}

fn store(yaml: &str) -> Store {
    let mut store = Store::default();
    let synced = || Availability::Synced { api_version: Box::default() };
    store.set::<NodeRow>(&TableId::of::<NodeRow>(), synced());
    store.set::<LabelerJobRow>(&TableId::of::<LabelerJobRow>(), synced());
    store.set::<LabelerDaemonSetRow>(&TableId::of::<LabelerDaemonSetRow>(), synced());
    for object in objects(yaml) {
        match object["kind"].as_str().unwrap() {
            "Node" => put::<NodeRow>(&mut store, &object),
            "Job" => put::<LabelerJobRow>(&mut store, &object),
            _ => put::<LabelerDaemonSetRow>(&mut store, &object),
        }
    }
    store
}

fn look_in(
    store: &Store,
    (memory, shared): (&mut Memory, &mut Shared),
    node: &str,
    seconds: i64,
) -> Verdict<Step, Reason> {
    let row = store.snapshot().get::<NodeRow>(&ObjectKey::new("", node)).unwrap();
    let observed = room().observe(store.snapshot(), row, Recall { memory, shared }, at(seconds));
    let verdict = room().decide(&observed, at(seconds));
    assert_eq!(
        room().report(&observed, &verdict, at(seconds)),
        Report::default(),
        "the status of a Node is its kubelet's"
    );
    verdict
}

/// What becomes of the node `n`, with the DaemonSet as it should be.
fn look_at(yaml: &str, seconds: i64) -> String {
    let store = store(&(yaml.to_owned() + &daemon_set()));
    let verdict = look_in(&store, (&mut Memory::default(), &mut Shared::default()), "n0", seconds);
    shown(&verdict, at(seconds))
}

fn look(yaml: &str) -> String {
    look_at(yaml, 0)
}

#[test]
fn a_node_of_which_nothing_is_known_gets_a_job() {
    assert_eq!(
        look(NODE),
        "step: create the labeler's Job for node n0\nwait: CreatingJob - its Job is being made"
    );
    let running = look(&(NODE.to_owned() + &job(OF_N, "{active: 1}")));
    assert_eq!(
        running,
        "wait: JobRunning - it is being found out what the node runs (Job ns/kairos-node-labeler-n0)"
    );
    assert_eq!(look(&(NODE.to_owned() + &job(OF_N, COMPLETE))), "done");
}

#[test]
fn a_node_that_is_labelled_or_opted_out_or_of_another_system_gets_none() {
    for label in ["kairos.io/managed: 'true'", "kairos.io/managed: 'false'", "kubernetes.io/os: windows"] {
        let node = NODE.replace("name: n0,", &format!("name: n0, labels: {{{label}}},"));
        assert_eq!(look(&node), "done", "{label}");
        assert_eq!(look(&(node + &job(OF_N, FAILED))), "done", "{label}");
    }
    let linux =
        NODE.replace("name: n0,", "name: n0, labels: {kubernetes.io/os: linux, kairos.io/managed: perhaps},");
    assert!(look(&linux).starts_with("step: create "));
    let deleting = NODE.replace("name: n0,", "name: n0, deletionTimestamp: '2026-11-21T10:00:00Z',");
    assert_eq!(look(&deleting), "done");
}

#[test]
fn a_node_is_looked_at_when_it_is_ready() {
    let waits = "wait: NodeNotReady - the node is not ready, and is looked at when it is";
    assert_eq!(look(&NODE.replace("status: 'True'", "status: Unknown")), waits);
    assert_eq!(look("kind: Node\nmetadata: {name: n0, namespace: ''}\n"), waits);
}

#[test]
fn a_job_that_has_failed_is_followed_by_another_after_a_pause_that_grows() {
    let failed = |attempt: u32| {
        let annotation = format!(", annotations: {{operator.kairos.io/labeler-attempt: '{attempt}'}}");
        NODE.to_owned() + &job(&(OF_N.to_owned() + &annotation), FAILED)
    };
    assert_eq!(
        look_at(&failed(1), 10),
        "failed: JobFailed - the Job has failed: it took too long (Job ns/kairos-node-labeler-n0)\nagain in 290 s"
    );
    for (attempt, minutes) in [(1, 5), (2, 10), (3, 20), (7, 320), (8, 360), (40, 360)] {
        assert!(look_at(&failed(attempt), minutes * 60 - 1).ends_with("\nagain in 1 s"), "{attempt}");
        assert!(
            look_at(&failed(attempt), minutes * 60).starts_with("step: delete Job kairos-node-labeler-n0\n"),
            "{attempt}"
        );
    }
    // By a clock that is far ahead of ours.
    assert!(look_at(&failed(1), -86_400).starts_with("step: delete Job "));
}

#[test]
fn the_next_job_is_made_when_the_last_is_gone_and_counts_on() {
    let (mut memory, mut shared) = (Memory::default(), Shared::default());
    let annotation = ", annotations: {operator.kairos.io/labeler-attempt: '2'}";
    let there = store(&(NODE.to_owned() + &job(&(OF_N.to_owned() + annotation), FAILED) + &daemon_set()));
    let verdict = look_in(&there, (&mut memory, &mut shared), "n0", 3600);
    let delete = verdict.steps[0].clone();
    assert!(room().learn(
        Recall { memory: &mut memory, shared: &mut shared },
        &delete,
        Ok(Answer::Deleted),
        at(3600)
    ));
    let verdict = look_in(&there, (&mut memory, &mut shared), "n0", 3600);
    assert_eq!(
        shown(&verdict, at(3600)),
        "wait: JobDeleting - the Job is being deleted (Job ns/kairos-node-labeler-n0)",
        "the watch has not shown it"
    );
    let gone = store(&(NODE.to_owned() + &daemon_set()));
    let verdict = look_in(&gone, (&mut memory, &mut shared), "n0", 3600);
    let Step::CreateJob { body, .. } = &verdict.steps[0] else { panic!("{:?}", verdict.steps) };
    assert_eq!(body["metadata"]["annotations"]["operator.kairos.io/labeler-attempt"], "3");
    // Of another Node of the name it is the first.
    let other = store(&(NODE.replace("name: n0,", "name: n0, uid: uid-anew,") + &daemon_set()));
    let verdict = look_in(&other, (&mut memory, &mut shared), "n0", 3600);
    let Step::CreateJob { body, .. } = &verdict.steps[0] else { panic!("{:?}", verdict.steps) };
    assert_eq!(body["metadata"]["annotations"]["operator.kairos.io/labeler-attempt"], "1");
    assert_eq!(body["metadata"]["ownerReferences"][0]["uid"], "uid-anew");
}

#[test]
fn a_job_of_an_earlier_node_of_the_name_is_replaced() {
    let replaced = "step: delete Job kairos-node-labeler-n0\nwait: JobDeleting - the Job was of another Node of this name (Job ns/kairos-node-labeler-n0)";
    let former = OF_N.replace("uid-node-n0", "uid-former");
    for status in ["{active: 1}", COMPLETE, FAILED] {
        assert_eq!(look(&(NODE.to_owned() + &job(&former, status))), replaced);
    }
    // The original's say not for which Node they are.
    let older = ", creationTimestamp: '2026-11-20T10:00:00Z'";
    assert_eq!(look(&(NODE.to_owned() + &job(older, COMPLETE))), replaced);
    assert_eq!(look(&(NODE.to_owned() + &job("", COMPLETE))), "done");
    let deleting = former + ", deletionTimestamp: '2026-11-21T10:00:00Z'";
    assert!(
        look(&(NODE.to_owned() + &job(&deleting, COMPLETE)))
            .starts_with("wait: JobDeleting - the Job is being deleted")
    );
}

/// Nodes `a` to `l`, of which the first `running` have a Job at work.
fn dozen(running: usize) -> String {
    let mut yaml = daemon_set();
    for (index, name) in ('a'..='l').enumerate() {
        yaml += "---\n";
        yaml += &NODE.replace("name: n0,", &format!("name: {name},"));
        if index < running {
            let owner = OF_N
                .replace("name: n0", &format!("name: {name}"))
                .replace("uid-node-n0", &format!("uid-node-{name}"));
            yaml += &job(&owner, "{active: 1}")
                .replace("labeler-n0", &format!("labeler-{name}"))
                .replace("node: n0", &format!("node: {name}"));
        }
    }
    yaml
}

#[test]
fn ten_nodes_are_looked_at_at_a_time() {
    let waits = "wait: OtherNodesFirst - as many nodes are looked at as may be at a time\nagain in 60 s";
    let of = |running: usize, shared: &mut Shared| {
        shown(&look_in(&store(&dozen(running)), (&mut Memory::default(), shared), "l", 0), at(0))
    };
    assert!(of(9, &mut Shared::default()).starts_with("step: create "));
    assert_eq!(of(10, &mut Shared::default()), waits);
    // One that is being made counts, and its own does not.
    let mut shared = Shared::default();
    shared.starting.insert("k".into());
    assert_eq!(of(9, &mut shared), waits);
    let mut shared = Shared::default();
    shared.starting.insert("l".into());
    assert!(of(9, &mut shared).starts_with("step: create "));
}

#[test]
fn a_place_is_taken_from_the_request_to_its_answer() {
    let (mut memory, mut shared) = (Memory::default(), Shared::default());
    let store = store(&(NODE.to_owned() + &daemon_set()));
    let row = store.snapshot().get::<NodeRow>(&ObjectKey::new("", "n0")).unwrap();
    let observed =
        room().observe(store.snapshot(), row, Recall { memory: &mut memory, shared: &mut shared }, at(0));
    let step = room().decide(&observed, at(0)).steps[0].clone();
    for outcome in [Ok(Answer::Written), Err(&Refusal::Conflict), Err(&Refusal::AlreadyExists)] {
        room().reserve(&mut shared, &observed, &step);
        assert_eq!(shared.starting.len(), 1);
        let took = outcome.is_ok();
        let recall = Recall { memory: &mut memory, shared: &mut shared };
        assert_eq!(room().learn(recall, &step, outcome, at(0)), took);
        assert!(shared.starting.is_empty());
    }
}

#[test]
fn a_free_place_is_told_to_those_that_wait() {
    let store = store(&dozen(10));
    let snapshot = store.snapshot();
    let key = ObjectKey::new("ns", "kairos-node-labeler-c");
    let running = snapshot.get::<LabelerJobRow>(&key).unwrap();
    let mut done = running.clone();
    done.progress = Progress::Succeeded(api::batch::job::Ended::default());
    let names = |keys: Vec<ObjectKey>| keys.iter().map(|key| key.name.to_string()).collect::<Vec<_>>();
    assert_eq!(names(nodes_of(snapshot, &key, None, Some(running))), ["c"]);
    assert_eq!(names(nodes_of(snapshot, &key, Some(running), Some(&done))), ["c", "k", "l"]);
    assert_eq!(names(nodes_of(snapshot, &key, Some(running), None)), ["c", "k", "l"]);
    assert_eq!(names(nodes_of(snapshot, &key, Some(&done), None)), ["c"]);
}

#[test]
fn the_node_of_a_job_is_found_where_no_label_can_be_its_name() {
    let name = format!("{}.example", "n0".repeat(70));
    let node = NODE.replace("name: n0,", &format!("name: {name},"));
    let body = room().0.job(&row::<NodeRow>(&objects(&node)[0]).meta, 1);
    let store = store(&format!("{node}---\n{body}\n"));
    let key = ObjectKey::new("ns", body["metadata"]["name"].as_str().unwrap());
    let job = store.snapshot().get::<LabelerJobRow>(&key).unwrap();
    assert_ne!(job.node_label.as_deref(), Some(&*name));
    assert_eq!(nodes_of(store.snapshot(), &key, None, Some(job)), [ObjectKey::new("", &*name)]);
}

#[test]
fn the_daemon_set_is_seen_to_by_the_first_node() {
    let b = "---\n".to_owned() + &NODE.replace("name: n0,", "name: b, labels: {kairos.io/managed: 'true'},");
    let both = store(&(NODE.to_owned() + &b));
    let mut shared = Shared::default();
    let first = look_in(&both, (&mut Memory::default(), &mut shared), "b", 0);
    assert_eq!(
        shown(&first, at(0)),
        "step: create DaemonSet kairos-node-labeler\n\
         wait: DaemonSetChanging - the DaemonSet of the labeler is being made what it should be"
    );
    let other = look_in(&both, (&mut Memory::default(), &mut shared), "n0", 0);
    assert!(shown(&other, at(0)).starts_with("step: create the labeler's Job"));
    let node = |name: &str| [ObjectKey::new("", name)];
    assert_eq!(first_key(both.snapshot()), node("b"));
    assert_eq!(next_first(both.snapshot(), &node("a")[0], None, None), node("b"), "a was first, and is gone");
    let row = both.snapshot().get::<NodeRow>(&node("n0")[0]);
    assert_eq!(next_first(both.snapshot(), &node("n0")[0], None, row), []);
}

#[test]
fn a_daemon_set_that_drifts_is_put_right() {
    let of = |set: &str| {
        look(&(NODE.replace("name: n0,", "name: n0, labels: {kairos.io/managed: 'true'},") + set))
    };
    for (from, to) in [
        ("labeler:v1", "labeler:v0"),
        ("\"60\"", "\"6\""),
        ("\"tolerations\":[{\"operator\":\"Exists\"}]", "\"tolerations\":[]"),
        ("\"kairos.io/managed\":\"true\"", "\"kairos.io/managed\":\"true\",\"mine\":\"only\""),
        ("\"runAsNonRoot\":true", "\"runAsNonRoot\":false"),
    ] {
        let set = daemon_set();
        assert!(set.contains(from), "{from}");
        let drifted = set.replace(from, to);
        let store = store(&(NODE.to_owned() + &drifted));
        let verdict = look_in(&store, (&mut Memory::default(), &mut Shared::default()), "n0", 0);
        assert!(
            matches!(&verdict.steps[..], [Step::ConvergeDaemonSet { uid: Some(_), .. }]),
            "{to}: {:?}",
            verdict.steps
        );
    }
    assert_eq!(of(""), "done", "what a server fills in is no drift");
}

/// Its DaemonSet may not have the label by which ours is watched.
#[test]
fn the_daemon_set_of_the_original_is_taken_over() {
    let node = store(NODE);
    let (mut memory, mut shared) = (Memory::default(), Shared::default());
    let create = look_in(&node, (&mut memory, &mut shared), "n0", 0).steps[0].clone();
    let recall = Recall { memory: &mut memory, shared: &mut shared };
    assert!(room().learn(recall, &create, Err(&Refusal::AlreadyExists), at(0)));
    let change = look_in(&node, (&mut memory, &mut shared), "n0", 0).steps[0].clone();
    assert!(matches!(&change, Step::ConvergeDaemonSet { uid: None, .. }), "{change:?}");
    let recall = Recall { memory: &mut memory, shared: &mut shared };
    assert!(room().learn(recall, &change, Err(&Refusal::NotFound), at(0)));
    let again = look_in(&node, (&mut memory, &mut shared), "n0", 0).steps[0].clone();
    assert!(matches!(again, Step::CreateDaemonSet { .. }), "it is gone meanwhile");
}

#[test]
fn jobs_that_cannot_be_seen_or_read_are_not_made_again() {
    let mut hidden = store(&(NODE.to_owned() + &daemon_set()));
    hidden.set::<LabelerJobRow>(&TableId::of::<LabelerJobRow>(), Availability::Forbidden("no".into()));
    let verdict = look_in(&hidden, (&mut Memory::default(), &mut Shared::default()), "n0", 0);
    assert_eq!(shown(&verdict, at(0)), "failed: Forbidden - cannot see the Jobs of the labeler: no");
    let torn = look(&(NODE.to_owned() + &job(OF_N, "7")));
    assert!(torn.starts_with("failed: Malformed - the Job cannot be read: "), "{torn}");
    let node = look(&NODE.replace("conditions: [{type: Ready, status: 'True'}]", "conditions: 7"));
    assert!(node.starts_with("failed: Malformed - "), "{node}");
}

/// Those of the engine apart.
#[test]
fn every_reason_is_reached() {
    let failed = NODE.to_owned() + &job(OF_N, FAILED);
    for (reason, yaml) in [
        (Reason::DaemonSetChanging, None),
        (Reason::CreatingJob, Some(NODE.to_owned())),
        (Reason::JobRunning, Some(NODE.to_owned() + &job(OF_N, "{}"))),
        (
            Reason::JobDeleting,
            Some(NODE.to_owned() + &job(", deletionTimestamp: '2026-11-21T10:00:00Z'", "{}")),
        ),
        (Reason::JobFailed, Some(failed)),
        (Reason::NodeNotReady, Some(NODE.replace("'True'", "'False'"))),
    ] {
        let store = store(&yaml.map_or_else(|| NODE.to_owned(), |yaml| yaml + &daemon_set()));
        let verdict = look_in(&store, (&mut Memory::default(), &mut Shared::default()), "n0", 0);
        let (Then::Wait(because) | Then::Failed(because)) = verdict.then else { panic!("{reason:?}: done") };
        assert_eq!(because.reason, reason);
        assert!(!reason.text().is_empty() && !reason.name().is_empty());
    }
}
