//! A sequence of choices, out of which everything is made: proptest shrinks the sequence, and what is made of it shrinks
//! with it. Where the sequence has ended, the first choice is taken, which is always the plainest.

use jiff::Timestamp;

/// What is left of a sequence.
#[derive(Clone, Debug)]
pub(crate) struct Choices {
    left: std::vec::IntoIter<u32>,
}

impl Choices {
    pub(crate) fn of(choices: Vec<u32>) -> Self {
        Self { left: choices.into_iter() }
    }

    /// A number below `count`.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        self.left.next().unwrap_or_default() as usize % count.max(1)
    }

    /// True once in `times`.
    pub(crate) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == times - 1
    }

    pub(crate) fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    pub(crate) fn word(&mut self, of: &[&str]) -> String {
        self.one(of).to_owned()
    }

    /// A time as a clock may tell it.
    pub(crate) fn time(&mut self) -> Timestamp {
        let seconds = self.one(&[0, 1, 15, 20, 61, 3_600, 7_200, 86_400, 864_000, -1, -86_400]);
        match self.below(12) {
            0 => Timestamp::UNIX_EPOCH,
            1 => Timestamp::MIN,
            2 => Timestamp::MAX,
            _ => testkit::at(seconds),
        }
    }

    /// A text for a field of this name.
    pub(crate) fn text(&mut self, field: &str) -> String {
        if self.once_in(6) {
            return self.word(ANY);
        }
        let lower = field.to_lowercase();
        let has = |part: &str| lower.contains(part);
        if has("range") {
            self.word(RANGES)
        } else if has("apiversion") {
            self.word(API_VERSIONS)
        } else if has("minor") {
            self.word(MINORS)
        } else if has("version") {
            self.word(VERSIONS)
        } else if has("uid") {
            self.word(UIDS)
        } else if has("url") {
            self.word(URLS)
        } else if has("namespace") {
            self.word(&["ns", "ns", "ns", "other", ""])
        } else if has("kind") {
            self.word(KINDS)
        } else if has("operator") {
            self.word(&["In", "NotIn", "Exists", "DoesNotExist", "exists", ""])
        } else if has("architecture") {
            self.word(&["amd64", "", "arm64"])
        } else if has("key") {
            self.word(KEYS)
        } else if has("variable") {
            self.word(VARIABLES)
        } else if has("value") || has("label") || lower == "id" {
            self.word(VALUES)
        } else if has("name") || has("machineimage") || lower == "class" {
            self.word(NAMES)
        } else if has("phase") {
            self.word(&["Provisioned", "Building", "Created", "Failed", "FoundMachineImage", "Succeeded"])
        } else if has("reason") {
            self.word(&["Paused", "NoSuitableMachineImage", "Building", "ImageIdAmbiguous", "Done"])
        } else {
            self.word(ANY)
        }
    }
}

/// Names of objects of every kind: they are the same, so that references hit.
pub(crate) const NAMES: &[&str] = &["a", "b", "c", "a-v1.36.2-k2x4q", "a.b"];
/// Also the same for all kinds: owners are found by uid alone.
pub(crate) const UIDS: &[&str] = &["uid-1", "uid-2", "uid-3", "uid-4", "", "uid-5"];
/// Topology variables, among them one that no class defines.
const VARIABLES: &[&str] = &["image", "image", "region", ""];
const VALUES: &[&str] = &["img:2", "img:4", "v1.36.2", "", "true", "a", "ami-0\u{202e}1", "a b"];
const KEYS: &[&str] = &["a", "kubernetes-version", "ca.crt", "", "/", "Ä"];
const VERSIONS: &[&str] = &[
    "v1.36.2",
    "v1.36.4",
    "1.36.2",
    "v1.35.7",
    "v1.34.0",
    "v1.37.0-rc.1",
    "v1.36.2+build.7",
    "1.36",
    "v2.0.0",
    "v0.0.0",
    "v1.18446744073709551615.0",
    "v1.18446744073709551616.0",
    "v18446744073709551615.18446744073709551615.18446744073709551615",
    "v1.036.2",
    "v1",
    "1.36.2 ",
    "latest",
    "",
    "ｖ１.３６.２",
];
const MINORS: &[&str] =
    &["v1.36", "1.36", "1.35", "1.0", "", "18446744073709551615.18446744073709551615", "x"];
const RANGES: &[&str] = &[
    "v1.36.x",
    ">=1.34.0 <2.0.0",
    "*",
    ">=1.35.2 <1.37",
    "^1.34",
    "~1.36.1 || 1.35.x",
    "1.34 - 1.36",
    "<0.0.0-0",
    "!=1.36.2",
    ">18446744073709551615",
    "1.36.x, <",
    "||",
    "x",
    "1.36.2\n1.36.3",
    "0",
];
const URLS: &[&str] = &[
    "https://pkgs.k8s.io/core:/stable:/v1.36/deb/Packages",
    "https://pkgs.k8s.io/core:/stable:/v{minor}/deb/Packages",
    "http://user:secret@host/{minor}/dists/main/binary-amd64/Packages.gz?token=1",
    "https://[::1]:99999/Packages",
    "https://host",
    "https://host/{minor}{minor}",
    "ftp://host/Packages",
    "https:///",
    "{minor}",
    "://",
];
const API_VERSIONS: &[&str] = &[
    "kubernetesupgraded.dimitrikoshkin.com/v1alpha1",
    "kubernetesupgraded.dimitrikoshkin.com/v1alpha1",
    "example.org/v1",
    "v1",
    "",
    "a/b/c",
];
const KINDS: &[&str] = &[
    "DebianRepositorySource",
    "Versions",
    "MachineImageTemplate",
    "MachineImage",
    "Plan",
    "Job",
    "KubeadmControlPlane",
    "",
];
/// Duration texts that the schemas admit.
pub(crate) const DURATIONS: &[&str] = &[
    "10m",
    "72h",
    "0s",
    "10s",
    "0.5h30m",
    "999999999999999999h",
    "99999999999999999999999999999999h",
    "9223372036854775807ns",
    "0.00000000000000000000001ns",
    "5µs",
    "1h1h1h",
];
/// Times that the schemas admit, not all of which are times to jiff.
pub(crate) const TIMES: &[&str] = &[
    "2026-11-21T09:00:00Z",
    "2026-11-21T10:00:00Z",
    "2026-11-21T11:00:00.123456789Z",
    "2020-02-29T00:00:00+14:00",
    "0000-01-01T00:00:00Z",
    "0001-01-01T00:00:00Z",
    "9999-12-30T21:59:59Z",
    "9999-12-31T23:59:59Z",
    "2026-11-21t10:00:00z",
    "2026-11-21T10:00:00+99:99",
];
/// Texts that have no business anywhere.
pub(crate) const ANY: &[&str] = &[
    "a",
    "",
    "two\nlines",
    " ",
    "null",
    "\u{0}\u{7}\u{1b}[31m",
    "\u{2028}\r\n\t",
    "Straße 🚢 e\u{301}\u{200d}",
    "{\"imageId\":\"img:4\"}",
    "{\"version\":\"v1.36.2\",\"image\":\"img:2\"}",
    "%s%n{}{0}\\",
    LONG,
];
/// Longer than what a name or a label may be, of characters of several bytes, so that a cut at a byte would be a panic.
const LONG: &str = concat!(
    "ääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääää",
    "🚢🚢🚢🚢🚢🚢🚢🚢🚢🚢🚢🚢🚢🚢🚢🚢🚢🚢🚢🚢🚢🚢🚢🚢🚢🚢🚢🚢🚢🚢🚢🚢🚢🚢🚢🚢🚢🚢🚢🚢",
    "éééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééé",
    "ééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééé.-"
);
