//! `ef otel-init`: prints what has to be set for telemetry, and how it is looked at.

use clap::ValueEnum;

use crate::Exit;
use crate::failure::Failure;
use crate::output;

/// Print the settings with which runs send traces, metrics and logs
///
/// Prints lines for a shell, to be used as eval "$(ef otel-init)", and comments that tell how to start a collector on this
/// machine that shows what arrives. Nothing is sent or changed by this command. docs/observability.md has every setting.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where runs tell of themselves
    #[arg(long, value_enum, default_value_t, value_name = "EXPORTER")]
    exporter: Exporter,
    /// How the collector is spoken to
    #[arg(long, value_enum, default_value_t, value_name = "PROTOCOL")]
    protocol: Protocol,
    /// Where the collector listens; by default on this machine, at the protocol's usual port
    #[arg(long, value_name = "URL", value_parser = parse_endpoint)]
    endpoint: Option<String>,
}

/// Where telemetry goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Exporter {
    /// To a collector, by the OpenTelemetry protocol.
    #[default]
    Otlp,
    /// To standard error, in lines for people; needs no collector.
    Console,
}

/// A form of the OpenTelemetry protocol.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Protocol {
    /// Protobuf over HTTP.
    #[default]
    #[value(name = "http/protobuf")]
    Http,
    /// gRPC.
    #[value(name = "grpc")]
    Grpc,
}

impl Protocol {
    const fn name(self) -> &'static str {
        match self {
            Self::Http => "http/protobuf",
            Self::Grpc => "grpc",
        }
    }

    const fn usual_endpoint(self) -> &'static str {
        match self {
            Self::Http => "http://127.0.0.1:4318",
            Self::Grpc => "http://127.0.0.1:4317",
        }
    }
}

/// Reads the address of a collector.
fn parse_endpoint(text: &str) -> Result<String, String> {
    const FORM: &str = "write an address such as http://127.0.0.1:4318";
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")).ok_or(FORM)?;
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if host.is_empty() || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(FORM.to_owned());
    }
    if host.contains('@') {
        return Err("an address holds no password: set OTEL_EXPORTER_OTLP_HEADERS yourself".to_owned());
    }
    Ok(text.to_owned())
}

pub(crate) fn execute(args: &Args) -> Result<Exit, Failure> {
    output::print(&script(args))?;
    Ok(Exit::Done)
}

/// The settings first: then even a shell that joins the lines to one does what they say, up to the first comment.
fn script(args: &Args) -> String {
    let exporter = match args.exporter {
        Exporter::Otlp => "otlp",
        Exporter::Console => "console",
    };
    let mut settings: Vec<(&str, String)> = ["OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER"]
        .map(|name| (name, exporter.to_owned()))
        .into();
    let mut comments = String::from("# For this shell: eval \"$(ef otel-init)\"\n");
    match args.exporter {
        Exporter::Console => {
            comments = String::from(CONSOLE);
            // The log is on standard error already.
            settings.retain(|(name, _)| *name != "OTEL_LOGS_EXPORTER");
        }
        Exporter::Otlp => {
            let endpoint = args.endpoint.as_deref().unwrap_or(args.protocol.usual_endpoint());
            settings.push(("OTEL_EXPORTER_OTLP_PROTOCOL", args.protocol.name().to_owned()));
            settings.push(("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.to_owned()));
            comments += COLLECTORS;
        }
    }
    let lines = settings.iter().map(|(name, value)| format!("export {name}={};\n", quoted(value)));
    lines.collect::<String>() + &comments
}

/// A value as one word of a shell.
fn quoted(value: &str) -> String {
    if value.chars().all(|c| c.is_ascii_alphanumeric() || "/.:_-".contains(c)) {
        value.to_owned()
    } else {
        format!("'{}'", value.replace('\'', r"'\''"))
    }
}

const CONSOLE: &str = r#"# For this shell: eval "$(ef otel-init --exporter console)"
# Each span and metric of a run is a line on standard error from now on; the log is there anyway.
"#;

const COLLECTORS: &str = r#"# A collector that shows what arrives, on this machine. One of:
#   Grafana, in a container; then open http://127.0.0.1:3000
#     docker run --rm -p 127.0.0.1:3000:3000 -p 127.0.0.1:4317:4317 -p 127.0.0.1:4318:4318 grafana/otel-lgtm
#   Jaeger, in a container, for traces alone; then open http://127.0.0.1:16686
#     docker run --rm -p 127.0.0.1:16686:16686 -p 127.0.0.1:4317:4317 -p 127.0.0.1:4318:4318 jaegertracing/jaeger
#   Rotel, without a container; it prints what it receives
#     pip install rotel
#     "$(python3 -c 'import rotel; print(*rotel.__path__)')"/rotel-agent start --exporter blackhole \
#       --debug-log traces --debug-log metrics --debug-log logs --debug-log-verbosity detailed
# Without any collector: ef otel-init --exporter console
# Off again, for this shell: export OTEL_SDK_DISABLED=true
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_word_of_a_shell_and_holds_no_password() {
        for right in ["http://127.0.0.1:4318", "https://collector.example/v1?a=b&c='$(id)'"] {
            assert_eq!(parse_endpoint(right).as_deref(), Ok(right));
        }
        for wrong in ["127.0.0.1:4318", "ftp://host", "http://", "http:///v1", "http://a b", "http://a\nb", ""] {
            assert!(parse_endpoint(wrong).is_err(), "{wrong:?}");
        }
        let refused = parse_endpoint("https://me:hunter2@host").expect_err("a password");
        assert!(!refused.contains("hunter2"), "{refused}");
        assert_eq!(quoted("http://h/'$(id)'"), r"'http://h/'\''$(id)'\'''");
    }

    #[test]
    fn settings_come_before_comments() {
        for exporter in [Exporter::Otlp, Exporter::Console] {
            let script = script(&Args { exporter, protocol: Protocol::Grpc, endpoint: None });
            let is_comment: Vec<_> = script.lines().map(|line| line.starts_with('#')).collect();
            assert!(is_comment.is_sorted() && !is_comment[0], "{script}");
        }
    }
}
