//! Answers that are no object: `Status` bodies, word for word as an API server sends them.

use bytes::Bytes;
use serde_json::{Value, json};

use super::schema::{self, Fault};

const NO_PAGE: &str = "404 page not found\n";

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
    /// Nothing is served at this path, of a group that CRDs or other servers could have: there is no `Status`.
    pub(crate) fn no_page() -> Self {
        Self { code: 404, reason: "", message: NO_PAGE.to_owned(), details: Value::Null }
    }

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

    /// Fields are not what they may be.
    pub(crate) fn faulty(kind: &str, group: &str, name: &str, faults: &[Fault]) -> Self {
        let words = schema::words(faults);
        let mut refused = Self {
            code: 422,
            reason: "Invalid",
            message: format!("{} \"{name}\" is invalid: {words}", qualified(kind, group)),
            details: details(group, kind, name),
        };
        refused.details["causes"] = faults.iter().map(Fault::cause).collect();
        refused
    }

    /// An object that says neither what it is called nor what its name is to begin with.
    pub(crate) fn nameless(kind: &str, group: &str) -> Self {
        let fault = Fault::silent(schema::Why::Required, "metadata.name", "name or generateName is required");
        let rules = schema::of(kind).is_ok_and(schema::Schema::has_rules);
        let unchecked = Some(Fault::rules_not_checked()).filter(|_| rules);
        Self::faulty(kind, group, "", &[Some(fault), unchecked].into_iter().flatten().collect::<Vec<_>>())
    }

    /// A patch that takes the resourceVersion away.
    pub(crate) fn version_missing(plural: &str, group: &str, name: &str) -> Self {
        let words = "must be specified for an update";
        let fault = Fault::new(schema::Why::Invalid, "metadata.resourceVersion", json!(0), words);
        Self::faulty(plural, group, name, &[fault])
    }

    /// Someone wrote in between.
    pub(crate) fn modified(group: &str, plural: &str, name: &str) -> Self {
        let why =
            "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(group, plural, name, why)
    }

    /// A create of what has been stored before; the server has no word for it.
    pub(crate) fn version_set() -> Self {
        let message = "resourceVersion should not be set on objects to be created".to_owned();
        Self { code: 500, reason: "", message, details: Value::Null }
    }

    /// The object has one name, and the path another.
    pub(crate) fn other_name(of_object: &str, of_path: &str) -> Self {
        let message =
            format!("the name of the object ({of_object}) does not match the name on the URL ({of_path})");
        Self::bad_request(message)
    }

    /// A token that was never given out.
    pub(crate) fn no_such_page() -> Self {
        Self::bad_request("continue key is not valid: illegal base64 data at input byte 8".to_owned())
    }

    /// The rest of a list that is not kept any more.
    pub(crate) fn page_expired() -> Self {
        const WORDS: &str = "The provided continue parameter is too old to display a consistent list result. You can start a new \
            list without the continue parameter, or use the continue token in this response to retrieve the remainder of \
            the results. Continuing with the provided token results in an inconsistent list - objects that were created, \
            modified, or deleted between the time the first chunk was returned and now may show up in the list.";
        Self { code: 410, reason: "Expired", message: WORDS.to_owned(), details: Value::Null }
    }

    /// The request cannot be read.
    pub(crate) fn bad_request(message: String) -> Self {
        Self { code: 400, reason: "BadRequest", message, details: Value::Null }
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
        Self { code: 410, reason: "Expired", message, details: Value::Null }
    }

    /// The body.
    pub(crate) fn body(&self) -> Bytes {
        if self.message == NO_PAGE {
            return Bytes::from_static(NO_PAGE.as_bytes());
        }
        let mut body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "code": self.code});
        if !self.reason.is_empty() {
            body["reason"] = json!(self.reason);
        }
        if !self.details.is_null() {
            body["details"] = self.details.clone();
        }
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

/// What is empty is left out.
fn details(group: &str, kind: &str, name: &str) -> Value {
    let fields = [("name", name), ("group", group), ("kind", kind)];
    let told = fields.into_iter().filter(|(_, text)| !text.is_empty());
    told.map(|(field, text)| (field.to_owned(), json!(text))).collect()
}

fn qualified(plural: &str, group: &str) -> String {
    if group.is_empty() { plural.to_owned() } else { format!("{plural}.{group}") }
}
