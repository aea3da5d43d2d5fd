//! The two scripts of an upgrade, which run in the image that nodes are upgraded to: POSIX sh, with what busybox has.
//!
//! Both compare one version, `<KAIROS_VERSION>-<KAIROS_SOFTWARE_VERSION_PREFIX><KAIROS_SOFTWARE_VERSION>`, of the release
//! files of the image and of the node. They read the files and do not run them, as the original does. A version that cannot
//! be told is equal to none. In tests the files and the termination log are elsewhere, by TARGET_KAIROS_RELEASE,
//! TARGET_OS_RELEASE, HOST_KAIROS_RELEASE, HOST_OS_RELEASE and TERMINATION_LOG.
//!
//! A node that is found at the version by the script of the Job, and was not by the preflight, has been upgraded in between:
//! its Job was run again after it had rebooted by itself, say. The release file of a node is that of the system that it runs,
//! so that it runs the version already, and to reboot it would change nothing. The script ends with 0, as the original's does, and
//! leaves the sentence of the preflight as its termination message: by that the NodeOp knows that no reboot is to follow.

use std::fmt::Write as _;

use api::kairos::node_op_upgrade::NodeOpUpgradeRow;

/// The first line of our upgrade script, by which one is told from the original's.
const HEAD: &str = "# Upgrades this node to the system that this image has.\n";

/// Sets `target` and `current`, each empty where it is unknown.
const VERSIONS: &str = r#"field() {
  value=
  while IFS= read -r line || [ -n "$line" ]; do
    case $line in
      "$1="* | "export $1="*) value=${line#*=} ;;
    esac
  done <"$2"
  case $value in
    \"*\") value=${value#\"} && value=${value%\"} ;;
    \'*\') value=${value#\'} && value=${value%\'} ;;
  esac
  printf '%s' "$value"
}
version() {
  for file in "$@"; do
    if [ -f "$file" ] && [ -r "$file" ]; then
      release=$(field KAIROS_VERSION "$file")
      if [ -n "$release" ]; then
        prefix=$(field KAIROS_SOFTWARE_VERSION_PREFIX "$file")
        software=$(field KAIROS_SOFTWARE_VERSION "$file")
        printf '%s-%s%s' "$release" "$prefix" "$software"
        return 0
      fi
    fi
  done
}
target=$(version "${TARGET_KAIROS_RELEASE:-/etc/kairos-release}" "${TARGET_OS_RELEASE:-/etc/os-release}")
current=$(version "${HOST_KAIROS_RELEASE:-$host/etc/kairos-release}" "${HOST_OS_RELEASE:-$host/etc/os-release}")
printf 'version of the image: %s\n' "${target:-unknown}"
printf 'version of the node: %s\n' "${current:-unknown}"
"#;

/// What the sentence of a node without anything to do begins with, in both scripts.
const ALREADY: &str = "node is already at ";

/// What a termination message says makes the preflight skip the node.
const SKIP: &str = r#"if [ -n "$target" ] && [ "$target" = "$current" ]; then
  printf 'node is already at %s\n' "$current" >"${TERMINATION_LOG:-/dev/termination-log}"
fi
"#;

const STOP: &str = r#"if [ -n "$target" ] && [ "$target" = "$current" ]; then
  printf 'Up to date\n'
  printf 'node is already at %s\n' "$current" >"${TERMINATION_LOG:-/dev/termination-log}" || true
  exit 0
fi
"#;

/// The agent works on the disks of the node.
const MOUNTS: &str = r#"set -x
mount -o rbind "$host/dev" /dev
mount -o rbind "$host/run" /run
"#;

const SETTINGS: &str = "set -eu\nhost=${HOST_DIR:-/host}\n";

/// Kubelet writes these two into every container: they are its, not the image's.
const KUBELETS_OWN: [&str; 2] = ["/etc/hostname", "/etc/hosts"];

const AGENT: &str = "kairos-agent ";

/// Whether a node that is at the version of the image is left alone. Of the recovery system nothing tells the version, so that
/// an upgrade of it alone is never skipped; neither is one that is forced.
pub(super) fn compares_versions(upgrade: &NodeOpUpgradeRow) -> bool {
    !upgrade.force && (upgrade.upgrade_active || !upgrade.upgrade_recovery)
}

/// The script of the preflight. It leaves a termination message where there is nothing to do.
pub(super) fn preflight() -> String {
    [SETTINGS, VERSIONS, SKIP].concat()
}

/// The script of the Job. Recovery comes before active, so that there is something to fall back to when active is changed.
/// The exit code of an agent that fails is its own.
pub(super) fn upgrade(upgrade: &NodeOpUpgradeRow) -> String {
    let mut script = [HEAD, SETTINGS].concat();
    if compares_versions(upgrade) {
        script.push_str(VERSIONS);
        script.push_str(STOP);
    }
    script.push_str(MOUNTS);
    let debug = if upgrade.debug { "--debug " } else { "" };
    let mut excludes = String::new();
    let own = upgrade.exclude_paths.iter().map(AsRef::as_ref).filter(|path: &&str| !path.is_empty());
    for path in KUBELETS_OWN.into_iter().chain(own) {
        // Writing to a String cannot fail.
        let _ = write!(excludes, " --exclude-path {}", quoted(path));
    }
    let recovery = upgrade.upgrade_recovery.then_some("upgrade --recovery");
    let active = (upgrade.upgrade_active || !upgrade.upgrade_recovery).then_some("upgrade");
    for command in [recovery, active].into_iter().flatten() {
        let _ = writeln!(script, "{AGENT}{debug}{command} --source dir:/{excludes}");
    }
    script
}

/// What our upgrade script has said of a node that it left as it was, if `command` is that script and `message` its
/// termination message. What a command of somebody else leaves there is his, and says nothing about a reboot.
pub(in crate::kairos) fn nothing_to_do<'a>(command: &[Box<str>], message: &'a str) -> Option<&'a str> {
    let ours = command.last().is_some_and(|script| script.starts_with(HEAD));
    let sentence = message.lines().next()?.trim();
    (ours && sentence.starts_with(ALREADY)).then_some(sentence)
}

/// What our upgrade script does, without how it finds out whether to: the calls of the agent, and whether versions are
/// compared. Nothing for a script of somebody else.
pub(super) fn gist(script: &str) -> Option<(bool, Vec<&str>)> {
    let body = script.strip_prefix(HEAD)?;
    Some((body.contains("target="), body.lines().filter(|line| line.starts_with(AGENT)).collect()))
}

/// One word of a shell, whatever the text. Kubernetes looks for `$(NAME)` and `$$` in commands before any shell does: what of
/// the text it would take for either is parted by two quotes.
fn quoted(text: &str) -> String {
    let mut word = String::with_capacity(text.len() + 2);
    word.push('\'');
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '\'' => word.push_str(r"'\''"),
            '$' if matches!(rest.peek(), Some('$' | '(')) => word.push_str("$''"),
            character => word.push(character),
        }
    }
    word.push('\'');
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_path_is_one_word() {
        for (path, word) in [
            ("/var/lib", "'/var/lib'"),
            ("/a b", "'/a b'"),
            ("/it's", r"'/it'\''s'"),
            ("/$HOME", "'/$HOME'"),
            ("/$(HOST_DIR)", "'/$''(HOST_DIR)'"),
            ("/a$$b$", "'/a$''$b$'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(path), word);
        }
    }

    #[test]
    fn only_the_sentence_of_our_script_means_that_there_was_nothing_to_do() {
        let ours = ["/bin/sh", "-c", &[HEAD, SETTINGS, VERSIONS, STOP].concat()].map(Box::from);
        assert!(SKIP.contains(ALREADY) && STOP.contains(ALREADY));
        assert_eq!(nothing_to_do(&ours, "node is already at v3\n"), Some("node is already at v3"));
        assert_eq!(nothing_to_do(&ours, "node is already at v3\nand more"), Some("node is already at v3"));
        for other in ["", "\n", "done", "the node is already at v3"] {
            assert_eq!(nothing_to_do(&ours, other), None, "{other}");
        }
        let theirs = ["/bin/sh", "-c", "upgrade"].map(Box::from);
        assert_eq!(nothing_to_do(&theirs, "node is already at v3"), None);
        assert_eq!(nothing_to_do(&[], "node is already at v3"), None);
    }

    #[test]
    fn a_script_of_the_original_has_no_gist() {
        assert_eq!(gist("set -x -e\nkairos-agent upgrade --source dir:/\n"), None);
    }
}
