use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use super::clients::USER_AGENT;
use super::*;
use ::url::Url;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

pub(super) const STABLE: &str = include_str!("../../fixtures/stable-v1.27.Packages");
pub(super) const ALL: &str = "v1.27.0 v1.27.1 v1.27.2 v1.27.3 v1.27.4 v1.27.5 v1.27.6 v1.27.10";

pub(super) fn limits() -> Limits {
    Limits { total: Duration::from_secs(20), ..Limits::default() }
}

pub(super) fn fetcher(limits: Limits) -> Fetcher {
    // Another test may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Fetcher::new(limits).unwrap()
}

fn request(url: &str) -> Request {
    Request { url: url.to_owned(), architecture: "amd64".to_owned(), ..Request::default() }
}

async fn fetch(url: &str) -> Result<Fetched, FetchError> {
    fetcher(limits()).fetch(&request(url)).await
}

pub(super) fn versions(fetched: Fetched) -> String {
    let Fetched::Fresh { index, .. } = fetched else { panic!("not modified") };
    index.versions.iter().map(|one| one.version.to_string()).collect::<Vec<_>>().join(" ")
}

/// A server that answers everything alike.
async fn answering(answer: ResponseTemplate) -> (MockServer, String) {
    let server = MockServer::start().await;
    Mock::given(method("GET")).respond_with(answer).mount(&server).await;
    let url = format!("{}/Packages", server.uri());
    (server, url)
}

/// A server that hands each connection over once the request's head was read.
async fn raw<F, R>(serve: F) -> String
where
    F: Fn(TcpStream, String) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serve = Arc::new(serve);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let serve = Arc::clone(&serve);
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read_u8().await {
                        Ok(byte) => head.push(byte),
                        Err(_) => return,
                    }
                }
                serve(stream, String::from_utf8_lossy(&head).into_owned()).await;
            });
        }
    });
    format!("http://{address}/Packages")
}

/// A server that sends these bytes and closes.
async fn sending(head: &str, body: impl Into<Vec<u8>>) -> String {
    let bytes = [head.as_bytes(), b"\r\n\r\n", &body.into()].concat();
    raw(move |mut stream, _| {
        let bytes = bytes.clone();
        async move {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
        }
    })
    .await
}

#[tokio::test]
async fn a_file_is_read_and_then_asked_for_conditionally() {
    let server = MockServer::start().await;
    let date = "Tue, 15 Aug 2023 10:00:00 GMT";
    Mock::given(path("/Packages"))
        .and(header("if-none-match", "\"one\""))
        // wiremock's own matcher takes the comma of a date for a list.
        .and(move |asked: &wiremock::Request| {
            asked.headers.get("if-modified-since").is_some_and(|value| value == date)
        })
        .respond_with(ResponseTemplate::new(304))
        .with_priority(1)
        .mount(&server)
        .await;
    Mock::given(path("/Packages"))
        .and(header("user-agent", USER_AGENT))
        .respond_with(
            ResponseTemplate::new(200)
                .insert_header("etag", "\"one\"")
                .insert_header("last-modified", date)
                .set_body_string(STABLE),
        )
        .mount(&server)
        .await;
    let fetcher = fetcher(limits());
    let mut request = request(&format!("{}/Packages", server.uri()));

    let first = fetcher.fetch(&request).await.unwrap();
    let Fetched::Fresh { index, validators, .. } = &first else { panic!("{first:?}") };
    assert_eq!((index.stanzas, index.kubeadm), (107, 31));
    assert_eq!(validators.etag.as_deref(), Some("\"one\""));
    assert_eq!(validators.last_modified.as_deref(), Some(date));
    request.validators = validators.clone();
    assert_eq!(versions(first), ALL);

    assert_eq!(fetcher.fetch(&request).await, Ok(Fetched::NotModified));
    request.validators.etag = Some("not\na header".to_owned());
    assert_eq!(versions(fetcher.fetch(&request).await.unwrap()), ALL);
}

#[tokio::test]
async fn packed_files_are_read_whatever_they_are_called() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(STABLE.as_bytes()).unwrap();
    let mut xz = xz2::write::XzEncoder::new(Vec::new(), 6);
    xz.write_all(STABLE.as_bytes()).unwrap();
    for body in [gzip.finish().unwrap(), xz.finish().unwrap()] {
        let answer = ResponseTemplate::new(200)
            .set_body_raw(body, "text/plain")
            .insert_header("content-encoding", "gzip");
        let (_server, url) = answering(answer).await;
        assert_eq!(versions(fetch(&url).await.unwrap()), ALL);
    }
}

#[tokio::test]
async fn each_status_is_told_apart() {
    let ten = Some(Duration::from_secs(10));
    for (status, expected) in [
        (404, FetchError::NotFound { status: 404 }),
        (410, FetchError::NotFound { status: 410 }),
        (401, FetchError::Forbidden { status: 401 }),
        (403, FetchError::Forbidden { status: 403 }),
        (429, FetchError::TooMany { retry_after: ten }),
        (500, FetchError::Server { status: 500, retry_after: ten }),
        (503, FetchError::Server { status: 503, retry_after: ten }),
        (204, FetchError::OtherStatus { status: 204 }),
        (206, FetchError::OtherStatus { status: 206 }),
        (304, FetchError::OtherStatus { status: 304 }),
        (400, FetchError::OtherStatus { status: 400 }),
    ] {
        let answer = ResponseTemplate::new(status).insert_header("retry-after", "10").set_body_string(STABLE);
        let (_server, url) = answering(answer).await;
        let error = fetch(&url).await.unwrap_err();
        assert_eq!(error, expected);
        assert!(error.to_string().contains(&status.to_string()), "{error}");
    }
    let dated = ResponseTemplate::new(429).insert_header("retry-after", "Tue, 15 Aug 2023 10:00:00 GMT");
    let (_server, url) = answering(dated).await;
    assert_eq!(fetch(&url).await, Err(FetchError::TooMany { retry_after: None }));
}

#[tokio::test]
async fn an_empty_file_is_told_from_a_good_one() {
    for body in ["", "\n"] {
        let (_server, url) = answering(ResponseTemplate::new(200).set_body_string(body)).await;
        let fetched = fetch(&url).await.unwrap();
        let Fetched::Fresh { index, .. } = &fetched else { panic!("{fetched:?}") };
        assert!(index.is_empty());
    }
}

#[tokio::test]
async fn what_is_no_index_is_not_quoted() {
    for body in ["<html>secret</html>", "Origin: secret\n", "secret", "\u{1f}secret, secret"] {
        let (_server, url) = answering(ResponseTemplate::new(200).set_body_string(body)).await;
        let error = fetch(&url).await.unwrap_err();
        assert!(matches!(error, FetchError::NotAnIndex { .. }), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
    }
}

#[tokio::test]
async fn a_file_that_is_cut_short_is_an_error() {
    let length = STABLE.len();
    let half = &STABLE[..length / 2];
    let short = sending(&format!("HTTP/1.1 200 OK\r\ncontent-length: {length}"), half).await;
    let chunk = format!("{:x}\r\n{half}\r\n", half.len());
    let chunked = sending("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked", chunk).await;
    let closed = sending("HTTP/1.1 200 OK\r\nconnection: close", "\nPackage: kubeadm\nVersion: 1.27.1").await;
    for url in [short, chunked, closed] {
        assert_eq!(fetch(&url).await, Err(FetchError::Truncated));
    }
    // Whole, in the same three ways.
    let sized = sending(&format!("HTTP/1.1 200 OK\r\ncontent-length: {length}"), STABLE).await;
    let chunk = format!("{length:x}\r\n{STABLE}\r\n0\r\n\r\n");
    let chunked = sending("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked", chunk).await;
    let closed = sending("HTTP/1.1 200 OK\r\nconnection: close", STABLE).await;
    for url in [sized, chunked, closed] {
        assert_eq!(versions(fetch(&url).await.unwrap()), ALL);
    }
}

#[tokio::test]
async fn a_large_file_is_refused_unread() {
    const SIZE: u64 = 200 * 1024 * 1024;
    for head in [
        format!("HTTP/1.1 200 OK\r\ncontent-length: {SIZE}\r\n\r\n"),
        "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_owned(),
    ] {
        let sent = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&sent);
        let url = raw(move |mut stream, _| {
            let (head, counter) = (head.clone(), Arc::clone(&counter));
            async move {
                let _ = stream.write_all(head.as_bytes()).await;
                while counter.load(Ordering::SeqCst) < SIZE
                    && stream.write_all(STABLE.as_bytes()).await.is_ok()
                {
                    counter.fetch_add(STABLE.len() as u64, Ordering::SeqCst);
                }
            }
        })
        .await;
        let limit = 4 * 1024 * 1024;
        let error = fetcher(Limits { body: limit, ..limits() }).fetch(&request(&url)).await;
        assert_eq!(error, Err(FetchError::TooLarge { limit }));
        // Beyond the limit, what the sockets hold.
        assert!(sent.load(Ordering::SeqCst) < SIZE / 4, "{sent:?}");
    }
}

#[tokio::test]
async fn a_small_file_that_unpacks_to_a_large_one_is_refused() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..100 {
        gzip.write_all(STABLE.as_bytes()).unwrap();
    }
    let (_server, url) = answering(ResponseTemplate::new(200).set_body_bytes(gzip.finish().unwrap())).await;
    let limit = 1024 * 1024;
    let error = fetcher(Limits { unpacked: limit, ..limits() }).fetch(&request(&url)).await;
    assert_eq!(error, Err(FetchError::TooLarge { limit }));
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up() {
    let never = raw(|stream, _| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let stalls = raw(|mut stream, _| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nPackage: kubeadm\n").await;
        std::future::pending::<()>().await;
    })
    .await;
    let fetcher = fetcher(Limits { total: Duration::from_millis(300), ..limits() });
    for url in [never, stalls] {
        assert_eq!(fetcher.fetch(&request(&url)).await, Err(FetchError::Timeout));
    }
}

#[tokio::test]
async fn a_slow_server_holds_no_other_up() {
    let stalls = raw(|mut stream, _| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").await;
        // More than a batch, so that the reader has been at work.
        let _ = stream.write_all(STABLE.repeat(6).as_bytes()).await;
        std::future::pending::<()>().await;
    })
    .await;
    let (_server, url) = answering(ResponseTemplate::new(200).set_body_string(STABLE)).await;
    let fetcher = Arc::new(fetcher(Limits { total: Duration::from_secs(10), ..limits() }));
    let slow = tokio::spawn({
        let fetcher = Arc::clone(&fetcher);
        async move { fetcher.fetch(&request(&stalls)).await }
    });
    for _ in 0..3 {
        let other = tokio::time::timeout(Duration::from_secs(5), fetcher.fetch(&request(&url))).await;
        assert_eq!(versions(other.unwrap().unwrap()), ALL);
    }
    assert!(!slow.is_finished());
    slow.abort();
}

#[tokio::test]
async fn redirects_are_followed_so_far() {
    let server = MockServer::start().await;
    for hop in 1..6 {
        let next = format!("/{}", hop + 1);
        let answer = ResponseTemplate::new(302).insert_header("location", next.as_str());
        Mock::given(path(format!("/{hop}"))).respond_with(answer).mount(&server).await;
    }
    let answer = ResponseTemplate::new(200).set_body_string(STABLE).insert_header("etag", "\"end\"");
    Mock::given(path("/6")).respond_with(answer).mount(&server).await;
    let zero = ResponseTemplate::new(302).insert_header("location", "/1");
    Mock::given(path("/0")).respond_with(zero).mount(&server).await;
    let round = ResponseTemplate::new(301).insert_header("location", "/loop");
    Mock::given(path("/loop")).respond_with(round).mount(&server).await;
    let away = ResponseTemplate::new(302).insert_header("location", "ftp://127.0.0.1/Packages");
    Mock::given(path("/ftp")).respond_with(away).mount(&server).await;

    let at = async |name: &str| fetch(&format!("{}/{name}", server.uri())).await;
    assert_eq!(versions(at("1").await.unwrap()), ALL);
    for name in ["0", "loop"] {
        assert_eq!(at(name).await, Err(FetchError::Redirect { reason: "there are too many".to_owned() }));
    }
    let reason = "it leads to neither https nor http".to_owned();
    assert_eq!(at("ftp").await, Err(FetchError::Redirect { reason }));
}

#[test]
fn nothing_goes_from_https_to_http() {
    let url = |text: &str| Url::parse(text).unwrap();
    let (secure, plain) = (url("https://a/"), url("http://a/"));
    assert_eq!(url::may_follow(std::slice::from_ref(&secure), &plain, 5), Err(url::Refused::Downgrade));
    assert_eq!(url::may_follow(&[plain.clone(), secure.clone()], &plain, 5), Err(url::Refused::Downgrade));
    assert_eq!(url::may_follow(std::slice::from_ref(&secure), &secure, 5), Ok(()));
    assert_eq!(url::may_follow(std::slice::from_ref(&plain), &secure, 5), Ok(()));
    assert_eq!(url::may_follow(std::slice::from_ref(&plain), &plain, 5), Ok(()));
}

#[tokio::test]
async fn only_some_urls_are_fetched() {
    let long = format!("https://host/{}", "x".repeat(5_000));
    for text in [
        "",
        "Packages",
        "/Packages",
        "//host/Packages",
        "ftp://host/Packages",
        "file:///etc/passwd",
        "https://",
        "https://user@host/",
        "https://user:secret@host/Packages",
        "http://:secret@host/Packages",
        "https://ho st/",
        &long,
    ] {
        let error = fetch(text).await.unwrap_err();
        assert!(matches!(error, FetchError::InvalidUrl { .. }), "{text}: {error:?}");
        assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
    }
}

#[tokio::test]
async fn a_colon_in_the_path_stays_a_colon() {
    let url = raw(|mut stream, head| async move {
        let expected = "GET /repositories/isv:/kubernetes:/core:/stable:/v1.27/deb/Packages HTTP/1.1\r\n";
        let status = if head.starts_with(expected) { "200 OK" } else { "404 Not Found" };
        let _ = stream.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").as_bytes()).await;
    })
    .await;
    let url = url.replace("/Packages", "/repositories/isv:/kubernetes:/core:/stable:/v1.27/deb/Packages");
    assert_eq!(versions(fetch(&url).await.unwrap()), "");
}

#[tokio::test]
async fn no_connection_and_no_tls_are_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = fetch(&format!("http://{address}/Packages?key=secret")).await.unwrap_err();
    assert!(matches!(error, FetchError::Connect { .. }), "{error:?}");
    assert!(error.to_string().contains("refused") && !error.to_string().contains("secret"), "{error}");

    let hangs_up = raw(|stream, _| async move { drop(stream) }).await;
    let error = fetch(&hangs_up).await.unwrap_err();
    assert!(matches!(error, FetchError::Connect { .. }), "{error:?}");

    let (_server, plain) = answering(ResponseTemplate::new(200)).await;
    let error = fetch(&plain.replace("http://", "https://")).await.unwrap_err();
    assert!(matches!(error, FetchError::Tls { .. }), "{error:?}");
}

#[test]
fn a_variant_has_a_name_for_metrics() {
    let name: &'static str = FetchError::Timeout.into();
    assert_eq!(name, "Timeout");
}
