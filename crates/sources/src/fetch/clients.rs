//! HTTP clients: one with the certificate authorities of the system, and one for each other set of them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::url::Url;
use reqwest::{Certificate, Client, ClientBuilder, redirect};

use super::error::{self, FetchError, SetupError};

pub(super) const USER_AGENT: &str = concat!("kubernetes-upgrader/", env!("CARGO_PKG_VERSION"));
/// Another fetch of the same pass may reuse a connection; the next pass is minutes away.
const IDLE: Duration = Duration::from_secs(15);
/// Most sets of authorities whose client is kept: an organisation has one or two.
const KEPT: usize = 16;

/// The clients of a fetcher.
pub(super) struct Clients {
    connect: Duration,
    system: Client,
    /// Why no `https` can be read with the authorities of the system, if none can.
    no_tls: Option<String>,
    /// The ones used last are at the end.
    others: Mutex<Vec<(Arc<[u8]>, Client)>>,
}

impl Clients {
    pub(super) fn new(connect: Duration) -> Result<Self, SetupError> {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(SetupError::NoTlsProvider);
        }
        let (system, no_tls) = match builder(connect).build() {
            Ok(client) => (client, None),
            Err(error) => {
                let without = builder(connect).tls_certs_only([]).build();
                (
                    without.map_err(|error| SetupError::Client(error::root_cause(&error)))?,
                    Some(error::root_cause(&error)),
                )
            }
        };
        Ok(Self { connect, system, no_tls, others: Mutex::default() })
    }

    /// The client for a URL: with these authorities only, or with the system's.
    pub(super) fn client(&self, url: &Url, authorities: Option<&Arc<[u8]>>) -> Result<Client, FetchError> {
        let Some(authorities) = authorities else {
            return match self.no_tls.as_ref().filter(|_| url.scheme() == "https") {
                Some(reason) => Err(FetchError::Tls { reason: reason.clone() }),
                None => Ok(self.system.clone()),
            };
        };
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        let known = others.iter().position(|(bundle, _)| bundle == authorities);
        let entry = match known {
            Some(at) => others.remove(at),
            None => (Arc::clone(authorities), self.trusting(authorities)?),
        };
        let client = entry.1.clone();
        others.push(entry);
        let spare = others.len().saturating_sub(KEPT);
        others.drain(..spare);
        Ok(client)
    }

    fn trusting(&self, authorities: &[u8]) -> Result<Client, FetchError> {
        let unusable = |reason: &str| FetchError::Unusable {
            what: "the certificate authority",
            reason: reason.to_owned(),
        };
        let certificates = Certificate::from_pem_bundle(authorities).map_err(|_| unusable("it is no PEM"))?;
        if certificates.is_empty() {
            return Err(unusable("there is no certificate in it"));
        }
        let client = builder(self.connect).tls_certs_only(certificates).build();
        client.map_err(|_| unusable("a certificate in it cannot be read"))
    }

    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.others.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// Redirects are the fetcher's to follow. A referer would show the query of one host, which may be a key, to another.
fn builder(connect: Duration) -> ClientBuilder {
    Client::builder()
        .user_agent(USER_AGENT)
        .connect_timeout(connect)
        .pool_idle_timeout(IDLE)
        .referer(false)
        .redirect(redirect::Policy::none())
}
