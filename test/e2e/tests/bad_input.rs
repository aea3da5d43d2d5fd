//! Bad input, on a real API server: each gives a condition and an Event on the object concerned, costs no other object anything
//! and loses nothing. What needs Cluster API's controllers is in `faults.rs`, what needs Jobs in `images.rs`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "each test program uses a part of it")]
mod given;

mod bad_input {
    mod clusters;
    mod references;
    mod repository;
}
