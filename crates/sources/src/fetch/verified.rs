//! Reads of signed repositories, of repositories that ask who comes, and with authorities of one's own: over HTTP, as they
//! come.

use wiremock::matchers::basic_auth;

use super::tests::{ALL, STABLE, fetcher, limits, versions};
use super::*;
use crate::signing::{Heading, Signer, release};
use crate::{Access, Trust};
use jiff::Timestamp;
use wiremock::matchers::{header, header_exists, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn dated(second: i64) -> Heading {
    Heading { date: Some(at(second)), valid_until: None }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut gzip, bytes).unwrap();
    gzip.finish().unwrap()
}

/// A signed repository: flat, at `/deb`.
struct Signed {
    server: MockServer,
    signer: Signer,
}

impl Signed {
    async fn new() -> Self {
        let signer = Signer::new(7, at(1_700_000_000), Some(at(1_900_000_000))).unwrap();
        Self { server: MockServer::start().await, signer }
    }

    async fn serve(&self, file: &str, answer: ResponseTemplate) {
        Mock::given(method("GET"))
            .and(path(format!("/deb/{file}")))
            .respond_with(answer)
            .mount(&self.server)
            .await;
    }

    /// Serves an index, and an `InRelease` that lists `listed`.
    async fn publish(&mut self, listed: &[u8], served: &[u8]) {
        let text = self.signer.sign(&release(&dated(1_763_000_000), &[("Packages", listed)])).unwrap();
        self.serve(
            "InRelease",
            ResponseTemplate::new(200).set_body_string(text).insert_header("etag", "\"r1\""),
        )
        .await;
        self.serve(
            "Packages",
            ResponseTemplate::new(200).set_body_bytes(served).insert_header("etag", "\"p1\""),
        )
        .await;
    }

    fn request(&self) -> Request {
        let url = format!("{}/deb/Packages", self.server.uri());
        let trust = Trust {
            release_url: crate::release::in_release(&url).unwrap(),
            public_key: self.signer.public_key().unwrap().into(),
        };
        Request { url, architecture: "amd64".to_owned(), trust: Some(trust), ..Request::default() }
    }

    async fn fetch(&self) -> Result<Fetched, FetchError> {
        fetcher(limits()).fetch(&self.request()).await
    }
}

#[tokio::test]
async fn a_signed_repository_is_read_and_tells_its_times() {
    let mut repository = Signed::new().await;
    repository.publish(STABLE.as_bytes(), STABLE.as_bytes()).await;
    let fetched = repository.fetch().await.unwrap();
    let Fetched::Fresh { release, validators, .. } = &fetched else { panic!("{fetched:?}") };
    let expected =
        Release { date: Some(at(1_763_000_000)), valid_until: None, key_expires: Some(at(1_900_000_000)) };
    assert_eq!(release.as_ref(), Some(&expected));
    assert_eq!(validators.etag.as_deref(), Some("\"r1\""), "of InRelease, which vouches for the index");
    assert_eq!(versions(fetched), ALL);
}

#[tokio::test]
async fn an_unchanged_release_is_not_read_again() {
    let repository = Signed::new().await;
    Mock::given(path("/deb/InRelease"))
        .and(header("if-none-match", "\"r1\""))
        .respond_with(ResponseTemplate::new(304))
        .expect(1)
        .mount(&repository.server)
        .await;
    let validators = Validators { etag: Some("\"r1\"".to_owned()), last_modified: None };
    let request = Request { validators, ..repository.request() };
    assert_eq!(fetcher(limits()).fetch(&request).await, Ok(Fetched::NotModified));
}

/// What an attacker on the way, a broken mirror or a half-done upload can serve.
#[tokio::test]
async fn every_lie_has_its_name() {
    let tampered = STABLE.replace("1.27.1-1.1", "1.27.9-1.1");
    let longer = format!("{STABLE}\n");
    let shorter = STABLE.split_at(STABLE.len() / 2).0;
    for (served, why) in [
        (tampered.as_str(), "its hash differs"),
        (&longer, "it is longer"),
        (shorter, "it is shorter"),
        ("<html>", "it is shorter"),
    ] {
        let mut repository = Signed::new().await;
        repository.publish(STABLE.as_bytes(), served.as_bytes()).await;
        let error = repository.fetch().await.unwrap_err();
        assert!(matches!(error, FetchError::HashMismatch { reason } if reason == why), "{error:?}");
    }

    let mut repository = Signed::new().await;
    repository.publish(STABLE.as_bytes(), STABLE.as_bytes()).await;
    let mut request = repository.request();
    let stranger = Signer::new(8, at(1_700_000_000), None).unwrap().public_key().unwrap();
    request.trust.as_mut().unwrap().public_key = stranger.into();
    let error = fetcher(limits()).fetch(&request).await.unwrap_err();
    assert!(matches!(error, FetchError::SignatureInvalid { .. }), "{error:?}");

    request.trust.as_mut().unwrap().public_key = Arc::from(&b"no key"[..]);
    let error = fetcher(limits()).fetch(&request).await.unwrap_err();
    assert!(matches!(error, FetchError::Unusable { what: "the public key", .. }), "{error:?}");

    let mut repository = Signed::new().await;
    let text = repository.signer.sign(&release(&dated(1), &[("Packages.gz", b"x")])).unwrap();
    repository.serve("InRelease", ResponseTemplate::new(200).set_body_string(text)).await;
    let error = repository.fetch().await.unwrap_err();
    assert!(matches!(error, FetchError::NotListed { .. }), "{error:?}");

    let repository = Signed::new().await;
    let unsigned = release(&dated(1), &[("Packages", STABLE.as_bytes())]);
    repository.serve("InRelease", ResponseTemplate::new(200).set_body_string(unsigned)).await;
    let error = repository.fetch().await.unwrap_err();
    assert!(matches!(error, FetchError::SignatureMissing { .. }), "{error:?}");

    let repository = Signed::new().await;
    let endless = "x".repeat(5 * 1024 * 1024);
    repository.serve("InRelease", ResponseTemplate::new(200).set_body_string(endless)).await;
    assert_eq!(repository.fetch().await, Err(FetchError::TooLarge { limit: LONGEST_RELEASE }));
}

/// A whole file that is listed as it is, and is no index, is called that.
#[tokio::test]
async fn a_listed_file_that_is_no_index_is_called_that() {
    let mut repository = Signed::new().await;
    repository.publish(b"<html>\n", b"<html>\n").await;
    let error = repository.fetch().await.unwrap_err();
    assert!(matches!(error, FetchError::NotAnIndex { .. }), "{error:?}");
}

#[tokio::test]
async fn no_in_release_is_told_from_no_repository() {
    for (status, index, expected) in [
        (404, 200, FetchError::SignatureMissing { reason: "it has no InRelease" }),
        (403, 200, FetchError::SignatureMissing { reason: "it has no InRelease" }),
        (404, 404, FetchError::NotFound { status: 404 }),
        (403, 403, FetchError::Forbidden { status: 403 }),
    ] {
        let repository = Signed::new().await;
        repository.serve("InRelease", ResponseTemplate::new(status)).await;
        repository.serve("Packages", ResponseTemplate::new(index).set_body_string(STABLE)).await;
        assert_eq!(repository.fetch().await, Err(expected));
    }
}

#[tokio::test]
async fn a_packed_index_is_listed_by_its_own_name() {
    let mut repository = Signed::new().await;
    let packed = gzip(STABLE.as_bytes());
    let text = repository.signer.sign(&release(&dated(1), &[("Packages.gz", &packed)])).unwrap();
    repository.serve("InRelease", ResponseTemplate::new(200).set_body_string(text)).await;
    repository.serve("Packages.gz", ResponseTemplate::new(200).set_body_bytes(packed)).await;
    let request = repository.request();
    let request = Request { url: format!("{}.gz", request.url), ..request };
    assert_eq!(versions(fetcher(limits()).fetch(&request).await.unwrap()), ALL);
}

fn known(url: String) -> Request {
    let credentials = Credentials { username: "robot".into(), password: "hunter2".into() };
    let access = Access { credentials: Some(credentials), certificate_authorities: None };
    Request { url, architecture: "amd64".to_owned(), access, ..Request::default() }
}

#[tokio::test]
async fn credentials_go_to_the_repository_and_to_no_other_host() {
    let (home, other) = (MockServer::start().await, MockServer::start().await);
    let there = format!("{}/Packages", other.uri());
    let away = ResponseTemplate::new(302).insert_header("location", there.as_str());
    Mock::given(path("/away")).and(basic_auth("robot", "hunter2")).respond_with(away).mount(&home).await;
    let good = ResponseTemplate::new(200).set_body_string(STABLE);
    let here = ResponseTemplate::new(302).insert_header("location", "/Packages");
    Mock::given(path("/here")).respond_with(here).mount(&home).await;
    Mock::given(path("/Packages"))
        .and(basic_auth("robot", "hunter2"))
        .respond_with(good.clone())
        .mount(&home)
        .await;
    Mock::given(header_exists("authorization")).respond_with(ResponseTemplate::new(500)).mount(&other).await;
    Mock::given(path("/Packages")).respond_with(good).mount(&other).await;
    for name in ["away", "here", "Packages"] {
        let fetched = fetcher(limits()).fetch(&known(format!("{}/{name}", home.uri()))).await;
        assert_eq!(versions(fetched.unwrap()), ALL, "{name}");
    }
    let without = Request { access: Access::default(), ..known(format!("{}/Packages", home.uri())) };
    assert_eq!(fetcher(limits()).fetch(&without).await, Err(FetchError::NotFound { status: 404 }));
}

/// The scheme, the host and the port, all three: a redirect from http to https on the same port is another server.
#[test]
fn an_origin_is_a_scheme_a_host_and_a_port() {
    let of = |text: &str| ::url::Url::parse(text).unwrap();
    let same = |one: &str, other: &str| url::same_origin(&of(one), &of(other));
    assert!(same("https://h/a", "https://h:443/b") && same("http://h:80/", "http://H/x"));
    for (one, other) in [
        ("https://h/", "http://h/"),
        ("http://h:8080/", "https://h:8080/"),
        ("https://h/", "https://h:8443/"),
        ("https://h/", "https://sub.h/"),
    ] {
        assert!(!same(one, other), "{one} {other}");
    }
}

/// A name and a password in a `Location` are not sent either.
#[test]
fn a_redirect_brings_no_credentials_of_its_own() {
    let from = ::url::Url::parse("https://h/a").unwrap();
    let target = url::target(&from, &HeaderValue::from_static("https://me:secret@h/b")).unwrap();
    assert_eq!(target.as_str(), "https://h/b");
    assert!(url::target(&from, &HeaderValue::from_static("https://")).is_err());
}

#[tokio::test]
async fn nothing_secret_is_shown() {
    let server = MockServer::start().await;
    let request = known(format!("{}/Packages", server.uri()));
    let shown = format!("{request:?} {:#?}", request.access);
    assert!(!shown.contains("hunter2") && !shown.contains("robot"), "{shown}");
    let trust = Trust { release_url: "https://h/InRelease".to_owned(), public_key: Arc::from(&b"AAAA"[..]) };
    let access = Access { certificate_authorities: Some(Arc::from(&b"AAAA"[..])), ..Access::default() };
    let shown = format!("{trust:?} {access:?}");
    assert!(!shown.contains("AAAA") && !shown.contains("65"), "{shown}");
    for status in [401, 403, 404, 500] {
        Mock::given(method("GET"))
            .respond_with(ResponseTemplate::new(status))
            .up_to_n_times(1)
            .mount(&server)
            .await;
        let error = fetcher(limits()).fetch(&request).await.unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("hunter2") && !shown.contains("robot"), "{shown}");
    }
}

#[tokio::test]
async fn each_set_of_authorities_has_one_client_and_few_are_kept() {
    let fetcher = fetcher(limits());
    let url = ::url::Url::parse("https://h/").unwrap();
    let bundle = |name: &str| -> Arc<[u8]> {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.self_signed(&key).unwrap().pem().into_bytes().into()
    };
    let same = bundle("same");
    for _ in 0..3 {
        fetcher.clients.client(&url, Some(&same)).unwrap();
    }
    assert_eq!(fetcher.clients.kept(), 1);
    for number in 0..20 {
        fetcher.clients.client(&url, Some(&bundle(&format!("host-{number}")))).unwrap();
    }
    assert_eq!(fetcher.clients.kept(), 16);
    for bad in [&b"hunter2"[..], b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let error = fetcher.clients.client(&url, Some(&bad.into())).unwrap_err();
        assert!(matches!(error, FetchError::Unusable { what: "the certificate authority", .. }), "{error:?}");
        assert!(!error.to_string().contains("hunter2"));
    }
}
