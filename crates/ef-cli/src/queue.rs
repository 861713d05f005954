//! The queue: what people are asked to judge, as a file of JSON lines, and what they answered.
//!
//! It is made from the stored records, so that it says what is pending, no more and no less, however often a run was
//! resumed.

use std::collections::HashMap;
use std::fs;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use ef_model::{
    Inquiry, ItemId, JudgmentResult, Payload, RecordFilter, RunId, StoreError, TaskRecord, TraceOutcome, TraceStore,
};
use ef_runner::RunJudge;
use futures_util::TryStreamExt;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::Exit;
use crate::failure::{self, Failure};

/// The longest line of an answered queue, in bytes.
const LONGEST_LINE: u64 = 64 << 20;

/// One judgment that a person is asked for. The rest of it is payload.
#[derive(Serialize)]
struct Asked<'a> {
    run_id: &'a RunId,
    item_id: &'a ItemId,
    row: u64,
    repeat: u32,
    judge: &'a str,
    question: &'a str,
    answer_schema: Value,
    input: Option<Box<RawValue>>,
    reference_output: Option<Box<RawValue>>,
    output: Option<Box<RawValue>>,
    score: Option<()>,
    rationale: Option<()>,
}

/// A line that a person has answered, or not yet. What else the line holds is not looked at.
#[derive(Deserialize)]
struct Line {
    run_id: RunId,
    item_id: ItemId,
    row: u64,
    repeat: u32,
    judge: String,
    #[serde(default)]
    score: Value,
    #[serde(default)]
    rationale: Option<Box<RawValue>>,
    /// The person looked, and gives no score.
    #[serde(default)]
    unscored: bool,
}

/// What a person said of one output.
#[derive(Debug)]
pub(crate) struct Answered {
    /// The line of the file, from 1.
    pub(crate) line: usize,
    pub(crate) item_id: ItemId,
    pub(crate) row: u64,
    pub(crate) repeat: u32,
    pub(crate) judge: String,
    /// The score as it is written; null for none.
    pub(crate) score: Value,
    pub(crate) rationale: Option<Payload>,
}

/// Where the queue of a run is written unless it is said otherwise.
pub(crate) fn path(folder: &Path, run: &RunId) -> PathBuf {
    folder.join(format!("{run}.queue.jsonl"))
}

/// Writes what is pending in a run, readable by its owner alone, whole or not at all; how many judgments that are.
pub(crate) async fn write(
    store: &dyn TraceStore,
    run: &RunId,
    judges: &[RunJudge],
    path: &Path,
) -> Result<u64, Failure> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let unfinished = path.with_file_name(name);
    let refused = |error: &io::Error| {
        let message = format!("the queue cannot be written to {}: {}", path.display(), failure::reason(error));
        Failure::usage(message).hint("the judgments stay pending: `ef judge queue RUN --output FILE` writes it again")
    };
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = BufWriter::new(options.open(&unfinished).map_err(|error| refused(&error))?);
    let written = write_all(store, run, judges, &mut file).await;
    let ended = written.and_then(|count| {
        let kept = file.flush().and_then(|()| file.get_ref().sync_all()).and_then(|()| fs::rename(&unfinished, path));
        kept.map(|()| count).map_err(Broken::File)
    });
    ended.map_err(|broken| {
        let _ = fs::remove_file(&unfinished);
        match broken {
            Broken::File(error) => refused(&error),
            Broken::Store(error) => error.into(),
        }
    })
}

enum Broken {
    File(io::Error),
    Store(StoreError),
}

async fn write_all(
    store: &dyn TraceStore,
    run: &RunId,
    judges: &[RunJudge],
    file: &mut impl Write,
) -> Result<u64, Broken> {
    let inquiries: HashMap<_, _> =
        judges.iter().filter_map(|judge| Some((judge.identity.name.as_str(), judge.judge.inquiry()?))).collect();
    let filter = RecordFilter::default();
    let mut records = store.records(run, &filter);
    let mut count = 0;
    let mut latest: Option<TaskRecord> = None;
    loop {
        let next = records.try_next().await.map_err(Broken::Store)?.map(|stored| stored.record);
        let task = |record: &TaskRecord| (record.row, record.repeat);
        let superseded = latest.as_ref().map(task) == next.as_ref().map(task);
        let ended = next.is_none();
        if let Some(record) = std::mem::replace(&mut latest, next).filter(|_| !superseded) {
            count += write_record(store, run, &record, &inquiries, file).await?;
        }
        if ended {
            return Ok(count);
        }
    }
}

async fn write_record(
    store: &dyn TraceStore,
    run: &RunId,
    record: &TaskRecord,
    inquiries: &HashMap<&str, &dyn Inquiry>,
    file: &mut impl Write,
) -> Result<u64, Broken> {
    let pending = record.judgments.iter().filter(|judgment| judgment.result == JudgmentResult::Pending);
    let mut count = 0;
    for judgment in pending {
        let trace = &record.trace;
        let output = match trace.outcome {
            TraceOutcome::Ok { output, .. } => Some(output),
            _ => None,
        };
        let inquiry = inquiries.get(judgment.judge.name.as_str());
        let asked = Asked {
            run_id: run,
            item_id: &record.item_id,
            row: record.row,
            repeat: record.repeat,
            judge: &judgment.judge.name,
            question: inquiry.map_or("", |inquiry| inquiry.question()),
            answer_schema: inquiry.map_or(Value::Null, |inquiry| inquiry.answer_schema()),
            input: text(store, trace.input).await?,
            reference_output: text(store, trace.reference_output).await?,
            output: text(store, output).await?,
            score: None,
            rationale: None,
        };
        serde_json::to_writer(&mut *file, &asked).map_err(|error| Broken::File(error.into()))?;
        file.write_all(b"\n").map_err(Broken::File)?;
        count += 1;
    }
    Ok(count)
}

async fn text(store: &dyn TraceStore, digest: Option<ef_model::Digest>) -> Result<Option<Box<RawValue>>, Broken> {
    let Some(digest) = digest else { return Ok(None) };
    let found = store.payloads(&[digest]).await.map_err(Broken::Store)?.pop().flatten();
    Ok(found.and_then(|payload| RawValue::from_string(payload.expose().to_owned()).ok()))
}

/// Reads an answered queue of a run: the lines that have an answer, and how many have none yet.
pub(crate) fn read(path: &Path, run: &RunId) -> Result<(Vec<Answered>, u64), Failure> {
    let refused = |error: io::Error| {
        Failure::usage(format!("the file {} cannot be read: {}", path.display(), failure::reason(&error)))
    };
    let mut reader = BufReader::new(fs::File::open(path).map_err(refused)?);
    let (mut answers, mut open) = (Vec::new(), 0);
    let mut bytes = Vec::new();
    for number in 1.. {
        bytes.clear();
        (&mut reader).take(LONGEST_LINE + 1).read_until(b'\n', &mut bytes).map_err(refused)?;
        if bytes.is_empty() {
            break;
        }
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        let at = |what: String| Failure::usage(format!("{}:{number}: {what}; nothing was imported", path.display()));
        if bytes.len() as u64 > LONGEST_LINE {
            return Err(at(format!("the line is longer than {LONGEST_LINE} bytes")));
        }
        match parse(&bytes, number).map_err(at)? {
            (of, _) if of != *run => return Err(at(format!("the line is of the run {of}, not of {run}"))),
            (_, Some(answer)) => answers.push(answer),
            (_, None) => open += 1,
        }
    }
    Ok((answers, open))
}

/// A line, and its answer if it has one. No message quotes the line.
fn parse(bytes: &[u8], line: usize) -> Result<(RunId, Option<Answered>), String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    ef_model::check_strict(text).map_err(|fault| fault.kind.to_string())?;
    let Line { run_id, item_id, row, repeat, judge, score, rationale, unscored } =
        serde_json::from_str(text).map_err(|error| shape(&error))?;
    if score.is_null() && !unscored {
        return Ok((run_id, None));
    }
    if !score.is_null() && unscored {
        return Err("it has a score and says that it is unscored".to_owned());
    }
    let rationale = rationale.map(|raw| Payload::from_checked(raw.get())).filter(|payload| payload.expose() != "null");
    Ok((run_id, Some(Answered { line, item_id, row, repeat, judge, score, rationale })))
}

/// What is wrong with a line that is JSON, without its content.
fn shape(error: &serde_json::Error) -> String {
    let message = error.to_string();
    // Of serde's messages only these name nothing but fields.
    match message.split_once(" at line") {
        Some((missing, _)) if missing.starts_with("missing field") => missing.to_owned(),
        _ => "a field is not as the queue wrote it: run_id, item_id, row, repeat and judge stay as they are".to_owned(),
    }
}

/// A failure at a line of the file.
pub(crate) fn refused(path: &Path, line: usize, message: &str) -> Failure {
    Failure::new(Exit::Usage, format!("{}:{line}: {message}; nothing was imported", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str =
        r#"{"run_id":"r1","item_id":"a","row":3,"repeat":0,"judge":"person","question":"?","input":"secret""#;

    #[test]
    fn a_line_is_answered_by_a_score_or_by_saying_that_there_is_none() {
        let answer = |rest: &str| parse(format!("{LINE}{rest}}}").as_bytes(), 7).map(|(_, answer)| answer);
        assert!(answer("").expect("a line").is_none());
        assert!(answer(r#","score":null,"rationale":"not sure yet""#).expect("a line").is_none());
        let scored = answer(r#","score":0.5,"rationale":"why""#).expect("a line").expect("an answer");
        assert_eq!((scored.line, scored.row, &scored.score), (7, 3, &Value::from(0.5)));
        assert_eq!(scored.rationale.as_ref().map(Payload::expose), Some("\"why\""));
        let unscored = answer(r#","score":null,"unscored":true,"rationale":null"#).expect("a line").expect("an answer");
        assert!(unscored.score.is_null() && unscored.rationale.is_none());
        assert!(answer(r#","score":1,"unscored":true"#).is_err());
    }

    #[test]
    fn what_is_wrong_with_a_line_does_not_quote_it() {
        for text in ["secret", "[\"secret\"]", r#"{"run_id":"se cret"}"#, r#"{"run_id":"r","item_id":{"secret":1}}"#] {
            let message = parse(text.as_bytes(), 1).expect_err("not a line");
            assert!(!message.contains("cret"), "{message}");
        }
        assert_eq!(parse(b"{\"run_id\":\"r\"}", 1).expect_err("incomplete"), "missing field `item_id`");
    }
}
