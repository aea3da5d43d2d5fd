//! The scripts, run by the machine's own sh, with a `kairos-agent` and a `mount` that write down how they were called.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use tempfile::TempDir;

use super::super::script;
use super::*;

const V1: &str = "KAIROS_VERSION=\"v3.5.0\"\nKAIROS_SOFTWARE_VERSION_PREFIX=\"k3s\"\nKAIROS_SOFTWARE_VERSION=\"v1.33.2+k3s1\"\n";
const V2: &str = "KAIROS_VERSION=\"v3.6.0\"\nKAIROS_SOFTWARE_VERSION_PREFIX=\"k3s\"\nKAIROS_SOFTWARE_VERSION=\"v1.33.2+k3s1\"\n";
const EXCLUDES: &str = "[--exclude-path] [/etc/hostname] [--exclude-path] [/etc/hosts]";

/// A node and an image.
struct Bench(TempDir);

struct Ran {
    code: Option<i32>,
    out: String,
    termination: String,
    calls: Vec<String>,
}

impl Bench {
    fn new() -> Self {
        let bench = Self(tempfile::tempdir().unwrap());
        fs::create_dir(bench.0.path().join("bin")).unwrap();
        bench.program("mount", 0);
        bench.program("kairos-agent", 0);
        bench
    }

    /// With the release files of the image and of the node.
    fn of(target: Option<&str>, current: Option<&str>) -> Self {
        let bench = Self::new();
        for (name, text) in [("target-kairos", target), ("host-kairos", current)] {
            if let Some(text) = text {
                bench.file(name, text);
            }
        }
        bench
    }

    fn file(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).unwrap();
    }

    /// A program that writes down its arguments, each in brackets, and ends with `code`.
    fn program(&self, name: &str, code: u32) {
        let calls = self.0.path().join("calls");
        let calls = calls.display();
        let path = self.0.path().join("bin").join(name);
        let text = format!(
            "#!/bin/sh\nline={name}\nfor word in \"$@\"; do line=\"$line [$word]\"; done\nprintf '%s\\n' \"$line\" >>'{calls}'\nexit {code}\n"
        );
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn run(&self, script: &str) -> Ran {
        let at = |name: &str| self.0.path().join(name);
        // What kubelet hands to the shell.
        let script = expanded(script, "HOST_DIR", "/host");
        let path = format!("{}:{}", at("bin").display(), std::env::var("PATH").unwrap());
        let output = Command::new("/bin/sh")
            .args(["-c", &script])
            .env("PATH", path)
            .env("HOST_DIR", "/host")
            .env("TARGET_KAIROS_RELEASE", at("target-kairos"))
            .env("TARGET_OS_RELEASE", at("target-os"))
            .env("HOST_KAIROS_RELEASE", at("host-kairos"))
            .env("HOST_OS_RELEASE", at("host-os"))
            .env("TERMINATION_LOG", at("termination"))
            // As an image may have it; it is nobody's version.
            .env("KAIROS_VERSION", "v0")
            .output()
            .unwrap();
        let read = |name: &str| fs::read_to_string(at(name)).unwrap_or_default();
        Ran {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            termination: read("termination"),
            calls: read("calls").lines().map(str::to_owned).collect(),
        }
    }

    /// The termination message of the preflight.
    fn preflight(&self) -> String {
        let ran = self.run(&script::preflight());
        assert_eq!((ran.code, ran.calls), (Some(0), vec![]), "{}", ran.out);
        ran.termination
    }

    fn upgrade(&self, spec: &str) -> Ran {
        self.run(&of(spec))
    }
}

fn of(spec: &str) -> String {
    script::upgrade(&row(&objects(&upgrade(spec, "{}"))[0]))
}

/// `$(NAME)` and `$$` in a command, by the rules of Kubernetes: what is not known stays, and the scan for the end of a name goes
/// to the next closing parenthesis, whatever stands before it.
fn expanded(text: &str, name: &str, value: &str) -> String {
    let (mut done, mut rest) = (String::new(), text);
    while let Some(at) = rest.find('$') {
        done.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            done.push('$');
            rest = after;
        } else if let Some((inner, after)) = rest.strip_prefix('(').and_then(|inner| inner.split_once(')')) {
            if inner == name {
                done.push_str(value)
            } else {
                done.extend(["$(", inner, ")"]);
            }
            rest = after;
        } else {
            done.push('$');
        }
    }
    done + rest
}

#[test]
fn kubernetes_finds_nothing_to_expand() {
    assert_eq!(expanded("$(A) $$ $(B) $(A", "A", "1"), "1 $ $(B) $(A");
    for script in [script::preflight(), of(""), of(", force: true, excludePaths: ['/$(HOST_DIR)/$$/a$(b']")] {
        assert_eq!(expanded(&script, "HOST_DIR", "/host"), script);
    }
}

#[test]
fn a_node_at_the_version_of_the_image_is_skipped() {
    let message = "node is already at v3.5.0-k3sv1.33.2+k3s1\n";
    assert_eq!(Bench::of(Some(V1), Some(V1)).preflight(), message);
    let bench = Bench::new();
    bench.file("target-os", V1);
    bench.file("host-os", V1);
    assert_eq!(bench.preflight(), message, "os-release serves where there is no kairos-release");
    let bench = Bench::of(Some(V1), Some("NAME=x\n"));
    bench.file("host-os", V1);
    assert_eq!(bench.preflight(), message, "and where that does not tell");
    let plain = "KAIROS_VERSION=v3.5.0\n";
    assert_eq!(
        Bench::of(Some(plain), Some("KAIROS_VERSION='v3.5.0'")).preflight(),
        "node is already at v3.5.0-\n"
    );
}

#[test]
fn every_other_node_is_upgraded() {
    for (target, current) in [
        (Some(V2), Some(V1)),
        (Some(V1), None),
        (None, Some(V1)),
        (None, None),
        (Some(""), Some("")),
        (Some("KAIROS_SOFTWARE_VERSION=v1\n"), Some("KAIROS_SOFTWARE_VERSION=v1\n")),
        (Some("KAIROS_VERSION=\n"), Some("KAIROS_VERSION=\n")),
        (
            Some("KAIROS_VERSION=v1\nKAIROS_SOFTWARE_VERSION=a\n"),
            Some("KAIROS_VERSION=v1\nKAIROS_SOFTWARE_VERSION=b\n"),
        ),
        (Some("KAIROS_VERSION=v1\n"), Some("KAIROS_VERSION=v1\nKAIROS_SOFTWARE_VERSION_PREFIX=k3s\n")),
        (Some("X_KAIROS_VERSION=v1\n"), Some("X_KAIROS_VERSION=v1\n")),
    ] {
        let bench = Bench::of(target, current);
        assert_eq!(bench.preflight(), "", "{target:?} {current:?}");
        let ran = bench.upgrade("");
        assert_eq!((ran.code, ran.calls.len()), (Some(0), 3), "{target:?} {current:?}: {}", ran.out);
    }
}

/// A release file is data: what a shell would run of it is not run.
#[test]
fn nothing_of_a_release_file_is_run() {
    let bench = Bench::new();
    let evil =
        format!("KAIROS_VERSION=\"$(touch {0}/ran)\"\ntouch {0}/ran\nexit 3\n", bench.0.path().display());
    bench.file("target-kairos", &evil);
    bench.file("host-kairos", &evil);
    assert!(bench.preflight().starts_with("node is already at $(touch "));
    assert!(!bench.0.path().join("ran").exists());
}

#[test]
fn both_versions_are_in_the_log() {
    let ran = Bench::of(Some(V1), None).run(&script::preflight());
    assert_eq!(ran.out, "version of the image: v3.5.0-k3sv1.33.2+k3s1\nversion of the node: unknown\n");
}

#[test]
fn the_agent_is_called_for_what_is_asked_for_recovery_first() {
    let mounts = ["mount [-o] [rbind] [/host/dev] [/dev]", "mount [-o] [rbind] [/host/run] [/run]"];
    let active = format!("kairos-agent [upgrade] [--source] [dir:/] {EXCLUDES}");
    let recovery = format!("kairos-agent [upgrade] [--recovery] [--source] [dir:/] {EXCLUDES}");
    let debugged = active.replace("[upgrade]", "[--debug] [upgrade]");
    for (spec, agents) in [
        ("", vec![active.clone()]),
        (", upgradeActive: false, upgradeRecovery: true", vec![recovery.clone()]),
        (", upgradeRecovery: true", vec![recovery, active.clone()]),
        (", upgradeActive: false", vec![active]),
        (", debug: true", vec![debugged]),
    ] {
        let ran = Bench::of(Some(V2), Some(V1)).upgrade(spec);
        let calls: Vec<String> = mounts.map(str::to_owned).into_iter().chain(agents).collect();
        assert_eq!((ran.code, ran.calls), (Some(0), calls), "{spec}");
    }
}

#[test]
fn paths_reach_the_agent_as_they_are() {
    let paths = ["/a b", "/it's", "/$HOME", "/$(HOST_DIR)/$$", "/`id`;&|*\\n\"", "-x", "/new\nline"];
    let list = serde_json::to_string(&paths).unwrap();
    let ran =
        Bench::of(Some(V2), Some(V1)).upgrade(&format!(", upgradeRecovery: true, excludePaths: {list}"));
    let words = paths.map(|path| format!(" [--exclude-path] [{path}]")).concat();
    let calls = ran.calls.join("\n");
    for recovery in ["[--recovery] ", ""] {
        let call = format!("kairos-agent [upgrade] {recovery}[--source] [dir:/] {EXCLUDES}{words}");
        assert!(calls.contains(&call), "{call} not in {calls}");
    }
}

/// The node was upgraded after its preflight: the Job ends well, and says so.
#[test]
fn a_job_that_finds_nothing_to_do_does_nothing() {
    let ran = Bench::of(Some(V1), Some(V1)).upgrade(", upgradeRecovery: true");
    assert_eq!((ran.code, ran.calls), (Some(0), vec![]));
    assert!(ran.out.contains("Up to date\n"), "{}", ran.out);
    assert_eq!(ran.termination, "node is already at v3.5.0-k3sv1.33.2+k3s1\n");
}

#[test]
fn force_and_recovery_alone_compare_nothing() {
    for spec in [", force: true", ", upgradeActive: false, upgradeRecovery: true"] {
        let ran = Bench::of(Some(V1), Some(V1)).upgrade(spec);
        assert_eq!((ran.code, ran.calls.len(), ran.termination.as_str()), (Some(0), 3, ""), "{spec}");
    }
}

#[test]
fn what_fails_ends_the_job_with_its_code() {
    let bench = Bench::of(Some(V2), Some(V1));
    bench.program("kairos-agent", 7);
    let ran = bench.upgrade(", upgradeRecovery: true");
    assert_eq!((ran.code, ran.calls.len()), (Some(7), 3), "active is not touched after recovery has failed");
    let bench = Bench::of(Some(V2), Some(V1));
    bench.program("mount", 32);
    let ran = bench.upgrade("");
    assert_eq!((ran.code, ran.calls.len()), (Some(32), 1), "no agent without the node's disks");
}
