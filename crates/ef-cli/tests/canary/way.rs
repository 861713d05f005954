//! The ways in which everything is run: at each level, in both forms of the log, over both protocols.

use ef_testkit::otlp_server::Protocol;

/// One way to run the program.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way {
    /// `EVAL_FABRIC_LOG_LEVEL`; what it is without it where there is none.
    pub(crate) level: Option<&'static str>,
    /// `--log-format`.
    pub(crate) log_format: &'static str,
    pub(crate) protocol: Protocol,
}

impl Way {
    /// The one in which most is said.
    pub(crate) const LOUDEST: Self = Self { level: Some("trace"), log_format: "json", protocol: Protocol::Grpc };

    const ALL: [Self; 4] = [
        Self { level: None, log_format: "human", protocol: Protocol::Http },
        Self { level: Some("info"), log_format: "json", protocol: Protocol::Grpc },
        Self { level: Some("debug"), log_format: "human", protocol: Protocol::Http },
        Self::LOUDEST,
    ];

    /// Runs a story in every way.
    pub(crate) fn each(story: impl Fn(Self)) {
        Self::ALL.into_iter().for_each(story);
    }

    /// Runs a story that takes long in the way that is usual and in the one in which most is said.
    pub(crate) fn both_ends(story: impl Fn(Self)) {
        [Self::ALL[0], Self::LOUDEST].into_iter().for_each(story);
    }
}
