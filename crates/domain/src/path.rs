//! The path of a Cluster from its version to a target, under the version-skew policy of Kubernetes: one minor after
//! another, each with an image for exactly its version.
//!
//! - Within the minor of the target a hop leads straight to the target.
//! - Below it a hop leads to exactly the next minor, to its newest version that has an image.
//! - Where the ClusterClass lists its versions, only those count. A target that is not listed is replaced by the newest
//!   listed version of its minor below it.
//! - Never down, never over a minor, never to another major, never above the target.
//! - Where a hop leads to another minor, no kubelet may be left further behind it than the policy allows. A patch leaves
//!   nobody further behind, so old workers do not hold it back.
//!
//! Newest is by `SemVer` precedence, prereleases included: whoever hands over the images has left out those that are not
//! wanted, as a range does that names no prerelease. Of versions that differ in their build metadata only, none is newer:
//! the one that is handed over first counts.

use crate::version::{self, KubernetesVersion, Minor};

/// The versions that a ClusterClass lets its Clusters have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowed<'a> {
    /// Every version: the class lists none.
    All,
    /// These texts alone, of the form v1.36.2: Cluster API compares texts.
    Listed(&'a [Box<str>]),
}

/// A version that a Cluster can be moved to, with the image for exactly that version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop<T> {
    /// The version.
    pub version: KubernetesVersion,
    /// Its image.
    pub image: T,
}

/// Why there is no hop. Its `Display` is a sentence without a full stop, for a reader who knows from where to where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoHop {
    /// The Cluster has the target.
    #[error("it is there")]
    Done,
    /// The Cluster has the target but for the build metadata, which has no order: neither is newer.
    #[error("only the build metadata differs, by which neither is newer")]
    Rebuild,
    /// The target is older.
    #[error("the target is older, and a downgrade is never asked for")]
    Downgrade,
    /// The target has another major.
    #[error("the target has another major version, and no rule says how to get there")]
    NextMajor,
    /// A kubelet would be further behind the control plane than the version-skew policy allows.
    #[error(
        "a worker has {worker}, and a control plane of {next} takes none that is more than {most} minors older"
    )]
    WorkerSkew {
        /// The minor that is next.
        next: Minor,
        /// The lowest version of a kubelet.
        worker: KubernetesVersion,
        /// How many minors that kubelet may be older.
        most: u64,
    },
    /// A minor on the way has no image.
    #[error("{minor} must come first, and has no image")]
    Missing {
        /// The first minor without one.
        minor: Minor,
    },
    /// The target is one hop away, and has no image for exactly its version.
    #[error("{target} has no image")]
    TargetMissing {
        /// The target.
        target: KubernetesVersion,
    },
    /// The class lists no version that would bring the Cluster on in this minor, although there are images.
    #[error(
        "the ClusterClass lists no version of {minor} that has an image and leads on; the newest image is of {newest}"
    )]
    NotListed {
        /// The minor of the hop.
        minor: Minor,
        /// The newest version of it that has an image.
        newest: KubernetesVersion,
    },
}

/// The way as far as it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path<'a, T> {
    /// The hops that can be made, in their order.
    pub hops: Vec<&'a Hop<T>>,
    /// What keeps the hop after them from being made; none where the target is reached.
    pub stopped: Option<NoHop>,
}

/// The next hop of a Cluster. `lowest_worker` is the oldest kubelet, if it is known. The order of the images counts only
/// among those that are equally new.
pub fn next_hop<'a, T>(
    current: &KubernetesVersion,
    lowest_worker: Option<&KubernetesVersion>,
    target: &KubernetesVersion,
    allowed: Allowed<'_>,
    images: &'a [Hop<T>],
) -> Result<&'a Hop<T>, NoHop> {
    let to = Minor::from(target);
    let minor = match current.hop_to(target) {
        version::Hop::Same => return Err(NoHop::Done),
        version::Hop::Rebuild => return Err(NoHop::Rebuild),
        version::Hop::Downgrade => return Err(NoHop::Downgrade),
        version::Hop::NextMajor => return Err(NoHop::NextMajor),
        version::Hop::Patch => to,
        version::Hop::NextMinor | version::Hop::Minors(_) => {
            let next = Minor::from(current).next().unwrap_or(to);
            within_skew(lowest_worker, next)?;
            next
        }
    };
    // Above the target by precedence, or equal to it but for the build metadata, is never asked for.
    let leads_on = |version: &KubernetesVersion| {
        version.is_newer_than(current) && (target.is_newer_than(version) || version == target)
    };
    let of_minor =
        || images.iter().filter(|hop| Minor::from(&hop.version) == minor && leads_on(&hop.version));
    if minor == to && allowed.contains(target) {
        let exactly = of_minor().find(|hop| hop.version == *target);
        return exactly.ok_or_else(|| NoHop::TargetMissing { target: target.clone() });
    }
    if let Some(hop) = newest(of_minor().filter(|hop| allowed.contains(&hop.version))) {
        return Ok(hop);
    }
    Err(match newest(of_minor()) {
        Some(hop) => NoHop::NotListed { minor, newest: hop.version.clone() },
        None if minor == to => NoHop::TargetMissing { target: target.clone() },
        None => NoHop::Missing { minor },
    })
}

/// The whole way, as far as it goes. Each hop waits until all workers have come along, so `lowest_worker` counts for the
/// first one.
pub fn path<'a, T>(
    current: &KubernetesVersion,
    lowest_worker: Option<&KubernetesVersion>,
    target: &KubernetesVersion,
    allowed: Allowed<'_>,
    images: &'a [Hop<T>],
) -> Path<'a, T> {
    let mut hops: Vec<&Hop<T>> = Vec::new();
    // Every hop leads to a newer image, so there are no more of them than images.
    let stopped = loop {
        let (from, worker) = hops.last().map_or((current, lowest_worker), |hop| (&hop.version, None));
        match next_hop(from, worker, target, allowed, images) {
            Ok(hop) => hops.push(hop),
            Err(NoHop::Done) => break None,
            Err(stopped) => break Some(stopped),
        }
    };
    Path { hops, stopped }
}

/// Of those that are equally new the first.
fn newest<'a, T>(hops: impl Iterator<Item = &'a Hop<T>>) -> Option<&'a Hop<T>> {
    hops.reduce(|best, hop| if hop.version.is_newer_than(&best.version) { hop } else { best })
}

/// A kubelet may be three minors older than the kube-apiserver, and one from before v1.25 two.
fn within_skew(worker: Option<&KubernetesVersion>, next: Minor) -> Result<(), NoHop> {
    let Some(worker) = worker else { return Ok(()) };
    let at = Minor::from(worker);
    let most = if at < (Minor { major: 1, minor: 25 }) { 2 } else { 3 };
    let behind = if at.major < next.major { u64::MAX } else { next.minor.saturating_sub(at.minor) };
    if behind <= most {
        return Ok(());
    }
    Err(NoHop::WorkerSkew { next, worker: worker.clone(), most })
}

impl Allowed<'_> {
    /// Whether the class lets a Cluster have the version.
    pub fn contains(self, version: &KubernetesVersion) -> bool {
        match self {
            Self::All => true,
            Self::Listed(texts) => {
                let version = version.to_string();
                texts.iter().any(|text| **text == *version)
            }
        }
    }
}

impl<'a> Allowed<'a> {
    /// What `spec.kubernetesVersions` of a ClusterClass says; an empty list allows everything.
    pub fn of_class(listed: &'a [Box<str>]) -> Self {
        if listed.is_empty() { Self::All } else { Self::Listed(listed) }
    }
}

#[cfg(test)]
mod tests;
