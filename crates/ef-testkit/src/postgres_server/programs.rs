//! The programs that a server is made of, and the user that they run as.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Postgres's programs, and who runs the server.
#[derive(Debug)]
pub(super) struct Programs {
    folder: PathBuf,
    /// Who runs the server where the test is run by root, whom the server refuses.
    owner: Option<Owner>,
}

#[derive(Debug)]
struct Owner {
    user: u32,
    group: u32,
}

impl Programs {
    /// Finds the newest that the machine has: in `PATH`, where distributions put them, where `pg_config` says.
    pub(super) fn find() -> Result<Self, String> {
        let mut folders: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect();
        let mut versions: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
            .collect();
        versions.sort_by_key(|path| path.parent().and_then(version).unwrap_or(0));
        folders.extend(versions.into_iter().rev());
        folders.extend(output(Command::new("pg_config").arg("--bindir")).ok().map(|path| PathBuf::from(path.trim())));
        // A link in PATH leads to the folder where the others are.
        let real = |folder: &PathBuf| fs::canonicalize(folder.join("initdb")).ok()?.parent().map(Path::to_owned);
        let has_all = |folder: &PathBuf| ["initdb", "postgres", "psql"].iter().all(|name| folder.join(name).exists());
        let folder = folders.iter().filter_map(real).find(has_all).ok_or(
            "initdb, postgres and psql were found neither in PATH nor in /usr/lib/postgresql/*/bin nor by pg_config; \
             install PostgreSQL's server",
        )?;
        Ok(Self { folder, owner: owner()? })
    }

    /// A program's path.
    pub(super) fn path(&self, program: &str) -> PathBuf {
        self.folder.join(program)
    }

    /// The command that runs a program as the owner of the server.
    pub(super) fn as_owner(&self, program: &str) -> Vec<String> {
        let mut command = Vec::new();
        if let Some(Owner { user, group }) = &self.owner {
            command.push("setpriv".to_owned());
            command.extend([format!("--reuid={user}"), format!("--regid={group}")]);
            command.extend(["--clear-groups", "--"].map(str::to_owned));
        }
        command.push(self.path(program).display().to_string());
        command
    }

    /// Gives a file or folder to the owner of the server.
    pub(super) fn give(&self, path: &Path) -> Result<(), String> {
        #[cfg(unix)]
        if let Some(Owner { user, group }) = self.owner {
            let given = std::os::unix::fs::chown(path, Some(user), Some(group));
            return given.map_err(|error| format!("{}: {error}", path.display()));
        }
        let _ = path;
        Ok(())
    }

    /// Makes a data folder: a copy of one that was made before and is kept beside the test's program, as making one takes a
    /// second and copying it a moment.
    pub(super) fn make_data(&self, data: &Path) -> Result<(), String> {
        let version = output(Command::new(self.path("initdb")).arg("--version"))?;
        let version: String = version.chars().filter(|&c| c.is_ascii_digit() || c == '.').collect();
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let beside = program.parent().ok_or("the test's program is in no folder")?;
        let kept = beside.join(format!("postgres-data-{version}"));
        if !kept.join("PG_VERSION").exists() {
            self.initdb(data)?;
            let copy = beside.join(format!("postgres-data-{version}.{}", std::process::id()));
            copy_folder(data, &copy)?;
            // Somebody else may have been faster.
            if fs::rename(&copy, &kept).is_err() {
                let _ = fs::remove_dir_all(&copy);
            }
            return Ok(());
        }
        copy_folder(&kept, data)
    }

    fn initdb(&self, data: &Path) -> Result<(), String> {
        let command = self.as_owner("initdb");
        let mut initdb = Command::new(&command[0]);
        initdb.args(&command[1..]).arg("-D").arg(data);
        initdb.args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--wal-segsize=1"]);
        output(&mut initdb).map(drop)
    }
}

fn version(folder: &Path) -> Option<u32> {
    folder.file_name()?.to_str()?.parse().ok()
}

/// With its owners, times and modes.
fn copy_folder(from: &Path, to: &Path) -> Result<(), String> {
    output(Command::new("cp").arg("-Rp").arg(from).arg(to)).map(drop)
}

/// Who runs the server: the one who runs the test, or where that is root the user `postgres` or `nobody`.
fn owner() -> Result<Option<Owner>, String> {
    if output(Command::new("id").arg("-u"))?.trim() != "0" {
        return Ok(None);
    }
    output(Command::new("setpriv").arg("--version")).map_err(|error| {
        format!("the server does not run as root, and there is no setpriv to run it as another user: {error}")
    })?;
    let of = |user: &str| {
        let id = |option: &str| output(Command::new("id").arg(option).arg(user)).ok()?.trim().parse().ok();
        Some(Owner { user: id("-u")?, group: id("-g")? })
    };
    let owner = of("postgres").or_else(|| of("nobody"));
    owner.map(Some).ok_or_else(|| "the server does not run as root, and there is no user postgres or nobody".to_owned())
}

/// What a program writes to its standard output, or else why it failed.
pub(super) fn output(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().display().to_string();
    let output = command.output().map_err(|error| format!("{name}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("{name}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}
