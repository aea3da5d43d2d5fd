//! Objects as `clusterctl move` sends them: without status, with new uids, their owners' among them.

use std::collections::BTreeMap;

use domain::object::Kind;
use e2e::Objects;
use http::Request;
use serde_json::{Value, json};

/// New uids by the old ones.
pub(crate) type Uids = BTreeMap<String, String>;

/// Creates an object as it is given, so that it may have owners.
pub(crate) async fn create(objects: &Objects, kind: &Kind, namespace: &str, body: &Value) -> Value {
    let uri = format!("/apis/{}/{}/namespaces/{namespace}/{}", kind.group, kind.versions[0], kind.plural);
    let request = Request::post(uri).header("Content-Type", "application/json");
    objects.client().request(request.body(body.to_string().into_bytes()).unwrap()).await.unwrap()
}

/// Creates what was dumped before, and notes its new uid.
pub(crate) async fn recreate(
    objects: &Objects,
    kind: &Kind,
    namespace: &str,
    dumped: &Value,
    uids: &mut Uids,
) {
    let new = create(objects, kind, namespace, &bare(dumped, uids)).await;
    assert!(new["status"]["conditions"].is_null(), "{new:#}");
    uids.insert(uid(dumped).to_owned(), uid(&new).to_owned());
}

/// The uid of an object.
pub(crate) fn uid(object: &Value) -> &str {
    object["metadata"]["uid"].as_str().unwrap()
}

/// Owners with their new uids.
pub(crate) fn owners(object: &Value, uids: &Uids) -> Value {
    let mut owners = object["metadata"]["ownerReferences"].clone();
    for owner in owners.as_array_mut().into_iter().flatten() {
        if let Some(new) = owner["uid"].as_str().and_then(|old| uids.get(old)) {
            owner["uid"] = json!(new);
        }
    }
    owners
}

fn bare(dumped: &Value, uids: &Uids) -> Value {
    let mut object = dumped.clone();
    let fields = object.as_object_mut().unwrap();
    fields.remove("status");
    let metadata = object["metadata"].as_object_mut().unwrap();
    for field in ["uid", "resourceVersion", "creationTimestamp", "generation", "managedFields"] {
        metadata.remove(field);
    }
    object["metadata"]["ownerReferences"] = owners(dumped, uids);
    object
}
