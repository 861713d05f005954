//! The bench's dataset: invented, the same bytes on every machine.
//!
//! An item's input is a text of 400 to 600 characters. Every second item's reference output is that text, the others' is
//! another one, so that half of the answers of an echo are right. Some metadata makes the bytes of two rows of about 600.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use serde_json::json;

/// Words of the texts. Some need escapes in JSON or more than a byte in UTF-8, as real ones do.
const WORDS: [&str; 32] = [
    "the",
    "a",
    "of",
    "and",
    "model",
    "answer",
    "question",
    "therefore",
    "seven",
    "hundred",
    "minus",
    "equals",
    "so",
    "we",
    "divide",
    "both",
    "sides",
    "by",
    "three",
    "\"quoted\"",
    "naïve",
    "then",
    "left",
    "with",
    "total",
    "price",
    "per",
    "day",
    "→",
    "step",
    "first\n",
    "finally",
];
const SUBJECTS: [&str; 5] = ["arithmetic", "geometry", "language", "code", "history"];

/// Writes a dataset of so many items, and gives its size in bytes.
pub(super) fn write(path: &Path, items: u64) -> io::Result<u64> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut random = Random(0x5eed);
    let mut bytes = 0;
    for number in 0..items {
        let line = item(number, &mut random).to_string();
        writeln!(file, "{line}")?;
        bytes += line.len() as u64 + 1;
    }
    file.flush()?;
    Ok(bytes)
}

fn item(number: u64, random: &mut Random) -> serde_json::Value {
    let input = text(random);
    let reference = if number.is_multiple_of(2) { input.clone() } else { text(random) };
    let subject = SUBJECTS[random.below(SUBJECTS.len())];
    json!({
        "item_id": format!("item-{number:07}"),
        "input": input,
        "reference_output": reference,
        "metadata": {"subject": subject, "difficulty": random.below(5), "source": "bench", "serial": number},
    })
}

fn text(random: &mut Random) -> String {
    let length = 400 + random.below(200);
    let mut text = String::with_capacity(length + 16);
    while text.len() < length {
        text.push_str(WORDS[random.below(WORDS.len())]);
        text.push(' ');
    }
    text
}

/// Splitmix64 (Steele, Lea and Flood, 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`.
    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_dataset_is_the_same_every_time_and_has_two_rows_of_about_600_bytes_an_item() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (one, two) = (folder.path().join("1.jsonl"), folder.path().join("2.jsonl"));
        let bytes = write(&one, 1000).expect("it can be written");
        write(&two, 1000).expect("it can be written");
        let text = std::fs::read_to_string(one).expect("it can be read");
        assert_eq!(text, std::fs::read_to_string(two).expect("it can be read"));
        assert_eq!(text.len() as u64, bytes);
        let items: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(items.len(), 1000);
        let right = items.iter().filter(|item| item["input"] == item["reference_output"]).count();
        assert_eq!(right, 500);
        let an_item = bytes / 1000;
        assert!((1100..1300).contains(&an_item), "{an_item} bytes an item");
    }
}
