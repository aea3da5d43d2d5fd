//! From the version of a package to the version of Kubernetes in it.

use debian_packaging::package_version::PackageVersion;
use domain::version::KubernetesVersion;
use semver::{BuildMetadata, Prerelease, Version};

/// Longest version that is read, in bytes.
const LONGEST: usize = 128;
/// Longest number in a version: what has more digits does not fit 64 bits, and makes `PackageVersion`'s order panic.
const MOST_DIGITS: usize = 19;
/// How the prereleases of Kubernetes are named.
const PRERELEASES: [&str; 3] = ["alpha", "beta", "rc"];

/// The version of Kubernetes in a package of this version, or `None` if it is no version of Kubernetes.
///
/// | package | Kubernetes | |
/// |---|---|---|
/// | `1.27.1-1.1` | `v1.27.1` | the package's revision goes |
/// | `1.26.8-00` | `v1.26.8` | so did the retired apt.kubernetes.io number them |
/// | `1:1.27.1-1` | `v1.27.1` | so does the epoch |
/// | `1.27.1+dfsg-1` | `v1.27.1` | so does what a packager added |
/// | `1.27-1` | `v1.27.0` | |
/// | `1.29.0~rc.1-1.1`, `1.29.0-rc.1`, `1.29.0-rc.1-00` | `v1.29.0-rc.1` | a prerelease stays one |
/// | `1.29.0~git20231101-1` | `v1.29.0-git20231101` | to Debian, `~` is always before the release |
/// | `latest`, `1.2.3.4-1`, `1.29.0~rc.01-1` | | |
pub fn kubernetes_version(package: &str) -> Option<KubernetesVersion> {
    mapped(&package_version(package)?).map(KubernetesVersion::from)
}

pub(super) fn package_version(text: &str) -> Option<PackageVersion> {
    let longest_number = text.split(|c: char| !c.is_ascii_digit()).map(str::len).max();
    if text.len() > LONGEST || longest_number.is_none_or(|digits| digits > MOST_DIGITS) {
        return None;
    }
    PackageVersion::parse(text).ok()
}

/// As [`kubernetes_version`], without build metadata: two equal ones are the same.
pub(super) fn mapped(package: &PackageVersion) -> Option<Version> {
    let upstream = package.upstream_version();
    let end = upstream.find(['~', '-', '+']).unwrap_or(upstream.len());
    let (numbers, tail) = upstream.split_at_checked(end)?;
    let mut version = KubernetesVersion::parse_lenient(numbers).ok()?.as_semver().clone();
    version.build = BuildMetadata::EMPTY;
    version.pre = if let Some(tail) = tail.strip_prefix('~') {
        let pre = Prerelease::new(&before(tail, &['+']).replace('~', ".")).ok()?;
        // `1.29.0~` is older than 1.29.0, and nothing says what it is.
        (!pre.is_empty()).then_some(pre)?
    } else if let Some(tail) = tail.strip_prefix('-') {
        prerelease(tail)?
    } else {
        // The last `-` begins the revision, even where it is SemVer's own.
        prerelease(package.debian_revision().unwrap_or_default())?
    };
    Some(version)
}

/// What is after a `-` is a prerelease where it is named like one, and a revision of the package else.
fn prerelease(tail: &str) -> Option<Prerelease> {
    let named = PRERELEASES.iter().any(|name| {
        let rest = tail
            .get(..name.len())
            .filter(|start| start.eq_ignore_ascii_case(name))
            .and(tail.get(name.len()..));
        rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphabetic()))
    });
    if named { Prerelease::new(before(tail, &['+', '~'])).ok() } else { Some(Prerelease::EMPTY) }
}

fn before<'a>(text: &'a str, marks: &[char]) -> &'a str {
    text.split(marks).next().unwrap_or_default()
}
