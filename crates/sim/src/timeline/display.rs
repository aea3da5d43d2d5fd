//! A timeline as people read it.

use std::fmt;

use jiff::Timestamp;

use super::{Entry, Outcome, Timeline};

impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |text: fn(&Entry) -> &str| self.entries.iter().map(|e| text(e).chars().count()).max();
        let (actors, objects) = (width(|e| &e.actor).unwrap_or(0), width(|e| &e.object).unwrap_or(0));
        let times: Vec<(String, String)> =
            self.entries.iter().map(|e| (absolute(e.at), since(self.start, e.at))).collect();
        let relatives = times.iter().map(|(_, relative)| relative.len()).max().unwrap_or(0);
        for (entry, (absolute, relative)) in self.entries.iter().zip(&times) {
            let Entry { actor, object, what, .. } = entry;
            writeln!(f, "{absolute}  {relative:>relatives$}  {actor:actors$}  {object:objects$}  {what}")?;
        }
        if self.left_out > 0 {
            writeln!(f, "… and {} lines more", self.left_out)?;
        }
        writeln!(f, "\nAt the end, {} ({}):", absolute(self.end), since(self.start, self.end))?;
        if self.outcomes.is_empty() {
            writeln!(f, "no ClusterClassClusterUpgrader")?;
        }
        let column = |text: fn(&Outcome) -> &str| self.outcomes.iter().map(|o| text(o).chars().count()).max();
        let upgraders = column(|o| &o.upgrader).unwrap_or(0);
        for Outcome { upgrader, cluster, have, want, reason, message } in &self.outcomes {
            let (have, want) = (or_none(have), or_none(want));
            write!(f, "{upgrader:upgraders$}  Cluster {cluster}  have {have}  want {want}")?;
            match (reason, message) {
                (None, None) => writeln!(f, "  done")?,
                (None, Some(message)) => writeln!(f, "  {message}")?,
                (Some(reason), None) => writeln!(f, "  {reason}")?,
                (Some(reason), Some(message)) => writeln!(f, "  {reason} - {message}")?,
            }
        }
        Ok(())
    }
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "none" } else { text }
}

fn absolute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// `+2d 03:15:00`.
fn since(start: Timestamp, at: Timestamp) -> String {
    let seconds = at.duration_since(start).as_secs().max(0);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    format!("+{days}d {hours:02}:{minutes:02}:{:02}", seconds % 60)
}
