//! Leases: read, created and replaced by whoever competes for one. No controller watches them, and no room declares them:
//! whoever runs two managers grants them in one namespace.

use bytes::Bytes;
use http::request::Parts;
use serde_json::{Value, json};

use super::answer::Refused;
use crate::world::World;

const GROUP: &str = "coordination.k8s.io";
const PLURAL: &str = "leases";

/// Whether a path is one of leases.
pub(crate) fn is_lease(path: &str) -> bool {
    path.strip_prefix("/apis/").is_some_and(|rest| rest.starts_with(GROUP))
}

/// Answers with a code and a body.
pub(crate) fn answer(world: &mut World, head: &Parts, body: &Bytes) -> Result<(u16, Bytes), Refused> {
    let path = head.uri.path();
    world.journal("lease", head.method.as_str(), path, body);
    let last = path.rsplit('/').next().unwrap_or_default();
    let sent = || -> Result<Value, Refused> {
        serde_json::from_slice(body)
            .map_err(|error| Refused::bad_request(format!("the body is no JSON: {error}")))
    };
    match head.method.as_str() {
        "GET" => {
            let found = world.leases.get(last).ok_or_else(|| Refused::not_found(GROUP, PLURAL, last))?;
            Ok((200, found.to_string().into()))
        }
        "POST" if last == PLURAL => {
            let lease = sent()?;
            let name = lease["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            if world.leases.contains_key(name.as_str()) {
                return Err(Refused::already_exists(GROUP, PLURAL, &name));
            }
            Ok((201, stored(world, &name, lease)))
        }
        "PUT" => {
            let lease = sent()?;
            let found = world.leases.get(last).ok_or_else(|| Refused::not_found(GROUP, PLURAL, last))?;
            let (wanted, is) = (&lease["metadata"]["resourceVersion"], &found["metadata"]["resourceVersion"]);
            if !wanted.is_null() && wanted != is {
                return Err(Refused::modified(GROUP, PLURAL, last));
            }
            Ok((200, stored(world, last, lease)))
        }
        other => {
            world.lacks(format!("{other} {path}"));
            Err(Refused::not_served())
        }
    }
}

fn stored(world: &mut World, name: &str, mut lease: Value) -> Bytes {
    let before = world.leases.get(name).and_then(|lease| lease["metadata"]["resourceVersion"].as_str());
    let version = before.and_then(|text| text.parse::<u64>().ok()).unwrap_or(0) + 1;
    lease["metadata"]["resourceVersion"] = json!(version.to_string());
    let bytes = Bytes::from(lease.to_string());
    world.leases.insert(name.into(), lease);
    bytes
}
