//! A watch that is being read.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use http_body_util::BodyExt as _;
use kube::client::Body;
use serde_json::Value;

/// Longer than any watch of a script lasts.
const WITHIN: Duration = Duration::from_secs(30);

pub(crate) struct Stream {
    data: BoxStream<'static, Bytes>,
    rest: Vec<u8>,
}

impl Stream {
    pub(crate) fn of(body: Body) -> Self {
        let frames = body.into_data_stream().map(|frame| frame.unwrap());
        Self { data: frames.boxed(), rest: Vec::new() }
    }

    /// The next line; nothing at the end.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            match tokio::time::timeout(WITHIN, self.data.next()).await {
                Ok(Some(data)) => self.rest.extend_from_slice(&data),
                Ok(None) => {
                    assert!(self.rest.is_empty(), "a watch ends within a line");
                    return None;
                }
                Err(_) => return Some(Value::from(format!("nothing within {} s", WITHIN.as_secs()))),
            }
        }
    }
}
