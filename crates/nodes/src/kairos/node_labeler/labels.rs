//! What a node that runs Kairos is labelled with: from the text of its files to a patch.
//!
//! The keys and the words are the original's. It takes away every label and annotation below `kairos.io/` that it does not
//! set, those of users among them; here only the keys of [`LABELS`] and [`ANNOTATIONS`] are ever written or taken away, and
//! nothing is where the node is opted out by `kairos.io/managed: "false"`.

use std::collections::BTreeMap;

use api::kairos::{FALSE, MANAGED_LABEL, TRUE};
use api::selector::Labels;
use domain::object::Meta;
use serde_json::{Map, Value, json};

use super::release::Release;

/// How the node was booted: `active`, `passive`, `recovery`, `autoreset`, `livecd` or `unknown`.
pub const BOOT_STATE_LABEL: &str = "kairos.io/boot-state";

/// Labels beside `kairos.io/managed` and [`BOOT_STATE_LABEL`], and the variables of the release file that they tell.
pub const LABELS: [(&str, &str); 12] = [
    ("kairos.io/id", "KAIROS_ID"),
    ("kairos.io/family", "KAIROS_FAMILY"),
    ("kairos.io/flavor", "KAIROS_FLAVOR"),
    ("kairos.io/flavor-release", "KAIROS_FLAVOR_RELEASE"),
    ("kairos.io/variant", "KAIROS_VARIANT"),
    ("kairos.io/release", "KAIROS_RELEASE"),
    ("kairos.io/model", "KAIROS_MODEL"),
    ("kairos.io/arch", "KAIROS_ARCH"),
    ("kairos.io/trusted-boot", "KAIROS_TRUSTED_BOOT"),
    ("kairos.io/fips", "KAIROS_FIPS"),
    ("kairos.io/software-version-prefix", "KAIROS_SOFTWARE_VERSION_PREFIX"),
    ("kairos.io/software-version", "KAIROS_SOFTWARE_VERSION"),
];

/// Annotations, and the variables of the release file that they tell.
pub const ANNOTATIONS: [(&str, &str); 6] = [
    ("kairos.io/name", "KAIROS_NAME"),
    ("kairos.io/id-like", "KAIROS_ID_LIKE"),
    ("kairos.io/init-version", "KAIROS_INIT_VERSION"),
    ("kairos.io/version", "KAIROS_VERSION"),
    ("kairos.io/bug-report-url", "KAIROS_BUG_REPORT_URL"),
    ("kairos.io/home-url", "KAIROS_HOME_URL"),
];

/// Longest value of a label.
const LABEL_LIMIT: usize = 63;
/// What cmdline has where the node was booted from a unified kernel image.
const UKI: &str = "rd.immucore.uki";

/// What a node tells of itself; a file that it does not have is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// `/etc/kairos-release`.
    pub kairos_release: Option<String>,
    /// `/etc/os-release`.
    pub os_release: Option<String>,
    /// `/proc/cmdline`; empty where it cannot be read.
    pub cmdline: String,
    /// The EFI variable `LoaderDevicePartUUID`: a boot loader on a disk sets it.
    pub efi_device: Option<Vec<u8>>,
    /// The EFI variable `LoaderEntrySelected`: four bytes of attributes, then UTF-16.
    pub efi_entry: Option<Vec<u8>>,
}

/// What a node is labelled with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Labels by key, each a legal value.
    pub labels: BTreeMap<&'static str, String>,
    /// Annotations by key.
    pub annotations: BTreeMap<&'static str, String>,
}

/// What a node is labelled with; nothing where it does not run Kairos. An image from before there was a kairos-release file has
/// `kairos` in the ID of its os-release, and tells no more than that.
pub fn wanted(told: &Told) -> Option<Wanted> {
    let release = match (&told.kairos_release, &told.os_release) {
        (Some(text), _) => Release::read(text),
        (None, Some(text)) if Release::read(text).get("ID").is_some_and(|id| id.contains("kairos")) => {
            Release::default()
        }
        _ => return None,
    };
    let mut wanted = Wanted::default();
    wanted.labels.insert(MANAGED_LABEL, TRUE.to_owned());
    wanted.labels.insert(BOOT_STATE_LABEL, boot_state(told).to_owned());
    for (key, variable) in LABELS {
        let value = release.get(variable).map(label_value);
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            wanted.labels.insert(key, value);
        }
    }
    for (key, variable) in ANNOTATIONS {
        if let Some(value) = release.get(variable).filter(|value| !value.is_empty()) {
            wanted.annotations.insert(key, value.to_owned());
        }
    }
    Some(wanted)
}

/// The merge patch that makes a node have what is wanted; nothing where it has, or is opted out. The resourceVersion refuses it
/// where the node was opted out since it was read.
pub fn patch(wanted: &Wanted, node: &Meta, labels: &Labels, annotations: &Labels) -> Option<Value> {
    if labels.get(MANAGED_LABEL).is_some_and(|value| **value == *FALSE) {
        return None;
    }
    let own = [MANAGED_LABEL, BOOT_STATE_LABEL].into_iter().chain(LABELS.map(|(key, _)| key));
    let labels = difference(own, &wanted.labels, labels);
    let annotations = difference(ANNOTATIONS.map(|(key, _)| key), &wanted.annotations, annotations);
    if labels.is_empty() && annotations.is_empty() {
        return None;
    }
    let mut metadata = json!({"uid": node.uid, "resourceVersion": node.resource_version.to_string()});
    for (name, changes) in [("labels", labels), ("annotations", annotations)] {
        if !changes.is_empty() {
            metadata[name] = Value::Object(changes);
        }
    }
    Some(json!({"metadata": metadata}))
}

fn difference(
    own: impl IntoIterator<Item = &'static str>,
    wanted: &BTreeMap<&'static str, String>,
    present: &Labels,
) -> Map<String, Value> {
    let mut changes = Map::new();
    for key in own {
        let (wanted, present) = (wanted.get(key).map(String::as_str), present.get(key).map(AsRef::as_ref));
        if wanted != present {
            changes.insert(key.to_owned(), wanted.map_or(Value::Null, Value::from));
        }
    }
    changes
}

/// What a label may not have becomes `-`, its ends lose `-`, `_` and `.`, and it is cut to 63; empty where nothing is left.
fn label_value(text: &str) -> String {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let ends = ['-', '_', '.'];
    let text: String = text.chars().map(|c| if legal(c) { c } else { '-' }).collect();
    let text = text.trim_matches(ends);
    text.get(..LABEL_LIMIT).unwrap_or(text).trim_end_matches(ends).to_owned()
}

/// The word for how the node was booted.
fn boot_state(told: &Told) -> &'static str {
    let has = |word: &str| told.cmdline.contains(word);
    if has(UKI) {
        return uki_boot_state(told);
    }
    if has("COS_ACTIVE") {
        "active"
    } else if has("COS_PASSIVE") {
        "passive"
    } else if has("COS_RECOVERY") || has("COS_SYSTEM") || has("recovery-mode") {
        "recovery"
    } else if has("live:LABEL") || has("live:CDLABEL") || has("netboot") {
        "livecd"
    } else {
        "unknown"
    }
}

/// A unified kernel image has one cmdline for every entry of the boot menu: the boot loader tells which was taken, and on which
/// disk it is; without a disk, it is a medium to install from.
fn uki_boot_state(told: &Told) -> &'static str {
    if told.efi_device.as_ref().is_none_or(Vec::is_empty) {
        return "livecd";
    }
    let bytes = told.efi_entry.as_deref().and_then(|bytes| bytes.get(4..)).unwrap_or_default();
    let units = bytes.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
    let entry: String = char::decode_utf16(units)
        .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
        .filter(|unit| !unit.is_control())
        .collect();
    let Some(entry) = entry.strip_suffix(".conf") else { return "unknown" };
    let words =
        [("active", "active"), ("passive", "passive"), ("recovery", "recovery"), ("statereset", "autoreset")];
    words.into_iter().find(|(prefix, _)| entry.starts_with(prefix)).map_or("unknown", |(_, word)| word)
}

#[cfg(test)]
mod tests;
