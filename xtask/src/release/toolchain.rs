//! The tools that a program is built with.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::step::{self, Failure};

/// The compilers of a workspace.
#[derive(Debug, Clone)]
pub(crate) struct Toolchain {
    /// The version of rustc, as in `1.95.0`.
    pub(crate) rustc: String,
    /// The commit that this rustc was built from.
    pub(crate) commit: String,
    /// The target triple of this machine.
    pub(crate) host: String,
    /// Where rustc and its libraries are.
    pub(crate) sysroot: PathBuf,
    /// The first line that the C compiler says of itself.
    pub(crate) cc: String,
}

impl Toolchain {
    /// Asks the compilers that a workspace in a folder is built with.
    ///
    /// # Errors
    ///
    /// When there is no rustc or no C compiler.
    pub(crate) fn read(workspace: &Path) -> Result<Self, Failure> {
        let rustc = |argument: &[&str]| step::text(Command::new("rustc").args(argument).current_dir(workspace));
        let said = rustc(&["-vV"])?;
        let field = |name: &str| {
            let value = said.lines().find_map(|line| line.strip_prefix(name));
            value.map(|value| value.trim().to_owned()).ok_or_else(|| Failure::new(format!("rustc -vV has no `{name}`")))
        };
        let cc = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
        let cc = step::text(Command::new(cc).arg("--version"))?;
        Ok(Self {
            rustc: field("release:")?,
            commit: field("commit-hash:")?,
            host: field("host:")?,
            sysroot: PathBuf::from(rustc(&["--print", "sysroot"])?.trim()),
            cc: cc.lines().next().unwrap_or_default().to_owned(),
        })
    }
}
