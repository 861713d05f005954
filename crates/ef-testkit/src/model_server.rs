//! A real HTTP server on loopback that speaks the APIs of models as its [`Script`] says: well, badly, or not at all.
//!
//! It speaks OpenAI's chat completions (`POST /v1/chat/completions`) and Anthropic's messages (`POST /v1/messages`), whole
//! and as streams, and gives back what is sent to `/echo` and below. Requests are checked as the providers check them: a
//! client that sends what the documentation does not allow gets the provider's error, whatever the script says.
//!
//! ```
//! use ef_testkit::model_server::{ModelServer, Reply, RetryAfter, Script};
//!
//! let script = Script::echo().first(2, Reply::rate_limited(RetryAfter::Seconds(1))).with_key("sk-test");
//! let server = ModelServer::start(script);
//! assert!(server.openai_url().ends_with("/v1"));
//! assert_eq!(server.counts().calls, 0);
//! ```
//!
//! It writes HTTP/1.1 by itself, because what it is for are the bytes that no library would send.

mod anthropic;
mod body;
mod call;
mod check;
mod connection;
mod counts;
mod fields;
mod fitting;
mod hostile;
mod judge_prompt;
mod message;
mod openai;
mod reply;
mod request;
mod script;
mod server;
mod shape;
mod stand_in;
mod storm;
mod stream;
mod strict;
mod trouble;
mod wire;

pub use call::{Answer, Api, Call};
pub use counts::{Counts, SeenRequest};
pub use fitting::fitting;
pub use message::{Finish, Tokens};
pub use reply::{Reply, RetryAfter};
pub use script::Script;
pub use server::ModelServer;
pub use storm::{Fate, Storm};
pub use wire::Cut;
