//! From a config to an endpoint and the headers of its requests.

use ef_model::{ConfigProblem, Environment, Secret};
use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::{Api, ModelConfig};
use crate::{Clients, Endpoint, secret_header};

/// What a config comes to.
pub(super) struct Ready {
    pub(super) endpoint: Endpoint,
    pub(super) headers: HeaderMap,
}

/// What requests hold already, so that `extra` may not.
#[rustfmt::skip]
const OWN: [&str; 17] = [
    "frequency_penalty", "max_tokens", "messages", "model", "n", "presence_penalty", "response_format", "seed", "stop",
    "stop_sequences", "stream", "stream_options", "system", "temperature", "tool_choice", "tools", "top_p",
];

/// The version of Anthropic's API that requests are written for.
const ANTHROPIC_VERSION: HeaderValue = HeaderValue::from_static("2023-06-01");

/// Checks everything and reports all that is wrong at once.
pub(super) fn prepare(
    api: Api,
    config: &ModelConfig,
    clients: &Clients,
    environment: &Environment,
) -> Result<Ready, Vec<ConfigProblem>> {
    let mut problems = Vec::new();
    check_parameters(api, config, &mut problems);
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let accept = if config.stream { "text/event-stream, application/json" } else { "application/json" };
    headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
    if api == Api::AnthropicMessages {
        headers.insert("anthropic-version", ANTHROPIC_VERSION);
    }
    plain_headers(config, &mut headers, &mut problems);
    let mut secrets = secret_headers(config, environment, &mut headers, &mut problems);
    let key = key(api, config, environment, &mut headers, &mut problems);
    let base = config.base_url.as_deref().unwrap_or(match api {
        Api::OpenAiChat => "https://api.openai.com/v1",
        Api::AnthropicMessages => "https://api.anthropic.com",
    });
    // What is authorised by another header is still another account.
    let credential = key.or_else(|| secrets.pop());
    match clients.endpoint(base, credential.as_ref()) {
        Ok(endpoint) if problems.is_empty() => Ok(Ready { endpoint: endpoint.hiding(&secrets), headers }),
        Ok(_) => Err(problems),
        Err(error) => {
            problems.push(problem("/base_url", error.to_string(), None));
            Err(problems)
        }
    }
}

/// Whether this is a host of OpenAI's own API or of Azure's, whose models take `max_completion_tokens` alone.
pub(super) fn is_openai(host: &str) -> bool {
    host == "api.openai.com" || host.ends_with(".openai.azure.com")
}

fn check_parameters(api: Api, config: &ModelConfig, problems: &mut Vec<ConfigProblem>) {
    let mut refuse = |pointer: &str, message: &str, hint: Option<&str>| {
        problems.push(problem(pointer, message.to_owned(), hint));
    };
    if config.model.is_empty() {
        refuse("/model", "the model has no name", None);
    }
    if api == Api::AnthropicMessages {
        if config.max_tokens.is_none() {
            refuse("/max_tokens", "Anthropic's API needs it", Some("such as `max_tokens: 1024`"));
        }
        let given = [
            ("/seed", config.seed.is_some()),
            ("/presence_penalty", config.presence_penalty.is_some()),
            ("/frequency_penalty", config.frequency_penalty.is_some()),
        ];
        for (pointer, _) in given.into_iter().filter(|(_, is_given)| *is_given) {
            refuse(pointer, "Anthropic's API has no such parameter", Some("leave it out"));
        }
    }
    if api == Api::AnthropicMessages && config.temperature.is_some_and(|temperature| temperature > 1.0) {
        refuse("/temperature", "Anthropic's API takes at most 1", None);
    }
    if config.max_tokens.is_some() && config.extra.contains_key("max_completion_tokens") {
        refuse("/extra/max_completion_tokens", "`max_tokens` says the same", Some("keep one of the two"));
    }
    if config.price.is_some_and(|price| !price.is_sound()) {
        refuse("/price", "a price is a number from 0", None);
    }
    for key in config.extra.keys().filter(|key| OWN.contains(&key.as_str())) {
        let pointer = format!("/extra/{}", escaped(key));
        refuse(&pointer, "it cannot be given here", Some("the request has it already, or it has a key of its own"));
    }
}

fn plain_headers(config: &ModelConfig, headers: &mut HeaderMap, problems: &mut Vec<ConfigProblem>) {
    for (name, value) in &config.headers {
        let pointer = format!("/headers/{}", escaped(name));
        match (header_name(name), HeaderValue::from_str(value)) {
            (Ok(name), Ok(value)) => {
                headers.insert(name, value);
            }
            (Err(reason), _) => problems.push(problem(&pointer, reason.to_owned(), None)),
            (_, Err(_)) => problems.push(problem(&pointer, "not what a header can hold".to_owned(), None)),
        }
    }
}

/// The headers whose values are in variables, and those values.
fn secret_headers(
    config: &ModelConfig,
    environment: &Environment,
    headers: &mut HeaderMap,
    problems: &mut Vec<ConfigProblem>,
) -> Vec<Secret> {
    let mut secrets = Vec::new();
    for (name, variable) in &config.headers_env {
        let pointer = format!("/headers_env/{}", escaped(name));
        match header_name(name) {
            Err(reason) => problems.push(problem(&pointer, reason.to_owned(), None)),
            Ok(name) => {
                if let Some(secret) = insert_secret(name, "", variable, &pointer, environment, headers, problems) {
                    secrets.push(secret);
                }
            }
        }
    }
    secrets
}

/// The API key, if the config or the provider's habit names its variable.
fn key(
    api: Api,
    config: &ModelConfig,
    environment: &Environment,
    headers: &mut HeaderMap,
    problems: &mut Vec<ConfigProblem>,
) -> Option<Secret> {
    let (name, prefix, habit) = match api {
        Api::OpenAiChat => (header::AUTHORIZATION, "Bearer ", "OPENAI_API_KEY"),
        Api::AnthropicMessages => (HeaderName::from_static("x-api-key"), "", "ANTHROPIC_API_KEY"),
    };
    // A key is for the provider that gave it: no other address gets it unasked.
    let variable = config.api_key_env.as_deref().or_else(|| config.base_url.is_none().then_some(habit))?;
    insert_secret(name, prefix, variable, "/api_key_env", environment, headers, problems)
}

fn insert_secret(
    name: HeaderName,
    prefix: &'static str,
    variable: &str,
    pointer: &str,
    environment: &Environment,
    headers: &mut HeaderMap,
    problems: &mut Vec<ConfigProblem>,
) -> Option<Secret> {
    let Some(secret) = environment.get(variable) else {
        let hint = format!("set {variable}, or name the variable that holds the value");
        problems.push(problem(pointer, format!("the environment variable {variable} is not set"), Some(&hint)));
        return None;
    };
    match secret_header(prefix, secret) {
        Ok(value) => {
            headers.insert(name, value);
            Some(secret.clone())
        }
        Err(reason) => {
            let message = format!("what the environment variable {variable} holds cannot be sent: {reason}");
            problems.push(problem(pointer, message, None));
            None
        }
    }
}

/// A header that a config may set.
fn header_name(name: &str) -> Result<HeaderName, &'static str> {
    let name = HeaderName::try_from(name).map_err(|_| "not the name of a header")?;
    let is_own =
        [header::HOST, header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION, header::CONTENT_TYPE];
    if is_own.contains(&name) { Err("a header that the client sets by itself") } else { Ok(name) }
}

/// A key as part of a JSON pointer.
fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn problem(pointer: &str, message: String, hint: Option<&str>) -> ConfigProblem {
    ConfigProblem { pointer: pointer.to_owned(), at_key: false, message, hint: hint.map(str::to_owned) }
}
