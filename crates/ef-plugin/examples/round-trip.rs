//! What a call to a plugin costs the program that hosts it: a trivial judge in Python, called many times.
//!
//! ```console
//! $ cargo run --release -p ef-plugin --features process --example round-trip -- python3 100000 64
//! ```

#![allow(clippy::print_stdout, reason = "a program")]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ef_model::{CallContext, Environment, EvalItem, EvaluatorOutput, ItemId, Payload};
use ef_plugin::process::ExternalPlugin;
use ef_plugin::python::Interpreter;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde_json::json;

type Failure = Box<dyn Error + Send + Sync>;

const JUDGE: &str = "def same(item, output):\n    return output.output == item.input\n";

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [python, calls, in_flight] = arguments.as_slice() else {
        return Err("round-trip PYTHON CALLS IN_FLIGHT".into());
    };
    let (calls, in_flight): (u64, u64) = (calls.parse()?, in_flight.parse()?);
    let folder = std::env::temp_dir().join(format!("round-trip-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("trivial.py"), JUDGE)?;
    let done = measure(python, &folder, calls, in_flight).await;
    std::fs::remove_dir_all(&folder)?;
    println!("{}", done?);
    Ok(())
}

async fn measure(python: &str, folder: &Path, calls: u64, in_flight: u64) -> Result<serde_json::Value, Failure> {
    let environment = Environment::new(std::env::vars());
    let interpreter = Interpreter::find(Some(Path::new(python)), folder, &environment)?.ok_or("no interpreter")?;
    let found = interpreter.module("trivial", "trivial:same", folder, "example", &environment)?;
    let plugin = ExternalPlugin::new(found.command);
    let factory = plugin.factories().await?.judges.pop().ok_or("no judge")?;
    let judge = factory.create(&json!({}), &environment).await?;

    let (begun, cpu) = (Instant::now(), own_cpu_us()?);
    let next = Arc::new(AtomicU64::new(0));
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..in_flight {
        let (judge, next) = (Arc::clone(&judge), Arc::clone(&next));
        workers.spawn(async move {
            loop {
                let row = next.fetch_add(1, Ordering::Relaxed) + 1;
                if row > calls {
                    return Ok::<(), Failure>(());
                }
                let text = Payload::from_text(&format!("the input of row {row}, about as long as a short question is"));
                let output = EvaluatorOutput::new(text.clone());
                let item_id = ItemId::new(format!("item-{row}"))?;
                let item = EvalItem { item_id, row, input: text, reference_output: None, metadata: None };
                let context = CallContext::new(Instant::now() + Duration::from_secs(60), 1, 0, row);
                let verdict = judge.judge(&item, &output, &context).await?;
                if verdict.score != Some(true.into()) {
                    return Err("a wrong verdict".into());
                }
            }
        });
    }
    while let Some(ended) = workers.join_next().await {
        ended??;
    }
    let (wall_s, cpu_us) = (begun.elapsed().as_secs_f64(), own_cpu_us()? - cpu);
    plugin.shutdown().await;
    Ok(json!({"calls": calls, "wall_s": wall_s, "host_cpu_us_per_call": cpu_us / calls as f64}))
}

/// CPU time of this process alone, in µs.
fn own_cpu_us() -> Result<f64, Failure> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    Ok((usage.user_time().num_microseconds() + usage.system_time().num_microseconds()) as f64)
}
