//! What a plugin says of itself: when it starts, and when it makes a component.

use std::time::Duration;

use ef_model::{ComponentId, ConfigProblem, CreateError, Determinism, Pricing, check_strict};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::PROTOCOL_VERSION;
use super::failure::RpcError;
use super::stderr::quotable;
use crate::ComponentKind;
use crate::masking::Mask;

/// The longest version, in bytes: it is part of the records.
const LONGEST_VERSION: usize = 128;

/// What a plugin says of itself.
#[derive(Debug, Clone)]
pub struct Description {
    /// What the plugin calls itself.
    pub name: String,
    /// The plugin's own version; its components have theirs.
    pub version: String,
    /// How many requests one process takes at a time. `None` for any number.
    pub max_in_flight: Option<u32>,
    /// How long the first process took from its start to its description.
    pub started_in: Duration,
    /// Its evaluators.
    pub evaluators: Vec<Provided>,
    /// Its judges.
    pub judges: Vec<Provided>,
}

/// A component that a plugin provides.
#[derive(Debug, Clone, PartialEq)]
pub struct Provided {
    /// Its id.
    pub id: ComponentId,
    /// Its version.
    pub version: String,
    /// One line for a person who chooses.
    pub summary: String,
    /// The JSON Schema (2020-12) of its config.
    pub config_schema: Value,
    /// What a judge promises; of an evaluator nothing.
    pub determinism: Option<Determinism>,
    /// Whether an earlier judgment of the same output is worth looking for.
    pub is_costly: bool,
    /// The model that judges, where there is one.
    pub model: Option<String>,
    /// What its calls cost.
    pub pricing: ProvidedPricing,
}

/// What calls of a plugin's component cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ProvidedPricing {
    /// Nothing.
    Free,
    /// At most so many US dollars a call.
    AtMost(f64),
    /// Nobody says.
    Unbounded,
}

impl ProvidedPricing {
    /// What a runner makes of it.
    pub(super) fn of(self, id: &ComponentId, plugin: &str) -> Pricing {
        match self {
            Self::Free => Pricing::Free,
            Self::AtMost(_) => Pricing::Bounded,
            Self::Unbounded => Pricing::Unbounded {
                missing: format!(
                    "the plugin `{plugin}` does not say what a call of `{id}` costs at most: `pricing` in its answer to `initialize`"
                ),
            },
        }
    }
}

impl Description {
    /// The component of a kind and id.
    pub(super) fn find(&self, kind: ComponentKind, id: &ComponentId) -> Option<&Provided> {
        let provided = match kind {
            ComponentKind::Evaluator => &self.evaluators,
            ComponentKind::Judge => &self.judges,
        };
        provided.iter().find(|provided| provided.id == *id)
    }

    /// Whether another process of the plugin says the same.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        (&self.version, &self.evaluators, &self.judges) == (&other.version, &other.evaluators, &other.judges)
    }

    /// Reads the answer to `initialize`. The error is for the plugin's author: nothing of a run has been sent yet.
    pub(super) fn read(result: &str, started_in: Duration) -> Result<Self, String> {
        check_strict(result).map_err(|fault| format!("it is not strict JSON: {fault}"))?;
        if !result.starts_with('{') {
            return Err("it is not a map".to_owned());
        }
        let version = serde_json::from_str::<Versioned>(result).map_err(|error| quotable(&error.to_string()))?;
        if version.protocol_version != PROTOCOL_VERSION {
            let spoken = version.protocol_version;
            return Err(format!("it speaks version {spoken} of the protocol, and this is version {PROTOCOL_VERSION}"));
        }
        let said: Initialized = serde_json::from_str(result).map_err(|error| quotable(&error.to_string()))?;
        if said.max_in_flight == Some(0) {
            return Err("`max_in_flight` is 0".to_owned());
        }
        let evaluators = read_all(said.evaluators, ComponentKind::Evaluator)?;
        let judges = read_all(said.judges, ComponentKind::Judge)?;
        if evaluators.is_empty() && judges.is_empty() {
            return Err("it names neither an evaluator nor a judge".to_owned());
        }
        let (name, version) = (quotable(&said.plugin.name), quotable(&said.plugin.version));
        Ok(Self { name, version, max_in_flight: said.max_in_flight, started_in, evaluators, judges })
    }
}

#[derive(Deserialize)]
struct Versioned {
    protocol_version: u64,
}

#[derive(Deserialize)]
struct Initialized {
    plugin: Plugin,
    #[serde(default)]
    evaluators: Vec<Component>,
    #[serde(default)]
    judges: Vec<Component>,
    #[serde(default)]
    max_in_flight: Option<u32>,
}

#[derive(Deserialize)]
struct Plugin {
    name: String,
    version: String,
}

#[derive(Deserialize)]
struct Component {
    id: ComponentId,
    version: String,
    #[serde(default)]
    summary: Option<String>,
    #[serde(default)]
    config_schema: Option<Map<String, Value>>,
    #[serde(default)]
    determinism: Option<Determinism>,
    #[serde(default)]
    is_costly: bool,
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    pricing: Option<Value>,
}

fn read_all(components: Vec<Component>, kind: ComponentKind) -> Result<Vec<Provided>, String> {
    let mut read: Vec<Provided> = Vec::with_capacity(components.len());
    for component in components {
        let provided = component.check(kind)?;
        if read.iter().any(|other| other.id == provided.id) {
            return Err(format!("it names the {kind} `{}` twice", provided.id));
        }
        read.push(provided);
    }
    Ok(read)
}

impl Component {
    fn check(self, kind: ComponentKind) -> Result<Provided, String> {
        let Self { id, version, is_costly, .. } = self;
        if version.is_empty() || version.len() > LONGEST_VERSION || version.chars().any(char::is_control) {
            return Err(format!(
                "the version of `{id}` is not 1 to {LONGEST_VERSION} bytes without control characters"
            ));
        }
        if kind == ComponentKind::Judge && self.determinism.is_none() {
            return Err(format!("the judge `{id}` does not say its `determinism`"));
        }
        let model = self.model.as_deref().map(quotable);
        let pricing = match self.pricing {
            None if is_costly || model.is_some() => ProvidedPricing::Unbounded,
            None => ProvidedPricing::Free,
            Some(pricing) => read_pricing(&pricing).ok_or_else(|| {
                format!("the `pricing` of `{id}` is not \"free\", \"unbounded\" or {{\"most_usd\": N}}")
            })?,
        };
        let any_config = || json!({"type": "object"});
        Ok(Provided {
            id,
            version,
            summary: quotable(&self.summary.unwrap_or_default()),
            config_schema: self.config_schema.map_or_else(any_config, Value::Object),
            determinism: self.determinism.filter(|_| kind == ComponentKind::Judge),
            is_costly,
            model,
            pricing,
        })
    }
}

fn read_pricing(pricing: &Value) -> Option<ProvidedPricing> {
    match pricing {
        Value::String(word) if word == "free" => Some(ProvidedPricing::Free),
        Value::String(word) if word == "unbounded" => Some(ProvidedPricing::Unbounded),
        Value::Object(fields) if fields.len() == 1 => {
            let most = fields.get("most_usd")?.as_f64().filter(|most| *most >= 0.0)?;
            Some(ProvidedPricing::AtMost(most))
        }
        _ => None,
    }
}

/// What a process says of an instance that it has made.
#[derive(Debug, Clone)]
pub(super) struct Created {
    /// The number that calls name it by.
    pub(super) number: u64,
    pub(super) determinism: Option<Determinism>,
    pub(super) model: Option<String>,
}

impl Created {
    /// Reads the answer to `create`; null says nothing.
    pub(super) fn read(result: &str, number: u64) -> Option<Self> {
        #[derive(Deserialize, Default)]
        struct Said {
            #[serde(default)]
            determinism: Option<Determinism>,
            #[serde(default)]
            model: Option<String>,
        }
        let said: Option<Said> = serde_json::from_str(result).ok()?;
        let said = said.unwrap_or_default();
        Some(Self { number, determinism: said.determinism, model: said.model.as_deref().map(quotable) })
    }
}

/// Why a plugin did not make a component: `create` is answered before it has seen anything of a dataset, so what it says
/// may be shown, but for what the mask covers.
pub(super) fn create_error(plugin: &str, error: &str, mask: &Mask) -> CreateError {
    let quotable = |said: &str| quotable(&mask.text(said));
    #[derive(Deserialize)]
    struct Data {
        #[serde(default)]
        kind: Option<String>,
        #[serde(default)]
        problems: Vec<Problem>,
    }
    #[derive(Deserialize)]
    struct Problem {
        #[serde(default)]
        pointer: String,
        message: String,
        #[serde(default)]
        hint: Option<String>,
    }
    #[derive(Deserialize)]
    struct WithData {
        data: Data,
    }
    let data = serde_json::from_str::<WithData>(error).ok().map(|error| error.data);
    if let Some(data) = data
        && data.kind.as_deref() == Some("config")
        && !data.problems.is_empty()
    {
        let problems = data.problems.into_iter().map(|problem| ConfigProblem {
            pointer: problem.pointer,
            at_key: false,
            message: quotable(&problem.message),
            hint: problem.hint.as_deref().map(quotable),
        });
        return CreateError::Config(problems.collect());
    }
    let said =
        serde_json::from_str::<RpcError<'_>>(error).ok().and_then(|error| error.message.map(|said| quotable(&said)));
    let said = said.filter(|said| !said.is_empty()).unwrap_or_else(|| "it does not say why".to_owned());
    CreateError::Broken(format!("the plugin `{plugin}` could not make it: {said}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Description, String> {
        Description::read(text, Duration::ZERO)
    }

    #[test]
    fn a_description_says_what_is_provided() {
        let text = r#"{"protocol_version":1,"plugin":{"name":"p","version":"2"},"max_in_flight":4,"later":true,
            "judges":[{"id":"a.b","version":"1.0","determinism":"stochastic","model":"m"},
                      {"id":"a.c","version":"1.0","determinism":"deterministic","pricing":{"most_usd":0.5}}],
            "evaluators":[{"id":"a.b","version":"1.0","summary":"An\nevaluator."}]}"#;
        let described = read(text).expect("a description");
        assert_eq!(described.judges[0].pricing, ProvidedPricing::Unbounded);
        assert_eq!(described.judges[1].pricing, ProvidedPricing::AtMost(0.5));
        assert_eq!(described.evaluators[0].pricing, ProvidedPricing::Free);
        assert_eq!(described.evaluators[0].summary, "An evaluator.");
        assert_eq!(described.max_in_flight, Some(4));
    }

    #[test]
    fn what_a_description_lacks_is_said() {
        let with = |more: &str| format!(r#"{{"protocol_version":1,"plugin":{{"name":"p","version":"2"}}{more}}}"#);
        let judge = |fields: &str| with(&format!(r#","judges":[{{"id":"a.b",{fields}}}]"#));
        let complaints: Vec<_> = [
            "null".to_owned(),
            r#"{"protocol_version":2}"#.to_owned(),
            r#"{"protocol_version":1}"#.to_owned(),
            with(""),
            with(r#","max_in_flight":0"#),
            with(r#","judges":[{"id":"b","version":"1","determinism":"stochastic"}]"#),
            judge(r#""version":"1""#),
            judge(r#""version":"","determinism":"stochastic""#),
            judge(r#""version":"1","determinism":"stochastic","pricing":"cheap""#),
            with(r#","evaluators":[{"id":"a.b","version":"1"},{"id":"a.b","version":"1"}]"#),
        ]
        .iter()
        .map(|text| read(text).expect_err(text))
        .collect();
        insta::assert_snapshot!(complaints.join("\n"));
    }

    #[test]
    fn a_config_that_does_not_fit_is_told_from_a_broken_component() {
        let config =
            r#"{"code":1,"message":"no","data":{"kind":"config","problems":[{"pointer":"/a","message":"too low"}]}}"#;
        assert!(
            matches!(create_error("p", config, &Mask::default()), CreateError::Config(problems) if problems[0].pointer == "/a")
        );
        for broken in [r#"{"code":1,"message":"no such model"}"#, r#"{"code":1,"message":"no such model","data":7}"#] {
            let CreateError::Broken(reason) = create_error("p", broken, &Mask::default()) else { panic!("not broken") };
            assert_eq!(reason, "the plugin `p` could not make it: no such model");
        }
    }
}
