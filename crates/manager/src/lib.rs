//! The manager: flags, servers, the lease, and a table of rooms for each [`family::Family`]; and the small programs that its
//! pods on nodes run.
//!
//! *Architecture invariant:* a process is a value. [`start::start`] builds all of it from [`start::Deps`], and dropping
//! what it returns is a kill; nothing here keeps state outside of it, and only `main` reads the environment.

pub mod boot_id;
pub mod connection;
pub mod family;
pub mod label_node;
pub mod left_over;
pub mod options;
pub mod process;
pub mod program;
pub mod reboot;
pub mod rooms;
pub mod start;
pub mod surroundings;
