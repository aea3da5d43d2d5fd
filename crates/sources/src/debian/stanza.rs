//! From lines to versions. Only the three fields that count are kept of a stanza, so an index of any size costs little.

use std::collections::BTreeMap;

use debian_packaging::control::{ControlFileParser, ControlParagraph};
use debian_packaging::package_version::PackageVersion;
use domain::version::KubernetesVersion;

use super::version::{mapped, package_version};
use super::{End, Index, IndexError, MOST_VERSIONS, PACKAGE, PackagedVersion};

const FIELDS: [&str; 3] = ["Package", "Version", "Architecture"];

#[derive(Default)]
pub(super) struct Stanzas {
    architecture: String,
    parser: ControlFileParser,
    /// Number of the line read last.
    line: usize,
    /// Whether the stanza has any field yet, and whether its last one is kept.
    within: Option<bool>,
    /// By version, of which build metadata is no part; the package with the highest revision.
    found: BTreeMap<semver::Version, PackageVersion>,
    index: Index,
}

enum Line<'a> {
    Blank,
    Continued,
    Field { name: &'a str },
}

impl Stanzas {
    pub(super) fn new(architecture: &str) -> Self {
        Self { architecture: architecture.to_owned(), ..Self::default() }
    }

    /// Takes one line without its end.
    pub(super) fn line(&mut self, line: &[u8]) -> Result<(), IndexError> {
        self.line += 1;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        // Descriptions of old packages are Latin-1; of the fields that count, what is not ASCII maps to no version.
        let text = String::from_utf8_lossy(line);
        match self.kind(&text)? {
            Line::Blank => self.close(),
            Line::Continued => match self.within {
                Some(true) => {
                    // None of the three fields goes on legally; one more line shows that, the others are not kept.
                    self.within = Some(false);
                    // The parser knows of no tabs.
                    self.feed(&format!(" {}", text.trim_start())).map(|_| ())
                }
                Some(false) => Ok(()),
                None => Err(self.not_control("a continuation of nothing")),
            },
            Line::Field { name } => {
                let keep = is_kept(name);
                self.within = Some(keep);
                if keep { self.feed(&text).map(|_| ()) } else { Ok(()) }
            }
        }
    }

    pub(super) fn finish(mut self, end: End) -> Result<Index, IndexError> {
        if end == End::Closed && self.within.is_some() {
            let parser = std::mem::take(&mut self.parser);
            let last = parser.finish().ok().flatten().unwrap_or_default();
            // Another package's last stanza may be cut short without harm.
            let whole = FIELDS.iter().all(|name| last.has_field(name));
            if !whole && last.field_str("Package").is_some_and(|name| name == PACKAGE) {
                return Err(IndexError::Truncated);
            }
            self.take(&last)?;
        } else {
            self.close()?;
        }
        let versions = self.found.into_iter().map(|(version, package)| PackagedVersion {
            version: KubernetesVersion::from(version),
            package: package.to_string().into(),
        });
        self.index.versions = versions.collect();
        Ok(self.index)
    }

    /// Whether a line, perhaps cut short, is one whose end matters.
    pub(super) fn would_keep(&self, line: &[u8]) -> bool {
        match self.kind(&String::from_utf8_lossy(line)) {
            Ok(Line::Field { name }) => is_kept(name),
            Ok(Line::Continued) => self.within == Some(true),
            Ok(Line::Blank) => false,
            // A field's name that was cut short has no colon.
            Err(_) => true,
        }
    }

    pub(super) fn not_control(&self, what: &'static str) -> IndexError {
        IndexError::NotControl { line: self.line.max(1), what }
    }

    fn kind<'a>(&self, text: &'a str) -> Result<Line<'a>, IndexError> {
        if text.trim().is_empty() {
            return Ok(Line::Blank);
        }
        if text.starts_with([' ', '\t']) {
            return Ok(Line::Continued);
        }
        if text.starts_with('<') {
            return Err(self.not_control("HTML or XML"));
        }
        match text.split_once(':') {
            Some((name, _)) if is_field_name(name) => Ok(Line::Field { name }),
            _ => Err(self.not_control("not `Field: value`")),
        }
    }

    fn close(&mut self) -> Result<(), IndexError> {
        let paragraph = self.feed("")?;
        if self.within.take().is_some() { self.take(&paragraph.unwrap_or_default()) } else { Ok(()) }
    }

    /// The parser's own errors quote the line: they are not passed on.
    fn feed(&mut self, line: &str) -> Result<Option<ControlParagraph<'static>>, IndexError> {
        self.parser.write_line(&format!("{line}\n")).map_err(|_| self.not_control("not `Field: value`"))
    }

    fn take(&mut self, stanza: &ControlParagraph<'_>) -> Result<(), IndexError> {
        self.index.stanzas += 1;
        let name = stanza.field_str("Package").ok_or(IndexError::NoPackage { line: self.line })?;
        if name != PACKAGE {
            return Ok(());
        }
        self.index.kubeadm += 1;
        let architecture = stanza.field_str("Architecture").unwrap_or_default();
        if !self.architecture.is_empty() && architecture != self.architecture {
            return Ok(());
        }
        let packaged = stanza.field_str("Version").and_then(package_version);
        let Some((package, version)) =
            packaged.and_then(|package| mapped(&package).map(|version| (package, version)))
        else {
            self.index.skipped += 1;
            return Ok(());
        };
        let known = self.found.get(&version);
        if known.is_none_or(|known| *known < package) {
            self.found.insert(version, package);
        }
        if self.found.len() > MOST_VERSIONS { Err(IndexError::TooManyVersions) } else { Ok(()) }
    }
}

fn is_kept(name: &str) -> bool {
    FIELDS.iter().any(|field| field.eq_ignore_ascii_case(name))
}

/// As Debian policy 5.1 has it: printable ASCII but space and colon, not beginning with `#` or `-`.
fn is_field_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with(['#', '-']) && name.bytes().all(|byte| byte.is_ascii_graphic())
}
