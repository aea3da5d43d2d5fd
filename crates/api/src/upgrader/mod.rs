//! Group `kubernetesupgraded.dimitrikoshkin.com` (the spelling is the original's).
//!
//! Field names, labels, annotations and status words are those of the original's v0.6.0; what came after is optional and
//! changes nothing where it is absent.

use domain::object::Kind;

pub mod cluster_upgrader;
pub mod debian_repository_source;
pub mod machine_image;
pub mod machine_image_syncer;
pub mod machine_image_template;
pub mod plan;

/// API group of all our kinds.
pub const GROUP: &str = "kubernetesupgraded.dimitrikoshkin.com";
/// The one version.
pub const VERSION: &str = "v1alpha1";

/// All kinds of the group, in the order of the chain.
pub const KINDS: [Kind; 6] = [
    debian_repository_source::KIND,
    machine_image_template::KIND,
    machine_image_syncer::KIND,
    machine_image::KIND,
    plan::KIND,
    cluster_upgrader::KIND,
];

const fn kind(kind: &'static str, plural: &'static str) -> Kind {
    Kind { group: GROUP, versions: &[VERSION], kind, plural }
}

#[cfg(test)]
mod tests;
