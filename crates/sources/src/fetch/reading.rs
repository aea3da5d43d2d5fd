//! An index while it comes: its versions, and whether it is the one that is listed.

use crate::FetchError;
use crate::debian::{End, Index, IndexReader};
use crate::release::Check;

/// What has come of an index.
pub(super) struct Reading {
    reader: IndexReader,
    check: Option<Check>,
    /// What is wrong with a file that is yet to be checked: a file that is not the one listed is called that.
    failed: Option<FetchError>,
}

impl Reading {
    pub(super) fn new(architecture: &str, unpacked: u64, check: Option<Check>) -> Self {
        Self { reader: IndexReader::new(architecture, unpacked), check, failed: None }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), FetchError> {
        if let Some(check) = &mut self.check {
            check.update(bytes)?;
        }
        if self.failed.is_some() {
            return Ok(());
        }
        match self.reader.push(bytes).map_err(FetchError::from) {
            Err(error) if self.check.is_some() => self.failed = Some(error),
            result => return result,
        }
        Ok(())
    }

    pub(super) fn finish(self, end: End) -> Result<Index, FetchError> {
        let end = match self.check {
            Some(check) => {
                check.finish()?;
                End::Framed
            }
            None => end,
        };
        match self.failed {
            Some(error) => Err(error),
            None => self.reader.finish(end).map_err(FetchError::from),
        }
    }
}
