//! Files of YAML documents, and where in them something is wrong.

use serde_json::Value;

use super::{API_VERSION, KIND, Scenario, wire};

/// What is wrong with a file, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}: document {document} (line {line}): {reason}")]
pub struct ReadError {
    /// Name of the file.
    pub file: String,
    /// Counted from one.
    pub document: usize,
    /// The line at which the document begins, counted from one.
    pub line: usize,
    /// What is wrong with it.
    pub reason: String,
}

/// A document and the line at which it begins.
struct Document {
    line: usize,
    text: String,
}

fn documents(text: &str) -> Vec<Document> {
    let mut documents = vec![Document { line: 1, text: String::new() }];
    for (number, line) in text.lines().enumerate() {
        if line == "---" || line.starts_with("--- ") {
            documents.push(Document { line: number + 2, text: String::new() });
        } else if let Some(last) = documents.last_mut() {
            last.text.push_str(line);
            last.text.push('\n');
        }
    }
    let says_nothing = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
    documents.retain(|document| !document.text.lines().all(says_nothing));
    documents
}

pub(super) fn read<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Scenario, ReadError> {
    let mut scenario = Scenario::default();
    let mut simulation: Option<(String, usize, usize, Value)> = None;
    for (file, text) in files {
        for (number, Document { line, text }) in documents(text).into_iter().enumerate() {
            let document = number + 1;
            let wrong = |reason: String| ReadError { file: file.to_owned(), document, line, reason };
            let object: Value = serde_saphyr::from_str(&text).map_err(|error| wrong(first_line(&error)))?;
            if object.is_null() {
                continue;
            }
            check(&object).map_err(wrong)?;
            if object["kind"] != KIND {
                scenario.add(object);
                continue;
            }
            if object["apiVersion"] != API_VERSION {
                return Err(wrong(format!("a {KIND} has apiVersion {API_VERSION}")));
            }
            if let Some((other, at, ..)) = &simulation {
                return Err(wrong(format!("there is a {KIND} already, in document {at} of {other}")));
            }
            simulation = Some((file.to_owned(), document, line, object["spec"].clone()));
        }
    }
    if let Some((file, document, line, spec)) = simulation {
        let wrong = |reason: String| ReadError { file, document, line, reason };
        let objects = std::mem::take(&mut scenario.objects);
        scenario = wire::read(spec, scenario.start).map_err(wrong)?;
        scenario.objects = objects;
    }
    Ok(scenario)
}

/// Without the picture of the text that follows; its lines are counted from the document's first.
fn first_line(error: &serde_saphyr::Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    format!("no YAML: {}", line.trim_start_matches("error: "))
}

fn check(object: &Value) -> Result<(), String> {
    for field in ["apiVersion", "kind"] {
        if object[field].as_str().is_none_or(str::is_empty) {
            return Err(format!("{field} is missing"));
        }
    }
    let items = object["items"].as_array();
    if object["kind"].as_str().is_some_and(|kind| kind.ends_with("List")) && items.is_some() {
        return items.into_iter().flatten().try_for_each(check);
    }
    if object["kind"] != KIND && object["metadata"]["name"].as_str().is_none_or(str::is_empty) {
        return Err("metadata.name is missing".to_owned());
    }
    Ok(())
}
