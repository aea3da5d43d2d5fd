//! What vouches for a package index: `InRelease`, signed with OpenPGP in the clear, lists the size and the hash of each
//! file of a repository.
//!
//! Nothing is read of the file but what was signed, by a key that is trusted, with a hash that still holds. How old it may
//! be is not judged here: there is no clock.

mod check;
mod keyring;

use debian_packaging::repository::release::ReleaseFile;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use pgp::cleartext::CleartextSignedMessage;
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::SignatureType;

use crate::{FetchError, Release};

pub(crate) use check::Check;
#[cfg(any(test, feature = "signing"))]
pub(crate) use check::hex;
use keyring::Keyring;

/// Name of the file.
const FILE: &str = "InRelease";
/// Most signatures of one file. Debian's own have three.
const MOST_SIGNATURES: usize = 16;
const BEGIN: &str = "-----BEGIN PGP SIGNED MESSAGE-----";

/// A list that was verified.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    text: String,
    /// What it says of itself, and its key.
    pub(crate) release: Release,
}

/// Where the `InRelease` is that lists the index at `url`: beside it in a flat repository, at the suite in one with
/// `dists/`. Nothing where the address is of neither form.
pub fn in_release(url: &str) -> Option<String> {
    let path = url.split(['?', '#']).next()?;
    let (folder, file) = path.rsplit_once('/')?;
    if !matches!(file, "Packages" | "Packages.gz" | "Packages.xz") {
        return None;
    }
    let Some((root, below)) = folder.split_once("/dists/") else { return Some(format!("{folder}/{FILE}")) };
    // A suite may have slashes, such as `bookworm/updates`; a component and an architecture have none of their own.
    let (rest, architecture) = below.rsplit_once('/')?;
    let (suite, _component) = rest.rsplit_once('/')?;
    architecture.starts_with("binary-").then(|| format!("{root}/dists/{suite}/{FILE}"))
}

/// When the last of the keys expires with which a repository may be signed; nothing where one never does, or none can be
/// read. For whoever simulates a repository: what is fetched tells it of the key that really signed.
pub fn keys_expire(keys: &[u8]) -> Option<Timestamp> {
    Keyring::read(keys).ok()?.expires()
}

/// By what name `InRelease` at `release` lists the index at `index`.
pub(crate) fn name_of(index: &str, release: &str) -> String {
    let plain = |url: &str| url.split(['?', '#']).next().unwrap_or_default().to_owned();
    let (index, release) = (plain(index), plain(release));
    let root = release.rsplit_once('/').map_or("", |(root, _)| root);
    let below = index.strip_prefix(root).and_then(|rest| rest.strip_prefix('/'));
    let in_suite = || index.split_once("/dists/").and_then(|(_, rest)| Some(rest.split_once('/')?.1));
    let file = || index.rsplit('/').next().unwrap_or_default();
    below.or_else(in_suite).unwrap_or_else(file).to_owned()
}

impl Signed {
    /// Verifies the file by the keys.
    pub(crate) fn verify(bytes: &[u8], keys: &[u8]) -> Result<Self, FetchError> {
        let invalid = |reason| FetchError::SignatureInvalid { reason };
        let keyring = Keyring::read(keys)?;
        let text = std::str::from_utf8(bytes).unwrap_or_default();
        if !text.contains(BEGIN) {
            return Err(FetchError::SignatureMissing { reason: "InRelease holds no signature" });
        }
        if !text.trim_start().starts_with(BEGIN) {
            return Err(invalid("there is text before the signed part"));
        }
        let (message, _) = CleartextSignedMessage::from_string(text)
            .map_err(|_| invalid("it is damaged, cut short, or followed by more text"))?;
        if message.signatures().len() > MOST_SIGNATURES {
            return Err(invalid("there are too many signatures"));
        }
        let signed = message.signed_text();
        let mut best: Option<Release> = None;
        let mut why = "it is not by the key that is trusted";
        for signature in message.signatures() {
            let signature = &signature.signature;
            if !matches!(signature.typ(), SignatureType::Text | SignatureType::Binary) {
                why = "it is a signature of something else than a text";
                continue;
            }
            if !is_strong(signature.hash_alg()) {
                why = "it is made with a hash that is not secure";
                continue;
            }
            match keyring.verify(signature, signed.as_bytes()) {
                Ok(trusted) => {
                    let release = Release {
                        key_expires: trusted.expires,
                        valid_until: trusted.signature_expires,
                        ..Release::default()
                    };
                    // Of several keys that signed, the one that lasts longest counts.
                    if best.as_ref().is_none_or(|best| lasts_longer(&release, best)) {
                        best = Some(release);
                    }
                }
                Err(reason) => why = reason,
            }
        }
        let mut release = best.ok_or_else(|| invalid(why))?;
        let text = signed.replace("\r\n", "\n");
        let fields = fields(&text)?;
        release.date = fields.date_str().map(|text| time("Date", text)).transpose()?;
        let until = fields.valid_until_str().map(|text| time("Valid-Until", text)).transpose()?;
        release.valid_until = [release.valid_until, until].into_iter().flatten().min();
        Ok(Self { text, release })
    }

    /// What a file is to be, by its name.
    pub(crate) fn check(&self, name: &str) -> Result<Check, FetchError> {
        let fields = fields(&self.text)?;
        let listed = |field: &str| {
            let lines = fields.iter_field_lines(field)?;
            let mut entries = lines.filter_map(|line| {
                let mut words = line.split_ascii_whitespace();
                let entry = (words.next()?, words.next()?, words.next()?);
                Some(entry)
            });
            let (digest, size, _) = entries.find(|(_, _, path)| {
                *path == name || path.strip_prefix("./").is_some_and(|path| path == name)
            })?;
            Some((digest.to_owned(), size.parse::<u64>().ok()))
        };
        let missing = |reason| FetchError::NotListed { reason };
        for (field, new) in [("SHA512", Check::sha512 as fn(_, _) -> _), ("SHA256", Check::sha256)] {
            if let Some((digest, size)) = listed(field) {
                let size = size.ok_or_else(|| missing(format!("the size of {name} cannot be read")))?;
                return Ok(new(size, digest));
            }
        }
        Err(missing(if listed("SHA1").or_else(|| listed("MD5Sum")).is_some() {
            format!("it lists {name} only by hashes that are not secure")
        } else {
            format!("it does not list {name}")
        }))
    }
}

fn fields(text: &str) -> Result<ReleaseFile<'static>, FetchError> {
    ReleaseFile::from_reader(text.as_bytes())
        .map_err(|_| FetchError::NotListed { reason: "what was signed is no Release file".to_owned() })
}

/// Debian writes `UTC` for the zone, which is none of RFC 2822.
fn time(field: &'static str, text: &str) -> Result<Timestamp, FetchError> {
    let text = text.trim();
    let numeric = text.strip_suffix("UTC").map(|time| format!("{time}+0000"));
    rfc2822::DateTimeParser::new()
        .parse_timestamp(numeric.as_deref().unwrap_or(text))
        .map_err(|_| FetchError::NotListed { reason: format!("its {field} cannot be read") })
}

fn is_strong(hash: HashAlgorithm) -> bool {
    matches!(
        hash,
        HashAlgorithm::SHA2_256
            | HashAlgorithm::SHA2_384
            | HashAlgorithm::SHA2_512
            | HashAlgorithm::SHA3_256
            | HashAlgorithm::SHA3_512
    )
}

fn lasts_longer(one: &Release, other: &Release) -> bool {
    match (one.key_expires, other.key_expires) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(one), Some(other)) => one > other,
    }
}

#[cfg(test)]
mod tests;
