//! Manifests: YAML or JSON of several documents, with the line of every field.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::Spanned;

/// Where in a file something is wrong, and what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Fault {
    pub(crate) file: String,
    pub(crate) line: u64,
    pub(crate) reason: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            return write!(f, "{}: {}", self.file, self.reason);
        }
        write!(f, "{}:{}: {}", self.file, self.line, self.reason)
    }
}

/// Everything that is wrong, one line each.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults(pub(crate) Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(Fault::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

/// One object of a file.
#[derive(Clone, Debug)]
pub(crate) struct Manifest {
    pub(crate) file: String,
    pub(crate) body: Value,
    /// The line where the document begins.
    start: u64,
    /// The line of every field and entry, by JSON pointer.
    lines: BTreeMap<String, u64>,
}

impl Manifest {
    /// The line of a field; of the nearest one around it, where it is not there.
    pub(crate) fn line(&self, pointer: &str) -> u64 {
        let mut pointer = pointer;
        loop {
            if let Some(line) = self.lines.get(pointer) {
                return *line;
            }
            match pointer.rsplit_once('/') {
                Some((outer, _)) => pointer = outer,
                None => return self.start,
            }
        }
    }

    /// The first field of a name, as a JSON pointer.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let named = |pointer: &&String| pointer.rsplit_once('/').is_some_and(|(_, last)| last == name);
        self.lines.keys().filter(named).min_by_key(|pointer| self.line(pointer)).map(String::as_str)
    }

    /// Something wrong in it.
    pub(crate) fn fault(&self, pointer: &str, reason: impl Into<String>) -> Fault {
        Fault { file: self.file.clone(), line: self.line(pointer), reason: reason.into() }
    }
}

/// Reads files, directories with all below, patterns of file names, and `-`: the objects of all of them, and everything
/// that is wrong, which is also that there is no object.
pub(crate) fn read_all(paths: &[PathBuf]) -> (Vec<Manifest>, Vec<Fault>) {
    let (mut manifests, mut faults) = (Vec::new(), Vec::new());
    for (name, text) in texts(paths) {
        match text {
            Ok(text) => {
                let (read, wrong) = read(&name, &text);
                manifests.extend(read);
                faults.extend(wrong);
            }
            Err(fault) => faults.push(fault),
        }
    }
    if manifests.is_empty() && faults.is_empty() {
        let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        faults.push(Fault { file: names.join(", "), line: 0, reason: "there is no object in it".to_owned() });
    }
    (manifests, faults)
}

type Text = (String, Result<String, Fault>);

/// The texts of all files, or why one cannot be read.
fn texts(paths: &[PathBuf]) -> Vec<Text> {
    let mut texts = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" {
            let mut bytes = Vec::new();
            let read = std::io::stdin().read_to_end(&mut bytes).map(|_| bytes);
            texts.push(text("standard input".to_owned(), read));
        } else if path.exists() || !is_pattern(path) {
            gather(path, true, &mut texts);
        } else {
            // As kubectl, for whoever quotes a pattern or has a shell that knows none.
            let found: Vec<PathBuf> =
                glob::glob(&path.to_string_lossy()).into_iter().flatten().filter_map(Result::ok).collect();
            if found.is_empty() {
                let (file, reason) = (path.display().to_string(), "no file is called like that".to_owned());
                texts.push((file.clone(), Err(Fault { file, line: 0, reason })));
            }
            for path in &found {
                gather(path, true, &mut texts);
            }
        }
    }
    texts
}

fn is_pattern(path: &Path) -> bool {
    path.to_string_lossy().contains(['*', '?', '['])
}

/// The text of a file, whose manifests are to be in UTF-8.
fn text(file: String, bytes: std::io::Result<Vec<u8>>) -> Text {
    let wrong = |line, reason: &str| Fault { file: file.clone(), line, reason: reason.to_owned() };
    let read = match bytes {
        Err(error) => Err(wrong(0, &error.to_string())),
        Ok(bytes) if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) => {
            Err(wrong(1, "cannot be parsed: it is in UTF-16: save it in UTF-8"))
        }
        Ok(bytes) => String::from_utf8(bytes).map_err(|error| {
            let good = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
            let line = (1..).zip(good.split(|byte| *byte == b'\n')).last().map_or(1, |(line, _)| line);
            wrong(line, "cannot be parsed: there are bytes that are no UTF-8")
        }),
    };
    (file, read)
}

fn gather(path: &Path, named: bool, texts: &mut Vec<Text>) {
    let name = path.display().to_string();
    if path.is_dir() {
        let entries = std::fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        match entries {
            Ok(entries) => {
                let mut paths: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
                paths.sort();
                for path in paths {
                    gather(&path, false, texts);
                }
            }
            Err(error) => texts.push(text(name, Err(error))),
        }
        return;
    }
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    // As kubectl: a file that is named is read whatever it is called.
    if named || ["yaml", "yml", "json"].contains(&extension) {
        texts.push(text(name, std::fs::read(path)));
    }
}

/// The objects of a text, and what is wrong in it. Lists are taken apart.
pub(crate) fn read(file: &str, text: &str) -> (Vec<Manifest>, Vec<Fault>) {
    let (mut manifests, mut faults) = (Vec::new(), Vec::new());
    for (start, document) in documents(text) {
        let options = serde_saphyr::options! { with_snippet: false };
        match serde_saphyr::from_str_with_options::<Spanned<Node>>(&document, options) {
            Ok(root) => {
                let mut lines = BTreeMap::new();
                let body = root.value.place("", start - 1, &mut lines);
                if body.is_null() {
                    continue;
                }
                let first = lines.values().copied().min().unwrap_or(start);
                let manifest = Manifest { file: file.to_owned(), body, start: first, lines };
                manifests.extend(apart(manifest));
            }
            Err(error) => {
                let line = error.location().map_or(start, |location| start - 1 + location.line().max(1));
                let words = error.without_snippet().to_string();
                let reason = words.lines().next().unwrap_or_default().trim();
                faults.push(Fault {
                    file: file.to_owned(),
                    line,
                    reason: format!("cannot be parsed: {}", unplaced(reason)),
                });
            }
        }
    }
    (manifests, faults)
}

/// An error's words without their own line and column, which count from the document, and without advice for programmers.
fn unplaced(words: &str) -> &str {
    let words = words.split_once(" at line ").map_or(words, |(words, _)| words);
    let words = words.split_once(", set DuplicateKeyPolicy").map_or(words, |(words, _)| words);
    if words.starts_with("recursive references") { "an alias stands for what it is a part of" } else { words }
}

/// The documents of a text, each with the number of its first line.
fn documents(text: &str) -> Vec<(u64, String)> {
    let mut documents = vec![(1, String::new())];
    for (number, line) in (1..).zip(text.lines()) {
        let marker = line.strip_prefix("---").filter(|rest| rest.is_empty() || rest.starts_with([' ', '\t']));
        if let Some(rest) = marker {
            documents.push((number, format!("   {rest}")));
        } else if let Some((_, document)) = documents.last_mut() {
            document.push_str(line);
        }
        if let Some((_, document)) = documents.last_mut() {
            document.push('\n');
        }
    }
    let says =
        |text: &str| text.lines().any(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
    documents.retain(|(_, document)| says(document));
    documents
}

/// The items of a List, or the object itself.
fn apart(manifest: Manifest) -> Vec<Manifest> {
    let is_list =
        manifest.body.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"));
    let Some(items) = manifest.body.get("items").and_then(Value::as_array).filter(|_| is_list) else {
        return vec![manifest];
    };
    let within = |place: usize| {
        let prefix = format!("/items/{place}");
        let own = manifest.lines.range(prefix.clone()..);
        let own = own.take_while(|(pointer, _)| pointer.starts_with(&prefix));
        own.filter_map(|(pointer, line)| {
            let rest = pointer.strip_prefix(&prefix)?;
            (rest.is_empty() || rest.starts_with('/')).then(|| (rest.to_owned(), *line))
        })
        .collect()
    };
    // Items of a typed list, such as a PlanList, need not say what they are.
    let of_list = |field: &str| {
        let text = manifest.body.get(field).and_then(Value::as_str)?;
        let text = if field == "kind" { text.strip_suffix("List")? } else { text };
        Some(text).filter(|text| !text.is_empty())
    };
    let typed =
        of_list("kind").and_then(|kind| Some([("apiVersion", of_list("apiVersion")?), ("kind", kind)]));
    let one = |(place, item): (usize, &Value)| {
        let mut body = item.clone();
        if let (Some(fields), Some(said)) = (body.as_object_mut(), typed) {
            for (field, text) in said {
                fields.entry(field).or_insert_with(|| text.into());
            }
        }
        let start = manifest.line(&format!("/items/{place}"));
        Manifest { file: manifest.file.clone(), body, start, lines: within(place) }
    };
    items.iter().enumerate().map(one).collect()
}

/// A value that knows where its parts are.
enum Node {
    Scalar(Value),
    List(Vec<Spanned<Node>>),
    Fields(Vec<(Spanned<String>, Spanned<Node>)>),
}

impl Node {
    fn place(self, pointer: &str, before: u64, lines: &mut BTreeMap<String, u64>) -> Value {
        match self {
            Self::Scalar(value) => value,
            Self::List(entries) => {
                let entries = entries.into_iter().enumerate().map(|(place, entry)| {
                    let pointer = format!("{pointer}/{place}");
                    lines.insert(pointer.clone(), before + entry.referenced.line());
                    entry.value.place(&pointer, before, lines)
                });
                Value::Array(entries.collect())
            }
            Self::Fields(fields) => {
                let fields = fields.into_iter().map(|(name, value)| {
                    let pointer = format!("{pointer}/{}", name.value.replace('~', "~0").replace('/', "~1"));
                    lines.insert(pointer.clone(), before + name.referenced.line());
                    let value = value.value.place(&pointer, before, lines);
                    (name.value, value)
                });
                Value::Object(fields.collect::<Map<_, _>>())
            }
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyNode)
    }
}

struct AnyNode;

impl<'de> Visitor<'de> for AnyNode {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Scalar(Number::from_f64(value).map_or_else(|| value.to_string().into(), Value::Number)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(entry) = entries.next_element()? {
            list.push(entry);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = entries.next_entry()? {
            fields.push(field);
        }
        Ok(Node::Fields(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# a comment
a: 1
---
kind: Plan
spec:
  versionRange: v1.36.x
  list:
  - x: true
  - y: null
--- # another
---
kind: List
items:
- kind: A
- kind: B
  b: text
";

    #[test]
    fn every_field_has_its_line() {
        let (manifests, faults) = read("f.yaml", TEXT);
        assert_eq!(faults, []);
        assert_eq!(manifests.len(), 4);
        let plan = &manifests[1];
        assert_eq!(plan.body["spec"]["list"][0]["x"], Value::Bool(true));
        for (pointer, line) in [
            ("", 4),
            ("/spec", 5),
            ("/spec/versionRange", 6),
            ("/spec/list/1", 9),
            ("/spec/list/1/y", 9),
            ("/spec/list/1/absent/more", 9),
        ] {
            assert_eq!(plan.line(pointer), line, "{pointer}");
        }
        assert_eq!((&manifests[3].body["b"], manifests[3].line("/b")), (&Value::from("text"), 16));
    }

    #[test]
    fn what_does_not_parse_is_told_with_its_line() {
        let (manifests, faults) = read("f.yaml", "a: 1\n---\nb: 1\nc: [1\n---\nd: 1\n");
        assert_eq!(manifests.len(), 2);
        assert_eq!(faults.len(), 1);
        assert!(
            faults[0].to_string().starts_with("f.yaml:4: cannot be parsed") || faults[0].line == 5,
            "{}",
            faults[0]
        );
        let (manifests, faults) =
            read("l.yaml", "apiVersion: g/v1\nkind: PlanList\nitems:\n- metadata: {name: p}\n");
        assert_eq!((manifests[0].body["kind"].as_str(), faults), (Some("Plan"), Vec::new()));
        let (_, faults) = read("f.yaml", "a: 1\nb: 2\na: 3\n");
        assert_eq!(faults.len(), 1, "a key twice");
        assert_eq!(faults[0].line, 3);
    }
}
