//! What a server replies to which request.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::call::Call;
use super::check::Demands;
use super::reply::Reply;

pub(super) type Rule = dyn Fn(&Call<'_>) -> Reply + Send + Sync;

/// What a server replies to which request: a function of the request, around which others are put. Requests that the
/// provider would not take never reach it.
#[derive(Clone)]
pub struct Script {
    rule: Arc<Rule>,
    key: Option<String>,
    takes_unknown_parameters: bool,
    pub(super) records: bool,
}

impl Script {
    /// What this function says.
    pub fn new(rule: impl Fn(&Call<'_>) -> Reply + Send + Sync + 'static) -> Self {
        Self { rule: Arc::new(rule), key: None, takes_unknown_parameters: false, records: false }
    }

    /// The same reply to everything.
    #[must_use]
    pub fn always(reply: Reply) -> Self {
        Self::new(move |_| reply.clone())
    }

    /// These replies in turn, and the last of them from then on.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[must_use]
    pub fn in_turn(replies: Vec<Reply>) -> Self {
        assert!(!replies.is_empty(), "a script needs a reply");
        let next = AtomicU64::new(0);
        Self::new(move |_| {
            let index = usize::try_from(next.fetch_add(1, Ordering::Relaxed)).unwrap_or(usize::MAX);
            replies[index.min(replies.len() - 1)].clone()
        })
    }

    /// What the user said last, or the body of a plain call.
    #[must_use]
    pub fn echo() -> Self {
        Self::new(Reply::echo)
    }

    /// A judge that answers in the shape that it is asked for how good something is, from 0 to 1.
    pub fn judge(rule: impl Fn(&Call<'_>) -> f64 + Send + Sync + 'static) -> Self {
        Self::new(move |call| Reply::judgment(call, rule(call), "by the script's rule"))
    }

    pub(super) fn around(self, rule: impl Fn(&Call<'_>, &Rule) -> Reply + Send + Sync + 'static) -> Self {
        let inner = Arc::clone(&self.rule);
        Self { rule: Arc::new(move |call| rule(call, &*inner)), ..self }
    }

    /// This reply instead, where the condition holds.
    #[must_use]
    pub fn when(self, condition: impl Fn(&Call<'_>) -> bool + Send + Sync + 'static, reply: Reply) -> Self {
        self.around(move |call, inner| if condition(call) { reply.clone() } else { inner(call) })
    }

    /// This reply instead to the first so many requests.
    #[must_use]
    pub fn first(self, requests: u64, reply: Reply) -> Self {
        let seen = AtomicU64::new(0);
        self.when(move |_| seen.fetch_add(1, Ordering::Relaxed) < requests, reply)
    }

    /// What the function makes of each reply.
    #[must_use]
    pub fn changed(self, change: impl Fn(&Call<'_>, Reply) -> Reply + Send + Sync + 'static) -> Self {
        self.around(move |call, inner| change(call, inner(call)))
    }

    /// Every reply so much later.
    #[must_use]
    pub fn delayed(self, wait: Duration) -> Self {
        self.changed(move |_, reply| reply.after(wait))
    }

    /// Only for requests that have this key, as the API wants it: `Authorization: Bearer` for OpenAI and plain calls,
    /// `x-api-key` for Anthropic. Others are refused with 401.
    #[must_use]
    pub fn with_key(self, key: impl Into<String>) -> Self {
        Self { key: Some(key.into()), ..self }
    }

    /// Parameters that the API does not have are let through, as many compatible servers do.
    #[must_use]
    pub fn taking_unknown_parameters(self) -> Self {
        Self { takes_unknown_parameters: true, ..self }
    }

    /// Requests are kept, for [`requests`](super::ModelServer::requests).
    #[must_use]
    pub fn recording(self) -> Self {
        Self { records: true, ..self }
    }

    pub(super) fn reply(&self, call: &Call<'_>) -> Reply {
        (self.rule)(call)
    }

    pub(super) fn demands(&self) -> Demands<'_> {
        Demands { key: self.key.as_deref(), takes_unknown_parameters: self.takes_unknown_parameters }
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { takes_unknown_parameters, records, .. } = self;
        f.debug_struct("Script")
            .field("takes_unknown_parameters", takes_unknown_parameters)
            .field("records", records)
            .finish_non_exhaustive()
    }
}
