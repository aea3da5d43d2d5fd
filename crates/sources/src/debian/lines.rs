//! From bytes to lines, within limits.

use std::io::{self, Write};

use super::stanza::Stanzas;
use super::{End, Index, IndexError, LONGEST_LINE};

/// Where unpacked bytes go. What it cannot take stops the unpacking, and is kept to say why.
#[derive(Default)]
pub(super) struct Lines {
    stanzas: Stanzas,
    /// The beginning of a line whose end has not come yet.
    partial: Vec<u8>,
    left: u64,
    limit: u64,
    error: Option<IndexError>,
}

impl Lines {
    pub(super) fn new(architecture: &str, limit: u64) -> Self {
        Self { stanzas: Stanzas::new(architecture), left: limit, limit, ..Self::default() }
    }

    pub(super) fn error(&self) -> Option<&IndexError> {
        self.error.as_ref()
    }

    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), IndexError> {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.left = self.left.checked_sub(length).ok_or(IndexError::TooLarge { limit: self.limit })?;
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.partial.len() + piece.len() > LONGEST_LINE {
                return Err(self.stanzas.not_control("too long"));
            }
            match piece.split_last() {
                Some((b'\n', line)) if self.partial.is_empty() => self.stanzas.line(line)?,
                Some((b'\n', line)) => {
                    self.partial.extend_from_slice(line);
                    self.stanzas.line(&self.partial)?;
                    self.partial.clear();
                }
                _ => self.partial.extend_from_slice(piece),
            }
        }
        Ok(())
    }

    pub(super) fn finish(mut self, end: End) -> Result<Index, IndexError> {
        if !self.partial.is_empty() {
            if end == End::Closed && self.stanzas.would_keep(&self.partial) {
                // `Version: 1.27.1` may have been going to be `1.27.10-1.1`.
                return Err(IndexError::Truncated);
            }
            self.stanzas.line(&self.partial)?;
        }
        self.stanzas.finish(end)
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.push(bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(error) => {
                let stopped = io::Error::other(error.to_string());
                self.error = Some(error);
                Err(stopped)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
