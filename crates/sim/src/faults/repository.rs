//! The package repositories as a process reaches them.

use std::time::Duration;

use async_trait::async_trait;
use sources::{FetchError, Fetched, Repository, Request};

use super::line::{Line, Way};
use super::{Class, Kind};
use crate::world::releases::Mirror;

/// The repositories, at the end of a line.
pub(crate) struct Distant {
    pub(crate) mirror: Mirror,
    pub(crate) line: Line,
}

#[async_trait]
impl Repository for Distant {
    async fn fetch(&self, request: &Request) -> Result<Fetched, FetchError> {
        let way = self.line.meet(Class::Fetch, &format!("fetch {}", request.url)).await;
        match way {
            Way::Open(None) => self.mirror.fetch(request).await,
            Way::Open(Some(fault)) if fault.kind == Kind::KilledAfter => {
                // Nothing is changed by a fetch.
                self.line.die(fault.amount).await
            }
            Way::Open(Some(fault)) => match fault.amount {
                _ if fault.kind != Kind::Repository => self.mirror.fetch(request).await,
                0 => Err(FetchError::Server { status: 503, retry_after: Some(Duration::from_secs(30)) }),
                1 => Err(FetchError::Truncated),
                _ => Err(FetchError::Timeout),
            },
            Way::Closed => Err(FetchError::Timeout),
        }
    }
}
