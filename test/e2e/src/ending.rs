//! What every live test checks at its end.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use api::batch::job;
use api::upgrader::machine_image;
use controlplane::AuditEvent;
use domain::object::Kind;

use crate::error::{Error, Result};
use crate::installed::Installed;
use crate::manager;
use crate::objects::name;

/// The API groups of our kinds.
const OURS: [&str; 2] = [api::upgrader::GROUP, api::kairos::GROUP];
/// Deletions of the garbage collector take a moment.
const SETTLED_WITHIN: Duration = Duration::from_secs(30);

/// What a test expects to find at its end. Without any call: no object of ours, no error, no write.
#[derive(Clone, Debug, Default)]
#[must_use = "finish() checks it"]
pub struct Expected {
    machine_images: usize,
    jobs: usize,
    writes: usize,
    errors: Vec<String>,
    forbidden: Vec<String>,
}

impl Expected {
    /// Nothing.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// So many MachineImages in all namespaces, the test's own among them.
    pub fn machine_images(mut self, count: usize) -> Self {
        self.machine_images = count;
        self
    }

    /// So many Jobs in all namespaces, the test's own among them.
    pub fn jobs(mut self, count: usize) -> Self {
        self.jobs = count;
        self
    }

    /// At most so many writes of our ServiceAccount, those of the lease apart, which go by time.
    pub fn writes_at_most(mut self, count: usize) -> Self {
        self.writes = count;
        self
    }

    /// Lines of level error that contain this are expected.
    pub fn error(mut self, part: impl Into<String>) -> Self {
        self.errors.push(part.into());
        self
    }

    /// Requests for this resource (its plural) may be refused by RBAC.
    pub fn forbidden(mut self, resource: impl Into<String>) -> Self {
        self.forbidden.push(resource.into());
        self
    }
}

/// What our ServiceAccount has asked of the API server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// By `verb resource/subresource`, those of the lease apart.
    pub counts: BTreeMap<String, usize>,
    /// How many of these asked for a change.
    pub writes: usize,
}

impl Requests {
    fn of<'a>(user: &str, events: impl IntoIterator<Item = &'a AuditEvent>) -> Self {
        let mut requests = Self::default();
        for event in events.into_iter().filter(|event| event.user == user && event.resource != "leases") {
            let part = if event.subresource.is_empty() { "" } else { "/" };
            let key = format!("{} {}{part}{}", event.verb, event.resource, event.subresource);
            *requests.counts.entry(key).or_default() += 1;
            requests.writes += usize::from(event.is_write());
        }
        requests
    }

    fn shown(&self, only: impl Fn(&str) -> bool) -> String {
        let counts = self.counts.iter().filter(|(key, _)| only(key));
        counts.map(|(key, count)| format!("{key} {count}")).collect::<Vec<_>>().join(", ")
    }
}

impl Installed {
    /// What our ServiceAccount has asked so far.
    pub fn requests(&self) -> Result<Requests> {
        Ok(Requests::of(self.product().user, &self.plane().audit_events()?))
    }

    /// The end of a live test: checks what must hold after every one of them, then ends the control plane. End the managers before:
    /// what they do later is not checked.
    ///
    /// # Errors
    /// [`Error::Ending`] with everything that is not as expected.
    pub async fn finish(self, expected: Expected) -> Result<Requests> {
        let mut problems = Vec::new();
        self.check_objects(&expected, &mut problems).await?;
        let events = self.plane().audit_events()?;
        check_refusals(self.product().user, &events, &expected, &mut problems);
        for log in manager::logs(self.plane()) {
            check_log(&log, &expected, &mut problems);
        }
        let requests = Requests::of(self.product().user, &events);
        if requests.writes > expected.writes {
            let writes =
                requests.shown(|key| !["get", "list", "watch"].iter().any(|verb| key.starts_with(verb)));
            problems
                .push(format!("{} writes, expected {} at most: {writes}", requests.writes, expected.writes));
        }
        self.stop().await;
        if problems.is_empty() { Ok(requests) } else { Err(Error::Ending(problems)) }
    }

    async fn check_objects(&self, expected: &Expected, problems: &mut Vec<String>) -> Result<()> {
        let wanted = [(machine_image::KIND, expected.machine_images), (job::KIND, expected.jobs)];
        for (kind, count) in wanted {
            let settled = self
                .objects()
                .await_that("the number of objects is as expected", "", SETTLED_WITHIN, async || {
                    let found = self.objects().list(&kind, "").await?;
                    Ok((found.len() == count).then_some(()))
                })
                .await;
            match settled {
                Err(Error::Deadline { .. }) => problems.push(self.surplus(&kind, count).await?),
                outcome => outcome?,
            }
        }
        Ok(())
    }

    async fn surplus(&self, kind: &Kind, count: usize) -> Result<String> {
        let found = self.objects().list(kind, "").await?;
        let names: Vec<&str> = found.iter().map(name).collect();
        Ok(format!("{} {}, expected {count}: {}", names.len(), kind.plural, names.join(", ")))
    }
}

fn check_refusals(user: &str, events: &[AuditEvent], expected: &Expected, problems: &mut Vec<String>) {
    let mut refused: BTreeMap<String, usize> = BTreeMap::new();
    let ours = events.iter().filter(|event| event.user == user);
    // A webhook answers 403 as well, but the authorizer has let that pass.
    for event in ours.filter(|event| event.forbidden && !expected.forbidden.contains(&event.resource)) {
        *refused.entry(format!("{} {}", event.verb, event.request_uri)).or_default() += 1;
    }
    problems.extend(refused.into_iter().map(|(what, times)| format!("RBAC refused {what} ({times} times)")));
    let malformed = events
        .iter()
        .filter(|event| event.user == user && OURS.contains(&&*event.group) && event.code == 422);
    problems
        .extend(malformed.map(|event| format!("422 for our own kind: {} {}", event.verb, event.request_uri)));
}

fn check_log(path: &Path, expected: &Expected, problems: &mut Vec<String>) {
    let file = path.file_name().unwrap_or_default().display().to_string();
    let lines = manager::log_lines(path);
    let unexpected = lines
        .into_iter()
        .filter(|line| line.is_error() && !expected.errors.iter().any(|part| line.text.contains(part)));
    problems.extend(unexpected.map(|line| format!("{file}: {}", line.text)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::installed::USER;

    fn event(user: &str, verb: &str, resource: &str, forbidden: bool) -> AuditEvent {
        AuditEvent {
            audit_id: String::new(),
            user: user.to_owned(),
            user_agent: String::new(),
            verb: verb.to_owned(),
            request_uri: format!("/{resource}"),
            group: String::new(),
            resource: resource.to_owned(),
            subresource: String::new(),
            namespace: String::new(),
            name: String::new(),
            code: if forbidden { 403 } else { 200 },
            received: String::new(),
            forbidden,
        }
    }

    #[test]
    fn only_our_own_requests_count_and_not_the_lease() {
        let events = [
            event(USER, "patch", "plans", false),
            event(USER, "watch", "plans", false),
            event(USER, "update", "leases", false),
            event("jane", "create", "plans", false),
        ];
        let requests = Requests::of(USER, &events);
        assert_eq!((requests.writes, requests.counts.len()), (1, 2));
        assert_eq!(requests.shown(|_| true), "patch plans 1, watch plans 1");
    }

    #[test]
    fn refusals_are_problems_unless_expected() {
        let events = [event(USER, "get", "secrets", true), event(USER, "get", "secrets", true)];
        let mut problems = Vec::new();
        check_refusals(USER, &events, &Expected::nothing().forbidden("secrets"), &mut problems);
        assert_eq!(problems, Vec::<String>::new());
        check_refusals(USER, &events, &Expected::nothing(), &mut problems);
        assert_eq!(problems, ["RBAC refused get /secrets (2 times)"]);
    }
}
