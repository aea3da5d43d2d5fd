//! One authority per control plane, for servers and for users alike: it lives as long as the temporary folder.

use std::net::{IpAddr, Ipv4Addr};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};

use crate::error::{Error, Result};

/// A certificate and its private key, both PEM.
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// A certificate authority whose key never leaves the process.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "kubernetes-upgrader-control-plane");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        Ok(Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate()?)? })
    }

    /// The authority's certificate, PEM.
    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// For a server on the loopback address, which is also the API server of the cluster's own Service.
    pub(crate) fn serving(&self) -> Result<Identity> {
        let mut params = CertificateParams::new(
            ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"].map(str::to_owned),
        )?;
        for address in [Ipv4Addr::LOCALHOST, Ipv4Addr::new(10, 0, 0, 1)] {
            params.subject_alt_names.push(SanType::IpAddress(IpAddr::V4(address)));
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(params, "kube-apiserver")
    }

    /// For a user of the API server: the common name is the user, the organizations are its groups.
    pub(crate) fn client(&self, user: &str, groups: &[&str]) -> Result<Identity> {
        let mut params = CertificateParams::default();
        // A name of rcgen's holds each attribute type once; the same type by its number is a second one.
        let organization = [DnType::OrganizationName, DnType::CustomDnType(vec![2, 5, 4, 10])];
        if groups.len() > organization.len() {
            return Err(Error::TooManyGroups { user: user.to_owned(), groups: groups.len() });
        }
        for (attribute, group) in organization.into_iter().zip(groups) {
            params.distinguished_name.push(attribute, *group);
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(params, user)
    }

    fn issue(&self, mut params: CertificateParams, common_name: &str) -> Result<Identity> {
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Identity { certificate: certificate.pem(), key: key.serialize_pem() })
    }
}

/// The keys, PEM, with which ServiceAccount tokens are signed and checked. The API server finds no public key in a PKCS #8
/// private one, so it gets both.
pub(crate) struct ServiceAccountKeys {
    pub(crate) private: String,
    pub(crate) public: String,
}

impl ServiceAccountKeys {
    pub(crate) fn new() -> Result<Self> {
        let pair = KeyPair::generate()?;
        Ok(Self { private: pair.serialize_pem(), public: pair.public_key_pem() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_two_groups_at_most() {
        let authority = Authority::new().unwrap();
        assert!(authority.client("jane", &["a", "b"]).unwrap().key.contains("PRIVATE KEY"));
        assert!(matches!(
            authority.client("jane", &["a", "b", "c"]),
            Err(Error::TooManyGroups { groups: 3, .. })
        ));
    }
}
