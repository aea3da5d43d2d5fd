//! Debian package indexes: which versions of Kubernetes does a `Packages` file list.
//!
//! A version counts where there is a stanza with `Package: kubeadm`; the presence of kubeadm is taken to imply kubelet and
//! kubectl, and cri-tools and kubernetes-cni have numbers of their own. The only module that knows the crate
//! `debian-packaging`.
//!
//! [`IndexReader`] is fed bytes as they come and keeps versions, never the file.

mod lines;
mod stanza;
mod version;

use std::io::{self, Write};

use domain::version::KubernetesVersion;
use flate2::write::MultiGzDecoder;
use xz2::stream::{CONCATENATED, Stream};
use xz2::write::XzDecoder;

use lines::Lines;

pub use version::kubernetes_version;

/// The package whose versions are those of Kubernetes.
const PACKAGE: &str = "kubeadm";
/// Longest line that is read, in bytes. The longest in Debian's own indexes are dependency lists of some ten thousand.
const LONGEST_LINE: usize = 256 * 1024;
/// Most versions of one index. Kubernetes has published some seven hundred in all.
const MOST_VERSIONS: usize = 5_000;
/// What xz may use to unpack, in bytes: its highest preset needs 65 MiB.
const XZ_MEMORY: u64 = 96 * 1024 * 1024;

/// What a package index lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    /// Each version once, the oldest first, prereleases among them as such.
    pub versions: Vec<PackagedVersion>,
    /// Paragraphs of the index, of whatever package.
    pub stanzas: usize,
    /// Stanzas of kubeadm, of whatever architecture.
    pub kubeadm: usize,
    /// Stanzas of kubeadm in the right architecture whose version is none of Kubernetes.
    pub skipped: usize,
}

/// A version of Kubernetes and the package that has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackagedVersion {
    /// Without build metadata.
    pub version: KubernetesVersion,
    /// The package's own version, such as `1.27.3-1.1`; the highest revision where there are several.
    pub package: Box<str>,
}

/// How the end of a file is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By a length or a frame, so that nothing can be missing.
    Framed,
    /// By a closed connection: something may be missing, so a last line without its end is suspect.
    Closed,
}

/// Why bytes are no package index. Says where, and nothing of what they are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    /// It ends in the middle of a stanza or of compressed data.
    #[error("the file ends too early")]
    Truncated,
    /// Unpacked, it is longer than was allowed.
    #[error("it is larger than {limit} bytes when unpacked")]
    TooLarge {
        /// What was allowed, in bytes.
        limit: u64,
    },
    /// The compressed data cannot be unpacked.
    #[error("the {compression} data is damaged or cut short")]
    Damaged {
        /// `gzip` or `xz`.
        compression: &'static str,
    },
    /// A line that no control file has.
    #[error("line {line} is {what}")]
    NotControl {
        /// Counted from one.
        line: usize,
        /// What the line is, as far as can be told.
        what: &'static str,
    },
    /// A stanza that names no package: a `Release` file, or another kind of control file.
    #[error("the stanza that ends at line {line} names no package")]
    NoPackage {
        /// Counted from one.
        line: usize,
    },
    /// More versions than Kubernetes will ever have.
    #[error("it lists more than {MOST_VERSIONS} versions")]
    TooManyVersions,
}

/// Reads a package index from bytes as they come. After an error it is of no more use.
pub struct IndexReader(Decoder);

enum Decoder {
    /// No byte has come yet: the first one tells how the file is packed.
    Undecided(Lines),
    Plain(Lines),
    Gzip(Box<MultiGzDecoder<Lines>>),
    Xz(XzDecoder<Lines>),
}

impl Index {
    /// Whether nothing at all is listed. A file that has shrunk to this is rather an accident than a release.
    pub fn is_empty(&self) -> bool {
        self.stanzas == 0
    }
}

impl IndexReader {
    /// Keeps the versions of one architecture, or of any if it is empty, and stops after `limit` unpacked bytes.
    pub fn new(architecture: &str, limit: u64) -> Self {
        Self(Decoder::Undecided(Lines::new(architecture, limit)))
    }

    /// Reads on. How the file is packed is seen from its first byte, since names and media types are often wrong.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), IndexError> {
        let Some(first) = bytes.first() else { return Ok(()) };
        if let Decoder::Undecided(lines) = &mut self.0 {
            self.0 = Decoder::starting_with(*first, std::mem::take(lines))?;
        }
        match &mut self.0 {
            Decoder::Undecided(_) => Ok(()),
            Decoder::Plain(lines) => lines.push(bytes),
            Decoder::Gzip(gzip) => {
                let wrote = gzip.write_all(bytes);
                wrote.map_err(|error| gzip.get_ref().cause("gzip", &error))
            }
            Decoder::Xz(xz) => {
                let wrote = xz.write_all(bytes);
                wrote.map_err(|error| xz.get_ref().cause("xz", &error))
            }
        }
    }

    /// Ends. A packed file shows itself whether it is whole; a plain one only if its end is known.
    pub fn finish(self, end: End) -> Result<Index, IndexError> {
        match self.0 {
            Decoder::Undecided(lines) | Decoder::Plain(lines) => lines.finish(end),
            Decoder::Gzip(mut gzip) => {
                let finished = gzip.try_finish();
                finished.map_err(|error| gzip.get_ref().cause("gzip", &error))?;
                std::mem::take(gzip.get_mut()).finish(End::Framed)
            }
            Decoder::Xz(mut xz) => {
                let finished = xz.finish();
                finished.map_err(|error| xz.get_ref().cause("xz", &error))?.finish(End::Framed)
            }
        }
    }
}

impl Decoder {
    fn starting_with(first: u8, lines: Lines) -> Result<Self, IndexError> {
        // Neither byte can begin a line of text in UTF-8.
        Ok(match first {
            0x1f => Self::Gzip(Box::new(MultiGzDecoder::new(lines))),
            0xfd => {
                let stream = Stream::new_stream_decoder(XZ_MEMORY, CONCATENATED)
                    .map_err(|_| IndexError::Damaged { compression: "xz" })?;
                Self::Xz(XzDecoder::new_stream(lines, stream))
            }
            _ => Self::Plain(lines),
        })
    }
}

impl Lines {
    /// What stopped the unpacking: an error of the lines themselves if there is one, else the packing's.
    fn cause(&self, compression: &'static str, error: &io::Error) -> IndexError {
        self.error().cloned().unwrap_or_else(|| match error.kind() {
            io::ErrorKind::UnexpectedEof => IndexError::Truncated,
            _ => IndexError::Damaged { compression },
        })
    }
}

#[cfg(test)]
mod tests;
