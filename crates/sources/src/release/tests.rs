use super::*;
use crate::signing::{Heading, Signer, release};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn signer(seed: u64) -> Signer {
    Signer::new(seed, at(1_700_000_000), None).unwrap()
}

fn body() -> String {
    let heading = Heading { date: Some(at(1_763_700_000)), valid_until: Some(at(1_764_900_000)) };
    release(&heading, &[("Packages", b"one"), ("main/binary-amd64/Packages.gz", b"three")])
}

fn verify(text: &str, keys: &[u8]) -> Result<Signed, String> {
    Signed::verify(text.as_bytes(), keys).map_err(|error| error.to_string())
}

#[test]
fn the_place_of_in_release_is_derived_for_both_layouts() {
    for (index, expected) in [
        (
            "https://pkgs.k8s.io/core:/stable:/v1.36/deb/Packages",
            Some("https://pkgs.k8s.io/core:/stable:/v1.36/deb/InRelease"),
        ),
        ("https://h/deb/Packages.gz?x=1#y", Some("https://h/deb/InRelease")),
        (
            "https://h/apt/dists/stable/main/binary-amd64/Packages",
            Some("https://h/apt/dists/stable/InRelease"),
        ),
        (
            "https://h/apt/dists/bookworm/updates/main/binary-arm64/Packages.xz",
            Some("https://h/apt/dists/bookworm/updates/InRelease"),
        ),
        ("https://h/apt/dists/stable/main/Packages", None),
        ("https://h/apt/dists/stable/Packages", None),
        ("https://h/some-index", None),
        ("nonsense", None),
    ] {
        assert_eq!(in_release(index).as_deref(), expected, "{index}");
    }
}

#[test]
fn an_index_is_named_as_seen_from_in_release() {
    for (index, release, name) in [
        ("https://h/deb/Packages", "https://h/deb/InRelease", "Packages"),
        (
            "https://h/a/dists/s/main/binary-amd64/Packages.gz?t=1",
            "https://h/a/dists/s/InRelease",
            "main/binary-amd64/Packages.gz",
        ),
        (
            "https://cdn/a/dists/s/main/binary-amd64/Packages",
            "https://h/a/dists/s/InRelease",
            "main/binary-amd64/Packages",
        ),
        ("https://cdn/deb/Packages", "https://h/deb/InRelease", "Packages"),
    ] {
        assert_eq!(name_of(index, release), name);
    }
}

#[test]
fn a_good_signature_brings_what_was_signed() {
    let mut signer = signer(1);
    let text = signer.sign(&body()).unwrap();
    for keys in [signer.public_key().unwrap(), signer.public_key_bytes().unwrap()] {
        let signed = verify(&text, &keys).unwrap();
        let expected = Release {
            date: Some(at(1_763_700_000)),
            valid_until: Some(at(1_764_900_000)),
            key_expires: None,
        };
        assert_eq!(signed.release, expected);
        let mut check = signed.check("Packages").unwrap();
        check.update(b"o").unwrap();
        check.update(b"ne").unwrap();
        assert_eq!(check.finish(), Ok(()));
        let unlisted = signed.check("Packages.gz").unwrap_err().to_string();
        assert!(unlisted.ends_with("it does not list Packages.gz"), "{unlisted}");
        assert!(signed.check("main/binary-amd64/Packages.gz").is_ok());
    }
}

/// Line ends differ by server; both are what was signed.
#[test]
fn carriage_returns_and_dashes_do_not_matter() {
    let mut signer = signer(1);
    let text = signer.sign(&format!("{}-dash: x\n", body())).unwrap();
    let key = signer.public_key().unwrap();
    assert!(text.contains("\n- -dash"));
    let other = text.replace('\n', "\r\n");
    for text in [text, other] {
        assert!(verify(&text, &key).unwrap().check("Packages").is_ok());
    }
}

#[test]
fn every_other_signature_is_refused_and_says_why() {
    let (mut signer, mut stranger) = (signer(1), signer(2));
    let key = signer.public_key().unwrap();
    let good = signer.sign(&body()).unwrap();
    let changed = good.replace("Suite: stable", "Suite: stabIe");
    let cut = good.split_at(good.len() - 60).0.to_owned();
    let (head, _) = good.split_once("-----BEGIN PGP SIGNATURE").unwrap();
    let before = format!("SHA256:\n deadbeef 3 Packages\n\n{good}");
    let after = format!("{good}\nSHA256:\n deadbeef 3 Packages\n");
    for (text, expected) in [
        (stranger.sign(&body()).unwrap(), "not good: it is not by the key that is trusted"),
        (changed, "not good: the text is not the one that was signed"),
        (cut, "not good: it is damaged"),
        (head.to_owned(), "not good: it is damaged"),
        (before, "not good: there is text before"),
        (after, "not good: it is damaged, cut short, or followed by more text"),
        (body(), "is not signed: InRelease holds no signature"),
        ("<html>not here</html>".to_owned(), "is not signed: InRelease holds no signature"),
        (String::new(), "is not signed: InRelease holds no signature"),
    ] {
        let error = verify(&text, &key).unwrap_err();
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains('\n') && !error.contains("deadbeef"), "{error}");
    }
}

/// Each signature is tried with each key, so somebody could keep us busy with a file full of them.
#[test]
fn only_so_many_signatures_are_tried() {
    let mut signer = signer(1);
    let key = signer.public_key().unwrap();
    let text = signer.sign(&body()).unwrap();
    let (message, _) = CleartextSignedMessage::from_string(&text).unwrap();
    let [signature] = message.signatures() else { panic!("one signature") };
    let many =
        CleartextSignedMessage::new_many(&body(), |_| Ok(vec![signature.signature.clone(); 17])).unwrap();
    let text = many.to_armored_string(pgp::ArmorOptions::default()).unwrap();
    assert!(verify(&text, &key).unwrap_err().ends_with("there are too many signatures"));
}

#[test]
fn what_is_signed_must_be_a_release_with_times_that_can_be_read() {
    let mut signer = signer(1);
    let key = signer.public_key().unwrap();
    let mut error = |text: &str| verify(&signer.sign(text).unwrap(), &key).unwrap_err();
    assert!(error("Date: tomorrow\n").contains("its Date cannot be read"));
    assert!(error("Valid-Until: never\n").contains("its Valid-Until cannot be read"));
    assert!(error("Date: Sat, 21 Nov 2026 10:00:00 somewhere\n").contains("its Date cannot be read"));
    assert!(error("A: b\n\nC: d\n").contains("no Release file"));
}

#[test]
fn times_are_read_as_repositories_write_them() {
    for text in [
        "Sat, 21 Nov 2026 10:00:00 UTC",
        "Sat, 21 Nov 2026 10:00:00 +0000",
        "Sat, 21 Nov 2026 11:00:00 +0100",
        "Sat, 21 Nov 2026 10:00:00 GMT",
    ] {
        assert_eq!(time("Date", text).unwrap().to_string(), "2026-11-21T10:00:00Z", "{text}");
    }
}

#[test]
fn hashes_that_are_not_secure_do_not_count() {
    let mut signer = signer(1);
    let key = signer.public_key().unwrap();
    for field in ["MD5Sum", "SHA1"] {
        let text = signer.sign(&format!("Suite: s\n{field}:\n abcd 3 Packages\n")).unwrap();
        let error = verify(&text, &key).unwrap().check("Packages").unwrap_err().to_string();
        assert!(error.contains("only by hashes that are not secure"), "{error}");
    }
    let digest = check::hex(&<sha2::Sha512 as sha2::Digest>::digest(b"one"));
    let text = signer.sign(&format!("Suite: s\nSHA512:\n {digest} 3 ./Packages\n")).unwrap();
    let mut check = verify(&text, &key).unwrap().check("Packages").unwrap();
    check.update(b"one").unwrap();
    assert_eq!(check.finish(), Ok(()));
}

#[test]
fn a_file_must_have_its_size_and_its_hash() {
    let digest = check::hex(&<sha2::Sha256 as sha2::Digest>::digest(b"one"));
    let of = |bytes: &[u8]| {
        let mut check = Check::sha256(3, digest.clone());
        check.update(bytes).and_then(|()| check.finish()).map_err(|error| error.to_string())
    };
    assert_eq!(of(b"one"), Ok(()));
    for (bytes, why) in [(&b"ones"[..], "longer"), (b"on", "shorter"), (b"two", "its hash differs")] {
        assert!(of(bytes).unwrap_err().contains(why));
    }
}

#[test]
fn the_expiry_of_the_key_is_told_and_not_judged() {
    let mut old = Signer::new(3, at(1_000_000_000), Some(at(1_100_000_000))).unwrap();
    let text = old.sign(&body()).unwrap();
    let signed = verify(&text, &old.public_key().unwrap()).unwrap();
    assert_eq!(signed.release.key_expires, Some(at(1_100_000_000)));
}

#[test]
fn of_several_keys_the_last_expiry_counts() {
    let key = |seed, expires| Signer::new(seed, at(1_000_000_000), expires).unwrap().public_key().unwrap();
    let (old, new) = (key(3, Some(at(1_100_000_000))), key(4, Some(at(1_200_000_000))));
    assert_eq!(keys_expire(&old), Some(at(1_100_000_000)));
    assert_eq!(keys_expire(&[old.clone(), b"\n".to_vec(), new].concat()), Some(at(1_200_000_000)));
    assert_eq!(keys_expire(&[old, b"\n".to_vec(), key(5, None)].concat()), None);
    assert_eq!(keys_expire(b"simulated"), None);
}

#[test]
fn a_keyring_may_hold_the_old_key_and_the_new() {
    let (mut old, mut new) = (signer(4), signer(5));
    let armored = [old.public_key().unwrap(), b"\n".to_vec(), new.public_key().unwrap()].concat();
    let binary = [old.public_key_bytes().unwrap(), new.public_key_bytes().unwrap()].concat();
    for keys in [armored, binary] {
        for signer in [&mut old, &mut new] {
            assert!(verify(&signer.sign(&body()).unwrap(), &keys).is_ok());
        }
    }
}

#[test]
fn a_key_that_is_none_is_named_and_not_shown() {
    let text = signer(1).sign(&body()).unwrap();
    let armored = String::from_utf8(signer(1).public_key().unwrap()).unwrap();
    let cut = armored.split_at(armored.len() / 2).0.to_owned();
    for keys in
        ["", "hunter2 is no key", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", &cut]
    {
        let error = verify(&text, keys.as_bytes()).unwrap_err();
        assert!(error.starts_with("the public key cannot be used: "), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

/// As GnuPG writes it, and repositories have it: the key certifies only, a subkey signs.
#[test]
fn a_signing_subkey_of_gnupg_is_believed_and_a_revoked_key_is_not() {
    let text = include_str!("../../fixtures/gnupg-subkey.InRelease");
    let key = include_bytes!("../../fixtures/gnupg-subkey.asc");
    let signed = verify(text, key).unwrap();
    assert_eq!(
        signed.release.key_expires.map(|time| time.to_string()).as_deref(),
        Some("2036-01-01T00:00:00Z")
    );
    assert_eq!(signed.release.date.map(|time| time.to_string()).as_deref(), Some("2026-11-21T10:00:00Z"));
    assert!(signed.check("Packages").is_ok());
    let error = verify(text, include_bytes!("../../fixtures/gnupg-revoked.asc")).unwrap_err();
    assert!(error.ends_with("the key that is trusted was revoked"), "{error}");
    let error = verify(include_str!("../../fixtures/gnupg-sha1.InRelease"), key).unwrap_err();
    assert!(error.ends_with("it is made with a hash that is not secure"), "{error}");
}
