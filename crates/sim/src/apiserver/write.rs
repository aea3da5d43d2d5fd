//! Writes, as an API server makes them: preconditions, admission, the subresource `status`, generations, finalizers, and
//! what is owned goes with its owner.

use bytes::Bytes;
use domain::object::ObjectKey;
use serde_json::{Value, json};

use super::answer::{self, Refused};
use super::catalogue::Id;
use super::objects::owners;
use super::patch;
use crate::world::World;
use crate::world::agenda::Due;

/// The owner takes part in no rollout of ours: how long the garbage collector takes to notice.
const COLLECTS_AFTER: i64 = 1;

/// A patch as it was sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Patch {
    Merge(Value),
    Json(Vec<Value>),
}

/// What a delete asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Deletion {
    pub(crate) uid: Option<Box<str>>,
    pub(crate) resource_version: Option<Box<str>>,
    pub(crate) orphan: bool,
}

impl World {
    /// Creates an object.
    pub(crate) fn create(
        &mut self,
        actor: &str,
        id: Id,
        namespace: &str,
        mut body: Value,
    ) -> Result<Bytes, Refused> {
        let resource = self.catalogue.get(id).clone();
        let meta = &mut body["metadata"];
        if meta["name"].as_str().is_none_or(str::is_empty) {
            let Some(base) = meta["generateName"].as_str().filter(|base| !base.is_empty()) else {
                return Err(Refused::bad_request("name or generateName is required".to_owned()));
            };
            meta["name"] = json!(format!("{base}{}", self.chance.suffix()));
        }
        let name: Box<str> = meta["name"].as_str().unwrap_or_default().into();
        let key = ObjectKey::new(if resource.namespaced { namespace } else { "" }, name);
        if self.objects.get(id, &key).is_some() {
            return Err(Refused::already_exists(&resource.group, &resource.plural, &key.name));
        }
        if !body["metadata"]["resourceVersion"].is_null() {
            let why = "resourceVersion should not be set on objects to be created".to_owned();
            return Err(Refused::bad_request(why));
        }
        body["apiVersion"] = json!(resource.api_version());
        body["kind"] = json!(resource.kind);
        if resource.status
            && resource.kind.as_ref() != "Pod"
            && let Value::Object(fields) = &mut body
        {
            fields.remove("status");
        }
        self.admit(actor, id, &key, None, &mut body)?;
        let now = self.stamp();
        let uid = self.chance.uid();
        let meta = &mut body["metadata"];
        if resource.namespaced {
            meta["namespace"] = json!(key.namespace);
        }
        meta["uid"] = json!(uid);
        meta["creationTimestamp"] = json!(now);
        meta["generation"] = json!(1);
        self.store(actor, id, &key, body);
        self.bytes(id, &key)
    }

    /// Patches an object, or its status.
    pub(crate) fn patch(
        &mut self,
        actor: &str,
        id: Id,
        key: &ObjectKey,
        status: bool,
        how: Patch,
    ) -> Result<Bytes, Refused> {
        let resource = self.catalogue.get(id).clone();
        let (group, plural) = (&*resource.group, &*resource.plural);
        let Some(entry) = self.objects.get(id, key) else {
            return Err(Refused::not_found(group, plural, &key.name));
        };
        let before = entry.value.clone();
        let mut after = before.clone();
        match how {
            Patch::Merge(body) => patch::merge(&mut after, body),
            Patch::Json(steps) => {
                patch::json(&mut after, &steps).map_err(|patch::DoesNotApply| Refused::patch_failed())?
            }
        }
        let (old, new) = (&before["metadata"], &after["metadata"]);
        if new["resourceVersion"] != old["resourceVersion"] && !new["resourceVersion"].is_null() {
            let why =
                "the object has been modified; please apply your changes to the latest version and try again";
            return Err(Refused::conflict(group, plural, &key.name, why));
        }
        for field in ["uid", "name", "namespace"] {
            if new[field] != old[field] {
                let message = format!("Invalid value: {}: field is immutable", new[field]);
                let field = format!("metadata.{field}");
                return Err(Refused::invalid(&resource.kind, group, &key.name, &field, &message));
            }
        }
        if status {
            // Of everything else this subresource leaves what is there.
            let status = after["status"].take();
            after = before.clone();
            set(&mut after, "status", status);
        } else if resource.status {
            set(&mut after, "status", before["status"].clone());
        }
        for field in ["resourceVersion", "generation", "creationTimestamp", "deletionTimestamp"] {
            set(&mut after["metadata"], field, before["metadata"][field].clone());
        }
        if after == before {
            self.unchanged(actor, id, key);
            return self.bytes(id, key);
        }
        if !status {
            self.admit(actor, id, key, Some(&before), &mut after)?;
            if after == before {
                self.unchanged(actor, id, key);
                return self.bytes(id, key);
            }
            if is_other_spec(&before, &after) {
                after["metadata"]["generation"] =
                    json!(before["metadata"]["generation"].as_i64().unwrap_or(0) + 1);
            }
        }
        let leaving = !after["metadata"]["deletionTimestamp"].is_null() && !has_finalizers(&after);
        let answer = if leaving {
            let bytes = Bytes::from(after.to_string());
            self.store(actor, id, key, after);
            self.drop_object(actor, id, key, false);
            bytes
        } else {
            self.store(actor, id, key, after);
            self.bytes(id, key)?
        };
        Ok(answer)
    }

    /// Deletes an object, or asks its finalizers to.
    pub(crate) fn delete(
        &mut self,
        actor: &str,
        id: Id,
        key: &ObjectKey,
        deletion: &Deletion,
    ) -> Result<Bytes, Refused> {
        let resource = self.catalogue.get(id).clone();
        let (group, plural) = (&*resource.group, &*resource.plural);
        let Some(entry) = self.objects.get(id, key) else {
            return Err(Refused::not_found(group, plural, &key.name));
        };
        let meta = entry.value["metadata"].clone();
        for (what, wanted, field) in [
            ("UID", &deletion.uid, "uid"),
            ("ResourceVersion", &deletion.resource_version, "resourceVersion"),
        ] {
            if let Some(wanted) = wanted.as_deref().filter(|wanted| meta[field] != **wanted) {
                let found = meta[field].as_str().unwrap_or_default();
                let why = format!(
                    "Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {found}"
                );
                return Err(Refused::conflict(group, plural, &key.name, &why));
            }
        }
        self.refused_by_rule(actor, id, key)?;
        if has_finalizers(&entry_value(self, id, key)) {
            if meta["deletionTimestamp"].is_null() {
                let mut value = entry_value(self, id, key);
                value["metadata"]["deletionTimestamp"] = json!(self.stamp());
                value["metadata"]["generation"] = json!(meta["generation"].as_i64().unwrap_or(0) + 1);
                self.store(actor, id, key, value);
            }
            return self.bytes(id, key);
        }
        self.drop_object(actor, id, key, deletion.orphan);
        Ok(answer::deleted(group, plural, &key.name, &meta["uid"]))
    }

    /// What one of the models writes to a status, past every admission.
    pub(crate) fn set_status(&mut self, actor: &str, id: Id, key: &ObjectKey, status: Value) {
        let Some(entry) = self.objects.get(id, key) else { return };
        if entry.value["status"] == status {
            return;
        }
        let mut value = entry.value.clone();
        set(&mut value, "status", status);
        self.store(actor, id, key, value);
    }

    /// Removes an object, and in a moment what it owns.
    fn drop_object(&mut self, actor: &str, id: Id, key: &ObjectKey, orphan: bool) {
        let Some(gone) = self.objects.remove(id, key) else { return };
        self.tell_change(actor, id, key, Some(&gone), None);
        self.removed(id, key);
        if let Some(uid) = gone["metadata"]["uid"].as_str().filter(|_| !orphan)
            && !self.objects.owned_by(uid).is_empty()
        {
            self.later(COLLECTS_AFTER, Due::Collect(uid.into()));
        }
    }

    /// Deletes what an owner that is gone has left, but for what has another owner.
    pub(crate) fn collect(&mut self, uid: &str) {
        for (id, key) in self.objects.owned_by(uid).to_vec() {
            let Some(entry) = self.objects.get(id, &key) else { continue };
            if owners(&entry.value).any(|owner| owner != uid && self.is_there(owner)) {
                let mut value = entry.value.clone();
                if let Value::Array(references) = &mut value["metadata"]["ownerReferences"] {
                    references.retain(|owner| owner["uid"] != *uid);
                }
                self.store(crate::world::GARBAGE_COLLECTOR, id, &key, value);
                continue;
            }
            // Refused by admission, it stays, as it would.
            let _ = self.delete(crate::world::GARBAGE_COLLECTOR, id, &key, &Deletion::default());
        }
    }

    fn is_there(&self, uid: &str) -> bool {
        (0..self.catalogue.len())
            .any(|id| self.objects.all(Id(id)).any(|(_, object)| object["metadata"]["uid"] == *uid))
    }

    fn store(&mut self, actor: &str, id: Id, key: &ObjectKey, value: Value) {
        let before = self.objects.put(id, key, value);
        let before = before.as_ref().map(|entry| &entry.value);
        self.tell_change_to(actor, id, key, before);
        self.changed(id, key, before);
    }

    fn bytes(&self, id: Id, key: &ObjectKey) -> Result<Bytes, Refused> {
        self.objects.get(id, key).map(|entry| entry.bytes.clone()).ok_or_else(Refused::not_served)
    }
}

fn entry_value(world: &World, id: Id, key: &ObjectKey) -> Value {
    world.objects.get(id, key).map(|entry| entry.value.clone()).unwrap_or_default()
}

fn has_finalizers(object: &Value) -> bool {
    object["metadata"]["finalizers"].as_array().is_some_and(|finalizers| !finalizers.is_empty())
}

fn is_other_spec(before: &Value, after: &Value) -> bool {
    let rest = |object: &Value| {
        let mut fields = object.as_object().cloned().unwrap_or_default();
        fields.remove("metadata");
        fields.remove("status");
        fields
    };
    rest(before) != rest(after)
}

/// Sets a field, or takes it out where there is nothing to set.
pub(crate) fn set(object: &mut Value, field: &str, value: Value) {
    if value.is_null() {
        if let Value::Object(fields) = object {
            fields.remove(field);
        }
    } else {
        object[field] = value;
    }
}
