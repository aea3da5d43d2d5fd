//! The smallest HTTP client: one GET to a loopback port.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::error::{Error, Result};

/// An answer, as far as it came.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
    #[cfg(test)]
    head: String,
}

impl Answer {
    /// A header's value.
    #[cfg(test)]
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(':'));
        fields.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
    }
}

/// GET of a path, with header lines that each end in CRLF. HTTP/1.0, so that the body ends with the connection.
pub(crate) async fn get(address: SocketAddr, path: &str, headers: &str) -> Result<Answer> {
    let failed = |source| Error::System { what: format!("GET http://{address}{path}"), source };
    let mut stream = TcpStream::connect(address).await.map_err(failed)?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.map_err(failed)?;
    let mut text = Vec::new();
    stream.read_to_end(&mut text).await.map_err(failed)?;
    let text = String::from_utf8_lossy(&text);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status =
        status.ok_or_else(|| Error::Unexpected(format!("GET http://{address}{path}: no HTTP answer")))?;
    Ok(Answer {
        status,
        body: body.to_owned(),
        #[cfg(test)]
        head: head.to_owned(),
    })
}
