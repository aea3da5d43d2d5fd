//! When a refused write is sent again.

use super::*;

/// Cluster API's webhook refuses.
pub(super) fn refused(words: &str) -> Refusal {
    let by = "validation.cluster.cluster.x-k8s.io";
    Refusal::Admission {
        by: by.to_owned(),
        message: format!("admission webhook \"{by}\" denied the request: {words}"),
    }
}

fn refusing() -> World {
    let mut world = World::settled();
    world.refuses = Some(refused("not now"));
    world
}

/// The times, in seconds, at which a patch is sent within some hours; `each_second` happens in between.
fn sent(world: &mut World, seconds: i64, each_second: impl Fn(&mut World, i64)) -> Vec<i64> {
    let (begin, mut times) = (world.now, Vec::new());
    let mut due = Some(at(begin));
    for second in 0..seconds {
        world.now = begin + second;
        let before = world.object("Cluster").clone();
        each_second(world, second);
        let changed = *world.object("Cluster") != before;
        if !changed && due.is_none_or(|due| due > at(world.now)) {
            continue;
        }
        let patches = world.patches();
        world.pass();
        due = world.decide().recheck;
        if world.patches() > patches {
            times.push(second);
        }
    }
    times
}

fn gaps(times: &[i64]) -> Vec<i64> {
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[test]
fn it_is_blocked_in_the_servers_words() {
    let mut world = refusing();
    let text = world.pass();
    assert!(text.starts_with(
        "wait: Blocked - setting v1.36.4 was refused: admission webhook \
         \"validation.cluster.cluster.x-k8s.io\" denied the request: not now (Cluster ns/c)"
    ));
    assert_eq!(testkit::conditions(world.status()), "Ready=True/Blocked UpToDate=False/Blocked");
    assert_eq!(world.status().get("latestSetVersion"), None);
    assert_eq!(world.events(), ["ErrorUpdatingVersion"]);
    assert_eq!(world.object("Cluster")["spec"]["topology"]["version"], "v1.36.2");
}

#[test]
fn left_alone_it_is_sent_after_1_2_5_and_then_every_15_minutes() {
    let mut world = refusing();
    let gaps = gaps(&sent(&mut world, 3600 * 2, |_, _| ()));
    assert!(gaps.len() > 6, "{gaps:?}");
    let expected = [60, 120, 300].into_iter().chain(std::iter::repeat(900));
    for (gap, expected) in gaps.iter().zip(expected) {
        // Lengthened by a tenth at most, and a look at whole seconds.
        assert!((expected..=expected * 11 / 10 + 1).contains(gap), "{gaps:?}");
    }
}

#[test]
fn two_clusters_are_not_tried_together_for_ever() {
    let due = |uid: &str| {
        let attempt = Attempt {
            resource_version: domain::object::ResourceVersion(1),
            class_generation: 1,
            version: "v1.36.4".into(),
            image: None,
        };
        Refused { attempt: attempt.clone(), words: "no".into(), at: at(0), times: 4 }.due(&attempt, uid)
    };
    assert_eq!(due("a"), due("a"));
    assert_ne!(due("a"), due("b"));
    assert!(due("a") >= at(900) && due("a") <= at(990));
}

/// However busy the Cluster is: once a minute, and not more.
#[test]
fn a_cluster_that_changes_all_the_time_is_written_to_once_a_minute_at_most() {
    let mut world = refusing();
    let times = sent(&mut world, 1200, |world, _| world.touch());
    assert!(gaps(&times).iter().all(|gap| (60..=67).contains(gap)), "{times:?}");
    assert!(times.len() >= 17, "{times:?}");
}

#[test]
fn a_change_of_what_it_rests_on_sends_it_again() {
    let changes: [fn(&mut World); 3] = [
        World::touch,
        |world| {
            world.set("ClusterClass", "metadata.generation", json!(4));
            world.set("ClusterClass", "status.observedGeneration", json!(4));
        },
        |world| {
            world.set("Plan", "status.machineImageDetails.id", json!("img:4b"));
            world.set("MachineImage", "spec.id", json!("img:4b"));
        },
    ];
    for change in changes {
        let mut world = refusing();
        // Refused four times: left alone, the next would be 15 minutes away.
        for _ in 0..4 {
            world.pass();
            world.now += 600;
        }
        assert_eq!(world.patches(), 4);
        world.now -= 500;
        world.pass();
        assert_eq!(world.patches(), 4, "nothing has changed");
        change(&mut world);
        world.refuses = None;
        world.pass();
        assert_eq!(world.patches(), 5);
        assert!(world.pass().starts_with("wait: UpgradeInProgress"));
    }
}

/// What is not a refusal of the write is the engine's to tell apart.
#[test]
fn other_answers_are_left_to_the_engine() {
    let answers = [
        Refusal::Conflict,
        Refusal::NotFound,
        Refusal::TestFailed("m".to_owned()),
        Refusal::Invalid("m".to_owned()),
        Refusal::Forbidden("m".to_owned()),
        Refusal::WebhookDown("m".to_owned()),
        Refusal::Unavailable { message: "m".to_owned(), retry_after: None },
        Refusal::Other("m".to_owned()),
    ];
    for answer in answers {
        let mut world = World::settled();
        world.refuses = Some(answer.clone());
        assert!(world.pass().starts_with("left to the engine: "), "{answer:?}");
        // Nothing of it is remembered as a refusal: the engine's delay is over, and it is sent again.
        world.refuses = None;
        world.now += 10;
        world.pass();
        assert_eq!(world.patches(), 2);
    }
}

/// A refusal is of one incarnation of the Cluster.
#[test]
fn a_new_cluster_of_the_name_begins_anew() {
    let mut world = refusing();
    world.pass();
    world.set("Cluster", "metadata.uid", json!("another"));
    world.refuses = None;
    assert!(world.pass().starts_with("wait: Settling"));
    world.now += 15;
    world.pass();
    assert_eq!(world.patches(), 2);
}
