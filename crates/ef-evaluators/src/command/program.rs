//! What is started: the file, its arguments and its environment.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use ef_model::{CallContext, ConfigProblem, Environment, Secret};
use tokio::process::Command;

use crate::factory::problem;

/// The variables that a program is given even if its config lists others, where they are set: without them hardly any
/// program finds its files, its language and its user. All that begin with `LC_` count too.
const ALWAYS: [&str; 9] = ["HOME", "LANG", "LANGUAGE", "LOGNAME", "PATH", "SHELL", "TMPDIR", "TZ", "USER"];

/// What is started: the file, its arguments and its environment.
pub(super) struct Program {
    file: PathBuf,
    arguments: Vec<String>,
    variables: Vec<(String, Secret)>,
}

impl Program {
    /// Finds the program and the variables that it is given.
    pub(super) fn new(
        argv: &[String],
        listed: Option<&[String]>,
        environment: &Environment,
    ) -> Result<Self, Vec<ConfigProblem>> {
        let (file, arguments) = match argv {
            [] => (Err(problem("/argv", "must not be empty", None)), Vec::new()),
            [name, arguments @ ..] => (find(name, environment), arguments.to_vec()),
        };
        let mut problems: Vec<_> = unset(listed.unwrap_or_default(), environment).collect();
        problems.extend(
            arguments
                .iter()
                .zip(1..)
                .filter(|(argument, _)| argument.contains('\0'))
                .map(|(_, index)| problem(format!("/argv/{index}"), "an argument cannot hold the character NUL", None)),
        );
        match file {
            Ok(file) if problems.is_empty() => {
                let is_given = |name: &str| {
                    listed.is_none_or(|listed| {
                        ALWAYS.contains(&name) || name.starts_with("LC_") || listed.iter().any(|listed| listed == name)
                    })
                };
                let given = environment.iter().filter(|(name, value)| is_given(name) && can_be_given(name, value));
                let variables = given.map(|(name, value)| (name.to_owned(), value.clone())).collect();
                Ok(Self { file, arguments, variables })
            }
            file => Err(file.err().into_iter().chain(problems).collect()),
        }
    }

    /// What starts it for one attempt, in a process group of its own, with pipes at all three ends.
    pub(super) fn command(&self, context: &CallContext) -> Command {
        let mut command = Command::new(&self.file);
        command.args(&self.arguments).env_clear();
        command.envs(self.variables.iter().map(|(name, value)| (name, value.expose())));
        command.env("EF_SEED", context.seed.to_string());
        command.env("EF_ATTEMPT", context.attempt.to_string());
        command.env("EF_REPEAT", context.repeat.to_string());
        if let Some(trace) = context.trace() {
            command.env("TRACEPARENT", &trace.traceparent);
            match &trace.tracestate {
                Some(state) => command.env("TRACESTATE", state),
                None => command.env_remove("TRACESTATE"),
            };
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        command
    }
}

fn unset<'a>(listed: &'a [String], environment: &'a Environment) -> impl Iterator<Item = ConfigProblem> + 'a {
    listed.iter().enumerate().filter(|(_, name)| environment.get(name).is_none()).map(|(index, name)| {
        let message = format!("the environment variable {name} is not set");
        problem(format!("/env/{index}"), message, Some("set it, or leave it out"))
    })
}

/// Whether the operating system takes the variable: such names and values come from elsewhere than a real environment.
fn can_be_given(name: &str, value: &Secret) -> bool {
    !name.is_empty() && !name.contains(['=', '\0']) && !value.expose().contains('\0')
}

/// The file of a program's name.
fn find(name: &str, environment: &Environment) -> Result<PathBuf, ConfigProblem> {
    let refuse = |message: String, hint: &str| Err(problem("/argv/0", message, Some(hint)));
    if name.is_empty() || name.contains('\0') {
        return refuse("not the name of a program".to_owned(), "the first of `argv` is the program");
    }
    if name.contains('/') {
        let file = PathBuf::from(name);
        return match () {
            () if is_executable(&file) => Ok(file),
            () if file.is_dir() => refuse(format!("`{name}` is a folder"), "name the program in it"),
            () if file.exists() => refuse(format!("`{name}` is not executable"), "`chmod +x` makes it so"),
            () => refuse(
                format!("there is no program `{name}`"),
                "a relative path is relative to the folder in which `ef` is started",
            ),
        };
    }
    let path = environment.get("PATH").map_or("", |path| path.expose().as_str());
    let found = path.split(':').filter(|folder| !folder.is_empty()).map(|folder| Path::new(folder).join(name));
    match found.into_iter().find(|file| is_executable(file)) {
        Some(file) => Ok(file),
        None if path.is_empty() => refuse(
            format!("the program `{name}` cannot be looked for: PATH is not set"),
            "set PATH, or write the program's whole path",
        ),
        None => refuse(
            format!("there is no program `{name}` in the folders of PATH"),
            "install it, or write its whole path; shell syntax needs a shell: [sh, -c, …]",
        ),
    }
}

fn is_executable(file: &Path) -> bool {
    std::fs::metadata(file).is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
}
