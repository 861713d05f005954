//! Errors as the two providers write them.

use std::borrow::Cow;

use serde_json::json;

use super::call::Api;

/// An error of a provider.
#[derive(Debug, Clone)]
pub(super) struct Trouble {
    pub(super) status: u16,
    /// The provider's word for its kind.
    kind: Cow<'static, str>,
    code: Option<&'static str>,
    param: Option<String>,
    message: Cow<'static, str>,
}

impl Trouble {
    /// What the API says with this status.
    pub(super) fn of_status(api: Api, status: u16) -> Self {
        let (kind, code, message) = match api {
            Api::Anthropic => anthropic(status),
            Api::OpenAi | Api::Plain => openai(status),
        };
        Self { status, kind: kind.into(), code, param: None, message: message.into() }
    }

    /// A request that does not fit, and where.
    pub(super) fn invalid(api: Api, param: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        let message = if api == Api::Anthropic { format!("{param}: {message}") } else { message };
        Self { param: Some(param.to_owned()), ..Self::of_status(api, 400).saying(message) }
    }

    /// The quota is used up.
    pub(super) fn quota(api: Api) -> Self {
        match api {
            // Anthropic has no kind of its own for it: clients have to look at the message.
            Api::Anthropic => Self::of_status(api, 400).saying(
                "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits.",
            ),
            _ => Self { kind: "insufficient_quota".into(), code: Some("insufficient_quota"), ..Self::of_status(api, 429) }
                .saying("You exceeded your current quota, please check your plan and billing details."),
        }
    }

    /// A limit on what may be spent is reached.
    pub(super) fn billing_limit(api: Api) -> Self {
        match api {
            Api::Anthropic => Self::of_status(api, 402),
            _ => Self { code: Some("billing_hard_limit_reached"), ..Self::of_status(api, 400) }
                .saying("Billing hard limit has been reached."),
        }
    }

    /// The same in other words.
    pub(super) fn saying(self, message: impl Into<Cow<'static, str>>) -> Self {
        Self { message: message.into(), ..self }
    }

    /// The body.
    pub(super) fn body(&self, api: Api) -> Vec<u8> {
        let Self { kind, code, param, message, .. } = self;
        let body = match api {
            Api::Anthropic => json!({"type": "error", "error": {"type": kind, "message": message}}),
            _ => json!({"error": {"message": message, "type": kind, "param": param, "code": code}}),
        };
        body.to_string().into_bytes()
    }
}

type Parts = (&'static str, Option<&'static str>, &'static str);

fn openai(status: u16) -> Parts {
    let invalid = "invalid_request_error";
    match status {
        401 => (invalid, Some("invalid_api_key"), "Incorrect API key provided."),
        403 => ("request_forbidden", Some("unsupported_country_region_territory"), "Not supported in your region."),
        404 => (invalid, Some("model_not_found"), "The model does not exist or you do not have access to it."),
        408 => ("timeout", None, "The request timed out."),
        413 => (invalid, Some("request_too_large"), "The request is too large."),
        415 => (invalid, Some("unsupported_content_type"), "This API takes only 'application/json' requests."),
        429 => ("requests", Some("rate_limit_exceeded"), "Rate limit reached for requests."),
        503 => ("server_error", Some("overloaded"), "The engine is currently overloaded, please try again later."),
        400..=499 => (invalid, None, "The request is not valid."),
        _ => ("server_error", None, "The server had an error while processing your request."),
    }
}

fn anthropic(status: u16) -> Parts {
    let (kind, message) = match status {
        401 => ("authentication_error", "invalid x-api-key"),
        402 => ("billing_error", "There is an issue with your billing or payment information."),
        403 => ("permission_error", "Your API key does not have permission to use the specified resource."),
        404 => ("not_found_error", "The requested resource could not be found."),
        408 | 504 => ("timeout_error", "The request timed out."),
        413 => ("request_too_large", "Request exceeds the maximum allowed number of bytes."),
        429 => ("rate_limit_error", "This request would exceed your rate limit."),
        503 | 529 => ("overloaded_error", "Overloaded"),
        400..=499 => ("invalid_request_error", "The request is not valid."),
        _ => ("api_error", "Internal server error"),
    };
    (kind, None, message)
}
