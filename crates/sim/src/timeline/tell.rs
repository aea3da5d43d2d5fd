//! What a change of an object says, in one line each. Only what is written is told: no decision is made a second time.

use serde_json::Value;

/// Versions that one line names.
const NAMED: usize = 3;

/// The lines of a change; none where nothing changed that matters to whoever reads a timeline.
pub(crate) fn change(kind: &str, before: Option<&Value>, after: Option<&Value>) -> Vec<String> {
    let mut lines = Vec::new();
    let Some(after) = after else {
        lines.push("deleted".to_owned());
        return lines;
    };
    match kind {
        "Cluster" => cluster(before, after, &mut lines),
        "Job" => job(before, after, &mut lines),
        "ClusterClass" => spec(before, after, &mut lines),
        "Event" => {}
        "Node" => node(before, after, &mut lines),
        "Pod" => pod(before, after, &mut lines),
        _ => other(kind, before, after, &mut lines),
    }
    let deleting = |object: &Value| !object["metadata"]["deletionTimestamp"].is_null();
    if deleting(after) && !before.is_some_and(deleting) {
        lines.push("deletion asked for".to_owned());
    }
    lines
}

fn text<'a>(object: &'a Value, path: &str) -> &'a str {
    object.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

fn cluster(before: Option<&Value>, after: &Value, lines: &mut Vec<String>) {
    let Some(before) = before else {
        lines.push(format!("created at {}", text(after, "/spec/topology/version")));
        return;
    };
    let variables = variables(before, after);
    let (old, new) = (text(before, "/spec/topology/version"), text(after, "/spec/topology/version"));
    if old != new {
        let with =
            if variables.is_empty() { String::new() } else { format!(" with {}", variables.join(", ")) };
        lines.push(format!("set {old} → {new}{with}"));
    } else if !variables.is_empty() {
        lines.push(format!("set {}", variables.join(", ")));
    } else {
        spec(Some(before), after, lines);
    }
    let paused = |object: &Value| condition(object, "Paused").is_some_and(|c| c["status"] == "True");
    let rolling = |object: &Value| condition(object, "RollingOut").is_some_and(|c| c["status"] == "True");
    let reconciled =
        |object: &Value| condition(object, "TopologyReconciled").is_none_or(|c| c["status"] == "True");
    let moves = |object: &Value| rolling(object) || !reconciled(object);
    if paused(before) != paused(after) {
        lines.push(if paused(after) { "paused" } else { "no longer paused" }.to_owned());
    } else if !paused(after) {
        match (moves(before), moves(after)) {
            (false, true) => lines.push("machines begin to be replaced".to_owned()),
            (true, false) => lines.push(format!("roll complete at {new}")),
            _ => {}
        }
    }
}

/// Each variable whose value is another one.
fn variables(before: &Value, after: &Value) -> Vec<String> {
    fn list(object: &Value) -> &[Value] {
        let list = object.pointer("/spec/topology/variables").and_then(Value::as_array);
        list.map(Vec::as_slice).unwrap_or_default()
    }
    let (old, new) = (list(before), list(after));
    let changed = new.iter().filter(|variable| {
        let had = old.iter().find(|had| had["name"] == variable["name"]);
        had.is_none_or(|had| had["value"] != variable["value"])
    });
    changed
        .map(|variable| {
            let value = &variable["value"];
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            format!("{} {value}", variable["name"].as_str().unwrap_or_default())
        })
        .collect()
}

fn job(before: Option<&Value>, after: &Value, lines: &mut Vec<String>) {
    if before.is_none() {
        lines.push("created".to_owned());
        return;
    }
    let holds = |object: Option<&Value>, type_: &str| {
        object.and_then(|object| condition(object, type_)).is_some_and(|c| c["status"] == "True")
    };
    if holds(Some(after), "Complete") && !holds(before, "Complete") {
        let annotations = &after["metadata"]["annotations"];
        let id = annotations[api::batch::job::IMAGE_ID].as_str();
        lines
            .push(id.map_or_else(|| "complete, with no image id".to_owned(), |id| format!("complete: {id}")));
    }
    if holds(Some(after), "Failed") && !holds(before, "Failed") {
        lines.push("failed".to_owned());
    }
}

fn node(before: Option<&Value>, after: &Value, lines: &mut Vec<String>) {
    let Some(before) = before else {
        lines.push("created".to_owned());
        return;
    };
    let cordon = |object: &Value| object["spec"]["unschedulable"] == true;
    let annotation = api::kairos::CORDONED_BY_ANNOTATION;
    let claim = |object: &Value| object["metadata"]["annotations"][annotation].as_str().map(str::to_owned);
    if (cordon(before), claim(before)) != (cordon(after), claim(after)) {
        let word = if cordon(after) { "cordoned" } else { "schedulable" };
        let by = claim(after).map(|claim| format!(" by {claim}"));
        lines.push(format!("{word}{}", by.unwrap_or_default()));
    }
    let ready = |object: &Value| condition(object, "Ready").map(|c| text(c, "/status").to_owned());
    if ready(before) != ready(after) {
        lines.push(format!("Ready is {}", ready(after).unwrap_or_default()));
    }
    let boot = |object: &Value| text(object, "/status/nodeInfo/bootID").to_owned();
    if boot(before) != boot(after) {
        lines.push(format!("has booted as {}", boot(after)));
    }
}

fn pod(before: Option<&Value>, after: &Value, lines: &mut Vec<String>) {
    let Some(before) = before else {
        lines.push(format!("created on {}", text(after, "/spec/nodeName")));
        return;
    };
    let phase = |object: &Value| text(object, "/status/phase").to_owned();
    if phase(before) != phase(after) {
        lines.push(format!("is {}", phase(after)));
    }
    let from = |object: &Value| {
        object["metadata"]["annotations"][api::kairos::REBOOT_FROM_ANNOTATION].as_str().map(str::to_owned)
    };
    if from(before) != from(after) {
        lines.push(format!("is told to reboot from {}", from(after).unwrap_or_default()));
    }
}

/// Our kinds, and those of others.
fn other(kind: &str, before: Option<&Value>, after: &Value, lines: &mut Vec<String>) {
    match before {
        None => {
            let version = text(after, "/spec/version");
            let version = if version.is_empty() { String::new() } else { format!(" for {version}") };
            lines.push(format!("created{version}"));
        }
        Some(old) if kind == "MachineImage" && text(old, "/spec/id") != text(after, "/spec/id") => {
            lines.push(match text(after, "/spec/id") {
                "" => "has no image any more".to_owned(),
                id => format!("has image {id}"),
            });
        }
        old => spec(old, after, lines),
    }
    let nothing = Value::Null;
    let old = before.unwrap_or(&nothing);
    found(old, after, lines);
    if kind == "Plan" {
        let result = |object: &Value| {
            let details = &object["status"]["machineImageDetails"];
            (text(details, "/version").to_owned(), text(details, "/id").to_owned())
        };
        let (was, is) = (result(old), result(after));
        if was != is {
            let (version, id) = is;
            lines.push(if id.is_empty() {
                "no result".to_owned()
            } else {
                format!("chose {version} ({id})")
            });
        }
    }
    standing(old, after, lines);
}

fn spec(before: Option<&Value>, after: &Value, lines: &mut Vec<String>) {
    let Some(before) = before else {
        lines.push("created".to_owned());
        return;
    };
    let paused = |object: &Value| object["spec"]["paused"] == true;
    match (paused(before), paused(after)) {
        (false, true) => lines.push("spec.paused set".to_owned()),
        (true, false) => lines.push("spec.paused taken back".to_owned()),
        _ if before["spec"] != after["spec"] => lines.push("spec changed".to_owned()),
        _ => {}
    }
}

/// Versions that a source has found since.
fn found(before: &Value, after: &Value, lines: &mut Vec<String>) {
    let Some(new) = after["status"]["versions"].as_array() else { return };
    let old = before["status"]["versions"].as_array();
    let is_new = |version: &&Value| !old.is_some_and(|old| old.contains(version));
    let added: Vec<&str> = new.iter().filter(is_new).filter_map(Value::as_str).collect();
    if added.is_empty() {
        return;
    }
    let rest = added.len().saturating_sub(NAMED);
    let newest = added[rest..].join(", ");
    lines.push(if rest == 0 {
        format!("lists {newest}")
    } else {
        format!("lists {} more versions, the last of them {newest}", added.len())
    });
}

/// What our kinds say of themselves: done, waiting, or failed, and why.
fn standing(before: &Value, after: &Value, lines: &mut Vec<String>) {
    let (was, is) = (reason(before), reason(after));
    if was == is || after["status"]["conditions"].is_null() {
        return;
    }
    let Some((reason, message)) = is else {
        let done = ["UpToDate", "Ready"].into_iter().find_map(|type_| condition(after, type_));
        lines.push(format!("done: {}", done.map(|c| text(c, "/reason")).unwrap_or_default()));
        return;
    };
    let holds = |type_: &str| condition(after, type_).is_some_and(|c| c["status"] == "True");
    let fails = condition(after, "Ready").is_some_and(|c| c["status"] == "False");
    let verb = match (holds("Stalled"), fails, holds("Reconciling")) {
        (true, ..) => "stuck",
        (false, true, false) => "fails",
        (false, _, true) => "works",
        _ => "waits",
    };
    lines.push(if message.is_empty() {
        format!("{verb}: {reason}")
    } else {
        format!("{verb}: {reason} - {message}")
    });
}

/// The reason that an object of ours waits for, and the message of the condition that has it.
pub(crate) fn reason(object: &Value) -> Option<(String, String)> {
    let reason = text(object, "/status/waiting/reason");
    if reason.is_empty() {
        return None;
    }
    let conditions = object["status"]["conditions"].as_array();
    let told = conditions.into_iter().flatten().find(|condition| condition["reason"] == *reason);
    Some((reason.to_owned(), told.map(|c| text(c, "/message").to_owned()).unwrap_or_default()))
}

fn condition<'a>(object: &'a Value, type_: &str) -> Option<&'a Value> {
    object["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == type_)
}
