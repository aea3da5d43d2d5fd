//! The API server: what is stored, how it is written, and how it is asked for.

pub(crate) mod alone;
pub(crate) mod answer;
pub(crate) mod asked;
pub(crate) mod catalogue;
pub(crate) mod delete;
pub(crate) mod eviction;
pub(crate) mod leases;
pub(crate) mod metadata;
pub(crate) mod objects;
pub(crate) mod pages;
pub(crate) mod patch;
pub(crate) mod schema;
pub(crate) mod selector;
pub(crate) mod server;
pub(crate) mod write;

#[cfg(test)]
mod tests;
