//! The table on standard output.

use std::fmt::Write as _;

use crate::figures::{CHAPTERS, Subject, shown};
use crate::results::{Results, sizes, spread};

const TITLE: usize = 52;
const CELL: usize = 13;

/// What some runs have found; where they differ, from the least to the most.
pub(crate) fn print(all: &[Results]) -> String {
    let sizes = sizes(all);
    let mut text = String::new();
    for chapter in CHAPTERS {
        let _ = write!(text, "\n{:<TITLE$}", chapter.title);
        let of_clusters = chapter.subjects.iter().any(|subject| row(all, subject, &sizes).is_some());
        if !of_clusters {
            text.push('\n');
            continue;
        }
        let heads = if is_alone(all, chapter.subjects) {
            vec![String::new()]
        } else {
            sizes.iter().map(|size| format!("{size} Clusters")).collect()
        };
        for head in heads {
            let _ = write!(text, " {head:>CELL$}");
        }
        let _ = writeln!(text, " {:>9}", "at most");
        for subject in chapter.subjects {
            let Some((cells, missed)) = row(all, subject, &sizes) else { continue };
            let unit = if subject.unit.is_empty() { String::new() } else { format!(", {}", subject.unit) };
            let _ = write!(text, "  {:<width$}", format!("{}{unit}", subject.title), width = TITLE - 2);
            for cell in cells {
                let _ = write!(text, " {cell:>CELL$}");
            }
            let target = subject.target.map(shown).unwrap_or_default();
            let _ = writeln!(text, " {target:>9}{}", if missed { " missed" } else { "" });
        }
    }
    if let Some(run) = all.last() {
        let _ = writeln!(text, "\n{} runs, the last in {} s", all.len(), run.took);
    }
    text
}

fn is_alone(all: &[Results], subjects: &[Subject]) -> bool {
    subjects.iter().any(|subject| spread(all, subject.id, None).is_some())
}

/// The cells of a row, and whether its target is missed; nothing where it was not measured.
pub(crate) fn row(all: &[Results], subject: &Subject, sizes: &[u32]) -> Option<(Vec<String>, bool)> {
    let missed = |spread: Option<(f64, f64)>| {
        // A hundredth is less than what is shown.
        subject.target.zip(spread).is_some_and(|(target, (_, most))| most > target + 0.01)
    };
    if let Some(alone) = spread(all, subject.id, None) {
        return Some((vec![cell(alone)], missed(Some(alone))));
    }
    let found: Vec<_> = sizes.iter().map(|size| spread(all, subject.id, Some(*size))).collect();
    let last = *found.last()?;
    found.iter().any(Option::is_some).then(|| {
        (found.into_iter().map(|spread| spread.map(cell).unwrap_or_default()).collect(), missed(last))
    })
}

/// A figure, or from the least to the most.
fn cell((least, most): (f64, f64)) -> String {
    let (least, most) = (shown(least), shown(most));
    if least == most { least } else { format!("{least}–{most}") }
}
