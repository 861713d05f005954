//! Tables without a frame, fitted to the terminal.

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle};
use unicode_width::UnicodeWidthStr;

use crate::style::{Style, Tone};
use crate::text::Align;

/// A column's heading and the side that it leans to.
pub(crate) type Column<'c> = (&'c str, Align);

const RULED: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─'));

/// A table: headings, a rule, rows. Where the terminal is too narrow for it, each row becomes a block of its own, so that
/// no name and no number is broken. The texts are [`crate::visible`] already.
pub(crate) fn table(columns: &[Column<'_>], rows: &[Vec<String>], style: Style) -> String {
    let mut table = Table::new();
    table.load_style(RULED);
    table.set_header(columns.iter().map(|&(heading, _)| heading));
    table.add_rows(rows);
    pad(&mut table);
    for (column, &(_, align)) in table.column_iter_mut().zip(columns) {
        if align == Align::Right {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let text = trimmed(&table);
    if style.width.is_some_and(|width| text.lines().any(|line| line.width() > usize::from(width))) {
        return blocks(columns, rows, style);
    }
    let (headings, body) = text.split_once('\n').unwrap_or((&text, ""));
    format!("{}\n{body}", style.paint(headings, Tone::Heading))
}

/// Each row as its first cell, and below it the others with their headings.
fn blocks(columns: &[Column<'_>], rows: &[Vec<String>], style: Style) -> String {
    let width = usize::from(style.width.unwrap_or(u16::MAX));
    let mut text = String::new();
    for row in rows {
        let mut cells = columns.iter().zip(row);
        text += &cells.next().map(|(_, name)| style.paint(name, Tone::Heading)).unwrap_or_default();
        let mut line = String::new();
        for (&(heading, _), cell) in cells {
            let piece = format!("{heading} {cell}");
            if !line.is_empty() && line.width() + 3 + piece.width() <= width {
                line += &format!(" · {piece}");
            } else {
                text += &line;
                line = format!("\n  {piece}");
            }
        }
        text += &line;
        text.push('\n');
    }
    text
}

/// Names and what they stand for, each on a line of its own.
pub(crate) fn pairs(rows: Vec<(&str, String)>, style: Style) -> String {
    let mut table = Table::new();
    table.load_style(TableStyle::new());
    table.add_rows(rows.into_iter().map(|(name, text)| [name.to_owned(), text]));
    pad(&mut table);
    if let Some(width) = style.width {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
        if let Some(names) = table.column_mut(0) {
            names.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    trimmed(&table)
}

/// Two spaces between columns, none at the sides.
fn pad(table: &mut Table) {
    let last = table.column_count().saturating_sub(1);
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, if index == last { 0 } else { 2 }));
    }
}

fn trimmed(table: &Table) -> String {
    let mut text = table.trim_fmt();
    text.push('\n');
    text
}
