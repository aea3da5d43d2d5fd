//! Deletes: preconditions, finalizers, and the garbage collector.

use bytes::Bytes;
use domain::object::ObjectKey;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::answer::{self, Refused};
use super::catalogue::Id;
use super::objects::owners;
use super::write::has_finalizers;
use crate::world::World;
use crate::world::agenda::Due;

/// The owner takes part in no rollout of ours: how long the garbage collector takes to notice.
const COLLECTS_AFTER: i64 = 1;

/// What a delete asks for: the incarnation, and how it was when it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Deletion {
    pub(crate) uid: Option<Box<str>>,
    pub(crate) resource_version: Option<Box<str>>,
    /// Only asked about.
    pub(crate) dry_run: bool,
    /// Seconds that a pod has, instead of its own.
    pub(crate) grace: Option<i64>,
}

/// Seconds that a pod has to end, where it does not say.
const GRACE: i64 = 30;

impl World {
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
        let Some(entry) = self.objects.kept(id, key) else {
            return Err(Refused::not_found(group, plural, &key.name));
        };
        let meta = &entry.value["metadata"];
        for (what, done, wanted, field) in [
            ("UID", "deleted and then recreated", &deletion.uid, "uid"),
            ("ResourceVersion", "modified", &deletion.resource_version, "resourceVersion"),
        ] {
            if let Some(wanted) = wanted.as_deref().filter(|wanted| meta[field] != **wanted) {
                let found = meta[field].as_str().unwrap_or_default();
                let why = format!(
                    "the {what} in the precondition ({wanted}) does not match the {what} in record ({found}). The \
                     object might have been {done}"
                );
                // Here the server speaks of the kind where it otherwise speaks of the resource.
                return Err(Refused::conflict(group, &resource.kind, &key.name, &why));
            }
        }
        self.refused_by_rule(actor, id, key)?;
        if resource.is_pod()
            && let Some(bytes) = self.leaves(actor, id, key, &entry.value, deletion)
        {
            return bytes;
        }
        if has_finalizers(&entry.value) {
            // A pod may be asked to end at once after it was given time.
            let ending = meta["deletionGracePeriodSeconds"].as_i64() == Some(0) || !resource.is_pod();
            if !meta["deletionTimestamp"].is_null() && ending {
                return Ok(entry.bytes.clone());
            }
            let mut value = entry.value.clone();
            value["metadata"]["deletionTimestamp"] = json!(self.stamp());
            value["metadata"]["deletionGracePeriodSeconds"] = json!(0);
            if let Some(generation) = meta["generation"].as_i64() {
                value["metadata"]["generation"] = json!(generation + 1);
            }
            if deletion.dry_run {
                return Ok(value.to_string().into());
            }
            self.store(actor, id, key, value);
            return self.bytes(id, key);
        }
        if !deletion.dry_run {
            self.drop_object(actor, id, key);
        }
        if resource.is_pod() {
            // Of these the server answers with what is gone.
            return Ok(entry.bytes.clone());
        }
        Ok(answer::deleted(group, plural, &key.name, &meta["uid"]))
    }

    /// A pod that has time to end, if it has: its kubelet removes it then.
    fn leaves(
        &mut self,
        actor: &str,
        id: Id,
        key: &ObjectKey,
        pod: &Value,
        deletion: &Deletion,
    ) -> Option<Result<Bytes, Refused>> {
        let (meta, phase) = (&pod["metadata"], &pod["status"]["phase"]);
        let over = pod["spec"]["nodeName"].is_null() || *phase == "Succeeded" || *phase == "Failed";
        let own = pod["spec"]["terminationGracePeriodSeconds"].as_i64().unwrap_or(GRACE);
        let grace = if over { 0 } else { deletion.grace.unwrap_or(own).max(0) };
        let sooner = meta["deletionGracePeriodSeconds"].as_i64().is_none_or(|before| grace < before);
        if grace == 0 {
            return None;
        }
        if !sooner {
            return Some(self.bytes(id, key));
        }
        let mut value = pod.clone();
        let by = self.now().checked_add(SignedDuration::from_secs(grace)).unwrap_or(Timestamp::MAX);
        value["metadata"]["deletionTimestamp"] = json!(format!("{by:.0}"));
        value["metadata"]["deletionGracePeriodSeconds"] = json!(grace);
        if deletion.dry_run {
            return Some(Ok(value.to_string().into()));
        }
        self.store(actor, id, key, value);
        Some(self.bytes(id, key))
    }

    /// Removes an object, and in a moment what it owns.
    pub(super) fn drop_object(&mut self, actor: &str, id: Id, key: &ObjectKey) {
        let Some(gone) = self.objects.remove(id, key) else { return };
        self.tell_change(actor, id, key, Some(&gone), None);
        self.removed(id, key, &gone);
        if let Some(uid) = gone["metadata"]["uid"].as_str()
            && !self.objects.owned_by(uid).is_empty()
        {
            self.later(COLLECTS_AFTER, Due::Collect(uid.into()));
        }
    }

    /// Looks after an object whose owners may all be gone.
    pub(super) fn check_owners(&mut self, id: Id, key: &ObjectKey) {
        let Some(entry) = self.objects.kept(id, key) else { return };
        for uid in owners(&entry.value) {
            if !self.is_there(uid) {
                self.later(COLLECTS_AFTER, Due::Collect(uid.into()));
            }
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
}
