//! The same request for many objects, some at a time.

use std::future::Future;

use e2e::Result;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};

/// More at a time only wait in the API server.
const AT_A_TIME: usize = 24;

/// Makes a request for each, and ends with the first that fails.
pub(crate) async fn each<T, F: Future<Output = Result<()>>>(
    all: impl IntoIterator<Item = T>,
    request: impl FnMut(T) -> F,
) -> Result<()> {
    stream::iter(all).map(request).buffer_unordered(AT_A_TIME).try_collect().await
}
