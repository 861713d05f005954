//! `eval_fabric.http`: one call of an HTTP service for each item.

use std::collections::BTreeMap;

use ef_client::prompt::{self, Template};
use ef_client::{Bytes, Clients, Endpoint, HeaderMap, HttpRequest, HttpResponse, Method};
use ef_model::{
    CallContext, CallError, ConfigProblem, Environment, ErrorKind, EvalItem, EvaluatorOutput, Payload, Pricing,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::cost::CostPerCall;
use crate::factory::{BuiltIn, child, problem};
use crate::headers::Headers;
use crate::json_template::{self, JsonTemplate};
use crate::output::{self, OutputForm};
use crate::path::FieldPath;
use crate::pointer::Pointer;

/// Which service is called, what it is sent, and where its answer has the output.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The address. It is the same for every item.
    url: String,
    /// The method.
    #[serde(default)]
    method: Verb,
    /// Parameters that are added to the address, by name: templates of texts, as in `q: "{{ input }}"`.
    #[serde(default)]
    query: BTreeMap<String, String>,
    /// What is sent: JSON whose texts are templates. A map `{$field: PATH}` stands for the JSON that the item has at a path
    /// such as `input` or `metadata.history`. Default: the item's input, for a method that sends something.
    #[serde(default)]
    body: Option<Value>,
    /// Headers, by name. They are no secrets.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// Headers whose values are in environment variables: the variable for each header.
    #[serde(default)]
    headers_env: BTreeMap<String, String>,
    /// The environment variable that holds a key, which is sent as `Authorization: Bearer KEY`.
    #[serde(default)]
    #[schemars(length(min = 1))]
    api_key_env: Option<String>,
    /// What the answer is: `json`, or `text`.
    #[serde(default = "json")]
    output: OutputForm,
    /// Where a JSON answer has the output: a JSON pointer such as `/choices/0/text`. Default: all of it.
    #[serde(default)]
    #[schemars(regex(pattern = Pointer::PATTERN))]
    output_pointer: Option<String>,
    /// Where a JSON answer has what judges may look at besides: a JSON pointer. It is kept as `response` in the output's
    /// metadata. Default: nowhere.
    #[serde(default)]
    #[schemars(regex(pattern = Pointer::PATTERN))]
    metadata_pointer: Option<String>,
    /// The statuses of an answer. Default: 200 to 299.
    #[serde(default)]
    #[schemars(inner(range(min = 200, max = 299)))]
    expected_status: Vec<u16>,
    /// What one call costs, in US dollars. Under a budget it has to be there; 0 where calls are free.
    #[serde(default)]
    #[schemars(range(min = 0))]
    cost_usd_per_call: Option<f64>,
}

fn json() -> OutputForm {
    OutputForm::Json
}

/// A method of HTTP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum Verb {
    Get,
    #[default]
    Post,
    Put,
    Patch,
    Delete,
}

impl Verb {
    const fn method(self) -> Method {
        match self {
            Self::Get => Method::GET,
            Self::Post => Method::POST,
            Self::Put => Method::PUT,
            Self::Patch => Method::PATCH,
            Self::Delete => Method::DELETE,
        }
    }

    const fn sends_something(self) -> bool {
        matches!(self, Self::Post | Self::Put | Self::Patch)
    }
}

pub(crate) struct Http {
    endpoint: Endpoint,
    method: Method,
    headers: HeaderMap,
    /// The parameters, their names percent-encoded.
    query: Vec<(String, Template)>,
    body: Option<JsonTemplate>,
    output: OutputForm,
    output_pointer: Option<Pointer>,
    metadata_pointer: Option<Pointer>,
    expected_status: Vec<u16>,
    cost: CostPerCall,
}

impl BuiltIn for Http {
    const ID: &'static str = "eval_fabric.http";
    const VERSION: &'static str = "1.0.0";
    const SUMMARY: &'static str = "Calls an HTTP service for each item.";
    type Config = Config;
    type Shared = Clients;

    fn new(config: Config, clients: &Clients, environment: &Environment) -> Result<Self, Vec<ConfigProblem>> {
        let mut problems = Vec::new();
        let body = match &config.body {
            Some(body) => Some(JsonTemplate::compile(body, "/body", &mut problems)),
            None if config.method.sends_something() => FieldPath::parse("input").map(JsonTemplate::of_field),
            None => None,
        };
        let Headers { mut headers, secrets, credential } = Headers::new(
            &config.headers,
            &config.headers_env,
            config.api_key_env.as_deref(),
            environment,
            &mut problems,
        );
        if body.is_some() {
            headers.entry("content-type").or_insert(ef_client::HeaderValue::from_static("application/json"));
        }
        let query = config.query.iter().filter_map(|(name, text)| {
            let place = child("/query", name);
            Some((percent_encoded(name), json_template::template(text, &place, &mut problems)?))
        });
        let query = query.collect();
        let mut pointer = |place: &str, text: Option<&str>| {
            if text.is_some() && config.output == OutputForm::Text {
                problems.push(problem(place, "only a JSON answer has it", Some("leave it out, or use `output: json`")));
                return None;
            }
            text.and_then(|text| Pointer::of_config(place, text).map_err(|wrong| problems.push(wrong)).ok())
        };
        let output_pointer = pointer("/output_pointer", config.output_pointer.as_deref());
        let metadata_pointer = pointer("/metadata_pointer", config.metadata_pointer.as_deref());
        if config.expected_status.iter().any(|status| !(200..300).contains(status)) {
            let hint = "every other status is an error whose kind follows from it";
            problems.push(problem("/expected_status", "expected numbers from 200 to 299", Some(hint)));
        }
        let cost = CostPerCall::new(config.cost_usd_per_call).map_err(|wrong| problems.push(wrong));
        let endpoint = clients
            .endpoint(&config.url, credential.as_ref())
            .map_err(|error| problems.push(problem("/url", error.to_string(), None)));
        match (endpoint, cost) {
            (Ok(endpoint), Ok(cost)) if problems.is_empty() => Ok(Self {
                endpoint: endpoint.hiding(&secrets),
                method: config.method.method(),
                headers,
                query,
                body,
                output: config.output,
                output_pointer,
                metadata_pointer,
                expected_status: config.expected_status,
                cost,
            }),
            _ => Err(problems),
        }
    }

    fn pricing(&self) -> Pricing {
        self.cost.pricing()
    }

    fn most_usd(&self, _: &EvalItem) -> f64 {
        self.cost.most_usd()
    }

    fn requests(&self) -> u32 {
        1
    }

    fn preview(&self, item: &EvalItem) -> Option<Payload> {
        let HttpRequest { method, path, body, .. } = self.request(item).ok()?;
        let body = body.map(|body| String::from_utf8_lossy(&body).into_owned());
        Some(Payload::from_value(&serde_json::json!({"method": method.as_str(), "query": path, "body": body})))
    }

    async fn evaluate(&self, item: &EvalItem, context: &CallContext) -> Result<EvaluatorOutput, CallError> {
        let response = self.endpoint.send(self.request(item)?, context).await?;
        self.read(&response).map_err(|error| error.with_usage(self.cost.usage()))
    }
}

impl Http {
    fn request(&self, item: &EvalItem) -> Result<HttpRequest, CallError> {
        let values = prompt::values(item, None);
        let mut path = String::new();
        for (name, template) in &self.query {
            let value = json_template::render(template, &values, "/query")?;
            path.push(if path.is_empty() { '?' } else { '&' });
            path.push_str(&format!("{name}={}", percent_encoded(&value)));
        }
        let mut request = HttpRequest::new(self.method.clone(), path).with_headers(self.headers.clone());
        if let Some(body) = &self.body {
            request.body = Some(Bytes::from(body.render(item, &values)?));
        }
        Ok(request)
    }

    fn read(&self, response: &HttpResponse) -> Result<EvaluatorOutput, CallError> {
        let status = response.status;
        if !self.expected_status.is_empty() && !self.expected_status.contains(&status) {
            let message = format!("{} answered {status}, which is not an `expected_status`", self.endpoint.host());
            return Err(CallError::permanent(format!("http_{status}"), message).with_detail(beginning(&response.body)));
        }
        let whole = output::read(self.output, &response.body, "the answer")
            .map_err(|error| error.with_detail(beginning(&response.body)))?;
        let output = find(&whole, self.output_pointer.as_ref(), "output_missing")?;
        let latency_ms = u64::try_from(response.latency.as_millis()).unwrap_or(u64::MAX);
        let mut metadata = format!(r#"{{"latency_ms":{latency_ms},"status":{status}"#);
        if let Some(pointer) = &self.metadata_pointer {
            let kept = find(&whole, Some(pointer), "metadata_missing")?;
            metadata.push_str(&format!(r#","response":{}"#, kept.expose()));
        }
        metadata.push('}');
        let metadata = Payload::parse(metadata).map_err(|_| {
            // One level more than an answer of the greatest depth.
            CallError::new(
                ErrorKind::InvalidOutput,
                "metadata_too_deep",
                "the answer's metadata is too deep to be kept",
            )
        })?;
        Ok(EvaluatorOutput { output, metadata: Some(metadata), usage: self.cost.usage() })
    }
}

/// What a JSON answer has at the pointer, byte for byte.
fn find(whole: &Payload, pointer: Option<&Pointer>, code: &'static str) -> Result<Payload, CallError> {
    let Some(pointer) = pointer else { return Ok(whole.clone()) };
    // A part of a strict JSON text is strict JSON.
    pointer.find(whole.expose()).map(Payload::from_checked).ok_or_else(|| {
        let message = format!("the answer has nothing at `{}`", pointer.as_str());
        CallError::invalid_output(code, message).with_detail(whole.clone())
    })
}

/// The beginning of an answer that could not be read, for the store alone.
fn beginning(body: &[u8]) -> Payload {
    const MOST: usize = 64 << 10;
    Payload::from_text(&String::from_utf8_lossy(&body[..body.len().min(MOST)]))
}

/// A text as a part of a query: everything but the unreserved characters of RFC 3986 is escaped.
fn percent_encoded(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::with_capacity(text.len()), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}
