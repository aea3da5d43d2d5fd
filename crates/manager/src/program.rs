//! What the binary is asked to be: a manager, or one of the small programs that its pods on nodes run.

use std::ffi::OsString;

use clap::Command;

use crate::options::{Options, VERSION};

/// What the arguments ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// Controllers: `manager` and `manager nodes`.
    Manager(Box<Options>),
    /// `manager reboot`: what runs in a reboot pod.
    Reboot,
    /// `manager boot-id`: what runs in the last container of a Job that is followed by a reboot.
    BootId,
    /// `manager label-node` with these arguments: what runs in a pod of the labeler.
    LabelNode(Vec<OsString>),
}

impl Program {
    /// Reads the arguments, the program's name first. Help and the version come back as errors that exit with 0.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let arguments: Vec<OsString> = arguments.into_iter().collect();
        match arguments.get(1).and_then(|argument| argument.to_str()) {
            Some("reboot") => without_flags(
                "manager reboot",
                "Runs in a reboot pod: reboots the node once an annotation of the pod says so, and ends with 0 once it has rebooted",
                &arguments,
            )
            .map(|()| Self::Reboot),
            Some("boot-id") => without_flags(
                "manager boot-id",
                "Runs after a command on a node: leaves the node's boot ID as the termination message of its container",
                &arguments,
            )
            .map(|()| Self::BootId),
            Some("label-node") => Ok(Self::LabelNode(arguments.into_iter().skip(2).collect())),
            _ => Options::parse(arguments).map(|options| Self::Manager(Box::new(options))),
        }
    }
}

/// Everything that these programs need is in their environment, which the pod's manifest fills in.
fn without_flags(name: &'static str, about: &'static str, arguments: &[OsString]) -> Result<(), clap::Error> {
    let command = Command::new(name).bin_name(name).version(VERSION).about(about);
    command.try_get_matches_from(arguments.iter().skip(1)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::Family;

    fn parse(arguments: &[&str]) -> Result<Program, clap::Error> {
        Program::parse(std::iter::once("manager").chain(arguments.iter().copied()).map(OsString::from))
    }

    #[test]
    fn without_a_subcommand_it_is_the_manager_of_the_chain() {
        for (arguments, family) in [
            (&[][..], Family::Chain),
            (&["--leader-elect"], Family::Chain),
            (&["nodes"], Family::Nodes),
            (&["nodes", "-leader-elect"], Family::Nodes),
        ] {
            let Program::Manager(options) = parse(arguments).unwrap() else { panic!("{arguments:?}") };
            assert_eq!(options.family, family, "{arguments:?}");
        }
    }

    #[test]
    fn the_small_programs_get_their_own_arguments() {
        assert_eq!(parse(&["reboot"]).unwrap(), Program::Reboot);
        assert_eq!(parse(&["boot-id"]).unwrap(), Program::BootId);
        for arguments in [&["reboot", "now"][..], &["boot-id", "--leader-elect"], &["restart"]] {
            assert_eq!(parse(arguments).unwrap_err().exit_code(), 2, "{arguments:?}");
        }
        let Program::LabelNode(rest) = parse(&["label-node", "--every", "60"]).unwrap() else { panic!() };
        assert_eq!(rest, ["--every", "60"]);
        for program in ["reboot", "boot-id"] {
            assert_eq!(parse(&[program, "--help"]).unwrap_err().exit_code(), 0);
            let version = parse(&[program, "--version"]).unwrap_err().to_string();
            assert_eq!(version, format!("manager {program} {VERSION}\n"));
        }
    }
}
