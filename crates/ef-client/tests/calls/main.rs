//! Calls over real connections on loopback.
#![allow(missing_docs)]

mod chat;
mod connections;
mod pace;
mod prompts;
mod proxies;
mod refusals;
mod secrets;
mod setup;
mod spans;
mod trust;

use std::time::{Duration, Instant};

use ef_client::{Clients, Endpoint, HeaderMap, HttpRequest, Settings, secret_header};
use ef_model::{CallContext, CallError, Environment, Secret};
use ef_testkit::context;
use ef_testkit::model_server::ModelServer;

const KEY: &str = "sk-test-0123456789";

/// A context with so much time.
fn within(time: Duration) -> CallContext {
    CallContext::new(Instant::now() + time, 1, 0, 42)
}

fn clients() -> Clients {
    Clients::new(&Environment::default())
}

/// Clients with settings that a test changes.
fn clients_with(change: impl FnOnce(&mut Settings)) -> Clients {
    let mut settings = Settings::default();
    change(&mut settings);
    Clients::with_settings(&Environment::default(), settings)
}

fn key() -> Secret {
    Secret::new(KEY.to_owned())
}

/// The server's plain path, called with the key.
fn plain(clients: &Clients, server: &ModelServer) -> Endpoint {
    clients.endpoint(&server.base_url(), Some(&key())).expect("an address")
}

/// A request to the server's plain path that carries the key.
fn request() -> HttpRequest {
    let mut headers = HeaderMap::new();
    headers.insert("authorization", secret_header("Bearer ", &key()).expect("a key"));
    headers.insert("content-type", "text/plain".parse().expect("a type"));
    HttpRequest::post("/echo", "the input").with_headers(headers)
}

/// An error as a person sees it, without the port.
fn shown(error: &CallError, server: &ModelServer) -> String {
    let wait = error.retry_after.map_or_else(String::new, |wait| format!(" in {wait:?}"));
    let detail = if error.detail.is_some() { " with detail" } else { "" };
    format!("{:?}{wait}{detail}: {error}", error.kind).replace(&server.address().to_string(), "HOST")
}
