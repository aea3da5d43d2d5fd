//! A package index as the community's repositories have them, as large as it is asked for.

use std::fmt::Write as _;

/// So many stanzas: six packages for five architectures, in as many versions as it takes.
pub(crate) fn of(stanzas: usize) -> String {
    const PACKAGES: [&str; 6] =
        ["cri-tools", "kubeadm", "kubectl", "kubelet", "kubernetes-cni", "kubernetes-node"];
    const ARCHITECTURES: [&str; 5] = ["amd64", "arm64", "armhf", "ppc64el", "s390x"];
    let mut text = String::new();
    for number in 0..stanzas {
        let architecture = ARCHITECTURES[number % ARCHITECTURES.len()];
        let package = PACKAGES[number / ARCHITECTURES.len() % PACKAGES.len()];
        let release = number / (ARCHITECTURES.len() * PACKAGES.len());
        let version = format!("1.{}.{}-1.1", 24 + release / 25, release % 25);
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "Package: {package}\nVersion: {version}\nArchitecture: {architecture}\n\
             Maintainer: Kubernetes Authors <dev@kubernetes.io>\nInstalled-Size: 58340\n\
             Depends: cri-tools (>= 1.30.0), kubelet (>= 1.30.0), kubectl (>= 1.30.0), containerd | cri-o, iptables (>= 1.4.21)\n\
             Section: admin\nPriority: optional\nHomepage: https://kubernetes.io\n\
             Filename: {architecture}/{package}_{version}_{architecture}.deb\nSize: {size}\n\
             MD5sum: {hash:032x}\nSHA1: {hash:040x}\nSHA256: {hash:064x}\n\
             Description: {package} of Kubernetes\n What stands here is read past, as are most fields of a stanza.\n\n",
            size = 12_000_000 + number,
            hash = number * 2_654_435_761,
        );
    }
    text
}
