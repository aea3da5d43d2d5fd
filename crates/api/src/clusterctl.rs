//! Labels and annotations that `clusterctl` looks for (cmd/clusterctl/client/cluster/objectgraph.go, mover.go).

/// Label on a CRD: `clusterctl move` considers its objects at all. clusterctl itself sets it on what it installs.
pub const LABEL: &str = "clusterctl.cluster.x-k8s.io";
/// Label on a CRD: its objects are moved together with everything that they own.
pub const MOVE_HIERARCHY_LABEL: &str = "clusterctl.cluster.x-k8s.io/move-hierarchy";
/// Annotation on an object: a move waits until it is gone. Set while a build runs, which cannot be moved.
pub const BLOCK_MOVE_ANNOTATION: &str = "clusterctl.cluster.x-k8s.io/block-move";
/// Annotation on an object that is deleted because it was moved: what it stands for must stay.
pub const DELETE_FOR_MOVE_ANNOTATION: &str = "clusterctl.cluster.x-k8s.io/delete-for-move";
