use super::*;
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use xz2::write::XzEncoder;

/// All that pkgs.k8s.io lists for a minor, in its order and with its fields.
const STABLE: &str = include_str!("../../fixtures/stable-v1.27.Packages");
const LIMIT: u64 = 8 * 1024 * 1024;

fn read_in(pieces: &[&[u8]], architecture: &str, end: End) -> Result<Index, IndexError> {
    let mut reader = IndexReader::new(architecture, LIMIT);
    for piece in pieces {
        reader.push(piece)?;
    }
    reader.finish(end)
}

fn read(bytes: impl AsRef<[u8]>, architecture: &str) -> Result<Index, IndexError> {
    read_in(&[bytes.as_ref()], architecture, End::Framed)
}

fn versions(index: &Index) -> String {
    index.versions.iter().map(|one| one.version.to_string()).collect::<Vec<_>>().join(" ")
}

fn stanza(package: &str, version: &str, architecture: &str) -> String {
    format!("\nPackage: {package}\nVersion: {version}\nArchitecture: {architecture}\nSection: admin\n")
}

fn gzip(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(bytes.as_ref()).unwrap();
    gzip.finish().unwrap()
}

fn xz(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let mut xz = XzEncoder::new(Vec::new(), 6);
    xz.write_all(bytes.as_ref()).unwrap();
    xz.finish().unwrap()
}

#[test]
fn package_versions_map() {
    for (package, version) in [
        ("1.27.0-2.1", Some("v1.27.0")),
        ("1.27.1-1.1", Some("v1.27.1")),
        ("1.26.8-00", Some("v1.26.8")),
        ("1:1.27.1-1", Some("v1.27.1")),
        ("1.27.3", Some("v1.27.3")),
        ("1.27-1", Some("v1.27.0")),
        ("1.27.1+dfsg-1", Some("v1.27.1")),
        ("1.27.3-1~bpo12+1", Some("v1.27.3")),
        ("1.27.3-ubuntu1", Some("v1.27.3")),
        ("1.27.3-2-1", Some("v1.27.3")),
        ("1.29.0~rc.1-1.1", Some("v1.29.0-rc.1")),
        ("1.29.0~rc.1", Some("v1.29.0-rc.1")),
        ("1.29.0-rc.1", Some("v1.29.0-rc.1")),
        ("1.29.0-rc.1-00", Some("v1.29.0-rc.1")),
        ("1.29.0-RC1-1", Some("v1.29.0-RC1")),
        ("1.29.0+dfsg-rc.1", Some("v1.29.0-rc.1")),
        ("1:1.29.0~alpha.3+dfsg~1-1", Some("v1.29.0-alpha.3")),
        ("1.29.0-beta.0~ubuntu1", Some("v1.29.0-beta.0")),
        ("1.29.0~git20231101-1", Some("v1.29.0-git20231101")),
        ("1.29.0~rc.1~2-1", Some("v1.29.0-rc.1.2")),
        ("1.29.0-rcx-1", Some("v1.29.0")),
        ("1.29.0~-1", None),
        ("1.29.0~rc.01-1", None),
        ("1.2.3.4-1", None),
        ("latest", None),
        ("", None),
        ("-1", None),
        ("1..2-1", None),
        ("x:1.2.3", None),
        (":1.2.3", None),
        ("99999999999:1.2.3", None),
        ("1.27.99999999999999999999-1", None),
        ("1.27.3-99999999999999999999", None),
        ("1.27.3 -1", None),
        ("1.27.3_1", None),
        ("1.27.é-1", None),
    ] {
        assert_eq!(
            kubernetes_version(package).map(|version| version.to_string()).as_deref(),
            version,
            "{package}"
        );
    }
}

#[test]
fn an_empty_file_lists_nothing() {
    for text in ["", "\n", "\n\n\r\n \n"] {
        let index = read(text, "amd64").unwrap();
        assert_eq!(index, Index::default());
        assert!(index.is_empty());
    }
    let mut reader = IndexReader::new("", LIMIT);
    reader.push(b"").unwrap();
    assert!(reader.finish(End::Closed).unwrap().is_empty());
}

#[test]
fn other_packages_and_architectures_do_not_count() {
    let index = read(stanza("kubelet", "1.27.0-2.1", "amd64"), "amd64").unwrap();
    assert_eq!(index, Index { stanzas: 1, ..Index::default() });
    assert!(!index.is_empty());
    let index = read(stanza("kubeadm", "1.27.0-2.1", "arm64"), "amd64").unwrap();
    assert_eq!(index, Index { stanzas: 1, kubeadm: 1, ..Index::default() });

    let text = ["amd64", "arm64"]
        .map(|arch| stanza("kubeadm", "1.27.0-2.1", arch) + &stanza("kubeadm", "1.27.1-1.1", arch));
    let index = read(text.concat(), "amd64").unwrap();
    assert_eq!(versions(&index), "v1.27.0 v1.27.1");
    assert_eq!((index.stanzas, index.kubeadm), (4, 4));
}

#[test]
fn a_minor_of_the_community_repository() {
    let index = read(STABLE, "amd64").unwrap();
    assert_eq!(versions(&index), "v1.27.0 v1.27.1 v1.27.2 v1.27.3 v1.27.4 v1.27.5 v1.27.6 v1.27.10");
    assert_eq!(&*index.versions[0].package, "1.27.0-2.1");
    assert_eq!((index.stanzas, index.kubeadm, index.skipped), (107, 31, 0));
    assert_eq!(
        versions(&read(STABLE, "s390x").unwrap()),
        "v1.27.0 v1.27.1 v1.27.2 v1.27.3 v1.27.4 v1.27.5 v1.27.6"
    );
    // Any architecture, each version once.
    assert_eq!(read(STABLE, "").unwrap().versions, index.versions);
    assert_eq!(versions(&read(STABLE, "AMD64").unwrap()), "");
}

#[test]
fn revisions_are_one_version_and_the_highest_is_named() {
    let text: String =
        ["1.27.3-1.1", "1.27.3-1.10", "1.27.3-1.2", "1.27.3-00", "1.26.1-1", "1.27.3~rc.1-9", "nonsense"]
            .map(|version| stanza("kubeadm", version, "amd64"))
            .concat();
    let index = read(text, "amd64").unwrap();
    let found: Vec<(String, &str)> =
        index.versions.iter().map(|one| (one.version.to_string(), &*one.package)).collect();
    let expected = [("v1.26.1", "1.26.1-1"), ("v1.27.3-rc.1", "1.27.3~rc.1-9"), ("v1.27.3", "1.27.3-1.10")];
    assert_eq!(found, expected.map(|(version, package)| (version.to_owned(), package)));
    assert_eq!(index.skipped, 1);
}

#[test]
fn the_form_of_a_file_may_vary() {
    let crlf = STABLE.replace('\n', "\r\n");
    let tabs = STABLE.replace("\n ", "\n\t");
    let lower = STABLE.replace("Package:", "package:").replace("Version: ", "VERSION:");
    let unended = STABLE.trim_end();
    for text in [crlf.as_str(), &tabs, &lower, unended] {
        assert_eq!(read(text, "amd64"), read(STABLE, "amd64"), "{}", &text[..40]);
    }
    let unended = "Package: kubeadm\nArchitecture: amd64\nVersion: 1.27.3-1.1";
    assert_eq!(versions(&read(unended, "amd64").unwrap()), "v1.27.3");
    let latin: &[u8] =
        b"Package: kubeadm\nVersion: 1.27.3-1.1\nArchitecture: amd64\nDescription: caf\xe9\n\n";
    assert_eq!(versions(&read(latin, "amd64").unwrap()), "v1.27.3");
    let folded = "Package: kubeadm\nVersion: 1.27.3-1.1\n 1.28\nArchitecture: amd64\n\n";
    assert_eq!(read(folded, "amd64").unwrap().skipped, 1);
    let bare = "Package: kubeadm\n\nPackage: kubeadm\nVersion: 1.27.3\n";
    let index = read(bare, "").unwrap();
    assert_eq!((versions(&index).as_str(), index.skipped), ("v1.27.3", 1));
}

#[test]
fn packed_files_are_known_by_their_first_byte() {
    let plain = read(STABLE, "amd64");
    let half = STABLE.len() / 2;
    let halves = [gzip(&STABLE[..half]), gzip(&STABLE[half..])].concat();
    let two = [xz(&STABLE[..half]), xz(&STABLE[half..])].concat();
    for packed in [gzip(STABLE), xz(STABLE), halves, two] {
        assert_eq!(read(&packed, "amd64"), plain);
        let bytes: Vec<&[u8]> = packed.chunks(1).collect();
        assert_eq!(read_in(&bytes, "amd64", End::Closed), plain);
    }
    assert!(read(gzip(""), "amd64").unwrap().is_empty());
    assert!(read(xz(""), "amd64").unwrap().is_empty());
}

#[test]
fn a_packed_file_that_is_cut_short_is_never_good() {
    // gzip has nothing that tells a missing end from a wrong checksum.
    let cut_gzip = IndexError::Damaged { compression: "gzip" };
    let text = &STABLE[..3_000];
    for (packed, expected) in [(gzip(text), cut_gzip), (xz(text), IndexError::Truncated)] {
        for length in 1..packed.len() {
            let error = read_in(&[&packed[..length]], "amd64", End::Framed).unwrap_err();
            assert_eq!(error, expected, "{length} of {}", packed.len());
        }
    }
}

#[test]
fn a_damaged_packed_file_is_never_good() {
    for (compression, packed) in [("gzip", gzip(STABLE)), ("xz", xz(STABLE))] {
        let mut damaged = packed.clone();
        let middle = damaged.len() / 2;
        damaged[middle] ^= 0x55;
        let error = read(&damaged, "amd64").unwrap_err();
        assert!(!error.to_string().is_empty(), "{compression}: {error:?}");
        let trailed = [packed.as_slice(), b"more"].concat();
        read(&trailed, "amd64").expect_err(compression);
        let error = read(packed[..1].iter().chain(b"garbage, garbage").copied().collect::<Vec<u8>>(), "")
            .unwrap_err();
        assert_eq!(error, IndexError::Damaged { compression });
    }
}

#[test]
fn size_is_bounded() {
    let long = stanza("kubelet", "1.27.0-1.1", "amd64").repeat(40_000);
    let limit = 1024 * 1024;
    for bytes in [long.clone().into_bytes(), gzip(&long), xz(&long)] {
        let mut reader = IndexReader::new("amd64", limit);
        assert_eq!(reader.push(&bytes), Err(IndexError::TooLarge { limit }));
    }
    let line = format!("Package: kubeadm\nDescription: {}", "x".repeat(LONGEST_LINE));
    assert_eq!(read(gzip(&line), ""), Err(IndexError::NotControl { line: 1, what: "too long" }));
    let many: String =
        (0..=MOST_VERSIONS).map(|patch| stanza("kubeadm", &format!("1.1.{patch}-1"), "amd64")).collect();
    assert_eq!(read(many, ""), Err(IndexError::TooManyVersions));
}

#[test]
fn what_is_no_index_says_where_and_not_what() {
    for (text, shown) in [
        ("<!DOCTYPE html>\n<html lang=en>secret</html>\n", "line 1 is HTML or XML"),
        ("\n\n<a href=\"http://secret/\">\n", "line 3 is HTML or XML"),
        ("{\"secret\": 1}\n", "the stanza that ends at line 1 names no package"),
        ("{\n  \"secret\": 1}\n", "line 1 is not `Field: value`"),
        ("secret\n", "line 1 is not `Field: value`"),
        ("se cret: x\n", "line 1 is not `Field: value`"),
        ("-----BEGIN PGP SIGNED MESSAGE-----\n", "line 1 is not `Field: value`"),
        ("Package: kubeadm\nVersion\n", "line 2 is not `Field: value`"),
        (" continued\n", "line 1 is a continuation of nothing"),
        ("Package: a\n\n b\n", "line 3 is a continuation of nothing"),
        ("Origin: obs\nSuite: secret\n\n", "the stanza that ends at line 3 names no package"),
        ("Origin: obs\nVersion: 1.2.3", "the stanza that ends at line 2 names no package"),
        ("\0\0\0\n", "line 1 is not `Field: value`"),
        ("BZh91AY&SY\n", "line 1 is not `Field: value`"),
    ] {
        assert_eq!(read(text, "amd64").unwrap_err().to_string(), shown, "{text:?}");
    }
}

#[test]
fn a_plain_file_that_may_be_cut_short_must_end_well() {
    let closed = |text: &str| read_in(&[text.as_bytes()], "amd64", End::Closed);
    let whole = "Package: kubeadm\nVersion: 1.27.10-1.1\nArchitecture: amd64\nSize: 12\n";
    for cut in [
        "Pack",
        "Package: kube",
        "Package: kubeadm\n",
        "Package: kubeadm\nVersion: 1.27.1",
        "Package: kubeadm\nVersion: 1.27.10-1.1\nArch",
        "Package: kubeadm\nVersion: 1.27.10-1.1\nArchitecture: am",
    ] {
        assert_eq!(closed(cut), Err(IndexError::Truncated), "{cut:?}");
        let after = format!("{whole}\n{cut}");
        assert_eq!(closed(&after), Err(IndexError::Truncated), "{cut:?}");
    }
    assert_eq!(versions(&closed(whole).unwrap()), "v1.27.10");
    assert_eq!(versions(&closed(whole.trim_end()).unwrap()), "v1.27.10");
    assert_eq!(closed(STABLE), read(STABLE, "amd64"));
    let other = format!("{whole}\nPackage: kubectl\n");
    assert_eq!(versions(&closed(&other).unwrap()), "v1.27.10");
}

proptest! {
    // Each case packs and unpacks a whole file.
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn where_the_pieces_are_cut_does_not_matter(cuts in prop::collection::vec(0..STABLE.len(), 0..20), packed in 0..3) {
        let bytes = match packed { 0 => STABLE.as_bytes().to_vec(), 1 => gzip(STABLE), _ => xz(STABLE) };
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        prop_assert_eq!(read_in(&pieces, "amd64", End::Framed), read(STABLE, "amd64"));
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(first in prop::option::of(prop::sample::select(vec![0x1f_u8, 0xfd])), rest in prop::collection::vec(any::<u8>(), 0..200)) {
        let bytes: Vec<u8> = first.into_iter().chain(rest).collect();
        let _ = read(&bytes, "").is_ok();
        let _ = read_in(&[&bytes], "amd64", End::Closed).is_ok();
    }

    #[test]
    fn no_version_panics_and_none_that_is_marked_is_a_release(text in "[0-9.:~+a-c-]{0,16}", numbers in "[0-9]\\.[0-9]{1,2}\\.[0-9]", mark in "(~|-)(alpha|beta|rc)(\\.[1-9])?", tail in "(-[0-9.]{1,3})?") {
        let _ = kubernetes_version(&text).is_some();
        let index = read(stanza("kubeadm", &text, "amd64") + &stanza("kubeadm", "1.27.3-1", "amd64"), "");
        prop_assert!(index.is_ok());
        let version = kubernetes_version(&format!("{numbers}{mark}{tail}"));
        prop_assert!(version.is_none_or(|version| version.is_prerelease()));
    }
}
