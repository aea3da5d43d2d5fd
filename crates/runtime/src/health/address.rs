//! Addresses to listen on, in the notation of Go's servers.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use tokio::net::TcpListener;

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BindAddress {
    /// Nowhere: `0`, or nothing.
    Disabled,
    /// Every address of the machine: `:8080`.
    Any(u16),
    /// `127.0.0.1:8080`, `[::1]:8080` or `localhost:8080`.
    Host(String),
}

/// An address that does not parse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("address {0:?} is neither \":port\", \"host:port\" nor \"0\"")]
pub struct AddressError(String);

impl FromStr for BindAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let refused = || AddressError(text.to_owned());
        if matches!(text, "" | "0") {
            return Ok(Self::Disabled);
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(refused)?;
        let port: u16 = port.parse().map_err(|_| refused())?;
        let bracketed = host.starts_with('[') && host.ends_with(']');
        if host.contains(':') && !bracketed {
            return Err(refused());
        }
        Ok(if host.is_empty() { Self::Any(port) } else { Self::Host(text.to_owned()) })
    }
}

impl BindAddress {
    /// Listens, unless disabled. Port 0 takes a free one.
    pub(super) async fn listen(&self) -> io::Result<Option<TcpListener>> {
        match self {
            Self::Disabled => Ok(None),
            // The IPv6 wildcard takes IPv4 too; machines without IPv6 have only the other.
            Self::Any(port) => match TcpListener::bind((Ipv6Addr::UNSPECIFIED, *port)).await {
                Ok(listener) => Ok(Some(listener)),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(error),
                Err(_) => TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port)).await.map(Some),
            },
            Self::Host(address) => TcpListener::bind(address.as_str()).await.map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_notations() {
        let parse = |text: &str| text.parse::<BindAddress>().ok();
        assert_eq!(parse(":8080"), Some(BindAddress::Any(8080)));
        assert_eq!(parse("0"), Some(BindAddress::Disabled));
        assert_eq!(parse(""), Some(BindAddress::Disabled));
        for host in ["127.0.0.1:8443", "[::1]:8080", "localhost:1"] {
            assert_eq!(parse(host), Some(BindAddress::Host(host.to_owned())));
        }
        for wrong in ["8080", "::1:8080", ":", ":http", ":99999", "host"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        assert!("8080".parse::<BindAddress>().unwrap_err().to_string().contains("\"8080\""));
    }
}
