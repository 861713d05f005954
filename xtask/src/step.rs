//! Running a command as a step of a task: announced, at the root of the workspace, ending the task when it fails.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Why a task ended, with the exit code that it ends with.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) message: String,
    pub(crate) code: u8,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 1 }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_owned()
}

/// A cargo command at the root of the workspace, with the cargo that runs this task.
pub(crate) fn cargo<const N: usize>(arguments: [&str; N]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    // Cargo has told them to this task. Build scripts look at some of them, and would be run again by each cargo that is
    // started from here and each that is not, with all that follows from them.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            command.env_remove(name);
        }
    }
    command
}

/// Whether the command runs and succeeds; what it prints is thrown away.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Announces and runs a command, whose output goes to the terminal.
///
/// # Errors
///
/// When it cannot be started or does not succeed; the failure has its exit code.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    eprintln!("    $ {}", shown(command));
    let status = command.status().map_err(|error| not_started(command, &error))?;
    if status.success() {
        return Ok(());
    }
    // A command that was ended by a signal has no code of its own.
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Err(Failure { message: format!("`{}` failed ({status})", shown(command)), code })
}

/// Runs a command and keeps what it prints.
///
/// # Errors
///
/// When it cannot be started.
pub(crate) fn output(command: &mut Command) -> Result<Output, Failure> {
    command.stdin(Stdio::null()).output().map_err(|error| not_started(command, &error))
}

/// Runs a command for what it prints on standard output.
///
/// # Errors
///
/// When it cannot be started, or does not succeed; the failure has what it said on standard error.
pub(crate) fn text(command: &mut Command) -> Result<String, Failure> {
    let output = output(command)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Failure::new(format!("`{}` failed ({}):\n{}", shown(command), output.status, said.trim_end())));
    }
    String::from_utf8(output.stdout)
        .map_err(|_| Failure::new(format!("`{}` printed something that is not text", shown(command))))
}

/// Reads a file.
///
/// # Errors
///
/// When it cannot be read; the failure names it.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| Failure::new(format!("{} could not be read: {error}", path.display())))
}

/// Reads a text file.
///
/// # Errors
///
/// When it cannot be read or is not UTF-8; the failure names it.
pub(crate) fn read_text(path: &Path) -> Result<String, Failure> {
    String::from_utf8(read(path)?).map_err(|_| Failure::new(format!("{} is not a text", path.display())))
}

/// Writes a file, in a folder that is made where it is not there.
///
/// # Errors
///
/// When it cannot be written; the failure names it.
pub(crate) fn write(path: &Path, content: impl AsRef<[u8]>) -> Result<(), Failure> {
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(path, content))
        .map_err(|error| Failure::new(format!("{} could not be written: {error}", path.display())))
}

/// Removes a folder with all that is in it; one that is not there is no failure.
///
/// # Errors
///
/// When it cannot be removed; the failure names it.
pub(crate) fn remove(folder: &Path) -> Result<(), Failure> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Failure::new(format!("{} could not be removed: {error}", folder.display())))
        }
        _ => Ok(()),
    }
}

/// The command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let program = program.file_name().unwrap_or(command.get_program()).to_string_lossy().into_owned();
    let arguments = command.get_args().map(|argument| argument.to_string_lossy().into_owned());
    std::iter::once(program).chain(arguments).collect::<Vec<_>>().join(" ")
}

fn not_started(command: &Command, error: &io::Error) -> Failure {
    Failure::new(format!("`{}` could not be started: {error}", shown(command)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_step_ends_with_its_exit_code() {
        let failure = run(Command::new("sh").args(["-c", "exit 42"])).expect_err("exit 42 is a failure");
        assert_eq!(failure.code, 42);
        assert!(failure.message.contains("sh -c exit 42"), "{failure}");
    }

    #[test]
    fn a_command_that_is_asked_for_its_text_is_quoted_when_it_fails() {
        assert_eq!(text(Command::new("sh").args(["-c", "echo said"])).expect("it succeeds"), "said\n");
        let failure = text(Command::new("sh").args(["-c", "echo why >&2; exit 1"])).expect_err("it fails");
        assert!(failure.message.ends_with(":\nwhy"), "{failure}");
    }

    #[test]
    fn a_command_that_is_not_there_is_named() {
        let failure = run(&mut Command::new("/no/such/command")).expect_err("there is no such command");
        assert!(failure.message.starts_with("`command` could not be started"), "{failure}");
    }
}
