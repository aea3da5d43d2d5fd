//! The manager's process: reads the environment, and hands over.

use std::process::ExitCode;

use manager::options::Options;
use manager::program::Program;
use manager::reboot::Place;
use manager::surroundings::Surroundings;
use manager::{boot_id, label_node, process, reboot};

/// Where Kubernetes mounts the namespace of a pod's `ServiceAccount`.
const NAMESPACE_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";
/// The machine's own name, which in a pod is the pod's.
const HOST_FILE: &str = "/proc/sys/kernel/hostname";

fn main() -> ExitCode {
    match Program::parse(std::env::args_os()) {
        Ok(Program::Manager(options)) => {
            let surroundings = surroundings(&options);
            process::run(*options, &surroundings)
        }
        Ok(Program::Reboot) => {
            let place = Place { name: variable("POD_NAME"), namespace: variable("POD_NAMESPACE") };
            reboot::run(&place, variable(api::kairos::ORDERLY_REBOOT_ENV).as_deref())
        }
        Ok(Program::LabelNode(arguments)) => label_node::run(arguments, &variable),
        Ok(Program::BootId) => boot_id::run(std::env::var_os(api::kairos::HOST_DIR_ENV)),
        // Also help and the version, which exit with 0.
        Err(error) => error.exit(),
    }
}

fn surroundings(options: &Options) -> Surroundings {
    let file = |path: &str| std::fs::read_to_string(path).ok();
    let [pod_name, pod_namespace] = options.family.pod_variables();
    Surroundings {
        pod_name: variable(pod_name),
        pod_namespace: variable(pod_namespace),
        account_namespace: file(NAMESPACE_FILE),
        host: file(HOST_FILE),
        process: std::process::id(),
        operator_image: variable("OPERATOR_IMAGE"),
        labeler_image: variable("NODE_LABELER_IMAGE"),
        default_image: variable("NODEOP_DEFAULT_IMAGE"),
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
