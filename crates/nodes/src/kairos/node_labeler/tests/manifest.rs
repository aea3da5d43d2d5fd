//! The Job and the DaemonSet as they are sent.

use api::kairos::labeler::{APP_LABEL, SELECTOR};
use domain::object::Meta;

use super::super::manifest::job_name;
use super::*;

fn golden(name: &str, body: &Value) {
    let body = serde_json::to_string_pretty(body).unwrap();
    insta::with_settings!({omit_expression => true, prepend_module_to_snapshot => false}, {
        insta::assert_snapshot!(name, body);
    });
}

fn node(name: &str) -> Meta {
    Meta { key: ObjectKey::new("", name), uid: "uid-1".into(), ..Meta::default() }
}

#[test]
fn a_job() {
    golden("job", &room().0.job(&node("node-1"), 2));
}

#[test]
fn the_daemon_set() {
    golden("daemon_set", &room().0.daemon_set());
}

#[test]
fn names_are_cut_as_the_original_cuts_them() {
    assert_eq!(job_name("n"), "kairos-node-labeler-n");
    let fits = "n".repeat(30);
    assert_eq!(job_name(&fits), format!("kairos-node-labeler-{fits}"));
    let cut = job_name(&"n".repeat(31));
    assert!(cut.len() == 63 && cut.starts_with(&format!("kairos-node-labeler-{fits}-")), "{cut}");
}

#[test]
fn both_have_the_label_by_which_they_are_watched() {
    assert_eq!(SELECTOR, format!("{APP_LABEL}={NAME}"));
    for body in [room().0.job(&node("n"), 1), room().0.daemon_set()] {
        assert_eq!(body["metadata"]["labels"][APP_LABEL], NAME);
    }
    let set = room().0.daemon_set();
    let (selector, labels) =
        (&set["spec"]["selector"]["matchLabels"], &set["spec"]["template"]["metadata"]["labels"]);
    assert_eq!(selector, labels);
    let job = room().0.job(&node("n"), 1);
    assert_ne!(
        &job["spec"]["template"]["metadata"]["labels"]["mode"], "daemon",
        "the DaemonSet must not take its pods"
    );
}
