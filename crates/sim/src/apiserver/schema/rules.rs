//! The rules of the schemas (CEL).

use std::sync::LazyLock;

use cel::{Context, ExecutionError, Program, Value as Cel};
use serde_json::{Value, json};

use super::{Fault, Schema, Why};

/// The values of `oldSelf`, which the library makes only where an expression does.
static OF_OLD: LazyLock<Result<Program, String>> = LazyLock::new(|| compiled("optional.of(old)"));
static NONE: LazyLock<Result<Program, String>> = LazyLock::new(|| compiled("optional.none()"));

fn compiled(text: &str) -> Result<Program, String> {
    Program::compile(text).map_err(|error| format!("the rule {text}: {error}"))
}

/// A rule that is ready to be evaluated.
#[derive(Debug)]
pub(super) struct Rule {
    program: Program,
    message: String,
    /// It compares with what was there before; what was not is absent.
    of_change: bool,
}

impl Rule {
    /// Reads one entry of `x-kubernetes-validations`.
    pub(super) fn read(from: &Value) -> Result<Self, String> {
        let mut message = None;
        let mut of_change = false;
        for (keyword, value) in from.as_object().into_iter().flatten() {
            match keyword.as_str() {
                "rule" => {}
                "message" => message = value.as_str(),
                "optionalOldSelf" => of_change = value == true,
                other => return Err(format!("the keyword {other} of a rule")),
            }
        }
        let text = from["rule"].as_str().unwrap_or_default();
        let program = compiled(text)?;
        if !of_change && program.references().variables().contains(&"oldSelf") {
            return Err(format!("the rule {text}: it holds for changes alone"));
        }
        let message = message.map_or_else(|| format!("failed rule: {text}"), str::to_owned);
        Ok(Self { program, message, of_change })
    }

    /// Whether it looks at what was there before.
    pub(super) fn is_of_change(&self) -> bool {
        self.of_change
    }

    /// Whether it holds; what the server says where it cannot tell.
    fn holds(&self, value: &Value, before: Option<&Value>) -> Result<Result<bool, String>, String> {
        let wrong = |error: &dyn std::fmt::Display| format!("the rule {:?}: {error}", self.message);
        let mut context = Context::default();
        context.add_variable("self", without_nulls(value)).map_err(|error| wrong(&error))?;
        if self.of_change {
            let old = if before.is_some() { &OF_OLD } else { &NONE };
            let before = before.map(without_nulls).unwrap_or_default();
            context.add_variable("old", before).map_err(|error| wrong(&error))?;
            let old = old.as_ref().map_err(|error| wrong(error))?;
            let old = old.execute(&context).map_err(|error| wrong(&error))?;
            context.add_variable_from_value("oldSelf", old);
        }
        match self.program.execute(&context) {
            Ok(Cel::Bool(holds)) => Ok(Ok(holds)),
            Ok(other) => Err(wrong(&format!("{other:?}"))),
            // The one error that our rules can have.
            Err(ExecutionError::FunctionError { function, .. }) if function == "duration" => {
                Ok(Err(format!(
                    "type conversion error from 'string' to 'google.protobuf.Duration' evaluating rule: {}",
                    self.message
                )))
            }
            Err(error) => Err(wrong(&error)),
        }
    }
}

/// For a rule, a field that is null is not there.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let there = fields.iter().filter(|(_, field)| !field.is_null());
            there.map(|(name, field)| (name.clone(), without_nulls(field))).collect()
        }
        Value::Array(entries) => entries.iter().map(without_nulls).collect(),
        other => other.clone(),
    }
}

/// Evaluates all rules; one that cannot be evaluated is an error of this program.
pub(super) fn check(
    schema: &Schema,
    value: &Value,
    before: Option<&Value>,
    path: &str,
    faults: &mut Vec<Fault>,
) -> Result<(), String> {
    if value.is_null() || !schema.within.rules {
        return Ok(());
    }
    let same = before == Some(value);
    if same && !schema.within.rules_of_change {
        return Ok(());
    }
    for rule in schema.rules.iter().filter(|rule| rule.of_change || !same) {
        let fault = match rule.holds(value, before.filter(|before| !before.is_null()))? {
            Ok(true) => continue,
            Ok(false) if matches!(value, Value::Object(_) | Value::Array(_)) => {
                Fault::silent(Why::Invalid, path, &*rule.message)
            }
            Ok(false) => Fault::new(Why::Invalid, path, value.clone(), &*rule.message),
            // In the place of the value stands the type that the schema says; it says none where there are two.
            Err(words) => Fault::new(Why::Invalid, path, json!(""), words),
        };
        faults.push(fault);
    }
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                if let Some(inner) = schema.field(name) {
                    let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    check(inner, field, before.and_then(|before| before.get(name)), &below, faults)?;
                }
            }
        }
        Value::Array(entries) => {
            if let Some(inner) = &schema.items {
                for (place, entry) in entries.iter().enumerate() {
                    check(inner, entry, None, &format!("{path}[{place}]"), faults)?;
                }
            }
        }
        _ => {}
    }
    Ok(())
}
