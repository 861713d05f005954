//! The bench's results as a table for people and as JSON for programs.

use serde_json::{Value, json};

use super::figures::{Figures, Size, Summary, median};
use super::targets::Target;

/// The table: a line a program and size, then the starts, then the targets.
pub(super) fn table(figures: &Figures, targets: &[Target]) -> String {
    let head = ["items", "", "items/s", "wall s", "CPU s", "peak RSS MiB", "disk B/item", "of the floor"];
    let mut rows = vec![head.map(str::to_owned)];
    for size in &figures.sizes {
        rows.push(row(size, "ef", size.summary(&size.ef), format!("{:.2}", size.ratio())));
        rows.push(row(size, "floor", size.summary(&size.floor), String::new()));
    }
    let start = &figures.start;
    let starts = format!(
        "ef run of ten items {:.1} ms, ef --version {:.1} ms (medians of {} and {}); {} CPUs\n",
        median(start.ten_items_ms.iter().copied()),
        median(start.version_ms.iter().copied()),
        start.ten_items_ms.len(),
        start.version_ms.len(),
        figures.cpus
    );
    [aligned(&rows), starts, judged(targets)].join("\n")
}

/// The targets with what was measured.
pub(super) fn judged(targets: &[Target]) -> String {
    let mut judged = vec![["target", "wanted", "measured", ""].map(str::to_owned)];
    judged.extend(targets.iter().map(verdict));
    aligned(&judged)
}

fn row(size: &Size, program: &str, summary: Summary, ratio: String) -> [String; 8] {
    [
        size.items.to_string(),
        program.to_owned(),
        format!("{:.0}", summary.items_per_second),
        format!("{:.2}", summary.wall_s),
        format!("{:.2}", summary.cpu_s),
        format!("{:.1}", summary.peak_rss_mib),
        format!("{:.0}", summary.disk_bytes_per_item),
        ratio,
    ]
}

fn verdict(target: &Target) -> [String; 4] {
    let measured = target.measured.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"));
    let verdict = match target.met {
        Some(true) => "met",
        Some(false) => "NOT MET",
        None => "not measured",
    };
    [target.name.to_owned(), target.wanted.clone(), measured, verdict.to_owned()]
}

/// Columns as wide as their widest cell: numbers to the right, words to the left.
fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| {
            if cell.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
                format!("{cell:>width$}")
            } else {
                format!("{cell:<width$}")
            }
        });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// Everything, each sample included.
pub(super) fn json(figures: &Figures, targets: &[Target]) -> String {
    let sizes: Vec<Value> = figures.sizes.iter().map(size).collect();
    let start = &figures.start;
    let whole = json!({
        "cpus": figures.cpus,
        "sizes": sizes,
        "start": {
            "ten_items_ms": median(start.ten_items_ms.iter().copied()),
            "version_ms": median(start.version_ms.iter().copied()),
            "samples": start,
        },
        "targets": targets,
    });
    format!("{whole:#}\n")
}

fn size(size: &Size) -> Value {
    json!({
        "items": size.items,
        "dataset_bytes": size.dataset_bytes,
        "ef": size.summary(&size.ef),
        "floor": size.summary(&size.floor),
        "share_of_floor": size.ratio(),
        "samples": {"ef": size.ef, "floor": size.floor},
    })
}

#[cfg(test)]
mod tests {
    use super::super::figures::Start;
    use super::super::figures::tests::sample;
    use super::*;

    fn figures() -> Figures {
        let mut size = Size::new(1000, 1_200_000);
        size.ef.push(sample(2.0, 20));
        size.floor.push(sample(1.0, 5));
        Figures { cpus: 2, sizes: vec![size], start: Start { ten_items_ms: vec![40.0], version_ms: vec![4.0] } }
    }

    fn targets() -> Vec<Target> {
        let target = |measured, met| Target { name: "share of the floor", wanted: ">= 0.5".to_owned(), measured, met };
        vec![target(Some(0.25), Some(false)), target(None, None)]
    }

    #[test]
    fn the_table_shows_both_programs_side_by_side_and_every_verdict() {
        let expected = "\
items         items/s  wall s  CPU s  peak RSS MiB  disk B/item  of the floor
 1000  ef         500    2.00   0.75          20.0         2000          0.50
 1000  floor     1000    1.00   0.75           5.0         2000

ef run of ten items 40.0 ms, ef --version 4.0 ms (medians of 1 and 1); 2 CPUs

target              wanted  measured
share of the floor  >= 0.5     0.250  NOT MET
share of the floor  >= 0.5         -  not measured
";
        assert_eq!(table(&figures(), &targets()), expected);
    }

    #[test]
    fn the_json_has_the_medians_and_every_sample() {
        let value: Value = serde_json::from_str(&json(&figures(), &targets())).expect("it is JSON");
        assert_eq!(value["sizes"][0]["ef"]["items_per_second"], 500.0);
        assert_eq!(value["sizes"][0]["share_of_floor"], 0.5);
        assert_eq!(value["sizes"][0]["samples"]["floor"][0]["wall_s"], 1.0);
        assert_eq!(value["start"]["samples"]["version_ms"][0], 4.0);
        assert_eq!(value["targets"][0]["met"], false);
        assert_eq!(value["targets"][1]["met"], Value::Null);
    }
}
