//! Columns for people, as kubectl prints them: no lines, three spaces between.

use crate::screen::Screen;
use crate::state::State;

/// A cell, painted by a state where it has one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cell {
    pub(crate) text: String,
    pub(crate) state: Option<State>,
}

impl Cell {
    pub(crate) fn painted(text: impl Into<String>, state: State) -> Self {
        Self { text: text.into(), state: Some(state) }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: text.into(), state: None }
    }
}

/// Lays out rows under their headings. An empty cell shows nothing; the last column is not filled up.
pub(crate) fn render(headings: &[&str], rows: &[Vec<Cell>], screen: &Screen<'_>) -> String {
    let widths: Vec<usize> = headings
        .iter()
        .enumerate()
        .map(|(column, heading)| {
            let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.text.chars().count());
            cells.max().unwrap_or_default().max(heading.chars().count())
        })
        .collect();
    let mut text = String::new();
    let mut line = |cells: &[Cell]| {
        let mut written = String::new();
        for (cell, width) in cells.iter().zip(&widths) {
            let fill = width - cell.text.chars().count() + 3;
            written.push_str(
                &cell.state.map_or_else(|| cell.text.clone(), |state| screen.painted(state, &cell.text)),
            );
            written.push_str(&" ".repeat(fill));
        }
        text.push_str(written.trim_end());
        text.push('\n');
    };
    let top: Vec<Cell> = headings.iter().map(|heading| Cell::from(*heading)).collect();
    line(&top);
    for row in rows {
        line(row);
    }
    text
}
