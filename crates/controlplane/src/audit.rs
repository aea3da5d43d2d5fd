//! The API server's audit log, parsed: what was asked, by whom, and with what answer.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

use serde::Deserialize;

use crate::error::{Error, Result};

/// One request that the API server has answered, or a watch that has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEvent {
    /// The request's id.
    pub audit_id: String,
    /// Who asked, such as `system:serviceaccount:system:manager`.
    pub user: String,
    /// The `User-Agent` header; empty if there was none.
    pub user_agent: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`; for a path that is no resource the
    /// HTTP method in lower case.
    pub verb: String,
    /// The path and query as asked for.
    pub request_uri: String,
    /// The API group; empty for the core group and for what is no resource.
    pub group: String,
    /// The plural resource; empty for a path that is no resource.
    pub resource: String,
    /// Such as `status`; empty if there is none.
    pub subresource: String,
    /// Empty for cluster-wide requests.
    pub namespace: String,
    /// Empty for lists, watches and most creates.
    pub name: String,
    /// The HTTP status.
    pub code: u16,
    /// When the request arrived, RFC 3339 with microseconds.
    pub received: String,
    /// True if the authorizer refused it. A 403 of an admission plugin is none of these.
    pub forbidden: bool,
}

impl AuditEvent {
    /// True for requests that ask for a change, whatever the answer was.
    pub fn is_write(&self) -> bool {
        matches!(self.verb.as_str(), "create" | "update" | "patch" | "delete" | "deletecollection" | "apply")
    }

    /// True for requests that only ask what a change would be answered.
    pub fn is_dry_run(&self) -> bool {
        self.request_uri.contains("dryRun=")
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    #[serde(rename = "auditID")]
    audit_id: String,
    #[serde(rename = "requestURI", default)]
    request_uri: String,
    #[serde(default)]
    verb: String,
    #[serde(default)]
    user: User,
    #[serde(default)]
    user_agent: String,
    object_ref: Option<ObjectRef>,
    response_status: Option<ResponseStatus>,
    #[serde(default)]
    request_received_timestamp: String,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ObjectRef {
    api_group: String,
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

#[derive(Deserialize)]
struct ResponseStatus {
    #[serde(default)]
    code: u16,
}

/// The events of an audit log, in its order, each request once. A last line that is still being written is left out.
pub(crate) fn parse(log: &str) -> Vec<AuditEvent> {
    let mut seen = BTreeSet::new();
    log.lines().filter_map(|line| read(line, &mut seen)).collect()
}

/// The event of a line, unless it is of a request that has one already: a watch has one when it begins and another when it
/// ends.
fn read(line: &str, seen: &mut BTreeSet<String>) -> Option<AuditEvent> {
    let line: Line = serde_json::from_str(line).ok()?;
    if !seen.insert(line.audit_id.clone()) {
        return None;
    }
    let object = line.object_ref.unwrap_or_default();
    Some(AuditEvent {
        forbidden: line.annotations.get("authorization.k8s.io/decision").is_some_and(|is| is == "forbid"),
        audit_id: line.audit_id,
        user: line.user.username,
        user_agent: line.user_agent,
        verb: line.verb,
        request_uri: line.request_uri,
        group: object.api_group,
        resource: object.resource,
        subresource: object.subresource,
        namespace: object.namespace,
        name: object.name,
        code: line.response_status.map_or(0, |status| status.code),
        received: line.request_received_timestamp,
    })
}

/// An audit log that is read as it grows, for whoever looks at it often: no line is read twice.
pub struct AuditTail {
    path: PathBuf,
    offset: u64,
    seen: BTreeSet<String>,
}

impl AuditTail {
    /// From the first line on.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, offset: 0, seen: BTreeSet::new() }
    }

    /// What has come since the last call. A line that is still being written is left for the next.
    pub fn read(&mut self) -> Result<Vec<AuditEvent>> {
        let mut text = Vec::new();
        let mut file = File::open(&self.path).map_err(Error::file(&self.path))?;
        file.seek(SeekFrom::Start(self.offset))
            .and_then(|_| file.read_to_end(&mut text))
            .map_err(Error::file(&self.path))?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        self.offset += whole as u64;
        let text = String::from_utf8_lossy(text.get(..whole).unwrap_or_default());
        Ok(text.lines().filter_map(|line| read(line, &mut self.seen)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"1","stage":"ResponseComplete","requestURI":"/apis/cluster.x-k8s.io/v1beta2/namespaces/default/clusters/a?fieldManager=x","verb":"patch","user":{"username":"system:serviceaccount:system:manager","groups":["system:authenticated"]},"sourceIPs":["127.0.0.1"],"userAgent":"kubernetes-upgrader/0.7.0","objectRef":{"resource":"clusters","namespace":"default","name":"a","apiGroup":"cluster.x-k8s.io","apiVersion":"v1beta2","subresource":"status"},"responseStatus":{"metadata":{},"code":200},"requestReceivedTimestamp":"2026-11-21T10:00:00.000001Z","stageTimestamp":"2026-11-21T10:00:00.000002Z","annotations":{"authorization.k8s.io/decision":"allow","authorization.k8s.io/reason":""}}
{"auditID":"2","stage":"ResponseStarted","requestURI":"/api/v1/secrets?watch=true","verb":"watch","user":{"username":"jane"},"objectRef":{"resource":"secrets","apiVersion":"v1"},"responseStatus":{"code":200}}
{"auditID":"3","stage":"ResponseComplete","requestURI":"/api/v1/nodes","verb":"list","user":{"username":"jane"},"objectRef":{"resource":"nodes","apiVersion":"v1"},"responseStatus":{"status":"Failure","code":403},"annotations":{"authorization.k8s.io/decision":"forbid"}}
{"auditID":"4","stage":"ResponseComplete","requestURI":"/readyz","verb":"get","user":{"username":"system:anonymous"},"responseStatus":{"code":200}}
{"auditID":"2","stage":"ResponseComplete","requestURI":"/api/v1/secrets?watch=true","verb":"watch","user":{"username":"jane"},"responseStatus":{"code":200}}
{"auditID":"5","stage":"Respon"#;

    #[test]
    fn each_request_once() {
        let events = parse(LOG);
        assert_eq!(events.iter().map(|e| e.audit_id.as_str()).collect::<Vec<_>>(), ["1", "2", "3", "4"]);
    }

    #[test]
    fn a_log_that_grows_is_read_once_and_by_whole_lines() {
        let log = tempfile::NamedTempFile::new().unwrap();
        let mut tail = AuditTail::new(log.path().to_path_buf());
        let (first, rest) = LOG.split_at(LOG.len() / 2);
        std::fs::write(log.path(), first).unwrap();
        let mut ids: Vec<String> = tail.read().unwrap().into_iter().map(|event| event.audit_id).collect();
        assert_eq!(ids, ["1"]);
        assert_eq!(tail.read().unwrap(), []);
        std::fs::write(log.path(), format!("{first}{rest}")).unwrap();
        ids.extend(tail.read().unwrap().into_iter().map(|event| event.audit_id));
        assert_eq!(ids, ["1", "2", "3", "4"]);
    }

    #[test]
    fn all_fields() {
        let event = parse(LOG).swap_remove(0);
        assert_eq!(event.user, "system:serviceaccount:system:manager");
        assert_eq!(event.user_agent, "kubernetes-upgrader/0.7.0");
        assert_eq!(
            (event.group.as_str(), event.resource.as_str(), event.subresource.as_str()),
            ("cluster.x-k8s.io", "clusters", "status")
        );
        assert_eq!((event.namespace.as_str(), event.name.as_str(), event.code), ("default", "a", 200));
        assert!(event.is_write() && !event.forbidden);
    }

    #[test]
    fn a_refusal_of_the_authorizer_is_told_from_an_answer() {
        let events = parse(LOG);
        let forbidden: Vec<_> = events.iter().filter(|event| event.forbidden).collect();
        assert_eq!(forbidden.len(), 1);
        assert_eq!((forbidden[0].resource.as_str(), forbidden[0].code), ("nodes", 403));
        assert!(events[3].resource.is_empty() && !events[3].is_write());
    }
}
