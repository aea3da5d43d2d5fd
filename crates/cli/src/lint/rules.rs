//! The rules of the schemas (CEL), evaluated as on create: nothing was there before.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use cel::{Context, Program, Value as Cel};
use serde_json::Value;

use super::crds::Crd;
use super::structure::{named, without_nulls};
use crate::Failure;
use crate::manifests::{Fault, Manifest};

/// What a rule says of an object.
enum Outcome {
    Holds,
    Broken,
    /// It speaks of a change, and there is none.
    OfChangesOnly,
}

/// Which rules an object breaks. A rule that cannot be evaluated is an error of this program.
pub(super) fn check(crd: &Crd, manifest: &Manifest) -> Result<Vec<Fault>, Failure> {
    let body = without_nulls(&manifest.body);
    let mut faults = Vec::new();
    walk(&crd.schema, &body, "", &mut |pointer, rule, value| {
        match evaluate(crd, rule, value)? {
            Outcome::Holds | Outcome::OfChangesOnly => {}
            Outcome::Broken => {
                let message = rule.get("message").and_then(Value::as_str);
                let text = message.or_else(|| rule.get("rule").and_then(Value::as_str)).unwrap_or_default();
                faults.push(manifest.fault(pointer, format!("{}: {text}", named(pointer))));
            }
        }
        Ok(())
    })?;
    Ok(faults)
}

type Visit<'a> = dyn FnMut(&str, &Value, &Value) -> Result<(), Failure> + 'a;

fn walk(schema: &Value, value: &Value, pointer: &str, visit: &mut Visit<'_>) -> Result<(), Failure> {
    for rule in schema.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten() {
        visit(pointer, rule, value)?;
    }
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                let known = schema.get("properties").and_then(|properties| properties.get(name));
                if let Some(known) = known.or_else(|| schema.get("additionalProperties")) {
                    let name = name.replace('~', "~0").replace('/', "~1");
                    walk(known, inner, &format!("{pointer}/{name}"), visit)?;
                }
            }
        }
        Value::Array(entries) => {
            if let Some(items) = schema.get("items") {
                for (place, entry) in entries.iter().enumerate() {
                    walk(items, entry, &format!("{pointer}/{place}"), visit)?;
                }
            }
        }
        _ => {}
    }
    Ok(())
}

/// Rules as they were read, by their text: a file has many objects of one kind, and reading costs more than evaluating.
#[derive(Default)]
pub(super) struct Programs(RefCell<BTreeMap<String, Rc<Program>>>);

impl Programs {
    fn of(&self, text: &str) -> Result<Rc<Program>, Failure> {
        if let Some(known) = self.0.borrow().get(text) {
            return Ok(known.clone());
        }
        let program =
            Program::compile(text).map_err(|error| format!("the rule `{text}` cannot be read: {error}"))?;
        let program = Rc::new(program);
        self.0.borrow_mut().insert(text.to_owned(), program.clone());
        Ok(program)
    }
}

fn evaluate(crd: &Crd, rule: &Value, value: &Value) -> Result<Outcome, Failure> {
    let text = rule.get("rule").and_then(Value::as_str).unwrap_or_default();
    let optional_old = rule.get("optionalOldSelf") == Some(&Value::Bool(true));
    let program = crd.programs.of(text)?;
    if !optional_old && program.references().variables().contains(&"oldSelf") {
        return Ok(Outcome::OfChangesOnly);
    }
    let mut context = Context::default();
    context
        .add_variable("self", value)
        .map_err(|error| format!("the rule `{text}` cannot be given its value: {error}"))?;
    if optional_old {
        let absent = crd.programs.of("optional.none()")?;
        let absent = absent.execute(&context).map_err(|error| error.to_string())?;
        context.add_variable_from_value("oldSelf", absent);
    }
    match program.execute(&context) {
        Ok(Cel::Bool(true)) => Ok(Outcome::Holds),
        Ok(Cel::Bool(false)) => Ok(Outcome::Broken),
        Ok(other) => Err(format!("the rule `{text}` says neither true nor false, but {other:?}").into()),
        Err(error) => Err(format!("the rule `{text}` cannot be evaluated: {error}").into()),
    }
}
