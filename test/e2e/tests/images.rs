//! Machine images and what they are made of, on a real API server with real Jobs and without Cluster API: the builds, the image
//! ids, and sources of any kind.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "each test program uses a part of it")]
mod given;

mod images {
    mod jobs;
    mod sources;
}
