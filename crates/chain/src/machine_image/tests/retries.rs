//! A build that has failed, and the ones that follow it by themselves.

use super::*;

const RETRIES: &str = ", build: {retries: 2}";

/// A Job of an attempt that failed at [`at`]`(0)`.
fn failed(name: &str, attempt: &str, reason: &str) -> String {
    let metadata = format!(", annotations: {{kubernetesupgraded.dimitrikoshkin.com/attempt: '{attempt}'}}");
    let status = format!(
        "{{failed: 7, conditions: [{{type: Failed, status: 'True', reason: {reason}, \
         lastTransitionTime: '2026-11-21T10:00:00Z'}}]}}"
    );
    owned(name, &metadata, &status)
}

fn look_at(yaml: &str, seconds: i64) -> String {
    let looked = look_in(&store(yaml), &mut Memory::default(), seconds);
    shown(&looked.verdict, at(seconds))
}

#[test]
fn a_build_that_failed_is_followed_by_another_after_a_pause() {
    let yaml = image(HELD, RETRIES, BUILDING) + &failed("image-1", "1", "BackoffLimitExceeded");
    let waiting = look(&yaml);
    assert_eq!(
        waiting.shown(),
        "step: let clusterctl move go on\nwait: WaitingToRetry - build 1 of 3 has failed, and another follows: the Job \
         has failed: BackoffLimitExceeded (Job ns/image-1); delete Job image-1 to build at once\nagain in 60 s"
    );
    let status = waiting.status(&json!({"phase": "Building"}));
    assert_eq!(
        (conditions(&status).as_str(), &status["phase"]),
        ("Ready=False/WaitingToRetry", &json!("Failed"))
    );
    assert_eq!(status["waiting"]["notBefore"], "2026-11-21T10:01:00Z");
    assert_eq!(waiting.events(), ["WaitingToRetry"]);
    let free = image("", RETRIES, BUILDING) + &failed("image-1", "1", "BackoffLimitExceeded");
    assert!(look_at(&free, 59).ends_with("again in 1 s"));
    assert_eq!(
        look_at(&free, 60),
        "step: hold clusterctl move while Job image-bz7ht builds\nwait: CreatingJob - Job image-bz7ht is being made"
    );
}

#[test]
fn each_pause_is_twice_as_long() {
    for (attempt, pause) in
        [("1", 60), ("2", 120), ("3", 240), ("4", 480), ("5", 960), ("6", 1800), ("99", 1800)]
    {
        let yaml = image("", ", build: {retries: 100}", BUILDING) + &failed("image-1", attempt, "Error");
        assert!(
            look_at(&yaml, 0).ends_with(&format!("\nagain in {pause} s")),
            "{attempt}: {}",
            look_at(&yaml, 0)
        );
        assert!(look_at(&yaml, pause).starts_with("step: hold clusterctl move"), "{attempt}");
    }
}

#[test]
fn after_the_last_a_human_is_asked() {
    for (build, attempt, words) in [
        (RETRIES, "3", "all 3 builds have failed, the last one so: the Job has failed: Error"),
        (RETRIES, "7", "all 7 builds have failed, the last one so: the Job has failed: Error"),
        (", build: {}", "1", "the Job has failed: Error"),
        ("", "1", "the Job has failed: Error"),
        // A Job of an older release, and one that somebody wrote into.
        ("", "many", "the Job has failed: Error"),
    ] {
        let yaml = image("", build, BUILDING) + &failed("image-1", attempt, "Error");
        assert_eq!(
            look_at(&yaml, 9_999),
            format!("failed: JobFailed - {words} (Job ns/image-1); delete Job image-1 to build again")
        );
    }
    // Who asks for more gets more.
    let yaml = image("", ", build: {retries: 3}", BUILDING) + &failed("image-1", "3", "Error");
    assert!(look_at(&yaml, 240).starts_with("step: hold clusterctl move"));
}

#[test]
fn a_deadline_that_passed_is_said_in_words() {
    let yaml =
        image("", ", build: {deadlineSeconds: 60}", BUILDING) + &failed("image-1", "1", "DeadlineExceeded");
    assert_eq!(
        look_at(&yaml, 0),
        "failed: JobFailed - the Job has taken longer than its deadline allows: DeadlineExceeded (Job ns/image-1); \
         raise spec.build.deadlineSeconds, then delete Job image-1 to build again"
    );
}

#[test]
fn of_several_builds_the_last_counts() {
    let two = failed("image-b", "1", "Error")
        + &owned("image-a", ", creationTimestamp: '2026-11-21T10:01:00Z'", "{active: 1}");
    assert_eq!(
        look_at(&(image(HELD, RETRIES, BUILDING) + &two), 90),
        "wait: Building - the image is being built (Job ns/image-a)"
    );
}

/// The status names the Job of the second build, which a human has deleted; that of the first is still there.
#[test]
fn deleting_the_last_build_has_another_made_at_once() {
    let status = BUILDING.replace("image-1", "image-2");
    let yaml = image("", ", build: {retries: 0}", &status) + &failed("image-1", "1", "Error");
    let looked = look(&yaml);
    assert!(
        looked.shown().starts_with("step: look for a Job that the watch has not shown\nwait: CreatingJob"),
        "{}",
        looked.shown()
    );
    assert_eq!(
        looked.report.status.unwrap().get("jobRef"),
        None,
        "it stays named: the next name hangs on it"
    );
    // But where the first succeeded after all, its image is there.
    let done = image("", RETRIES, &status) + &owned("image-1", ID, COMPLETE);
    assert!(look(&done).shown().starts_with("step: record image id "));
}

/// The process was killed before it could name the second Job: the first is gone, and the second has failed.
#[test]
fn a_status_that_was_lost_is_no_deletion() {
    let name = super::super::job::next_name(
        &testkit::row::<MachineImageRow>(&objects(&image("", "", ""))[0]),
        "uid-job-image-1",
    );
    let yaml = image("", "", BUILDING) + &failed(&name, "1", "Error");
    assert!(look(&yaml).shown().starts_with("failed: JobFailed"), "{}", look(&yaml).shown());
}

#[test]
fn a_clock_far_ahead_of_ours_delays_nothing() {
    let ahead = failed("image-1", "1", "Error").replace("T10:00", "T12:00");
    assert!(look_at(&(image("", RETRIES, BUILDING) + &ahead), 0).starts_with("step: hold clusterctl move"));
    let untimed = owned("image-1", "", FAILED);
    assert!(look_at(&(image("", RETRIES, BUILDING) + &untimed), 0).starts_with("step: hold clusterctl move"));
    let a_little = failed("image-1", "1", "Error").replace("T10:00:00", "T10:00:20");
    assert!(look_at(&(image("", RETRIES, BUILDING) + &a_little), 0).ends_with("again in 80 s"));
}
