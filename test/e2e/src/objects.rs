//! Objects of a control plane as JSON, and waiting for them.

use std::fmt::Write as _;
use std::time::Duration;

use domain::object::Kind;
use http::Request;
use kube::Client;
use serde_json::Value;

use crate::error::{Error, Result};

/// Kinds of Cluster API that the chain leads to, and that show how far an upgrade is.
pub mod capi {
    use domain::object::Kind;

    /// `Cluster`.
    pub const CLUSTER: Kind = api::capi::cluster::KIND;
    /// `Machine`.
    pub const MACHINE: Kind =
        Kind { group: "cluster.x-k8s.io", versions: &["v1beta2"], kind: "Machine", plural: "machines" };
    /// `MachineDeployment`.
    pub const MACHINE_DEPLOYMENT: Kind = Kind {
        group: "cluster.x-k8s.io",
        versions: &["v1beta2"],
        kind: "MachineDeployment",
        plural: "machinedeployments",
    };
    /// `KubeadmControlPlane`.
    pub const CONTROL_PLANE: Kind = Kind {
        group: "controlplane.cluster.x-k8s.io",
        versions: &["v1beta2"],
        kind: "KubeadmControlPlane",
        plural: "kubeadmcontrolplanes",
    };
    /// `KubeadmConfig`, one for each Machine.
    pub const KUBEADM_CONFIG: Kind = Kind {
        group: "bootstrap.cluster.x-k8s.io",
        versions: &["v1beta2"],
        kind: "KubeadmConfig",
        plural: "kubeadmconfigs",
    };
}

/// What happened to an object.
const EVENT: Kind = Kind { group: "events.k8s.io", versions: &["v1"], kind: "Event", plural: "events" };

/// How often something that is awaited is looked at. It bounds what a measured time can tell.
pub const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A way of applying: see [`Objects::apply`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Apply<'a> {
    /// The field manager.
    pub manager: &'a str,
    /// Takes fields that others own.
    pub force: bool,
    /// Says what would be, and changes nothing.
    pub dry_run: bool,
}

impl<'a> Apply<'a> {
    /// By force, as GitOps tools do it.
    pub fn forced(manager: &'a str) -> Self {
        Self { manager, force: true, dry_run: false }
    }

    /// As `kubectl apply --server-side --field-manager=<manager>`.
    pub fn unforced(manager: &'a str) -> Self {
        Self { manager, force: false, dry_run: false }
    }

    /// Only to see what would be.
    #[must_use]
    pub fn dry(self) -> Self {
        Self { dry_run: true, ..self }
    }
}

/// Reads, patches and awaits objects, as an administrator. They come as JSON: a test names the fields that it is about.
#[derive(Clone)]
pub struct Objects {
    client: Client,
}

impl Objects {
    /// As the user of this client.
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// The client, for what is missing here.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// An object; none if it is not there, and none if its kind is not.
    pub async fn get(&self, kind: &Kind, namespace: &str, name: &str) -> Result<Option<Value>> {
        self.ask("GET", &format!("{}/{name}", path(kind, namespace)), None).await
    }

    /// All objects of a kind in a namespace, or with `""` in all of them. A kind that is not installed has none.
    pub async fn list(&self, kind: &Kind, namespace: &str) -> Result<Vec<Value>> {
        let list = self.ask("GET", &path(kind, namespace), None).await?;
        Ok(list
            .map(|mut list| list["items"].take())
            .and_then(|items| items.as_array().cloned())
            .unwrap_or_default())
    }

    /// Creates an object; its namespace is the given one, or for `""` none.
    ///
    /// # Errors
    /// The API server's refusal, [`Error::Kubernetes`], with its words.
    pub async fn create(&self, kind: &Kind, namespace: &str, object: &Value) -> Result<Value> {
        let mut object = object.clone();
        object["apiVersion"] = kind.api_version().into();
        object["kind"] = kind.kind.into();
        let path = path(kind, namespace);
        let created = self.ask("POST", &path, Some(&object)).await?;
        created.ok_or_else(|| Error::Unexpected(format!("{path} is not served")))
    }

    /// A JSON merge patch. The name may have a subresource behind it: `<name>/status`.
    pub async fn merge(&self, kind: &Kind, namespace: &str, name: &str, patch: &Value) -> Result<Value> {
        let path = format!("{}/{name}", path(kind, namespace));
        let patched = self.ask_as("application/merge-patch+json", "PATCH", &path, Some(patch)).await?;
        patched.ok_or_else(|| Error::Unexpected(format!("{path} is not there to be patched")))
    }

    /// Server-side apply, as GitOps tools do it. The object has its apiVersion, kind, name and namespace.
    ///
    /// # Errors
    /// The API server's refusal, [`Error::Kubernetes`], with its words: 409 for a field of another manager that is not forced.
    pub async fn apply(&self, kind: &Kind, how: Apply<'_>, object: &Value) -> Result<Value> {
        let Apply { manager, force, dry_run } = how;
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
        let dry_run = if dry_run { "&dryRun=All" } else { "" };
        let path = format!(
            "{}/{}?fieldManager={manager}&force={force}{dry_run}",
            path(kind, namespace),
            name(object)
        );
        let applied = self.ask_as("application/apply-patch+yaml", "PATCH", &path, Some(object)).await?;
        applied.ok_or_else(|| Error::Unexpected(format!("{path} is not served")))
    }

    /// Deletes an object and, in the background, what it owns. It may be gone already.
    pub async fn delete(&self, kind: &Kind, namespace: &str, name: &str) -> Result<()> {
        self.ask("DELETE", &format!("{}/{name}?propagationPolicy=Background", path(kind, namespace)), None)
            .await
            .map(drop)
    }

    async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Option<Value>> {
        self.ask_as("application/json", method, path, body).await
    }

    async fn ask_as(
        &self,
        content_type: &str,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Option<Value>> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("Content-Type", content_type)
            .body(body.map(|body| body.to_string().into_bytes()).unwrap_or_default())
            .map_err(|error| Error::Unexpected(format!("{path}: {error}")))?;
        match self.client.request(request).await {
            Ok(value) => Ok(Some(value)),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Awaits that an object is there and `holds`, and gives it.
    ///
    /// # Errors
    /// [`Error::Deadline`] with the conditions and status of everything in the namespace.
    pub async fn await_object(
        &self,
        what: &str,
        (kind, namespace, name): (&Kind, &str, &str),
        within: Duration,
        holds: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        self.await_that(what, namespace, within, async || {
            Ok(self.get(kind, namespace, name).await?.filter(|object| holds(object)))
        })
        .await
    }

    /// Awaits that an object has a condition of this type and status, with this reason where it is not `""`.
    pub async fn await_condition(
        &self,
        object: (&Kind, &str, &str),
        (condition, status, reason): (&str, &str, &str),
        within: Duration,
    ) -> Result<Value> {
        let what = format!("{} {} has {condition}={status} {reason}", object.0.kind, object.2);
        self.await_object(&what, object, within, |object| {
            let found = find_condition(object, condition);
            found["status"] == status && (reason.is_empty() || found["reason"] == reason)
        })
        .await
    }

    /// Awaits an Event about an object: of this type (`Normal` or `Warning`) and reason, with this in its note.
    ///
    /// # Errors
    /// [`Error::Deadline`] with all Events of the namespace.
    pub async fn await_event(
        &self,
        (kind, namespace, name): (&Kind, &str, &str),
        (type_, reason, part): (&str, &str, &str),
        within: Duration,
    ) -> Result<Value> {
        let what = format!("{} {name} has the {type_} Event {reason} with \"{part}\"", kind.kind);
        let mut seen = Vec::new();
        let found = self
            .await_that(&what, namespace, within, async || {
                seen = self.list(&EVENT, namespace).await?;
                let about = |event: &&Value| {
                    event["regarding"]["kind"] == kind.kind
                        && event["regarding"]["name"] == name
                        && event["type"] == type_
                        && event["reason"] == reason
                        && event["note"].as_str().unwrap_or_default().contains(part)
                };
                Ok(seen.iter().find(about).cloned())
            })
            .await;
        found.map_err(|error| match error {
            Error::Deadline { what, within, found } => {
                Error::Deadline { what, within, found: found + &seen.iter().map(event).collect::<String>() }
            }
            other => other,
        })
    }

    /// Awaits that `probe` gives something. An error of it is one like any other: only what is not there yet is awaited.
    ///
    /// # Errors
    /// [`Error::Deadline`] with the conditions and status of everything in the namespace.
    pub async fn await_that<T>(
        &self,
        what: &str,
        namespace: &str,
        within: Duration,
        mut probe: impl AsyncFnMut() -> Result<Option<T>>,
    ) -> Result<T> {
        let look = async {
            loop {
                if let Some(found) = probe().await? {
                    return Ok(found);
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        match tokio::time::timeout(within, look).await {
            Ok(found) => found,
            Err(_) => {
                Err(Error::Deadline { what: what.to_owned(), within, found: self.describe(namespace).await })
            }
        }
    }

    /// The chain's objects of a namespace with their conditions and the rest of their status, for people.
    pub async fn describe(&self, namespace: &str) -> String {
        let mut text = String::new();
        let of_capi = [capi::CLUSTER, capi::CONTROL_PLANE, capi::MACHINE_DEPLOYMENT, capi::MACHINE];
        let built = [api::batch::job::KIND, api::batch::pod::KIND];
        for kind in api::upgrader::KINDS.iter().chain(&built).chain(&of_capi) {
            match self.list(kind, namespace).await {
                Ok(objects) => objects.iter().for_each(|object| describe(&mut text, kind, object)),
                // Writing to a String cannot fail.
                Err(error) => drop(writeln!(text, "{}: {error}", kind.plural)),
            }
        }
        if text.is_empty() { format!("nothing in namespace {namespace}") } else { text }
    }
}

/// The condition of this type, or null.
pub fn find_condition<'a>(object: &'a Value, type_: &str) -> &'a Value {
    let conditions = object["status"]["conditions"].as_array();
    conditions.into_iter().flatten().find(|condition| condition["type"] == type_).unwrap_or(&Value::Null)
}

/// An object's name; empty if it has none.
pub fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

fn path(kind: &Kind, namespace: &str) -> String {
    let version = kind.versions.first().copied().unwrap_or_default();
    let root = if kind.group.is_empty() {
        format!("/api/{version}")
    } else {
        format!("/apis/{}/{version}", kind.group)
    };
    if namespace.is_empty() {
        format!("{root}/{}", kind.plural)
    } else {
        format!("{root}/namespaces/{namespace}/{}", kind.plural)
    }
}

/// An Event as one line.
fn event(event: &Value) -> String {
    let field = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let regarding = &event["regarding"];
    let (kind, name) = (field(&regarding["kind"]), field(&regarding["name"]));
    format!(
        "{} {} {kind} {name}: {}\n",
        field(&event["type"]),
        field(&event["reason"]),
        field(&event["note"])
    )
}

fn describe(text: &mut String, kind: &Kind, object: &Value) {
    let mut status = object["status"].clone();
    let conditions = status.as_object_mut().and_then(|status| status.remove("conditions"));
    let field = |condition: &Value, name: &str| condition[name].as_str().unwrap_or_default().to_owned();
    let _ = writeln!(text, "{} {}", kind.kind, name(object));
    for condition in conditions.as_ref().and_then(Value::as_array).into_iter().flatten() {
        let _ = writeln!(
            text,
            "  {}={} {}: {}",
            field(condition, "type"),
            field(condition, "status"),
            field(condition, "reason"),
            field(condition, "message").replace('\n', " ")
        );
    }
    let _ = writeln!(text, "  status: {status}");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_are_those_of_the_api() {
        assert_eq!(path(&api::batch::pod::KIND, ""), "/api/v1/pods");
        assert_eq!(path(&api::batch::job::KIND, "a"), "/apis/batch/v1/namespaces/a/jobs");
    }

    #[test]
    fn an_object_is_described_with_its_conditions_first() {
        let object = json!({"metadata": {"name": "p"}, "status": {
            "phase": "x", "conditions": [{"type": "Ready", "status": "True", "reason": "R", "message": "a\nb"}],
        }});
        let mut text = String::new();
        describe(&mut text, &api::upgrader::plan::KIND, &object);
        assert_eq!(text, "Plan p\n  Ready=True R: a b\n  status: {\"phase\":\"x\"}\n");
        assert_eq!(find_condition(&object, "Ready")["reason"], "R");
        assert!(find_condition(&object, "UpToDate").is_null());
    }
}
