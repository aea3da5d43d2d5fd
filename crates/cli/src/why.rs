//! `why`: the reason of an object, and the chain of its causes.

mod follow;

use std::fmt::Write as _;

use api::batch::{job, pod};
use api::capi::cluster;
use api::{kairos, upgrader};
use domain::object::Kind;
use jiff::Timestamp;
use serde::Serialize;

use crate::ago::ago;
use crate::args::{self, Flags};
use crate::object::{Id, Named};
use crate::screen::Screen;
use crate::source::{self, Look};
use crate::state::{Standing, State};
use crate::{End, Failure, kinds, output, tree};

/// An object that waits, or is the cause of one that does.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Cause {
    object: Named,
    #[serde(skip)]
    id: Id,
    state: State,
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_before: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unblock: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    causes: Vec<Cause>,
}

impl Cause {
    fn new(id: &Id, standing: Standing) -> Self {
        Self {
            object: Named::from(id),
            id: id.clone(),
            state: standing.state,
            reason: standing.reason,
            message: standing.message,
            since: standing.since,
            not_before: standing.not_before,
            unblock: standing.unblock,
            causes: Vec::new(),
        }
    }
}

pub(crate) fn run(flags: &Flags, verb: &args::Of, screen: &mut Screen<'_>) -> Result<End, Failure> {
    let (look, id) = find(flags, verb)?;
    let cause = follow::from(&look.world, &id);
    // A Cluster is at rest while its upgrader waits.
    let of_cluster =
        id.is(cluster::KIND).then(|| cause.causes.iter().map(|cause| cause.state.end()).max()).flatten();
    let end = of_cluster.unwrap_or_default().max(cause.state.end());
    output::print(&cause, flags.output, screen, |screen| shown(&cause, look.now, screen))?;
    for sentence in &look.world.missing {
        screen.complain(sentence);
    }
    Ok(end)
}

/// Reads what `why` and `trace` need, and finds the object that is asked about.
pub(crate) fn find(flags: &Flags, verb: &args::Of) -> Result<(Look, Id), Failure> {
    let (word, name) = match verb.object.as_slice() {
        [one] => one.split_once('/').ok_or_else(|| format!("say which: KIND/NAME, not {one}"))?,
        [kind, name] if !kind.contains('/') => (kind.as_str(), name.as_str()),
        [one, more] => return Err(format!("one object at a time: {one} or {more}, as KIND/NAME").into()),
        _ => return Err("say which: KIND/NAME".into()),
    };
    let kind = kinds::named(word)
        .ok_or_else(|| format!("there is no kind {word} here: it is one of {}", kinds::words()))?;
    if name.is_empty() {
        return Err(format!("say which {}: KIND/NAME", kind.kind).into());
    }
    // Where operations on nodes are installed, nothing of the chain need be.
    let look = if kind.group == kairos::GROUP {
        source::look(flags, &verb.from, &kairos::KINDS, &[job::KIND, pod::KIND])?
    } else {
        source::look(flags, &verb.from, &upgrader::KINDS, &[cluster::KIND, job::KIND, pod::KIND])?
    };
    let found = only(&look, kind, name)?;
    Ok((look, found))
}

/// The one object of a kind and name that was asked for.
pub(crate) fn only(look: &Look, kind: Kind, name: &str) -> Result<Id, Failure> {
    let named = look.world.all(kind).filter(|object| *object.id.key.name == *name && look.shows(object));
    let found: Vec<Id> = named.map(|object| object.id.clone()).collect();
    let place =
        look.namespace.as_deref().map_or_else(String::new, |name| format!(" in the namespace {name}"));
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(format!("there is no {} {name}{place}", kind.kind).into()),
        [first, second, ..] => Err(format!(
            "there are several of that name, in the namespaces {} and {}: choose one by -n",
            first.key.namespace, second.key.namespace
        )
        .into()),
    }
}

fn shown(cause: &Cause, now: Timestamp, screen: &Screen<'_>) -> String {
    let mut text = String::new();
    tree::walk(std::slice::from_ref(cause), &|cause| &cause.causes, &mut |own, further, cause| {
        let since = cause.since.map(|since| format!(" for {}", ago(since, now))).unwrap_or_default();
        let reason = if cause.reason.is_empty() { String::new() } else { format!(": {}", cause.reason) };
        let state = match cause.state {
            State::None => String::new(),
            state => format!("  {}{reason}{since}", screen.painted(state, &state.to_string())),
        };
        let _ = writeln!(text, "{own}{}{state}", cause.id);
        let mut put = |words: String| writeln!(text, "{further}  {words}").unwrap_or_default();
        // What is to be done is a part of the message already, behind a semicolon; it is said once.
        let tail = cause.unblock.as_deref().map(|unblock| format!("; {unblock}"));
        let message = tail.and_then(|tail| cause.message.strip_suffix(&tail)).unwrap_or(&cause.message);
        if !message.is_empty() && cause.state != State::Done {
            put(message.to_owned());
        }
        if let Some(unblock) = &cause.unblock {
            put(format!("→ {unblock}"));
        }
        if let Some(time) = cause.not_before {
            put(format!("goes on by itself at {time}"));
        }
    });
    text
}
