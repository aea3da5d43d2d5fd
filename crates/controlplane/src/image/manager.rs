//! The image of the manager, as the `Dockerfile` describes it.

use std::path::Path;

use super::Image;
use crate::error::{Error, Result};

/// Where Debian, and so the image, has the certificates that package repositories are checked against.
const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// Nobody in particular, and not root.
const USER: &str = "65532:65532";

/// The image of a manager that was built on this machine: the binary as `/manager` with what it needs, and certificates.
///
/// # Errors
/// The binary, a library of it or this machine's certificates cannot be read.
pub fn manager(name: impl Into<String>, binary: &Path) -> Result<Image> {
    let certificates = Path::new(CERTIFICATES);
    if !certificates.is_file() {
        return Err(Error::MissingProgram {
            program: CERTIFICATES.to_owned(),
            purpose: "package repositories are checked against",
            remedy: "apt-get install ca-certificates",
        });
    }
    Image::new(name)?
        .program("/manager", binary)?
        .copy(CERTIFICATES, 0o644, certificates)
        .map(|image| image.user(USER).entrypoint(["/manager"]))
}
