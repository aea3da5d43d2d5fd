//! Candidates against a lease that is simulated. First without any I/O, with clocks that run apart and answers that are
//! late or lost; then through kube's client, on tokio's paused time.

mod contest;
mod served;
