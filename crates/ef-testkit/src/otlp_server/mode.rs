//! How a receiver treats what is sent to it.

use std::time::Duration;

/// How a receiver treats requests. It counts for those that arrive after it was set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// It takes them.
    #[default]
    Serve,
    /// It refuses them.
    Refuse {
        /// With this HTTP status; over gRPC, with the code that corresponds to it.
        status: u16,
        /// Over HTTP, with a header `Retry-After` of so many seconds.
        retry_after: Option<u64>,
    },
    /// It reads them and never answers.
    Hang,
    /// It accepts connections and never reads a byte of them. Connections that are open already hang.
    Deaf,
    /// It takes them after so long.
    Slow(Duration),
    /// It reads them and cuts the connection; new connections are reset at once.
    Close,
}

/// What is done with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Treatment {
    Take,
    Refuse { status: u16, retry_after: Option<u64> },
    Cut,
}

impl Mode {
    /// Waits for as long as it says, and for ever where it never answers.
    pub(super) async fn treat(self) -> Treatment {
        match self {
            Self::Serve => Treatment::Take,
            Self::Refuse { status, retry_after } => Treatment::Refuse { status, retry_after },
            Self::Hang | Self::Deaf => std::future::pending().await,
            Self::Slow(delay) => {
                tokio::time::sleep(delay).await;
                Treatment::Take
            }
            Self::Close => Treatment::Cut,
        }
    }
}

/// What a refusal says. Whoever shows it on a terminal as it is lets a server drive the terminal.
pub(super) const REFUSAL: &str = "refused by the receiver's mode\u{1b}[31m\r";
