//! What the process is told of the place that it runs in.

use jiff::Timestamp;

/// The original's namespace, for a process that runs outside of a cluster.
const NAMESPACE: &str = "kubernetes-upgrader-system";

/// Read by `main`; everything may be missing.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// `POD_NAME`.
    pub pod_name: Option<String>,
    /// `POD_NAMESPACE`.
    pub pod_namespace: Option<String>,
    /// The namespace of the mounted `ServiceAccount`.
    pub account_namespace: Option<String>,
    /// The host's name.
    pub host: Option<String>,
    /// The process number.
    pub process: u32,
}

impl Surroundings {
    /// The namespace that this program is installed in.
    pub fn namespace(&self) -> &str {
        first([&self.pod_namespace, &self.account_namespace]).unwrap_or(NAMESPACE)
    }

    /// The name that Events are written under.
    pub fn instance(&self) -> &str {
        first([&self.pod_name, &self.host]).unwrap_or("manager")
    }

    /// The identity that the lease is held under.
    pub fn identity(&self, started: Timestamp) -> String {
        runtime::lease::identity(self.instance(), self.process, started)
    }
}

/// The first that says something.
fn first<const N: usize>(texts: [&Option<String>; N]) -> Option<&str> {
    texts.into_iter().flatten().map(|text| text.trim()).find(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_namespace_is_the_pods_then_the_accounts_then_the_originals() {
        let some = |text: &str| Some(text.to_owned());
        let mut place = Surroundings::default();
        assert_eq!(place.namespace(), "kubernetes-upgrader-system");
        place.account_namespace = some("from-account\n");
        assert_eq!(place.namespace(), "from-account");
        place.pod_namespace = some("");
        assert_eq!(place.namespace(), "from-account");
        place.pod_namespace = some("from-pod");
        assert_eq!(place.namespace(), "from-pod");
    }

    #[test]
    fn the_identity_begins_with_the_pods_name() {
        let place = Surroundings { host: Some("node\n".to_owned()), process: 7, ..Surroundings::default() };
        assert_eq!(place.instance(), "node");
        assert!(place.identity(Timestamp::UNIX_EPOCH).starts_with("node_"));
    }
}
