//! A release build whose result does not depend on where it is done: the folders of the sources, of the results and of
//! cargo are told to the compilers by names of their own, and settings of the environment that change a build are left out.
//! What is shipped and what `cargo xtask repro` compares are built alike, here.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::toolchain::Toolchain;
use crate::step::{self, Failure, cargo};

/// Variables of the environment that change what cargo, rustc or cc build, by how they begin.
const SETTINGS: [&str; 15] = [
    "CARGO_BUILD_",
    "CARGO_PROFILE_",
    "CARGO_TARGET_",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_INCREMENTAL",
    "RUSTFLAGS",
    "RUSTC",
    "CFLAGS",
    "CPPFLAGS",
    "CXXFLAGS",
    "LDFLAGS",
    "HOST_C",
    "TARGET_C",
    "LIBSQLITE3_",
    "ZSTD_SYS_",
];

/// What is built: one binary of one package of a workspace.
#[derive(Debug, Clone, Copy)]
pub(super) struct Program<'a> {
    pub(super) package: &'a str,
    pub(super) binary: &'a str,
}

/// Builds the program of a workspace and gives the path of the binary.
///
/// # Errors
///
/// When it does not compile, or one of the folders has a space in its name, which C compilers cannot be told.
pub(super) fn release(
    source: &Path,
    target: &Path,
    program: Program<'_>,
    toolchain: &Toolchain,
    seconds: u64,
) -> Result<PathBuf, Failure> {
    let names = names(source, target, toolchain)?;
    let mut build = cargo(["build", "--release", "--locked"]);
    build.args(["--package", program.package, "--bin", program.binary]).current_dir(source);
    for (variable, _) in std::env::vars_os().filter(|(variable, _)| is_setting(variable)) {
        build.env_remove(variable);
    }
    let rust: Vec<String> = names.iter().map(|(path, name)| format!("--remap-path-prefix={path}={name}")).collect();
    let c: Vec<String> = names.iter().map(|(path, name)| format!("-ffile-prefix-map={path}={name}")).collect();
    build.env("CARGO_ENCODED_RUSTFLAGS", rust.join("\x1f")).env("CFLAGS", c.join(" "));
    build.env("CARGO_TARGET_DIR", target).env("CARGO_INCREMENTAL", "0").env("SOURCE_DATE_EPOCH", seconds.to_string());
    step::run(&mut build)?;
    Ok(target.join("release").join(program.binary))
}

fn is_setting(variable: &OsString) -> bool {
    SETTINGS.iter().any(|setting| variable.to_string_lossy().starts_with(setting))
}

/// The folders that would show in a binary, with the names that stand for them.
fn names(source: &Path, target: &Path, toolchain: &Toolchain) -> Result<Vec<(String, String)>, Failure> {
    let library = toolchain.sysroot.join("lib/rustlib/src/rust");
    let folders = [
        (cargo_home()?, "/cargo".to_owned()),
        // Where the sources of the standard library are installed, rustc names them by their place.
        (library, format!("/rustc/{}", toolchain.commit)),
        (source.to_owned(), "/eval-fabric".to_owned()),
        (target.to_owned(), "/target".to_owned()),
    ];
    let text = |(folder, name): (PathBuf, String)| {
        let folder = folder.to_string_lossy().into_owned();
        if folder.contains([' ', '\t', '\n', '=']) {
            let problem = format!("`{folder}` has a space or `=` in it, which compilers cannot be told to leave out");
            return Err(Failure::new(format!("{problem}: build in another folder")));
        }
        Ok((folder, name))
    };
    folders.into_iter().map(text).collect()
}

fn cargo_home() -> Result<PathBuf, Failure> {
    let own = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    own.or_else(|| Some(std::env::home_dir()?.join(".cargo")))
        .ok_or_else(|| Failure::new("there is no home folder: set CARGO_HOME"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_the_environment_do_not_reach_the_build() {
        for variable in ["RUSTFLAGS", "RUSTC_WRAPPER", "CARGO_PROFILE_RELEASE_LTO", "CARGO_BUILD_TARGET", "CFLAGS_x"] {
            assert!(is_setting(&variable.into()), "{variable}");
        }
        for variable in ["PATH", "HOME", "CARGO_HOME", "RUSTUP_HOME", "CARGO_NET_OFFLINE", "SSL_CERT_FILE", "CC"] {
            assert!(!is_setting(&variable.into()), "{variable}");
        }
    }

    #[test]
    fn a_folder_that_compilers_cannot_be_told_is_refused() {
        let toolchain = Toolchain {
            rustc: String::new(),
            commit: "abc".to_owned(),
            host: String::new(),
            sysroot: PathBuf::from("/sysroot"),
            cc: String::new(),
        };
        let named = names(Path::new("/a/source"), Path::new("/a/target"), &toolchain).expect("no spaces");
        assert_eq!(named[2], ("/a/source".to_owned(), "/eval-fabric".to_owned()));
        let failure = names(Path::new("/a b"), Path::new("/t"), &toolchain).expect_err("there is a space");
        assert!(failure.message.contains("`/a b` has a space"), "{failure}");
    }
}
