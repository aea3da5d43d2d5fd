//! What is wrong with a field, in the words of a real server.

use serde_json::{Value, json};

/// In which way a field is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    Required,
    Duplicate,
    Invalid,
    WrongType,
    NotSupported,
    Forbidden,
    TooLong,
    TooMany,
}

impl Why {
    fn reason(self) -> &'static str {
        match self {
            Self::Required => "FieldValueRequired",
            Self::Duplicate => "FieldValueDuplicate",
            Self::Invalid => "FieldValueInvalid",
            Self::WrongType => "FieldValueTypeInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Forbidden => "FieldValueForbidden",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Required => "Required value",
            Self::Duplicate => "Duplicate value",
            Self::Invalid | Self::WrongType => "Invalid value",
            Self::NotSupported => "Unsupported value",
            Self::Forbidden => "Forbidden",
            Self::TooLong => "Too long",
            Self::TooMany => "Too many",
        }
    }

    /// Rules are evaluated where the structure is sound.
    pub(crate) fn blocks_rules(self) -> bool {
        matches!(self, Self::NotSupported | Self::Required | Self::TooLong | Self::TooMany | Self::WrongType)
    }
}

/// A field and what is wrong with it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fault {
    pub(crate) why: Why,
    /// As a path with dots.
    pub(crate) field: String,
    /// What stands there, where it is told.
    pub(crate) value: Option<Value>,
    pub(crate) detail: String,
}

impl Fault {
    /// A value that may not be.
    pub(crate) fn new(why: Why, field: impl Into<String>, value: Value, detail: impl Into<String>) -> Self {
        Self { why, field: field.into(), value: Some(value), detail: detail.into() }
    }

    /// The same where the value is not told.
    pub(crate) fn silent(why: Why, field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { why, field: field.into(), value: None, detail: detail.into() }
    }

    /// Said where there are rules, and something is wrong that is no matter of theirs.
    pub(crate) fn rules_not_checked() -> Self {
        const WORDS: &str = "some validation rules were not checked because the object was invalid; correct the existing \
            errors to complete validation";
        Self::new(Why::Invalid, "<nil>", Value::Null, WORDS)
    }

    /// The fault without its field.
    pub(crate) fn body(&self) -> String {
        let mut text = self.why.words().to_owned();
        if let Some(value) = &self.value {
            text.push_str(": ");
            text.push_str(&value.to_string());
        }
        if !self.detail.is_empty() {
            text.push_str(": ");
            text.push_str(&self.detail);
        }
        text
    }

    /// As one of the causes of a `Status`.
    pub(crate) fn cause(&self) -> Value {
        json!({"reason": self.why.reason(), "message": self.body(), "field": self.field})
    }
}

/// All faults in one line.
pub(crate) fn words(faults: &[Fault]) -> String {
    let mut all: Vec<String> = Vec::new();
    for fault in faults {
        let line = format!("{}: {}", fault.field, fault.body());
        if !all.contains(&line) {
            all.push(line);
        }
    }
    if all.len() == 1 { all.remove(0) } else { format!("[{}]", all.join(", ")) }
}
