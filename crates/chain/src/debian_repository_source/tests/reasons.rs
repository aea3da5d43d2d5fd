//! Every reason of the closed set is reached, or belongs to the engine.

use super::*;

/// A way to a reason. The match has no other arm: a new reason does not compile without one.
fn way(reason: Reason) -> Option<String> {
    let fetch = |error: FetchError| {
        let mut story = Story::new(json!({"url": URL}));
        Some(story.pass(at(0), Err(error)).1)
    };
    let held = |denied: Denied| {
        let mut story = Story::new(json!({"url": URL, "secretRef": {"name": "login"}}));
        story.objects.insert("Secret login".to_owned(), Err(denied));
        Some(story.run(at(0)).1)
    };
    let trusting = |fetched: Result<Fetched, FetchError>| {
        let mut story = Story::new(json!({"url": URL, "verification": {"publicKey": {"name": "key"}}}));
        story.objects.insert("Secret key".to_owned(), Ok(super::super::Value::Bytes(Arc::from(&b"k"[..]))));
        story.serve("1.27", signed(&["v1.27.0"], Release { date: Some(at(-10)), ..Release::default() }));
        story.run(at(0));
        story.serve("1.27", fetched);
        Some(story.run(at(100)).1)
    };
    let text = || "x".to_owned();
    match reason {
        Reason::Fetching => {
            let mut story = Story::new(json!({"url": URL}));
            Some(shown(&Verdict { steps: Vec::new(), ..story.verdict(at(0)).1 }, at(0)))
        }
        Reason::InvalidUrl => fetch(FetchError::InvalidUrl { reason: text() }),
        Reason::RepositoryNotFound => fetch(FetchError::NotFound { status: 404 }),
        Reason::RepositoryForbidden => fetch(FetchError::Forbidden { status: 403 }),
        Reason::RepositoryError => fetch(FetchError::OtherStatus { status: 204 }),
        Reason::RepositoryUnreachable => fetch(FetchError::Connect { reason: text() }),
        Reason::RepositoryTimeout => fetch(FetchError::Timeout),
        Reason::IndexTooLarge => fetch(FetchError::TooLarge { limit: 1 }),
        Reason::IndexTruncated => fetch(FetchError::Truncated),
        Reason::NotAPackageIndex => fetch(FetchError::NotAnIndex { reason: text() }),
        Reason::AuthFailed => {
            let mut story = Story::new(json!({"url": URL, "secretRef": {"name": "login"}}));
            let value = super::super::Value::Credentials(sources::Credentials::default());
            story.objects.insert("Secret login".to_owned(), Ok(value));
            story.serve("1.27", Err(FetchError::Forbidden { status: 403 }));
            Some(story.run(at(0)).1)
        }
        Reason::SecretMissing => held(Denied::Missing),
        Reason::SecretTypeNotAllowed => held(Denied::Type),
        Reason::SecretForbidden => held(Denied::Forbidden),
        Reason::SecretInvalid => {
            trusting(Err(FetchError::Unusable { what: "the public key", reason: text() }))
        }
        Reason::SignatureMissing => trusting(Err(FetchError::SignatureMissing { reason: "x" })),
        Reason::SignatureInvalid => trusting(Err(FetchError::SignatureInvalid { reason: "x" })),
        Reason::KeyExpired => {
            let expired = Release { date: Some(at(0)), key_expires: Some(at(50)), valid_until: None };
            trusting(signed(&["v1.27.1"], expired))
        }
        Reason::IndexNotInRelease => trusting(Err(FetchError::NotListed { reason: text() })),
        Reason::IndexHashMismatch => trusting(Err(FetchError::HashMismatch { reason: "x" })),
        Reason::ReleaseRolledBack => {
            trusting(signed(&["v1.27.1"], Release { date: Some(at(-11)), ..Release::default() }))
        }
        Reason::ReleaseExpired => {
            let expired = Release { date: Some(at(0)), valid_until: Some(at(50)), key_expires: None };
            trusting(signed(&["v1.27.1"], expired))
        }
        Reason::NoVersions => Some(Story::new(json!({"url": URL})).pass(at(0), nothing(Index::default())).1),
        Reason::Malformed => Some(Story::new(json!({"url": 7})).run(at(0)).1),
        Reason::InternalError => fetch(FetchError::Internal { reason: text() }),
        // The engine's own: it tells them in the words of every controller.
        Reason::Forbidden
        | Reason::WriteRefused
        | Reason::ForeignWebhook
        | Reason::ApiUnavailable
        | Reason::DryRun => None,
    }
}

#[test]
fn every_reason_is_reached_and_the_list_kept() {
    for reason in Reason::ALL {
        let Some(decided) = way(*reason) else { continue };
        let name = domain::verdict::Reason::name(*reason);
        let word = decided.split([':', ' ']).nth(2).unwrap_or_default();
        assert_eq!(word, name, "{decided}");
        assert!(!decided.lines().next().unwrap_or_default().is_empty());
    }
}
