//! Signed repositories, made on the spot: for tests of this crate and of others.

use std::fmt::Write as _;

use chrono::{DateTime, TimeDelta, Utc};
use jiff::Timestamp;
use pgp::cleartext::CleartextSignedMessage;
use pgp::crypto::hash::HashAlgorithm;
use pgp::errors::Result;
use pgp::packet::{self, SignatureConfig, SignatureType, Subpacket, SubpacketData};
use pgp::ser::Serialize as _;
use pgp::types::{PublicKeyTrait as _, SecretKeyTrait as _, SignedUser, Tag};
use pgp::{ArmorOptions, KeyType, SecretKeyParamsBuilder, SignedPublicKey};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use sha2::{Digest as _, Sha256};

use crate::release::hex;

/// The key of a repository.
#[derive(Clone, Debug)]
pub struct Signer {
    key: packet::SecretKey,
    public: SignedPublicKey,
    random: StdRng,
}

/// What an `InRelease` says beside its list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heading {
    /// `Date`.
    pub date: Option<Timestamp>,
    /// `Valid-Until`.
    pub valid_until: Option<Timestamp>,
}

/// The body of a `Release` file that lists files by SHA256: pairs of name and content.
pub fn release(heading: &Heading, files: &[(&str, &[u8])]) -> String {
    let mut text = "Origin: a test\nSuite: stable\n".to_owned();
    let time = |time: Timestamp| time.strftime("%a, %d %b %Y %H:%M:%S UTC").to_string();
    if let Some(date) = heading.date {
        let _ = writeln!(text, "Date: {}", time(date));
    }
    if let Some(until) = heading.valid_until {
        let _ = writeln!(text, "Valid-Until: {}", time(until));
    }
    text.push_str("SHA256:\n");
    for (name, content) in files {
        let _ = writeln!(text, " {} {} {name}", hex(&Sha256::digest(content)), content.len());
    }
    text
}

impl Signer {
    /// A new key, always the same for a seed, made at `created` and good until `expires`.
    pub fn new(seed: u64, created: Timestamp, expires: Option<Timestamp>) -> Result<Self> {
        let mut random = StdRng::seed_from_u64(seed);
        let time = DateTime::<Utc>::from_timestamp(created.as_second(), 0).unwrap_or_default();
        let params = SecretKeyParamsBuilder::default()
            .key_type(KeyType::EdDSALegacy)
            .can_certify(true)
            .can_sign(true)
            .created_at(time)
            .primary_user_id("A repository <repository@example.org>".to_owned())
            .build()
            .map_err(|error| pgp::errors::Error::Message(error.to_string()))?;
        let unsigned = params.generate(&mut random)?;
        let signed = unsigned.sign(&mut random, String::new)?;
        let key = signed.primary_key;
        let mut details = signed.details;
        for user in &mut details.users {
            let mut config =
                SignatureConfig::v4(SignatureType::CertPositive, key.algorithm(), HashAlgorithm::SHA2_256);
            config.hashed_subpackets = vec![
                Subpacket::regular(SubpacketData::SignatureCreationTime(time)),
                Subpacket::regular(SubpacketData::IssuerFingerprint(key.fingerprint())),
            ];
            if let Some(expires) = expires {
                let seconds = expires.as_second().saturating_sub(created.as_second());
                let span = TimeDelta::seconds(seconds);
                config.hashed_subpackets.push(Subpacket::regular(SubpacketData::KeyExpirationTime(span)));
            }
            config.unhashed_subpackets = vec![Subpacket::regular(SubpacketData::Issuer(key.key_id()))];
            let signature = config.sign_certification(&key, String::new, Tag::UserId, &user.id)?;
            *user = SignedUser::new(user.id.clone(), vec![signature]);
        }
        let public = SignedPublicKey::new(key.public_key(), details, Vec::new());
        Ok(Self { key, public, random })
    }

    /// The public key, armored.
    pub fn public_key(&self) -> Result<Vec<u8>> {
        self.public.to_armored_bytes(ArmorOptions::default())
    }

    /// The public key, not armored.
    pub fn public_key_bytes(&self) -> Result<Vec<u8>> {
        self.public.to_bytes()
    }

    /// A text signed in the clear, as `InRelease` is.
    pub fn sign(&mut self, text: &str) -> Result<String> {
        let message = CleartextSignedMessage::sign(&mut self.random, text, &self.key, String::new)?;
        message.to_armored_string(ArmorOptions::default())
    }
}
