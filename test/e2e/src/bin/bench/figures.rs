//! Every figure that is measured: what it is, how it is taken, and what it should be.

use std::collections::BTreeMap;

use crate::requests::Requests;

/// A kind of figure.
pub(crate) struct Subject {
    /// Its name in JSON.
    pub(crate) id: &'static str,
    /// For people.
    pub(crate) title: &'static str,
    /// The unit; empty for a number.
    pub(crate) unit: &'static str,
    /// The most that it should be, with the most Clusters.
    pub(crate) target: Option<f64>,
    /// The same of the original in Go, where it was measured, with 2,000 Clusters.
    pub(crate) original: &'static str,
    /// How it is taken.
    pub(crate) how: &'static str,
}

/// Figures of a kind of work.
pub(crate) struct Chapter {
    pub(crate) title: &'static str,
    pub(crate) subjects: &'static [Subject],
}

const fn subject(
    id: &'static str,
    title: &'static str,
    unit: &'static str,
    target: Option<f64>,
    original: &'static str,
    how: &'static str,
) -> Subject {
    Subject { id, title, unit, target, original, how }
}

/// Every figure, in the order of the table.
pub(crate) const CHAPTERS: &[Chapter] = &[
    Chapter {
        title: "The program alone",
        subjects: &[
            subject("binary", "binary, stripped", "MB", Some(15.0), "41.3", "length of the file"),
            subject(
                "empty_rss",
                "memory without any object",
                "MiB",
                Some(10.0),
                "36",
                "VmRSS after a minute",
            ),
            subject("empty_peak", "the same at most", "MiB", None, "", "VmHWM after a minute"),
            subject(
                "index",
                "reading a package index of 10,000 stanzas",
                "ms",
                None,
                "",
                "median of 30 in one process, 6 MB in pieces of 16 KiB",
            ),
            subject(
                "decision_rest",
                "one decision about a Cluster that is done",
                "µs",
                None,
                "",
                "observe, decide and report of each of 2,000 in turn, the median of 9 rounds divided by their number",
            ),
            subject(
                "decision_hop",
                "one decision about a Cluster with a version to go to",
                "µs",
                None,
                "",
                "the same, where the Plan has a newer result",
            ),
        ],
    },
    Chapter {
        title: "First start: no object has a status",
        subjects: &[
            subject(
                "cluster_kb",
                "one Cluster, managedFields included",
                "kB",
                None,
                "",
                "length of its JSON",
            ),
            subject(
                "start_caches",
                "process start to full caches",
                "s",
                None,
                "",
                "the last request of a list or a watch before the first write",
            ),
            subject(
                "start_first",
                "process start to first decision",
                "s",
                None,
                "",
                "the first write that is none of the lease",
            ),
            subject(
                "start_all",
                "process start to a status of each upgrader",
                "s",
                Some(10.0),
                "109",
                "the last of the first writes of their statuses",
            ),
            subject(
                "start_cpu",
                "processors until then",
                "s",
                Some(1.5),
                "3.8",
                "utime and stime of the process",
            ),
            subject("start_peak", "memory at most until then", "MiB", Some(28.0), "79", "VmHWM"),
            subject(
                "settled_cpu",
                "processors until all of it is done",
                "s",
                None,
                "",
                "the same, when every upgrader is UpToDate and nothing more is asked for",
            ),
        ],
    },
    Chapter {
        title: "Idle: every Cluster is up to date",
        subjects: &[
            subject("idle_rss", "memory", "MiB", Some(20.0), "62", "VmRSS at the end of the time"),
            subject(
                "idle_peak",
                "memory at most so far",
                "MiB",
                Some(28.0),
                "79",
                "VmHWM at the end of the time",
            ),
            subject(
                "idle_requests",
                "requests a minute but those below",
                "",
                Some(0.0),
                "1",
                "audit log, by the manager's ServiceAccount",
            ),
            subject("idle_leases", "requests of the lease a minute", "", Some(6.0), "60", "audit log"),
            subject("idle_watches", "watches begun anew a minute", "", None, "", "audit log"),
            subject("idle_cpu", "processors a minute", "s", None, "0.03", "utime and stime of the process"),
        ],
    },
    Chapter {
        title: "One new version reaches all Clusters, with no limit of how many roll",
        subjects: &[
            subject(
                "published_first",
                "package published to first Cluster set",
                "s",
                None,
                "",
                "audit log; the fetch is asked for by annotation, the build tells its id as soon as its pod runs",
            ),
            subject("published_last", "package published to last Cluster set", "s", None, "", "audit log"),
            subject("roll_first", "Plan's status to first Cluster set", "s", None, "", "audit log"),
            subject("roll_last", "Plan's status to last Cluster set", "s", Some(10.0), "98.6", "audit log"),
            subject(
                "roll_cpu",
                "processors until all is told",
                "s",
                Some(1.5),
                "5.7–6.0",
                "from publication until status and Event of each upgrader are written",
            ),
            subject(
                "roll_per_cluster",
                "requests a Cluster to start it",
                "",
                Some(3.0),
                "2.0, no Event",
                "audit log: of Clusters, upgraders, machine images and Events",
            ),
            subject("roll_reads", "live reads of machine images", "", Some(1.0), "", "audit log"),
            subject("roll_peak", "memory at most so far", "MiB", Some(28.0), "86", "VmHWM"),
            subject(
                "moving_requests",
                "requests while machines move",
                "",
                Some(0.0),
                "",
                "audit log, while the status of every Cluster changes once",
            ),
            subject("moving_cpu", "processors for that", "s", None, "", "utime and stime of the process"),
            subject(
                "converge_per_cluster",
                "requests a Cluster once it has converged",
                "",
                Some(2.0),
                "",
                "audit log, as above",
            ),
            subject("converge_cpu", "processors for that", "s", None, "", "utime and stime of the process"),
            subject("after_rss", "memory afterwards", "MiB", None, "", "VmRSS"),
            subject("after_peak", "memory at most so far", "MiB", Some(28.0), "86", "VmHWM"),
        ],
    },
    Chapter {
        title: "Restart on that data",
        subjects: &[
            subject(
                "restart_caches",
                "process start to full caches",
                "s",
                None,
                "0.7",
                "as at the first start",
            ),
            subject(
                "restart_decision",
                "full caches to first decision seen",
                "s",
                Some(1.0),
                "",
                "one upgrader without a status was made meanwhile, the last by name: its status",
            ),
            subject(
                "restart_requests",
                "requests",
                "",
                Some(100.0),
                "45",
                "audit log, until nothing more is asked for",
            ),
            subject("restart_cpu", "processors", "s", None, "", "utime and stime of the process"),
            subject("restart_peak", "memory at most", "MiB", Some(28.0), "", "VmHWM"),
        ],
    },
];

/// What was measured once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    /// By the subject's id.
    pub(crate) values: BTreeMap<String, f64>,
    /// By phase: requests by verb and resource.
    pub(crate) requests: Vec<(String, BTreeMap<String, usize>)>,
}

impl Figures {
    /// Keeps a figure.
    pub(crate) fn put(&mut self, id: &str, value: f64) {
        self.values.insert(id.to_owned(), value);
    }

    /// Keeps what was asked for in a phase.
    pub(crate) fn count(&mut self, phase: &str, requests: Requests<'_>) {
        self.requests.push((phase.to_owned(), requests.counts()));
    }
}

/// A figure for people: three digits that count.
pub(crate) fn shown(value: f64) -> String {
    let digits = match value.abs() {
        large if large >= 99.95 => 0,
        middle if middle >= 9.995 => 1,
        _ => 2,
    };
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_shown_with_three_digits() {
        let texts = [0.0, 0.034, 3.0, 5.25, 12.34, 98.6, 109.4].map(shown);
        assert_eq!(texts, ["0", "0.03", "3", "5.25", "12.3", "98.6", "109"]);
    }

    #[test]
    fn every_figure_has_a_name_of_its_own() {
        let mut ids: Vec<&str> = CHAPTERS.iter().flat_map(|it| it.subjects).map(|it| it.id).collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all);
    }
}
