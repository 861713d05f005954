//! What a plugin's process may not do: the kernel sees to it.
//!
//! `ef` starts itself again as a launcher, which restricts itself (Landlock for files, seccomp for the network) and then
//! becomes the plugin. A restriction is inherited by all that the plugin starts and can never be taken off. Where the kernel
//! cannot do all of it, the plugin is not started: a sandbox is never silently weaker than it was asked for.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

/// The first argument that makes `ef` a launcher. No command has such a name.
pub(crate) const LAUNCHER: &str = "__sandbox";

/// A sandbox as a manifest writes it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Sandbox {
    pub(crate) deny_network: bool,
    /// What may be read besides what every program needs; `None` for everything.
    pub(crate) read: Option<Vec<String>>,
    /// What may be written, and read; `None` for everything.
    pub(crate) write: Option<Vec<String>>,
}

/// As it stands in the records: what was asked for, in the words of the manifest.
impl fmt::Display for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if self.deny_network {
            parts.push("network=deny".to_owned());
        }
        for (name, paths) in [("read", &self.read), ("write", &self.write)] {
            if let Some(paths) = paths {
                parts.push(format!("{name}={paths:?}"));
            }
        }
        write!(f, "sandboxed({})", parts.join(", "))
    }
}

/// What a launcher is told.
#[derive(Debug, Default, PartialEq)]
struct Policy {
    deny_network: bool,
    read: Option<Vec<PathBuf>>,
    write: Option<Vec<PathBuf>>,
}

impl Sandbox {
    /// The command line to be put before that of the plugin. Relative paths are relative to `folder`; `needed` is what the
    /// plugin itself consists of, and may always be read.
    pub(crate) fn wrapper(&self, folder: &Path, needed: &[PathBuf]) -> Result<Vec<OsString>, String> {
        require_kernel(self)?;
        let ef = std::env::current_exe().map_err(|error| format!("the launcher cannot be found: {}", error.kind()))?;
        let mut line = vec![ef.into_os_string(), LAUNCHER.into()];
        if self.deny_network {
            line.push("--deny-network".into());
        }
        for (name, paths) in [("read", &self.read), ("write", &self.write)] {
            let Some(paths) = paths else { continue };
            line.push(format!("--limit-{name}").into());
            for written in paths {
                let path = folder.join(written);
                if !path.exists() {
                    return Err(format!("`sandbox.{name}` has {written:?}, which does not exist"));
                }
                line.extend([format!("--{name}").into(), path.into_os_string()]);
            }
        }
        if self.read.is_some() {
            let needed = needed.iter().flat_map(|path| ["--read".into(), path.clone().into_os_string()]);
            line.extend(needed);
        }
        line.push("--".into());
        Ok(line)
    }
}

impl Policy {
    /// Reads what stands before `--`, and gives what stands behind it.
    fn read(arguments: impl Iterator<Item = OsString>) -> Result<(Self, Vec<OsString>), String> {
        let mut arguments = arguments;
        let mut policy = Self::default();
        let path = |arguments: &mut dyn Iterator<Item = OsString>| {
            arguments.next().map(PathBuf::from).ok_or("a path is missing".to_owned())
        };
        while let Some(argument) = arguments.next() {
            match argument.to_str() {
                Some("--deny-network") => policy.deny_network = true,
                Some("--limit-read") => policy.read = Some(policy.read.take().unwrap_or_default()),
                Some("--limit-write") => policy.write = Some(policy.write.take().unwrap_or_default()),
                Some("--read") => policy.read.get_or_insert_default().push(path(&mut arguments)?),
                Some("--write") => policy.write.get_or_insert_default().push(path(&mut arguments)?),
                Some("--") => return Ok((policy, arguments.collect())),
                _ => return Err("this command is for `ef` itself".to_owned()),
            }
        }
        Err("this command is for `ef` itself".to_owned())
    }
}

/// Becomes the program that the arguments name, under the restrictions that they name. Returns only where that failed, and
/// says why: `ef` takes the last line of standard error for the reason that the plugin did not start.
pub(crate) fn launch(arguments: impl Iterator<Item = OsString>) -> String {
    let (policy, line) = match Policy::read(arguments) {
        Ok(read) => read,
        Err(reason) => return format!("error: {reason}"),
    };
    let [program, arguments @ ..] = &line[..] else { return "error: there is no program to start".to_owned() };
    if let Err(reason) = kernel::restrict(&policy) {
        return format!("error: the sandbox cannot be set up: {reason}");
    }
    let error = become_program(program, arguments);
    format!("error: {} cannot be started in the sandbox: {error}", Path::new(program).display())
}

#[cfg(unix)]
fn become_program(program: &OsStr, arguments: &[OsString]) -> String {
    use std::os::unix::process::CommandExt as _;
    std::process::Command::new(program).args(arguments).exec().to_string()
}

#[cfg(not(unix))]
fn become_program(_: &OsStr, _: &[OsString]) -> String {
    "a program cannot become another here".to_owned()
}

/// Finds out, without restricting anything, whether this kernel can do what is asked.
fn require_kernel(sandbox: &Sandbox) -> Result<(), String> {
    kernel::require(sandbox.read.is_some() || sandbox.write.is_some(), sandbox.deny_network)
}

#[cfg(target_os = "linux")]
mod kernel {
    //! Linux.

    use std::collections::BTreeMap;
    use std::path::{Path, PathBuf};

    use landlock::{
        ABI, AccessFs, BitFlags, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr,
        RulesetError, RulesetStatus, path_beneath_rules,
    };
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};

    use super::Policy;

    /// The third version of Landlock (Linux 6.2) is the first that can forbid to change every file.
    const NEEDED: ABI = ABI::V3;

    /// What every program needs: the system's programs and libraries with their settings, and what the kernel tells of
    /// the machine and of the process itself. Nothing of it belongs to a user; what tells of other processes, Landlock
    /// itself keeps from a process that it restricts.
    const SYSTEM: [&str; 13] = [
        "/usr",
        "/bin",
        "/sbin",
        "/lib",
        "/lib32",
        "/lib64",
        "/etc",
        "/nix/store",
        "/proc",
        "/sys/devices/system/cpu",
        "/sys/fs/cgroup",
        "/dev/urandom",
        "/dev/random",
    ];

    /// The devices that swallow everything and tell nothing.
    const HARMLESS: [&str; 2] = ["/dev/null", "/dev/zero"];

    /// Asks whether the kernel can restrict a process so.
    pub(super) fn require(files: bool, network: bool) -> Result<(), String> {
        if files {
            let handled = Policy { read: Some(Vec::new()), write: Some(Vec::new()), deny_network: false };
            ruleset(&handled).map_err(|_| {
                "this kernel cannot restrict what a process reads and writes: that takes Linux 6.2 with Landlock"
                    .to_owned()
            })?;
        }
        if network {
            filter()?;
            if !Path::new("/proc/sys/kernel/seccomp/actions_avail").exists() {
                return Err("this kernel cannot forbid a process the network: that takes seccomp filters".to_owned());
            }
        }
        Ok(())
    }

    pub(super) fn restrict(policy: &Policy) -> Result<(), String> {
        if policy.read.is_some() || policy.write.is_some() {
            let status = restrict_files(policy).map_err(|error| error.to_string())?;
            if status != RulesetStatus::FullyEnforced {
                return Err("the kernel restricts less than it was asked to".to_owned());
            }
        }
        if policy.deny_network {
            seccompiler::apply_filter(&filter()?).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// What is forbidden unless a rule allows it.
    fn handled(policy: &Policy) -> BitFlags<AccessFs> {
        let mut handled = BitFlags::empty();
        if policy.read.is_some() {
            handled |= AccessFs::from_read(NEEDED);
        }
        if policy.write.is_some() {
            handled |= AccessFs::from_write(NEEDED);
        }
        handled
    }

    fn ruleset(policy: &Policy) -> Result<RulesetCreated, RulesetError> {
        Ruleset::default().set_compatibility(CompatLevel::HardRequirement).handle_access(handled(policy))?.create()
    }

    fn restrict_files(policy: &Policy) -> Result<RulesetStatus, RulesetError> {
        let handled = handled(policy);
        let read = AccessFs::from_read(NEEDED) & handled;
        let mut ruleset = ruleset(policy)?;
        let mut allow = |paths: Vec<PathBuf>, access: BitFlags<AccessFs>| -> Result<(), RulesetError> {
            if access.is_empty() {
                return Ok(());
            }
            for rule in path_beneath_rules(paths, access) {
                (&mut ruleset).add_rule(rule?)?;
            }
            Ok(())
        };
        allow(SYSTEM.iter().map(PathBuf::from).collect(), read)?;
        allow(HARMLESS.iter().map(PathBuf::from).collect(), handled)?;
        allow(policy.read.clone().unwrap_or_default(), read)?;
        allow(policy.write.clone().unwrap_or_default(), handled)?;
        Ok(ruleset.restrict_self()?.ruleset)
    }

    /// No socket can be made, and what could stand in for one is forbidden too. A pair of connected sockets between the
    /// plugin's own processes can still be made.
    fn filter() -> Result<BpfProgram, String> {
        let architecture = TargetArch::try_from(std::env::consts::ARCH)
            .map_err(|_| format!("forbidding the network is not possible on {}", std::env::consts::ARCH))?;
        // A ring can make sockets without the call; the others act through processes outside of the sandbox.
        let forbidden = [
            libc::SYS_socket,
            libc::SYS_io_uring_setup,
            libc::SYS_ptrace,
            libc::SYS_process_vm_writev,
            libc::SYS_pidfd_getfd,
        ];
        // The same calls under the numbers of the x32 ABI, where it is compiled in.
        let x32 = |call: i64| (architecture == TargetArch::x86_64).then_some(call | 0x4000_0000);
        let calls = forbidden.into_iter().flat_map(|call| [Some(call), x32(call)]).flatten();
        let rules: BTreeMap<_, _> = calls.map(|call| (call, Vec::new())).collect();
        let denied = SeccompAction::Errno(libc::EACCES.unsigned_abs());
        SeccompFilter::new(rules, SeccompAction::Allow, denied, architecture)
            .and_then(BpfProgram::try_from)
            .map_err(|error| error.to_string())
    }
}

#[cfg(not(target_os = "linux"))]
mod kernel {
    //! Any other system.

    use super::Policy;

    const REFUSED: &str = "plugins can be sandboxed on Linux alone: leave `sandbox` out to run it without";

    pub(super) fn require(_: bool, _: bool) -> Result<(), String> {
        Err(REFUSED.to_owned())
    }

    pub(super) fn restrict(_: &Policy) -> Result<(), String> {
        Err(REFUSED.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_launcher_reads_what_it_is_told_and_nothing_else() {
        let line = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>().into_iter();
        let (policy, rest) =
            Policy::read(line("--deny-network --limit-read --read /a --limit-write -- p --read x")).expect("right");
        assert!(policy.deny_network);
        assert_eq!(policy.read, Some(vec![PathBuf::from("/a")]));
        assert_eq!(policy.write, Some(Vec::new()), "nothing may be written");
        assert_eq!(rest, ["p", "--read", "x"].map(OsString::from));
        for wrong in ["--deny-network", "--unknown -- p", "--read", "p", ""] {
            assert!(Policy::read(line(wrong)).is_err(), "{wrong}");
        }
    }
}
