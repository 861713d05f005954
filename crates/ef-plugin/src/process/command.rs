//! What is started, and the digest of it.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use ef_model::{Digest, Environment};
use sha2::{Digest as _, Sha256};
use tokio::process::Command;

/// The variables that a plugin is given even where others are listed: without them hardly any program finds its files, its
/// language and its user. All that begin with `LC_` count too.
const ALWAYS: [&str; 9] = ["HOME", "LANG", "LANGUAGE", "LOGNAME", "PATH", "SHELL", "TMPDIR", "TZ", "USER"];

/// Computes a plugin's digest from what is on disk now.
pub type Measure = Arc<dyn Fn() -> io::Result<Digest> + Send + Sync>;

/// A plugin's program and how it is run.
#[derive(Clone)]
pub struct PluginCommand {
    /// What the user calls the plugin; every message about it says so.
    pub name: String,
    /// The program: a path, if it is relative then to the working directory. `PATH` is not searched.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// All environment variables that it gets.
    pub environment: Environment,
    /// Where it runs. Default: where the host runs.
    pub working_directory: Option<PathBuf>,
    /// How many processes of it run side by side. Default 1.
    pub processes: u32,
    /// How long it may take from its start to its answer to `initialize`, and for each `create`. Default 30 s.
    pub start_timeout: Duration,
    /// How long it may take to end by itself once its standard input is closed. Default 5 s.
    pub grace: Duration,
    /// How long to wait before a crashed process is started again, doubled with each crash in a row. Default 100 ms.
    pub restart_delay: Duration,
    /// The longest message, in bytes, in either direction. Default 16 MiB.
    pub max_message_bytes: usize,
    /// A program with arguments that is put in front of the command line, such as the launcher of a sandbox. It has to
    /// replace itself by the program. Empty for none.
    pub wrapper: Vec<OsString>,
    /// Where the plugin was found, for the identity in the records.
    pub source: String,
    /// SHA-256 of the plugin's code, for the identity in the records.
    pub digest: Digest,
    /// Measures the digest again before each start: another one than `digest` means that the plugin has been changed.
    pub measure: Option<Measure>,
}

impl PluginCommand {
    /// A command with the defaults: no arguments, an empty environment.
    pub fn new(
        name: impl Into<String>,
        program: impl Into<PathBuf>,
        source: impl Into<String>,
        digest: Digest,
    ) -> Self {
        Self {
            name: name.into(),
            program: program.into(),
            arguments: Vec::new(),
            environment: Environment::default(),
            working_directory: None,
            processes: 1,
            start_timeout: Duration::from_secs(30),
            grace: Duration::from_secs(5),
            restart_delay: Duration::from_millis(100),
            max_message_bytes: 16 << 20,
            wrapper: Vec::new(),
            source: source.into(),
            digest,
            measure: None,
        }
    }

    /// The program's whole path: what starts it must neither search `PATH` nor depend on where it looks first.
    fn located(&self) -> PathBuf {
        let path = place(self.working_directory.as_deref(), &self.program);
        std::path::absolute(&path).unwrap_or(path)
    }

    /// What starts one process, in a group of its own, with pipes at all three ends.
    pub(super) fn start(&self) -> Command {
        let mut line = self.wrapper.iter().map(OsString::as_os_str);
        let mut command = match line.next() {
            None => Command::new(self.located()),
            Some(wrapper) => {
                let mut command = Command::new(wrapper);
                command.args(line).arg(self.located());
                command
            }
        };
        command.args(&self.arguments).env_clear();
        let given = self.environment.iter().filter(|(name, value)| can_be_given(name, value.expose()));
        command.envs(given.map(|(name, value)| (name, value.expose())));
        if let Some(folder) = &self.working_directory {
            command.current_dir(folder);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        command
    }
}

impl fmt::Debug for PluginCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, program, source, digest, .. } = self;
        f.debug_struct("PluginCommand")
            .field("name", name)
            .field("program", program)
            .field("source", source)
            .field("digest", digest)
            .finish_non_exhaustive()
    }
}

/// Whether the operating system takes the variable: such names and values come from elsewhere than a real environment.
fn can_be_given(name: &str, value: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0')
}

/// Whether every program is given a variable of this name.
pub(crate) fn is_always_given(name: &str) -> bool {
    ALWAYS.contains(&name) || name.starts_with("LC_")
}

/// The variables of these names, and those that hardly any program can do without: `PATH`, `HOME`, `TMPDIR`, `TZ`, the
/// user's name and shell, and language and locale.
#[must_use]
pub fn allowed_environment(environment: &Environment, names: &[String]) -> Environment {
    let is_given = |name: &str| is_always_given(name) || names.iter().any(|listed| listed == name);
    let given = environment.iter().filter(|(name, _)| is_given(name));
    Environment::new(given.map(|(name, value)| (name.to_owned(), value.expose().clone())))
}

fn place(working_directory: Option<&Path>, path: &Path) -> PathBuf {
    working_directory.map_or_else(|| path.to_owned(), |folder| folder.join(path))
}

/// SHA-256 of a command: of the program and then each argument, in order; of each its name (of the program the file's
/// name alone, so that it may lie anywhere), and of those that name a file the SHA-256 of its content. A relative path
/// is relative to the working directory.
///
/// # Errors
///
/// When the program, or a file that an argument names, cannot be read.
pub fn command_digest(program: &Path, arguments: &[OsString], working_directory: Option<&Path>) -> io::Result<Digest> {
    let mut whole = Sha256::new();
    let name = program.file_name().unwrap_or(program.as_os_str());
    add(&mut whole, name, Some(content_digest(&place(working_directory, program))?));
    for argument in arguments {
        let path = place(working_directory, Path::new(argument));
        let content = if path.is_file() { Some(content_digest(&path)?) } else { None };
        add(&mut whole, argument, content);
    }
    Ok(Digest::from_bytes(whole.finalize().into()))
}

/// Adds a name and perhaps a content. The lengths and marks between them keep different commands apart.
fn add(whole: &mut Sha256, name: &OsStr, content: Option<[u8; 32]>) {
    let name = name.as_bytes();
    whole.update(u64::try_from(name.len()).unwrap_or(u64::MAX).to_be_bytes());
    whole.update(name);
    match content {
        Some(content) => {
            whole.update([1]);
            whole.update(content);
        }
        None => whole.update([0]),
    }
}

/// SHA-256 over a file's bytes.
pub(crate) fn content_digest(path: &Path) -> io::Result<[u8; 32]> {
    let (mut file, mut buffer, mut digest) = (File::open(path)?, vec![0; 128 << 10], Sha256::new());
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(digest.finalize().into()),
            length => digest.update(&buffer[..length]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_tells_program_arguments_and_the_files_that_they_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let digest = |arguments: &[&str]| {
            let arguments: Vec<_> = arguments.iter().map(OsString::from).collect();
            command_digest(Path::new("program"), &arguments, Some(folder.path())).expect("a digest")
        };
        std::fs::write(folder.path().join("program"), "one").expect("written");
        std::fs::write(folder.path().join("script"), "one").expect("written");
        let first = digest(&["script", "--flag"]);
        assert_eq!(first, digest(&["script", "--flag"]));
        assert_ne!(first, digest(&["--flag", "script"]));
        assert_ne!(digest(&["ab", "c"]), digest(&["a", "bc"]));
        std::fs::write(folder.path().join("script"), "two").expect("written");
        let second = digest(&["script", "--flag"]);
        assert_ne!(first, second);
        std::fs::write(folder.path().join("program"), "two").expect("written");
        assert_ne!(second, digest(&["script", "--flag"]));
        assert!(command_digest(Path::new("absent"), &[], Some(folder.path())).is_err());
    }

    #[test]
    fn a_list_of_variables_lets_through_no_others() {
        let all = ["PATH", "LC_ALL", "KEY", "SECRET"].map(|name| (name.to_owned(), "x".to_owned()));
        let allowed = allowed_environment(&Environment::new(all), &["KEY".to_owned()]);
        let names: Vec<_> = allowed.iter().map(|(name, _)| name.to_owned()).collect();
        assert_eq!(names, ["KEY", "LC_ALL", "PATH"]);
    }
}
