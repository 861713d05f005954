//! `ef.toml` and the manifests in the user's data folder: which plugins there are, strictly read.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ef_model::ComponentId;
use ef_plugin::ComponentKind;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Problem, Problems};
use super::sandbox::Sandbox;

/// So long may a manifest be.
const MAX_BYTES: u64 = 1 << 20;

/// A plugin may take so many seconds to start, at most.
const LONGEST_START: f64 = 3600.0;

/// A file that names plugins.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Manifest {
    /// The file.
    pub(crate) path: PathBuf,
    /// The interpreter of its Python plugins, as it is written.
    pub(crate) python: Option<String>,
    /// Its plugins, in the order of their names.
    pub(crate) plugins: Vec<Entry>,
}

/// A plugin as a manifest names it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) code: Code,
    /// The variables that it gets; `None` for all.
    pub(crate) environment: Option<Vec<String>>,
    pub(crate) processes: Option<u32>,
    pub(crate) start_timeout: Option<Duration>,
    /// What it provides, as far as that is said.
    pub(crate) evaluators: Vec<ComponentId>,
    pub(crate) judges: Vec<ComponentId>,
    pub(crate) sandbox: Option<Sandbox>,
}

/// What a plugin is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Code {
    /// A program with its arguments.
    Command(Vec<String>),
    /// A module of Python, or `module:object`.
    Python(String),
}

impl Entry {
    /// What it says it provides; nothing where it has to be asked.
    pub(crate) fn declared(&self) -> impl Iterator<Item = (ComponentKind, &ComponentId)> {
        let evaluators = self.evaluators.iter().map(|id| (ComponentKind::Evaluator, id));
        evaluators.chain(self.judges.iter().map(|id| (ComponentKind::Judge, id)))
    }
}

impl Manifest {
    /// The folder of the file: its relative paths are relative to this.
    pub(crate) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }

    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Result<Self, Problems> {
        use std::io::Read;
        let unreadable = |what: String| Problems::of_file(path, what);
        let mut bytes = Vec::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
            .map_err(|error| unreadable(format!("the file cannot be read: {}", crate::failure::reason(&error))))?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(unreadable("the file has more than 1 MiB, the most that it may have".to_owned()));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            unreadable(format!("the file is not UTF-8: see the byte at offset {}", error.utf8_error().valid_up_to()))
        })?;
        Self::parse(path, &text)
    }

    /// Reads the text of a file.
    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self, Problems> {
        let mut problems = Problems::new(path, text);
        let root = match DeTable::parse(text) {
            Ok(root) => root,
            Err(error) => {
                let span = error.span().unwrap_or_default();
                problems.push(Problem::new(span, format!("this is not TOML: {}", error.message())));
                return Err(problems);
            }
        };
        let mut manifest = Self { path: path.to_owned(), python: None, plugins: Vec::new() };
        for (key, value) in root.get_ref() {
            match key.get_ref().as_ref() {
                "python" => manifest.python = text_of(value, "python", &mut problems),
                "plugins" => {
                    let Some(plugins) = table_of(value, "plugins", &mut problems) else { continue };
                    let entries = plugins.iter().filter_map(|(name, value)| entry(name, value, &mut problems));
                    manifest.plugins = entries.collect();
                }
                other => unknown_key(key.span(), other, "the file", "python, plugins", &mut problems),
            }
        }
        manifest.plugins.sort_by(|a, b| a.name.cmp(&b.name));
        if problems.is_empty() { Ok(manifest) } else { Err(problems) }
    }
}

type Key<'t> = Spanned<std::borrow::Cow<'t, str>>;
type Value<'t> = Spanned<DeValue<'t>>;

const KEYS: &str = "command, python, env, processes, start_timeout_seconds, evaluators, judges, sandbox";

fn entry(name: &Key<'_>, value: &Value<'_>, problems: &mut Problems) -> Option<Entry> {
    let before = problems.count();
    let is_name = |name: &str| {
        (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
    };
    if !is_name(name.get_ref()) {
        let problem = Problem::new(name.span(), "a plugin's name has 1 to 64 letters, digits, `-` and `_`");
        problems.push(problem.hint("its components have their own ids; the name is what `ef` calls the program"));
    }
    let table = table_of(value, &format!("plugins.{}", name.get_ref()), problems)?;
    let (mut command, mut python) = (None, None);
    let mut entry = Entry {
        name: name.get_ref().clone().into_owned(),
        code: Code::Command(Vec::new()),
        environment: None,
        processes: None,
        start_timeout: None,
        evaluators: Vec::new(),
        judges: Vec::new(),
        sandbox: None,
    };
    for (key, value) in table {
        match key.get_ref().as_ref() {
            "command" => command = command_of(value, problems),
            "python" => python = reference(value, problems),
            "env" => entry.environment = environment(value, problems),
            "processes" => entry.processes = processes(value, problems),
            "start_timeout_seconds" => entry.start_timeout = start_timeout(value, problems),
            "evaluators" => entry.evaluators = ids(value, "evaluators", problems),
            "judges" => entry.judges = ids(value, "judges", problems),
            "sandbox" => entry.sandbox = sandbox(value, problems),
            other => unknown_key(key.span(), other, "a plugin", KEYS, problems),
        }
    }
    let has = |key: &str| table.iter().any(|(other, _)| other.get_ref() == key);
    let hint = "write `command = [\"./program\"]`, or `python = \"module:object\"`";
    match (has("command"), has("python")) {
        (true, true) => problems.push(
            Problem::new(name.span(), "a plugin is either a command or a Python object, and this one is both")
                .hint(hint),
        ),
        (false, false) => problems.push(Problem::new(name.span(), "it is not said what the plugin is").hint(hint)),
        _ => {}
    }
    entry.code = command.map(Code::Command).or(python.map(Code::Python))?;
    (problems.count() == before).then_some(entry)
}

fn unknown_key(span: Range<usize>, key: &str, of: &str, known: &str, problems: &mut Problems) {
    let problem = Problem::new(span, format!("{of} has no key {key:?}"));
    problems.push(problem.hint(format!("its keys are {known}")));
}

fn wrong(value: &Value<'_>, what: &str, expected: &str, problems: &mut Problems) {
    let found = value.get_ref().type_str();
    problems.push(Problem::new(value.span(), format!("`{what}` must be {expected}, and this is of the type {found}")));
}

fn table_of<'v, 't>(value: &'v Value<'t>, what: &str, problems: &mut Problems) -> Option<&'v DeTable<'t>> {
    let table = value.get_ref().as_table();
    if table.is_none() {
        wrong(value, what, "a table", problems);
    }
    table
}

fn text_of(value: &Value<'_>, what: &str, problems: &mut Problems) -> Option<String> {
    match value.get_ref().as_str() {
        Some(text) if text.is_empty() || text.contains('\0') => {
            problems.push(Problem::new(value.span(), format!("`{what}` must have text in it, without NUL")));
            None
        }
        Some(text) => Some(text.to_owned()),
        None => {
            wrong(value, what, "a text", problems);
            None
        }
    }
}

/// A list of texts; with a problem, what is right of it.
fn texts<'v, 't>(value: &'v Value<'t>, what: &str, problems: &mut Problems) -> Option<Vec<(&'v Value<'t>, String)>> {
    let Some(list) = value.get_ref().as_array() else {
        wrong(value, what, "a list of texts", problems);
        return None;
    };
    let mut texts = Vec::new();
    for value in list.iter() {
        match value.get_ref().as_str() {
            Some(text) if !text.contains('\0') => texts.push((value, text.to_owned())),
            Some(_) => problems.push(Problem::new(value.span(), format!("a text of `{what}` holds a NUL"))),
            None => wrong(value, what, "a list of texts", problems),
        }
    }
    Some(texts)
}

fn command_of(value: &Value<'_>, problems: &mut Problems) -> Option<Vec<String>> {
    if value.get_ref().is_str() {
        let problem = Problem::new(value.span(), "`command` is a list: the program, then its arguments one by one");
        problems.push(problem.hint("no shell reads it: write command = [\"program\", \"argument\"]"));
        return None;
    }
    let command: Vec<_> = texts(value, "command", problems)?.into_iter().map(|(_, text)| text).collect();
    if command.first().is_none_or(String::is_empty) {
        problems.push(Problem::new(value.span(), "`command` begins with a program"));
        return None;
    }
    Some(command)
}

fn reference(value: &Value<'_>, problems: &mut Problems) -> Option<String> {
    let text = text_of(value, "python", problems)?;
    let is_name = |part: &str| {
        part.split('.').all(|name| {
            !name.is_empty()
                && !name.starts_with(|c: char| c.is_ascii_digit())
                && name.chars().all(|c| c.is_alphanumeric() || c == '_')
        })
    };
    // Without an object: all that the module decorates.
    let (module, object) = text.split_once(':').map_or((&*text, None), |(module, object)| (module, Some(object)));
    if is_name(module) && object.is_none_or(is_name) {
        return Some(text);
    }
    let problem = Problem::new(value.span(), "`python` names a module, or an object in one");
    problems.push(
        problem.hint("write `module:object`, such as \"my_judges:polite\", or `module` for all that it decorates"),
    );
    None
}

fn environment(value: &Value<'_>, problems: &mut Problems) -> Option<Vec<String>> {
    const HINT: &str =
        "write env = \"inherit\", which is the default, or list the variables that it gets: env = [\"API_KEY\"]";
    match value.get_ref().as_str() {
        Some("inherit") => return None,
        Some(_) => {
            problems.push(Problem::new(value.span(), "there is no such environment").hint(HINT));
            return None;
        }
        None if !value.get_ref().is_array() => {
            problems.push(Problem::new(value.span(), "`env` must be \"inherit\" or a list of names").hint(HINT));
            return None;
        }
        None => {}
    }
    let names = texts(value, "env", problems)?;
    for (value, name) in &names {
        if name.is_empty() || name.contains('=') {
            let problem = Problem::new(value.span(), "this is not the name of a variable");
            problems.push(problem.hint("`env` lists names; values come from the environment of `ef`"));
        }
    }
    Some(names.into_iter().map(|(_, name)| name).collect())
}

fn processes(value: &Value<'_>, problems: &mut Problems) -> Option<u32> {
    let number =
        value.get_ref().as_integer().and_then(|number| u32::from_str_radix(number.as_str(), number.radix()).ok());
    let number = number.filter(|number| (1..=256).contains(number));
    if number.is_none() {
        problems.push(Problem::new(value.span(), "`processes` must be an integer from 1 to 256"));
    }
    number
}

fn start_timeout(value: &Value<'_>, problems: &mut Problems) -> Option<Duration> {
    let seconds: Option<f64> = match value.get_ref() {
        DeValue::Integer(number) if number.radix() == 10 => number.as_str().parse().ok(),
        DeValue::Float(number) => number.as_str().parse().ok(),
        _ => None,
    };
    let seconds = seconds.filter(|seconds| *seconds > 0.0 && *seconds <= LONGEST_START);
    if seconds.is_none() {
        let message = "`start_timeout_seconds` must be a number of seconds above 0, at most 3600";
        problems.push(Problem::new(value.span(), message));
    }
    seconds.map(Duration::from_secs_f64)
}

fn ids(value: &Value<'_>, what: &str, problems: &mut Problems) -> Vec<ComponentId> {
    let mut ids = Vec::new();
    for (value, text) in texts(value, what, problems).unwrap_or_default() {
        match ComponentId::new(text.as_str()) {
            Ok(id) if ids.contains(&id) => {
                problems.push(Problem::new(value.span(), format!("`{what}` has the id {text:?} twice")));
            }
            Ok(id) => ids.push(id),
            Err(error) => problems.push(Problem::new(value.span(), error.to_string())),
        }
    }
    ids
}

fn sandbox(value: &Value<'_>, problems: &mut Problems) -> Option<Sandbox> {
    let table = table_of(value, "sandbox", problems)?;
    let mut sandbox = Sandbox::default();
    for (key, value) in table {
        match key.get_ref().as_ref() {
            "network" => match value.get_ref().as_str() {
                Some("deny") => sandbox.deny_network = true,
                _ => {
                    let problem = Problem::new(value.span(), "`network` must be \"deny\"");
                    problems.push(problem.hint("leave the key out to allow the network"));
                }
            },
            "read" => sandbox.read = paths(value, "read", problems),
            "write" => sandbox.write = paths(value, "write", problems),
            other => unknown_key(key.span(), other, "a sandbox", "network, read, write", problems),
        }
    }
    if table.is_empty() {
        let problem = Problem::new(value.span(), "this sandbox forbids nothing");
        problems.push(problem.hint("write sandbox = { network = \"deny\", read = [\"data\"], write = [] }"));
    }
    Some(sandbox)
}

fn paths(value: &Value<'_>, what: &str, problems: &mut Problems) -> Option<Vec<String>> {
    let paths = texts(value, what, problems)?;
    for (value, path) in &paths {
        if path.is_empty() {
            problems.push(Problem::new(value.span(), format!("a path of `{what}` is empty")));
        }
    }
    Some(paths.into_iter().map(|(_, path)| path).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Manifest, Problems> {
        Manifest::parse(Path::new("/project/ef.toml"), text)
    }

    #[test]
    fn everything_that_a_plugin_can_say_is_read() {
        let text = r#"
            python = ".venv/bin/python"
            [plugins.z]
            python = "judges.polite:Judge"
            [plugins.lexical]
            command = ["./judge", "--fast"]
            env = ["KEY"]
            processes = 2
            start_timeout_seconds = 0.5
            evaluators = ["acme.model"]
            judges = ["acme.a", "acme.b"]
            sandbox = { network = "deny", read = ["."], write = [] }
        "#;
        let manifest = parse(text).expect("it is right");
        assert_eq!((manifest.python.as_deref(), manifest.folder()), (Some(".venv/bin/python"), Path::new("/project")));
        let [lexical, z] = &manifest.plugins[..] else { panic!("{manifest:?}") };
        assert_eq!(z.code, Code::Python("judges.polite:Judge".to_owned()));
        assert_eq!((z.environment.as_ref(), z.declared().count()), (None, 0));
        assert_eq!(lexical.code, Code::Command(vec!["./judge".to_owned(), "--fast".to_owned()]));
        assert_eq!(lexical.environment, Some(vec!["KEY".to_owned()]));
        assert_eq!((lexical.processes, lexical.start_timeout), (Some(2), Some(Duration::from_millis(500))));
        assert_eq!(lexical.declared().count(), 3);
        let sandbox = lexical.sandbox.as_ref().expect("a sandbox");
        assert_eq!(sandbox.to_string(), r#"sandboxed(network=deny, read=["."], write=[])"#);
    }

    #[test]
    fn each_thing_that_is_wrong_is_told() {
        for (text, told) in [
            ("plugin = 1", "the file has no key \"plugin\""),
            ("python = 7", "`python` must be a text"),
            ("plugins = 7", "`plugins` must be a table"),
            ("[plugins.a]", "it is not said what the plugin is"),
            ("[plugins.a]\ncommand = [\"a\"]\npython = \"a:b\"", "and this one is both"),
            ("[plugins.a]\ncommand = \"a\"", "`command` is a list"),
            ("[plugins.a]\ncommand = []", "`command` begins with a program"),
            ("[plugins.a]\ncommand = [\"a\", 1]", "`command` must be a list of texts"),
            ("[plugins.a]\ncommand = [\"a\", \"\\u0000\"]", "holds a NUL"),
            ("[plugins.\"a b\"]\ncommand = [\"a\"]", "a plugin's name has"),
            ("[plugins.a]\npython = \"a:b:c\"", "`python` names a module"),
            ("[plugins.a]\npython = \"-c:import os\"", "`python` names a module"),
            ("[plugins.a]\ncommand = [\"a\"]\nenv = \"none\"", "there is no such environment"),
            ("[plugins.a]\ncommand = [\"a\"]\nenv = [\"A=1\"]", "not the name of a variable"),
            ("[plugins.a]\ncommand = [\"a\"]\nprocesses = 0", "an integer from 1 to 256"),
            ("[plugins.a]\ncommand = [\"a\"]\nstart_timeout_seconds = -1", "a number of seconds above 0"),
            ("[plugins.a]\ncommand = [\"a\"]\nstart_timeout_seconds = nan", "a number of seconds above 0"),
            ("[plugins.a]\ncommand = [\"a\"]\njudges = [\"Polite!\"]", "two or more parts"),
            ("[plugins.a]\ncommand = [\"a\"]\njudges = [\"a.b\", \"a.b\"]", "twice"),
            ("[plugins.a]\ncommand = [\"a\"]\nsandbox = {}", "this sandbox forbids nothing"),
            ("[plugins.a]\ncommand = [\"a\"]\nsandbox = {network = \"allow\"}", "`network` must be \"deny\""),
            ("[plugins.a]\ncommand = [\"a\"]\nsandbox = {net = \"deny\"}", "a sandbox has no key \"net\""),
            ("[plugins.a]\ncommand = [\"a\"]\nsandbox = {read = [\"\"]}", "is empty"),
            ("[plugins.a]\ncommand = [\"a\"]\n[plugins.a]\ncommand = [\"b\"]", "this is not TOML"),
        ] {
            let problems = parse(text).expect_err(text).to_text();
            assert!(problems.contains(told), "{text}: {problems}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "(\\[plugins\\.a\\]\n)?((command|env|sandbox|judges|python|x) = [\\[\\]{}\"a:,=0-9]{0,8}\n){0,4}|\\PC{0,40}") {
            if let Err(problems) = parse(&text) {
                prop_assert!(!problems.is_empty());
            }
        }
    }
}
