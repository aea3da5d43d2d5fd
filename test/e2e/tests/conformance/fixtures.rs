//! The fixtures of `crates/api` as a script: each is created, and accepted or refused in the same words.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::kinds;
use crate::script::{Script, Step};

pub(crate) fn script() -> Script {
    let mut steps = Vec::new();
    for folder in ["accepted", "refused"] {
        let folder = e2e::repository().join("crates/api/fixtures").join(folder);
        let mut files: Vec<PathBuf> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for file in files {
            let mut body: Value = serde_saphyr::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
            body["metadata"].as_object_mut().unwrap().remove("namespace");
            let request = format!("POST {}", kinds::plural(body["kind"].as_str().unwrap()));
            steps.push(Step { request: Some(request), body: Some(body), ..Step::default() });
        }
    }
    Script { _about: String::new(), nodes: false, steps }
}
