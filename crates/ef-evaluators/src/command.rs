//! `eval_fabric.command`: a program that is started for each item.

mod group;
mod process;
mod program;

use std::time::Instant;

use ef_model::{
    CallContext, CallError, ConfigProblem, Environment, ErrorKind, EvalItem, EvaluatorOutput, Payload, Pricing,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use self::process::{Ended, Finished};
use self::program::Program;
use crate::cost::CostPerCall;
use crate::factory::BuiltIn;
use crate::output::{self, OutputForm};

/// What is started for each item.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The program and its arguments. No shell reads them. A program without `/` in its name is looked for in the folders of
    /// `PATH`; one with a relative path is relative to the folder in which `ef` is started.
    #[schemars(length(min = 1))]
    argv: Vec<String>,
    /// What the program writes: `text`, whose last line break is left out, or `json`.
    #[serde(default)]
    output: OutputForm,
    /// Whether the program is given the item's reference output as well. The system under test must not see it.
    #[serde(default)]
    send_reference: bool,
    /// The environment variables that the program is given, besides those that most programs need, such as `PATH` and
    /// `HOME`. Default: all that `ef` has.
    #[serde(default)]
    env: Option<Vec<String>>,
    /// Exit codes that mean that it may work the next time. Default: 75, which `sysexits.h` calls EX_TEMPFAIL.
    #[serde(default = "temporary_failures")]
    retry_exit_codes: Vec<u8>,
    /// The most bytes that the program may write. Default: 8 MiB.
    #[serde(default = "eight_mebibytes")]
    #[schemars(range(min = 1, max = MOST_OUTPUT_BYTES))]
    max_output_bytes: u64,
    /// What one call costs, in US dollars. Under a budget it has to be there; 0 where calls are free.
    #[serde(default)]
    #[schemars(range(min = 0))]
    cost_usd_per_call: Option<f64>,
}

const MOST_OUTPUT_BYTES: u64 = 1 << 30;

fn temporary_failures() -> Vec<u8> {
    vec![75]
}

fn eight_mebibytes() -> u64 {
    8 << 20
}

pub(crate) struct Command {
    program: Program,
    output: OutputForm,
    send_reference: bool,
    retry_exit_codes: Vec<u8>,
    max_output_bytes: usize,
    cost: CostPerCall,
}

impl BuiltIn for Command {
    const ID: &'static str = "eval_fabric.command";
    const VERSION: &'static str = "1.0.0";
    const SUMMARY: &'static str = "Starts a program for each item: the item goes to its standard input, the output comes from its standard output.";
    type Config = Config;
    type Shared = ();

    fn new(config: Config, _: &(), environment: &Environment) -> Result<Self, Vec<ConfigProblem>> {
        let program = Program::new(&config.argv, config.env.as_deref(), environment);
        let cost = CostPerCall::new(config.cost_usd_per_call);
        match (program, cost) {
            (Ok(program), Ok(cost)) => Ok(Self {
                program,
                cost,
                output: config.output,
                send_reference: config.send_reference,
                retry_exit_codes: config.retry_exit_codes,
                max_output_bytes: usize::try_from(config.max_output_bytes.min(MOST_OUTPUT_BYTES)).unwrap_or(usize::MAX),
            }),
            (program, cost) => Err(program.err().into_iter().flatten().chain(cost.err()).collect()),
        }
    }

    fn pricing(&self) -> Pricing {
        self.cost.pricing()
    }

    fn most_usd(&self, _: &EvalItem) -> f64 {
        self.cost.most_usd()
    }

    async fn evaluate(&self, item: &EvalItem, context: &CallContext) -> Result<EvaluatorOutput, CallError> {
        let began = Instant::now();
        let ended = process::run(self.program.command(context), self.stdin(item), self.max_output_bytes).await;
        let usage = self.cost.usage();
        match ended {
            Ended::NotStarted(error) => Err(error),
            Ended::Lost => {
                let message = "the program was started, and then nothing more could be learned of it";
                Err(CallError::new(ErrorKind::Transient, "wait_failed", message).with_usage(usage))
            }
            Ended::TooMuch(stderr) => {
                let message = format!("the program wrote more than {} bytes", self.max_output_bytes);
                let hint = "raise `max_output_bytes` if that is what it should do";
                let error = CallError::invalid_output("output_too_large", format!("{message}: {hint}"));
                Err(error.with_detail(json_detail(&[], &stderr)).with_usage(usage))
            }
            Ended::Finished(finished) => self.read(finished, began).map_err(|error| error.with_usage(usage)),
        }
    }
}

impl Command {
    /// The item as the program gets it: one JSON object on one line, its fields byte for byte as the dataset has them.
    fn stdin(&self, item: &EvalItem) -> Vec<u8> {
        let id = serde_json::Value::from(item.item_id.as_str());
        let metadata = item.metadata.as_ref().map_or("null", Payload::expose);
        let mut line = format!(r#"{{"item_id":{id},"input":{},"metadata":{metadata}"#, item.input.expose());
        if self.send_reference {
            line.push_str(r#","reference_output":"#);
            line.push_str(item.reference_output.as_ref().map_or("null", Payload::expose));
        }
        line.push_str("}\n");
        line.into_bytes()
    }

    fn read(&self, finished: Finished, began: Instant) -> Result<EvaluatorOutput, CallError> {
        let Finished { status, stdout, stderr } = finished;
        if let Some(error) = self.failure(status) {
            return Err(error.with_detail(json_detail(&stdout, &stderr)));
        }
        let output = output::read(self.output, &stdout, "the program's output")
            .map_err(|error| error.with_detail(json_detail(&stdout, &stderr)))?;
        let latency_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let metadata = Payload::from_value(&json!({ "latency_ms": latency_ms }));
        Ok(EvaluatorOutput { output, metadata: Some(metadata), usage: self.cost.usage() })
    }

    fn failure(&self, status: std::process::ExitStatus) -> Option<CallError> {
        use std::os::unix::process::ExitStatusExt as _;
        if status.success() {
            return None;
        }
        if let Some(signal) = status.signal() {
            let message = format!("the program was ended by signal {signal}");
            return Some(CallError::permanent(format!("signal_{signal}"), message));
        }
        let code = status.code().unwrap_or_default();
        let is_temporary = u8::try_from(code).is_ok_and(|code| self.retry_exit_codes.contains(&code));
        let kind = if is_temporary { ErrorKind::Transient } else { ErrorKind::Permanent };
        Some(CallError::new(kind, format!("exit_{code}"), format!("the program ended with exit code {code}")))
    }
}

/// The end of what a program wrote, for the store alone.
fn json_detail(stdout: &[u8], stderr: &[u8]) -> Payload {
    let end = |bytes: &[u8]| {
        let from = bytes.len().saturating_sub(process::TAIL_BYTES);
        String::from_utf8_lossy(&bytes[from..]).into_owned()
    };
    Payload::from_value(&json!({"stdout": end(stdout), "stderr": end(stderr)}))
}
