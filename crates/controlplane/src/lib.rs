//! A real Kubernetes control plane as local processes, for tests, the demo and benches.
//!
//! ```no_run
//! # async fn example() -> controlplane::Result<()> {
//! use controlplane::ControlPlane;
//! use std::time::Duration;
//!
//! // etcd and kube-apiserver, plus what a Job needs; `.cluster_api()` adds Cluster API on its in-memory backend.
//! let cluster = ControlPlane::builder().workloads().start().await?;
//! cluster.create_node("worker", &[]).await?;
//! cluster.apply_yaml("{apiVersion: v1, kind: ServiceAccount, metadata: {name: me, namespace: default}}").await?;
//! let mine = cluster.kubeconfig_for_service_account("default", "me").await?; // text; .write_file() makes it a file
//! cluster.wait_for("condition=Complete", "jobs/build", "default", Duration::from_secs(30)).await?;
//! let writes = cluster.audit_events()?.into_iter().filter(|e| e.user.ends_with(":me") && e.is_write()).count();
//! # Ok(())
//! # } // dropped: all processes ended, ports free, folder removed (`KEEP=1` keeps it)
//! ```
//!
//! The binaries are built from published Go modules on first use (about twelve minutes on two cores) into
//! `${KUBERNETES_UPGRADER_CACHE:-${XDG_CACHE_HOME:-~/.cache}/kubernetes-upgrader}`; `KUBEBUILDER_ASSETS` goes first for etcd,
//! kube-apiserver and kubectl. Needed on the machine: Linux, Go, and util-linux's `setpriv`.
//!
//! Several control planes run beside each other, in one process or in many. Only one with Cluster API runs at a time on a machine, because its
//! in-memory backend has fixed ports: the others wait for it, and say so on standard error.

mod audit;
mod binaries;
mod builder;
mod cache;
mod certificates;
mod cluster_api;
mod control_plane;
mod error;
mod flags;
mod folder;
mod go_build;
mod guard;
pub mod image;
mod kubeconfig;
mod kubectl;
pub mod kwok;
pub mod node;
mod objects;
mod ports;
mod probe;
mod process;
mod progress;
mod rendered;
mod start;

pub use audit::{AuditEvent, AuditTail};
pub use binaries::Binary;
pub use builder::ControlPlaneBuilder;
pub use cluster_api::ClassCluster;
pub use control_plane::ControlPlane;
pub use error::{Error, Result};
pub use go_build::Binaries;
