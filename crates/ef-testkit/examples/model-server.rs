//! A model server started by hand: `cargo run -p ef-testkit --features model-server --example model-server -- --port 8099`.
//!
//! Its answers are those of `Script::stand_in`: small sums, an echo for everything else, and verdicts by rule for prompts of
//! `eval_fabric.llm_judge`.
//!
//! * `--port N`: the port of 127.0.0.1; a free one where it is left out.
//! * `--delay-ms N`: every reply so much later.
//! * `--key-env NAME`: only requests with the key that this environment variable holds.
//! * `--storm SEED`: in bursts of one second every four, 429; of the rest 5 % 500 and 1 % no answer at all.
//! * `--seconds N`: ends after so long, and says what was called; without it the server runs until it is stopped.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example that tells where it listens")]

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use ef_testkit::model_server::{ModelServer, Script, Storm};

fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("model-server: {problem}");
            ExitCode::from(2)
        }
    }
}

fn serve() -> Result<(), String> {
    let mut script = Script::stand_in();
    let (mut port, mut seconds) = (0, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{argument} needs a value"))?;
        let number = || value.parse::<u64>().map_err(|_| format!("{argument} needs a number"));
        match argument.as_str() {
            "--port" => port = value.parse().map_err(|_| "--port needs a number below 65536".to_owned())?,
            "--delay-ms" => script = script.delayed(Duration::from_millis(number()?)),
            "--storm" => script = Storm::new(number()?).over(script),
            "--seconds" => seconds = Some(number()?),
            "--key-env" => {
                let key = std::env::var(&value).map_err(|_| format!("the environment variable {value} is not set"))?;
                script = script.with_key(key);
            }
            _ => return Err(format!("there is no {argument}: --port, --delay-ms, --key-env, --storm and --seconds")),
        }
    }
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let server =
        ModelServer::start_on(address, script).map_err(|error| format!("cannot listen on {address}: {error}"))?;
    println!("OpenAI-compatible: {}", server.openai_url());
    println!("Anthropic:         {}", server.base_url());
    println!("echo:              {}/echo", server.base_url());
    if let Some(seconds) = seconds {
        std::thread::sleep(Duration::from_secs(seconds));
        println!("{:?}", server.counts());
        return Ok(());
    }
    loop {
        std::thread::park();
    }
}
