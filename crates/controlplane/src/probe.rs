//! Whether somebody answers.

use std::net::Ipv4Addr;
use std::time::Duration;

use http::Request;
use kube::Client;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A component that takes longer for a probe is asked again rather than awaited.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// True if a connection to the loopback port can be made.
pub(crate) async fn listens(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok()
}

/// True if a plain HTTP GET is answered with 200. For the health ports of components, which need no HTTP client.
pub(crate) async fn http_ok(port: u16, path: &str) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut status = [0; 12];
        stream.read_exact(&mut status).await.ok()?;
        Some(&status == b"HTTP/1.1 200")
    };
    tokio::time::timeout(ANSWER_WITHIN, ask).await.ok().flatten().unwrap_or(false)
}

/// True if the API server answers a GET of this path with success.
pub(crate) async fn answers(client: &Client, path: &str) -> bool {
    let Ok(request) = Request::get(path).body(Vec::new()) else { return false };
    matches!(tokio::time::timeout(ANSWER_WITHIN, client.request_text(request)).await, Ok(Ok(_)))
}
