//! What the process is told of the place that it runs in.

use domain::object::ObjectKey;
use jiff::Timestamp;
use nodes::kairos::{DEFAULT_IMAGE, Settings};

use crate::family::Family;
use crate::options::Disruption;

/// The published image of this version, which pods on nodes run where the environment names no other.
pub const IMAGE: &str = concat!("ghcr.io/dkoshkin/kubernetes-upgrader:v", env!("CARGO_PKG_VERSION"));

/// Read by `main`; everything may be missing.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// `POD_NAME`, or `CONTROLLER_POD_NAME` for operations on nodes.
    pub pod_name: Option<String>,
    /// `POD_NAMESPACE`, or `CONTROLLER_POD_NAMESPACE` for operations on nodes.
    pub pod_namespace: Option<String>,
    /// The namespace of the mounted `ServiceAccount`.
    pub account_namespace: Option<String>,
    /// The host's name.
    pub host: Option<String>,
    /// The process number.
    pub process: u32,
    /// `OPERATOR_IMAGE`: the manager's own image.
    pub operator_image: Option<String>,
    /// `NODE_LABELER_IMAGE`.
    pub labeler_image: Option<String>,
    /// `NODEOP_DEFAULT_IMAGE`.
    pub default_image: Option<String>,
}

impl Surroundings {
    /// The namespace that this program is installed in.
    pub fn namespace(&self, family: Family) -> &str {
        first([&self.pod_namespace, &self.account_namespace]).unwrap_or(family.namespace())
    }

    /// The name that Events are written under.
    pub fn instance(&self) -> &str {
        first([&self.pod_name, &self.host]).unwrap_or("manager")
    }

    /// The identity that the lease is held under.
    pub fn identity(&self, started: Timestamp) -> String {
        runtime::lease::identity(self.instance(), self.process, started)
    }

    /// What operations on nodes rest on, with what the flags say of them.
    pub fn settings(&self, disruption: Disruption) -> Settings {
        let namespace = self.namespace(Family::Nodes);
        let operator_image = first([&self.operator_image]).unwrap_or(IMAGE);
        Settings {
            namespace: namespace.into(),
            pod: first([&self.pod_name]).map(|name| ObjectKey::new(namespace, name)),
            operator_image: operator_image.into(),
            default_image: first([&self.default_image]).unwrap_or(DEFAULT_IMAGE).into(),
            labeler_image: first([&self.labeler_image]).unwrap_or(operator_image).into(),
            one_control_plane_at_a_time: disruption.one_control_plane_at_a_time,
            drain_timeout: disruption.drain_timeout,
            reboot_timeout: disruption.reboot_timeout,
            orderly_reboot_timeout: disruption.orderly_reboot_timeout,
        }
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
        let mut place = Surroundings::default();
        assert_eq!(place.namespace(Family::Chain), "kubernetes-upgrader-system");
        assert_eq!(place.namespace(Family::Nodes), "operator-system");
        place.account_namespace = Some("from-account\n".to_owned());
        assert_eq!(place.namespace(Family::Chain), "from-account");
        place.pod_namespace = Some(String::new());
        assert_eq!(place.namespace(Family::Nodes), "from-account");
        place.pod_namespace = Some("from-pod".to_owned());
        assert_eq!(place.namespace(Family::Nodes), "from-pod");
    }

    #[test]
    fn the_identity_begins_with_the_pods_name() {
        let place = Surroundings { host: Some("node\n".to_owned()), process: 7, ..Surroundings::default() };
        assert_eq!(place.instance(), "node");
        assert!(place.identity(Timestamp::UNIX_EPOCH).starts_with("node_"));
    }

    #[test]
    fn nodes_get_the_images_that_the_environment_names() {
        let place = Surroundings {
            pod_name: Some("manager-0".to_owned()),
            pod_namespace: Some("ns".to_owned()),
            operator_image: Some("example.org/upgrader:v1".to_owned()),
            default_image: Some("example.org/busybox:1".to_owned()),
            ..Surroundings::default()
        };
        let settings = place.settings(Disruption::default());
        assert_eq!(settings.pod, Some(ObjectKey::new("ns", "manager-0")));
        assert_eq!(&*settings.operator_image, "example.org/upgrader:v1");
        assert_eq!(&*settings.default_image, "example.org/busybox:1");
        assert_eq!(&*settings.labeler_image, "example.org/upgrader:v1", "the manager labels nodes as well");
        let place = Surroundings { labeler_image: Some("example.org/labeler:v1".to_owned()), ..place };
        assert_eq!(&*place.settings(Disruption::default()).labeler_image, "example.org/labeler:v1");
    }

    #[test]
    fn without_an_environment_nodes_get_what_is_published() {
        let place = Surroundings { operator_image: Some(" ".to_owned()), ..Surroundings::default() };
        let settings = place.settings(Disruption::default());
        assert_eq!((&*settings.namespace, settings.pod), ("operator-system", None));
        assert_eq!((&*settings.operator_image, &*settings.labeler_image), (IMAGE, IMAGE));
        assert_eq!(&*settings.default_image, "busybox:latest");
    }
}
