//! Group `batch`, and the pods that its Jobs make.

pub mod job;
pub mod pod;
