//! What the simulated server does not do, it says: each of these ends a run, whatever a real server would answer.

use http::Request;
use http_body_util::BodyExt as _;
use kube::client::Body;
use sim::ApiServer;

/// Method, path, content type, body.
const REQUESTS: [(&str, &str, &str, &str); 24] = [
    ("PUT", "machineimages/a", "application/json", "{}"),
    ("DELETE", "machineimages", "", ""),
    ("GET", "machineimages?fieldSelector=metadata.name%3Da", "", ""),
    ("GET", "machineimages?labelSelector=a%20in%20%28b%29", "", ""),
    ("GET", "machineimages?labelSelector=a%20notin%20%28b%29", "", ""),
    ("GET", "machineimages?resourceVersion=7", "", ""),
    ("GET", "machineimages?resourceVersion=7&resourceVersionMatch=Exact", "", ""),
    ("GET", "machineimages?sendInitialEvents=true&watch=true", "", ""),
    ("GET", "machineimages?watch=true&labelSelector=a", "", ""),
    ("GET", "machineimages/a?resourceVersion=7", "", ""),
    ("POST", "machineimages?fieldValidation=Strict", "application/json", "{}"),
    ("PATCH", "machineimages/a?dryRun=Some", "application/merge-patch+json", "{}"),
    ("POST", "machineimages?pretty=true", "application/json", "{}"),
    ("PATCH", "machineimages/a?force=true", "application/apply-patch+yaml", "{}"),
    ("PATCH", "jobs/a", "application/strategic-merge-patch+json", "{}"),
    ("PATCH", "machineimages/a/status", "application/apply-patch+yaml", "{}"),
    ("DELETE", "machineimages/a", "application/json", r#"{"propagationPolicy":"Foreground"}"#),
    ("DELETE", "machineimages/a", "application/json", r#"{"propagationPolicy":"Orphan"}"#),
    ("DELETE", "machineimages/a", "application/json", r#"{"gracePeriodSeconds":0}"#),
    // A real server orphans what the Job owns, and that is not what anyone here asks for.
    ("DELETE", "jobs/a", "", ""),
    ("GET", "machineimages/a/scale", "", ""),
    ("GET", "events", "", ""),
    ("GET", "pods?watch=true", "", ""),
    ("PATCH", "machines/a", "application/merge-patch+json", "{}"),
];

#[tokio::test(start_paused = true)]
async fn what_is_not_simulated_is_said() {
    let mut silent = Vec::new();
    for (method, short, type_, body) in REQUESTS {
        let server = ApiServer::start(&[]);
        let path = crate::kinds::path(short, "ns");
        let request = Request::builder().method(method).uri(path).header("content-type", type_);
        let request = request.body(Body::from(body.as_bytes().to_vec())).unwrap();
        let response = server.client().send(request).await.unwrap();
        let code = response.status().as_u16();
        let watched = code == 200 && short.contains("watch=");
        let answer = if watched {
            bytes::Bytes::new()
        } else {
            response.into_body().collect().await.unwrap().to_bytes()
        };
        if server.unsupported().is_none() {
            silent.push(format!("{method} {short} {body}: {code} {}", String::from_utf8_lossy(&answer)));
        }
    }
    assert_eq!(silent, Vec::<String>::new());
}
