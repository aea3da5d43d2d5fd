//! What two servers can never have in common, replaced by what they must have in common.
//!
//! A uid becomes its number in the order in which they were seen. A resourceVersion becomes its number in the order of all
//! that objects of the script had, so that which came after which is compared. A time becomes `<time>`, if it has the form of
//! one. managedFields are left out: nobody here reads them, and the simulated server has none.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::{Map, Value};

/// Five of these are appended to a `generateName`.
const SUFFIX: &str = "bcdfghjklmnpqrstvwxz2456789";

enum Line {
    Text(String),
    Json(Value),
}

/// Answers, until they can be told.
#[derive(Default)]
pub(crate) struct Normal {
    lines: Vec<Line>,
    /// By uid: its number.
    uids: BTreeMap<String, usize>,
    /// Of objects; never of lists, which also count what others do.
    versions: BTreeSet<u64>,
    /// By generated name: what stands for it.
    generated: BTreeMap<String, String>,
}

impl Normal {
    pub(crate) fn says(&mut self, text: String) {
        self.lines.push(Line::Text(text));
    }

    pub(crate) fn asks(&mut self, request: &str, body: Option<&Value>) {
        self.says(format!("\n{request}"));
        if let Some(body) = body {
            self.lines.push(Line::Json(body.clone()));
        }
    }

    pub(crate) fn answer(&mut self, code: u16, answer: Value) {
        self.says(code.to_string());
        self.learn(&answer);
        self.lines.push(Line::Json(answer));
    }

    pub(crate) fn event(&mut self, line: Value) {
        if line["type"] == "BOOKMARK" {
            let version = version_of(&line["object"]).unwrap();
            let last = self.versions.last().copied().unwrap_or_default();
            let again = self
                .lines
                .last()
                .is_some_and(|line| matches!(line, Line::Json(line) if line["type"] == "BOOKMARK"));
            if again {
                // How often it is told so is the server's affair.
                return;
            }
            if version < last {
                self.says("a bookmark that is behind".to_owned());
            }
        } else {
            self.learn(&line["object"]);
        }
        self.lines.push(Line::Json(line));
    }

    /// Takes in what an answer is the first to tell.
    pub(crate) fn learn(&mut self, answer: &Value) {
        let meta = &answer["metadata"];
        if answer["kind"].as_str().is_some_and(|kind| kind.ends_with("List")) {
            let version = version_of(answer).unwrap_or_default();
            for item in answer["items"].as_array().into_iter().flatten() {
                self.learn(item);
                let of_item = version_of(item).unwrap_or_default();
                if of_item > version {
                    self.says("a list that is older than an item of it".to_owned());
                }
            }
            return;
        }
        if let Some(uid) = meta["uid"].as_str().or(answer["details"]["uid"].as_str()) {
            let number = self.uids.len() + 1;
            self.uids.entry(uid.to_owned()).or_insert(number);
        }
        self.versions.extend(version_of(answer));
        if let (Some(base), Some(name)) = (meta["generateName"].as_str(), meta["name"].as_str())
            && let Some(suffix) = name.strip_prefix(base)
            && suffix.len() == 5
            && suffix.chars().all(|letter| SUFFIX.contains(letter))
        {
            let number = self.generated.len() + 1;
            self.generated.entry(name.to_owned()).or_insert(format!("{base}<generated {number}>"));
        }
    }

    /// Everything that was asked and answered, as text.
    pub(crate) fn told(self) -> String {
        let mut told = String::new();
        for line in &self.lines {
            match line {
                Line::Text(text) => writeln!(told, "{text}").unwrap(),
                Line::Json(value) => {
                    let value = self.normal(value.clone());
                    writeln!(told, "{}", serde_json::to_string_pretty(&value).unwrap()).unwrap();
                }
            }
        }
        told.trim_start().to_owned()
    }

    fn normal(&self, value: Value) -> Value {
        match value {
            Value::Object(fields) => Value::Object(self.normal_fields(fields)),
            Value::Array(entries) => entries.into_iter().map(|entry| self.normal(entry)).collect(),
            Value::String(text) => self.normal_text(text).into(),
            other => other,
        }
    }

    fn normal_fields(&self, fields: Map<String, Value>) -> Map<String, Value> {
        let is_list = fields.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"));
        let is_bookmark = fields.get("type").is_some_and(|type_| type_ == "BOOKMARK");
        let mut normal = Map::new();
        for (name, mut value) in fields {
            if name == "managedFields" {
                continue;
            }
            if (is_list && name == "metadata") || (is_bookmark && name == "object") {
                let meta = if is_bookmark { &mut value["metadata"] } else { &mut value };
                meta["resourceVersion"] = "<of the server>".into();
            }
            if name == "resourceVersion"
                && let Some(version) = value.as_str().and_then(|text| text.parse().ok())
                && self.versions.contains(&version)
            {
                let number = self.versions.iter().position(|known| *known == version).unwrap() + 1;
                value = format!("<version {number}>").into();
            }
            if name == "continue" {
                value = "<token>".into();
            }
            normal.insert(name, self.normal(value));
        }
        if let Some(Value::Array(causes)) = normal.get_mut("causes") {
            // A real server draws the order, and tells some of them two or three times.
            causes.sort_by_key(ToString::to_string);
            causes.dedup();
        }
        if let Some(causes) = normal.get("details").and_then(|details| details["causes"].as_array())
            && causes.len() > 1
            && normal.contains_key("message")
        {
            // Its words are those of all causes in the order that was drawn.
            normal.insert("message".to_owned(), "<of the causes>".into());
        }
        normal
    }

    fn normal_text(&self, text: String) -> String {
        if is_time(&text) {
            return "<time>".to_owned();
        }
        let mut text = text;
        for (uid, number) in &self.uids {
            text = text.replace(uid, &format!("<uid {number}>"));
        }
        for (name, shown) in &self.generated {
            text = text.replace(name, shown);
        }
        // In words, versions stand in brackets: of two servers, none is the same.
        let mut told = String::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once('(') {
            told.push_str(before);
            let digits = after.chars().take_while(char::is_ascii_digit).count();
            if digits > 0 && after[digits..].starts_with(')') {
                told.push_str("(<version>");
                rest = &after[digits..];
            } else {
                told.push('(');
                rest = after;
            }
        }
        told + rest
    }
}

fn version_of(object: &Value) -> Option<u64> {
    object["metadata"]["resourceVersion"].as_str()?.parse().ok()
}

/// `2026-01-01T00:00:00Z`, which is how metadata has it; what a script sends is of 2020.
fn is_time(text: &str) -> bool {
    let form = "dddd-dd-ddTdd:dd:ddZ";
    let fits =
        |(letter, form): (char, char)| if form == 'd' { letter.is_ascii_digit() } else { letter == form };
    text.len() == form.len() && text.chars().zip(form.chars()).all(fits) && !text.starts_with("2020-")
}
