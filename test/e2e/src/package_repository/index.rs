//! Paragraphs of a package index, in the shape of the community's repositories.

use std::fmt::Write as _;

/// The packages of one version, such as `1.36.4-1.1`, for two architectures: the text of an index, or a part of one.
pub fn paragraphs(version: &str) -> String {
    let mut text = String::new();
    for package in ["kubeadm", "kubectl", "kubelet"] {
        for architecture in ["amd64", "arm64"] {
            // Writing to a String cannot fail.
            let _ = write!(
                text,
                "Package: {package}\nVersion: {version}\nArchitecture: {architecture}\n\
                 Maintainer: Kubernetes Authors <dev@kubernetes.io>\nSection: admin\nPriority: optional\n\
                 Filename: {architecture}/{package}_{version}_{architecture}.deb\nSize: 12345678\n\
                 Description: {package} of Kubernetes\n A second line, as descriptions have it.\n\n"
            );
        }
    }
    text
}

/// A piece of an index without Kubernetes, to be repeated.
pub(super) fn filler() -> String {
    "Package: cri-tools\nVersion: 1.36.0-1.1\nArchitecture: amd64\nDescription: none of ours\n\n"
        .repeat(1_000)
}
