//! Which traces are recorded.

use opentelemetry_sdk::trace::Sampler;

use super::source::Source;

const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";

/// The sampler; all traces unless the environment says otherwise.
pub(super) fn read(source: &mut Source<'_>) -> Sampler {
    let parent_based = |root| Sampler::ParentBased(Box::new(root));
    let Some(name) = source.text(SAMPLER) else { return parent_based(Sampler::AlwaysOn) };
    let root = name.strip_prefix("parentbased_");
    let sampler = match root.unwrap_or(name) {
        "always_on" => Sampler::AlwaysOn,
        "always_off" => Sampler::AlwaysOff,
        "traceidratio" => Sampler::TraceIdRatioBased(ratio(source)),
        _ => {
            source.complain(
                SAMPLER,
                "is neither always_on, always_off nor traceidratio, with or without parentbased_ before it; all traces are taken",
            );
            return parent_based(Sampler::AlwaysOn);
        }
    };
    if root.is_some() { parent_based(sampler) } else { sampler }
}

fn ratio(source: &mut Source<'_>) -> f64 {
    let Some(text) = source.text(ARGUMENT) else { return 1.0 };
    match text.parse::<f64>() {
        Ok(ratio) if (0.0..=1.0).contains(&ratio) => ratio,
        _ => {
            source.complain(ARGUMENT, "is no number from 0 to 1; all traces are taken");
            1.0
        }
    }
}
