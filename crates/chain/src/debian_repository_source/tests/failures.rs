//! Every bad answer of a repository: named on the source, and nothing lost.

use super::*;

fn reasons() -> Vec<(FetchError, &'static str)> {
    let text = || "x".to_owned();
    vec![
        (FetchError::NotFound { status: 404 }, "RepositoryNotFound"),
        (FetchError::Forbidden { status: 403 }, "RepositoryForbidden"),
        (FetchError::TooMany { retry_after: None }, "RepositoryError"),
        (FetchError::Server { status: 500, retry_after: None }, "RepositoryError"),
        (FetchError::OtherStatus { status: 204 }, "RepositoryError"),
        (FetchError::Redirect { reason: text() }, "RepositoryError"),
        (FetchError::TooLarge { limit: 1 }, "IndexTooLarge"),
        (FetchError::Timeout, "RepositoryTimeout"),
        (FetchError::Connect { reason: text() }, "RepositoryUnreachable"),
        (FetchError::Tls { reason: text() }, "RepositoryUnreachable"),
        (FetchError::Truncated, "IndexTruncated"),
        (FetchError::NotAnIndex { reason: text() }, "NotAPackageIndex"),
        (FetchError::Internal { reason: text() }, "InternalError"),
    ]
}

/// Bug B4: no failure wipes the list, in this process or in the next.
#[test]
fn the_last_good_list_stays_and_the_failure_is_named() {
    for (error, reason) in reasons() {
        let mut story = Story::new(json!({"url": URL}));
        story.pass(at(0), good(&["v1.27.0"]));
        story.restart();
        let (report, decided) = story.pass(at(100), Err(error.clone()));
        assert!(
            decided.starts_with(&format!("failed: {reason} - {error}; the versions found before stay")),
            "{decided}"
        );
        let status = report.status.unwrap();
        assert_eq!(status.get("versions"), None, "{error}: not touched");
        assert_eq!(conditions(&status), format!("Ready=False/{reason}"));
        assert_eq!(report.notes.len(), 1);
        assert_eq!(
            (report.notes[0].severity.name(), report.notes[0].reason),
            ("Warning", "ListVersionsFailed")
        );
        assert!(report.notes[0].message.starts_with(&error.to_string()));
        // Told once, not with every retry.
        assert_eq!(story.pass(at(200), Err(error)).0, Report::default());
        let (report, _) = story.pass(at(400), Ok(Fetched::NotModified));
        assert_eq!(conditions(&report.status.unwrap()), "Ready=True/VersionsFound");
        assert_eq!(story.object["status"]["versions"], json!(["v1.27.0"]));
    }
}

#[test]
fn a_url_that_cannot_be_fetched_needs_a_human() {
    let mut story = Story::new(json!({"url": "ftp://host/Packages"}));
    let error = FetchError::InvalidUrl { reason: "it is neither https nor http".to_owned() };
    let (report, decided) = story.pass(at(0), Err(error));
    assert_eq!(
        decided,
        "failed: InvalidUrl - the URL is not usable: it is neither https nor http; correct spec.url"
    );
    assert_eq!(conditions(&report.status.unwrap()), "Ready=False/InvalidUrl Stalled=True/InvalidUrl");
    assert_eq!(story.verdict(at(100_000)).1.steps.len(), 0, "nothing but another URL helps");
    story.object["spec"]["url"] = json!(URL);
    assert_eq!(story.verdict(at(100_001)).1.steps.len(), 1);
}

#[test]
fn an_index_without_versions_says_what_it_has() {
    let index = |stanzas, kubeadm, skipped| Index { stanzas, kubeadm, skipped, versions: Vec::new() };
    for (index, message) in [
        (index(0, 0, 0), "the package index is empty"),
        (index(7, 0, 0), "the package index has no kubeadm"),
        (index(7, 2, 0), "the package index has kubeadm, but not for architecture amd64"),
        (index(7, 2, 2), "the package index has kubeadm, but none of its versions is one of Kubernetes"),
    ] {
        let mut story = Story::new(json!({"url": URL, "architecture": "amd64"}));
        let (_, decided) = story.pass(at(0), nothing(index.clone()));
        assert!(decided.starts_with(&format!("failed: NoVersions - {message}\nagain in 6")), "{decided}");
        let mut story = Story::new(json!({"url": URL, "architecture": "amd64"}));
        story.pass(at(0), good(&["v1.27.0"]));
        let (report, decided) = story.pass(at(100), nothing(index));
        assert!(decided.contains(&format!("{message}; the versions found before stay")), "{decided}");
        assert_eq!(report.status.unwrap().get("versions"), None);
        // The file is still that one: there are still no versions.
        let (report, decided) = story.pass(at(200), Ok(Fetched::NotModified));
        assert!(decided.starts_with("failed: NoVersions"), "{decided}");
        assert_eq!(report, Report::default());
        assert_eq!(story.object["status"]["versions"], json!(["v1.27.0"]));
    }
}

#[test]
fn each_new_reason_is_an_event_of_its_own() {
    let mut story = Story::new(json!({"url": URL}));
    let (first, _) = story.pass(at(0), Err(FetchError::Timeout));
    let (second, _) = story.pass(at(100), Err(FetchError::Truncated));
    assert_ne!(first.notes[0].occurrence, second.notes[0].occurrence);
}

#[test]
fn a_fetch_that_the_engine_gave_up_is_a_timeout() {
    let mut story = Story::new(json!({"url": URL}));
    let (_, verdict) = story.verdict(at(0));
    let refusal = Refusal::Unavailable { message: "no result within 120 s".to_owned(), retry_after: None };
    assert!(story.room.learn(
        Recall { memory: &mut story.memory, shared: &mut () },
        &verdict.steps[0],
        Err(&refusal),
        at(120)
    ));
    let (_, verdict) = story.verdict(at(120));
    assert!(shown(&verdict, at(120)).starts_with("failed: RepositoryTimeout"));
}
