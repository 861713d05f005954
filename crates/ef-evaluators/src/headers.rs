//! The headers of a service, some of which are secrets.

use std::collections::BTreeMap;

use ef_client::{HeaderMap, HeaderName, HeaderValue, secret_header};
use ef_model::{ConfigProblem, Environment, Secret};

use crate::factory::{child, problem};

/// The headers of a service, some of which are secrets.
#[derive(Default)]
pub(crate) struct Headers {
    pub(crate) headers: HeaderMap,
    /// What must not come back from the service.
    pub(crate) secrets: Vec<Secret>,
    /// What calls are counted by: the key, or else the first of the other secrets.
    pub(crate) credential: Option<Secret>,
}

impl Headers {
    /// Reads the headers of a config. What is wrong goes to `problems`.
    pub(crate) fn new(
        plain: &BTreeMap<String, String>,
        from_variables: &BTreeMap<String, String>,
        api_key_env: Option<&str>,
        environment: &Environment,
        problems: &mut Vec<ConfigProblem>,
    ) -> Self {
        let mut made = Self::default();
        if let Some(variable) = api_key_env {
            let name = HeaderName::from_static("authorization");
            made.add_secret(name, "Bearer ", variable, "/api_key_env", environment, problems);
        }
        for (name, value) in plain {
            let place = child("/headers", name);
            let Some(name) = header_name(name, &place, problems) else { continue };
            match HeaderValue::try_from(value) {
                Ok(value) => made.insert(name, value, &place, problems),
                Err(_) => problems.push(problem(place, "a header cannot carry this value", None)),
            }
        }
        for (name, variable) in from_variables {
            let place = child("/headers_env", name);
            let Some(name) = header_name(name, &place, problems) else { continue };
            made.add_secret(name, "", variable, &place, environment, problems);
        }
        made.credential = made.secrets.first().cloned();
        made
    }

    fn add_secret(
        &mut self,
        name: HeaderName,
        prefix: &'static str,
        variable: &str,
        place: &str,
        environment: &Environment,
        problems: &mut Vec<ConfigProblem>,
    ) {
        let Some(secret) = environment.get(variable) else {
            let message = format!("the environment variable {variable} is not set");
            problems.push(problem(place, message, Some("set it to the key that the service gave you")));
            return;
        };
        match secret_header(prefix, secret) {
            Ok(value) => {
                self.insert(name, value, place, problems);
                self.secrets.push(secret.clone());
            }
            Err(error) => {
                let message = format!("the environment variable {variable} cannot be sent: {error}");
                problems.push(problem(place, message, None));
            }
        }
    }

    fn insert(&mut self, name: HeaderName, value: HeaderValue, place: &str, problems: &mut Vec<ConfigProblem>) {
        if self.headers.insert(name, value).is_some() {
            problems.push(problem(
                place,
                "the same header twice",
                Some("upper and lower case are the same in its name"),
            ));
        }
    }
}

/// A header that a config may set: those that frame the message are the client's.
fn header_name(name: &str, place: &str, problems: &mut Vec<ConfigProblem>) -> Option<HeaderName> {
    const OURS: [&str; 5] = ["connection", "content-length", "host", "te", "transfer-encoding"];
    match HeaderName::try_from(name) {
        Ok(name) if OURS.contains(&name.as_str()) => {
            problems.push(problem(place, "this header is set by the client itself", Some("leave it out")));
            None
        }
        Ok(name) => Some(name),
        Err(_) => {
            problems.push(problem(place, "not the name of a header", None));
            None
        }
    }
}
