//! The two managers that this binary is: one for clusters of machine images, one for nodes that change in place.
//!
//! They are installed apart and have nothing in common but the engine: each has its lease, its flags, its controllers and its
//! role. So a cluster that has one of them grants nothing to the other.

use std::fmt;

use serde::Deserialize;

/// Which of the two a process is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// From package repository to Cluster: `manager` without a subcommand.
    #[default]
    Chain,
    /// Operations on nodes: `manager nodes`.
    Nodes,
}

impl Family {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Chain, Self::Nodes];

    /// What stands before the flags.
    pub const fn subcommand(self) -> Option<&'static str> {
        match self {
            Self::Chain => None,
            Self::Nodes => Some("nodes"),
        }
    }

    /// The lease: that of the program which the family takes the place of, so that the two never act at once.
    pub const fn lease(self) -> &'static str {
        match self {
            Self::Chain => "91e8760d.dimitrikoshkin.com",
            Self::Nodes => "ce9721c3.kairos.io",
        }
    }

    /// The namespace that it is installed in, for a process that runs outside of a cluster.
    pub const fn namespace(self) -> &'static str {
        match self {
            Self::Chain => "kubernetes-upgrader-system",
            Self::Nodes => "operator-system",
        }
    }

    /// The Deployment that it is installed as, which is also the original's.
    pub const fn deployment(self) -> &'static str {
        match self {
            Self::Chain => "kubernetes-upgrader-controller-manager",
            Self::Nodes => "operator-kairos-operator",
        }
    }

    /// Its controllers, by the names that `--controllers` knows.
    pub const fn controllers(self) -> &'static [&'static str] {
        match self {
            Self::Chain => &[
                "debianrepositorysource",
                "machineimagesyncer",
                "machineimage",
                "plan",
                "clusterclassclusterupgrader",
            ],
            Self::Nodes => &["nodeop", "nodeopupgrade", "nodelabeler"],
        }
    }

    /// The environment variables that tell the name and the namespace of the pod that it runs in.
    pub const fn pod_variables(self) -> [&'static str; 2] {
        match self {
            Self::Chain => ["POD_NAME", "POD_NAMESPACE"],
            Self::Nodes => ["CONTROLLER_POD_NAME", "CONTROLLER_POD_NAMESPACE"],
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Chain => "chain",
            Self::Nodes => "nodes",
        })
    }
}
