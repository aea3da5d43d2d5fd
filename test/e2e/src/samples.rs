//! The examples of `config/samples`, as they are, but with a repository on the loopback address.

use std::fs;

use crate::error::{Error, Result};
use crate::installed::repository;
use crate::package_repository::PackageRepository;

/// An example to be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Its documents.
    pub yaml: String,
    /// The folders of its repositories, to [`publish`](PackageRepository::publish) in.
    pub folders: Vec<String>,
}

impl Sample {
    /// Reads a file of `config/samples`. Nothing in it is changed but the scheme and host of each source.
    pub fn read(file: &str, repository_of_test: &PackageRepository) -> Result<Self> {
        Self::served_at(file, &repository_of_test.authority())
    }

    /// The same with a repository that listens at this address and port.
    pub fn served_at(file: &str, authority: &str) -> Result<Self> {
        let path = repository().join("config/samples").join(file);
        let text = fs::read_to_string(&path).map_err(Error::system(format!("read {}", path.display())))?;
        Ok(Self::localize(&text, authority))
    }

    /// Only the documents of an API group, where others are not served.
    #[must_use]
    pub fn of_group(mut self, group: &str) -> Self {
        let line = format!("apiVersion: {group}/");
        let of_group = |document: &&str| document.lines().any(|text| text.starts_with(&line));
        self.yaml = self.yaml.split("---\n").filter(of_group).collect::<Vec<_>>().join("---\n");
        self
    }

    /// Lets its sources be fetched this often, such as `10s`, where a test has no minute to wait.
    #[must_use]
    pub fn fetched_every(mut self, interval: &str) -> Self {
        let lines = self.yaml.lines().flat_map(|line| {
            let indent = line.len() - line.trim_start().len();
            let interval = is_url(line).then(|| format!("{}interval: {interval}\n", &line[..indent]));
            [Some(format!("{line}\n")), interval]
        });
        self.yaml = lines.flatten().collect();
        self
    }

    fn localize(text: &str, authority: &str) -> Self {
        let (mut yaml, mut folders) = (String::new(), Vec::new());
        for line in text.lines() {
            let parts = if is_url(line) { line.split_once("https://") } else { None };
            match parts.and_then(|(key, url)| Some((key, url.split_once('/')?.1))) {
                Some((key, path)) => {
                    yaml.extend([key, "http://", authority, "/", path, "\n"]);
                    folders.push(path.trim_end_matches("Packages").trim_end_matches('/').to_owned());
                }
                None => yaml.extend([line, "\n"]),
            }
        }
        Self { yaml, folders }
    }
}

fn is_url(line: &str) -> bool {
    line.trim_start().starts_with("url: http")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_scheme_and_host_are_replaced() {
        let text = "# see https://a.b/c\nspec:\n  url: https://pkgs.k8s.io/core:/stable:/v1.35/deb/Packages\n  architecture: amd64\n";
        let sample = Sample::localize(text, "127.0.0.1:1");
        assert_eq!(sample.folders, ["core:/stable:/v1.35/deb"]);
        assert_eq!(
            sample.fetched_every("10s").yaml,
            "# see https://a.b/c\nspec:\n  url: http://127.0.0.1:1/core:/stable:/v1.35/deb/Packages\n  interval: 10s\n  architecture: amd64\n"
        );
    }

    #[test]
    fn documents_of_another_group_are_left_out() {
        let one = "# first\napiVersion: a.example/v1\nkind: A\n";
        let text = format!(
            "{one}---\napiVersion: b.example/v1\nkind: B\nref:\n  apiVersion: a.example/v1\n---\n{one}"
        );
        let sample = Sample { yaml: text, folders: Vec::new() };
        assert_eq!(sample.of_group("a.example").yaml, format!("{one}---\n{one}"));
    }
}
