//! Where an id may stand, and what may be one.

use api::batch::pod::{PodTermination, Terminated};
use domain::object::Meta;

use super::super::image_id::{Told, of_job, of_pods};
use super::*;

fn job_with(annotation: Option<&str>, label: Option<&str>) -> JobRow {
    JobRow {
        image_id_annotation: annotation.map(Box::from),
        image_id_label: label.map(Box::from),
        ..JobRow::default()
    }
}

fn told(told: Option<Told>) -> String {
    match told {
        None => "-".to_owned(),
        Some(Told::Id(id)) => format!("id {id}"),
        Some(Told::Nothing(why)) => format!("nothing: {why}"),
        Some(Told::Unclear(why)) => format!("unclear: {why}"),
    }
}

#[test]
fn the_annotation_counts_before_the_label() {
    let cases = [
        (None, None, "-"),
        (Some(""), None, "-"),
        (Some(" \n"), Some(""), "-"),
        (Some("a"), Some("b"), "id a"),
        (Some(""), Some("b"), "id b"),
        (None, Some("b"), "id b"),
        (Some(" ami-1\n"), None, "id ami-1"),
        // Named on purpose: a path of an inventory.
        (Some("/DC 0/vm/ubuntu 22.04"), None, "id /DC 0/vm/ubuntu 22.04"),
        (
            Some("a\nb"),
            Some("b"),
            "unclear: its annotation kubernetesupgraded.dimitrikoshkin.com/image-id has more than one line",
        ),
        (
            Some("a\u{7}b"),
            None,
            "unclear: its annotation kubernetesupgraded.dimitrikoshkin.com/image-id has characters that cannot be printed",
        ),
    ];
    for (annotation, label, expected) in cases {
        assert_eq!(told(of_job(&job_with(annotation, label))), expected, "{annotation:?} {label:?}");
    }
    assert!(
        told(of_job(&job_with(Some(&"x".repeat(1_025)), None))).ends_with("is longer than 1,024 characters")
    );
}

fn pod(name: &str, message: &str) -> PodTermination {
    PodTermination {
        meta: Meta { key: ObjectKey::new("ns", name), ..Meta::default() },
        owner_uid: Some("job".into()),
        phase: "Succeeded".into(),
        containers: 1,
        terminated: vec![Terminated { container: "build".into(), exit_code: 0, message: message.into() }],
        ..PodTermination::default()
    }
}

fn by(pods: &[PodTermination]) -> String {
    told(Some(of_pods(&Meta { uid: "job".into(), ..Meta::default() }, pods)))
}

#[test]
fn a_termination_message_is_one_word_or_json() {
    let long = "x".repeat(1_024);
    let good = [
        ("ami-0123456789abcdef0", "ami-0123456789abcdef0"),
        ("  kindest/node:v1.27.6\r\n", "kindest/node:v1.27.6"),
        ("eu-west-1:ami-1,us-east-1:ami-2", "eu-west-1:ami-1,us-east-1:ami-2"),
        ("/DC0/vm/größe", "/DC0/vm/größe"),
        (&*long, &*long),
        ("{\"imageId\": \"ami-1\"}", "ami-1"),
        ("\n{\n  \"other\": 1,\n  \"imageId\": \"ami-1\"\n}\n", "ami-1"),
    ];
    for (message, id) in good {
        assert_eq!(by(&[pod("p", message)]), format!("id {id}"), "{message:?}");
    }
    let longer = "x".repeat(1_025);
    let bad = [
        ("ami-1\nami-2", "has more than one line"),
        ("built ami-1", "has a space in it"),
        ("built\u{a0}ami-1", "has a space in it"),
        ("ami\t1", "has characters that cannot be printed"),
        ("\u{feff}ami-1", "has characters that cannot be printed"),
        ("ami-1\u{200b}", "has characters that cannot be printed"),
        ("\u{1b}[32mami-1\u{1b}[0m", "has characters that cannot be printed"),
        (&*longer, "is longer than 1,024 characters"),
        ("{\"imageId\": 7}", "begins with `{` and is not JSON with a string `imageId`"),
        ("{\"imageID\": \"ami-1\"}", "begins with `{` and is not JSON with a string `imageId`"),
        ("{ami-1}", "begins with `{` and is not JSON with a string `imageId`"),
        ("{\"imageId\": \"\"}", "holds an empty id"),
        ("{\"imageId\": \"ami-1 \"}", "has a space in it"),
        ("{\"imageId\": \"a\\nb\"}", "has more than one line"),
    ];
    for (message, fault) in bad {
        let expected = format!("unclear: the termination message of Pod p {fault}");
        assert_eq!(by(&[pod("p", message)]), expected, "{message:?}");
    }
}

#[test]
fn only_succeeded_pods_of_this_job_count() {
    assert_eq!(by(&[]), "nothing: no pod of it is left that has succeeded");
    assert_eq!(by(&[pod("p", " \n")]), "nothing: its pod left no termination message");
    let failed = PodTermination { phase: "Failed".into(), ..pod("a", "panic: no disk") };
    assert_eq!(by(&[failed.clone(), pod("b", "ami-1")]), "id ami-1", "a retry");
    assert_eq!(by(&[failed]), "nothing: no pod of it is left that has succeeded");
    let foreign = PodTermination { owner_uid: Some("other".into()), ..pod("a", "ami-2") };
    assert_eq!(by(&[foreign, pod("b", "ami-1")]), "id ami-1");
    let loose = PodTermination { owner_uid: None, controller_uid: Some("job".into()), ..pod("a", "ami-2") };
    assert_eq!(by(&[loose]), "nothing: no pod of it is left that has succeeded", "a label is not an owner");
}

#[test]
fn two_containers_or_two_ids_are_ambiguous() {
    let mut two = pod("p", "ami-1");
    two.containers = 2;
    assert_eq!(
        by(&[two.clone()]),
        "unclear: Pod p has 2 containers, and a termination message counts where there is one"
    );
    two.terminated[0].message = "".into();
    assert_eq!(by(&[two]), "nothing: its pod left no termination message");
    assert_eq!(by(&[pod("a", "ami-1"), pod("b", "ami-1")]), "id ami-1");
    assert_eq!(by(&[pod("a", "ami-1"), pod("b", "ami-2")]), "unclear: its pods tell different ids");
}
