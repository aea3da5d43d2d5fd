//! A Cluster that a GitOps tool applies as well, on a real API server with the real schema of Cluster: whose the fields are before
//! and after our write, what each way of applying does to them, and what happens where two want different things. What the tools
//! send is played: the applies of Flux and Argo CD, with the field managers that they use. docs/gitops.md tells the results.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "each test program uses a part of it")]
mod given;

mod gitops {
    mod argo;
    mod conflict;
    mod flux;
    mod scene;
}
