//! Whether a file is the one that is listed.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256, Sha512};

use crate::FetchError;

/// The size and the hash that a file is to have, and those of what has come of it.
#[derive(Clone, Debug)]
pub(crate) struct Check {
    size: u64,
    digest: String,
    seen: u64,
    hash: Hash,
}

#[derive(Clone, Debug)]
enum Hash {
    Sha256(Sha256),
    Sha512(Box<Sha512>),
}

impl Check {
    pub(crate) fn sha256(size: u64, digest: String) -> Self {
        Self { size, digest, seen: 0, hash: Hash::Sha256(Sha256::new()) }
    }

    pub(crate) fn sha512(size: u64, digest: String) -> Self {
        Self { size, digest, seen: 0, hash: Hash::Sha512(Box::new(Sha512::new())) }
    }

    /// Takes more of the file in; more than is listed is refused before the rest comes.
    pub(crate) fn update(&mut self, bytes: &[u8]) -> Result<(), FetchError> {
        self.seen = self.seen.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if self.seen > self.size {
            return Err(FetchError::HashMismatch { reason: "it is longer" });
        }
        match &mut self.hash {
            Hash::Sha256(hash) => hash.update(bytes),
            Hash::Sha512(hash) => hash.update(bytes),
        }
        Ok(())
    }

    /// The file has come to its end.
    pub(crate) fn finish(self) -> Result<(), FetchError> {
        if self.seen < self.size {
            return Err(FetchError::HashMismatch { reason: "it is shorter" });
        }
        let digest = match self.hash {
            Hash::Sha256(hash) => hex(&hash.finalize()),
            Hash::Sha512(hash) => hex(&hash.finalize()),
        };
        if digest.eq_ignore_ascii_case(&self.digest) {
            Ok(())
        } else {
            Err(FetchError::HashMismatch { reason: "its hash differs" })
        }
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
