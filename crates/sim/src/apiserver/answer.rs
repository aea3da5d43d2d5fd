//! Answers that are no object: `Status` bodies, word for word as an API server sends them.

use bytes::Bytes;
use serde_json::{Value, json};

/// An answer that refuses.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refused {
    /// Of HTTP.
    pub(crate) code: u16,
    /// CamelCase word of the `Status`.
    pub(crate) reason: &'static str,
    /// For people.
    pub(crate) message: String,
    /// What else the `Status` tells.
    pub(crate) details: Value,
}

impl Refused {
    /// Nothing is served at this path.
    pub(crate) fn not_served() -> Self {
        let message = "the server could not find the requested resource".to_owned();
        Self { code: 404, reason: "NotFound", message, details: json!({}) }
    }

    /// No such object.
    pub(crate) fn not_found(group: &str, plural: &str, name: &str) -> Self {
        let message = format!("{} \"{name}\" not found", qualified(plural, group));
        Self { code: 404, reason: "NotFound", message, details: details(group, plural, name) }
    }

    /// The name is taken.
    pub(crate) fn already_exists(group: &str, plural: &str, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", qualified(plural, group));
        Self { code: 409, reason: "AlreadyExists", message, details: details(group, plural, name) }
    }

    /// Someone wrote in between, or it is another incarnation.
    pub(crate) fn conflict(group: &str, plural: &str, name: &str, why: &str) -> Self {
        let message =
            format!("Operation cannot be fulfilled on {} \"{name}\": {why}", qualified(plural, group));
        Self { code: 409, reason: "Conflict", message, details: details(group, plural, name) }
    }

    /// A JSON Patch did not apply: a `test` failed, or a path is not there. The server does not say which.
    pub(crate) fn patch_failed() -> Self {
        let message = "the server rejected our request due to an error in our request".to_owned();
        Self { code: 422, reason: "Invalid", message, details: json!({}) }
    }

    /// A field is not what it may be.
    pub(crate) fn invalid(kind: &str, group: &str, name: &str, field: &str, message: &str) -> Self {
        let mut refused = Self {
            code: 422,
            reason: "Invalid",
            message: format!("{} \"{name}\" is invalid: {field}: {message}", qualified(kind, group)),
            details: details(group, kind, name),
        };
        refused.details["causes"] =
            json!([{"reason": "FieldValueInvalid", "message": message, "field": field}]);
        refused
    }

    /// The request cannot be read.
    pub(crate) fn bad_request(message: String) -> Self {
        Self { code: 400, reason: "BadRequest", message, details: json!({}) }
    }

    /// The same refusal from the mouth of an admission webhook.
    pub(crate) fn by_webhook(mut self, webhook: &str) -> Self {
        self.message = format!("admission webhook \"{webhook}\" denied the request: {}", self.message);
        self
    }

    /// A webhook that says no in words of its own.
    pub(crate) fn denied(webhook: &str, words: &str) -> Self {
        let refused = Self { code: 403, reason: "Forbidden", message: words.to_owned(), details: json!({}) };
        refused.by_webhook(webhook)
    }

    /// What a watch from here on can no longer be told.
    pub(crate) fn expired(from: u64, oldest: u64) -> Self {
        let message = format!("too old resource version: {from} ({oldest})");
        Self { code: 410, reason: "Expired", message, details: json!({}) }
    }

    /// The body.
    pub(crate) fn body(&self) -> Bytes {
        let body = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "details": self.details, "code": self.code,
        });
        Bytes::from(body.to_string())
    }
}

/// What is answered to a delete that has removed its object.
pub(crate) fn deleted(group: &str, plural: &str, name: &str, uid: &Value) -> Bytes {
    let mut details = details(group, plural, name);
    details["uid"] = uid.clone();
    let body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details});
    Bytes::from(body.to_string())
}

fn details(group: &str, kind: &str, name: &str) -> Value {
    json!({"name": name, "group": group, "kind": kind})
}

fn qualified(plural: &str, group: &str) -> String {
    if group.is_empty() { plural.to_owned() } else { format!("{plural}.{group}") }
}
