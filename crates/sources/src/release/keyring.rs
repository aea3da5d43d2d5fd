//! The keys that are trusted.

use chrono::{DateTime, TimeDelta, Utc};
use jiff::Timestamp;
use pgp::packet::{Signature, SignatureType};
use pgp::types::{PublicKeyTrait, Tag};
use pgp::{Deserializable as _, SignedPublicKey};

use crate::FetchError;

const ARMOR: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
/// Most keys of a keyring, since each is tried.
const MOST_KEYS: usize = 32;

/// The keys that are trusted; more than one while a repository changes its key.
pub(super) struct Keyring(Vec<Trusted>);

/// A key with what its owner says of it.
struct Trusted {
    key: SignedPublicKey,
    expires: Option<Timestamp>,
    revoked: bool,
}

/// A signature that is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Good {
    /// When the key that made it expires.
    pub(super) expires: Option<Timestamp>,
    /// When the signature itself does.
    pub(super) signature_expires: Option<Timestamp>,
}

impl Keyring {
    /// Reads keys, armored or not, one or several.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, FetchError> {
        let unusable =
            |reason: &str| FetchError::Unusable { what: "the public key", reason: reason.to_owned() };
        let mut keys = Vec::new();
        match std::str::from_utf8(bytes).ok().filter(|text| text.contains("-----BEGIN ")) {
            Some(text) => {
                for (at, _) in text.match_indices(ARMOR) {
                    let (_, block) = text.split_at(at);
                    let (found, _) = SignedPublicKey::from_armor_many(block.as_bytes())
                        .map_err(|_| unusable("its armor is damaged"))?;
                    keys.extend(found);
                }
            }
            None => keys.extend(SignedPublicKey::from_bytes_many(bytes)),
        }
        let keys: Result<Vec<SignedPublicKey>, _> = keys.into_iter().collect();
        let keys = keys.map_err(|_| unusable("it is damaged"))?;
        match keys.len() {
            0 => return Err(unusable("there is no OpenPGP public key in it")),
            1..=MOST_KEYS => {}
            _ => return Err(unusable("there are too many keys in it")),
        }
        let trusted: Vec<Trusted> = keys.into_iter().filter_map(Trusted::of).collect();
        if trusted.is_empty() {
            return Err(unusable("no key in it has a good signature of its own"));
        }
        Ok(Self(trusted))
    }

    /// When the last of them expires, by what each says of itself and not of its subkeys; nothing where one never does.
    pub(super) fn expires(&self) -> Option<Timestamp> {
        let standing = self.0.iter().filter(|trusted| !trusted.revoked);
        standing
            .map(|trusted| trusted.expires.unwrap_or(Timestamp::MAX))
            .max()
            .filter(|at| *at < Timestamp::MAX)
    }

    /// Whether one of the keys, or a subkey that may sign, made the signature.
    pub(super) fn verify(&self, signature: &Signature, signed: &[u8]) -> Result<Good, &'static str> {
        let mut why = "it is not by the key that is trusted";
        for trusted in &self.0 {
            for (expires, result) in trusted.tries(signature, signed) {
                match result {
                    Err(_) => {}
                    Ok(()) if trusted.revoked => why = "the key that is trusted was revoked",
                    Ok(()) => {
                        let signature_expires =
                            later(signature.created(), signature.signature_expiration_time());
                        return Ok(Good { expires, signature_expires });
                    }
                }
            }
            let is_its = signature.issuer().iter().any(|issuer| trusted.has(issuer))
                || signature.issuer_fingerprint().iter().any(|it| **it == trusted.key.fingerprint());
            if is_its && !trusted.revoked {
                why = "the text is not the one that was signed";
            }
        }
        Err(why)
    }
}

impl Trusted {
    /// Nothing where no signature of its owner says that it is a key.
    fn of(key: SignedPublicKey) -> Option<Self> {
        let primary = &key.primary_key;
        let by_users = key.details.users.iter().flat_map(|user| {
            let own = |signature: &&Signature| {
                signature.is_certification()
                    && signature.verify_certification(primary, Tag::UserId, &user.id).is_ok()
            };
            user.signatures.iter().filter(own)
        });
        let direct = key.details.direct_signatures.iter();
        let direct = direct.filter(|signature| signature.verify_key(primary).is_ok());
        let newest = by_users.chain(direct).max_by_key(|signature| signature.created().copied())?;
        let expires = later(Some(primary.created_at()), newest.key_expiration_time());
        let revoked = key.details.revocation_signatures.iter().any(|it| it.verify_key(primary).is_ok());
        Some(Self { key, expires, revoked })
    }

    fn has(&self, issuer: &pgp::types::KeyId) -> bool {
        let mut subkeys = self.key.public_subkeys.iter();
        self.key.primary_key.key_id() == *issuer || subkeys.any(|subkey| subkey.key.key_id() == *issuer)
    }

    /// The signature as one of the key itself and of each subkey that may sign, with when that expires.
    fn tries<'a>(
        &'a self,
        signature: &'a Signature,
        signed: &'a [u8],
    ) -> impl Iterator<Item = (Option<Timestamp>, pgp::errors::Result<()>)> + 'a {
        let primary = &self.key.primary_key;
        let own = std::iter::once_with(move || (self.expires, signature.verify(primary, signed)));
        let subkeys = self.key.public_subkeys.iter().filter_map(move |subkey| {
            let good = |it: &&Signature| it.verify_key_binding(primary, &subkey.key).is_ok();
            let of = |typ| subkey.signatures.iter().filter(move |it| it.typ() == typ).filter(good);
            if of(SignatureType::SubkeyRevocation).next().is_some() {
                return None;
            }
            let binding = of(SignatureType::SubkeyBinding).max_by_key(|it| it.created().copied())?;
            // Without it, anybody's signing key could be claimed as a subkey of one's own.
            let back = binding.embedded_signature()?;
            back.verify_backwards_key_binding(&subkey.key, primary).ok()?;
            if !binding.key_flags().sign() {
                return None;
            }
            let expires = later(Some(subkey.key.created_at()), binding.key_expiration_time());
            let expires = [self.expires, expires].into_iter().flatten().min();
            Some((expires, signature.verify(&subkey.key, signed)))
        });
        own.chain(subkeys)
    }
}

/// A time and what is added to it; none, which also zero stands for, is never.
fn later(time: Option<&DateTime<Utc>>, span: Option<&TimeDelta>) -> Option<Timestamp> {
    let seconds = span.map(TimeDelta::num_seconds).filter(|seconds| *seconds > 0)?;
    Timestamp::from_second(time?.timestamp().saturating_add(seconds)).ok()
}
