//! Machine images and what they are made of, on a real API server with real Jobs and without Cluster API: the builds, the image
//! ids, sources of any kind, and one that asks who comes and signs what it has.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "each test program uses a part of it")]
mod given;

mod images {
    mod jobs;
    mod signed;
    mod sources;
}
