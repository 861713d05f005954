//! Which events are logged: a level for our own crates, and levels for what has a certain target.

use ef_model::telemetry::SPAN_TARGET;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Filter};

/// Which events are logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Levels {
    /// For our own crates.
    own: LevelFilter,
    /// For what has this target or one below it. The longest that fits decides.
    targets: Vec<(String, LevelFilter)>,
}

impl Default for Levels {
    fn default() -> Self {
        Self { own: LevelFilter::INFO, targets: Vec::new() }
    }
}

impl Levels {
    /// Reads `info`, or `warn,ef_runner=debug,sqlx=trace`. `None` when it is anything else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut levels = Self::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            match part.split_once('=') {
                None => levels.own = level(part)?,
                Some((target, value)) => levels.targets.push((target_name(target.trim())?, level(value.trim())?)),
            }
        }
        Some(levels)
    }

    /// Whether an event of this target and level is logged.
    fn enables(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.of(metadata.target())
    }

    fn of(&self, target: &str) -> LevelFilter {
        self.targets
            .iter()
            .filter(|(prefix, _)| is_below(target, prefix))
            .max_by_key(|(prefix, _)| prefix.len())
            .map_or(if is_own(target) { self.own } else { LevelFilter::OFF }, |(_, level)| *level)
    }

    fn max(&self) -> LevelFilter {
        self.targets.iter().map(|(_, level)| *level).fold(self.own, Ord::max)
    }
}

fn level(text: &str) -> Option<LevelFilter> {
    // `LevelFilter` itself would take numbers too.
    let known = ["off", "error", "warn", "info", "debug", "trace"];
    known.iter().any(|name| name.eq_ignore_ascii_case(text)).then(|| text.parse().ok()).flatten()
}

fn target_name(text: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '-' | '.');
    (!text.is_empty() && text.chars().all(plain)).then(|| text.to_owned())
}

fn is_below(target: &str, prefix: &str) -> bool {
    target.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Whether the target is one of this project's crates, whose events hold no payload.
pub(crate) fn is_own(target: &str) -> bool {
    let package = target.split("::").next().unwrap_or(target);
    package == "eval_fabric" || package.starts_with("ef_")
}

/// Lets log events through: on standard error those that the levels name, and to a collector no others than our own.
#[derive(Debug, Clone)]
pub(crate) struct LogFilter {
    levels: Levels,
    own_only: bool,
}

impl LogFilter {
    /// For lines that people read on this machine.
    pub(crate) const fn local(levels: Levels) -> Self {
        Self { levels, own_only: false }
    }

    /// For what leaves this machine: other crates' events may quote what they work on.
    pub(crate) const fn exported(levels: Levels) -> Self {
        Self { levels, own_only: true }
    }

    fn passes(&self, metadata: &Metadata<'_>) -> bool {
        // What asks whether an event would be told (`enabled!`) is neither a span nor an event.
        !metadata.is_span()
            && metadata.target() != SPAN_TARGET
            && (!self.own_only || is_own(metadata.target()))
            && self.levels.enables(metadata)
    }
}

impl<S: Subscriber> Filter<S> for LogFilter {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        self.passes(metadata)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.passes(metadata) { Interest::always() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.levels.max())
    }
}

/// Lets spans and span events through, and nothing else.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SpanFilter;

impl<S: Subscriber> Filter<S> for SpanFilter {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        metadata.target() == SPAN_TARGET
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if metadata.target() != SPAN_TARGET {
            Interest::never()
        } else if metadata.is_span() {
            // There is a gate to ask for each. An event of a span that was not made goes nowhere in any case.
            Interest::sometimes()
        } else {
            Interest::always()
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::INFO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_crates_are_silent_unless_they_are_named() {
        let levels = Levels::parse("warn, ef_runner=debug,ef_runner::log=off,sqlx=trace").expect("valid");
        for (target, expected) in [
            ("ef_cli", LevelFilter::WARN),
            ("eval_fabric::anything", LevelFilter::WARN),
            ("ef_runner", LevelFilter::DEBUG),
            ("ef_runner::retries", LevelFilter::DEBUG),
            ("ef_runner::log", LevelFilter::OFF),
            ("ef_runner_two", LevelFilter::WARN),
            ("sqlx::query", LevelFilter::TRACE),
            ("hyper::client", LevelFilter::OFF),
            ("effigy", LevelFilter::OFF),
            ("opentelemetry_sdk", LevelFilter::OFF),
        ] {
            assert_eq!(levels.of(target), expected, "{target}");
        }
    }

    #[test]
    fn the_default_is_info_and_levels_are_read_in_any_case() {
        assert_eq!(Levels::parse(""), Some(Levels::default()));
        assert_eq!(Levels::parse(" INFO "), Some(Levels::default()));
        assert_eq!(Levels::default().of("ef_cli"), LevelFilter::INFO);
        assert_eq!(Levels::parse("Off").expect("valid").max(), LevelFilter::OFF);
    }

    #[test]
    fn what_is_no_level_is_refused() {
        for wrong in
            ["loud", "3", "info=", "=info", "ef_runner=loud", "ef runner=info", "ef_runner[span]=info", "a=b=c"]
        {
            assert_eq!(Levels::parse(wrong), None, "{wrong:?}");
        }
    }
}
