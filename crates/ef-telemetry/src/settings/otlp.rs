//! Where a collector is and how it is spoken to.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use ef_model::{Environment, Secret};
use http::{HeaderName, HeaderValue, Uri};

use super::Signal;
use super::source::Source;

/// How a collector is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Protobuf by HTTP.
    Http,
    /// gRPC.
    Grpc,
}

/// Certificates, as PEM.
#[derive(Debug, Clone, Default)]
pub(crate) struct Certificates {
    /// Those that the collector's certificate is checked with; the system's where absent.
    pub(crate) authority: Option<Vec<u8>>,
    /// The certificate by which we say who we are, and its key.
    pub(crate) client: Option<(Vec<u8>, Secret)>,
}

/// Where a collector is and how it is spoken to.
#[derive(Debug, Clone)]
pub(crate) struct Otlp {
    pub(crate) protocol: Protocol,
    /// With scheme and path, without credentials.
    pub(crate) endpoint: Uri,
    /// Host and port, to be shown.
    pub(crate) host: String,
    /// They may be credentials.
    pub(crate) headers: HashMap<String, Secret>,
    /// How long a request may take, with its retries.
    pub(crate) timeout: Duration,
    pub(crate) gzip: bool,
    pub(crate) certificates: Certificates,
    /// What the process uses for TLS and proxies.
    pub(crate) environment: Environment,
}

/// The collector of a signal. `None` when what is said of it cannot be followed: better nowhere than to a wrong place.
pub(super) fn read(signal: Signal, environment: &Environment, source: &mut Source<'_>) -> Option<Otlp> {
    let names = Names { signal };
    let protocol = protocol(&names, source);
    let endpoint = endpoint(&names, protocol, source)?;
    let authority = endpoint.authority()?;
    let host = authority.as_str().rsplit('@').next().unwrap_or_default().to_owned();
    Some(Otlp {
        protocol,
        host,
        headers: headers(&names, source),
        timeout: source.millis(&names.both("TIMEOUT").each_ref().map(String::as_str), Duration::from_secs(10)),
        gzip: gzip(&names, source),
        certificates: certificates(&names, source)?,
        environment: environment.clone(),
        endpoint,
    })
}

struct Names {
    signal: Signal,
}

impl Names {
    /// The variable of the signal, which counts first, and that of all signals.
    fn both(&self, name: &str) -> [String; 2] {
        [format!("OTEL_EXPORTER_OTLP_{}_{name}", self.signal.variable()), format!("OTEL_EXPORTER_OTLP_{name}")]
    }

    fn path(&self) -> &'static str {
        match self.signal {
            Signal::Traces => "/v1/traces",
            Signal::Metrics => "/v1/metrics",
            Signal::Logs => "/v1/logs",
        }
    }
}

/// The value of the signal's variable or that of all signals, with its name and whether it is the signal's.
fn value<'s>(names: &Names, name: &str, source: &Source<'s>) -> Option<(String, &'s str, bool)> {
    let [own, general] = names.both(name);
    source.text(&own).map(|text| (own, text, true)).or_else(|| Some((general.clone(), source.text(&general)?, false)))
}

fn protocol(names: &Names, source: &mut Source<'_>) -> Protocol {
    match value(names, "PROTOCOL", source) {
        None => Protocol::Http,
        Some((_, "http/protobuf", _)) => Protocol::Http,
        Some((_, "grpc", _)) => Protocol::Grpc,
        Some((variable, ..)) => {
            source.complain(&variable, "is neither http/protobuf nor grpc; http/protobuf is used");
            Protocol::Http
        }
    }
}

fn endpoint(names: &Names, protocol: Protocol, source: &mut Source<'_>) -> Option<Uri> {
    let insecure = source.flag(&names.both("INSECURE").each_ref().map(String::as_str));
    let Some((variable, text, is_own)) = value(names, "ENDPOINT", source) else {
        let default = match protocol {
            Protocol::Http => format!("http://localhost:4318{}", names.path()),
            Protocol::Grpc => "http://localhost:4317".to_owned(),
        };
        return default.parse().ok();
    };
    let mut text = text.to_owned();
    if protocol == Protocol::Grpc && !text.contains("://") {
        text = format!("{}://{text}", if insecure { "http" } else { "https" });
    }
    if protocol == Protocol::Http && !is_own {
        text = format!("{}{}", text.trim_end_matches('/'), names.path());
    }
    let endpoint = text.parse::<Uri>().ok().filter(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty())
    });
    let Some(endpoint) = endpoint else {
        source.complain(
            &variable,
            &format!("is no address that begins with http:// or https://; no {} are sent", names.signal.things()),
        );
        return None;
    };
    let authority = endpoint.authority()?.as_str();
    match authority.rsplit_once('@') {
        None => Some(endpoint),
        Some((_, host)) => {
            source
                .complain(&variable, "holds credentials, which are left out: give them in OTEL_EXPORTER_OTLP_HEADERS");
            let mut parts = endpoint.clone().into_parts();
            parts.authority = host.parse().ok();
            Uri::from_parts(parts).ok()
        }
    }
}

fn headers(names: &Names, source: &mut Source<'_>) -> HashMap<String, Secret> {
    let Some((variable, ..)) = value(names, "HEADERS", source) else { return HashMap::new() };
    let mut headers = HashMap::new();
    for (name, value) in source.pairs(&variable) {
        if name.parse::<HeaderName>().is_ok() && value.parse::<HeaderValue>().is_ok() {
            headers.insert(name.to_ascii_lowercase(), Secret::new(value));
        } else {
            source.complain(&variable, "holds what is no HTTP header; it is left out");
        }
    }
    headers
}

fn gzip(names: &Names, source: &mut Source<'_>) -> bool {
    match value(names, "COMPRESSION", source) {
        None => false,
        Some((variable, text, _)) => match text.to_ascii_lowercase().as_str() {
            "gzip" => true,
            "none" => false,
            _ => {
                source.complain(&variable, "is neither gzip nor none; nothing is compressed");
                false
            }
        },
    }
}

/// `None` when one that is named cannot be read.
fn certificates(names: &Names, source: &mut Source<'_>) -> Option<Certificates> {
    let authority = file(names, "CERTIFICATE", source)?;
    let certificate = file(names, "CLIENT_CERTIFICATE", source)?;
    let key = file(names, "CLIENT_KEY", source)?;
    let client = match (certificate, key) {
        (Some(certificate), Some(key)) => Some((certificate, Secret::new(String::from_utf8(key).ok()?))),
        (None, None) => None,
        (certificate, _) => {
            let missing = if certificate.is_some() { "CLIENT_KEY" } else { "CLIENT_CERTIFICATE" };
            source.complain(&names.both(missing)[1], &format!("is missing; no {} are sent", names.signal.things()));
            return None;
        }
    };
    Some(Certificates { authority, client })
}

/// The content of a file that a variable names: `Some(None)` where none is named, `None` where it cannot be read.
#[expect(clippy::option_option, reason = "absent and unreadable are different things here")]
fn file(names: &Names, name: &str, source: &mut Source<'_>) -> Option<Option<Vec<u8>>> {
    let Some((variable, path, _)) = value(names, name, source) else { return Some(None) };
    match std::fs::read(Path::new(path)) {
        Ok(content) if std::str::from_utf8(&content).is_ok_and(|text| text.contains("-----BEGIN ")) => {
            Some(Some(content))
        }
        Ok(_) => {
            source.complain(&variable, &format!("names a file that is no PEM; no {} are sent", names.signal.things()));
            None
        }
        Err(error) => {
            let problem =
                format!("names a file that cannot be read ({}); no {} are sent", error.kind(), names.signal.things());
            source.complain(&variable, &problem);
            None
        }
    }
}
