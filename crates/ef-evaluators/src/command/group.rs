//! A started program with everything that it starts: a process group that ends as a whole.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitStatus;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

/// How long a program that is told to end may take to tidy up before it is made to.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// A running program whose process group ends with it, and when this is dropped.
pub(super) struct Group {
    id: Pid,
    /// Taken when the group has to be ended while this is dropped.
    child: Option<Child>,
    /// The ends of the program's output: a program that is told to end and says so must not break on a closed pipe.
    pipes: [Option<OwnedFd>; 2],
}

impl Group {
    /// Starts a command that makes a group of its own.
    pub(super) fn start(command: &mut Command) -> io::Result<Self> {
        let child = command.spawn()?;
        let id = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        let id = id.ok_or_else(|| io::Error::other("a process that was just started has no id"))?;
        let pipes = [held(child.stdout.as_ref()), held(child.stderr.as_ref())];
        Ok(Self { id, child: Some(child), pipes })
    }

    /// The first process.
    pub(super) fn child(&mut self) -> &mut Child {
        self.child.as_mut().expect("taken only while dropping")
    }

    /// Waits until the first process has ended, and ends those that it left behind.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.child().wait().await?;
        kill(self.id);
        Ok(status)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Without an id it was waited for, and its group is over.
        let Some(mut child) = self.child.take().filter(|child| child.id().is_some()) else { return };
        let killed_when_dropped = KillGuard(self.id);
        let pipes = std::mem::take(&mut self.pipes);
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let _ = killpg(self.id, Signal::SIGTERM);
        runtime.spawn(async move {
            let _ = tokio::time::timeout(GRACE, child.wait()).await;
            drop(killed_when_dropped);
            drop(pipes);
            let _ = child.wait().await;
        });
    }
}

/// Another hold on a pipe.
fn held(pipe: Option<&impl AsFd>) -> Option<OwnedFd> {
    pipe?.as_fd().try_clone_to_owned().ok()
}

/// Ends a group when it is dropped: at the end of its grace, or with the runtime.
struct KillGuard(Pid);

impl Drop for KillGuard {
    fn drop(&mut self) {
        kill(self.0);
    }
}

/// Ends every process of a group that is still there.
fn kill(group: Pid) {
    // Fails where none is left.
    let _ = killpg(group, Signal::SIGKILL);
}
