//! What a reboot pod is told.

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// The node is to leave the boot that it is in.
    Reboot,
    /// The node has left the boot that it was to leave.
    Rebooted,
}

/// What a pod is told whose annotation [`REBOOT_FROM_ANNOTATION`](api::kairos::REBOOT_FROM_ANNOTATION) has this value, on a
/// node that is in the boot `boot_id`. Nothing yet where the annotation is not there, or the pod is being deleted: then what
/// it was told does not count any more.
pub(super) fn told(reboot_from: Option<&str>, is_deleting: bool, boot_id: &str) -> Option<Told> {
    let from = reboot_from.map(str::trim).filter(|from| !from.is_empty())?;
    if !from.eq_ignore_ascii_case(boot_id) {
        Some(Told::Rebooted)
    } else if is_deleting {
        None
    } else {
        Some(Told::Reboot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOT: &str = "0b1f3c52-8d43-4c25-9a3a-2f7f5d5f0a11";
    const OTHER: &str = "77e5dd0e-4c0f-4f6f-8c55-1d34c6ad7e02";

    #[test]
    fn only_the_boot_that_it_is_in_is_left() {
        assert_eq!(told(None, false, BOOT), None);
        assert_eq!(told(Some(""), false, BOOT), None);
        assert_eq!(told(Some(" \n"), false, BOOT), None);
        assert_eq!(told(Some(BOOT), false, BOOT), Some(Told::Reboot));
        assert_eq!(told(Some(&format!("{}\n", BOOT.to_uppercase())), false, BOOT), Some(Told::Reboot));
        assert_eq!(told(Some(OTHER), false, BOOT), Some(Told::Rebooted));
        assert_eq!(told(Some(&BOOT[1..]), false, BOOT), Some(Told::Rebooted));
    }

    #[test]
    fn a_pod_that_goes_reboots_nothing() {
        assert_eq!(told(Some(BOOT), true, BOOT), None);
        assert_eq!(told(Some(OTHER), true, BOOT), Some(Told::Rebooted));
    }
}
