//! A receiver of telemetry started by hand, which shows what it gets:
//! `cargo run -p ef-testkit --features otlp-server --example otlp-server`.
//!
//! It listens on the usual ports of 127.0.0.1, 4318 and 4317, and speaks HTTP and gRPC on both.
//!
//! * `--port N`: listens on this port instead (`0`: on a free one); may be given several times.
//! * `--mode serve|refuse|hang|deaf|close`, `--delay-ms N`: how it treats what it gets.
//! * `--count`: shows nothing, and counts until its standard input ends; then it prints the numbers as a line of JSON.
//! * `--seconds N`: ends after so long; without it the receiver runs until it is stopped.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example that shows what it gets")]

use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ef_testkit::otlp_server::{Counts, Mode, Options, OtlpServer, Received};

/// The usual ports for HTTP and for gRPC.
const PORTS: [u16; 2] = [4318, 4317];

struct Arguments {
    ports: Vec<u16>,
    mode: Mode,
    count: bool,
    seconds: Option<u64>,
}

fn main() -> ExitCode {
    match arguments().and_then(|arguments| serve(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("otlp-server: {problem}");
            ExitCode::from(2)
        }
    }
}

fn arguments() -> Result<Arguments, String> {
    let mut read = Arguments { ports: Vec::new(), mode: Mode::Serve, count: false, seconds: None };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--count" {
            read.count = true;
            continue;
        }
        let value = arguments.next().ok_or_else(|| format!("{argument} needs a value"))?;
        let number = || value.parse::<u64>().map_err(|_| format!("{argument} needs a number"));
        match (argument.as_str(), value.as_str()) {
            ("--port", _) => read.ports.push(number()?.try_into().map_err(|_| "a port is below 65536".to_owned())?),
            ("--seconds", _) => read.seconds = Some(number()?),
            ("--delay-ms", _) => read.mode = Mode::Slow(Duration::from_millis(number()?)),
            ("--mode", "serve") => read.mode = Mode::Serve,
            ("--mode", "refuse") => read.mode = Mode::Refuse { status: 503, retry_after: None },
            ("--mode", "hang") => read.mode = Mode::Hang,
            ("--mode", "deaf") => read.mode = Mode::Deaf,
            ("--mode", "close") => read.mode = Mode::Close,
            _ => return Err(format!("there is no {argument} {value}: read the first lines of this example")),
        }
    }
    if read.ports.is_empty() {
        read.ports.extend(PORTS);
    }
    Ok(read)
}

fn serve(arguments: &Arguments) -> Result<(), String> {
    let mut servers = Vec::new();
    for port in &arguments.ports {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, *port));
        let options = Options { keep: !arguments.count, ..Options::default() };
        let server = OtlpServer::start_with(address, options);
        let server = server.map_err(|error| format!("cannot listen on {address}: {error}"))?;
        server.set_mode(arguments.mode);
        println!("listening on {}", server.endpoint());
        servers.push(server);
    }
    if arguments.count {
        // Whoever started it is at its other end.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        for server in &servers {
            println!("{}", json(server.counts()));
        }
        return Ok(());
    }
    let end = arguments.seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    while end.is_none_or(|end| Instant::now() < end) {
        for server in &servers {
            show(&server.take());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

fn show(received: &[Received]) {
    for request in received.iter().filter(|request| !request.accepted) {
        println!("a message of {} bytes to {}, not taken", request.body.len(), request.path);
    }
    Received::spans(received).iter().for_each(|span| println!("{span}"));
    Received::metrics(received).iter().for_each(|point| println!("{point}"));
    Received::logs(received).iter().for_each(|record| println!("{record}"));
}

fn json(counts: Counts) -> String {
    let Counts { connections, requests, accepted, malformed, spans, metrics, logs, bytes } = counts;
    format!(
        "{{\"connections\":{connections},\"requests\":{requests},\"accepted\":{accepted},\"malformed\":{malformed},\
         \"spans\":{spans},\"metrics\":{metrics},\"logs\":{logs},\"bytes\":{bytes}}}"
    )
}
