//! Kubeconfigs as text, complete in themselves: they can be written anywhere and handed to anybody.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::certificates::Identity;

/// How a user proves who it is.
pub(crate) enum Credential<'a> {
    Certificate(&'a Identity),
    Token(&'a str),
}

/// A kubeconfig with one cluster, one user and one context, in namespace `default`.
pub(crate) fn render(server: &str, authority: &str, credential: &Credential<'_>) -> String {
    let credential = match credential {
        Credential::Certificate(identity) => format!(
            "client-certificate-data: {}\n    client-key-data: {}",
            STANDARD.encode(&identity.certificate),
            STANDARD.encode(&identity.key)
        ),
        Credential::Token(token) => format!("token: {token}"),
    };
    format!(
        "apiVersion: v1
kind: Config
clusters:
- name: control-plane
  cluster:
    server: {server}
    certificate-authority-data: {authority}
users:
- name: user
  user:
    {credential}
contexts:
- name: control-plane
  context:
    cluster: control-plane
    user: user
current-context: control-plane
",
        authority = STANDARD.encode(authority)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::config::Kubeconfig;

    #[test]
    fn it_reads_back() {
        let text = render("https://127.0.0.1:1", "ca", &Credential::Token("t0ken"));
        let read = Kubeconfig::from_yaml(&text).unwrap();
        assert_eq!(read.current_context.as_deref(), Some("control-plane"));
        assert_eq!(read.clusters[0].cluster.as_ref().unwrap().server.as_deref(), Some("https://127.0.0.1:1"));

        let identity = Identity { certificate: "c".into(), key: "k".into() };
        let text = render("https://127.0.0.1:1", "ca", &Credential::Certificate(&identity));
        let user = Kubeconfig::from_yaml(&text).unwrap().auth_infos[0].auth_info.clone().unwrap();
        assert_eq!(user.client_certificate_data.as_deref(), Some("Yw=="));
    }
}
