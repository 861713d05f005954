//! Python with packages from its index, for tests that need a program of others.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The interpreter of a virtual environment with these packages, each with its version (`name==1.2.3`): in the folder
/// `name` within `folder`, made where it is not there yet. Several processes may ask at the same time.
///
/// `None` where there is no Python, or no package index: then it says on standard error that the test is skipped.
///
/// # Panics
///
/// Instead of returning `None`, where the environment variable `EF_REQUIRE_PYTHON` is 1.
#[must_use]
pub fn python_with(folder: &Path, name: &str, packages: &[&str]) -> Option<PathBuf> {
    match prepared(folder, name, packages) {
        Ok(python) => Some(python),
        Err(reason) => {
            let is_required = std::env::var_os("EF_REQUIRE_PYTHON").is_some_and(|value| value == "1");
            assert!(!is_required, "there is no Python with {}: {reason}", packages.join(", "));
            let _ = writeln!(std::io::stderr(), "SKIPPED: no Python with {}: {reason}", packages.join(", "));
            None
        }
    }
}

fn prepared(folder: &Path, name: &str, packages: &[&str]) -> Result<PathBuf, String> {
    let failed = |error: std::io::Error| error.to_string();
    std::fs::create_dir_all(folder).map_err(failed)?;
    // Whoever comes second waits until the environment is whole.
    let lock = File::create(folder.join(format!("{name}.lock"))).map_err(failed)?;
    lock.lock().map_err(failed)?;
    let environment = folder.join(name);
    let python = environment.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    // What is written last says what is there.
    let marker = environment.join("packages.txt");
    let wanted = packages.join("\n");
    if std::fs::read_to_string(&marker).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))?;
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    run(Command::new(&python).args(install).args(packages))?;
    std::fs::write(marker, wanted).map_err(failed)?;
    Ok(python)
}

fn run(command: &mut Command) -> Result<(), String> {
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or("it failed").to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
