//! `docs/performance.md`, from results.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::figures::{CHAPTERS, shown};
use crate::results::{Results, sizes};
use crate::table::row;

/// The page. What people write by hand stands in `intro.md` and `outro.md` beside this file.
pub(crate) fn page(all: &[Results]) -> String {
    let mut text = include_str!("intro.md").to_owned();
    let sizes = sizes(all);
    for chapter in CHAPTERS {
        let rows: Vec<_> = chapter
            .subjects
            .iter()
            .filter_map(|subject| row(all, subject, &sizes).map(|row| (subject, row)))
            .collect();
        if rows.is_empty() {
            continue;
        }
        let alone = rows.iter().all(|(_, (cells, _))| cells.len() == 1) && sizes.len() != 1;
        let heads: Vec<String> =
            if alone { vec!["ours".to_owned()] } else { sizes.iter().map(|it| thousands(*it)).collect() };
        let _ = writeln!(text, "\n## {}\n", chapter.title);
        let _ = writeln!(text, "| | {} | target | the original | how it is taken |", heads.join(" | "));
        let _ = writeln!(text, "|---|{}---|---|---|", "---|".repeat(heads.len()));
        for (subject, (cells, missed)) in rows {
            let unit = if subject.unit.is_empty() { String::new() } else { format!(", {}", subject.unit) };
            let target = subject.target.map(shown).map(|it| format!("≤ {it}")).unwrap_or_default();
            let mark = if missed { " (missed)" } else { "" };
            let _ = writeln!(
                text,
                "| {}{unit} | {} | {target}{mark} | {} | {} |",
                subject.title,
                cells.join(" | "),
                subject.original,
                subject.how
            );
        }
    }
    requests(&mut text, all, &sizes);
    taken(&mut text, all);
    text.push_str(include_str!("outro.md"));
    text
}

/// Requests by verb and resource, of the last run with the most Clusters.
fn requests(text: &mut String, all: &[Results], sizes: &[u32]) {
    let most = sizes.last().copied();
    let Some(run) = all.iter().rev().find(|run| run.requests.iter().any(|phase| phase.clusters == most))
    else {
        return;
    };
    let count = most.map(thousands).unwrap_or_default();
    let _ = writeln!(text, "\n## Requests by verb and resource, {count} Clusters\n");
    let _ = writeln!(text, "| | requests |\n|---|---|");
    for phase in run.requests.iter().filter(|phase| phase.clusters == most) {
        let counts: Vec<String> =
            phase.counts.iter().map(|(what, count)| format!("{what} {count}")).collect();
        let counts = if counts.is_empty() { "none".to_owned() } else { counts.join(", ") };
        let _ = writeln!(text, "| {} | {counts} |", phase.name);
    }
}

/// Where, when, with what.
fn taken(text: &mut String, all: &[Results]) {
    let _ = writeln!(text, "\n## Where and when\n");
    let machines: BTreeSet<String> = all
        .iter()
        .map(|run| {
            let it = &run.machine;
            format!(
                "{} ({} processors), {} GiB, Linux {}; {}",
                it.processor, it.processors, it.memory, it.kernel, it.versions
            )
        })
        .collect();
    for machine in machines {
        let _ = writeln!(
            text,
            "{machine}. Everything runs on this one machine: etcd, the API server, the manager and the bench.\n"
        );
    }
    let _ = writeln!(text, "| run | commit | binary | took |\n|---|---|---|---|");
    for run in all {
        let it = &run.machine;
        let _ = writeln!(text, "| {} | {} | {} | {} s |", it.date, it.commit, it.binary, run.took);
    }
}

fn thousands(number: u32) -> String {
    if number < 1_000 { number.to_string() } else { format!("{},{:03}", number / 1_000, number % 1_000) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::Figures;
    use crate::machine::Machine;

    #[test]
    fn a_missed_target_is_called_missed() {
        let mut run = Results::new(Machine::default());
        let mut figures = Figures::default();
        figures.put("idle_rss", 20.5);
        figures.put("idle_leases", 6.0);
        run.add(Some(2_000), figures);
        let page = page(&[run]);
        assert!(page.contains("| memory, MiB | 20.5 | ≤ 20 (missed) |"), "{page}");
        assert!(page.contains("| requests of the lease a minute | 6 | ≤ 6 | 60 |"), "{page}");
        assert!(page.contains("| 2,000 | target |"), "{page}");
    }
}
