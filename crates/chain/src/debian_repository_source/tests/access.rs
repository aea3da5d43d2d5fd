//! Credentials, authorities and keys: read when they are needed, sent where they belong, and shown nowhere.

use runtime::rules::Rule;
use sources::Credentials;

use std::fmt::Write as _;

use api::upgrader::debian_repository_source::KeyHolder;

use super::super::Value as HeldValue;
use super::*;

const SECRET_WORD: &str = "hunter2";
/// `hunter2` and `robot` in base64, as a Secret holds them.
const PASSWORD: &str = "aHVudGVyMg==";
const USER: &str = "cm9ib3Q=";

fn spec() -> Value {
    json!({"url": URL, "secretRef": {"name": "login"}, "certificateAuthority": {"kind": "ConfigMap", "name": "ca"}})
}

fn credentials() -> HeldValue {
    HeldValue::Credentials(Credentials { username: "robot".into(), password: SECRET_WORD.into() })
}

fn story() -> Story {
    let mut story = Story::new(spec());
    story.objects.insert("Secret login".to_owned(), Ok(credentials()));
    story.objects.insert("ConfigMap ca".to_owned(), Ok(HeldValue::Bytes(Arc::from(&b"PEM"[..]))));
    story.serve("1.27", good(&["v1.27.0"]));
    story
}

#[test]
fn objects_are_read_first_and_once_per_interval() {
    let mut story = story();
    let (_, decided) = story.run(at(0));
    assert!(decided.starts_with("done"), "{decided}");
    let fetch = format!("fetch {URL}");
    assert_eq!(story.asked, ["read Secret login", "read ConfigMap ca", &fetch]);
    story.run(at(30));
    assert_eq!(story.asked, Vec::<String>::new());
    story.run(at(70));
    assert_eq!(story.asked.len(), 3);
}

/// What failed may be what was corrected.
#[test]
fn objects_are_read_again_after_a_failure() {
    let mut story = story();
    story.run(at(0));
    story.serve("1.27", Err(FetchError::Forbidden { status: 401 }));
    let (report, decided) = story.run(at(70));
    assert!(
        decided.starts_with("failed: AuthFailed - the repository answered 401: it refuses to show the file"),
        "{decided}"
    );
    assert!(decided.contains("(Secret ns/login); correct the credentials"), "{decided}");
    assert_eq!(conditions(&report.status.unwrap()), "Ready=False/AuthFailed Stalled=True/AuthFailed");
    story.serve("1.27", good(&["v1.27.0"]));
    let (_, decided) = story.run(at(76));
    assert_eq!(story.asked.len(), 3, "within the interval");
    assert!(decided.starts_with("done"), "{decided}");
}

/// Who has credentials is not told that a minor is not yet there, but that they do not count.
#[test]
fn a_refused_minor_above_all_others_is_a_refusal() {
    let mut story = story();
    story.object["spec"]["url"] = json!("https://packages.example/v{minor}/deb/Packages");
    story.object["spec"]["fromMinor"] = json!("1.27");
    story.serve("1.28", Err(FetchError::Forbidden { status: 403 }));
    let (_, decided) = story.run(at(0));
    assert!(decided.starts_with("failed: AuthFailed - 1.28: "), "{decided}");
    assert_eq!(story.versions(), "v1.27.0");
    story.serve("1.28", Err(FetchError::NotFound { status: 404 }));
    let (_, decided) = story.run(at(400));
    assert!(decided.starts_with("done"), "{decided}");
}

#[test]
fn an_object_that_cannot_be_read_is_named_and_nothing_is_asked_without_it() {
    for (denied, reason, words) in [
        (Denied::Missing, "SecretMissing", "the Secret with the credentials does not exist"),
        (
            Denied::Forbidden,
            "SecretForbidden",
            "(Secret ns/login); bind the ClusterRole kubernetes-upgrader-repository-secrets-reader-role to the \
             controller in namespace ns",
        ),
        (Denied::Type, "SecretTypeNotAllowed", "Secrets of its type are not sent to a repository"),
        (Denied::NoKey("password".into()), "SecretInvalid", "it has no key password"),
        (Denied::Unreadable("password".into()), "SecretInvalid", "what it has under password is empty"),
    ] {
        let mut story = story();
        story.run(at(0));
        story.objects.insert("Secret login".to_owned(), Err(denied));
        let (_, decided) = story.run(at(70));
        assert!(decided.starts_with(&format!("failed: {reason} - ")), "{decided}");
        assert!(decided.contains(words) && decided.contains("the versions found before stay"), "{decided}");
        assert!(decided.ends_with("again in 5 s"), "{decided}");
        assert_eq!(story.asked, ["read Secret login"]);
        assert_eq!(story.versions(), "v1.27.0");
        // It is tried less and less often, and at once heals.
        let mut waits = Vec::new();
        let mut now = 70;
        for _ in 0..8 {
            let due = story.verdict(at(now)).1.recheck.unwrap();
            waits.push(due.duration_since(at(now)).as_secs());
            now = due.as_second() - at(0).as_second() + 1;
            story.run(at(now));
            assert_eq!(story.asked, ["read Secret login"]);
        }
        assert!(waits[0] < 6 && waits[7] >= 300, "{waits:?}");
        story.objects.insert("Secret login".to_owned(), Ok(credentials()));
        let (_, decided) = story.run(at(now + 400));
        assert!(decided.starts_with("done"), "{decided}");
        assert_eq!(story.asked.len(), 3);
    }
}

/// The second object fails, with a clock that moves on between the reads.
#[test]
fn a_round_comes_to_its_end_while_time_passes() {
    let mut story = story();
    story.objects.insert("ConfigMap ca".to_owned(), Err(Denied::Missing));
    let mut steps = Vec::new();
    for second in 0..200 {
        if let Some(step) = story.verdict(at(second)).1.steps.first().cloned() {
            let answer = story.answer(&step);
            story.memory.learn(&step, answer, at(second));
            steps.push((second, step.to_string()));
        }
    }
    assert!(steps.len() <= 12, "{steps:?}");
    assert_eq!(steps[1].1, "read ConfigMap ca");
    assert!(steps.iter().all(|(_, step)| step.starts_with("read ")), "{steps:?}");
}

async fn read(answers: &[testkit::Line<'_>], rules: &[Rule]) -> (Result<Answer, Refusal>, Vec<String>) {
    let mut story = story();
    let step = story.verdict(at(0)).1.steps.remove(0);
    let (applied, sent) = testkit::talk(&story.room, rules, answers, step.clone()).await;
    let answer = applied.map(|applied| {
        let shown = format!("{applied:?}");
        assert!(!shown.contains(SECRET_WORD) && !shown.contains(PASSWORD), "{shown}");
        let held = match shown.as_str() {
            "Applied { answer: Some(Held(Ok(Credentials(..)))), rows: 0 }" => Ok(credentials()),
            other if other.contains("Err(Missing)") => Err(Denied::Missing),
            other if other.contains("Err(Forbidden)") => Err(Denied::Forbidden),
            other if other.contains("Err(Type)") => Err(Denied::Type),
            other if other.contains("NoKey(\"password\")") => Err(Denied::NoKey("password".into())),
            other if other.contains("Unreadable(\"password\")") => Err(Denied::Unreadable("password".into())),
            other => panic!("{other}"),
        };
        Answer::Held(held)
    });
    (answer, sent)
}

const GET: &str = "GET /api/v1/namespaces/ns/secrets/login";

#[tokio::test]
async fn only_secrets_that_are_made_for_it_are_taken() {
    let data = json!({"username": USER, "password": PASSWORD});
    for (type_, data, expected) in [
        ("kubernetes.io/basic-auth", data.clone(), Ok(credentials())),
        ("kubernetesupgraded.dimitrikoshkin.com/repository", data.clone(), Ok(credentials())),
        ("Opaque", data.clone(), Err(Denied::Type)),
        ("kubernetes.io/service-account-token", data, Err(Denied::Type)),
        ("kubernetes.io/basic-auth", json!({"username": USER}), Err(Denied::NoKey("password".into()))),
        (
            "kubernetes.io/basic-auth",
            json!({"username": USER, "password": ""}),
            Err(Denied::Unreadable("password".into())),
        ),
        (
            "kubernetes.io/basic-auth",
            json!({"username": USER, "password": "/w=="}),
            Err(Denied::Unreadable("password".into())),
        ),
    ] {
        let body = json!({"metadata": {"name": "login", "namespace": "ns"}, "type": type_, "data": data});
        let (answer, sent) = read(&[(GET, 200, body)], SourceRoom::OPT_IN_RULES).await;
        assert_eq!(answer.unwrap(), Answer::Held(expected));
        assert_eq!(sent, [format!("{GET} ")]);
    }
}

#[tokio::test]
async fn what_the_server_refuses_is_told_apart() {
    let status =
        |code: u16, reason: &str| json!({"kind": "Status", "code": code, "reason": reason, "message": "m"});
    for (code, reason, expected) in
        [(404, "NotFound", Denied::Missing), (403, "Forbidden", Denied::Forbidden)]
    {
        let (answer, _) = read(&[(GET, code, status(code, reason))], SourceRoom::OPT_IN_RULES).await;
        assert_eq!(answer.unwrap(), Answer::Held(Err(expected)));
    }
    let (answer, _) = read(&[(GET, 503, status(503, "x"))], SourceRoom::OPT_IN_RULES).await;
    assert!(matches!(answer, Err(Refusal::Unavailable { .. })), "{answer:?}");
    // The rules of the default role do not allow it at all.
    let (answer, sent) = read(&[], &[]).await;
    assert!(answer.is_err() && sent.is_empty(), "{answer:?}");
}

/// A failed read of another kind is the engine's, and the source waits for the next pass.
#[test]
fn a_server_that_does_not_answer_is_left_to_the_engine() {
    let mut story = story();
    let step = story.verdict(at(0)).1.steps.remove(0);
    let refusal = Refusal::Unavailable { message: "m".to_owned(), retry_after: None };
    let recall = Recall { memory: &mut story.memory, shared: &mut () };
    assert!(!story.room.learn(recall, &step, Err(&refusal), at(0)));
}

#[test]
fn config_maps_and_binary_data_are_read() {
    let of = |kind: KeyHolder, live: Value| {
        let live: super::super::access::Live = serde_json::from_value(live).unwrap();
        let reference = Reference { kind, name: "n".into(), key: "ca.crt".into() };
        live.value(Use::Authority, &reference)
    };
    let bytes = |text: &str| Ok(HeldValue::Bytes(text.as_bytes().into()));
    assert_eq!(of(KeyHolder::ConfigMap, json!({"data": {"ca.crt": "PEM"}})), bytes("PEM"));
    assert_eq!(of(KeyHolder::ConfigMap, json!({"binaryData": {"ca.crt": "UEVN"}})), bytes("PEM"));
    assert_eq!(of(KeyHolder::Secret, json!({"type": "Opaque", "data": {"ca.crt": "UEVN"}})), bytes("PEM"));
    assert_eq!(of(KeyHolder::Secret, json!({"data": null})), Err(Denied::NoKey("ca.crt".into())));
    assert_eq!(
        of(KeyHolder::Secret, json!({"data": {"ca.crt": "%%"}})),
        Err(Denied::Unreadable("ca.crt".into()))
    );
}

/// Every text that this room makes, on the way of a password through it.
#[test]
fn a_password_is_shown_nowhere() {
    let mut shown = String::new();
    for outcome in [good(&["v1.27.0"]), Err(FetchError::Forbidden { status: 401 })] {
        let mut story = story();
        story.serve("1.27", outcome);
        loop {
            let (observed, verdict) = story.verdict(at(0));
            write!(shown, "{observed:?} {verdict:?} {:?}", story.memory).unwrap();
            let Some(step) = verdict.steps.first() else {
                let report = story.room.report(&observed, &verdict, at(0));
                write!(shown, "{report:?}").unwrap();
                break;
            };
            let answer = story.answer(step);
            write!(shown, "{step} {step:?} {answer:?}").unwrap();
            story.memory.learn(step, answer, at(0));
        }
    }
    let bytes = format!("{:?}", SECRET_WORD.as_bytes());
    let inner = bytes.trim_matches(['[', ']']);
    assert!(shown.contains("Credentials(..)"), "it was on its way");
    for word in [SECRET_WORD, PASSWORD, "robot", inner, "PEM"] {
        assert!(!shown.contains(word), "{word}");
    }
}
