//! Each row of what the original labels, and what it takes away and must not.

use domain::object::ResourceVersion;
use proptest::prelude::*;

use super::*;

const RELEASE: &str = r#"
KAIROS_ID="kairos"
KAIROS_ID_LIKE="kairos-standard-ubuntu-24.04"
KAIROS_NAME="kairos-standard-ubuntu-24.04 v3.5.0"
KAIROS_VERSION="v3.5.0"
KAIROS_FAMILY="ubuntu"
KAIROS_FLAVOR="ubuntu"
KAIROS_FLAVOR_RELEASE="24.04"
KAIROS_VARIANT="standard"
KAIROS_RELEASE="v3.5.0"
KAIROS_MODEL="generic"
KAIROS_ARCH="amd64"
KAIROS_TRUSTED_BOOT="false"
KAIROS_FIPS="false"
KAIROS_SOFTWARE_VERSION_PREFIX="k3s"
KAIROS_SOFTWARE_VERSION="v1.33.2+k3s1"
KAIROS_INIT_VERSION="v0.5.7"
KAIROS_BUG_REPORT_URL="https://github.com/kairos-io/kairos/issues"
KAIROS_HOME_URL="https://github.com/kairos-io/kairos"
KAIROS_OF_TOMORROW="x"
"#;

fn told(release: &str, cmdline: &str) -> Told {
    Told { kairos_release: Some(release.to_owned()), cmdline: cmdline.to_owned(), ..Told::default() }
}

fn pairs<'a>(map: &'a BTreeMap<&'static str, String>) -> Vec<(&'a str, &'a str)> {
    map.iter().map(|(key, value)| (*key, value.as_str())).collect()
}

#[test]
fn every_key_is_told_by_its_variable() {
    let wanted = wanted(&told(RELEASE, "root=LABEL=COS_ACTIVE")).unwrap();
    assert_eq!(
        pairs(&wanted.labels),
        [
            ("kairos.io/arch", "amd64"),
            ("kairos.io/boot-state", "active"),
            ("kairos.io/family", "ubuntu"),
            ("kairos.io/fips", "false"),
            ("kairos.io/flavor", "ubuntu"),
            ("kairos.io/flavor-release", "24.04"),
            ("kairos.io/id", "kairos"),
            ("kairos.io/managed", "true"),
            ("kairos.io/model", "generic"),
            ("kairos.io/release", "v3.5.0"),
            ("kairos.io/software-version", "v1.33.2-k3s1"),
            ("kairos.io/software-version-prefix", "k3s"),
            ("kairos.io/trusted-boot", "false"),
            ("kairos.io/variant", "standard"),
        ]
    );
    assert_eq!(
        pairs(&wanted.annotations),
        [
            ("kairos.io/bug-report-url", "https://github.com/kairos-io/kairos/issues"),
            ("kairos.io/home-url", "https://github.com/kairos-io/kairos"),
            ("kairos.io/id-like", "kairos-standard-ubuntu-24.04"),
            ("kairos.io/init-version", "v0.5.7"),
            ("kairos.io/name", "kairos-standard-ubuntu-24.04 v3.5.0"),
            ("kairos.io/version", "v3.5.0"),
        ]
    );
}

#[test]
fn kairos_is_told_by_its_file_or_else_by_the_id_of_the_system() {
    let of = |kairos_release: Option<&str>, os_release: Option<&str>| {
        let text = |text: Option<&str>| text.map(str::to_owned);
        wanted(&Told {
            kairos_release: text(kairos_release),
            os_release: text(os_release),
            ..Told::default()
        })
    };
    assert_eq!(of(None, None), None);
    assert_eq!(of(None, Some("ID=debian\nNAME=kairos\nID_LIKE=kairos\n")), None);
    let only = [("kairos.io/boot-state", "unknown"), ("kairos.io/managed", "true")];
    let old = of(None, Some("ID=\"kairos-opensuse\"\nKAIROS_FLAVOR=opensuse\n")).unwrap();
    assert_eq!((pairs(&old.labels), old.annotations.len()), (only.to_vec(), 0), "an old image tells no more");
    let empty = of(Some(""), Some("ID=debian")).unwrap();
    assert_eq!(pairs(&empty.labels), only);
}

#[test]
fn the_boot_state_is_told_by_cmdline() {
    for (cmdline, word) in [
        ("BOOT_IMAGE=/boot/vmlinuz root=LABEL=COS_ACTIVE rd.cos", "active"),
        ("root=LABEL=COS_PASSIVE", "passive"),
        ("root=LABEL=COS_RECOVERY", "recovery"),
        ("root=LABEL=COS_SYSTEM", "recovery"),
        ("rd.x recovery-mode", "recovery"),
        ("root=live:LABEL=COS_LIVE", "livecd"),
        ("root=live:CDLABEL=COS_LIVE", "livecd"),
        ("ip=dhcp netboot", "livecd"),
        ("root=/dev/vda1", "unknown"),
        ("", "unknown"),
    ] {
        assert_eq!(boot_state(&told("", cmdline)), word, "{cmdline}");
    }
}

#[test]
fn the_boot_state_of_a_unified_image_is_told_by_its_boot_loader() {
    let state = |device: Option<&str>, entry: Option<&str>| {
        let variable = |text: &str| {
            let attributes = [6, 0, 0, 0].into_iter();
            attributes.chain(text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes)).collect()
        };
        boot_state(&Told {
            // All entries of one have the same.
            cmdline: "console=ttyS0 rd.immucore.uki COS_ACTIVE".to_owned(),
            efi_device: device.map(variable),
            efi_entry: entry.map(variable),
            ..Told::default()
        })
    };
    for (entry, word) in [
        ("active.conf", "active"),
        ("active_boot.conf", "active"),
        ("passive.conf", "passive"),
        ("recovery.conf", "recovery"),
        ("statereset.conf", "autoreset"),
        ("other.conf", "unknown"),
        ("active.efi", "unknown"),
        ("", "unknown"),
    ] {
        assert_eq!(state(Some("d"), Some(entry)), word, "{entry}");
    }
    assert_eq!(state(None, Some("active.conf")), "livecd");
    assert_eq!(state(Some("d"), None), "unknown");
    let torn = Told {
        cmdline: UKI.into(),
        efi_device: Some(vec![1]),
        efi_entry: Some(vec![1, 2]),
        ..Told::default()
    };
    assert_eq!(boot_state(&torn), "unknown");
}

#[test]
fn what_no_label_can_be_is_made_one() {
    for (text, value) in [
        ("v1.33.2+k3s1", "v1.33.2-k3s1"),
        (" (Noble Numbat) ", "Noble-Numbat"),
        ("--_.a._--", "a"),
        ("über", "ber"),
        ("+++", ""),
        ("", ""),
    ] {
        assert_eq!(label_value(text), value, "{text}");
    }
    assert_eq!(label_value(&"a".repeat(64)), "a".repeat(63));
    assert_eq!(label_value(&format!("{}.b", "a".repeat(62))), "a".repeat(62));
    let none = wanted(&told("KAIROS_ID='+'\nKAIROS_FLAVOR=''\nKAIROS_NAME=''\n", "")).unwrap();
    assert_eq!((none.labels.len(), none.annotations.len()), (2, 0), "nothing is told by an empty value");
}

proptest! {
    #[test]
    fn every_label_is_legal(text in ".{0,100}") {
        let value = label_value(&text);
        prop_assert!(value.len() <= 63);
        prop_assert!(value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')));
        let end = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
        prop_assert!(end(value.chars().next()) && end(value.chars().last()), "{value}");
    }
}

fn node() -> Meta {
    Meta { uid: "uid-n".into(), resource_version: ResourceVersion(7), ..Meta::default() }
}

fn present(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
}

#[test]
fn a_patch_has_what_differs_and_takes_away_only_what_is_the_labelers() {
    let wanted = wanted(&told("KAIROS_FLAVOR=ubuntu\nKAIROS_VERSION=v2\n", "COS_ACTIVE")).unwrap();
    let labels = present(&[
        ("kairos.io/managed", "true"),
        ("kairos.io/flavor", "ubuntu"),
        ("kairos.io/boot-state", "passive"),
        ("kairos.io/model", "rpi4"),
        ("kairos.io/rack", "r7"),
        ("kubernetes.io/hostname", "n"),
    ]);
    let annotations = present(&[
        ("kairos.io/version", "v1"),
        ("kairos.io/home-url", "https://old"),
        ("kairos.io/note", "mine"),
        ("operator.kairos.io/cordoned-by", "ns/op@u"),
    ]);
    assert_eq!(
        patch(&wanted, &node(), &labels, &annotations).unwrap(),
        json!({"metadata": {
            "uid": "uid-n", "resourceVersion": "7",
            "labels": {"kairos.io/boot-state": "active", "kairos.io/model": null},
            "annotations": {"kairos.io/home-url": null, "kairos.io/version": "v2"},
        }})
    );
}

#[test]
fn a_node_that_has_what_is_wanted_is_not_written() {
    let wanted = wanted(&told("", "COS_ACTIVE")).unwrap();
    let labels = present(&[("kairos.io/managed", "true"), ("kairos.io/boot-state", "active"), ("a", "b")]);
    assert_eq!(patch(&wanted, &node(), &labels, &Labels::new()), None);
    let fresh = patch(&wanted, &node(), &Labels::new(), &Labels::new()).unwrap();
    assert_eq!(
        fresh["metadata"]["labels"],
        json!({"kairos.io/managed": "true", "kairos.io/boot-state": "active"})
    );
    assert_eq!(fresh["metadata"].get("annotations"), None);
}

#[test]
fn a_node_that_is_opted_out_is_left_alone() {
    let wanted = wanted(&told(RELEASE, "COS_ACTIVE")).unwrap();
    let out = present(&[("kairos.io/managed", "false"), ("kairos.io/flavor", "old")]);
    assert_eq!(patch(&wanted, &node(), &out, &Labels::new()), None);
    let odd = present(&[("kairos.io/managed", "maybe")]);
    let patch = patch(&wanted, &node(), &odd, &Labels::new()).unwrap();
    assert_eq!(patch["metadata"]["labels"]["kairos.io/managed"], "true");
}
