//! What a dynamically linked executable needs beside itself.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, Result};

/// The loader and the libraries of an executable, as absolute paths where its loader finds them; nothing for a static one.
///
/// # Errors
/// A library is not on this machine, or `ldd` is not.
pub(super) fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let failed = |reason: String| Error::Manifest { manifest: program.display().to_string(), reason };
    let output =
        Command::new("ldd").env("LC_ALL", "C").arg(program).output().map_err(|source| {
            match source.kind() {
                std::io::ErrorKind::NotFound => Error::MissingProgram {
                    program: "ldd".to_owned(),
                    purpose: "tells which libraries an image needs",
                    remedy: "it is part of libc-bin",
                },
                _ => Error::File { path: "ldd".into(), source },
            }
        })?;
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    // glibc's, musl's and a statically linked program's words.
    if complained.contains("not a dynamic executable") || said.contains("statically linked") {
        return Ok(Vec::new());
    }
    if !output.status.success() {
        return Err(failed(format!("ldd: {}", complained.trim())));
    }
    listed(&said).map_err(|library| failed(format!("needs {library}, which is not on this machine")))
}

/// The paths in what `ldd` prints; the name of a library that is missing otherwise.
fn listed(said: &str) -> Result<Vec<PathBuf>, String> {
    let mut paths = Vec::new();
    for line in said.lines() {
        let (name, place) = match line.split_once("=>") {
            Some((name, place)) => (name.trim(), place.trim()),
            // The loader, or what the kernel puts in itself.
            None => (line.trim(), line.trim()),
        };
        if place.starts_with("not found") {
            return Err(name.to_owned());
        }
        let path = place.split(" (").next().unwrap_or_default();
        if path.starts_with('/') {
            paths.push(PathBuf::from(path));
        }
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loader_and_each_library_are_listed() {
        let said = "\tlinux-vdso.so.1 (0x00007ffe)\n\tlibgcc_s.so.1 => /lib/x86_64-linux-gnu/libgcc_s.so.1 (0x00007f)\n\
            \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)\n\t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        let paths = listed(said).unwrap();
        let shown: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
        assert_eq!(
            shown,
            [
                "/lib/x86_64-linux-gnu/libgcc_s.so.1",
                "/lib/x86_64-linux-gnu/libc.so.6",
                "/lib64/ld-linux-x86-64.so.2"
            ]
        );
        assert_eq!(listed("\tlibx.so.1 => not found\n").unwrap_err(), "libx.so.1");
    }

    #[test]
    fn this_program_needs_what_is_there() {
        let ours = std::env::current_exe().unwrap();
        for path in libraries(&ours).unwrap() {
            assert!(path.is_file(), "{}", path.display());
        }
        libraries(Path::new("/no/such/program")).unwrap_err();
    }
}
