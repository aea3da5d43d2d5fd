//! Versions, ranges, verdicts and conditions: pure values and functions.
//!
//! *Architecture invariant:* nothing here knows of kube, tokio, a clock or any I/O; time is an argument.

pub mod condition;
pub mod name;
pub mod object;
pub mod path;
pub mod range;
pub mod verdict;
pub mod version;
