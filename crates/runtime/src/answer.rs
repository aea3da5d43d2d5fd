//! Tells the answers of an API server apart, in one place.
//!
//! Cluster API refuses an upgrade with the same 422 that a failed JSON Patch `test` or a schema error gives; only the
//! message and the details tell which it was. The bodies in the tests were stored from a real server.

use std::fmt;

use domain::verdict::Trouble;
use kube::core::Status;

/// The reason that kube's client gives to an answer whose body is no Status; the message is then the whole body.
const NO_STATUS: &str = "Failed to parse error data";

/// Why a request did not do what it asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 404: the object, or the kind, is not there.
    NotFound,
    /// 409 AlreadyExists: an object of that name is there.
    AlreadyExists,
    /// 409: someone wrote in between. Observe again.
    Conflict,
    /// An admission webhook or a `ValidatingAdmissionPolicy` refused, in its own words.
    Admission {
        /// The name of the webhook or policy.
        by: String,
        /// The server's message.
        message: String,
    },
    /// 422 with causes from the schema: a bug of ours, or bad input that is passed on.
    Invalid(String),
    /// 422 without details: a JSON Patch `test` failed. Observe again once.
    TestFailed(String),
    /// 403: RBAC is missing, in the server's words (they name verb and resource).
    Forbidden(String),
    /// 500 `failed calling webhook`: somebody's webhook is down.
    WebhookDown(String),
    /// 410 or 413, 415 and others that a repetition cannot change.
    Other(String),
    /// 429, 5xx, a timeout, no connection. `retry_after` in seconds where the server named one.
    Unavailable {
        /// What was seen.
        message: String,
        /// Seconds that the server asked to wait.
        retry_after: Option<u32>,
    },
}

impl Refusal {
    /// Reads an error of kube's client.
    pub fn of(error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::of_status(status),
            other => Self::Unavailable { message: chain(other), retry_after: None },
        }
    }

    /// Reads the Status body of an answer.
    pub fn of_status(status: &Status) -> Self {
        // What is no Status is some proxy's page; its text belongs neither in a log nor in a condition.
        let message = match status.reason.as_str() {
            NO_STATUS => format!("HTTP {} without a Status", status.code),
            _ => status.message.clone(),
        };
        let causes = status.details.as_ref().map_or(0, |details| details.causes.len());
        match status.code {
            404 => Self::NotFound,
            409 if status.reason == "AlreadyExists" => Self::AlreadyExists,
            409 => Self::Conflict,
            403 | 422 | 400 if admission(&message).is_some() => {
                Self::Admission { by: admission(&message).unwrap_or_default(), message }
            }
            403 | 401 => Self::Forbidden(message),
            422 if causes == 0 => Self::TestFailed(message),
            422 => Self::Invalid(message),
            500 if message.contains("failed calling webhook") => Self::WebhookDown(message),
            408 | 429 | 500..=599 => Self::Unavailable {
                retry_after: status
                    .details
                    .as_ref()
                    .map(|details| details.retry_after_seconds)
                    .filter(|&s| s > 0),
                message,
            },
            400 => Self::Invalid(message),
            _ => Self::Other(message),
        }
    }

    /// The word that every controller has for it. Conflicts and lost races have none: they are simply observed again.
    pub fn trouble(&self) -> Option<Trouble> {
        match self {
            Self::NotFound | Self::AlreadyExists | Self::Conflict => None,
            Self::Admission { message, by } if left_over(by, message) => Some(Trouble::ForeignWebhook),
            Self::WebhookDown(message) if left_over("", message) => Some(Trouble::ForeignWebhook),
            Self::Admission { .. } => Some(Trouble::WriteRefused),
            Self::Forbidden(_) => Some(Trouble::Forbidden),
            Self::Invalid(_) | Self::TestFailed(_) | Self::Other(_) => Some(Trouble::InternalError),
            Self::WebhookDown(_) | Self::Unavailable { .. } => Some(Trouble::ApiUnavailable),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("not found"),
            Self::AlreadyExists => f.write_str("an object of this name exists already"),
            Self::Conflict => f.write_str("the object was changed in between"),
            Self::Admission { message, .. }
            | Self::Invalid(message)
            | Self::TestFailed(message)
            | Self::Forbidden(message)
            | Self::WebhookDown(message)
            | Self::Other(message)
            | Self::Unavailable { message, .. } => f.write_str(message),
        }
    }
}

impl std::error::Error for Refusal {}

impl From<kube::Error> for Refusal {
    fn from(error: kube::Error) -> Self {
        Self::of(&error)
    }
}

/// The name of the webhook or policy whose refusal a message is.
fn admission(message: &str) -> Option<String> {
    let rest = message.strip_prefix("admission webhook ").or_else(|| {
        let at = message.find("ValidatingAdmissionPolicy ")?;
        message.get(at + "ValidatingAdmissionPolicy ".len()..)
    })?;
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    rest.get(1..)?.split(quote).next().map(ToOwned::to_owned)
}

/// Whether it is a webhook that the original left behind: its Service now selects pods that serve none.
fn left_over(by: &str, message: &str) -> bool {
    const NAMES: [&str; 6] = [
        "mmachineimage.kb.io",
        "vmachineimage.kb.io",
        "mmachineimagesyncer.kb.io",
        "vmachineimagesyncer.kb.io",
        "mclusterclassclusterupgrader.kb.io",
        "vclusterclassclusterupgrader.kb.io",
    ];
    NAMES.iter().any(|name| by == *name || message.contains(&format!("\"{name}\"")))
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        source = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(json: &str) -> Refusal {
        Refusal::of_status(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn a_webhook_of_cluster_api_refuses_in_its_own_words() {
        let refusal = refused(
            r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"admission webhook \"validation.cluster.cluster.x-k8s.io\" denied the request: Cluster.cluster.x-k8s.io \"c\" is invalid: spec.topology.version: Invalid value: \"v1.37.0\": version cannot be increased from v1.35.0 to v1.37.0","reason":"Invalid","details":{"name":"c","group":"cluster.x-k8s.io","kind":"Cluster","causes":[{"reason":"FieldValueInvalid","message":"x","field":"spec.topology.version"}]},"code":422}"#,
        );
        assert!(
            matches!(&refusal, Refusal::Admission { by, .. } if by == "validation.cluster.cluster.x-k8s.io")
        );
        assert_eq!(refusal.trouble(), Some(Trouble::WriteRefused));
    }

    #[test]
    fn a_policy_refuses_with_422_or_403() {
        let refusal = refused(
            r#"{"status":"Failure","message":"plans.x \"p\" is forbidden: ValidatingAdmissionPolicy 'no-friday' with binding 'no-friday' denied request: not on a Friday","reason":"Forbidden","code":403}"#,
        );
        assert!(matches!(refusal, Refusal::Admission { by, .. } if by == "no-friday"));
    }

    #[test]
    fn a_failed_test_has_no_details_and_a_schema_error_has_causes() {
        let failed = refused(
            r#"{"status":"Failure","message":"the server rejected our request due to an error in our request","reason":"Invalid","details":{},"code":422}"#,
        );
        assert!(matches!(failed, Refusal::TestFailed(_)));
        let schema = refused(
            r#"{"status":"Failure","message":"Plan.x \"p\" is invalid: spec.versionRange: Required value","reason":"Invalid","details":{"name":"p","causes":[{"reason":"FieldValueRequired","message":"Required value","field":"spec.versionRange"}]},"code":422}"#,
        );
        assert!(matches!(schema, Refusal::Invalid(_)));
    }

    #[test]
    fn missing_rbac_is_not_an_admission_refusal() {
        let refusal = refused(
            r#"{"status":"Failure","message":"jobs.batch is forbidden: User \"system:serviceaccount:a:b\" cannot create resource \"jobs\" in API group \"batch\" in the namespace \"ns\"","reason":"Forbidden","details":{"group":"batch","kind":"jobs"},"code":403}"#,
        );
        assert_eq!(refusal.trouble(), Some(Trouble::Forbidden));
    }

    #[test]
    fn conflicts_and_races_are_observed_again() {
        let conflict = refused(r#"{"status":"Failure","message":"m","reason":"Conflict","code":409}"#);
        let exists = refused(r#"{"status":"Failure","message":"m","reason":"AlreadyExists","code":409}"#);
        let gone = refused(r#"{"status":"Failure","message":"m","reason":"NotFound","code":404}"#);
        assert_eq!((conflict, exists, gone), (Refusal::Conflict, Refusal::AlreadyExists, Refusal::NotFound));
    }

    #[test]
    fn a_webhook_that_is_down_is_transient_and_a_left_over_one_is_named() {
        let down = refused(
            r#"{"status":"Failure","message":"Internal error occurred: failed calling webhook \"validation.cluster.cluster.x-k8s.io\": failed to call webhook: Post \"https://127.0.0.1:1/x\": connection refused","reason":"InternalError","code":500}"#,
        );
        assert_eq!(down.trouble(), Some(Trouble::ApiUnavailable));
        let left = refused(
            r#"{"status":"Failure","message":"Internal error occurred: failed calling webhook \"mmachineimage.kb.io\": failed to call webhook: no endpoints","reason":"InternalError","code":500}"#,
        );
        assert_eq!(left.trouble(), Some(Trouble::ForeignWebhook));
    }

    #[test]
    fn a_page_that_is_no_status_is_not_quoted() {
        let page = Status::failure("<html>token=abc</html>", NO_STATUS).with_code(502);
        assert_eq!(Refusal::of_status(&page).to_string(), "HTTP 502 without a Status");
    }

    #[test]
    fn the_servers_wish_to_wait_is_kept() {
        let busy = refused(
            r#"{"status":"Failure","message":"too many requests","reason":"TooManyRequests","details":{"retryAfterSeconds":7},"code":429}"#,
        );
        assert!(matches!(busy, Refusal::Unavailable { retry_after: Some(7), .. }));
    }
}
