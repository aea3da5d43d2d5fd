//! The manager's process: reads the environment, and hands over.

use std::process::ExitCode;

use manager::options::Options;
use manager::process;
use manager::surroundings::Surroundings;

/// Where Kubernetes mounts the namespace of a pod's `ServiceAccount`.
const NAMESPACE_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";
/// The machine's own name, which in a pod is the pod's.
const HOST_FILE: &str = "/proc/sys/kernel/hostname";

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args_os()) {
        Ok(options) => options,
        // Also help and the version, which exit with 0.
        Err(error) => error.exit(),
    };
    let variable = |name: &str| std::env::var(name).ok();
    let file = |path: &str| std::fs::read_to_string(path).ok();
    let surroundings = Surroundings {
        pod_name: variable("POD_NAME"),
        pod_namespace: variable("POD_NAMESPACE"),
        account_namespace: file(NAMESPACE_FILE),
        host: file(HOST_FILE),
        process: std::process::id(),
    };
    process::run(options, &surroundings)
}
